#!/usr/bin/env bash
# Sinusoid regression, the MAML paper's setting: about 6 minutes of meta-training on one core. Seed 0.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python benchmarks/sinusoids.py --steps 30000 --seed 0 --out runs/out/sinusoids

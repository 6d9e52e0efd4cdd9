#!/usr/bin/env bash
# The demo's table over 40 class splits, and the grid behind "settings by hand": about 7 minutes. Seed 0.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/firstsight demo --splits 40 --out runs/out/demo
.venv/bin/python benchmarks/digits_settings.py

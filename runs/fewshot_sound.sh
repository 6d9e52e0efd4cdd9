#!/usr/bin/env bash
# Spoken digits from one example: benchmarks/few_shot_sound.py with three seeds of the training.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python benchmarks/few_shot_sound.py --seed 0
.venv/bin/python benchmarks/few_shot_sound.py --seed 1 --only-ours
.venv/bin/python benchmarks/few_shot_sound.py --seed 2 --only-ours

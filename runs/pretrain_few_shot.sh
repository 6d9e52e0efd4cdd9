#!/usr/bin/env bash
# The weights of FewShotClassifier.pretrained("omniglot"): 32,000 steps of 64 drawings (seed 0, one thread, an hour of one
# core, 70 minutes on crowded ones), the table of benchmarks/few_shot.py, and the card. Stopped, it goes on from where
# it stood.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive
.venv/bin/python runs/fewshot_omniglot.py --steps 32000 --searches 7 --threads 1 --out runs/out/fewshot_omniglot_long
.venv/bin/python benchmarks/few_shot.py
.venv/bin/python runs/few_shot_card.py

#!/usr/bin/env bash
# Characters of Omniglot from one example: an embedding learned from the unlabelled training drawings (seed 0, 5,000
# steps of 64, 13 minutes on 2 shared cores), then the plain contrastive baseline and the table of
# benchmarks/few_shot.py. Stopped, it goes on from where it stood.
set -euo pipefail
cd "$(dirname "$0")/.."
# Threads that wait by spinning lose most of their time when other work shares the cores.
export OMP_WAIT_POLICY=passive
.venv/bin/python runs/fewshot_omniglot.py --steps 5000 --out runs/out/fewshot_omniglot "$@"
.venv/bin/python runs/fewshot_omniglot.py --steps 5000 --plain --out runs/out/fewshot_omniglot_plain "$@"
.venv/bin/python benchmarks/few_shot.py

#!/usr/bin/env bash
# Characters of Omniglot from one example: an embedding learned from the unlabelled training drawings, three seeds, and
# plain contrast beside it (5,000 steps of 64, one thread, about ten minutes each of one core), then the table of
# benchmarks/few_shot.py. Stopped, it goes on from where it stood.
set -euo pipefail
cd "$(dirname "$0")/.."
# Threads that wait by spinning lose most of their time when other work shares the cores.
export OMP_WAIT_POLICY=passive
run=".venv/bin/python runs/fewshot_omniglot.py --steps 5000 --threads 1"
$run --seed 0 --out runs/out/fewshot_omniglot
$run --seed 0 --searches 0 --out runs/out/fewshot_omniglot_plain
$run --seed 1 --out runs/out/fewshot_omniglot_1
$run --seed 2 --out runs/out/fewshot_omniglot_2
.venv/bin/python benchmarks/few_shot.py

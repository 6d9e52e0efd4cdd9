#!/usr/bin/env bash
# The side-by-side rows of benchmarks/few_shot.py on Omniglot, each trained for at most ten minutes on one core (seed 0):
# supervised prototypical networks with and without augmentation, UMTRA, and CACTUs over the pixels and over the plain
# contrastive encoder of runs/fewshot_omniglot.sh, which has half the steps, as that encoder took its minutes before;
# then the table. MAML's row is there after runs/omniglot_maml.sh. Rows that are done are left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
# Threads that wait by spinning lose most of their time when other work shares the cores.
export OMP_WAIT_POLICY=passive
.venv/bin/python runs/fewshot_omniglot.py --steps 5000 --searches 0 --threads 1 --out runs/out/fewshot_omniglot_plain
for method in supervised supervised-augmented umtra cactus-pixels; do
    .venv/bin/python runs/fewshot_baselines.py --method "$method" "$@"
done
.venv/bin/python runs/fewshot_baselines.py --method cactus-contrast --steps 600 "$@"
.venv/bin/python benchmarks/few_shot.py

#!/usr/bin/env bash
# Omniglot 5-way 1-shot, supervised: MAML, first order, ANIL, Meta-SGD, Reptile, joint, and MAML with transductive
# normalisation; about 8 minutes each on 2 cores, seed 0. Stop it at any moment: it goes on from where it stood.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python benchmarks/omniglot.py --seed 0 --out runs/out/omniglot "$@"

#!/usr/bin/env bash
# Omniglot 5-way 1-shot, supervised: MAML, first order, Meta-SGD, joint, ANIL and Reptile on a like budget, and two of
# them once more with transductive normalisation; about an hour on 2 cores, seed 0. Stopped, it goes on
# from where it stood.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python benchmarks/omniglot.py --seed 0 --out runs/out/omniglot "$@"

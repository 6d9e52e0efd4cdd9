#!/usr/bin/env bash
# Every learner and meta-learner where it applies, on four problems with the same budget, two seeds: about two hours on 2
# cores. Stopped, it goes on with the runs that are left. Writes the tables of docs/methods.md.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python benchmarks/zoo.py --out runs/out/zoo --page docs/methods.md "$@"

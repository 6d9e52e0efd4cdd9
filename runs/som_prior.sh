#!/usr/bin/env bash
# A map with a meta-learned prior on 20 rows against MiniSom on 200 (pip install minisom): about 10 minutes a family on
# one core. Seeds 0 to 2.
set -euo pipefail
cd "$(dirname "$0")/.."
for family in mixtures sheets weeks; do
  .venv/bin/python benchmarks/som_prior.py --family "$family" --out runs/out/som_prior
done

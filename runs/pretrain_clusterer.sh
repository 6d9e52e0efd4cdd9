#!/usr/bin/env bash
# The judge of Clusterer, from 7,100 synthetic tables, seed 0: lessons (about 25 minutes on 2 quiet cores), then the
# models (about 12). Stopped, it goes on from where it stood. First useful weights come in ten minutes with
# --synthetic 1000 --one-cluster 300 --mixed 200.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python runs/pretrain_clusterer.py --synthetic 4400 --one-cluster 1500 --mixed 1200 --leave-out real "$@"

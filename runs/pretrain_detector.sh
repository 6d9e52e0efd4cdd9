#!/usr/bin/env bash
# The reader of AnomalyDetector, seed 0: lessons from 1,500 synthetic tables and the training sides of OddBench and
# OvRBench (about 25 minutes on 2 cores), then the models (about 10). Stopped, it goes on from where it stood. First useful
# weights come in ten minutes with --synthetic 300 --collections.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python runs/pretrain_detector.py --synthetic 1500 "$@"

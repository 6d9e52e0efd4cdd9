#!/usr/bin/env bash
# Gaussian mixtures and probabilistic PCA with meta-learned priors against both from scratch: about 8 minutes on one
# core. Seeds 0 to 2.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python benchmarks/mixture_prior.py --steps 500 --seeds 3 --out runs/out/mixture_prior
.venv/bin/python benchmarks/ppca_prior.py --steps 300 --seeds 3 --out runs/out/ppca_prior

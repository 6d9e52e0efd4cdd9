#!/usr/bin/env bash
# Weeks of electricity: 24 half-hours against a whole week, clusters and codes (about 4 minutes), and what else was
# tried, judged on other weeks (about 6). Seed 0.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python examples/weeks_of_electricity.py
.venv/bin/python benchmarks/electricity.py

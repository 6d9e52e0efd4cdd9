#!/usr/bin/env bash
# Weeks of electricity: 24 half-hours against a whole week, clusters and codes; about 3 minutes. Seed 0.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python examples/weeks_of_electricity.py

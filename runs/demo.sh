#!/usr/bin/env bash
# The demo's table and picture. Seed 0.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/firstsight demo --out runs/out/demo

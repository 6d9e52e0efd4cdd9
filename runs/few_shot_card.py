"""Put a finished embedding of Omniglot into the package, with a card that says from what and how well.

Reads embedding.safetensors and record.json of ``runs/fewshot_omniglot.py`` and the figures of
``benchmarks/few_shot.py``.
"""

import argparse
import json
import shutil
from pathlib import Path

from firstsight.engine.record import write_record
from firstsight.few_shot.embedding import FILE, Embedding

PACKAGE = Path(__file__).resolve().parents[1] / "src/firstsight/pretrained/omniglot"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/out/fewshot_omniglot_long"))
    parser.add_argument("--figures", type=Path, default=Path("runs/out/few_shot/test.json"))
    parser.add_argument("--row", default="ours, 70 minutes", help="of the figures")
    args = parser.parse_args()
    Embedding.load(args.run)  # whole, and of this version
    record = json.loads((args.run / "record.json").read_text())
    figures = json.loads(args.figures.read_text())
    shutil.copy(args.run / FILE, PACKAGE / FILE)
    card = {
        "name": "embedding of handwritten characters, for FewShotClassifier",
        "licence": "Apache-2.0",
        "data": [
            {
                "what": "Omniglot (Lake et al. 2015): drawings of the 1,028 training characters of Vinyals et al., "
                "four rotations, without labels",
                "drawings": 82240,
                "licence": "MIT",
            }
        ],
        "command": "runs/pretrain_few_shot.sh",
        "seed": record["seed"],
        "steps": record["steps"],
        "images": record["images"],
        "minutes": round(record["seconds"] / 60, 1),
        "cpu_minutes": round(record["cpu_seconds"] / 60, 1),
        "numbers": {"tasks": figures["tasks"], **figures["means"][args.row]},
    }
    write_record(PACKAGE / "card.json", card)


if __name__ == "__main__":
    main()

"""Train the reader of ``AnomalyDetector``: lessons first (each kept in a file: a stopped run goes on), then the models.

python runs/pretrain_detector.py --synthetic 3000 --collections oddbench ovrbench --out runs/out/detector
"""

import argparse
import json
import os
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes with a thread each are faster than two threads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin take the cores from other work

import numpy as np
from tqdm import tqdm

from firstsight.datasets.incidents import incident_side, list_incidents, load_incidents
from firstsight.engine.record import environment
from firstsight.selection.anomalies.learn import Config, fit_reader
from firstsight.selection.anomalies.lessons import Lesson, lesson_of
from firstsight.tasks import contaminated

MOST_ROWS = 3000  # of a table
MADE = contaminated.Config()
LICENCES = {
    "oddbench": "none stated",
    "ovrbench": "none stated",
    "keel": "none stated",
}


def rows_of(name: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Rows in random order, their truth and the family, of a made or a real table."""
    collection, _, number = name.partition("/")
    if collection == "synthetic":
        made = contaminated.sample(int(number), MADE)
        return made.X, made.y, name
    table = load_incidents(name)
    rows = np.random.default_rng(zlib.crc32(name.encode())).permutation(len(table.X))[:MOST_ROWS]
    X = np.where(np.isnan(table.X), np.nanmedian(table.X, axis=0), table.X)
    return X[rows], table.y[rows], table.family


def make(task: tuple[str, bool, Path]) -> None:
    """Write one lesson, if it is not there; an empty file where a table teaches nothing."""
    name, clean, path = task
    if path.exists():
        return
    X, y, family = rows_of(name)
    seed = zlib.crc32(name.encode())
    lesson = lesson_of(X, y, clean=clean, family=family, seed=seed) if y.any() or not clean else None
    if lesson is None:
        path.write_bytes(b"")
        return
    part = path.with_suffix(".part.npz")
    words = {"family": lesson.family, "clean": lesson.clean, "names": lesson.names}
    np.savez_compressed(part, words=json.dumps(words), rows=lesson.rows, y=lesson.y, weight=lesson.weight)
    part.rename(path)


def read(path: Path) -> Lesson | None:
    """Read what :func:`make` wrote."""
    if not path.stat().st_size:
        return None
    with np.load(path) as stored:
        words = json.loads(str(stored["words"]))
        arrays = (stored[key] for key in ("rows", "y", "weight"))
        return Lesson(words["family"], words["clean"], words["names"], *arrays)


def tasks_of(names: list[str], folder: Path) -> list[tuple[str, bool, Path]]:
    """Of every table a lesson with any of its rows as reference, and one with normal rows alone."""
    return [
        (name, clean, folder / f"{name.replace('/', '+')[:120]}-{'clean' if clean else 'mixed'}.npz")
        for name in names
        for clean in (False, True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synthetic", type=int, default=2000, help="made tables")
    parser.add_argument("--collections", nargs="*", default=["oddbench", "ovrbench"], choices=list(LICENCES))
    parser.add_argument("--sides", nargs="*", default=["train"], help="of the split of tables")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/out/detector"))
    parser.add_argument("--reader", type=Path, help="folder for the reader; that of the package if left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lessons-only", action="store_true")
    args = parser.parse_args()
    begun = time.monotonic()
    folder = args.out / "lessons"
    folder.mkdir(parents=True, exist_ok=True)
    real = [
        name for name in list_incidents()
        if name.split("/")[0] in args.collections and incident_side(name) in args.sides
    ]  # fmt: skip
    tasks = tasks_of(real + [f"synthetic/{seed}" for seed in range(args.synthetic)], folder)
    missing = [task for task in tasks if not task[2].exists()]
    with ProcessPoolExecutor(args.processes) as pool:
        for _ in tqdm(pool.map(make, missing, chunksize=4), total=len(missing), desc="lessons", disable=None):
            pass
    if args.lessons_only:
        return
    lessons = [lesson for lesson in (read(task[2]) for task in tqdm(tasks, desc="read", disable=None)) if lesson]
    reader, figures = fit_reader(lessons, Config(seed=args.seed, n_threads=args.processes))
    target = args.reader or Path(__file__).parents[1] / "src/firstsight/pretrained/detector"
    reader.save(target)
    figures |= {"lessons": len(lessons), "minutes": (time.monotonic() - begun) / 60}
    print(json.dumps(figures, indent=1))
    made = {
        "what": "firstsight.tasks.contaminated",
        "tables": args.synthetic,
        "licence": "Apache-2.0, made by this project",
    }
    card = {
        "name": "reader of rows, for AnomalyDetector",
        "licence": "Apache-2.0",
        "data": [made] + [
            {
                "what": f"{name}, side {' and '.join(args.sides)}", "licence": LICENCES[name],
                "tables": sum(table.startswith(f"{name}/") for table in real),
            }
            for name in args.collections
        ],
        "command": "runs/pretrain_detector.sh",
        "seed": args.seed,
        "cross_fitted_figures": figures,
        "environment": environment(),
    }  # fmt: skip
    (target / "card.json").write_text(json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    main()

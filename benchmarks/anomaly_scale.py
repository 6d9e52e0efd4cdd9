"""Time and memory of ``AnomalyDetector`` at default settings: against four detectors of PyOD, and as rows grow.

    PYTHONPATH=FOLDER python benchmarks/anomaly_scale.py    # with PyOD in FOLDER

Seconds of both are medians of interleaved runs in one process, two threads each; memory is the peak of a process of
its own, less what the table and the imports take.
"""

import argparse
import importlib
import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from firstsight import AnomalyDetector
from firstsight.engine.record import environment

RUNS = 7
PEERS = {"knn": "KNN", "lof": "LOF", "iforest": "IForest", "ecod": "ECOD"}


def table(n_rows: int, n_columns: int = 20) -> np.ndarray:
    """Correlated columns with one row in a hundred spread three times as wide."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_columns)) @ rng.normal(size=(n_columns, n_columns))
    X[::100] *= 3
    return X


def detected(X: np.ndarray) -> None:
    AnomalyDetector("contaminated", random_state=0).fit(X).anomaly_probability(X)


def peers(X: np.ndarray) -> None:
    """Fitted one after the other, with their defaults; PyOD scores the fitted rows in ``fit``."""
    for module, name in PEERS.items():
        getattr(importlib.import_module(f"pyod.models.{module}"), name)().fit(X)


def timed(run: Callable[..., Any], *arguments: Any) -> float:
    began = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - began


def against_peers() -> None:
    X = table(10_000)
    with threadpool_limits(2):
        detected(X)
        try:
            pairs = [(timed(detected, X), timed(peers, X)) for _ in range(RUNS)]
        except ModuleNotFoundError:
            print(f"10,000 x 20: {np.median([timed(detected, X) for _ in range(RUNS)]):.2f} s; PyOD is not installed")
            return
    ours, theirs = np.median(pairs, axis=0)
    ratio = np.median([one / other for one, other in pairs])
    print(
        f"10,000 x 20: {ours:.2f} s, {' + '.join(PEERS.values())} {theirs:.2f} s, ratio {ratio:.2f} (medians of {RUNS})"
    )


def new_rows() -> None:
    X = table(11_000)
    fitted = AnomalyDetector("contaminated", random_state=0).fit(X[:10_000])
    seconds = np.median([timed(fitted.score_samples, X[10_000:]) for _ in range(RUNS)])
    print(f"1,000 new rows after a fit on 10,000: {seconds:.3f} s")


def grown(n_rows: int) -> tuple[float, float]:
    """Seconds and MiB above the table, in a process of its own."""
    X = table(n_rows)
    detected(X[:300])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = timed(detected, X)
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[1000, 10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print(environment())
    against_peers()
    new_rows()
    for n_rows in args.rows:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, memory = pool.apply(grown, (n_rows,))
        print(f"{n_rows:>9,} x 20: {seconds:6.2f} s, {memory:6.0f} MiB above the table")


if __name__ == "__main__":
    main()

"""Time and memory of ``Clusterer`` at default settings: against k-means tried for k = 2 to 12, and as rows grow.

    python benchmarks/clustering_scale.py

Seconds of both are medians of interleaved runs in one process, two threads each; memory is the peak of a process of
its own, less what the table and the imports take.
"""

import argparse
import multiprocessing
import resource
import time
import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from firstsight import Clusterer
from firstsight.engine.record import environment

RUNS = 9


def table(n_rows: int, n_columns: int = 10) -> np.ndarray:
    return make_blobs(n_rows, n_columns, centers=6, cluster_std=3.0, random_state=0)[0]


def tried(X: np.ndarray) -> None:
    """k-means for k = 2 to 12, ten starts each, judged by the silhouette."""
    for k in range(2, 13):
        silhouette_score(X, KMeans(k, n_init=10, random_state=0).fit_predict(X))


def timed(run: object, *arguments: object) -> float:
    began = time.perf_counter()
    run(*arguments)  # type: ignore[operator]
    return time.perf_counter() - began


def against_kmeans() -> None:
    X = table(1000)
    with threadpool_limits(2):
        Clusterer(random_state=0).fit(X)
        pairs = [(timed(Clusterer(random_state=0).fit, X), timed(tried, X)) for _ in range(RUNS)]
    ours, theirs = np.median(pairs, axis=0)
    ratio = np.median([one / other for one, other in pairs])
    print(f"1,000 x 10: {ours:.2f} s, k-means with silhouettes {theirs:.2f} s, ratio {ratio:.2f} (medians of {RUNS})")


def grown(n_rows: int) -> tuple[float, float]:
    """Seconds and MiB above the table, in a process of its own."""
    X = table(n_rows)
    Clusterer(random_state=0).fit(X[:200])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = timed(Clusterer(random_state=0).fit, X)
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[1000, 2000, 10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print(environment())
    against_kmeans()
    seconds = {}
    for n_rows in args.rows:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds[n_rows], memory = pool.apply(grown, (n_rows,))
        print(f"{n_rows:>9,} x 10: {seconds[n_rows]:6.2f} s, {memory:6.0f} MiB above the table")
    large = [n_rows for n_rows in args.rows if n_rows >= 10_000]
    if len(large) > 1:
        slope = np.polyfit(np.log(large), np.log([seconds[n_rows] for n_rows in large]), 1)[0]
        print(f"from {large[0]:,} rows on, time grows like n^{slope:.2f}")


if __name__ == "__main__":
    main()

"""Clusterers to compare with, told k and not told k, on one table.

Proposals (labels by one algorithm for one k) and what rates them are made once for a table and shared by the methods
that use them; a method's seconds are those of all the parts it uses, whoever made them first.

Genie is imported if it is there: genieclust is AGPL, is no dependency of firstsight, and is only compared with here.
"""

import time
import warnings
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import DBSCAN, HDBSCAN, KMeans, SpectralClustering
from sklearn.impute import SimpleImputer
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    pairwise_distances,
    silhouette_score,
)
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder, StandardScaler

try:
    from genieclust import Genie
except ImportError:
    Genie = None

FAILURES = (ValueError, TypeError, RuntimeError, FloatingPointError, np.linalg.LinAlgError)
Labels = NDArray[np.int64]
MOST = 12  # clusters that a method tries when it is not told k
WIDE = 50  # columns above which a Gaussian mixture starts once, not five times: seconds, not minutes, a table


def as_numbers(X: Any, *, standardise: bool = False) -> NDArray[np.float64]:
    """Numbers, missing ones as the median, and then categories as 0 and 1 in a column each.

    Standardised are the numbers alone: a rare category would else weigh more than everything together.
    """
    table = pd.DataFrame(X)
    numeric = [name for name in table if pd.api.types.is_numeric_dtype(table[name])]
    parts = [np.empty((len(table), 0))]
    if numeric:
        numbers = table[numeric].astype(float).replace([np.inf, -np.inf], np.nan)
        numbers = SimpleImputer(strategy="median", keep_empty_features=True).fit_transform(numbers)
        parts.append(StandardScaler().fit_transform(numbers) if standardise else numbers)
    words = table.drop(columns=numeric)
    if words.shape[1]:
        encoder = OneHotEncoder(drop="if_binary", sparse_output=False)
        parts.append(encoder.fit_transform(words.astype(object).where(words.notna(), "missing").astype(str)))
    return np.hstack(parts)


class Workbench:
    """One table with the proposals that were made for it."""

    def __init__(self, X: NDArray[np.float64], seed: int):
        self.X, self.seed = X, seed
        self.kept: dict[Hashable, Any] = {}
        self.spent: dict[Hashable, float] = {}
        self.used: set[Hashable] = set()

    def piece(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` returns, made once; ``make`` must not ask for another piece."""
        if key not in self.kept:
            began = time.perf_counter()
            self.kept[key] = make()
            self.spent[key] = time.perf_counter() - began
        self.used.add(key)
        return self.kept[key]

    def timed(self, method: Callable[["Workbench"], Labels]) -> tuple[Labels, float, str]:
        """Labels, seconds, and what went wrong; a method that fails has put all rows into one cluster."""
        self.used = set()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of convergence, unconnected graphs, equal rows: the score tells
                labels, failure = np.asarray(method(self)), ""
        except FAILURES as error:
            labels, failure = np.zeros(len(self.X), dtype=np.int64), f"{type(error).__name__}: {error}"[:200]
        return labels, sum(self.spent[key] for key in self.used), failure

    def distances(self) -> NDArray[np.float64]:
        """Between all rows: (n_rows, n_rows)."""
        return self.piece("distances", lambda: pairwise_distances(self.X))

    def neighbours(self, n: int) -> NDArray[np.float64]:
        """Sorted distances to the nearest rows, the row itself among them: (n_rows, n)."""
        return self.piece(("neighbours", n), lambda: NearestNeighbors(n_neighbors=n).fit(self.X).kneighbors()[0])

    def labels(self, name: str, k: int) -> Labels:
        """What one of ``TOLD`` gives for k."""
        if name in LINKAGES:
            tree = self.piece(("tree", name), lambda: linkage(self.X, LINKAGES[name]))
            return self.piece((name, k), lambda: cut(tree, k))
        if name == "GMM":
            return self.mixture(k)[0]
        return self.piece((name, k), lambda: ALGORITHMS[name](self.X, k, self.seed))

    def mixture(self, k: int) -> tuple[Labels, float]:
        """Labels and BIC of a Gaussian mixture with full covariances."""
        return self.piece(("GMM", k), lambda: mixture(self.X, k, self.seed))

    def silhouette(self, name: str, k: int) -> float:
        """Of what one of ``TOLD`` gives for k."""
        labels = self.labels(name, k)
        distances = self.distances()
        return self.piece(
            ("silhouette", name, k), lambda: checked(partial(silhouette_score, metric="precomputed"), distances, labels)
        )

    def counts(self, least: int = 2) -> Iterable[int]:
        """The k that a method tries when it is not told."""
        return range(least, min(MOST, len(self.X) - 1) + 1)


def checked(score: Callable[..., float], X: NDArray[np.float64], labels: Labels) -> float:
    """A score of a proposal, the worst for one that has no two clusters, or as many as rows."""
    return float(score(X, labels)) if 2 <= len(np.unique(labels)) < len(labels) else -np.inf


def cut(tree: NDArray[np.float64], k: int) -> Labels:
    """Exactly k clusters of a tree as scipy makes it, ties or not."""
    n = len(tree) + 1
    merges = tree[: n - k, :2].astype(int)
    parents = np.arange(n, n + len(merges)).repeat(2)
    graph = csr_matrix((np.ones(len(parents)), (merges.ravel(), parents)), shape=(2 * n, 2 * n))
    return np.unique(connected_components(graph, directed=False)[1][:n], return_inverse=True)[1]


def k_means(X: NDArray[np.float64], k: int, seed: int) -> Labels:
    return KMeans(k, n_init=10, random_state=seed).fit_predict(X)


def mixture(X: NDArray[np.float64], k: int, seed: int) -> tuple[Labels, float]:
    n_init = 5 if X.shape[1] <= WIDE else 1
    model = GaussianMixture(k, n_init=n_init, reg_covar=1e-6, random_state=seed).fit(X)
    return model.predict(X), model.bic(X)


def spectral(X: NDArray[np.float64], k: int, seed: int) -> Labels:
    neighbours = min(10, len(X) - 1)
    model = SpectralClustering(k, affinity="nearest_neighbors", n_neighbors=neighbours, random_state=seed)
    return model.fit_predict(X)


def genie(X: NDArray[np.float64], k: int, seed: int, threshold: float) -> Labels:
    # Its search for neighbours refuses a single column; one of zeros changes no distance.
    padded = np.column_stack([X, np.zeros(len(X))]) if X.shape[1] == 1 else np.ascontiguousarray(X)
    return Genie(n_clusters=k, gini_threshold=threshold).fit_predict(padded)


LINKAGES = {"Ward": "ward", "average linkage": "average", "single linkage": "single"}
ALGORITHMS: dict[str, Callable[..., Labels]] = {"k-means": k_means, "spectral": spectral}
if Genie is not None:
    ALGORITHMS |= {"Genie .3": partial(genie, threshold=0.3), "Genie .5": partial(genie, threshold=0.5)}
TOLD = ("k-means", "GMM", *LINKAGES, *(name for name in ALGORITHMS if name != "k-means"))
PROPOSING = [name for name in TOLD if name not in ("spectral", "Genie .5")]


def hdbscan(bench: Workbench, smallest: Callable[[int], int], assign: bool = False) -> Labels:
    size = min(smallest(len(bench.X)), len(bench.X))
    labels = bench.piece(("HDBSCAN", size), lambda: HDBSCAN(min_cluster_size=size, copy=True).fit_predict(bench.X))
    return bench.piece(("assigned", size), lambda: without_noise(bench.X, labels)) if assign else labels


def without_noise(X: NDArray[np.float64], labels: Labels) -> Labels:
    """Noise goes to the cluster of the nearest row that is in one."""
    kept = labels >= 0
    if kept.all() or not kept.any():
        return labels
    nearest = NearestNeighbors(n_neighbors=1).fit(X[kept]).kneighbors(X[~kept], return_distance=False)[:, 0]
    filled = labels.copy()
    filled[~kept] = labels[kept][nearest]
    return filled


def dbscan(bench: Workbench, min_samples: int = 5) -> Labels:
    """Radius at the knee of the sorted distances to the neighbour: where they are furthest below the chord."""
    curve = np.sort(bench.neighbours(min(min_samples - 1, len(bench.X) - 1))[:, -1])
    low, high = curve[0], curve[-1]
    chord = np.linspace(low, high, len(curve))
    radius = max(float(curve[np.argmax(chord - curve)]), np.finfo(float).tiny)
    return bench.piece("DBSCAN", lambda: DBSCAN(eps=radius, min_samples=min_samples).fit_predict(bench.X))


def best_k(bench: Workbench, name: str, score: Callable[..., float], sign: int) -> Labels:
    """The proposal of one algorithm that a score of scikit-learn likes best."""

    def rated(k: int) -> float:
        labels = bench.labels(name, k)
        value = bench.piece((score.__name__, name, k), lambda: checked(score, bench.X, labels))
        return sign * value if np.isfinite(value) else -np.inf

    return bench.labels(name, max(bench.counts(), key=rated))


def best_silhouette(bench: Workbench, names: Iterable[str]) -> Labels:
    """The proposal of some algorithms with the largest silhouette; those of one that fails are passed over."""

    def rated(choice: tuple[str, int]) -> float:
        try:
            return bench.silhouette(*choice)
        except FAILURES:
            return -np.inf

    return bench.labels(*max(((name, k) for name in names for k in bench.counts()), key=rated))


def best_mixture(bench: Workbench) -> Labels:
    return bench.mixture(min(bench.counts(1), key=lambda k: bench.mixture(k)[1]))[0]


def fiftieth(n_rows: int) -> int:
    return max(5, n_rows // 50)


UNTOLD: dict[str, Callable[[Workbench], Labels]] = {
    "HDBSCAN 5": partial(hdbscan, smallest=lambda n_rows: 5),
    "HDBSCAN n/50": partial(hdbscan, smallest=fiftieth),
    "HDBSCAN 5 + nearest": partial(hdbscan, smallest=lambda n_rows: 5, assign=True),
    "HDBSCAN n/50 + nearest": partial(hdbscan, smallest=fiftieth, assign=True),
    "DBSCAN at the knee": dbscan,
    "k-means by silhouette": partial(best_silhouette, names=["k-means"]),
    "k-means by Calinski-Harabasz": partial(best_k, name="k-means", score=calinski_harabasz_score, sign=1),
    "k-means by Davies-Bouldin": partial(best_k, name="k-means", score=davies_bouldin_score, sign=-1),
    "GMM by BIC": best_mixture,
    "Ward by silhouette": partial(best_silhouette, names=["Ward"]),
    f"best silhouette of all {'without' if Genie is None else 'with'} Genie": partial(best_silhouette, names=PROPOSING),
}
METHODS = (*TOLD, *UNTOLD)


class Answer(NamedTuple):
    """Labels of a method, for each right answer or the same for all, with what they cost."""

    labels: list[Labels]
    seconds: float
    failure: str


def answers(bench: Workbench, name: str, counts: list[int]) -> Answer:
    """What a method says of a table; told ones are asked once for each k and cost the mean of that."""
    if name in UNTOLD:
        labels, seconds, failure = bench.timed(UNTOLD[name])
        return Answer([labels] * len(counts), seconds, failure)
    found = [bench.timed(lambda bench, k=k: bench.labels(name, min(k, len(bench.X)))) for k in counts]
    return Answer(
        [labels for labels, _, _ in found],
        float(np.mean([seconds for _, seconds, _ in found])),
        next((failure for _, _, failure in found if failure), ""),
    )


def scored(truths: list[Labels], labels: list[Labels]) -> dict[str, Any]:
    """Scores against the right answer that fits best; ``labels`` holds one partition for each of them."""
    pairs = [(truth[truth >= 0], found[truth >= 0]) for truth, found in zip(truths, labels, strict=True)]
    aris = [float(adjusted_rand_score(*pair)) for pair in pairs]
    best = int(np.argmax(aris))
    k = len(np.unique(labels[best][labels[best] >= 0]))
    off = min(abs(k - len(np.unique(truth))) for truth, _ in pairs)
    ami = float(adjusted_mutual_info_score(*pairs[best]))
    return {"ari": aris[best], "ami": ami, "answer": best, "k": k, "k_exact": off == 0, "k_near": off <= 1}

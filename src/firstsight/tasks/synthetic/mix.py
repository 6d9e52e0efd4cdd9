"""Tables with known clusters: shapes, mixtures, bent clusters, class tables, and tables without clusters.

What a judge of clusterings is meta-trained on. Every table is drawn from its seed alone: its kind, its
numbers of rows, columns and clusters, the clusters, and what it is dressed with. All of it is made up
by random parameters; no benchmark is copied.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.checks import check_number, check_range
from firstsight.tasks.synthetic import dressing, gaussians, records, shapes, structureless, warps
from firstsight.tasks.synthetic.primitives import Array, Labels, Rng

KINDS = ("shapes", "gaussians", "warped", "structureless")
_SHARES = ("noisy", "outliers", "idle", "categories", "rounded", "quantised", "repeated", "rotated", "rescaled")


class Truth(NamedTuple):
    """A table and its clusters.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,)
        Clusters from 0 to k - 1; -1 is background noise or an outlier.
    kind : str
        Kind and form, such as ``"shapes/spirals"``.

    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    kind: str


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the tables.

    Parameters
    ----------
    n_rows : (int, int)
        Range of the number of rows, >= 10 times the fewest clusters; log-uniform.
    n_features : (int, int)
        Range of the number of columns, >= 1; two and three are common, one is rare, and shapes have two or more.
    n_clusters : (int, int)
        Range of the number of clusters, from 1 to 50; two to six are common, and a table has 10
        rows a cluster or more.
    shapes, gaussians, warped, structureless : float
        Weights of the kinds, >= 0. Structureless tables have one cluster, the others two or more; a
        kind that ``n_clusters`` excludes is not drawn.
    noisy : float
        Share of the tables with background noise, from 0 to 1: 2 to 20 % of the rows.
    outliers : float
        Share of the tables with a few extreme rows, from 0 to 1.
    idle : float
        Share of the tables with columns that say nothing of the clusters, from 0 to 1; fewer of the shapes.
    categories : float
        Share of the tables of four or more columns with one-hot columns, from 0 to 1.
    rounded : float
        Share of the tables of whole numbers, from 0 to 1.
    quantised : float
        Share of the tables of four or more columns some of which have few levels, from 0 to 1.
    repeated : float
        Share of the tables with equal rows, from 0 to 1.
    rotated : float
        Share of the tables whose columns are all mixed, from 0 to 1.
    rescaled : float
        Share of the tables whose columns have units of their own, from 0 to 1.

    """

    n_rows: tuple[int, int] = (50, 2000)
    n_features: tuple[int, int] = (1, 100)
    n_clusters: tuple[int, int] = (1, 20)
    shapes: float = 0.36
    gaussians: float = 0.26
    warped: float = 0.26
    structureless: float = 0.12
    noisy: float = 0.25
    outliers: float = 0.08
    idle: float = 0.25
    categories: float = 0.12
    rounded: float = 0.1
    quantised: float = 0.08
    repeated: float = 0.06
    rotated: float = 0.1
    rescaled: float = 0.25

    def __post_init__(self) -> None:
        check_range("n_rows", self.n_rows, integer=True, at_least=10)
        check_range("n_features", self.n_features, integer=True, at_least=1)
        check_range("n_clusters", self.n_clusters, integer=True, at_least=1, at_most=50)
        if self.n_rows[0] < 10 * self.n_clusters[0]:
            raise ValueError(
                f"n_rows={self.n_rows} should begin at >= 10 * n_clusters[0]={10 * self.n_clusters[0]}; "
                "ask for more rows or fewer clusters"
            )
        for name in KINDS:
            check_number(name, getattr(self, name), at_least=0)
        for name in _SHARES:
            check_number(name, getattr(self, name), at_least=0, at_most=1)
        if not any(self._weights()):
            raise ValueError(
                f"n_clusters={self.n_clusters} should leave a kind of positive weight; structureless tables "
                "have one cluster, shapes, gaussians and warped have two or more"
            )

    def _weights(self) -> list[float]:
        """Weights of the kinds that the numbers of clusters and columns allow."""
        more = self.n_clusters[1] > 1 and self.n_rows[1] >= 20
        allowed = {"structureless": self.n_clusters[0] == 1, "shapes": more and self.n_features[1] > 1}
        return [float(getattr(self, name)) * allowed.get(name, more) for name in KINDS]


_DEFAULT = Config()


def sample(seed: int, config: Config = _DEFAULT) -> Truth:
    """The table of a seed.

    Parameters
    ----------
    seed : int
        >= 0; the same seed and settings give the same table.
    config : Config
        Ranges and shares.

    Returns
    -------
    truth : Truth
        Rows in random order; every cluster has 5 rows or more.

    """
    check_number("seed", seed, at_least=0, integer=True)
    rng = np.random.default_rng(seed)
    weights = np.array(config._weights())
    kind = str(rng.choice(KINDS, p=weights / weights.sum()))
    low, high = config.n_rows
    if kind != "structureless":
        low = max(low, 20)
    n_rows = int(np.clip(round(np.exp(rng.uniform(np.log(low), np.log(high)))), low, high))
    n_noise, n_out = _foreign(rng, n_rows, config)
    n_clusters = _n_clusters(rng, n_rows, config) if kind != "structureless" else 1
    n_features = _n_features(rng, kind, config)

    X, y, form = _clusters(rng, kind, n_rows - n_noise - n_out, n_clusters, n_features, config)
    if n_noise or n_out:
        # Inside of a single cluster that fills its box, noise would be none.
        margin = 1.0 if kind == "structureless" else 0.15
        rows = [X, dressing.background(rng, X, n_noise, margin), dressing.outliers(rng, X, n_out)]
        X, y = np.concatenate(rows), np.concatenate([y, np.full(n_noise + n_out, -1)])
    if rng.random() < config.rotated:
        X = dressing.turned(rng, X)
    if rng.random() < config.rounded and form not in records.TABLES:
        # Steps must not make clusters where there are none, nor one of several.
        fine = kind == "shapes" or (kind == "structureless" and n_features <= 3)
        X = dressing.rounded(rng, X, 30 if fine else 8 + 3 * n_clusters)
    if rng.random() < config.rescaled:
        X = dressing.rescaled(rng, X)
    order = rng.permutation(n_rows)
    return Truth(np.ascontiguousarray(X[order], np.float64), y[order].astype(np.int64), f"{kind}/{form}")


def _clusters(
    rng: Rng, kind: str, n_rows: int, n_clusters: int, n_features: int, config: Config
) -> tuple[Array, Labels, str]:
    """The rows of the clusters, with all columns."""
    idle = rng.random() < config.idle
    categories = rng.random() < config.categories and n_features >= 4 and kind in ("gaussians", "warped")
    core = n_features
    if idle or categories:
        # Mild amounts are the most common: from none to three times as many as tell something.
        core = int(np.clip(round(n_features / (1 + 3 * rng.random() ** 2)), 2, n_features))
        core = min(core, max(2, n_features - 2)) if categories else core
    if kind == "shapes":
        X, y, form = shapes.sample(rng, n_rows, n_clusters, solid=n_features >= 3 and rng.random() < 0.7)
        # Idle columns hide thin shapes: at most one for each of their own, and most often none.
        wide = X.shape[1] if idle and n_features <= 2 * X.shape[1] and rng.random() < 0.5 else n_features
        X = structureless.lifted(rng, X, wide)
    elif kind == "structureless":
        X, form = structureless.sample(rng, n_rows, core)
        y = np.zeros(n_rows, np.int64)
    else:
        draw = gaussians.sample if kind == "gaussians" else warps.sample
        X, y, form = draw(rng, n_rows, n_clusters, core)
    X = dressing.widen(rng, X, y, n_features, categories=categories, idle=idle or kind == "shapes")
    few = form in records.TABLES
    if rng.random() < config.quantised and n_features >= 4 and not few and kind in ("gaussians", "warped"):
        X = dressing.quantised(rng, X)
    if rng.random() < config.repeated:
        X = dressing.repeated(rng, X, y)
    return X, y, form


def _foreign(rng: Rng, n_rows: int, config: Config) -> tuple[int, int]:
    """How many rows are background noise, and how many are outliers."""
    noisy, far = rng.random(2) < (config.noisy, config.outliers)
    n_noise = round(n_rows * np.exp(rng.uniform(np.log(0.02), np.log(0.2)))) if noisy else 0
    n_out = int(rng.integers(1, 2 + min(5, n_rows // 50))) if far else 0
    return int(n_noise), n_out


def _n_clusters(rng: Rng, n_rows: int, config: Config) -> int:
    """Two to six in three tables of four, then ever fewer."""
    low = max(2, config.n_clusters[0])
    high = max(low, min(config.n_clusters[1], n_rows // 10))
    chances = 1 / (np.arange(low, high + 1) + 0.5) ** 1.8
    return int(rng.choice(np.arange(low, high + 1), p=chances / chances.sum()))


def _n_features(rng: Rng, kind: str, config: Config) -> int:
    """Log-uniform, with two and three columns more often, for shapes most often."""
    low, high = config.n_features
    if low == 1 and kind != "shapes" and (high == 1 or rng.random() < 0.05):
        return 1
    low, high = max(low, 2), max(high, 2)
    if low <= 3 and rng.random() < (0.75 if kind == "shapes" else 0.2):
        return int(rng.integers(low, min(3, high) + 1)) if rng.random() < 0.3 else low
    if kind == "shapes":
        high = max(low, min(high, 20))
    return int(np.clip(np.floor(np.exp(rng.uniform(np.log(low), np.log(high + 1)))), low, high))

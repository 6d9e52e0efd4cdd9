"""Mixtures of clusters of one shape or of mixed ones, with their overlap set.

Rows of cluster j are ``scale * centre_j + A_j e``. The columns of e are independent with variance about
1, of one of several laws; the scale solves

    sum_i w_i sum_{j != i} Phi(-scale * delta_ij / 2) = error,

with delta_ij the distance of two centres in standard deviations along the line that joins them (few
columns: Mahalanobis with the mean covariance). For Gaussians the left side bounds Bayes' error from above.
"""

import numpy as np
from scipy.special import ndtr

from firstsight.tasks.synthetic.primitives import Array, Labels, Rng, counts, rotation, weights_of

_LAWS = ("normal", "student", "lognormal", "exponential", "box", "laplace")
_LAYOUTS = ("random", "random", "groups", "axes", "line", "grid", "sparse", "subspace")
_SHAPES = ("spherical", "sized", "diagonal", "tied", "full")


def sample(rng: Rng, n_rows: int, n_clusters: int, n_features: int) -> tuple[Array, Labels, str]:
    """One mixture.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,)
        In order of the clusters.
    name : str

    """
    if n_features > 4 and rng.random() < 0.3:
        # Few directions carry all but a little noise.
        rank = int(rng.integers(2, max(3, min(n_features - 1, 12))))
        Z, y, name = mixture(rng, n_rows, n_clusters, rank)
        loadings = rng.standard_normal((rank, n_features)) / np.sqrt(rank)
        X = Z @ loadings
        noise = 10 ** rng.uniform(-2, -0.3) * X.std() / np.sqrt(1 + n_features / 20)
        return X + noise * rng.standard_normal(X.shape), y, f"{name}-lowrank"
    return mixture(rng, n_rows, n_clusters, n_features)


def mixture(rng: Rng, n_rows: int, n_clusters: int, n_features: int, most: float = 0.15) -> tuple[Array, Labels, str]:
    """A mixture of full rank whose overlap is at most ``most``; returns like :func:`sample`."""
    law = str(rng.choice([*_LAWS, "mixed"], p=[0.5, 0.1, 0.08, 0.06, 0.08, 0.05, 0.13]))
    layout, shape = str(rng.choice(_LAYOUTS)), str(rng.choice(_SHAPES))
    weights = weights_of(rng, n_clusters)
    each = counts(rng, n_rows, weights)
    roots = _roots(rng, n_clusters, n_features, shape)
    middles = centres(rng, n_clusters, n_features, layout)

    # Half of the tables touch, the others lie apart.
    error = rng.uniform(0.1, 1.15) * most if rng.random() < 0.45 else np.exp(rng.uniform(np.log(1e-4), np.log(most)))
    # In many columns and few rows, no method finds clusters that Bayes' rule would tell apart.
    least = 2.3 * max(1.0, (1.5 * n_clusters**2 * n_features / n_rows) ** 0.25)
    X = np.empty((n_rows, n_features))
    y = np.repeat(np.arange(n_clusters), each).astype(np.int64)
    scale = separation(middles, roots, each / n_rows, float(error), least)
    for j in range(n_clusters):
        own = str(rng.choice(_LAWS)) if law == "mixed" else law
        noise = _noise(rng, own, int(each[j]), n_features) @ roots[j].T
        X[y == j] = scale * middles[j] + noise
    return X, y, f"{law}-{shape}-{layout}"


def centres(rng: Rng, n_clusters: int, n_features: int, layout: str) -> Array:
    """Centres of shape (n_clusters, n_features), no two equal, not yet scaled."""
    k, d = n_clusters, n_features
    if layout == "groups" and k > 3:
        groups = rng.standard_normal((max(2, k // 3), d)) * rng.uniform(1.5, 4)
        return np.asarray(groups[np.arange(k) % len(groups)] + rng.standard_normal((k, d)))
    if layout == "axes" and k <= d:
        return np.asarray(np.eye(k, d) * np.exp(rng.normal(0, 0.2, (k, 1))))
    if layout == "line" and k <= 8:
        direction = rng.standard_normal(d)
        places = np.cumsum(rng.uniform(0.8, 1.6, k))
        return np.asarray(places[:, None] * direction + 0.1 * np.linalg.norm(direction) * _unit(rng, k, d))
    if layout == "grid":
        side = int(np.ceil(k ** (1 / min(d, 3))))
        cells = np.stack(np.meshgrid(*[np.arange(side)] * min(d, 3), indexing="ij"), -1).reshape(-1, min(d, 3))
        chosen = cells[rng.permutation(len(cells))[:k]] + rng.normal(0, 0.1, (k, min(d, 3)))
        return np.asarray(np.pad(chosen, ((0, 0), (0, d - chosen.shape[1]))) @ rotation(rng, d))
    if layout == "sparse" and d > 2:
        # Each cluster differs from the others in a few columns of its own choice.
        own = rng.random((k, d)) < max(1.5 / d, rng.uniform(0.1, 0.4))
        own[np.arange(k), rng.integers(d, size=k)] = True
        return np.asarray(own * (np.sign(rng.standard_normal((k, d))) * rng.uniform(0.7, 1.3, (k, d))))
    if layout == "subspace" and d > 3:
        rank = int(rng.integers(2, max(3, d // 2)))
        turn = rotation(rng, d)[:rank]
        return np.asarray(rng.standard_normal((k, rank)) @ turn)
    # The best of a few draws by the smallest distance, so that a scale that parts all pairs is not far out.
    draws = [rng.standard_normal((k, d)) for _ in range(int(rng.integers(1, 6)))]
    return max(draws, key=_closest)


def separation(middles: Array, roots: Array, weights: Array, error: float, least: float) -> float:
    """The scale of the centres that gives this overlap.

    Parameters
    ----------
    middles : ndarray of shape (n_clusters, n_features)
        The centres, no two equal.
    roots : ndarray of shape (n_clusters, n_features, n_features)
        A_j with covariance A_j A_j^T.
    weights : ndarray of shape (n_clusters,)
        The clusters' shares, which sum to 1.
    error : float
        The bound on Bayes' error.
    least : float
        No two clusters get closer than this many standard deviations.

    """
    n_clusters, n_features = middles.shape
    if n_clusters == 1:
        return 1.0
    first, second = np.triu_indices(n_clusters, 1)
    gaps = middles[first] - middles[second]
    if n_features <= 12:
        covariances = roots @ roots.transpose(0, 2, 1)
        mean = (covariances[first] + covariances[second]) / 2
        squares = np.einsum("pi,pi->p", gaps, np.linalg.solve(mean, gaps[..., None])[..., 0])
    else:
        lengths = np.linalg.norm(gaps, axis=1)
        units = gaps / lengths[:, None]
        spread = [np.linalg.norm(np.einsum("pi,pij->pj", units, roots[side]), axis=1) for side in (first, second)]
        squares = (lengths * 2 / (spread[0] + spread[1])) ** 2
    deltas = np.sqrt(squares) + 1e-9
    pairs = weights[first] + weights[second]
    low, high = 0.0, 20 / deltas.min()
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if (pairs * ndtr(-middle * deltas / 2)).sum() > error else (low, middle)
    return float(max(high, least / deltas.min()))


def _roots(rng: Rng, k: int, d: int, shape: str) -> Array:
    """Square roots of the clusters' covariances, of shape (k, d, d)."""
    sizes = np.exp(rng.normal(0, 0.5, k)) if shape == "sized" or rng.random() < 0.4 else np.ones(k)
    if shape in ("spherical", "sized"):
        return np.asarray(np.eye(d) * sizes[:, None, None])
    stretch = np.exp(rng.uniform(0.3, 1.0) * np.clip(rng.standard_normal((k, d)), -2, 2))
    if shape == "diagonal":
        return np.asarray(np.eye(d) * stretch[:, None, :] * sizes[:, None, None])
    if shape == "tied":
        return np.asarray((rotation(rng, d) * stretch[0]) * sizes[:, None, None])
    return np.stack([rotation(rng, d) * stretch[j] * sizes[j] for j in range(k)])


def _noise(rng: Rng, law: str, m: int, d: int) -> Array:
    """Rows of shape (m, d) of one law, of mean about 0 and variance about 1 a column."""
    if law == "student":
        df = rng.uniform(2.5, 8)
        return np.asarray(rng.standard_normal((m, d)) / np.sqrt(rng.chisquare(df, (m, 1)) / df) * np.sqrt(1 - 2 / df))
    if law == "lognormal":
        s = rng.uniform(0.3, 0.8)
        skew = (np.exp(s * rng.standard_normal((m, d))) - np.exp(s * s / 2)) / np.exp(s * s / 2)
        return np.asarray(skew / np.sqrt(np.exp(s * s) - 1) * np.sign(rng.standard_normal(d)))
    if law == "exponential":
        return np.asarray((rng.exponential(1, (m, d)) - 1) * np.sign(rng.standard_normal(d)))
    if law == "box":
        return np.asarray(rng.uniform(-(3**0.5), 3**0.5, (m, d)))
    if law == "laplace":
        return np.asarray(rng.laplace(0, 0.5**0.5, (m, d)))
    return np.asarray(rng.standard_normal((m, d)))


def _unit(rng: Rng, k: int, d: int) -> Array:
    rows = rng.standard_normal((k, d))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _closest(rows: Array) -> float:
    if len(rows) < 2:
        return 0.0
    squares = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    return float(squares[np.triu_indices(len(rows), 1)].min())

"""What real tables add to clusters: idle columns, copies, categories, rounding, units, noise rows, outliers."""

import numpy as np

from firstsight.tasks.synthetic.primitives import Array, Labels, Rng, disagreement, rotation


def widen(rng: Rng, X: Array, y: Labels, n_features: int, *, categories: bool, idle: bool) -> Array:
    """Columns up to ``n_features``: categories, then idle columns or copies of what is there.

    Where idle columns hide the clusters from their neighbours, copies are taken instead.

    Parameters
    ----------
    rng : Generator
        Advanced.
    X : ndarray of shape (n_rows, n_columns)
        With ``n_columns`` <= ``n_features``.
    y : ndarray of shape (n_rows,)
        Clusters, without noise.
    n_features : int
        How many there should be.
    categories : bool
        Whether some may be one-hot columns.
    idle : bool
        Whether some may be independent of the cluster; otherwise all are copies.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)

    """
    extra = n_features - X.shape[1]
    if extra == 0:
        return X
    size = float(np.median(X.std(0))) + 1e-12
    added: list[Array] = []
    while categories and extra >= 2 and (not added or rng.random() < 0.4):
        added.append(one_hot(rng, y, int(rng.integers(2, min(extra, 6) + 1)), size))
        extra -= added[-1].shape[1]
    n_idle = int(rng.integers(0, extra + 1)) if idle and rng.random() < 0.3 else extra * idle
    quiet = rng.uniform(0.3, 1) * size
    # Few levels beside few columns would be clusters of their own.
    fewest = 3 if y.max() > 0 and X.shape[1] > 3 else 10
    noise = np.stack([quiet * idle_column(rng, len(X), fewest) for _ in range(n_idle)], 1) if n_idle else X[:, :0]
    wide = np.concatenate([X, noise, copies(rng, X, extra - n_idle), *added], 1)
    if y.max() > 0 and disagreement(wide, y) > disagreement(X, y) + 0.12:
        return np.concatenate([X, copies(rng, X, n_features - X.shape[1])], 1)
    return wide


def idle_column(rng: Rng, n_rows: int, fewest: int) -> Array:
    """A column of shape (n_rows,) that tells nothing, of variance about 1; of ``fewest`` levels or more."""
    kind = int(rng.integers(5))
    if kind == 0:
        return np.asarray(rng.uniform(-1.7, 1.7, n_rows))
    if kind == 1:
        return np.asarray(rng.standard_t(rng.uniform(3, 8), n_rows) / 1.4)
    if kind == 2:
        return np.asarray((rng.exponential(1, n_rows) - 1) * rng.choice([-1, 1]))
    if kind == 3:
        levels = rng.integers(0, rng.integers(fewest, 2 * fewest + 5), n_rows).astype(float)
        return np.asarray((levels - levels.mean()) / (levels.std() + 1e-9))
    return np.asarray(rng.standard_normal(n_rows))


def copies(rng: Rng, X: Array, n_columns: int) -> Array:
    """Columns of shape (n_rows, n_columns) that repeat one or two of X, with a little noise."""
    n_rows, d = X.shape
    out = np.empty((n_rows, n_columns))
    spread = X.std(0) + 1e-12
    for j in range(n_columns):
        first, second = rng.integers(d, size=2)
        mix = rng.uniform(0, 0.7) if rng.random() < 0.5 else 0.0
        both = (1 - mix) * X[:, first] + mix * rng.choice([-1, 1]) * X[:, second]
        out[:, j] = both + rng.uniform(0.01, 0.25) * spread[first] * rng.standard_normal(n_rows)
    return out


def one_hot(rng: Rng, y: Labels, n_levels: int, size: float) -> Array:
    """A categorical column as ``n_levels`` columns, more or less dependent on the cluster.

    Returns
    -------
    columns : ndarray of shape (n_rows, n_levels)
        0 or a constant of about ``size``.

    """
    k = int(y.max()) + 1
    faith = rng.uniform(0.5, 1) if rng.random() < 0.7 else 0.0
    usual = rng.integers(n_levels, size=k)
    drawn = rng.choice(n_levels, len(y), p=rng.dirichlet(np.full(n_levels, 2.0)))
    level = np.where(rng.random(len(y)) < faith, usual[y], drawn)
    return np.asarray(np.eye(n_levels)[level] * size * rng.uniform(0.7, 2))


def repeated(rng: Rng, X: Array, y: Labels) -> Array:
    """Some rows replaced by a copy of another row of the same cluster."""
    out = X.copy()
    share = rng.uniform(0.02, 0.3)
    for j in range(int(y.max()) + 1):
        own = np.flatnonzero(y == j)
        away = own[rng.random(len(own)) < share]
        if len(away) < len(own):
            out[away] = X[rng.choice(np.setdiff1d(own, away), len(away))]
    return out


def rounded(rng: Rng, X: Array, least: int) -> Array:
    """All columns in whole steps, of which a column has at least about ``least`` from its low to its high."""
    low, high = np.quantile(X, [0.02, 0.98], axis=0)
    span = high - low
    steps = np.exp(rng.uniform(np.log(least), np.log(8 * least)))
    # One step for all, or one for each column.
    step = (span if rng.random() < 0.5 else np.full_like(span, np.median(span))) / steps
    return np.asarray(np.round(X / np.where(step > 0, step, 1.0)))


def quantised(rng: Rng, X: Array) -> Array:
    """One or two columns cut into a few ordered levels."""
    out = X.copy()
    for j in rng.permutation(X.shape[1])[: rng.integers(1, 3)]:
        cuts = np.quantile(X[:, j], np.sort(rng.uniform(0, 1, int(rng.integers(2, 8)))))
        levels = np.searchsorted(cuts, X[:, j]).astype(float)
        out[:, j] = levels * X[:, j].std() / (levels.std() + 1e-9)
    return out


def turned(rng: Rng, X: Array) -> Array:
    """All columns mixed by a turn."""
    return np.asarray(X @ rotation(rng, X.shape[1]))


def rescaled(rng: Rng, X: Array) -> Array:
    """Columns in units of their own, up to a thousand apart from the first, and shifted."""
    d = X.shape[1]
    shift = rng.normal(0, 3, d) * X.std(0)
    return np.asarray((X + shift) * 10 ** rng.uniform(-3, 3, d))


def background(rng: Rng, X: Array, n_rows: int, margin: float) -> Array:
    """Rows of noise, of shape (n_rows, n_features): uniform in a box wider by ``margin`` at most, or a halo."""
    low, high = X.min(0), X.max(0)
    if X.shape[1] > 3 or rng.random() < 0.3:
        # In many columns a box is nearly all corners, far from every cluster: mix it with a halo.
        centre, spread = X.mean(0), X.std(0)
        box = rng.uniform(low, high, (n_rows, X.shape[1]))
        halo = centre + rng.uniform(1, 2) * spread * rng.standard_normal((n_rows, X.shape[1]))
        halo = np.clip(halo, low - spread, high + spread)
        return np.where(rng.random((n_rows, 1)) < rng.choice([0.0, 0.5, 1.0]), box, halo)
    wide = rng.uniform(margin / 4, margin) * (high - low)
    return np.asarray(rng.uniform(low - wide, high + wide, (n_rows, X.shape[1])))


def outliers(rng: Rng, X: Array, n_rows: int) -> Array:
    """Rows far outside, of shape (n_rows, n_features), each in some columns."""
    far = rng.uniform(4, 15, (n_rows, X.shape[1])) * rng.choice([-1, 1], (n_rows, X.shape[1]))
    some = rng.random(far.shape) < rng.uniform(0.3, 1)
    some[np.arange(n_rows), rng.integers(X.shape[1], size=n_rows)] = True
    rows = X[rng.integers(len(X), size=n_rows)]
    return np.where(some, X.mean(0) + far * X.std(0), rows)

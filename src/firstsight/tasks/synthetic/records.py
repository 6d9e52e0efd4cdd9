"""Tables of counts, of answers and of signals, with classes or without: what real tables of many columns often are.

counts   n_ij ~ Poisson(rate_i * profile_{y_i, j}), as words in texts, raw, damped or as shares of a row.
answers  a latent normal, its mean set by class and column, cut into two to six levels, as votes and questionnaires.
signals  a smooth curve of the class, stretched and shifted by row, plus smooth and white noise, as spectra and days.

A table of one class has the same laws with one profile, so that neither counts nor levels say that there are classes.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter1d

from firstsight.tasks.synthetic.primitives import Array, Labels, Rng, rotation

Records = Callable[[Rng, Labels, int], Array]


def count_table(rng: Rng, y: Labels, n_features: int) -> Array:
    """Counts of shape (n_rows, n_features)."""
    k = int(y.max()) + 1
    profile = rng.normal(0, rng.uniform(0.3, 1.2), n_features) + _effects(rng, k, n_features, rng.uniform(0.8, 2.0))
    length = np.exp(rng.normal(0, rng.uniform(0, 0.4), (len(y), 1)))
    rate = np.exp(np.clip(profile, -4, 4)) * rng.uniform(1, 15)
    # Rows scatter about the profile of their class more than Poisson's law lets them.
    scatter = rng.gamma(1 / (spread := rng.uniform(0.02, 0.3)), spread, (len(y), n_features))
    X = rng.poisson(rate[y] * length * scatter).astype(float)
    form = int(rng.integers(4))
    if form == 1:
        return np.asarray(np.log1p(X))
    if form == 2:
        return np.asarray(np.sqrt(X))
    if form == 3:
        return np.asarray((X + 0.1) / (X + 0.1).sum(1, keepdims=True))
    return X


def answer_table(rng: Rng, y: Labels, n_features: int) -> Array:
    """Ordered levels from 0, of shape (n_rows, n_features)."""
    k = int(y.max()) + 1
    latent = _effects(rng, k, n_features, rng.uniform(1.2, 2.5))[y]
    rank = int(rng.integers(1, 4))
    common = rng.standard_normal((len(y), rank)) @ rng.standard_normal((rank, n_features)) / np.sqrt(rank)
    latent = latent + rng.uniform(0, 0.6) * common + rng.standard_normal(latent.shape)
    levels = int(rng.integers(2, 7))
    cuts = np.sort(rng.normal(0, 1, (n_features, levels - 1)), axis=1)
    return np.asarray((latent[..., None] > latent.mean(0)[:, None] + cuts).sum(-1).astype(float))


def signal_table(rng: Rng, y: Labels, n_features: int) -> Array:
    """Smooth curves of shape (n_rows, n_features), one column a point in time."""
    k, n_rows = int(y.max()) + 1, len(y)
    smooth = n_features * rng.uniform(0.04, 0.2)
    shared = _smooth(rng, 1, n_features, smooth) * rng.uniform(0, 2)
    curves = shared + _smooth(rng, k, n_features, smooth)
    if k > 1 and rng.random() < 0.3:
        # Steps and trends, as on control charts.
        t = np.linspace(-1, 1, n_features)
        curves[rng.integers(k)] += rng.uniform(1, 2) * (t if rng.random() < 0.5 else np.sign(t))
    # Shifts are no whole numbers of columns, or rows of one class would fall into groups.
    shifts = rng.normal(0, rng.uniform(0, 0.03) * n_features, (n_rows, 1))
    places = np.clip(np.arange(n_features) + shifts, 0, n_features - 1)
    before = np.minimum(places.astype(np.int64), n_features - 2)
    after = places - before
    moved = (1 - after) * curves[y[:, None], before] + after * curves[y[:, None], before + 1]
    X = moved * np.exp(rng.normal(0, rng.uniform(0.02, 0.25), (n_rows, 1)))
    X = X + rng.uniform(0.1, 0.7) * _smooth(rng, n_rows, n_features, smooth)
    X = X + rng.uniform(0.02, 0.5) * rng.standard_normal(X.shape)
    return np.asarray(X + rng.uniform(0, 0.5) * rng.standard_normal((n_rows, 1)))


TABLES: dict[str, Records] = {"counts": count_table, "answers": answer_table, "signals": signal_table}


def _effects(rng: Rng, k: int, d: int, strength: float) -> Array:
    """What the classes add to the columns, of shape (k, d): each to some columns only; nothing where there is one."""
    if k == 1:
        return np.zeros((1, d))
    some = rng.random((k, d)) < rng.uniform(0.15, 0.7)
    some[np.arange(k), rng.integers(d, size=k)] = True
    # At times the classes differ along few directions.
    own = rng.standard_normal((k, d))
    if d > 8 and rng.random() < 0.3:
        own = own @ (turn := rotation(rng, d)[: int(rng.integers(2, 6))]).T @ turn * 1.5
    return np.asarray(strength * own * some)


def _smooth(rng: Rng, n: int, d: int, width: float) -> Array:
    rows = gaussian_filter1d(
        rng.standard_normal((n, d)), width, axis=1, mode="wrap" if rng.random() < 0.5 else "nearest"
    )
    return np.asarray(rows / (rows.std() + 1e-12))

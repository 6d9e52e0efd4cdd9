"""Where normal rows come from: what a base gives, and the bases whose rows lie in clusters or follow time.

A base draws all rows of a table as normal ones; anomalies are made of some of them. Both live in inner
columns Z, in which every law is smooth; ``finish`` turns inner columns into those of the table (as they are,
or into counts, levels and categories), so that an anomaly is never told by a value of the wrong type.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from firstsight.tasks import synthetic
from firstsight.tasks.synthetic import gaussians
from firstsight.tasks.synthetic.primitives import Array, Labels, Rng

Finish = Callable[[Array], Array]

# Fewer rows would not hold the clusters of the other generator.
_FEWEST = 30


class World(NamedTuple):
    """Normal rows, and what is known of how they came about.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_columns)
        Inner columns.
    groups : ndarray of shape (n_rows,)
        The cluster of each row; all 0 where there are none.
    finish : callable
        ``ndarray (m, n_columns) -> ndarray (m, n_finished)``, row by row.
    broken : callable or None
        ``(rng, m, strength) -> ndarray (m, n_columns)``: rows from the same causes with some arrows cut or
        reversed; ``strength`` about 0 to 4.
    causes : ndarray of shape (n_rows, n_causes)
        What a class may depend on: hidden causes where there are some, otherwise Z.
    held_out : ndarray of shape (n_held_out, n_columns)
        Rows of the classes that were taken out; none before the cut.

    """

    Z: Array
    groups: Labels
    finish: Finish
    broken: Callable[[Rng, int, float], Array] | None
    causes: Array
    held_out: Array


def plain(Z: Array, groups: Labels | None = None) -> World:
    """A world whose inner columns are those of the table."""
    own = np.zeros(len(Z), np.int64) if groups is None else groups
    return World(Z, own, unchanged, None, Z, Z[:0])


def unchanged(Z: Array) -> Array:
    """Inner columns as they are."""
    return Z


def mixtures(rng: Rng, n_rows: int, n_features: int) -> World:
    """One to ten components of any covariance, law and weight, apart or overlapping; of shape (n_rows, n_features)."""
    n = max(n_rows, _FEWEST)
    most = max(1, min(10, n // 15))
    chances = 1 / np.arange(1, most + 1)
    k = int(rng.choice(np.arange(1, most + 1), p=chances / chances.sum()))
    if rng.random() < 0.5:
        X, y, _ = gaussians.sample(rng, n, k, n_features)
    else:
        # Components that overlap: no clusters, but no Gaussian either.
        X, y, _ = gaussians.mixture(rng, n, k, n_features, most=0.6)
    return _some(rng, X, y, n_rows)


def clusters(rng: Rng, n_rows: int, n_features: int) -> World:
    """Shapes, bent clusters, class tables and laws without clusters, without noise; of shape (n_rows, n_features)."""
    n = max(n_rows, _FEWEST)
    none = dict.fromkeys(("noisy", "outliers", "rounded", "quantised", "repeated", "rotated", "rescaled"), 0.0)
    config = synthetic.Config(
        n_rows=(n, n),
        n_features=(n_features, n_features),
        n_clusters=(1, max(1, min(8, n // 15))),
        shapes=0.25 if n_features <= 20 else 0.0,
        gaussians=0.0,
        warped=0.4,
        structureless=0.35,
        idle=0.1,
        categories=0.1,
        **none,
    )
    X, y, _ = synthetic.sample(int(rng.integers(2**32)), config)
    return _some(rng, X, np.maximum(y, 0), n_rows)


def series(rng: Rng, n_rows: int, n_features: int) -> World:
    """Channels that follow few signals in time, or windows of one signal; of shape (n_rows, n_features)."""
    d = n_features
    windows = d >= 3 and rng.random() < 0.5
    n_signals = 1 if windows else int(rng.integers(1, max(2, min(d, 6)) + 1))
    length = n_rows + d
    t = np.arange(length)[:, None]
    memory = 1 - 10 ** rng.uniform(-2.5, -0.2, n_signals)
    # Autoregressive signals of order one.
    S = np.stack([lfilter([1.0], [1.0, -m], rng.standard_normal(length)) for m in memory], 1)
    S = S / S.std(0)
    period = np.exp(rng.uniform(np.log(6), np.log(max(12, length / 3)), n_signals))
    S = S + rng.uniform(0, 2, n_signals) * np.sin(2 * np.pi * t / period + rng.uniform(0, 7, n_signals))
    if rng.random() < 0.3:
        # The level changes now and then.
        steps = (rng.random((length, n_signals)) < 4 / length) * rng.normal(0, 2, (length, n_signals))
        S = S + np.cumsum(steps, 0)
    if windows:
        Z = np.lib.stride_tricks.sliding_window_view(S[:, 0], d)[:n_rows].copy()
    else:
        loads = rng.standard_normal((n_signals, d)) / np.sqrt(n_signals)
        lags = rng.integers(0, d + 1, d) if rng.random() < 0.3 else np.zeros(d, np.int64)
        Z = np.stack([S[lag : lag + n_rows] @ loads[:, j] for j, lag in enumerate(lags)], 1)
        if rng.random() < 0.3:
            Z[:, rng.random(d) < 0.5] **= 2
    noise = 10 ** rng.uniform(-1.7, 0, d) * (Z.std(0) + 1e-9)
    return plain(Z + noise * rng.standard_normal(Z.shape))


def _some(rng: Rng, X: Array, y: Labels, n_rows: int) -> World:
    """A world of ``n_rows`` of these rows, in random order."""
    keep = rng.permutation(len(X))[:n_rows]
    return plain(X[keep], y[keep])

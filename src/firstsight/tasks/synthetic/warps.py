"""Clusters bent by random invertible nets, and tables like those of real classes.

A layer of a net is x + g(x) with g a small tanh net of Lipschitz constant below 1 (residual, so
invertible), or an affine coupling of one half of the columns by the other.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.special import ndtri

from firstsight.tasks.synthetic import gaussians, records
from firstsight.tasks.synthetic.primitives import Array, Labels, Rng, counts, disagreement, rotation, weights_of


def sample(rng: Rng, n_rows: int, n_clusters: int, n_features: int) -> tuple[Array, Labels, str]:
    """One table.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,)
        In order of the clusters.
    name : str

    """
    kind = str(rng.choice(["net", "each", "columns", "factors", "records"], p=[0.22, 0.17, 0.11, 0.26, 0.24]))
    if kind == "records":
        kind = str(rng.choice(list(records.TABLES))) if n_features >= 6 else "factors"
    # A warp may bring clusters together, and few columns may not hold all factors: a little is allowed.
    most = rng.uniform(0.02, 0.15) if kind in ("net", "each", "columns") else rng.uniform(0.02, 0.35)
    best, least = None, np.inf
    for _ in range(6):
        if kind == "factors":
            X, y = factors(rng, n_rows, n_clusters, n_features)
        elif kind in records.TABLES:
            each = counts(rng, n_rows, weights_of(rng, n_clusters))
            y = np.repeat(np.arange(n_clusters), each).astype(np.int64)
            X = records.TABLES[kind](rng, y, n_features)
        else:
            X, y, _ = gaussians.mixture(rng, n_rows, n_clusters, n_features, most=0.04)
            bends: dict[str, Callable[[Rng, Array], Array]] = {"net": warped, "columns": bent_columns}
            X = bends.get(kind, partial(each_warped, y=y))(rng, X)
        error = disagreement((X - X.mean(0)) / (X.std(0) + 1e-9), y, most=300)
        if best is None or error < least:
            best, least = (X, y), error
        if least <= most:
            break
    assert best is not None
    return (*best, kind)


def warped(rng: Rng, X: Array) -> Array:
    """Rows of shape (n_rows, n_features) through a random invertible net."""
    coupled = rng.random() < 0.6
    strength = rng.uniform(0.4, 0.95)
    for _ in range(int(rng.integers(3, 9))):
        X = (X - X.mean(0)) / (X.std(0) + 1e-9)
        X = _coupling(rng, X, strength) if coupled else _residual(rng, X, strength)
    return np.asarray(X)


def each_warped(rng: Rng, X: Array, y: Labels) -> Array:
    """Each cluster bent by a net of its own, about its own centre, and then all of them apart from each other."""
    out = np.empty_like(X)
    for j in range(int(y.max()) + 1):
        own = X[y == j]
        centre, spread = own.mean(0), own.std() + 1e-9
        bent = (own - centre) / spread
        if rng.random() < 0.7:
            # A long cluster shows its bend.
            bent[:, 0] *= rng.uniform(1, 3)
            bent = bent @ rotation(rng, bent.shape[1])
        for _ in range(int(rng.integers(1, 4))):
            bent = _bow(rng, bent) if rng.random() < 0.5 else _coupling(rng, bent, 0.9)
        bent = (bent - bent.mean(0)) / (bent.std() + 1e-9)
        out[y == j] = centre + spread * bent
    return out


def bent_columns(rng: Rng, X: Array) -> Array:
    """Each column through a monotone function of its own."""
    Z = (X - X.mean(0)) / (X.std(0) + 1e-9)
    out = np.empty_like(Z)
    one = rng.integers(6) if rng.random() < 0.4 else None
    for j in range(Z.shape[1]):
        z, kind = Z[:, j], int(rng.integers(6)) if one is None else int(one)
        if kind == 0:
            out[:, j] = np.sign(z) * np.abs(z) ** rng.uniform(0.5, 2)
        elif kind == 1:
            out[:, j] = np.exp(rng.uniform(0.3, 1.0) * np.clip(z, -5, 5)) * rng.choice([-1, 1])
        elif kind == 2:
            a = rng.uniform(0.3, 1.2)
            out[:, j] = np.sinh(a * np.clip(z, -5, 5)) / a
        elif kind == 3:
            # Ranks alone would close all gaps.
            ranks = (z.argsort().argsort() + 0.5) / len(z)
            share = rng.uniform(0.2, 0.8)
            out[:, j] = (1 - share) * z + share * (3 * ranks if rng.random() < 0.5 else ndtri(ranks))
        elif kind == 4:
            out[:, j] = np.log(z - z.min() + rng.uniform(0.2, 2))
        else:
            out[:, j] = z
    return np.asarray(out)


def factors(rng: Rng, n_rows: int, n_clusters: int, n_features: int) -> tuple[Array, Labels]:
    """Columns that are loaded with factors, each of which tells only some of the classes apart.

    A factor gives every class one of two to four levels. A row's factors scatter about its class's
    levels, a column is a sum of one to three factors (and at times of one size common to all, as of
    bodies) plus noise of its own, and may be made positive and skewed.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,)

    """
    k, d = n_clusters, n_features
    n_factors = int(rng.integers(min(2, d), max(3, min(d, 8) + 1)))
    levels = np.stack([rng.integers(0, rng.integers(2, 5), k) for _ in range(n_factors)], 1).astype(float)
    # Levels lie unevenly, so that no two classes with different factors are alike by chance.
    levels += rng.normal(0, 0.25, levels.shape)
    y = np.repeat(np.arange(k), counts(rng, n_rows, weights_of(rng, k))).astype(np.int64)
    spread = np.exp(rng.normal(0, 0.3, (k, n_factors)))
    turns = rotation(rng, n_factors) if n_factors > 1 else np.eye(1)
    scatter = rng.standard_normal((n_rows, n_factors)) * spread[y]
    if rng.random() < 0.5:
        scatter = scatter @ turns
    roots = np.stack([np.diag(row) for row in spread])
    error = float(np.exp(rng.uniform(np.log(2e-3), np.log(0.12))))
    scale = gaussians.separation(levels, roots, np.bincount(y) / n_rows, error, 2.0)
    F = scale * levels[y] + scatter
    F = F / F.std(0)

    loads = np.zeros((n_factors, d))
    for j in range(d):
        # Every factor has a column of its own, or its classes could not be told apart.
        used = (j + rng.permutation(min(3, n_factors))[: rng.integers(1, min(3, n_factors) + 1)]) % n_factors
        used[0] = j % n_factors
        loads[used, j] = rng.choice([-1, 1], len(used)) * rng.uniform(0.4, 1, len(used))
    X = F @ loads
    X = X + rng.uniform(0.05, 0.5) * X.std(0) * rng.standard_normal(X.shape) * np.exp(rng.normal(0, 0.4, d))
    if rng.random() < 0.3:
        X = X + rng.uniform(0.2, 0.8) * X.std(0) * rng.standard_normal((n_rows, 1))
    if rng.random() < 0.4:
        X = np.exp(rng.uniform(0.1, 0.4) * (X - X.mean(0)) / X.std(0))
    return np.asarray(X), y


def _residual(rng: Rng, X: Array, strength: float) -> Array:
    d = X.shape[1]
    width = int(rng.integers(4, 24))
    first, second = rng.standard_normal((d, width)), rng.standard_normal((width, d))
    norm = np.linalg.norm(first, 2) * np.linalg.norm(second, 2)
    # tanh(f z) / f keeps the slope and bends earlier the larger f is.
    sharp = rng.uniform(1, 3)
    inner = first / np.sqrt(d) * sharp
    bound = norm / np.sqrt(d) * sharp
    return np.asarray(X + np.tanh(X @ inner + rng.standard_normal(width)) @ second * (strength / bound))


def _coupling(rng: Rng, X: Array, strength: float) -> Array:
    d = X.shape[1]
    order = rng.permutation(d)
    given, changed = order[: max(1, d // 2)], order[max(1, d // 2) :]
    if len(changed) == 0:
        return X
    pre = X[:, given] @ rng.standard_normal((len(given), 8)) / np.sqrt(len(given))
    # Waves bend a cluster more than once, steps once.
    H = np.sin(rng.uniform(0.7, 2) * pre + rng.uniform(0, 7, 8)) if rng.random() < 0.5 else np.tanh(pre)
    out = X.copy()
    shift = H @ rng.standard_normal((8, len(changed))) / np.sqrt(8)
    factor = np.exp(0.7 * strength * np.tanh(H @ rng.standard_normal((8, len(changed))) / np.sqrt(8)))
    out[:, changed] = X[:, changed] * factor + 1.5 * strength * shift
    return out


def _bow(rng: Rng, X: Array) -> Array:
    """One direction added to another after squaring it: a banana."""
    d = X.shape[1]
    if d < 2:
        return X
    turn = rotation(rng, d)
    Z = X @ turn
    # Beyond three deviations it goes on straight.
    z = np.abs(Z[:, 0])
    Z[:, 1] += rng.uniform(-0.6, 0.6) * np.where(z < 3, z**2, 6 * z - 9)
    return np.asarray(Z @ turn.T)

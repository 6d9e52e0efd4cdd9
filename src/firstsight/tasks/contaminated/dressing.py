"""What real tables add: bent columns, idle ones, copies, rounding, repeated rows, units, and normal rows with flaws."""

import numpy as np

from firstsight.tasks.synthetic.dressing import copies, idle_column
from firstsight.tasks.synthetic.primitives import Array, Labels, Rng


def bent(rng: Rng, X: Array) -> Array:
    """Some columns through a steep monotone function, as amounts are; of the shape of X."""
    out = X.copy()
    share = rng.uniform(0.1, 1)
    for j in np.flatnonzero(rng.random(X.shape[1]) < share):
        spread = X[:, j].std()
        if spread == 0 or len(np.unique(X[:50, j])) <= 3:
            continue
        z = (X[:, j] - X[:, j].mean()) / spread
        if rng.random() < 0.5:
            out[:, j] = np.exp(rng.uniform(0.3, 1.5) * np.clip(z, -6, 6)) * rng.choice([-1, 1], p=[0.2, 0.8])
        else:
            out[:, j] = np.sign(z) * np.abs(z) ** rng.uniform(0.5, 3)
    return out


def widened(rng: Rng, X: Array, n_features: int, *, idle: bool) -> Array:
    """Columns up to ``n_features`` in random order: idle ones or, without ``idle``, copies of those there are."""
    extra = n_features - X.shape[1]
    if extra <= 0:
        return X
    n_idle = int(rng.integers(0, extra + 1)) if idle and rng.random() < 0.4 else extra * idle
    size = float(np.median(X.std(0))) + 1e-12
    added = [size * rng.uniform(0.5, 1.5) * idle_column(rng, len(X), 2)[:, None] for _ in range(n_idle)]
    wide = np.concatenate([X, *added, copies(rng, X, extra - n_idle)], 1)
    return np.asarray(wide[:, rng.permutation(n_features)])


def flawed(rng: Rng, Z: Array, y: Labels) -> Array:
    """Some normal rows with a value or two far out, which nobody called anomalies; inner columns, as those of Z."""
    out = Z.copy()
    normal = np.flatnonzero(y == 0)
    some = rng.permutation(normal)[: max(1, round(len(normal) * np.exp(rng.uniform(np.log(0.003), np.log(0.05)))))]
    spread = Z[normal].std(0)
    for _ in range(int(rng.integers(1, 3))):
        columns = rng.integers(Z.shape[1], size=len(some))
        out[some, columns] += rng.uniform(3, 8, len(some)) * rng.choice([-1, 1], len(some)) * spread[columns]
    return out


def repeated(rng: Rng, X: Array, y: Labels) -> Array:
    """Some rows replaced by another row with the same label."""
    out = X.copy()
    share = rng.uniform(0.02, 0.4)
    for label in (0, 1):
        own = np.flatnonzero(y == label)
        if len(own) > 1 and (label == 0 or rng.random() < 0.5):
            away = own[rng.random(len(own)) < share]
            out[away] = X[rng.choice(own, len(away))]
    return out


def constant(rng: Rng, X: Array) -> Array:
    """One column, of two or more, of one value only."""
    out = X.copy()
    if X.shape[1] > 1:
        out[:, rng.integers(X.shape[1])] = rng.choice([0.0, 1.0, float(X[0, 0])])
    return out

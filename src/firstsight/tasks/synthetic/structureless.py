"""Tables of one cluster, in many forms that an algorithm is tempted to cut."""

import numpy as np
from scipy.special import ndtr, ndtri

from firstsight.tasks.synthetic import records, warps
from firstsight.tasks.synthetic.primitives import Array, Rng, arc, curve, rotation, walk

_FORMS = {
    "gaussian": 2.0, "student": 1.2, "skewed": 1.2, "box": 1.2, "ball": 1.0, "simplex": 0.6, "curve": 1.2, "ring": 0.8,
    "spiral": 0.6, "sheet": 0.8, "sphere": 0.6, "warped": 1.5, "filament": 0.6, "lattice": 0.7, "copula": 1.2,
    "factors": 1.0, "scales": 0.7, "records": 1.8,
}  # fmt: skip


def sample(rng: Rng, n_rows: int, n_features: int) -> tuple[Array, str]:
    """One table without clusters.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features)
    name : str

    """
    chances = np.array(list(_FORMS.values()))
    form = str(rng.choice(list(_FORMS), p=chances / chances.sum()))
    if form == "records":
        # Few columns of few levels would be a handful of points.
        form = str(rng.choice(list(records.TABLES))) if n_features >= 6 else "gaussian"
    return _draw(rng, form, n_rows, n_features), form


def _draw(rng: Rng, form: str, n: int, d: int) -> Array:
    if form == "gaussian":
        return _mixed(rng, rng.standard_normal((n, d)))
    if form == "student":
        df = rng.uniform(2, 8)
        shared = rng.chisquare(df, (n, 1 if rng.random() < 0.5 else d)) / df
        return _mixed(rng, rng.standard_normal((n, d)) / np.sqrt(shared))
    if form == "skewed":
        if rng.random() < 0.5:
            return np.asarray(np.exp(rng.uniform(0.3, 1) * _mixed(rng, rng.standard_normal((n, d)), 0.5)))
        return np.asarray(rng.gamma(rng.uniform(0.7, 4), 1, (n, d)))
    if form == "box":
        X = rng.uniform(-1, 1, (n, d))
        return _mixed(rng, X) if rng.random() < 0.5 else X
    if form == "ball":
        z = rng.standard_normal((n, d))
        inner = rng.choice([0.0, 0.0, 0.3])
        return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True) * rng.uniform(inner, 1, (n, 1)) ** (1 / d))
    if form == "simplex":
        return np.asarray(rng.dirichlet(np.full(d + 1, rng.uniform(1, 4)), n)[:, :d])
    if form in ("curve", "ring", "spiral", "filament"):
        return lifted(rng, _line(rng, form, n), d)
    if form == "sheet":
        a, height = np.pi * rng.uniform(0.5, 0.5 + rng.uniform(0.8, 2), n), rng.uniform(0, rng.uniform(1, 8), n)
        X = np.stack([a * np.cos(a), height, a * np.sin(a)], 1)
        return lifted(rng, X + rng.uniform(0.01, 0.2) * rng.standard_normal(X.shape), d)
    if form == "sphere":
        z = rng.standard_normal((n, 3))
        return lifted(rng, z / np.linalg.norm(z, axis=1, keepdims=True) + 0.05 * rng.standard_normal((n, 3)), d)
    if form == "warped":
        return warps.warped(rng, _mixed(rng, rng.standard_normal((n, d))))
    if form == "lattice":
        return np.asarray(np.round(_mixed(rng, rng.standard_normal((n, d)), 0.3) * rng.uniform(1.2, 5)))
    if form == "scales":
        # One law whose rows have a common random scale, dense in the middle and thin far out.
        return np.asarray(rng.standard_normal((n, d)) * np.exp(rng.uniform(0.2, 0.7) * rng.standard_normal((n, 1))))
    if form in records.TABLES:
        return records.TABLES[form](rng, np.zeros(n, np.int64), d)
    if form == "factors":
        rank = int(rng.integers(1, max(2, d)))
        X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
        return X + rng.uniform(0.05, 1) * rng.standard_normal((n, d))
    return _copula(rng, n, d)


def _copula(rng: Rng, n: int, d: int) -> Array:
    """Correlated columns whose margins are of different laws."""
    Z = _mixed(rng, rng.standard_normal((n, d)))
    U = np.clip(ndtr((Z - Z.mean(0)) / Z.std(0)), 1e-6, 1 - 1e-6)
    X = np.empty((n, d))
    for j in range(d):
        law = rng.integers(5)
        if law == 0:
            X[:, j] = U[:, j]
        elif law == 1:
            X[:, j] = -np.log(1 - U[:, j])
        elif law == 2:
            X[:, j] = np.exp(0.7 * ndtri(U[:, j]))
        elif law == 3:
            X[:, j] = ndtri(U[:, j])
        else:
            X[:, j] = np.log(U[:, j] / (1 - U[:, j]))
    return X


def _line(rng: Rng, form: str, n: int) -> Array:
    width = np.exp(rng.uniform(np.log(0.01), np.log(0.2)))
    if form == "curve":
        points = walk(rng, rng.uniform(3, 7), rng.uniform(0.5, 2.0))
    elif form == "ring":
        points = arc(0, 2 * np.pi * rng.uniform(0.5, 1)) * rng.uniform(0.6, 1, 2)
    elif form == "spiral":
        a = np.linspace(0, 2 * np.pi * rng.uniform(0.8, 2), 150)
        points = np.stack([(0.3 + a / 4) * np.cos(a), (0.3 + a / 4) * np.sin(a)], 1)
    else:
        points = np.array([(-2.0, 0.0), (2.0, 0.0)])
    return curve(rng, points, width).draw(n) @ rotation(rng, 2).T


def lifted(rng: Rng, X: Array, n_features: int) -> Array:
    """Rows of few columns in ``n_features``, by a turn and a little noise; cut where there are fewer."""
    if n_features <= X.shape[1]:
        return X[:, :n_features]
    noise = X.std() * 10 ** rng.uniform(-2.5, -1.2) / np.sqrt(n_features)
    turn = rotation(rng, n_features)[: X.shape[1]]
    return np.asarray(X @ turn + noise * rng.standard_normal((len(X), n_features)))


def _mixed(rng: Rng, X: Array, most: float = 1.5) -> Array:
    """Columns stretched and turned: any covariance."""
    d = X.shape[1]
    X = X * np.exp(rng.uniform(0, most) * np.clip(rng.standard_normal(d), -2, 2))
    return X @ rotation(rng, d).T if rng.random() < 0.6 else X

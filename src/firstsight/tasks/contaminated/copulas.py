"""Tables of mixed columns: correlated normals, each turned into a column of a law or a type of its own.

Z has the law of a Gaussian or a Student copula in normal scores; a column is F_j^-1(Phi(Z_j)), with F_j
continuous, a count, whole numbers, ordered levels, many zeros, or a category in one-hot columns.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtr, ndtri, pdtr, stdtr, stdtrit

from firstsight.tasks.contaminated.worlds import World
from firstsight.tasks.synthetic.primitives import Array, Rng, rotation

# Quantiles are read off this grid of normal scores: exact enough, and the same cost for every law.
_GRID = np.linspace(-6.0, 6.0, 481)
_U = np.clip(ndtr(_GRID), 1e-10, 1 - 1e-10)
_SMOOTH = ("normal", "beta", "exponential", "student", "lognormal", "gamma", "bimodal")
_TYPED = ("zeros", "counts", "whole", "levels", "one_hot")


class Column(NamedTuple):
    """How one inner column is finished.

    Parameters
    ----------
    law : str
        Which.
    values : ndarray
        Quantiles on the grid (n_grid,), or the cuts between levels in normal scores (n_levels - 1,).

    """

    law: str
    values: Array


def copulas(rng: Rng, n_rows: int, n_features: int) -> World:
    """A table that is finished to ``n_features`` columns at most."""
    typed = rng.choice([0.0, 0.3, 0.8, 1.0], p=[0.35, 0.3, 0.2, 0.15])
    alike = rng.random() < 0.25
    columns: list[Column] = []
    left = n_features
    while left > 0:
        # A single category would leave nothing for it to go with: a second column follows.
        room = left if columns or left == 1 else left - 1
        column = columns[0] if alike and columns and _width(columns[0]) <= left else _column(rng, typed, room)
        columns.append(column)
        left -= _width(column)
    Z = _scores(rng, n_rows, len(columns))
    return World(Z, np.zeros(n_rows, np.int64), partial(_finished, columns=columns), None, Z, Z[:0])


def _scores(rng: Rng, n_rows: int, d: int) -> Array:
    """Correlated normal scores of shape (n_rows, d), each about standard normal."""
    kind = int(rng.choice(5, p=[0.08, 0.23, 0.23, 0.23, 0.23]))
    if kind == 0:
        root = np.eye(d)
    elif kind == 1:
        rank = int(rng.integers(1, max(2, d // 2) + 1))
        root = np.concatenate([rng.standard_normal((d, rank)), rng.uniform(0.1, 1) * np.eye(d)], 1)
    elif kind == 2:
        # The nearer two columns are, the more they have in common.
        near = rng.uniform(0.3, 0.97) ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
        root = np.linalg.cholesky(near) * rng.choice([-1, 1], (d, 1))
    elif kind == 3:
        blocks = rng.integers(max(1, d // 4) + 1, size=d)
        root = np.concatenate([np.eye(blocks.max() + 1)[blocks], rng.uniform(0.2, 1.2, (d, 1)) * np.eye(d)], 1)
    else:
        root = rotation(rng, d) * np.exp(rng.uniform(0.3, 1.5) * rng.standard_normal(d))
    root = root / np.linalg.norm(root, axis=1, keepdims=True)
    Z = rng.standard_normal((n_rows, root.shape[1])) @ root.T
    if rng.random() < 0.25:
        # A common scale ties the tails of all columns.
        df = rng.uniform(2.5, 8)
        T = Z / np.sqrt(rng.chisquare(df, (n_rows, 1)) / df)
        Z = ndtri(np.clip(stdtr(df, T), 1e-9, 1 - 1e-9))
    return np.asarray(Z)


def _column(rng: Rng, typed: float, left: int) -> Column:
    """A column whose width is at most ``left``."""
    law = str(rng.choice(_TYPED if rng.random() < typed else _SMOOTH))
    if law == "one_hot" and left < 2:
        law = "levels"
    if law in ("levels", "one_hot"):
        n_levels = int(rng.integers(2, 8 if law == "levels" else min(left, 6) + 1))
        shares = np.cumsum(rng.dirichlet(np.full(n_levels, rng.uniform(0.5, 3))))[:-1]
        return Column(law, ndtri(np.clip(shares, 1e-4, 1 - 1e-4)))
    return Column(law, _LAWS[law](rng) * rng.choice([-1, 1], p=[0.15, 0.85]))


def _width(column: Column) -> int:
    return len(column.values) + 1 if column.law == "one_hot" else 1


def _finished(Z: Array, *, columns: list[Column]) -> Array:
    out = []
    for z, (law, values) in zip(Z.T, columns, strict=True):
        if law == "one_hot":
            out.append(np.eye(len(values) + 1)[np.searchsorted(values, z)])
        elif law == "levels":
            out.append(np.searchsorted(values, z)[:, None].astype(float))
        else:
            column = np.interp(z, _GRID, values)
            out.append((np.round(column) if law in ("counts", "whole") else column)[:, None])
    return np.concatenate(out, 1)


def _bimodal(rng: Rng) -> Array:
    share, gap, ratio = rng.uniform(0.15, 0.85), rng.uniform(2, 6), rng.uniform(0.3, 1.5)
    places = np.linspace(-7.0, 7 * ratio + gap + 1, 2000)
    cdf = share * ndtr(places) + (1 - share) * ndtr((places - gap) / ratio)
    return np.asarray(np.interp(_U, cdf, places))


def _beta(rng: Rng) -> Array:
    a, b = np.exp(rng.uniform(np.log(0.5), np.log(6), 2))
    return np.asarray(betaincinv(a, b, _U))


def _zeros(rng: Rng) -> Array:
    # Most often the field is empty, or hardly ever.
    share = rng.uniform(0.1, 0.95)
    rest = np.clip((_U - share) / (1 - share), 0, 1 - 1e-10)
    amounts = np.expm1(rng.uniform(0.3, 1.5) * (2.5 + ndtri(np.maximum(rest, 0.01))))
    return np.asarray(np.where(rest > 0, amounts, 0.0))


def _counts(rng: Rng) -> Array:
    rate = float(np.exp(rng.uniform(np.log(0.3), np.log(30))))
    cdf = pdtr(np.arange(200), rate)
    return np.asarray(np.searchsorted(cdf, np.minimum(_U, cdf[-1])), float)


_LAWS: dict[str, Callable[[Rng], Array]] = {
    "normal": lambda rng: np.asarray(_GRID),
    "beta": _beta,
    "exponential": lambda rng: np.asarray(-np.log1p(-_U)),
    "student": lambda rng: np.asarray(stdtrit(rng.uniform(2, 10), _U)),
    "lognormal": lambda rng: np.asarray(np.exp(rng.uniform(0.3, 1.5) * _GRID)),
    "gamma": lambda rng: np.asarray(gammaincinv(np.exp(rng.uniform(np.log(0.5), np.log(8))), _U)),
    "bimodal": _bimodal,
    "zeros": _zeros,
    "counts": _counts,
    "whole": lambda rng: np.asarray(rng.uniform(1, 15) * _GRID),
}

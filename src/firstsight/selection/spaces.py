"""Scalings of one table in which algorithms propose; each is learned on some rows and applied to any others.

- *standard*: every column divided by its standard deviation; the columns of one category share a deviation, so that
  a category counts as much as a number.
- *pca*: the leading principal components of the standard table that hold nine tenths of its variance.
- *normal*: every column's ranks as normal scores, where columns have heavy tails.
- *common*: the columns as they are, divided by one number, where their deviations are within a factor of ten. A
  map's two coordinates stay a map.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from firstsight.selection.geometry import Floats, Ints

__all__ = ["Space", "apply", "leading", "learn_spaces", "tails", "variances"]

N_KNOTS = 256
SAME_UNIT = (1.15, 10.0)  # ratio of the largest to the smallest deviation
HEAVY = (1.5, 4.0)  # skewness and excess kurtosis
MOST_COMPONENTS = 30
EXPLAINED = 0.9
MANY_VALUES = 20


class Space(NamedTuple):
    """A scaling: columns through their knots, if there are any, then ``(X - shift) @ matrix``.

    Parameters
    ----------
    name : str
        Of the scaling.
    knots : ndarray of shape (n_knots, n_features) or None
        Quantiles that become normal scores.
    shift : ndarray of shape (n_features,)
        Subtracted.
    matrix : ndarray of shape (n_features, n_components)
        Multiplied.

    """

    name: str
    knots: Floats | None
    shift: Floats
    matrix: Floats


def apply(space: Space, X: Floats) -> Floats:
    """Rows in a scaling: (n_rows, n_features) to (n_rows, n_components)."""
    if space.knots is not None:
        X = _scores(space.knots, X)
    return np.asarray((X - space.shift) @ space.matrix)


def learn_spaces(X: Floats, groups: Ints) -> dict[str, Space]:
    """The scalings that suit a table.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Finite; at least one column varies.
    groups : ndarray of shape (n_features,)
        Columns that come from one category have one number.

    Returns
    -------
    dict of str to Space
        ``standard`` first and always.

    """
    shift, variance = X.mean(0), variances(X)
    if not variance.any():
        raise ValueError("X should have a column that varies by more than rounding; found none")
    total = np.bincount(groups, variance)[groups]
    scale = np.divide(1, np.sqrt(total), out=np.zeros_like(total), where=(total > 0) & (variance > 0))
    keep = np.flatnonzero(scale)
    standard = np.eye(X.shape[1])[:, keep] * scale[keep]
    if standard.shape[1] > MOST_COMPONENTS:
        standard = standard @ leading((X - shift) @ standard, 1.0, MOST_COMPONENTS)
    found = {"standard": Space("standard", None, shift, standard)}
    Z = (X - shift) @ standard
    alone = np.bincount(groups)[groups[keep]] == 1
    if len(keep) > 2:
        directions = leading(Z, EXPLAINED, MOST_COMPONENTS)
        if directions.shape[1] < Z.shape[1]:
            found["pca"] = Space("pca", None, shift, standard @ directions)
    continuous = alone & np.array([len(np.unique(X[:1000, column])) > MANY_VALUES for column in keep])
    small = standard.shape[1] == len(keep)
    if small and continuous.any():
        skewness, kurtosis = tails(X[:, keep[continuous]])
        if ((np.abs(skewness) > HEAVY[0]) | (kurtosis > HEAVY[1])).any():
            found["normal"] = _normal(X, shift, standard, keep[continuous])
    deviation = np.sqrt(variance[keep])
    ratio = deviation.max() / deviation.min()
    if small and continuous.all() and SAME_UNIT[0] < ratio < SAME_UNIT[1]:
        matrix = np.eye(X.shape[1])[:, keep] / np.sqrt((deviation**2).mean())
        found["common"] = Space("common", None, shift, matrix)
    return found


def _normal(X: Floats, shift: Floats, standard: Floats, bent: Ints) -> Space:
    """Normal scores of some columns; the others as in the standard scaling."""
    knots = np.full((N_KNOTS, X.shape[1]), np.nan)
    knots[:, bent] = np.quantile(X[:, bent], np.linspace(0, 1, N_KNOTS), axis=0)
    shift, matrix = shift.copy(), standard.copy()
    shift[bent] = 0
    matrix[bent] = (standard[bent] > 0) / _scores(knots, X)[:, bent].std(0)[:, None]
    return Space("normal", knots, shift, matrix)


def variances(X: Floats) -> Floats:
    """Of columns (n_rows, n_features); one whose spread is rounding error of its size is constant, and has 0."""
    variance = X.var(0)
    return np.where(variance > (1e-13 * np.abs(X).max(0)) ** 2, variance, 0.0)


def tails(X: Floats) -> tuple[Floats, Floats]:
    """Skewness and excess kurtosis of columns (n_rows, n_features); 0 and -3 of a constant one."""
    deviation = X - X.mean(0)
    spread = np.sqrt((deviation**2).mean(0))
    Z = np.divide(deviation, spread, out=np.zeros_like(deviation), where=spread > 1e-12 * (1 + np.abs(X).max(0)))
    return np.asarray((Z**3).mean(0)), np.asarray((Z**4).mean(0) - 3)


def leading(Z: Floats, explained: float, most: int) -> Floats:
    """Directions (n_features, n_components) of the leading principal components."""
    variances, directions = np.linalg.eigh(np.cov(Z, rowvar=False, bias=True).reshape(Z.shape[1], -1))
    variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1]
    enough = int((np.cumsum(variances) < explained * variances.sum() - 1e-12).sum()) + 1
    # The sign of a component is arbitrary: its largest entry is positive.
    directions = directions[:, : min(enough, most)]
    signs = np.sign(directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])])
    return np.asarray(directions * signs)


def _scores(knots: Floats, X: Floats) -> NDArray[np.float64]:
    """Normal scores between the knots; columns without knots stay."""
    levels = (np.arange(len(knots)) + 0.5) / len(knots)
    found = X.astype(np.float64, copy=True)
    for column in np.flatnonzero(~np.isnan(knots[0])):
        # Equal knots share the middle of their levels.
        values, inverse = np.unique(knots[:, column], return_inverse=True)
        middle = np.bincount(inverse, levels) / np.bincount(inverse)
        found[:, column] = ndtri(np.interp(X[:, column], values, middle))
    return found

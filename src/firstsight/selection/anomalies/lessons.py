"""What a table with known anomalies teaches the detector: rows as the reader sees them, and which are anomalies."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.selection.anomalies.context import FEWEST_ROWS, MOST_ROWS, context_of, read
from firstsight.selection.geometry import Floats, Ints
from firstsight.selection.spaces import variances

__all__ = ["Lesson", "lesson_of"]

MOST_KEPT = 600  # rows of a table that are learned from
ANOMALIES = 1 / 3  # of them at most


class Lesson(NamedTuple):
    """What one table teaches.

    Parameters
    ----------
    family : str
        Tables of one family are never on two sides of a fold.
    clean : bool
        Whether the reference rows were normal rows alone.
    names : list of str
        Of the values.
    rows : ndarray of shape (n_kept, n_values)
        float32.
    y : ndarray of shape (n_kept,)
        1 for an anomaly, else 0.
    weight : ndarray of shape (n_kept,)
        How many rows of the table each stands for; their sum is one.

    """

    family: str
    clean: bool
    names: list[str]
    rows: NDArray[np.float32]
    y: NDArray[np.int8]
    weight: Floats


def lesson_of(X: Floats, y: Ints, *, clean: bool, family: str, seed: int, groups: Ints | None = None) -> Lesson | None:
    """Describe a table with known anomalies.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Finite, in random order.
    y : ndarray of shape (n_rows,)
        1 for an anomaly, else 0.
    clean : bool
        Take half of the normal rows as reference, and score the others; else reference rows are any of the table.
    family : str
        See :class:`Lesson`.
    seed : int
        Of what is random.
    groups : ndarray of shape (n_features,), optional
        Columns that come from one category have one number; each its own if left out.

    Returns
    -------
    Lesson or None
        None when reference rows are too few or are all equal.

    """
    normal = np.flatnonzero(y == 0)
    reference = (normal[: len(normal) // 2] if clean else np.arange(len(X)))[:MOST_ROWS]
    scored = np.setdiff1d(np.arange(len(X)), normal[: len(normal) // 2]) if clean else np.arange(len(X))
    if len(reference) < FEWEST_ROWS or not variances(X[reference]).any():
        return None
    generator = np.random.default_rng(seed)
    odd, usual = scored[y[scored] == 1], scored[y[scored] == 0]
    kept_odd = generator.permutation(odd)[: int(ANOMALIES * MOST_KEPT)]
    kept_usual = generator.permutation(usual)[: MOST_KEPT - len(kept_odd)]
    kept = np.concatenate([kept_odd, kept_usual])
    context = context_of(X[reference], np.arange(X.shape[1]) if groups is None else groups, seed)
    rows = np.concatenate([part for _, part in read(context, X[kept])])
    weight = np.concatenate(
        [np.full(len(part), len(whole) / max(len(part), 1)) for part, whole in ((kept_odd, odd), (kept_usual, usual))]
    )
    return Lesson(family, clean, context.names, rows, y[kept].astype(np.int8), weight / weight.sum())

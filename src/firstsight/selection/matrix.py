"""A table of mixed columns as numbers, with what is needed to turn new rows into the same numbers."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from firstsight.columns.encode import encode
from firstsight.columns.kinds import Columns
from firstsight.columns.learn import NothingVariesError, learn_columns
from firstsight.columns.values import Values
from firstsight.selection.geometry import Floats, Ints

__all__ = ["Encoding", "learn_encoding", "numbers_of", "told_numbers"]

HUGE = 3e151  # numbers are drawn to within it: sums of larger squares would overflow


class Encoding(NamedTuple):
    """How a table becomes numbers.

    Parameters
    ----------
    columns : Columns or None
        What was decided of every column; None when all are numbers and none is missing.
    groups : ndarray of shape (n_numbers,)
        Numbers that come from one category have one group, and count together as one column.
    medians : ndarray of shape (n_features,)
        Where columns is None: what a value that is missing in a new row becomes.

    """

    columns: Columns | None
    groups: Ints
    medians: Floats


def learn_encoding(X: Any) -> Encoding | None:
    """Decide what each column is.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_rows, n_features)
        Numbers, categories, dates, texts; NaN is missing.

    Returns
    -------
    Encoding or None
        None when no column varies, or those that do are left out.

    """
    if isinstance(X, np.ndarray) and X.dtype.kind in "fiub" and np.isfinite(X).all():
        medians = np.median(np.clip(X.astype(np.float64), -HUGE, HUGE), axis=0)
        return Encoding(None, np.arange(X.shape[1]), medians) if (X[:1] != X).any() else None
    try:
        columns = learn_columns({"X": _framed(X)})
    except NothingVariesError:
        return None
    groups: list[int] = []
    for column in columns.columns:
        for place in range(len(column.feature_names)):
            together = place > 0 and column.kind in ("category", "text")
            groups.append(groups[-1] if together else (groups[-1] + 1 if groups else 0))
    return Encoding(columns, np.array(groups), np.empty(0))


def numbers_of(encoding: Encoding, X: Any) -> Floats:
    """Rows as numbers, (n_rows, n_numbers)."""
    if encoding.columns is None:
        numbers = np.clip(np.asarray(X, np.float64), -HUGE, HUGE)
        return np.where(np.isnan(numbers), encoding.medians, numbers) if np.isnan(numbers).any() else numbers
    return encode(encoding.columns, _framed(X), "X")


def told_numbers(encoding: Encoding, X: Any, numbers: Floats) -> Floats:
    """Numbers as the table has them: not drawn to the range that was learned, and NaN where they are missing."""
    if encoding.columns is None:
        return np.asarray(X, np.float64)
    told, frame, place = numbers.copy(), _framed(X), 0
    for column in encoding.columns.columns:
        if column.kind == "number":
            told[:, place] = Values(frame[column.name]).numbers
        place += len(column.feature_names)
    return told


def _framed(X: Any) -> pd.DataFrame:
    if not isinstance(X, pd.DataFrame):
        return pd.DataFrame(X, columns=[f"x{place}" for place in range(X.shape[1])])
    return X.set_axis([str(name) for name in X.columns], axis=1)

"""A table of mixed columns as numbers, with what is needed to turn new rows into the same numbers."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from firstsight.columns.encode import encode, learn_columns
from firstsight.columns.kinds import Columns
from firstsight.selection.geometry import Floats, Ints

__all__ = ["Encoding", "learn_encoding", "numbers_of"]


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
        None when no column has two values.

    """
    if isinstance(X, np.ndarray) and X.dtype.kind in "fiub" and np.isfinite(X).all():
        return Encoding(None, np.arange(X.shape[1]), np.median(X, axis=0)) if (X[:1] != X).any() else None
    frame = _framed(X)
    if all(frame[column].nunique(dropna=False) < 2 for column in frame):
        return None
    columns = learn_columns({"X": frame})
    groups: list[int] = []
    for column in columns.columns:
        for place in range(len(column.feature_names)):
            together = place > 0 and column.kind in ("category", "text")
            groups.append(groups[-1] if together else (groups[-1] + 1 if groups else 0))
    return Encoding(columns, np.array(groups), np.empty(0))


def numbers_of(encoding: Encoding, X: Any) -> Floats:
    """Rows as numbers, (n_rows, n_numbers)."""
    if encoding.columns is None:
        numbers = np.asarray(X, np.float64)
        return np.where(np.isnan(numbers), encoding.medians, numbers) if np.isnan(numbers).any() else numbers
    return encode(encoding.columns, _framed(X), "X")


def _framed(X: Any) -> pd.DataFrame:
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X)
    return frame.set_axis([str(name) for name in frame.columns], axis=1)

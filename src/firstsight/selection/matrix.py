"""A table of mixed columns as numbers, with what is needed to turn new rows into the same numbers."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.encode import encode
from firstsight.columns.kinds import Column, Columns
from firstsight.columns.learn import NothingVariesError, learn_columns
from firstsight.columns.values import Values
from firstsight.selection.fill import Block, Donors, donors_of, filled
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
    donors : Donors or None
        Rows that give what others lack; None when none lacks anything.

    """

    columns: Columns | None
    groups: Ints
    medians: Floats
    donors: Donors | None = None


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
    columns = replace(columns, columns=tuple(_plain(column) for column in columns.columns))
    groups: list[int] = []
    for column in columns.columns:
        for place in range(len(column.feature_names)):
            together = place > 0 and column.kind in ("category", "text")
            groups.append(groups[-1] if together else (groups[-1] + 1 if groups else 0))
    missing = _missing(columns, _framed(X))
    donors = donors_of(encode(columns, _framed(X), "X"), missing, _blocks(columns)) if missing.any() else None
    return Encoding(columns, np.array(groups), np.empty(0), donors)


def numbers_of(encoding: Encoding, X: Any) -> Floats:
    """Rows as numbers, (n_rows, n_numbers)."""
    if encoding.columns is None:
        numbers = np.clip(np.asarray(X, np.float64), -HUGE, HUGE)
        return np.where(np.isnan(numbers), encoding.medians, numbers) if np.isnan(numbers).any() else numbers
    frame = _framed(X)
    numbers = encode(encoding.columns, frame, "X")
    return numbers if encoding.donors is None else filled(encoding.donors, numbers, _missing(encoding.columns, frame))


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


def _plain(column: Column) -> Column:
    """The column without a number that says where it is missing, but where that is all that it says.

    Missing cells are filled: told apart by what is missing, rows would fall into clusters of gaps.
    """
    alone = column.kind == "category" and len(column.levels) == 1
    return column if alone else replace(column, missing=False)


def _blocks(columns: Columns) -> list[Block]:
    """The columns that are filled, and the numbers they became."""
    blocks, start = [], 0
    for column in columns.columns:
        stop = start + len(column.feature_names)
        if _is_filled(column):
            blocks.append(Block(start, stop, column.kind == "category"))
        start = stop
    return blocks


def _missing(columns: Columns, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Which of the columns that are filled each row lacks, (n_rows, n_blocks)."""
    asked = [column for column in columns.columns if _is_filled(column)]
    found = np.zeros((len(frame), len(asked)), bool)
    for place, column in enumerate(asked):
        values = Values(frame[column.name])
        if column.kind == "number":
            found[:, place] = np.isnan(values.numbers)
        elif column.kind == "date":
            found[:, place] = np.isnan(values.days(column.date_format))
        else:
            found[:, place] = values.missing
    return found


def _is_filled(column: Column) -> bool:
    return column.kind in ("number", "date", "category") and not column.missing


def _framed(X: Any) -> pd.DataFrame:
    if not isinstance(X, pd.DataFrame):
        return pd.DataFrame(X, columns=[f"x{place}" for place in range(X.shape[1])])
    return X.set_axis([str(name) for name in X.columns], axis=1)

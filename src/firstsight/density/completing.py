"""Values that a user gives or lacks: the row that is conditioned on, and the table whose missing cells are filled."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from firstsight.columns.fits import listed
from firstsight.columns.values import Values
from firstsight.density.cells import Cells, days_or_numbers, typed, written
from firstsight.density.incomplete import Floats, Ints


class Row(NamedTuple):
    """One row of which some cells are known: numbers (1, d), NaN where not, and codes (1, c), -1 where not."""

    numbers: Floats
    codes: Ints


def given_row(cells: Cells, given: Mapping[Any, Any]) -> Row:
    """The row that holds what is given.

    Parameters
    ----------
    cells : Cells
        As learned from a table.
    given : mapping of column to value
        By name, or in an array by place.

    Returns
    -------
    Row

    Raises
    ------
    TypeError, ValueError
        When it is no mapping, a column is unknown or left out, or a value is missing or was never seen.

    """
    if not isinstance(given, Mapping):
        raise TypeError(f"given={given!r} should be a dict of column to value; found {type(given).__name__}")
    names = list(cells.names) if cells.names else list(range(len(cells.columns)))
    row = Row(np.full((1, len(cells.numbers)), np.nan), np.full((1, len(cells.categories)), -1))
    for name, value in given.items():
        if name not in names:
            raise ValueError(f"given={{{name!r}: ...}} should name columns; the table has {listed(map(str, names))}")
        place = names.index(name)
        column = cells.columns[place].column
        if column.kind in ("constant", "text"):
            raise ValueError(f"given={{{name!r}: ...}} should name columns of the density; this one is left out of it")
        values = Values(pd.Series([value], dtype=object))
        if values.missing[0]:
            raise ValueError(f"given={{{name!r}: {value!r}}} should hold values; found a missing one; leave it out")
        if column.kind == "category":
            level = values.coded[1][0]
            if level not in column.levels:
                known = listed(column.levels)
                raise ValueError(f"given={{{name!r}: {value!r}}} should be a level that was seen: {known}")
            row.codes[0, cells.categories.index(place)] = column.levels.index(level)
        else:
            number = days_or_numbers(column, values)[0]
            if np.isnan(number):
                raise ValueError(f"given={{{name!r}: {value!r}}} should be finite; found an infinite value")
            row.numbers[0, cells.numbers.index(place)] = number
    return row


def completed_table(cells: Cells, X: Any, numbers: Floats, codes: Ints, *, index: Any, rounded: bool) -> Any:
    """A copy of a table whose missing cells hold values.

    Parameters
    ----------
    cells : Cells
        As learned from a table.
    X : DataFrame or ndarray of shape (n_rows, n_columns)
        With missing cells.
    numbers : ndarray of shape (n_rows, d)
        All of them.
    codes : ndarray of shape (n_rows, c)
        Likewise.
    index : Index or None
        Of the DataFrame that is given back.
    rounded : bool
        Whether numbers are brought to the steps in which columns were measured.

    Returns
    -------
    DataFrame or ndarray of shape (n_rows, n_columns)

    """
    columns = [pd.Series(X[:, i]) for i in range(X.shape[1])] if isinstance(X, np.ndarray) else [X[name] for name in X]
    found = []
    for place, (cell, column) in enumerate(zip(cells.columns, columns, strict=True)):
        kind = cell.column.kind
        if kind in ("number", "date"):
            filled = written(cell, numbers[:, cells.numbers.index(place)], rounded=rounded)
        elif kind == "category":
            filled = typed([_value(cell.values, code) for code in codes[:, cells.categories.index(place)]], cell.dtype)
        else:
            filled = typed([cell.values[0] if cell.values else None] * len(column), cell.dtype)
        missing = Values(column).missing
        if kind in ("number", "date"):
            missing = np.isnan(days_or_numbers(cell.column, Values(column)))
        found.append(column if not missing.any() else _merged(column, filled, missing))
    if cells.names:
        return pd.concat(found, axis=1, keys=range(len(found))).set_axis(list(cells.names), axis=1).set_axis(index)
    table = np.empty(X.shape, cells.dtype)
    for place, values in enumerate(found):
        table[:, place] = values
    return table


def _value(values: tuple[Any, ...], code: int) -> Any:
    return values[code] if code < len(values) else None


def _merged(column: "pd.Series[Any]", filled: "pd.Series[Any]", missing: Any) -> "pd.Series[Any]":
    values = column.astype(object)
    values[missing] = filled.astype(object)[missing]
    still = values.isna()
    return values if still.any() and column.dtype == object else values.astype(column.dtype)

"""Tables of mixed columns to matrices of numbers, all of the same columns.

What a column is was decided by :func:`learn_columns` and is not decided again. Numbers are given as they
are; scaling is left to the caller.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.dates import date_parts
from firstsight.columns.fits import check_kind, named_columns
from firstsight.columns.kinds import N_HASHES, Column, Columns
from firstsight.columns.learn import learn_columns
from firstsight.columns.values import Values

__all__ = ["Column", "Columns", "encode", "learn_columns"]

WIDER = 10.0


def encode(columns: Columns, table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Give a table as the matrix of the features that were decided.

    Parameters
    ----------
    columns : Columns
        As :func:`learn_columns` gave it.
    table : DataFrame of shape (n_rows, n_columns)
        With the columns of the training tables, in any order. It is not changed.
    name : str
        For messages, such as the name of its file.

    Returns
    -------
    ndarray of shape (n_rows, n_features)
        Float64 and finite, columns as in ``columns.feature_names``. A missing number or date is the median
        of the training tables; one outside their range, widened by 10 times its width on both sides, is the
        nearest within. A level that is new, and a missing text, is all zeros.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the table has no rows, lacks a column or has one too many, or holds mostly
        other things where numbers or dates were learned.

    """
    if not isinstance(columns, Columns):
        raise TypeError(f"columns should be Columns, as learn_columns gives; found {type(columns).__name__}")
    table = named_columns(table, name)
    used = [column for column in columns.columns if column.kind != "constant"]
    _check_columns(columns, used, list(table.columns), name)
    parts = [part for column in used for part in _encode_column(column, table[column.name], name)]
    return np.column_stack(parts)


def _check_columns(columns: Columns, used: Sequence[Column], found: list[str], name: str) -> None:
    """Refuse missing and unknown columns; those that give no feature may lack."""
    lacks = [column.name for column in used if column.name not in found]
    if lacks:
        raise ValueError(
            f"{name} should have the columns of the training tables; it lacks {lacks}; it has {found}; "
            "add them (empty where unknown), or learn again with --ignore"
        )
    known = {column.name for column in columns.columns} | set(columns.ignored)
    extra = [column for column in found if column not in known]
    if extra:
        raise ValueError(
            f"{name} should have the columns of the training tables only; found besides {extra}; "
            "remove them from the table"
        )


def _encode_column(column: Column, series: "pd.Series[str]", table: str) -> list[NDArray[np.float64]]:
    """The features of one column, each of shape (n_rows,)."""
    values = Values(series)
    missing = values.missing
    if column.kind == "number":
        check_kind(values, values.is_number, column, table)
        missing = np.isnan(values.numbers)
        features = [_within(column, values.numbers)]
    elif column.kind == "date":
        days = values.days(column.date_format)
        missing = np.isnan(days)
        check_kind(values, ~missing, column, table)
        days = _within(column, days)
        dates = date_parts(days)
        features = [*(dates[part] for part in column.parts), days]
    elif column.kind == "category":
        codes, labels = values.coded
        place = {level: i for i, level in enumerate(column.levels)}
        known = np.array([*(place.get(label, -1) for label in labels), -1])[codes]
        features = list((known[:, None] == np.arange(len(place))).astype(np.float64).T)
    else:
        features = _hashed(values)
    return [*features, missing.astype(np.float64)] if column.missing else features


def _within(column: Column, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    margin = WIDER * (column.high - column.low)
    return np.where(np.isnan(numbers), column.median, np.clip(numbers, column.low - margin, column.high + margin))


def _hashed(values: Values) -> list[NDArray[np.float64]]:
    """Numbers from texts by MinHash over runs of letters (Cerda and Varoquaux 2020, arXiv:1907.01860).

    Texts that share many runs have many numbers in common. The encoder learns nothing, so none is kept.
    """
    try:
        from skrub import MinHashEncoder  # takes seconds to import, and few tables have texts
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "columns of texts need skrub; install it with: pip install 'firstsight[text]', or --ignore them"
        ) from error
    codes, labels = values.coded
    hashes = np.zeros((len(labels) + 1, N_HASHES))
    if labels:
        # murmur: the same numbers in every process, which Python's own hash does not give.
        encoder = MinHashEncoder(n_components=N_HASHES, hashing="murmur")
        hashes[:-1] = encoder.fit_transform(pd.Series(labels, name="text", dtype="str")).to_numpy()
    return list(hashes[codes].T)

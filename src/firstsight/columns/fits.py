"""What a table must be: rows, columns of different names that most tables share, and values of their kind."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.kinds import Column
from firstsight.columns.values import Values


def named_columns(table: Any, name: str) -> pd.DataFrame:
    """A table whose column names are texts, all different.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        It is not changed.
    name : str
        For messages.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        With the same values.

    Raises
    ------
    TypeError
        When it is no DataFrame.
    ValueError
        When it has no rows or two columns of one name.

    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name} should be a pandas DataFrame; found {type(table).__name__}; read it with read_table")
    if len(table) == 0:
        raise ValueError(f"{name} should have at least one row; found none; leave it out")
    texts = [str(column) for column in table.columns]
    twice = [text for text, count in Counter(texts).items() if count > 1]
    if twice:
        raise ValueError(f"{name} should have columns of different names; found {listed(twice)} more than once")
    return table.set_axis(texts, axis=1)


def check_kind(values: Values, fits: NDArray[np.bool_], column: Column, name: str) -> None:
    """Refuse a table with other values in a column of numbers or dates.

    Parameters
    ----------
    values : Values
        Of the column.
    fits : ndarray of shape (n_rows,)
        Which rows hold a number or date.
    column : Column
        For messages, with its kind.
    name : str
        Of the table, for messages.

    Raises
    ------
    ValueError
        When less than half of the values fit.

    """
    odd = ~fits & ~values.missing
    n_odd, n_values = int(odd.sum()), int((~values.missing).sum())
    if n_odd > n_values / 2:
        written = f" written as {column.date_format}" * (column.kind == "date")
        raise ValueError(
            f"column {column.name!r} of {name} should hold {column.kind}s{written}, as in the other tables; found "
            f"{n_odd} of {n_values} values that are none, such as {values.example(odd)!r}; correct the file, or "
            f"ignore the column with --ignore {column.name}"
        )


def shared_columns(columns: Mapping[str, list[str]]) -> list[str]:
    """The columns of most tables, in the order of the first that has them.

    Parameters
    ----------
    columns : mapping of str to list of str
        Column names by the name of the table.

    Returns
    -------
    list of str
        The shared names.

    Raises
    ------
    ValueError
        When a table has others.

    """
    sets = Counter(frozenset(names) for names in columns.values())
    usual = max(sets, key=sets.__getitem__)
    for name, names in columns.items():
        if set(names) != usual:
            lacks = [column for column in sorted(usual) if column not in names]
            extra = [column for column in names if column not in usual]
            found = [f"lacks {listed(lacks)}"] * bool(lacks) + [f"has besides {listed(extra)}"] * bool(extra)
            raise ValueError(
                f"{name} should have the same columns as most tables ({sets[usual]} of {len(columns)}); "
                f"it {' and '.join(found)}; correct the file, move it away, or leave columns out with --ignore"
            )
    return next(names for names in columns.values() if set(names) == usual)


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    texts = [repr(name) for name in names]
    return ", ".join(texts[:8]) + (f" and {len(texts) - 8} more" if len(texts) > 8 else "")

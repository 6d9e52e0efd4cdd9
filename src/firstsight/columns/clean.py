"""The columns of a table that tell rows apart, as numbers and categories, in the way a survey found them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from firstsight.columns.roles import days_as_written
from firstsight.columns.survey import Surveyed, numbers_as_written
from firstsight.columns.values import Values

__all__ = ["OTHER", "cleaned"]

OTHER = "(other)"


def cleaned(surveyed: Sequence[Surveyed], table: pd.DataFrame) -> pd.DataFrame:
    """Take the used columns of a table, which may be another than the one surveyed.

    Parameters
    ----------
    surveyed : sequence of Surveyed
        As :func:`firstsight.columns.survey.survey` gave them.
    table : DataFrame of shape (n_rows, n_columns)
        With these columns. It is not changed.

    Returns
    -------
    DataFrame of shape (n_rows, n_used)
        Numbers (dates as days since 1970-01-01 UTC) with NaN where one is missing or none, and texts for categories,
        None where missing and "(other)" for levels that were not told apart.

    """
    columns = {one.name: _clean(one, Values(table[one.name])) for one in surveyed if one.used}
    return pd.DataFrame(columns, index=range(len(table)))


def _clean(one: Surveyed, values: Values) -> "pd.Series[str] | pd.Series[float]":
    if one.kind == "number":
        return pd.Series(numbers_as_written(values, written=one.written, marker=one.marker))
    if one.kind == "date":
        return pd.Series(days_as_written(values, one.date_format))
    codes, labels = values.coded
    known = set(one.levels) or set(labels)
    named = np.array([*(label if label in known else OTHER for label in labels), None], dtype=object)
    return pd.Series(named[codes], dtype=object)

"""A table of mixed columns as numbers and codes of levels, and back to a table of the same kind.

What a column is was decided by :mod:`firstsight.columns`; dates are numbers, of days. Texts, constants and columns that
are missing nearly everywhere are left out of the density.

A density of values that repeat is a trap: a spike at a value is as high as it is narrow. So booleans, and whole numbers
of at most ten values each of which ten rows have on average, are taken as a category; any other column whose values tie
has a *step*, its smallest gap (at least a ten-thousandth of its deviation), within which values are as good as equal.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.dates import SECONDS_A_DAY
from firstsight.columns.fits import check_kind, named_columns
from firstsight.columns.kinds import Column
from firstsight.columns.learn import MOST_LEVELS, MOSTLY_MISSING, NothingVariesError, learn_columns
from firstsight.columns.values import Values
from firstsight.density.incomplete import Floats, Ints

MOST_VALUES = 10  # different ones, whole, of a column of numbers that is taken as a category
ROWS_A_VALUE = 10  # on average, for that
TIED = 0.01  # share of the values that others equal, above which a column has steps
FINEST = 1e-4  # deviations that a step has at least
FIRST_DAY, LAST_DAY = -719_162.0, 2_932_896.0  # of the years 1 to 9999


class Cell(NamedTuple):
    """What one column is.

    Parameters
    ----------
    column : Column
        Its kind is that of :class:`firstsight.columns.kinds.Column`; ``constant`` is left out.
    dtype : dtype
        Of the table's column.
    step : float
        Within which values are as good as equal; 0 where they hardly tie.
    origin : float
        A value, if all are a whole number of steps from it, else NaN.
    values : tuple
        Of a category: how the table wrote its levels; of a constant: the value.

    """

    column: Column
    dtype: Any
    step: float = 0.0
    origin: float = np.nan
    values: tuple[Any, ...] = ()


class Cells(NamedTuple):
    """How a table becomes numbers and codes.

    Parameters
    ----------
    columns : tuple of Cell
        In the table's order.
    names : tuple
        Of the columns as the table has them; empty for an array.
    dtype : dtype or None
        Of an array.

    """

    columns: tuple[Cell, ...]
    names: tuple[Any, ...]
    dtype: Any

    @property
    def numbers(self) -> list[int]:
        """Places of the columns that are numbers."""
        return [i for i, cell in enumerate(self.columns) if cell.column.kind in ("number", "date")]

    @property
    def categories(self) -> list[int]:
        """Places of the columns that are categories."""
        return [i for i, cell in enumerate(self.columns) if cell.column.kind == "category"]

    @property
    def left_out(self) -> list[Column]:
        """The columns that are not in the density."""
        return [cell.column for cell in self.columns if cell.column.kind in ("constant", "text")]

    @property
    def steps(self) -> Floats:
        """Of the numbers, (d,)."""
        return np.array([self.columns[i].step for i in self.numbers])

    @property
    def n_levels(self) -> tuple[int, ...]:
        """Of the categories; the last level of each stands for all that were not seen."""
        return tuple(len(self.columns[i].values) + 1 for i in self.categories)


def learn_cells(X: Any, *, array: bool) -> Cells:
    """Decide what each column is.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_rows, n_columns)
        NaN is missing.
    array : bool
        Whether the user's table is an array, so that samples are one as well.

    Returns
    -------
    Cells

    """
    if isinstance(X, np.ndarray):
        columns = tuple(_number_cell(f"x{i}", pd.Series(column)) for i, column in enumerate(X.T))
        return Cells(columns, (), X.dtype)
    frame = named_columns(X, "X")
    names = [str(name) for name in frame.columns]
    others = [name for name in names if not pd.api.types.is_numeric_dtype(frame[name].dtype)]
    learned = _learned(frame[others], others) if others else {}
    columns = tuple(
        _other_cell(learned[name], frame[name]) if name in learned else _number_cell(name, frame[name])
        for name in names
    )
    return Cells(columns, () if array else tuple(X.columns), object if array else None)


def encoded(cells: Cells, X: Any) -> tuple[Floats, Ints]:
    """Rows as numbers (n_rows, d), NaN where missing, and codes (n_rows, c), -1 where missing.

    A level that was not seen has the code after the last.
    """
    n_rows = len(X)
    numbers = np.empty((n_rows, len(cells.numbers)))
    codes = np.empty((n_rows, len(cells.categories)), np.int64)
    frame = None if isinstance(X, np.ndarray) else named_columns(X, "X")

    def column_at(place: int) -> "pd.Series[Any]":
        return pd.Series(X[:, place]) if frame is None else frame.iloc[:, place]

    for target, place in zip(numbers.T, cells.numbers, strict=True):
        target[:] = days_or_numbers(cells.columns[place].column, Values(column_at(place)))
    for coded, place in zip(codes.T, cells.categories, strict=True):
        known = {level: code for code, level in enumerate(cells.columns[place].column.levels)}
        own, labels = Values(column_at(place)).coded
        coded[:] = np.array([*(known.get(label, len(known)) for label in labels), -1], np.int64)[own]
    return numbers, codes


def decoded(cells: Cells, numbers: Floats, codes: Ints) -> Any:
    """Rows as a table of the kind that was learned from: numbers on their steps, levels as they were written."""
    columns: list[Any] = [None] * len(cells.columns)
    for column, place in zip(numbers.T, cells.numbers, strict=True):
        columns[place] = written(cells.columns[place], column)
    for codes_of, place in zip(codes.T, cells.categories, strict=True):
        cell = cells.columns[place]
        columns[place] = typed([cell.values[code] for code in codes_of], cell.dtype)
    for place, cell in enumerate(cells.columns):
        if columns[place] is None:
            columns[place] = typed([cell.values[0] if cell.values else None] * len(numbers), cell.dtype)
    if cells.names:
        return pd.concat(columns, axis=1, keys=range(len(columns))).set_axis(list(cells.names), axis=1)
    table = np.empty((len(numbers), len(columns)), cells.dtype)
    for place, values in enumerate(columns):
        table[:, place] = values
    return table


def written(cell: Cell, numbers: Floats, *, rounded: bool = True) -> "pd.Series[Any]":
    """Numbers (n_rows,) as values of a column; on its steps, where all values that were seen were."""
    if rounded and not np.isnan(cell.origin):
        numbers = cell.origin + cell.step * np.round((numbers - cell.origin) / cell.step)
        # What adding steps brings in beyond the digits that were measured.
        digits = int(np.clip(3 - np.floor(np.log10(cell.step)), -300, 15))
        numbers = np.round(numbers, digits)
    dtype = cell.dtype
    if cell.column.kind == "date":
        return _dates(cell, numbers)
    if isinstance(dtype, np.dtype) and dtype.kind == "m":
        return pd.Series(pd.to_timedelta(numbers, unit="D")).astype(dtype)
    if pd.api.types.is_integer_dtype(dtype):
        limits = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
        return pd.Series(np.clip(np.round(numbers), limits.min, limits.max)).astype(dtype)
    return pd.Series(numbers).astype(dtype) if pd.api.types.is_float_dtype(dtype) else pd.Series(numbers)


def _learned(frame: pd.DataFrame, names: list[str]) -> dict[str, Column]:
    try:
        return {column.name: column for column in learn_columns({"X": frame}).columns}
    except NothingVariesError:
        return {name: Column(name=name, kind="constant") for name in names}


def _number_cell(name: str, series: "pd.Series[Any]") -> Cell:
    """Of a column that is held as numbers or booleans."""
    numbers = Values(series).numbers
    present = numbers[~np.isnan(numbers)]
    values, counts = np.unique(present, return_counts=True)
    if len(values) < 2 or len(numbers) - len(present) > MOSTLY_MISSING * len(numbers):
        return Cell(Column(name=name, kind="constant"), series.dtype, values=_first(series) if len(values) == 1 else ())
    boolean = pd.api.types.is_bool_dtype(series.dtype)
    few = len(values) <= MOST_VALUES and len(present) >= ROWS_A_VALUE * len(values)
    if boolean or (few and (values == np.round(values)).all()):
        return _category_cell(name, series)
    # Medians and ranges are those of the density itself.
    column = Column(name=name, kind="number")
    if len(values) >= (1 - TIED) * len(present):
        return Cell(column, series.dtype)
    return Cell(column, series.dtype, *_stepped(values, counts))


def _other_cell(column: Column, series: "pd.Series[Any]") -> Cell:
    """Of a column that pandas does not hold as numbers."""
    if column.kind == "constant" or (column.kind == "category" and len(column.levels) == 1):
        return Cell(Column(name=column.name, kind="constant"), series.dtype, values=_first(series))
    if column.kind == "text":
        return Cell(column, series.dtype)
    declared = isinstance(series.dtype, pd.CategoricalDtype)
    if column.kind == "category" or (declared and len(Values(series).coded[1]) <= MOST_LEVELS):
        return _category_cell(column.name, series)
    if declared:
        return Cell(Column(name=column.name, kind="text"), series.dtype)
    numbers = days_or_numbers(column, Values(series))
    values, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    if column.kind == "date":
        step = 1.0 if (values == np.round(values)).all() else 0.0
        # Dates are written in days where all are, whether they tie or not.
        return Cell(column, series.dtype, step, float(values[0]) if step else np.nan, _first(series))
    few = len(values) <= MOST_VALUES and counts.sum() >= ROWS_A_VALUE * len(values)
    if few and (values == np.round(values)).all():
        return _category_cell(column.name, series)
    tied = len(values) < (1 - TIED) * counts.sum()
    return Cell(column, series.dtype, *(_stepped(values, counts) if tied else ()))


def _category_cell(name: str, series: "pd.Series[Any]") -> Cell:
    codes, labels = Values(series).coded
    order = sorted(range(len(labels)), key=labels.__getitem__)
    values = tuple(series.iloc[int(np.argmax(codes == code))] for code in order)
    return Cell(Column(name=name, kind="category", levels=tuple(labels[i] for i in order)), series.dtype, values=values)


def _stepped(values: Floats, counts: NDArray[np.int64]) -> tuple[float, float]:
    """The step of values that tie, and the first value if all are whole steps from it, else NaN."""
    gap = float(np.diff(values).min())
    mean = np.average(values, weights=counts)
    step = max(gap, FINEST * float(np.sqrt(np.average(((values - mean) / gap) ** 2, weights=counts))) * gap)
    places = (values - values[0]) / step
    even = bool((np.abs(places - np.round(places)) < 1e-3).all())
    return step, float(values[0]) if even else np.nan


def days_or_numbers(column: Column, values: Values) -> Floats:
    """Numbers of a column of numbers, or days of one of dates; NaN where missing."""
    found = values.days(column.date_format) if column.kind == "date" else values.numbers
    check_kind(values, ~np.isnan(found) | values.infinite, column, "X")
    return found


def _dates(cell: Cell, days: Floats) -> "pd.Series[Any]":
    seconds = np.round(np.clip(days, FIRST_DAY, LAST_DAY) * SECONDS_A_DAY)
    stamps = pd.Series(seconds.astype("datetime64[s]"))
    dtype = cell.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        return stamps.dt.tz_localize("UTC").dt.tz_convert(dtype.tz).astype(dtype)
    if isinstance(dtype, np.dtype) and dtype.kind == "M":
        return stamps.astype(dtype)
    if cell.values and not isinstance(cell.values[0], str):
        return stamps.astype(object)
    plain = "%Y-%m-%dT%H:%M:%S" if np.isnan(cell.origin) else "%Y-%m-%d"
    return stamps.dt.strftime(plain if cell.column.date_format == "ISO8601" else cell.column.date_format).astype(dtype)


def _first(series: "pd.Series[Any]") -> tuple[Any, ...]:
    present = series[~Values(series).missing]
    return (present.iloc[0],) if len(present) else ()


def typed(values: list[Any], dtype: Any) -> "pd.Series[Any]":
    """Values as a column of a type; as objects where some are missing and the type has no place for that."""
    found: pd.Series[Any] = pd.Series(values, dtype=object)
    if found.isna().any() and not isinstance(dtype, pd.api.extensions.ExtensionDtype):
        return found.astype(float) if pd.api.types.is_numeric_dtype(dtype) else found
    return found.astype(dtype)

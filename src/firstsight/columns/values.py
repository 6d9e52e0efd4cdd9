"""The values of one column of one table: numbers, texts and dates, with nothing learned."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.dates import SECONDS_A_DAY, label_days

# Those of pandas and skrub and what people type, in lower case.
# fmt: off
NULLS = frozenset([
    "", "?", "-", "--", ".", "...", "na", "n/a", "nan", "-nan", "nat", "none", "null", "<na>", "#na", "#n/a",
    "#n/a n/a", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
])
# fmt: on
# Squares and sums of such numbers are still finite.
LARGEST = 1e100


class Values:
    """One column of one table.

    A column that pandas holds as numbers stays an array; of any other, each distinct value is looked
    at once and ``codes`` say which rows have it.

    Parameters
    ----------
    series : Series of shape (n_rows,)
        Of any type.

    Attributes
    ----------
    numbers : ndarray of shape (n_rows,)
        Float64, within -1e100 and 1e100; NaN where a value is missing, no number, or infinite.
    missing : ndarray of shape (n_rows,)
        Whether there is no value.
    infinite : ndarray of shape (n_rows,)
        Whether it is an infinite number.

    """

    def __init__(self, series: "pd.Series[Any]") -> None:
        self._series = series
        self._texts: tuple[NDArray[np.intp], list[str]] | None = None
        if _is_numeric(series):
            numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
            self.missing = np.isnan(numbers)
        else:
            codes, labels = _texts(series)
            self._texts = codes, labels
            self.missing = codes < 0
            numbers = np.append(_numbers(labels), np.nan)[codes]
        self.infinite = np.isinf(numbers)
        self.numbers: NDArray[np.float64] = np.clip(np.where(self.infinite, np.nan, numbers), -LARGEST, LARGEST)

    @cached_property
    def coded(self) -> tuple[NDArray[np.intp], list[str]]:
        """Number of the label of every row, -1 where missing, and the labels, all different.

        What reads as a number has one spelling, whichever type pandas gave the column: 7 for 7.0 and 007.
        """
        if self._texts is None:
            codes, distinct = pd.factorize(self.numbers)
            return codes, [number_text(number) for number in distinct]
        codes, labels = self._texts
        spelled = [
            number_text(number) if np.isfinite(number) else label
            for label, number in zip(labels, _numbers(labels), strict=True)
        ]
        merged, distinct = pd.factorize(np.array(spelled, dtype=object))
        return np.append(merged, -1)[codes], list(distinct)

    @property
    def is_number(self) -> NDArray[np.bool_]:
        """Which rows hold a number, infinite ones included; shape (n_rows,)."""
        found: NDArray[np.bool_] = ~np.isnan(self.numbers) | self.infinite
        return found

    def days(self, date_format: str) -> NDArray[np.float64]:
        """Days since 1970-01-01 UTC, NaN where there is no date; shape (n_rows,). ISO 8601 is always read."""
        codes, labels = self.coded
        return np.append(label_days(labels, date_format, iso=True), np.nan)[codes]

    def example(self, rows: NDArray[np.bool_]) -> str:
        """Text of the first of some rows, which should not be missing."""
        first = int(np.argmax(rows))
        return str(self._series.iloc[first]).strip()


def _is_numeric(series: "pd.Series[Any]") -> bool:
    kind = pd.api.types
    if isinstance(series.dtype, pd.CategoricalDtype):
        return False
    return kind.is_bool_dtype(series.dtype) or (
        kind.is_numeric_dtype(series.dtype) and not kind.is_complex_dtype(series.dtype)
    )


def _texts(series: "pd.Series[Any]") -> tuple[NDArray[np.intp], list[str]]:
    """Number of the text of every row, -1 where missing, and the distinct texts without blanks around them."""
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert(None)
    if pd.api.types.is_timedelta64_dtype(series.dtype):
        series = series.dt.total_seconds() / SECONDS_A_DAY
    objects = series.astype(object)
    try:
        codes, distinct = pd.factorize(objects.to_numpy())
    except TypeError:  # lists and dicts have no hash; what is missing is among NULLS as text
        codes, distinct = pd.factorize(np.array([str(value) for value in objects], dtype=object))
    texts = [_text(value) for value in distinct]
    kept = [text for text in dict.fromkeys(texts) if text.lower() not in NULLS]
    place = {text: i for i, text in enumerate(kept)}
    return np.array([*(place.get(text, -1) for text in texts), -1], dtype=np.intp)[codes], kept


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    # Half a pair of surrogates can neither be hashed nor stored.
    text = str(value).strip().encode("utf-8", "replace").decode()
    return {"true": "1", "false": "0"}.get(text.lower(), text)


def _numbers(labels: list[str]) -> NDArray[np.float64]:
    numbers = pd.to_numeric(pd.Series(labels, dtype=object), errors="coerce")
    return numbers.to_numpy(dtype=np.float64)


def number_text(number: float) -> str:
    """A finite number as text, whole numbers without a point."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(float(number))

"""What the numbers of a column stand for besides amounts: names of rows, dates, and nothing."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.dates import SECONDS_A_DAY
from firstsight.columns.values import Values

__all__ = ["PACKED", "days_as_written", "marker_of", "names_rows", "packed_days"]

PACKED = "%Y%m%d"  # dates that are written as whole numbers
FIRST, LAST = 19000101, 21001231
MARKERS = (-1.0, -9.0, -99.0, -999.0, -9999.0, -99999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0)
MARKED = 3  # rows with a marker, at least, and
MARKED_SHARE = 0.005
LONELY = -99.0  # from which on a negative marker stands out among numbers that are not negative
OFTEN = 5  # times as many rows as any other value has, for that
FEW = 10  # rows, of which all may be different by chance
NEARLY = 0.98  # share of the rows that are different, in steps, or packed, where all would be but for a few
NAMED = re.compile(r"(^|[\W_])(id|ids|uid|uuid|guid|key|index|idx|nr|no|row|rownum|rownames|record)$", re.I)
CASED = re.compile(r"[a-z](ID|Id|Key|Nr|No)$")

Floats = NDArray[np.float64]


def marker_of(different: Floats, counts: NDArray[np.int64]) -> float | None:
    """A number that people write for a missing one, if many rows have it and it is far from nearly all others.

    Parameters
    ----------
    different : ndarray of shape (n_values,)
        Numbers of a column, each once, increasing.
    counts : ndarray of shape (n_values,)
        Rows that have each.

    """
    for place, inside in ((0, slice(1, None)), (-1, slice(None, -1))):
        value, rest, weights = float(different[place]), different[inside], counts[inside]
        often = counts[place] >= max(MARKED, MARKED_SHARE * float(counts.sum()))
        if value not in MARKERS or not often or len(rest) < 2:
            continue
        upto = np.cumsum(weights) / weights.sum()
        low, high = rest[np.minimum(np.searchsorted(upto, [0.01, 0.99]), len(rest) - 1)].tolist()
        gap = abs(value - float(rest[0 if place == 0 else -1]))
        lonely = value <= LONELY and rest[0] >= 0 and counts[place] >= OFTEN * weights.max()
        if gap > high - low or lonely:
            return value
    return None


def names_rows(name: str, numbers: Floats) -> bool:
    """Whether the numbers of a column, one a row and NaN where there is none, are names of rows."""
    known = numbers[~np.isnan(numbers)]
    different = np.unique(known)
    whole = not (different != np.floor(different)).any()
    if not whole or len(different) <= FEW or len(different) < NEARLY * len(known):
        return False
    steps = np.diff(known)
    in_steps = bool((steps == np.median(steps)).mean() >= NEARLY) and bool(np.median(steps))
    packed = len(different) >= NEARLY * (float(np.ptp(different)) + 1)
    return in_steps or packed or bool(NAMED.search(name) or CASED.search(name))


def packed_days(numbers: Floats) -> Floats:
    """Days since 1970-01-01 of numbers such as 20240131, NaN for others; shape (n_rows,)."""
    inside = (numbers >= FIRST) & (numbers <= LAST) & (numbers == np.floor(numbers))
    found = np.full(len(numbers), np.nan)
    if inside.any():  # few columns have any, and texts take time
        texts = pd.Series(numbers[inside].astype(np.int64)).astype(str)
        stamps = pd.to_datetime(texts, format=PACKED, errors="coerce").to_numpy()
        days = stamps.astype("datetime64[s]").astype(np.int64) / SECONDS_A_DAY
        found[inside] = np.where(np.isnat(stamps), np.nan, days)
    return found


def days_as_written(values: Values, date_format: str) -> Floats:
    """Days since 1970-01-01 UTC of a column of dates, NaN where there is none; shape (n_rows,)."""
    return packed_days(values.numbers) if date_format == PACKED else values.days(date_format)

"""Values that are like none of their column: numbers absurdly far out, and anything new where all rows were equal.

Views are bounded, so that one absurd number cannot hide what else a table shows, and the reader cannot see how far
out it lies. So such numbers are found before, one column at a time. The distances of a column's values from its median
are taken to have a Pareto tail, the heaviest that is usual, whose shape is told by the middle of the logarithms of the
largest distances (as Hill 1975 does by their mean, which a few absurd values would spoil) and is then widened by two of
its deviations. *Strange* is a value that so few rows of such a tail would reach that less than one table in a hundred
holds one. A Cauchy or lognormal column has none; in a lighter tail the rule is the more careful.

A normal row that is like none of n others is as likely as one in n + 2 (Laplace's rule), an anomaly is nearly sure
to be: with one anomaly in e^2 rows the log-odds are log(n + 2) - 2. The reader judges the row as if the value were the
outermost usual one, and so does it all other rows; its odds and these are added. A missing value is never strange.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.learn import MOST
from firstsight.columns.values import Values
from firstsight.selection.geometry import Floats
from firstsight.selection.matrix import HUGE

__all__ = ["Usual", "drawn", "log_odds_of", "strange_cells", "usual_of", "words_of"]

FEWEST = 20  # values by which a column is known
TAIL, FEWEST_TAIL, LEAST_TAIL = 0.1, 10, 3  # share of the rows that tells a tail, and how many at the least
LEAST_SHAPE = 0.25  # of a tail: distances of whole numbers, or of a bounded column, tell none
RARE = 0.01  # tables with a usual value that is called strange, at most
MOST_STRANGE = 0.01  # share of a column's values: as many are no accident
SAME = 1e-6  # of a constant's size, within which a value equals it but for its digits
ROUNDING = 1e-9  # of any column's middle
PRIOR = -2.0  # log-odds of an anomaly before anything is known


class Usual(NamedTuple):
    """What is usual in every column of a table.

    Parameters
    ----------
    n_rows : int
        That were fitted.
    middle, limit : ndarray of shape (n_columns,)
        Numbers farther from the middle than the limit are strange; NaN where a column holds no numbers.
    low, high : ndarray of shape (n_columns,)
        The outermost numbers that are not strange.
    level : tuple of str or None
        Of each column without numbers: the only label, if there is but one.

    """

    n_rows: int
    middle: Floats
    limit: Floats
    low: Floats
    high: Floats
    level: tuple[str | None, ...]


def usual_of(X: Any) -> Usual:
    """Learn from a table, a DataFrame or an array of numbers, (n_rows, n_columns); NaN is missing."""
    d = X.shape[1]
    found = np.full((4, d), np.nan)
    level: list[str | None] = [None] * d
    for place, (numbers, values) in enumerate(_columns(X)):
        present = numbers[~np.isnan(numbers)]
        if values is not None and len(present) < MOST * (~values.missing).sum():
            codes, labels = values.coded
            level[place] = labels[0] if len(labels) == 1 and (codes >= 0).sum() >= FEWEST else None
        elif len(present) >= FEWEST:
            found[:, place] = _usual_numbers(present, d)
    middle, limit, low, high = found
    return Usual(len(X), middle, limit, low, high, tuple(level))


def _usual_numbers(present: Floats, n_columns: int) -> tuple[float, float, float, float]:
    """Middle, limit, lowest and highest usual value of the numbers of one column."""
    middle = float(np.median(present))
    away = np.abs(present - middle)
    far = away[away > 0]
    if not len(far):
        return middle, SAME * abs(middle), middle, middle
    limit = max(_limit(far, len(present), n_columns), ROUNDING * abs(middle))
    kept = present[away <= limit]
    if len(present) - len(kept) > max(LEAST_TAIL, MOST_STRANGE * len(present)):
        limit, kept = np.inf, present
    return middle, limit, float(kept.min()), float(kept.max())


def _limit(far: Floats, n_values: int, n_columns: int) -> float:
    """Beyond it fewer than ``RARE`` values are expected in all columns together; far are distances above zero."""
    k = min(max(FEWEST_TAIL, int(TAIL * n_values)), max(LEAST_TAIL, len(far) // 2))
    if len(far) <= k:
        return np.inf
    largest = np.partition(far, len(far) - k - 1)[len(far) - k - 1 :]
    start = largest[0]
    shape = max(float(np.median(np.log(largest[1:] / start)) / np.log(2)), LEAST_SHAPE) * (1 + 2 / np.sqrt(k))
    power = np.log(start) + shape * np.log(k * n_columns / RARE)
    return float(np.exp(power)) if power < np.log(HUGE) else np.inf


def strange_cells(usual: Usual, X: Any) -> NDArray[np.bool_]:
    """Which values of a table with the fitted columns are strange, (n_rows, n_columns)."""
    if isinstance(X, np.ndarray):
        return np.asarray(np.abs(np.clip(X.astype(np.float64), -HUGE, HUGE) - usual.middle) > usual.limit)
    found = np.zeros(X.shape, bool)
    for place, (numbers, values) in enumerate(_columns(X)):
        if not np.isnan(usual.limit[place]):
            found[:, place] = np.abs(numbers - usual.middle[place]) > usual.limit[place]
            if usual.low[place] == usual.high[place] and values is not None:
                found[:, place] |= np.isnan(numbers) & ~values.missing  # a word where all rows have one number
        elif usual.level[place] is not None and values is not None:
            codes, labels = values.coded
            found[:, place] = np.array([*(label != usual.level[place] for label in labels), False])[codes]
    return found


def drawn(usual: Usual, X: Any, strange: NDArray[np.bool_]) -> Any:
    """The table with strange numbers drawn to the outermost usual ones; itself if there are none."""
    places = [place for place in np.flatnonzero(strange.any(0)) if not np.isnan(usual.limit[place])]
    if not places:
        return X
    X = X.copy()
    for place in places:
        low, high, rows = usual.low[place], usual.high[place], strange[:, place]
        if isinstance(X, np.ndarray):
            X[rows, place] = np.clip(X[rows, place], low, high)
        else:
            numbers = Values(X.iloc[:, place]).numbers
            X.isetitem(place, np.where(rows, np.clip(numbers, low, high), numbers))
    return X


def log_odds_of(usual: Usual, strange: NDArray[np.bool_]) -> Floats:
    """Log-odds of an anomaly for rows with strange values, (n_rows,); minus infinity for others."""
    count = strange.sum(1)
    odds = np.full(len(strange), -np.inf)
    odds[count > 0] = np.log(usual.n_rows + 2) + PRIOR + np.log(count[count > 0])
    return odds


def words_of(usual: Usual, X: Any, strange: NDArray[np.bool_], columns: list[str]) -> list[dict[str, str]]:
    """For each row, in words, what is strange of each column that is; with the columns' names."""
    found: list[dict[str, str]] = [{} for _ in range(len(X))]
    for row, place in np.argwhere(strange).tolist():
        value = X[row, place] if isinstance(X, np.ndarray) else X.iloc[row, place]
        said = f"{value:.6g}" if isinstance(value, int | float | np.number) else str(value)
        text = f"{columns[place]} = {said}"
        if usual.level[place] is not None or usual.low[place] == usual.high[place]:
            only = usual.level[place] or f"{usual.middle[place]:.6g}"
            found[row][columns[place]] = f"{text} where all rows have {only}"
        else:
            found[row][columns[place]] = f"{text} is far beyond all usual values"
    return found


def _columns(X: Any) -> Iterator[tuple[Floats, Values | None]]:
    """Numbers of each column, NaN where there are none; of a DataFrame its values besides."""
    if isinstance(X, pd.DataFrame):
        for place in range(X.shape[1]):
            values = Values(X.iloc[:, place])
            yield values.numbers, values
    else:
        for column in np.clip(X.astype(np.float64), -HUGE, HUGE).T:
            yield column, None

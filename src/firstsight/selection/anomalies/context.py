"""A table as the detector sees it: reference rows, their views, and rows for the reader of any other rows."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.selection.anomalies.rows import Yardstick, facts_of, names_of, rows_of, yardstick
from firstsight.selection.anomalies.views import Views, fit_views, in_threads, views_of
from firstsight.selection.coreset import numbers_from_values, places_of
from firstsight.selection.geometry import Floats, Ints

__all__ = ["FEWEST_ROWS", "MOST_ROWS", "Context", "affordable", "context_of", "read"]

MOST_ROWS = 2000  # reference rows
MANY = 100_000  # rows, beyond which half as many reference rows are taken
FEWEST_ROWS = 5
# Seconds for so many reference rows with ten thousand rows of twenty columns, on two cores.
COSTS = {2000: 3.0, 1000: 1.8, 500: 1.2, 250: 0.9}
CHUNK = 2048  # rows at once, at most
FEWEST_AT_ONCE = 256


class Context(NamedTuple):
    """A fitted table.

    Parameters
    ----------
    views : Views
        Fitted on the reference rows.
    stick : Yardstick
        Of their views.
    numbers : ndarray of shape (n_reference,)
        From their values: a row that equals one of them is taken to be that row, and is not its own neighbour.
    names : list of str
        Of the values of a row.
    rows : ndarray of shape (n_reference, n_values)
        Of the reference rows, for the reader.

    """

    views: Views
    stick: Yardstick
    numbers: NDArray[np.uint64]
    names: list[str]
    rows: NDArray[np.float32]


def context_of(R: Floats, groups: Ints, seed: int, threads: int = 1) -> Context:
    """Learn from reference rows.

    Parameters
    ----------
    R : ndarray of shape (n_reference, n_features)
        Finite; :data:`FEWEST_ROWS` rows or more, and a column that varies.
    groups : ndarray of shape (n_features,)
        Columns that come from one category have one number.
    seed : int
        Of what is random.
    threads : int
        Over which parts of the work are spread; they change nothing else.

    Returns
    -------
    Context

    """
    views = fit_views(R, groups, seed, threads)
    own = np.arange(len(R))
    found, neighbors = zip(
        *in_threads([partial(views_of, views, R[part], own[part]) for part in _parts(len(R), threads)], threads),
        strict=True,
    )
    together = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    stick = yardstick(together, facts_of(R))
    rows = rows_of(stick, together, np.concatenate(neighbors))
    return Context(views, stick, numbers_from_values(R, 0), names_of(stick), rows)


def read(context: Context, X: Floats, threads: int = 1) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Rows for the reader, chunk by chunk, for rows X (n_rows, n_features)."""

    def chunk(part: slice) -> tuple[slice, NDArray[np.float32]]:
        own = places_of(context.numbers, numbers_from_values(X[part], 0))
        rows, new = context.rows[own], np.flatnonzero(own < 0)
        if len(new):
            found, neighbors = views_of(context.views, X[part][new], own[new])
            rows[new] = rows_of(context.stick, found, neighbors)
        return part, rows

    parts = _parts(len(X), threads)
    # A few chunks at a time: the rows of all would not fit.
    for first in range(0, len(parts), 2 * threads):
        yield from in_threads([partial(chunk, part) for part in parts[first : first + 2 * threads]], threads)


def affordable(time_budget: float | None, n_rows: int) -> int:
    """How many reference rows fit a time budget in seconds, None for no limit."""
    most = MOST_ROWS if n_rows <= MANY else MOST_ROWS // 2
    if time_budget is None:
        return most
    return min(most, next((rows for rows, seconds in COSTS.items() if seconds <= time_budget), min(COSTS)))


def _parts(n_rows: int, threads: int) -> list[slice]:
    """Rows in as many equal parts for each thread, small enough for the memory."""
    count = threads * -(-n_rows // (CHUNK * threads))
    size = max(FEWEST_AT_ONCE, -(-n_rows // count))
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]

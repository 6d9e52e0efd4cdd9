"""A table as the detector sees it: reference rows, their views, and rows for the reader of any other rows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.selection.anomalies.rows import Yardstick, facts_of, names_of, rows_of, yardstick
from firstsight.selection.anomalies.views import Views, fit_views, views_of
from firstsight.selection.coreset import numbers_from_values, places_of
from firstsight.selection.geometry import Floats, Ints

__all__ = ["FEWEST_ROWS", "MOST_ROWS", "Context", "context_of", "read"]

MOST_ROWS = 2000  # reference rows
FEWEST_ROWS = 5
CHUNK = 4096  # rows at once
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


def context_of(R: Floats, groups: Ints, seed: int) -> Context:
    """Learn from reference rows.

    Parameters
    ----------
    R : ndarray of shape (n_reference, n_features)
        Finite; :data:`FEWEST_ROWS` rows or more, and a column that varies.
    groups : ndarray of shape (n_features,)
        Columns that come from one category have one number.
    seed : int
        Of what is random.

    Returns
    -------
    Context

    """
    views = fit_views(R, groups, seed)
    found, neighbors = views_of(views, R, np.arange(len(R)))
    stick = yardstick(found, facts_of(R))
    rows = rows_of(stick, found, neighbors)
    return Context(views, stick, numbers_from_values(R, 0), names_of(stick), rows)


def read(context: Context, X: Floats, threads: int = 1) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Rows for the reader, chunk by chunk, for rows X (n_rows, n_features)."""
    size = max(FEWEST_AT_ONCE, min(CHUNK, -(-len(X) // threads)))

    def chunk(start: int) -> tuple[slice, NDArray[np.float32]]:
        part = slice(start, min(start + size, len(X)))
        own = places_of(context.numbers, numbers_from_values(X[part], 0))
        found, neighbors = views_of(context.views, X[part], own)
        return part, rows_of(context.stick, found, neighbors)

    starts = range(0, len(X), size)
    if threads == 1 or len(starts) == 1:
        yield from map(chunk, starts)
        return
    with ThreadPoolExecutor(threads) as pool:
        # A few chunks at a time: the rows of all would not fit.
        for first in range(0, len(starts), 2 * threads):
            yield from pool.map(chunk, starts[first : first + 2 * threads])

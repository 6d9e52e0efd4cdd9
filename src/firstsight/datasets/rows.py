"""Tables of one family that share rows: copies under another name, and extracts of each other.

Within a family, columns are alike by nature (every store has the same calendar), so only whole rows tell.
For tables of different collections see :mod:`firstsight.datasets.fingerprints`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

SHARED = 0.5
"""Tables of which at least this share of the smaller one's rows is in the other belong together."""

DISTINCT = 0.8
"""Of a table with a smaller share of distinct rows, such as answers to a few yes-or-no questions, single rows tell
nothing: only the whole table is compared."""

MIXED = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no column's hash is lost


def row_hashes(table: pd.DataFrame) -> NDArray[np.uint64]:
    """The distinct rows of a table as numbers, whatever the order of its rows and columns.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Numbers are compared to six digits, all else as text.

    Returns
    -------
    ndarray of shape (n_distinct_rows,)
        Sorted; one number for the whole table where rows repeat, see :data:`DISTINCT`.

    """
    rows = np.zeros(len(table), dtype=np.uint64)
    for name in sorted(table.columns, key=str):
        column = table[name]
        is_number = pd.api.types.is_numeric_dtype(column)
        if is_number:
            cells = _rounded(column.to_numpy(np.float64, na_value=np.nan))
        else:
            cells = column.astype(str).to_numpy(object)
        rows = rows * MIXED + pd.util.hash_array(cells)
    distinct = np.unique(rows)
    if len(distinct) >= DISTINCT * len(rows):
        return distinct
    return np.array(
        [np.bitwise_xor.reduce(pd.util.hash_array(np.sort(rows)) * np.arange(1, 2 * len(rows), 2, dtype=np.uint64))]
    )


def groups_by_rows(hashes: Sequence[NDArray[np.uint64]]) -> list[int]:
    """Which tables share rows, directly or through others.

    Parameters
    ----------
    hashes : sequence of ndarray
        From :func:`row_hashes`.

    Returns
    -------
    list of int
        The group of each table, numbered from 0.

    """
    lengths = [len(rows) for rows in hashes]
    _, columns = np.unique(np.concatenate(hashes), return_inverse=True)
    owners = np.repeat(np.arange(len(hashes)), lengths)
    present = csr_matrix((np.ones(len(owners), dtype=np.int32), (owners, columns)))
    shared = (present @ present.T).tocoo()
    smaller = np.minimum(np.array(lengths)[shared.row], np.array(lengths)[shared.col])
    together = shared.data >= SHARED * smaller
    graph = csr_matrix(
        (np.ones(int(together.sum())), (shared.row[together], shared.col[together])), shape=(len(hashes), len(hashes))
    )
    return [int(group) for group in connected_components(graph, directed=False)[1]]


def share_seen(hashes: NDArray[np.uint64], known: NDArray[np.uint64]) -> float:
    """The share of the smaller table's rows that are in the other.

    Parameters
    ----------
    hashes, known : ndarray of shape (n_distinct_rows,)
        Of two tables, from :func:`row_hashes`.

    Returns
    -------
    float
        From 0 to 1.

    """
    n_both = len(np.intersect1d(hashes, known, assume_unique=True))
    return n_both / max(1, min(len(hashes), len(known)))


def _rounded(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """To six significant digits, which files and units keep; 0 stays 0, and -0 becomes 0."""
    finite = np.isfinite(numbers) & (numbers != 0)
    magnitude = np.where(finite, numbers, 1.0)
    unit = 10.0 ** (np.floor(np.log10(np.abs(magnitude))) - 5)
    return np.where(finite, np.round(magnitude / unit) * unit, numbers) + 0.0

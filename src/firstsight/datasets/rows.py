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

KEPT = 256
"""Hashes kept of a table in its sketch, the smallest ones: the same rows are kept everywhere."""

MIXED = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no column's hash is lost


def row_hashes(table: pd.DataFrame) -> NDArray[np.uint64]:
    """The distinct rows of a table as numbers, whatever the order of its rows and columns.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Numbers are compared as float64, all else as text.

    Returns
    -------
    ndarray of shape (n_distinct_rows,)
        Sorted.

    """
    rows = np.zeros(len(table), dtype=np.uint64)
    for name in sorted(table.columns, key=str):
        column = table[name]
        is_number = pd.api.types.is_numeric_dtype(column)
        cells = column.to_numpy(np.float64, na_value=np.nan) if is_number else column.astype(str).to_numpy(object)
        rows = rows * MIXED + pd.util.hash_array(cells)
    return np.unique(rows)


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


def sketch(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The few hashes of a table by which :func:`share_seen` knows it again."""
    return hashes[:KEPT]


def share_seen(hashes: NDArray[np.uint64], known: NDArray[np.uint64]) -> float:
    """About the share of the smaller table's rows that are in the other.

    Parameters
    ----------
    hashes : ndarray of shape (n_distinct_rows,)
        Of a new table, from :func:`row_hashes`.
    known : ndarray of shape (n_kept,)
        The :func:`sketch` of another.

    Returns
    -------
    float
        From 0 to 1.

    """
    within = hashes if len(known) < KEPT else hashes[hashes <= known[-1]]
    n_both = len(np.intersect1d(within, known, assume_unique=True))
    return n_both / max(1, min(len(within), len(known)))

"""What many proposals share: distances, nearest neighbours, densities and the minimum spanning tree of one table."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

N_NEIGHBORS = 15
DENSITY_NEIGHBORS = 10
FEWEST_ASKED = 1000  # rows a thread


class Geometry(NamedTuple):
    """The shape of a table of n rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Scaled.
    distances : ndarray of shape (n_rows, n_rows)
        Euclidean, float32.
    neighbors : ndarray of shape (n_rows, n_neighbors)
        The nearest other rows, nearest first.
    radii : ndarray of shape (n_rows, n_neighbors)
        How far they are.
    density : ndarray of shape (n_rows,)
        Minus the logarithm of the mean distance to the nearest ten: larger where rows are closer.
    tree : ndarray of shape (n_rows - 1, 2)
        Edges of the minimum spanning tree, shortest first.
    lengths : ndarray of shape (n_rows - 1,)
        Their lengths.

    """

    X: Floats
    distances: NDArray[np.float32]
    neighbors: Ints
    radii: Floats
    density: Floats
    tree: Ints
    lengths: Floats


def geometry(X: Floats) -> Geometry:
    """Measure a table.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Scaled and finite, at least two rows.

    Returns
    -------
    Geometry
        Time and memory grow with the square of the rows: it is meant for a few thousand.

    """
    distances = pairwise(X, X)
    distances = np.maximum(distances, distances.T)  # products of matrices are symmetric but for the last digit
    n_rows = len(X)
    n_neighbors = min(N_NEIGHBORS, n_rows - 1)
    np.fill_diagonal(distances, np.inf)
    near, radii = nearest(distances, n_neighbors)
    np.fill_diagonal(distances, 0)
    mean = radii[:, : min(DENSITY_NEIGHBORS, n_neighbors)].mean(1).astype(np.float64)
    # Rows with many exact copies would be infinitely dense: nothing is denser than a hundredth of the usual.
    floor = 0.01 * (np.median(mean) or mean.max() or 1.0)
    tree, lengths = spanning_tree(distances)
    return Geometry(X, distances, near, radii.astype(np.float64), -np.log(np.maximum(mean, floor)), tree, lengths)


def nearest(distances: NDArray[np.float32], count: int) -> tuple[Ints, NDArray[np.float32]]:
    """Places and distances of the nearest of each row, nearest first, (n_rows, count) each."""
    places = np.argpartition(distances, count - 1, axis=1)[:, :count]
    radii = np.take_along_axis(distances, places, axis=1)
    order = np.argsort(radii, axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(radii, order, axis=1)


def pairwise(A: Floats, B: Floats) -> NDArray[np.float32]:
    """Euclidean distances, float32 of shape (n_A, n_B)."""
    # One matrix product; centred first, so that float32 has digits left for short distances.
    centre = B.mean(0)
    a, b = (A - centre).astype(np.float32), (B - centre).astype(np.float32)
    squares: NDArray[np.float32] = a @ b.T
    squares *= -2
    squares += (a * a).sum(1)[:, None]
    squares += (b * b).sum(1)[None, :]
    np.maximum(squares, 0, out=squares)
    np.sqrt(squares, out=squares)
    return squares


def spanning_tree(distances: NDArray[np.float32]) -> tuple[Ints, Floats]:
    """The minimum spanning tree by Prim's algorithm: edges (n - 1, 2) and lengths (n - 1,), shortest first."""
    n_rows = len(distances)
    best = distances[0].copy()
    best[0] = np.inf
    source = np.zeros(n_rows, np.int64)
    outside = np.ones(n_rows, bool)
    outside[0] = False
    edges, lengths = np.empty((n_rows - 1, 2), np.int64), np.empty(n_rows - 1)
    for step in range(n_rows - 1):
        new = int(best.argmin())
        edges[step] = source[new], new
        lengths[step] = best[new]
        outside[new] = False
        row = distances[new]
        closer = (row < best) & outside
        best[closer] = row[closer]
        source[closer] = new
        best[new] = np.inf
    order = np.argsort(lengths, kind="stable")
    return edges[order], lengths[order]


def asked(tree: cKDTree, X: Floats, k: Any, n_jobs: int | None) -> tuple[Floats, Ints]:
    """Distances and places of the nearest points of a tree to rows (n_rows, n_features); all cores if n_jobs is None.

    The threads are ours: those of ``cKDTree.query(workers=...)`` go on after an interrupt and read what is then freed.
    """
    count = min(n_jobs or os.cpu_count() or 1, 1 + len(X) // FEWEST_ASKED)
    if count == 1:
        distances, places = tree.query(X, k=k)
        return distances, places
    with ThreadPoolExecutor(count) as pool:
        parts = list(pool.map(lambda part: tree.query(part, k=k), np.array_split(X, count)))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

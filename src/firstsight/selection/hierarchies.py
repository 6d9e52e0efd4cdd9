"""Hierarchies cut at many numbers of clusters: Genie-like linkage, density modes, and scipy's linkages.

*Genie-like linkage* walks along the minimum spanning tree as single linkage does, but while the Gini index of
the cluster sizes exceeds a limit only a smallest cluster may merge (Gagolewski, Bartoszuk and Cena 2016,
doi:10.1016/j.ins.2016.05.003). Here the walk may be made of the rows in the densest places only; the others
join the nearest of them afterwards, so that stray rows do not use up clusters.

*Density modes* are the basins of the peaks of a density on the graph of nearest neighbours; the least prominent
peak falls to its neighbour first (ToMATo; Chazal et al. 2013, doi:10.1145/2535927).
"""

from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster

from firstsight.selection.geometry import Floats, Geometry, Ints, spanning_tree

__all__ = ["Peaks", "complete", "cut_linkage", "cut_modes", "genie", "peaks_of"]


class Peaks(NamedTuple):
    """Basins of the peaks of a density.

    Parameters
    ----------
    basin : ndarray of shape (n_rows,)
        Which peak a row climbs to.
    rows : ndarray of shape (n_peaks,)
        The rows at the top, highest first.
    prominence : ndarray of shape (n_peaks,)
        By how much a peak rises above the pass to a higher one, in logarithms of distance; infinite for the highest.
    parent : ndarray of shape (n_peaks,)
        The higher peak it falls to; its own number for the highest.

    """

    basin: Ints
    rows: Ints
    prominence: Floats
    parent: Ints


def complete(labels: Ints, geometry: Geometry) -> Ints:
    """Give every row that has none (-1) the label of the nearest row that has one."""
    missing = labels < 0
    if not missing.any() or missing.all():
        return np.maximum(labels, 0)
    known = np.flatnonzero(~missing)
    full = labels.copy()
    full[missing] = labels[known[geometry.distances[np.ix_(np.flatnonzero(missing), known)].argmin(1)]]
    return full


def cut_linkage(linkage: Floats, counts: list[int]) -> dict[int, Ints]:
    """Partitions of one of scipy's linkages by number of clusters, labels from 0."""
    return {count: fcluster(linkage, count, criterion="maxclust").astype(np.int64) - 1 for count in counts}


def genie(geometry: Geometry, counts: list[int], gini_limit: float, core_share: float = 1.0) -> dict[int, Ints]:
    """Partitions of Genie-like linkage.

    Parameters
    ----------
    geometry : Geometry
        Of the table.
    counts : list of int
        Numbers of clusters wanted.
    gini_limit : float
        In [0, 1]: above it only a smallest cluster merges. 1 is single linkage.
    core_share : float
        Share of the rows, those in the densest places, that the walk is made of.

    Returns
    -------
    dict of int to ndarray of shape (n_rows,)
        Labels by number of clusters; a number above that of the walk's rows is left out.

    """
    n_rows = len(geometry.X)
    core = np.arange(n_rows)
    tree = geometry.tree
    if core_share < 1:
        core = np.flatnonzero(geometry.density >= np.quantile(geometry.density, 1 - core_share))
        tree = spanning_tree(geometry.distances[np.ix_(core, core)])[0]
    found = {}
    for count, part in _walk(tree, len(core), counts, gini_limit).items():
        labels = np.full(n_rows, -1, np.int64)
        labels[core] = part
        found[count] = complete(labels, geometry)
    return found


def _walk(tree: Ints, n_rows: int, counts: list[int], gini_limit: float) -> dict[int, Ints]:
    wanted = sorted({count for count in counts if count <= n_rows}, reverse=True)
    if not wanted:
        return {}
    parent, size = list(range(n_rows)), [1] * n_rows
    edges = tree.tolist()
    used = [False] * len(edges)
    with_size = {1: n_rows}  # how many clusters have a size
    spread = 0  # sum over pairs of clusters of the difference of their sizes
    first, pointer, pointer_size = 0, 0, 1
    found: dict[int, Ints] = {}
    labels = np.empty(0, np.int64)

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for n_clusters in range(n_rows, wanted[-1] - 1, -1):
        if n_clusters == wanted[0]:
            labels = np.array([find(row) for row in range(n_rows)])
        if n_clusters in wanted:
            found[n_clusters] = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        if n_clusters == wanted[-1] or n_clusters == 1:
            break
        while used[first]:
            first += 1
        chosen = first
        if spread > gini_limit * n_rows * (n_clusters - 1):
            smallest = min(with_size)
            # Clusters only grow: an edge passed over for this size stays so, until the smallest size changes.
            if pointer_size != smallest:
                pointer, pointer_size = first, smallest
            while used[pointer] or (
                size[find(edges[pointer][0])] != smallest and size[find(edges[pointer][1])] != smallest
            ):
                pointer += 1
            chosen = pointer
        used[chosen] = True
        a, b = find(edges[chosen][0]), find(edges[chosen][1])
        spread = _merged_spread(with_size, spread, size[a], size[b])
        parent[b] = a
        size[a] += size[b]
        if n_clusters <= wanted[0]:
            labels[labels == b] = a
    return found


def _merged_spread(with_size: dict[int, int], spread: int, a: int, b: int) -> int:
    """The sum of differences after clusters of sizes a and b merge; the counts of sizes are brought up to date."""
    both = a + b
    # Differences to a and to b go, those to their union come; the two themselves are no rivals of it.
    change = abs(a - b) - both
    for size, count in with_size.items():
        change += count * (abs(size - both) - abs(size - a) - abs(size - b))
    for size in (a, b):
        with_size[size] -= 1
        if not with_size[size]:
            del with_size[size]
    with_size[both] = with_size.get(both, 0) + 1
    return spread + change


def peaks_of(geometry: Geometry) -> Peaks:
    """The peaks of the density on the graph of nearest neighbours, made connected by the spanning tree."""
    density, near = geometry.density, geometry.neighbors
    n_rows = len(density)
    # Ties are broken by the row, or two equal rows would climb to each other.
    rank = np.empty(n_rows, np.int64)
    rank[np.lexsort((np.arange(n_rows), density))] = np.arange(n_rows)
    around = np.column_stack([np.arange(n_rows), near])
    basin = np.take_along_axis(around, rank[around].argmax(1)[:, None], 1)[:, 0]
    while True:
        higher = basin[basin]
        if np.array_equal(higher, basin):
            break
        basin = higher
    tops = np.unique(basin)
    tops = tops[np.argsort(-rank[tops])]
    number = np.empty(n_rows, np.int64)
    number[tops] = np.arange(len(tops))
    basin = number[basin]
    prominence, parent = _falls(geometry, basin, density[tops])
    return Peaks(basin, tops, prominence, parent)


def _falls(geometry: Geometry, basin: Ints, height: Floats) -> tuple[Floats, Ints]:
    """Prominence and parent of each peak: passes are joined from the highest, the lower peak falls."""
    n_rows, n_peaks = len(basin), len(height)
    rows = np.repeat(np.arange(n_rows), geometry.neighbors.shape[1])
    edges = np.concatenate([np.column_stack([rows, geometry.neighbors.ravel()]), geometry.tree])
    length = np.concatenate([geometry.radii.ravel(), geometry.lengths])
    across = basin[edges[:, 0]] != basin[edges[:, 1]]
    edges, length = edges[across], length[across]
    # The pass is no denser than its two ends, nor than its own length allows.
    passes = np.minimum(geometry.density[edges].min(1), -np.log(np.maximum(length, 1e-12)))
    prominence, parent = np.full(n_peaks, np.inf), np.arange(n_peaks)
    root = np.arange(n_peaks)
    pairs = basin[edges]
    order = np.argsort(-passes, kind="stable")
    pairs, passes = pairs[order], passes[order]
    _, firsts = np.unique(pairs.min(1) * n_peaks + pairs.max(1), return_index=True)
    firsts.sort()
    for (one, other), level in zip(pairs[firsts].tolist(), passes[firsts].tolist(), strict=True):
        a, b = sorted((int(root[one]), int(root[other])))  # peaks are numbered from the highest
        if a != b:
            root[root == b] = a
            prominence[b] = height[b] - level
            parent[b] = a
    return prominence, parent


def cut_modes(peaks: Peaks, counts: list[int]) -> dict[int, Ints]:
    """Partitions by the most prominent peaks; a count above their number is left out."""
    order = np.argsort(-peaks.prominence, kind="stable")
    found = {}
    for count in counts:
        if count > len(order):
            continue
        stays = np.zeros(len(order), bool)
        stays[order[:count]] = True
        target = np.arange(len(order))
        for peak in range(len(order)):  # parents come before their children
            if not stays[peak]:
                target[peak] = target[peaks.parent[peak]]
        found[count] = np.unique(target[peaks.basin], return_inverse=True)[1].astype(np.int64)
    return found

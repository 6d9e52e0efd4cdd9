"""HDBSCAN's clusters from a spanning tree that is already there.

The hierarchy of mutual reachability is condensed to clusters of a smallest size, and those of the largest excess of
mass are kept (Campello, Moulavi and Sander 2013, doi:10.1007/978-3-642-37456-2_14). scikit-learn's gives the same
clusters; here many smallest sizes share one hierarchy.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from firstsight.selection.geometry import Geometry, Ints, spanning_tree

__all__ = ["DensityTree", "cut_density_tree", "density_tree"]


class DensityTree(NamedTuple):
    """Single linkage of mutual reachability; node m >= 0 joins two, a row r is -1 - r.

    Parameters
    ----------
    children : list of (int, int)
        What a node joins.
    height : list of float
        1 / distance at which it does.
    span : list of (int, int)
        Its rows are ``order[first:last]``.
    order : ndarray of shape (n_rows,)
        Rows, so that those of a node lie together.

    """

    children: list[tuple[int, int]]
    height: list[float]
    span: list[tuple[int, int]]
    order: Ints


def density_tree(geometry: Geometry, n_neighbors: int) -> DensityTree:
    """The hierarchy; a row's core distance is that to its n-th nearest."""
    core = geometry.radii[:, min(n_neighbors, geometry.radii.shape[1]) - 1].astype(np.float32)
    reach = np.maximum(np.maximum(geometry.distances, core[:, None]), core[None, :])
    edges, lengths = spanning_tree(reach)
    # Exact copies have distance 0; nothing is denser than a millionth of the usual.
    floor = 1e-6 * (float(np.median(lengths)) or 1.0)
    height = (1 / np.maximum(lengths, floor)).tolist()
    n_rows = len(core)
    parent, top, size = list(range(n_rows)), [-1 - row for row in range(n_rows)], [1] * n_rows
    children = []
    for node, (one, other) in enumerate(edges.tolist()):
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        while parent[other] != other:
            parent[other] = parent[parent[other]]
            other = parent[other]
        children.append((top[one], top[other]))
        parent[other] = one
        size[one] += size[other]
        top[one] = node
    return DensityTree(children, height, *_spans(children, n_rows))


def _spans(children: list[tuple[int, int]], n_rows: int) -> tuple[list[tuple[int, int]], Ints]:
    count = [0] * len(children)
    for node, pair in enumerate(children):
        count[node] = sum(1 if child < 0 else count[child] for child in pair)
    span = [(0, 0)] * len(children)
    span[-1] = (0, n_rows)
    order = np.empty(n_rows, np.int64)
    for node in range(len(children) - 1, -1, -1):
        first = span[node][0]
        for child in children[node]:
            if child < 0:
                order[first] = -1 - child
                first += 1
            else:
                span[child] = (first, first + count[child])
                first += count[child]
    return span, order


def cut_density_tree(tree: DensityTree, smallest: Sequence[int]) -> dict[int, Ints]:
    """Labels by smallest size of a cluster; -1 is noise. A size at which there is no second cluster is left out."""
    found = {}
    for size in smallest:
        labels = _cut(tree, size)
        if labels.max() > 0:
            found[size] = labels
    return found


def _cut(tree: DensityTree, smallest: int) -> Ints:
    n_rows = len(tree.order)
    fell = np.zeros(n_rows, np.int64)  # the cluster that a row, by its place in the order, fell out of
    parent, birth, mass, inner = [-1], [0.0], [0.0], [False]
    todo = [(len(tree.children) - 1, 0)]
    while todo:
        node, cluster = todo.pop()
        while True:
            height, (first, last) = tree.height[node], tree.span[node]
            big = [child for child in tree.children[node] if _size(tree, child) >= smallest]
            if len(big) == 1:
                lost = last - first - _size(tree, big[0])
                mass[cluster] += lost * (height - birth[cluster])
                start, stop = tree.span[big[0]]
                fell[first:start] = cluster
                fell[stop:last] = cluster
                node = big[0]
                continue
            mass[cluster] += (last - first) * (height - birth[cluster])
            if big:
                inner[cluster] = True
                for child in big:
                    parent.append(cluster)
                    birth.append(height)
                    mass.append(0.0)
                    inner.append(False)
                    todo.append((child, len(parent) - 1))
            else:
                fell[first:last] = cluster
            break
    below = [0.0] * len(parent)
    chosen = [False] * len(parent)
    for cluster in range(len(parent) - 1, 0, -1):
        chosen[cluster] = not inner[cluster] or mass[cluster] >= below[cluster]
        below[parent[cluster]] += max(mass[cluster], below[cluster])
    label, n_found = [-1] * len(parent), 0
    for cluster in range(1, len(parent)):
        if label[parent[cluster]] >= 0:
            label[cluster] = label[parent[cluster]]
        elif chosen[cluster]:
            label[cluster] = n_found
            n_found += 1
    labels = np.empty(n_rows, np.int64)
    labels[tree.order] = np.array(label)[fell]
    return labels


def _size(tree: DensityTree, child: int) -> int:
    return 1 if child < 0 else tree.span[child][1] - tree.span[child][0]

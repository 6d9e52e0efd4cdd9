"""Partitions of one table side by side, so that all are measured at once."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.selection.geometry import Floats, Ints


class Crowd(NamedTuple):
    """Partitions side by side; cluster c of partition p has the number ``offsets[p] + c``.

    Parameters
    ----------
    labels : ndarray of shape (n_partitions, n_rows)
        From 0 within each partition, without gaps.
    counts : ndarray of shape (n_partitions,)
        Numbers of clusters.
    offsets : ndarray of shape (n_partitions,)
        Where a partition's clusters begin.
    numbers : ndarray of shape (n_partitions, n_rows)
        The cluster's number over all partitions.
    sizes : ndarray of shape (n_clusters,)
        Rows of every cluster.
    member : ndarray of shape (n_clusters, n_rows)
        1 where a row is of a cluster, else 0; float32.

    """

    labels: NDArray[np.integer[Any]]
    counts: Ints
    offsets: Ints
    numbers: Ints
    sizes: Floats
    member: NDArray[np.float32]

    def sums(self, values: NDArray[Any]) -> Floats:
        """Sum of values (n_partitions, n_rows), or (n_rows,), over each cluster's rows."""
        if values.ndim == 1:
            return np.asarray(self.member @ values.astype(np.float32), np.float64)
        total = np.bincount(self.numbers.ravel(), values.ravel(), minlength=len(self.sizes))
        return total.astype(np.float64, copy=False)

    def means(self, values: NDArray[Any]) -> Floats:
        """Likewise the mean."""
        return self.sums(values) / self.sizes

    def highest(self, values: NDArray[Any]) -> Floats:
        """Likewise the maximum."""
        # Sorted by cluster, for a maximum at scattered places takes five times as long.
        order = np.argsort(self.labels.astype(np.int16), axis=1, kind="stable")
        values = np.take_along_axis(np.broadcast_to(values, self.labels.shape), order, axis=1)
        starts = np.concatenate([[0], np.cumsum(self.sizes.astype(np.int64))[:-1]])
        return np.maximum.reduceat(values.ravel(), starts).astype(np.float64)

    def own(self, values: NDArray[Any]) -> NDArray[Any]:
        """Of values (n_clusters, n_rows) those of each row's own cluster, (n_partitions, n_rows)."""
        return np.take_along_axis(values, self.numbers, axis=0)

    def least(self, values: Floats) -> Floats:
        """Minimum over the clusters of each partition; the first axis of values is that of the clusters."""
        return np.minimum.reduceat(values, self.offsets, axis=0)

    def most(self, values: Floats) -> Floats:
        """Likewise the maximum."""
        return np.maximum.reduceat(values, self.offsets, axis=0)

    def total(self, values: Floats) -> Floats:
        """Likewise the sum."""
        return np.asarray(np.add.reduceat(values, self.offsets, axis=0))

    def mean(self, values: Floats) -> Floats:
        """Likewise the mean."""
        return self.total(values) / self.counts

    def weighted(self, values: Floats) -> Floats:
        """Likewise the mean by size."""
        return np.asarray(self.total(values * self.sizes) / self.labels.shape[1])


def crowd_of(partitions: list[Ints]) -> Crowd:
    """Put partitions side by side; labels should run from 0 without gaps."""
    labels = np.stack(partitions)
    counts = labels.max(1) + 1
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    numbers = labels + offsets[:, None]
    member = np.zeros((int(counts.sum()), labels.shape[1]), np.float32)
    np.put_along_axis(member, numbers, 1, axis=0)
    return Crowd(labels, counts, offsets, numbers, member.sum(1, dtype=np.float64), member)


def outline_of(labels: NDArray[np.integer[Any]]) -> Crowd:
    """Partitions (n_partitions, n_rows) of which sizes alone are asked: numbers and members are empty."""
    counts = labels.max(1).astype(np.int64) + 1
    sizes = [np.bincount(part, minlength=count) for part, count in zip(labels, counts, strict=True)]
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    nothing = np.empty((0, 0), np.float32)
    return Crowd(labels, counts, offsets, nothing.astype(np.int64), np.concatenate(sizes).astype(float), nothing)


def shared_rows(crowd: Crowd) -> NDArray[np.float32]:
    """How many rows every cluster shares with every other, (n_clusters, n_clusters)."""
    return crowd.member @ crowd.member.T


def adjusted_rand(both: Floats, ours: Floats, theirs: Floats, n_rows: float, trivial: float) -> Floats:
    """Adjusted Rand index (Hubert and Arabie 1985) from numbers of pairs of rows that lie together.

    Parameters
    ----------
    both, ours, theirs : ndarray
        Pairs together in both partitions, in one, in the other.
    n_rows : float
        Rows compared.
    trivial : float
        What two partitions get that leave nothing to agree on.

    Returns
    -------
    ndarray
        Of their common shape.

    """
    expected = ours * theirs / max(n_rows * (n_rows - 1) / 2, 1)
    room = (ours + theirs) / 2 - expected
    nothing = np.abs(room) < 1e-9
    return np.where(nothing, trivial, (both - expected) / np.where(nothing, 1, room))


def agreements(crowd: Crowd, shared: NDArray[np.float32]) -> Floats:
    """Adjusted Rand indices between all pairs, (n_partitions, n_partitions), from :func:`shared_rows`."""
    n_rows = crowd.labels.shape[1]
    # float32 holds the whole numbers up to n_rows^2 of a few thousand rows exactly.
    together = crowd.total(np.ascontiguousarray(crowd.total(shared * shared).T)).astype(np.float64)
    pairs = (together - n_rows) / 2
    alone = np.diag(pairs)
    return adjusted_rand(pairs, alone[:, None], alone[None, :], n_rows, trivial=1.0)


def recurrences(crowd: Crowd, shared: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """How often others find a cluster: the mean over partitions of the best Jaccard index, and the share above .8."""
    size = crowd.sizes.astype(np.float32)
    best = crowd.most(shared / (size[:, None] + size[None, :] - shared))  # (n_partitions, n_clusters)
    return best.mean(0, dtype=np.float64), (best > 0.8).mean(0)

"""Give rows a cluster by the nearest of those that were clustered: right for clusters of any shape."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from firstsight.selection.geometry import Floats, Geometry, Ints, asked, pairwise

__all__ = ["Anchors", "anchors_of", "assign", "support"]

CHUNK = 100_000  # rows at once
N_NEAREST = 3
FAR = 3.0  # times the widest gap inside a cluster
TINY = 1e-150


class Anchors(NamedTuple):
    """Clustered rows, all different.

    Parameters
    ----------
    X : ndarray of shape (n_anchors, n_features)
        Scaled.
    labels : ndarray of shape (n_anchors,)
        -1 is noise.
    strength : ndarray of shape (n_anchors,)
        Of their membership, in [0, 1].
    reach : ndarray of shape (n_anchors,)
        A row farther than this from its nearest anchor is noise; infinite where there is to be none.

    """

    X: Floats
    labels: Ints
    strength: Floats
    reach: Floats


def support(geometry: Geometry, labels: Ints) -> Floats:
    """Share of each row's neighbours, itself among them, that are of its cluster, (n_rows,)."""
    same = (labels[geometry.neighbors] == labels[:, None]).sum(1) + 1
    return np.asarray(same / (geometry.neighbors.shape[1] + 1))


def anchors_of(X: Floats, labels: Ints, strength: Floats, *, noise: bool) -> Anchors:
    """Anchors from clustered rows (n_rows, n_features); equal rows become one, with the label of the first."""
    _, first, copies = np.unique(X, axis=0, return_index=True, return_inverse=True)
    copies = copies.ravel()
    mean = np.bincount(copies, strength) / np.bincount(copies)
    kept = labels[first]
    reach = np.full(len(first), np.inf)
    if noise and len(first) > 2:
        distances = pairwise(X[first], X[first])
        np.fill_diagonal(distances, np.inf)
        nearest = distances.min(1)
        for label in np.unique(kept[kept >= 0]):
            mine = kept == label
            reach[mine] = FAR * nearest[mine].max()
    return Anchors(X[first], kept, mean, reach)


def assign(anchors: Anchors, X: Floats, n_jobs: int | None = None) -> tuple[Ints, Floats]:
    """Labels and strength of memberships of rows (n_rows, n_features), by a vote of the three nearest anchors."""
    labels, strength = np.empty(len(X), np.int64), np.empty(len(X))
    nearest = cKDTree(anchors.X)
    places = np.arange(1, min(N_NEAREST, len(anchors.X)) + 1)
    for first in range(0, len(X), CHUNK):
        distances, near = asked(nearest, X[first : first + CHUNK], places, n_jobs)
        vote = 1 / np.maximum(distances, TINY)
        vote /= vote.max(1, keepdims=True)
        label = anchors.labels[near]
        tally = (vote[:, None, :] * (label[:, :, None] == label[:, None, :])).sum(-1)
        winner = tally.argmax(1)  # of equal tallies the nearest
        here = np.arange(len(near))
        chosen = label[here, winner]
        share = tally[here, winner] / vote.sum(1)
        chosen = np.where(distances[:, 0] > anchors.reach[near[:, 0]], -1, chosen)
        labels[first : first + CHUNK] = chosen
        strength[first : first + CHUNK] = np.where(chosen < 0, 0, share * anchors.strength[near[here, winner]])
    return labels, strength

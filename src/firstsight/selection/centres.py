"""k-means for many numbers of clusters at once: Lloyd's algorithm, every assignment one matrix product.

scikit-learn's gives the same clusters from the same starts; at a thousand rows and forty starts it spends most of
its time on checks and threads.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from firstsight.selection.geometry import Floats, Ints

__all__ = ["lloyd", "plus_plus"]

STEPS = 40


def lloyd(X: Floats, starts: Sequence[Ints]) -> tuple[list[Ints], Floats]:
    """k-means from partitions.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Scaled.
    starts : sequence of ndarray of shape (n_rows,)
        A partition, labels 0 to k - 1 without gaps, for each run.

    Returns
    -------
    labels : list of ndarray of shape (n_rows,)
        Of each run; a cluster that lost its rows is gone, so that labels may have gaps.
    inertia : ndarray of shape (n_runs,)
        Mean squared distance to the own centre.

    """
    counts = np.array([int(start.max()) + 1 for start in starts])
    rows = np.arange(len(X))
    labels = np.stack(starts)
    data, square = X.astype(np.float32), (X**2).sum(1)
    gain = np.empty(len(starts))
    moving = np.arange(len(starts))  # runs that have not settled
    for _ in range(STEPS):
        offsets = np.concatenate([[0], np.cumsum(counts[moving])]).tolist()
        before = labels[moving]
        member = np.zeros((offsets[-1], len(X)), np.float32)
        for start, offset in zip(before, offsets[:-1], strict=True):
            member[start + offset, rows] = 1
        size = member.sum(1)
        centres = (member @ data) / np.maximum(size, 1)[:, None]
        # An empty cluster can win no row back.
        penalty = np.where(size > 0, 0.5 * (centres * centres).sum(1), np.inf)
        scores = centres @ data.T - penalty[:, None]
        after = np.stack([scores[o:p].argmax(0) for o, p in pairwise(offsets)])
        labels[moving] = after
        gain[moving] = np.take_along_axis(scores, after + np.array(offsets[:-1])[:, None], 0).mean(1, dtype=np.float64)
        moving = moving[(after != before).any(1)]
        if not len(moving):
            break
    return list(labels), square.mean() - 2 * gain


def plus_plus(X: Floats, counts: Sequence[int], generator: np.random.Generator) -> list[Ints]:
    """Starts by k-means++ (Arthur and Vassilvitskii 2007): the first k of one sequence of centres, for each k."""
    most = max(counts)
    chosen = [int(generator.integers(len(X)))]
    nearest = ((X - X[chosen[0]]) ** 2).sum(1)
    label = np.zeros(len(X), np.int64)
    found = {1: label}
    while len(chosen) < most:
        total = nearest.sum()
        if total <= 0:  # fewer different rows than centres
            break
        # The best of a few draws, as scikit-learn does it.
        draws = generator.choice(len(X), size=2 + int(np.log(most)), p=nearest / total)
        squares = ((X[:, None, :] - X[draws]) ** 2).sum(-1)
        pick = int(np.minimum(squares, nearest[:, None]).sum(0).argmin())
        closer = squares[:, pick] < nearest
        label = np.where(closer, len(chosen), label)
        nearest = np.minimum(nearest, squares[:, pick])
        chosen.append(int(draws[pick]))
        found[len(chosen)] = label
    return [found[min(count, len(found))] for count in counts]

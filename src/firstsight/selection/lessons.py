"""What a table with known clusters teaches: its proposals, described, with what each would have scored."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.selection.choose import COUNTS, first_work, look, second_work
from firstsight.selection.crowd import Crowd, adjusted_rand
from firstsight.selection.describe import Measures
from firstsight.selection.geometry import Floats, Ints
from firstsight.selection.portfolio import distinct, propose, scenes_of
from firstsight.selection.spaces import learn_spaces
from firstsight.selection.stray import stray_rows

__all__ = ["Lesson", "lesson_of"]

N_STRAY = 400  # rows of a table that the model of noise learns from


class Lesson(NamedTuple):
    """What one table teaches.

    Parameters
    ----------
    family : str
        Tables of one family are never on two sides of a fold.
    weight : float
        Of the table among all.
    n_clusters : ndarray of shape (n_truths,)
        Of its right partitions, noise not counted.
    classes : bool
        Whether the truth is classes, which need not be clusters: they say nothing of structure.
    labels : ndarray of shape (n_proposals, n_rows)
        The proposals, int16.
    origins : list of (str, str)
        Algorithm and scaling of each.
    clusters, partitions : dict of str to ndarray
        As in :class:`firstsight.selection.describe.Description`.
    facts : dict of str to float
        Of the table.
    purity, recall : ndarray of shape (n_clusters,)
        Of every cluster of the proposals.
    reached : ndarray of shape (n_proposals,)
        Adjusted Rand index, the best over the right partitions; noise rows of the truth left out.
    stray_names : list of str
    stray_rows : ndarray of shape (n_stray_rows, n_values)
        Of some rows, within the proposal that reaches most.
    stray : ndarray of shape (n_stray_rows,)
        Whether the truth calls them noise.

    """

    family: str
    weight: float
    n_clusters: Ints
    classes: bool
    labels: NDArray[np.int16]
    origins: list[tuple[str, str]]
    clusters: Measures
    partitions: Measures
    facts: dict[str, float]
    purity: Floats
    recall: Floats
    reached: Floats
    stray_names: list[str]
    stray_rows: Floats
    stray: NDArray[np.bool_]


def lesson_of(
    X: Floats,
    groups: Ints,
    truths: Sequence[Ints],
    *,
    family: str,
    seed: int,
    weight: float = 1.0,
    classes: bool = False,
) -> Lesson:
    """Propose, describe and score, as :func:`firstsight.selection.choose.choose` would without a judge.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Finite numbers.
    groups : ndarray of shape (n_features,)
        Columns that come from one category have one number.
    truths : sequence of ndarray of shape (n_rows,)
        Right partitions; -1 is noise.
    family, weight, classes
        As of the lesson.
    seed : int
        Of random starts, and of the families that go on to the second round, which are drawn.

    Returns
    -------
    Lesson

    Raises
    ------
    ValueError
        When there are fewer than two rows, columns that all are constant, or a truth of another length.

    """
    if any(len(truth) != len(X) for truth in truths) or not len(truths):
        raise ValueError(f"truths should be one or more of {len(X)} labels; found {[len(truth) for truth in truths]}")
    if any((np.asarray(truth) < 0).all() for truth in truths):
        raise ValueError("truths should have rows that are not noise (-1); found one of noise alone")
    rng = np.random.default_rng([seed, 7])
    spaces = learn_spaces(X, groups)
    scenes = scenes_of(X, spaces, seed)
    first = propose(scenes, first_work(len(X), COUNTS))
    second = propose(scenes, second_work(first, rng.random(len(first)), list(spaces), len(X), COUNTS))
    seen = look(scenes, X, distinct([*first, *second]))
    tallies = [_tally(seen.crowd, truth) for truth in truths]
    indices = np.stack([_indices(seen.crowd, tally) for tally in tallies])
    best = indices.argmax(0)
    purity, recall = np.zeros(len(seen.crowd.sizes)), np.zeros(len(seen.crowd.sizes))
    for place, tally in enumerate(tallies):
        mine = np.repeat(best == place, seen.crowd.counts)
        pure, whole = _shares(seen.crowd, tally)
        purity[mine], recall[mine] = pure[mine], whole[mine]
    top = int(indices.max(0).argmax())
    names, rows = stray_rows(scenes["standard"].geometry, seen.proposals[top].labels, seen.facts)
    some = rng.permutation(len(X))[:N_STRAY]
    return Lesson(
        family=family, weight=weight, classes=classes,
        n_clusters=np.array([len(np.unique(truth[truth >= 0])) for truth in truths]),
        labels=seen.crowd.labels.astype(np.int16),
        origins=[(proposal.algorithm, proposal.space) for proposal in seen.proposals],
        clusters=seen.description.clusters, partitions=seen.description.partitions, facts=seen.facts,
        purity=purity, recall=recall, reached=indices.max(0),
        stray_names=names, stray_rows=rows[some], stray=(truths[0] < 0)[some],
    )  # fmt: skip


def _tally(crowd: Crowd, truth: Ints) -> Floats:
    """How many rows every cluster shares with every true one, noise left out, (n_clusters, n_true)."""
    keep = truth >= 0
    codes = np.unique(truth[keep], return_inverse=True)[1]
    return np.asarray(crowd.member[:, keep] @ np.eye(codes.max() + 1, dtype=np.float32)[codes], np.float64)


def _indices(crowd: Crowd, tally: Floats) -> Floats:
    """Adjusted Rand index of every partition with the truth; 0 where both are trivial."""

    def pairs(counts: Floats) -> Floats:
        return counts * (counts - 1) / 2

    n_rows = tally[: crowd.counts[0]].sum()
    both = crowd.total(pairs(tally).sum(1))
    ours = crowd.total(pairs(tally.sum(1)))
    true = pairs(tally[: crowd.counts[0]].sum(0)).sum()
    return adjusted_rand(both, ours, true, n_rows, trivial=0.0)


def _shares(crowd: Crowd, tally: Floats) -> tuple[Floats, Floats]:
    """Of every cluster: the share that is of its commonest true cluster, and the share of that one that it holds."""
    commonest = tally.argmax(1)
    shared = tally[np.arange(len(tally)), commonest]
    whole = tally[: crowd.counts[0]].sum(0)
    return shared / np.maximum(tally.sum(1), 1), shared / whole[commonest]

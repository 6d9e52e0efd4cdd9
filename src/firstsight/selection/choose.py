"""Choose a partition of one table: propose, describe, judge; then propose more where it promises most.

In the *first round* every family of algorithms proposes in the standard scaling. The judge rates the proposals, and in
the *second round* the families of the best proposals propose in the table's other scalings, around the numbers
of clusters that were rated highest. All are then described and rated together. The work is a list that depends on the
table alone, never on the clock.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from firstsight.selection.crowd import Crowd, crowd_of
from firstsight.selection.describe import Description, Measures, compared, describe, joined
from firstsight.selection.facts import facts_of
from firstsight.selection.geometry import Floats, Ints
from firstsight.selection.judge import Judge
from firstsight.selection.portfolio import Proposal, Scene, Work, distinct, propose, scenes_of
from firstsight.selection.rows import (
    FAMILIES,
    cluster_opinions,
    cluster_rows,
    family_of,
    proposal_rows,
    table_row,
)
from firstsight.selection.spaces import Space, learn_spaces
from firstsight.selection.stray import stray_rows

COUNTS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 17, 20, 25)
MOST_GAUSSIANS = 10
LEADERS = 3  # families that go on to the second round
AROUND = 2  # numbers of clusters on both sides of a good one

MEMBERS = {
    "k-means": ("k-means",), "ward": ("ward",), "average": ("average",), "gmm": ("gmm-full", "gmm-diag", "gmm-tied"),
    "genie": ("genie", "genie-loose", "genie-core", "genie-dense"), "modes": ("modes",),
    "hdbscan": ("hdbscan", "hdbscan-smooth"),
}  # fmt: skip


class Seen(NamedTuple):
    """Proposals of one table and their description.

    Parameters
    ----------
    proposals : list of Proposal
    crowd : Crowd
        Their partitions.
    description : Description
    facts : dict of str to float
        Of the table.

    """

    proposals: list[Proposal]
    crowd: Crowd
    description: Description
    facts: dict[str, float]


class Rated(NamedTuple):
    """What the judge read and said.

    Parameters
    ----------
    measures : dict of str to ndarray of shape (n_proposals,)
        Of the partitions, with what is thought of their clusters.
    names : list of str
        Of the rows' values.
    rows : ndarray of shape (n_proposals, n_values)
    ratings : ndarray of shape (n_proposals,)
        The higher, the better among the table's proposals.
    qualities : ndarray of shape (n_proposals,)
        Expected adjusted Rand index, if the table has clusters; not yet calibrated.

    """

    measures: Measures
    names: list[str]
    rows: Floats
    ratings: Floats
    qualities: Floats


class Choice(NamedTuple):
    """The answer for one table.

    Parameters
    ----------
    seen : Seen
    rated : Rated
    structured : float
        Probability that the table has more than one cluster.
    posterior : dict of int to float
        Probability of each number of clusters, 1 among them.
    best : int
        Place of the proposal rated highest among those allowed.
    stray : ndarray of shape (n_rows,)
        Probability that a row belongs to no cluster, within the best proposal.
    scene : Scene
        The table in the standard scaling.
    space : Space
        That scaling.

    """

    seen: Seen
    rated: Rated
    structured: float
    posterior: dict[int, float]
    best: int
    stray: Floats
    scene: Scene
    space: Space


def choose(X: Floats, groups: Ints, judge: Judge, counts: Sequence[int], seed: int, *, second: bool = True) -> Choice:
    """Choose among partitions of a table.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Finite numbers, a few thousand rows at most.
    groups : ndarray of shape (n_features,)
        Columns that come from one category have one number.
    judge : Judge
        Meta-learned.
    counts : sequence of int
        Numbers of clusters that are allowed, 2 or more each.
    seed : int
        Of random starts.
    second : bool
        Whether there is a second round.

    Returns
    -------
    Choice

    Raises
    ------
    ValueError
        When no algorithm finds an allowed partition.

    """
    spaces = learn_spaces(X, groups)
    scenes = scenes_of(X, spaces, seed)
    proposals = _allowed(propose(scenes, first_work(len(X), counts)), counts)
    if not proposals:
        raise ValueError(
            f"n_clusters should be one that an algorithm finds; none of {list(counts)} was; try a wider range"
        )
    seen = look(scenes, X, proposals)
    rated = rate(judge, seen)
    if second and len(spaces) > 1:
        more = propose(scenes, second_work(seen.proposals, rated.ratings, list(spaces), len(X), counts))
        more = distinct([*seen.proposals, *_allowed(more, counts)])
        if len(more) > len(seen.proposals):
            seen = look(scenes, X, more, seen)
            rated = rate(judge, seen)
    best = int(rated.ratings.argmax())
    names, row = table_row(rated.measures, seen.facts, rated.ratings, rated.qualities)
    structured = judge.structured(names, row)
    posterior = _posterior(seen.crowd.counts, rated.ratings, structured, judge.settings.temperature)
    names, rows = stray_rows(scenes["standard"].geometry, seen.proposals[best].labels, seen.facts)
    stray = judge.predict("stray", names, rows)
    return Choice(seen, rated, structured, posterior, best, stray, scenes["standard"], spaces["standard"])


def look(scenes: dict[str, Scene], X: Floats, proposals: list[Proposal], before: Seen | None = None) -> Seen:
    """Describe proposals in the standard scaling.

    Parameters
    ----------
    scenes : dict of str to Scene
        The table in its scalings.
    X : ndarray of shape (n_rows, n_features)
        In numbers as it came.
    proposals : list of Proposal
        At least one.
    before : Seen, optional
        What is known of the first of them.

    Returns
    -------
    Seen

    """
    scene = scenes["standard"]
    crowd = crowd_of([proposal.labels for proposal in proposals])
    new = proposals[len(before.proposals) :] if before else proposals
    fresh = crowd_of([proposal.labels for proposal in new]) if before else crowd
    alone = describe(fresh, scene.geometry, scene.peaks, scene.compact)
    alone = joined(before.description, alone) if before else alone
    facts = before.facts if before else facts_of(X, scene.geometry, scene.peaks)
    return Seen(proposals, crowd, compared(alone, crowd), facts)


def rate(judge: Judge, seen: Seen) -> Rated:
    """What the judge says of proposals."""
    names, rows = cluster_rows(seen.description.clusters, seen.facts)
    opinions = cluster_opinions(seen.crowd, judge.predict("purity", names, rows), judge.predict("recall", names, rows))
    measures = seen.description.partitions | opinions
    names, rows = proposal_rows(measures, seen.facts, [(p.algorithm, p.space) for p in seen.proposals])
    ratings = judge.rate(names, rows, seen.facts)
    return Rated(measures, names, rows, ratings, judge.predict("quality", names, rows))


def first_work(n_rows: int, counts: Sequence[int]) -> list[Work]:
    """What every table is asked in the standard scaling."""
    return [
        Work("standard", member, _settings(member, n_rows, counts)) for name in FAMILIES for member in MEMBERS[name]
    ]


def second_work(
    proposals: Sequence[Proposal], ratings: Floats, spaces: Sequence[str], n_rows: int, counts: Sequence[int]
) -> list[Work]:
    """What the families of the proposals rated highest are asked in the other scalings."""
    best: dict[str, int] = {}
    for place in np.argsort(-ratings, kind="stable"):
        best.setdefault(family_of(proposals[place].algorithm), int(proposals[place].labels.max()) + 1)
    leaders = list(best)[:LEADERS]
    near = [k for k in counts if any(abs(k - best[name]) <= AROUND for name in leaders)]
    return [
        Work(space, member, _settings(member, n_rows, near))
        for space in spaces if space != "standard"
        for name in leaders for member in MEMBERS[name]
    ]  # fmt: skip


def _settings(algorithm: str, n_rows: int, counts: Sequence[int]) -> tuple[int, ...]:
    if algorithm.startswith("hdbscan"):
        return tuple(sorted({4, 8, 15, *(max(5, n_rows // part) for part in (50, 25, 12))}))
    most = MOST_GAUSSIANS if algorithm.startswith("gmm") else max(counts, default=0)
    return tuple(k for k in counts if k <= most) or tuple(counts)[:1]


def _allowed(proposals: list[Proposal], counts: Sequence[int]) -> list[Proposal]:
    """Those whose number of clusters is allowed: given explicitly, or up to the largest of the usual."""
    most = max(counts)
    allowed = range(2, most + 1) if tuple(counts) == COUNTS else counts
    return [proposal for proposal in proposals if int(proposal.labels.max()) + 1 in allowed]


def _posterior(counts: Ints, ratings: Floats, structured: float, temperature: float) -> dict[int, float]:
    """Of every number of clusters: its best proposal's weight in a softmax, next to no structure."""
    numbers = np.unique(counts)
    best = np.array([ratings[counts == number].max() for number in numbers])
    weight = np.exp((best - best.max()) / temperature)
    weight *= structured / weight.sum()
    return {1: 1 - structured} | dict(zip(numbers.tolist(), weight.tolist(), strict=True))

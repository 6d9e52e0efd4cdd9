"""How much of a table a map keeps, without labels: near, far, and row by row."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.selection.geometry import Floats, Ints, nearest, pairwise
from firstsight.selection.spaces import variances

__all__ = [
    "MEASURES", "Truth", "kept", "map_triplets", "measured", "neighbour_counts", "order_of", "row_faithfulness",
    "scales_of", "triplets_kept", "truth_of",
]  # fmt: skip

NEAR = (5, 15, 50)  # neighbours
N_TRIPLETS = 20  # a row
CHUNK = 5000  # rows at once
MEASURES = (
    "recall_5", "recall_15", "recall_50", "trustworthiness", "continuity", "triplets", "rank_correlation", "stress",
    "agreement",
)  # fmt: skip


class Truth(NamedTuple):
    """What a map of a table of n rows is held against.

    Parameters
    ----------
    distances : ndarray of shape (n_rows, n_rows)
        float32, in the standardised table.
    order : ndarray of shape (n_rows, n_rows - 1)
        Other rows of each row, nearest first.
    triplets : ndarray of shape (n_triplets, 3)
        A row and two others.
    pairs : ndarray of shape (n_rows * (n_rows - 1) / 2,)
        Ranks of the distances of all pairs, centred and of length 1.

    """

    distances: NDArray[np.float32]
    order: Ints
    triplets: Ints
    pairs: Floats


def scales_of(X: Floats, groups: Ints) -> Floats:
    """What standardises columns (n_rows, n_features): 1 over their deviation, a common one for those of one group."""
    total = np.bincount(groups, variances(X))[groups]
    return np.divide(1, np.sqrt(total), out=np.zeros_like(total), where=total > 0)


def truth_of(X: Floats, seed: int) -> Truth:
    """Measure a standardised table (n_rows, n_features) of three rows or more."""
    distances = pairwise(X, X)
    distances = np.maximum(distances, distances.T)
    return Truth(distances, order_of(distances), _triplets(len(X), seed), _pair_ranks(distances))


def measured(truth: Truth, places: Floats, consensus: Floats | None = None) -> dict[str, float]:
    """Measures of a map, larger is better.

    Parameters
    ----------
    truth : Truth
        Of n rows.
    places : ndarray of shape (n_rows, n_components)
        The map.
    consensus : ndarray of shape (n_rows, n_rows), optional
        Share of all maps in which a row is among the nearest of another.

    Returns
    -------
    dict of str to float
        ``recall_k``, the share of the k nearest that are kept, corrected for chance; ``trustworthiness`` and
        ``continuity`` (Venna and Kaski 2001) of 15; ``triplets``, how often the nearer of two rows stays the nearer;
        ``rank_correlation`` (Spearman) of all distances; ``stress``, the cosine of both distances; ``agreement``, how
        many maps have the neighbours of this one.

    """
    n_rows = len(places)
    distances = pairwise(places, places)
    order = order_of(distances)
    found = {f"recall_{k}": float(kept(truth.order, order, k).mean()) for k in NEAR}
    near = min(15, (n_rows - 1) // 2)
    found["trustworthiness"] = _intrusion(truth.order, order, near)
    found["continuity"] = _intrusion(order, truth.order, near)
    found["triplets"] = triplets_kept(truth, distances)
    ranks = _pair_ranks(distances)
    found["rank_correlation"] = float(ranks @ truth.pairs)
    lengths = float(np.linalg.norm(distances)) * float(np.linalg.norm(truth.distances))
    found["stress"] = float(np.sum(distances * truth.distances, dtype=np.float64)) / lengths if lengths else 0.0
    found["agreement"] = 0.0
    if consensus is not None:
        found["agreement"] = float(np.take_along_axis(consensus, order[:, :near], axis=1).mean())
    return found


def kept(wanted: Ints, found: Ints, count: int) -> Floats:
    """Share of the nearest of each row that are among those found, corrected for chance, (n_rows,), 0 to 1.

    Parameters
    ----------
    wanted, found : ndarray of shape (n_rows, n_others)
        Other rows, nearest first.
    count : int
        How many of them are near; at most half of the others count.

    """
    n_others = wanted.shape[1]
    count = max(min(count, n_others // 2), 1)
    return _shared(wanted[:, :count], found[:, :count], n_others)


def row_faithfulness(Z: Floats, places: Floats, known: Floats, known_places: Floats, own: Ints) -> Floats:
    """How far rows keep their neighbours: the share of the nearest 15 known rows, corrected for chance.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_features)
        Standardised rows.
    places : ndarray of shape (n_rows, n_components)
        Of them on the map.
    known, known_places : ndarray of shape (n_known, n_features) and (n_known, n_components)
        Rows among which neighbours are sought.
    own : ndarray of shape (n_rows,)
        Which known row a row is itself, -1 for none: no row is its own neighbour.

    Returns
    -------
    ndarray of shape (n_rows,)
        0 to 1; 1 where there are no two others to tell apart.

    """
    found = np.ones(len(Z))
    n_others = len(known) - 1
    count = min(15, n_others // 2)
    if count < 1:
        return found
    for first in range(0, len(Z), CHUNK):
        part = slice(first, first + CHUNK)
        itself = np.flatnonzero(own[part] >= 0)
        near = []
        for rows, reference in ((Z[part], known), (places[part], known_places)):
            distances = pairwise(rows, reference)
            distances[itself, own[part][itself]] = np.inf
            near.append(nearest(distances, count)[0])
        found[part] = _shared(near[0], near[1], n_others)
    return found


def triplets_kept(truth: Truth, distances: NDArray[np.float32]) -> float:
    """How often the nearer of two rows stays the nearer on a map with these distances; a tie counts half."""
    return _triplets_kept(truth.triplets, truth.distances, distances)


def map_triplets(Z: Floats, places: Floats, seed: int) -> float:
    """The same of a standardised table (n_rows, n_features) and a map of it (n_rows, n_components); 1 below 3 rows."""
    if len(Z) < 3:
        return 1.0
    return _triplets_kept(_triplets(len(Z), seed), pairwise(Z, Z), pairwise(places, places))


def neighbour_counts(maps: list[Floats], count: int) -> Floats:
    """Share of maps in which a row is among the nearest of another, (n_rows, n_rows)."""
    total = np.zeros((len(maps[0]), len(maps[0])), np.float32)
    rows = np.arange(len(total))[:, None]
    for places in maps:
        total[rows, order_of(pairwise(places, places))[:, :count]] += 1
    return total / len(maps)


def order_of(distances: NDArray[np.float32]) -> Ints:
    """Other rows of each row, nearest first, (n_rows, n_rows - 1)."""
    apart = distances.copy()
    np.fill_diagonal(apart, -1)
    return np.argsort(apart, axis=1, kind="stable")[:, 1:]


def _shared(wanted: Ints, found: Ints, n_others: int) -> Floats:
    """Share of the wanted (n_rows, count) that are found (n_rows, count), corrected for chance."""
    share = (wanted[:, :, None] == found[:, None, :]).any(2).mean(1)
    chance = wanted.shape[1] / n_others
    return np.clip((share - chance) / (1 - chance), 0, 1) if chance < 1 else np.ones(len(wanted))


def _pair_ranks(distances: NDArray[np.float32]) -> Floats:
    values = distances[np.triu_indices(len(distances), 1)]
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    ranks -= ranks.mean()
    return np.asarray(ranks / (np.linalg.norm(ranks) or 1.0))


def _intrusion(wanted: Ints, found: Ints, count: int) -> float:
    """1 less the mean rank, beyond the nearest, of the rows that are near where they should not be."""
    n_rows, n_others = wanted.shape
    rank = np.empty((n_rows, n_rows), np.int64)
    np.put_along_axis(rank, wanted, np.arange(1, n_others + 1)[None], axis=1)
    beyond = np.maximum(np.take_along_axis(rank, found[:, :count], axis=1) - count, 0)
    worst = n_rows * count * (2 * n_rows - 3 * count - 1)
    return 1 - 2 * float(beyond.sum()) / worst if worst > 0 else 1.0


def _triplets(n_rows: int, seed: int) -> Ints:
    rng = np.random.default_rng([seed, 3])
    first = np.repeat(np.arange(n_rows), N_TRIPLETS)
    steps = rng.integers(1, n_rows, (len(first), 2))
    # Two different others.
    steps[:, 1] = np.where(steps[:, 0] == steps[:, 1], steps[:, 1] % (n_rows - 1) + 1, steps[:, 1])
    return np.column_stack([first, (first[:, None] + steps) % n_rows])


def _triplets_kept(triplets: Ints, wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    row, one, other = triplets.T
    before = np.sign(wanted[row, one] - wanted[row, other])
    after = np.sign(found[row, one] - found[row, other])
    known = before != 0
    return float((0.5 + 0.5 * before * after)[known].mean()) if known.any() else 1.0

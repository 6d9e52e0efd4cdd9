"""What can happen to rows: a dozen kinds of anomalies, each a function of normal rows and a strength.

An anomaly starts as a spare normal row (a seed). ``strength`` is about how many standard deviations the anomalies
lie apart from the normal rows for a detector that knows what to look at; it is corrected for the number of
columns, because a change of all columns adds up and a change of one among many is hidden.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from firstsight.tasks.synthetic.primitives import Array, Labels, Rng

TINY = 1e-12  # ties of a column that is constant, which goes with nothing


class Scene(NamedTuple):
    """Normal rows, and spare ones to be turned into anomalies.

    Parameters
    ----------
    Z : ndarray of shape (n_normal, n_columns)
        Normal rows.
    seeds : ndarray of shape (n_anomalies, n_columns)
        Spare normal rows.
    middles : ndarray of shape (n_anomalies, n_columns)
        Means of the seeds' clusters.
    spread : ndarray of shape (n_columns,)
        Standard deviations of the columns.
    rank : float
        How many independent columns there are in effect, from 1 to n_columns.
    broken : callable or None
        ``(rng, m, strength) -> ndarray (m, n_columns)``, where causes are known.
    held_out : ndarray of shape (n_held_out, n_columns)
        Rows of held-out classes.

    """

    Z: Array
    seeds: Array
    middles: Array
    spread: Array
    rank: float
    broken: Callable[[Rng, int, float], Array] | None
    held_out: Array


def scene(
    Z: Array,
    groups: Labels,
    seeds: Array,
    seed_groups: Labels,
    broken: Callable[[Rng, int, float], Array] | None,
    held_out: Array,
) -> Scene:
    """A scene from normal rows (n_normal, n_columns) and seeds (n_anomalies, n_columns), with their clusters."""
    both, labels = np.concatenate([Z, seeds]), np.concatenate([groups, seed_groups])
    k = int(labels.max()) + 1
    sums = np.zeros((k, Z.shape[1]))
    np.add.at(sums, labels, both)
    means = sums / np.maximum(np.bincount(labels, minlength=k), 1)[:, None]
    spread = np.maximum(both.std(0), 1e-9)
    # The participation ratio of the correlations: all columns equal give 1, independent ones their number.
    W = (both - both.mean(0)) / spread
    C = W.T @ W / len(W)
    return Scene(Z, seeds, means[seed_groups], spread, float(Z.shape[1] ** 2 / (C**2).sum()), broken, held_out)


def local(rng: Rng, s: Scene, strength: float) -> Array:
    """Rows of shape (n_anomalies, n_columns) about their own cluster, wider than it is."""
    return np.asarray(s.middles + _factor(strength, s.rank) * (s.seeds - s.middles))


def scattered(rng: Rng, s: Scene, strength: float) -> Array:
    """Values anywhere in a box about all rows, in as many columns as the strength needs, then in a wider box."""
    m, d = s.seeds.shape
    low, high = np.quantile(s.Z, [0.005, 0.995], axis=0)
    # One such column adds about 1.2 to the squared distance, whose deviation is sqrt(2 rank).
    needed = 1.3 * strength * np.sqrt(2 * s.rank) / 1.2
    wider = np.sqrt(max(1.0, (1 + 1.2 * needed / d) / 2.2))
    middle, half = (low + high) / 2, wider * (high - low) / 2
    some = rng.random((m, d)).argsort(1) < max(1, round(needed))
    return np.where(some, rng.uniform(middle - half, middle + half, (m, d)), s.seeds)


def clustered(rng: Rng, s: Scene, strength: float) -> Array:
    """One to three small clusters, beside the normal rows or between them, at times far denser than they are."""
    m, d = s.seeds.shape
    n_clusters = int(rng.integers(1, min(3, m) + 1))
    which = rng.integers(n_clusters, size=m)
    dense = rng.uniform(0.005, 0.1) if rng.random() < 0.3 else rng.uniform(0.1, 0.6)
    pairs = s.Z[rng.integers(len(s.Z), size=(2, n_clusters))]
    if rng.random() < 0.12:
        # Between two rows, where there may be a gap.
        centres = pairs.mean(0)
    else:
        centres = s.Z.mean(0) + rng.uniform(0, 1) * (pairs[0] - s.Z.mean(0))
        centres = centres + _away(rng, s, n_clusters) * (1 + 2 * strength) * s.rank**0.25
    # Independent noise fills all columns, where the normal rows fill a few directions.
    size = dense * np.sqrt(s.rank / d) * np.minimum(1.0, np.abs(s.seeds - s.middles).mean(0) / s.spread)
    return np.asarray(centres[which] + size * s.spread * rng.standard_normal((m, d)))


def dependency(rng: Rng, s: Scene, strength: float) -> Array:
    """Values that are all usual and do not go together: broken causes, or a block of columns from another row."""
    m, d = s.seeds.shape
    if s.broken is not None and rng.random() < 0.6:
        return s.broken(rng, m, strength)
    out = s.seeds.copy()
    whole = rng.random() < 0.5
    # Moving more than half of the columns as one would be moving the others; each alone, the more the stronger.
    most = max(1, d // 2) if whole else d
    n_moved = int(np.clip(round(most * (0.05 + 0.3 * strength)), 1 if whole else min(2, d), most))
    # Columns that go with others are the ones whose company can be wrong.
    W = (s.Z - s.Z.mean(0)) / s.spread
    ties = ((W.T @ W / len(W)) ** 2).sum(0)
    columns = np.argsort(-np.log(np.maximum(ties, TINY)) - rng.gumbel(size=d))[:n_moved]
    if whole:
        out[:, columns] = s.Z[rng.integers(len(s.Z), size=m)][:, columns]
    else:
        for j in columns:
            out[:, j] = s.Z[rng.integers(len(s.Z), size=m), j]
    return out


def measurement(rng: Rng, s: Scene, strength: float) -> Array:
    """One to three columns of each row far from what they were, as when a sensor fails."""
    m, d = s.seeds.shape
    some = rng.random((m, d)).argsort(1) < rng.integers(1, min(3, d) + 1, (m, 1))
    size = (0.5 + 1.4 * strength) * np.exp(rng.normal(0, 0.4, (m, d))) * max(1.0, 0.7 * s.rank**0.25)
    sign = rng.choice([-1, 1], (m, d)) if rng.random() < 0.7 else rng.choice([-1, 1], d)
    return np.asarray(s.seeds + some * size * sign * s.spread)


def tails(rng: Rng, s: Scene, strength: float) -> Array:
    """Values pushed into the tails of their columns, on both sides or on one."""
    m, d = s.seeds.shape
    depth = 0.3 * np.exp(-1.3 * strength)
    share = min(1.0, rng.uniform(0.1, 0.4) * (0.5 + 0.3 * strength))
    n_pushed = max(1, round(share * d))
    order = rng.random((m, d)) if rng.random() < 0.5 else np.broadcast_to(rng.random(d), (m, d))
    u = depth * rng.random((m, d))
    upper = rng.random((m, d)) < rng.choice([0.0, 0.5, 1.0], p=[0.15, 0.55, 0.3])
    places = np.where(upper, 1 - u, u) * (len(s.Z) - 1)
    ordered = np.sort(s.Z, 0)
    values = np.take_along_axis(ordered, np.round(places).astype(np.int64), 0)
    # Beyond the last row, or no table would have a value that is new.
    beyond = rng.exponential(0.15 * strength, (m, d)) * s.spread * np.where(upper, 1, -1)
    return np.where(order.argsort(1).argsort(1) < n_pushed, values + beyond, s.seeds)


def subspace(rng: Rng, s: Scene, strength: float) -> Array:
    """Rows that are wider, or moved, in the same few of many columns only."""
    d = s.seeds.shape[1]
    n_columns = int(rng.integers(1, max(2, d // 4) + 1))
    columns = rng.permutation(d)[:n_columns]
    out = s.seeds.copy()
    # What all other columns add hides it: more is needed the more they are.
    more = 1.2 * strength * (d / n_columns) ** 0.25
    if rng.random() < 0.6:
        factor = _factor(1.5 * more, n_columns)
        out[:, columns] = (s.middles + factor * (s.seeds - s.middles))[:, columns]
    else:
        direction = rng.choice([-1, 1], n_columns) * rng.uniform(0.5, 1, n_columns)
        out[:, columns] += 1.2 * more * s.spread[columns] * direction / np.linalg.norm(direction) * n_columns**0.25
    return out


def shifted(rng: Rng, s: Scene, strength: float) -> Array:
    """All rows moved along one direction: a law of its own that overlaps the normal one."""
    return np.asarray(s.seeds + 1.1 * strength * s.rank**0.25 * _away(rng, s, 1))


def larger(rng: Rng, s: Scene, strength: float) -> Array:
    """Many columns larger at once, by an amount of the row's own, as sums that were made up are."""
    m, d = s.seeds.shape
    loads = np.where(rng.random(d) < rng.uniform(0.3, 1), rng.uniform(0.3, 1, d), 0.0)
    loads[rng.integers(d)] = 1.0
    if rng.random() < 0.3:
        loads *= rng.choice([-1, 1], d)
    amount = rng.gamma(2, 0.5, (m, 1)) if rng.random() < 0.6 else 1.0
    size = 1.3 * strength * s.rank**0.25 / np.linalg.norm(loads)
    return np.asarray(s.seeds + amount * size * loads * s.spread)


def empty(rng: Rng, s: Scene, strength: float) -> Array:
    """Fields that hold their default value: low, or the usual one."""
    m, d = s.seeds.shape
    low = np.quantile(s.Z, rng.choice([0.0, 0.02, 0.1]), axis=0) - rng.uniform(0, 0.3) * strength * s.spread
    default = np.where(rng.random(d) < rng.choice([0.0, 0.0, 0.3, 0.6]), np.median(s.Z, 0), low)
    share = min(0.7, rng.uniform(0.1, 0.3) * (0.5 + strength))
    drawn = rng.random((m, d)) if rng.random() < 0.6 else np.tile(rng.random(d), (m, 1))
    some = np.asarray(drawn < share)
    some[np.arange(m), rng.integers(d, size=m)] = True
    return np.where(some, default, s.seeds)


def central(rng: Rng, s: Scene, strength: float) -> Array:
    """Rows nearer to the middle of their cluster than normal rows are: too normal."""
    return np.asarray(s.middles + (s.seeds - s.middles) / _factor(0.5 * strength, s.rank))


def held_out(rng: Rng, s: Scene, strength: float) -> Array:
    """Rows of held-out classes, at times moved away a little from the normal ones."""
    rows = s.held_out[rng.choice(len(s.held_out), len(s.seeds), replace=len(s.held_out) < len(s.seeds))]
    if rng.random() < 0.5:
        return rows
    apart = (rows.mean(0) - s.Z.mean(0)) / s.spread
    length = max(float(np.linalg.norm(apart)), 1e-9)
    return np.asarray(rows + 0.7 * strength * s.rank**0.25 * apart / length * s.spread)


KINDS: dict[str, Callable[[Rng, Scene, float], Array]] = {
    "local": local,
    "scattered": scattered,
    "clustered": clustered,
    "dependency": dependency,
    "measurement": measurement,
    "tails": tails,
    "subspace": subspace,
    "shifted": shifted,
    "larger": larger,
    "empty": empty,
    "central": central,
    "held_out": held_out,
}


def _factor(strength: float, rank: float) -> float:
    """How much wider rows of this many columns are whose squared lengths differ by ``strength`` deviations."""
    return float(np.sqrt(1 + 1.3 * strength * np.sqrt(2 / rank)))


def _away(rng: Rng, s: Scene, n: int) -> Array:
    """Directions of shape (n, n_columns), of length 1 in standard deviations; of few columns at times."""
    d = len(s.spread)
    steps = rng.standard_normal((n, d)) * (rng.random((n, d)) < rng.choice([0.3, 1.0], p=[0.3, 0.7]))
    steps[np.arange(n), rng.integers(d, size=n)] += 0.1
    return np.asarray(steps / np.linalg.norm(steps, axis=1, keepdims=True) * s.spread)

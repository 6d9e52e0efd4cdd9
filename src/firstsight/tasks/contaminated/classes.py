"""Tables cut into classes by a random teacher, some of whose classes are held out: one class against the rest.

A held-out class is a region of the very law that the normal rows follow, so that it touches them, and nothing
but its thin border need tell it. The teacher is a random tree, a random net or a line over the causes of the
rows, or the clusters of the table themselves.
"""

import numpy as np
from numpy.typing import NDArray

from firstsight.tasks.contaminated.worlds import World
from firstsight.tasks.synthetic.primitives import Array, Labels, Rng

Flags = NDArray[np.bool_]


def cut(rng: Rng, world: World, n_held_out: int, strength: float) -> World:
    """The world without the rows of some classes, which become its ``held_out`` rows.

    Parameters
    ----------
    rng : Generator
        Advanced.
    world : World
        With about three times as many rows as the table is to have.
    n_held_out : int
        How many held-out rows are needed; fewer than half of the world's.
    strength : float
        About 0 to 4: the larger, the more often outlying classes are held out.

    Returns
    -------
    world : World
        At least half of the rows are kept, and ``n_held_out`` or more held out.

    """
    n = len(world.Z)
    least = max(n_held_out, 1)
    wanted = int(np.clip(round(n * rng.uniform(0.02, 0.3)), least, n // 2))
    causes = _standard(world.causes)
    parts = _parts(rng, world, causes)
    Z = _standard(world.Z)
    far = np.sqrt((Z**2).mean(1))
    means = np.bincount(parts, far) / np.maximum(np.bincount(parts), 1)
    # The further out a class is, the more likely it is the rare one.
    order = np.argsort(-(0.5 * strength * (means - means.mean()) / (means.std() + 1e-9) + rng.gumbel(size=len(means))))
    held = np.zeros(n, bool)
    for part in order:
        own = parts == part
        if held.sum() + own.sum() <= n // 2:
            held |= own
        if held.sum() >= wanted:
            break
    if held.sum() < least:
        # Classes of such sizes do not add up to it: the far end of a line does.
        score = causes @ rng.standard_normal(causes.shape[1]) + 0.5 * strength * far
        held = np.argsort(np.argsort(-score)) < wanted
    if rng.random() < 0.5:
        # Some rows carry the label of another class, as many as the teacher is unsure.
        held = _mislabelled(rng, held, 0.25 * rng.random() / (1 + strength))
    keep = ~held
    return world._replace(Z=world.Z[keep], groups=world.groups[keep], causes=world.causes[keep], held_out=world.Z[held])


def _mislabelled(rng: Rng, held: Flags, share: float) -> Flags:
    """Some held-out rows swapped with as many others, which keeps the numbers."""
    inside, outside = np.flatnonzero(held), np.flatnonzero(~held)
    n = min(int(share * len(inside)), len(outside))
    out = held.copy()
    out[rng.permutation(inside)[:n]] = False
    out[rng.permutation(outside)[:n]] = True
    return out


def _parts(rng: Rng, world: World, causes: Array) -> Labels:
    """The class of each row, of shape (n_rows,)."""
    if world.groups.max() > 0 and rng.random() < 0.5:
        return world.groups
    kind = int(rng.integers(3))
    if kind == 0:
        return _tree(rng, causes, int(rng.integers(2, 6)), oblique=rng.random() < 0.4)
    if kind == 1:
        hidden = np.tanh(causes @ rng.standard_normal((causes.shape[1], 12)) / np.sqrt(causes.shape[1]) * 2)
        scores = hidden @ rng.standard_normal((12, int(rng.integers(3, 9))))
        return np.asarray(np.argmax((scores - scores.mean(0)) / (scores.std(0) + 1e-9), axis=1), np.int64)
    line = _standard((causes @ rng.standard_normal(causes.shape[1]))[:, None])[:, 0]
    cuts = np.quantile(line, np.linspace(0.1, 0.9, int(rng.integers(3, 9))))
    return np.asarray(np.searchsorted(cuts, line), np.int64)


def _tree(rng: Rng, causes: Array, depth: int, *, oblique: bool) -> Labels:
    """Leaves of a random tree, of shape (n_rows,)."""
    parts = np.zeros(len(causes), np.int64)
    for _ in range(depth):
        new = parts * 2
        for part in np.unique(parts):
            own = np.flatnonzero(parts == part)
            if oblique:
                column = causes[own] @ rng.standard_normal(causes.shape[1])
            else:
                column = causes[own, rng.integers(causes.shape[1])]
            new[own] += column > np.quantile(column, rng.uniform(0.1, 0.9))
        parts = new
    return np.asarray(np.unique(parts, return_inverse=True)[1], np.int64)


def _standard(X: Array) -> Array:
    return np.asarray((X - X.mean(0)) / (X.std(0) + 1e-9))

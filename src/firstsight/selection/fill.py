"""Missing cells filled from the most similar rows that have them (nearest neighbours: Troyanskaya et al. 2001).

Rows are compared by the columns that both have: numbers by their share of smaller ones, categories as equal or not. No
number says what was missing: rows would be told apart by it, and fall into clusters of gaps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.selection.coreset import some_rows
from firstsight.selection.geometry import Floats

__all__ = ["Block", "Donors", "donors_of", "filled"]

MOST_DONORS = 1000
N_NEAREST = 5
CHUNK = 1000  # rows at a time
SEED = 0  # of the rows that give: the same ones for every seed of an estimator


class Block(NamedTuple):
    """The numbers that one column became: those from ``start`` to ``stop``, of which the last is compared.

    Of a category all are compared: one a level, 1 where a row has it.
    """

    start: int
    stop: int
    category: bool


class Donors(NamedTuple):
    """Rows whose cells are given to others.

    Parameters
    ----------
    rows : ndarray of shape (n_donors, n_numbers)
        What they give.
    has : ndarray of shape (n_donors, n_blocks)
        Which columns they have.
    blocks : tuple of Block
        Columns.
    ordered : tuple of ndarray
        Sorted values of each column that is no category, and nothing for others.
    places, known : ndarray of shape (n_donors, n_places)
        Where they are, as :func:`_placed` says.

    """

    rows: Floats
    has: NDArray[np.bool_]
    blocks: tuple[Block, ...]
    ordered: tuple[Floats, ...]
    places: Floats
    known: Floats


def donors_of(X: Floats, missing: NDArray[np.bool_], blocks: Sequence[Block]) -> Donors:
    """Choose the rows that give, at most 1,000.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_numbers)
        With any number where one is missing.
    missing : ndarray of shape (n_rows, n_blocks)
        Which columns a row lacks.
    blocks : sequence of Block
        Columns.

    """
    chosen = some_rows(X, MOST_DONORS, SEED)
    rows, has = X[chosen], ~missing[chosen]
    ordered = tuple(
        np.empty(0) if block.category else np.sort(rows[has[:, place], block.stop - 1])
        for place, block in enumerate(blocks)
    )
    nothing = np.empty((0, 0))
    donors = Donors(rows, has, tuple(blocks), ordered, nothing, nothing)
    places, known = _placed(donors, rows, ~has)
    return donors._replace(places=places, known=known)


def filled(donors: Donors, X: Floats, missing: NDArray[np.bool_]) -> Floats:
    """X (n_rows, n_numbers) with what is missing (n_rows, n_blocks) taken from donors; as it is where none has it."""
    needy = np.flatnonzero(missing.any(1))
    if not len(needy):
        return X
    found = X.copy()
    for start in range(0, len(needy), CHUNK):
        rows = needy[start : start + CHUNK]
        far = _distances(donors, X[rows], missing[rows])
        for place, block in enumerate(donors.blocks):
            asked, givers = np.flatnonzero(missing[rows, place]), np.flatnonzero(donors.has[:, place])
            if len(asked) and len(givers):
                # One level of a category; of numbers the mean of a few, which is nearer to the truth than any of them.
                count = 1 if block.category else min(N_NEAREST, len(givers))
                order = np.argsort(far[np.ix_(asked, givers)], axis=1, kind="stable")[:, :count]
                given = donors.rows[givers[order], block.start : block.stop]
                found[rows[asked], block.start : block.stop] = given.mean(1)
    return found


def _distances(donors: Donors, X: Floats, missing: NDArray[np.bool_]) -> Floats:
    """Mean square over the columns that both have, (n_rows, n_donors); rows that share none are far."""
    places, known = _placed(donors, X, missing)
    squares = (places**2) @ donors.known.T - 2 * places @ donors.places.T + known @ (donors.places**2).T
    shared = (~missing).astype(np.float64) @ donors.has.T
    return np.where(shared > 0, squares / np.maximum(shared, 1), np.inf)


def _placed(donors: Donors, X: Floats, missing: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Shares of smaller donors, or .5 for a category's level, 0 where missing; and 1 for what is known."""
    places: list[Floats] = []
    known: list[Floats] = []
    for place, (block, ordered) in enumerate(zip(donors.blocks, donors.ordered, strict=True)):
        has = ~missing[:, place]
        if block.category:
            levels = X[:, block.start : block.stop] * has[:, None]
            places.extend(0.5 * levels.T)
            known.extend([has.astype(np.float64)] * levels.shape[1])
        else:
            below, upto = (np.searchsorted(ordered, X[:, block.stop - 1], side=side) for side in ("left", "right"))
            places.append(np.where(has, (below + upto) / (2 * max(len(ordered), 1)), 0))
            known.append(has.astype(np.float64))
    return np.array(places).T, np.array(known).T

"""Rows on a finished map: its own have their places, PCA is linear, others go among their neighbours."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from firstsight.selection.coreset import numbers_from_values, places_of
from firstsight.selection.geometry import Floats, asked
from firstsight.selection.spaces import Space, apply

__all__ = ["Ground", "ground_of", "placed"]

CHUNK = 100_000  # rows at once
MOST_NEAREST = 10
SHARE = 50  # rows of a map to one more that a new row is put among


class Ground(NamedTuple):
    """A finished map.

    Parameters
    ----------
    space : Space
        The scaling that it was made in.
    X : ndarray of shape (n_rows, n_features)
        Its rows in that scaling.
    places : ndarray of shape (n_rows, n_components)
        Where they are.
    numbers : ndarray of shape (n_rows,)
        What rows of the table are known by, see :func:`firstsight.selection.coreset.numbers_from_values`.
    directions : ndarray of shape (n_features, n_components) or None
        Of a linear map.

    """

    space: Space
    X: Floats
    places: Floats
    numbers: NDArray[np.uint64]
    directions: Floats | None


def ground_of(space: Space, rows: Floats, places: Floats, directions: Floats | None) -> Ground:
    """A map from rows of a table (n_rows, n_numbers), all different, and their places (n_rows, n_components)."""
    return Ground(space, apply(space, rows), places, numbers_from_values(rows, 0), directions)


def placed(ground: Ground, rows: Floats, n_jobs: int | None = None) -> Floats:
    """Places of any rows (n_rows, n_numbers) of a table, (n_rows, n_components).

    A row that equals one that the map was made from has its place. Another has the median of the coordinates of its
    nearest, ten of a large map: a mean would fall between groups, and t-SNE's own optimiser keeps fewer neighbours.
    """
    found = np.empty((len(rows), ground.places.shape[1]))
    tree = None if ground.directions is not None else cKDTree(ground.X)
    count = np.arange(1, min(1 + len(ground.X) // SHARE, MOST_NEAREST) + 1)
    for first in range(0, len(rows), CHUNK):
        part = rows[first : first + CHUNK]
        scaled = apply(ground.space, part)
        if ground.directions is not None or tree is None:
            found[first : first + CHUNK] = (scaled - ground.X.mean(0)) @ ground.directions
            continue
        known = places_of(ground.numbers, numbers_from_values(part, 0))
        _, near = asked(tree, scaled, count, n_jobs)
        between = np.median(ground.places[near], axis=1)
        found[first : first + CHUNK] = np.where((known >= 0)[:, None], ground.places[known], between)
    return found

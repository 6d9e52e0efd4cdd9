"""How much each member counts, by how many rows a new table has: what made left-out rows of left-out tables likely.

Stacking (Smyth and Wolpert 1999), across tables instead of rows: past tables that the members have not seen show some
of their rows, each member adapts, and EM finds the weights under which their other rows are likeliest, together.
Weights for other numbers of rows are interpolated in the logarithm of the number.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from firstsight.density.incomplete import Floats
from firstsight.density.stack import stacked

__all__ = ["SIZES", "Weights", "learn_weights", "sizes_of", "weights_at"]

SIZES = (5, 10, 20, 50, 100, 200, 500)
FEWEST_ASKED = 10
FEWEST_TABLES = 3


class Weights(NamedTuple):
    """Weights of members.

    Parameters
    ----------
    rows : ndarray of shape (n_sizes,)
        Rows that a table shows, rising.
    shares : ndarray of shape (n_sizes, n_members)
        Each row adds up to 1.

    """

    rows: Floats
    shares: Floats


def sizes_of(lengths: Sequence[int]) -> list[int]:
    """For which numbers of rows enough past tables can show so many and be asked about others."""
    wanted = max(FEWEST_TABLES, len(lengths) // 2)
    return [size for size in SIZES if sum(length >= size + FEWEST_ASKED for length in lengths) >= wanted]


def learn_weights(scores: Mapping[int, Sequence[Floats]]) -> Weights:
    """From log-densities of left-out rows, (n_asked, n_members) for each left-out table, by rows shown."""
    shares = []
    for by_table in scores.values():
        # Tables count alike, however many of their rows are asked.
        most = min(len(table) for table in by_table)
        shares.append(stacked(np.concatenate([table[:most] for table in by_table])))
    return Weights(np.array(list(scores), float), np.array(shares))


def weights_at(weights: Weights, n_rows: int) -> Floats:
    """Shares (n_members,) for a table of so many rows."""
    log_rows = np.log(weights.rows)
    place = np.log(max(n_rows, 1))
    return np.array([np.interp(place, log_rows, shares) for shares in weights.shares.T])

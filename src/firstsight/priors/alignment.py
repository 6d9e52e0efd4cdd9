"""A family's tables brought to one place: each is moved by as much of its mean as its rows can tell.

Where tables of a family differ by a shift, the shift of column j has a variance between tables, tau_j^2, and rows vary
about it by sigma_j^2. Of the mean of n rows the share

    n / (n + lambda_j),    lambda_j = sigma_j^2 / tau_j^2

is the table's own (the posterior mean of a normal random effect; Efron and Morris 1975), the rest is chance.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from firstsight.density.incomplete import Floats

__all__ = ["Alignment", "learn_alignment", "shift_of"]

FEWEST_ROWS, MOST_ROWS = 1e-3, 1e9  # of lambda: tables without a spread, and tables that do not differ


class Alignment(NamedTuple):
    """Where a family lies.

    Parameters
    ----------
    centre : ndarray of shape (d,)
        Mean of the tables' means.
    rows : ndarray of shape (d,)
        lambda: so many rows tell as much of a table's mean as the family does.

    """

    centre: Floats
    rows: Floats


def learn_alignment(tables: Sequence[Floats]) -> Alignment:
    """From the rows of past tables, by the method of moments.

    Parameters
    ----------
    tables : sequence of ndarray of shape (n_rows, d)
        At least two; NaN is missing.

    Returns
    -------
    Alignment

    """
    seen = [~np.isnan(z) for z in tables]
    counts = np.array([one.sum(0) for one in seen], float)
    sums = np.array([np.where(one, z, 0).sum(0) for one, z in zip(seen, tables, strict=True)])
    has = counts > 0
    means = sums / np.maximum(counts, 1)
    squares = sum(np.where(one, (z - mean) ** 2, 0).sum(0) for one, z, mean in zip(seen, tables, means, strict=True))
    within = squares / np.maximum((counts - has).sum(0), 1)
    n_tables = np.maximum(has.sum(0), 1)
    centre = np.where(has, means, 0).sum(0) / n_tables
    apart = np.where(has, (means - centre) ** 2, 0).sum(0) / np.maximum(n_tables - 1, 1)
    by_chance = within * np.where(has, 1 / np.maximum(counts, 1), 0).sum(0) / n_tables
    between = np.maximum(apart - by_chance, np.finfo(np.float64).tiny)
    return Alignment(centre, np.clip(within / between, FEWEST_ROWS, MOST_ROWS))


def shift_of(alignment: Alignment, z: Floats) -> Floats:
    """By how much a table of these rows (n_rows, d) lies off the centre, as far as they tell, (d,)."""
    seen = ~np.isnan(z)
    counts = seen.sum(0)
    apart = np.where(seen, z - alignment.centre, 0).sum(0)
    shift: Floats = apart / (counts + alignment.rows)
    return shift

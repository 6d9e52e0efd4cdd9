"""What is unusual about a table beside its family: columns that lie, spread or lack otherwise than in past ones.

The mean of a column over the rows of a table varies from table to table, by a variance tau^2, and by chance, by
s^2 / n; a table is unusual there when its mean is many of the deviations sqrt(tau^2 + s^2 / n) from that of the past
tables. So with the logarithm of its deviation, whose chance is 1 / (2 n), with the share of missing cells and with that
of each level of a category, p (1 - p) / n.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from firstsight.density.incomplete import Floats
from firstsight.priors.members import Encoded

__all__ = ["Profiles", "Unusual", "learn_profiles", "unusual_of"]

FAR = 3.5  # deviations, with which one in two thousand usual columns is called unusual
LEAST = 1e-9


class Profiles(NamedTuple):
    """Columns of past tables.

    Parameters
    ----------
    means, deviations, missing : ndarray of shape (n_tables, d)
        Of every column of numbers; NaN where a table lacks it.
    levels : tuple of ndarray of shape (n_tables, n_levels)
        For each category the shares of its levels.

    """

    means: Floats
    deviations: Floats
    missing: Floats
    levels: tuple[Floats, ...]


class Unusual(NamedTuple):
    """Something that is unusual.

    Parameters
    ----------
    kind : {"mean", "deviation", "missing", "level"}
        What of the column.
    number : int or None
        Place of the column among the numbers.
    category : int or None
        Or among the categories.
    level : int or None
        Of the category.
    here, usual : float
        In the table; median of past tables.
    low, high : float
        Range that holds nine in ten past tables.
    score : float
        Deviations from what is usual.

    """

    kind: str
    number: int | None
    category: int | None
    level: int | None
    here: float
    usual: float
    low: float
    high: float
    score: float


def learn_profiles(tables: Sequence[Encoded], n_levels: tuple[int, ...]) -> Profiles:
    """Of past tables."""
    each = [_profile(table, n_levels) for table in tables]
    return Profiles(
        np.array([one.means for one in each]),
        np.array([one.deviations for one in each]),
        np.array([one.missing for one in each]),
        tuple(np.array([one.levels[i] for one in each]) for i in range(len(n_levels))),
    )


def unusual_of(profiles: Profiles, table: Encoded) -> list[Unusual]:
    """What is unusual about a table, most unusual first."""
    n_levels = tuple(shares.shape[1] for shares in profiles.levels)
    own, n_rows = _profile(table, n_levels), len(table.codes)
    found = []
    for j in range(table.numbers.shape[1]):
        seen = max(int((~np.isnan(table.numbers[:, j])).sum()), 1)
        past = profiles.deviations[:, j][np.isfinite(profiles.deviations[:, j])]
        within = float((past**2).mean()) if len(past) else 0.0
        rate = float(np.mean(profiles.missing[:, j]))
        found += [
            _held("mean", profiles.means[:, j], own.means[j], within / seen, number=j),
            _held("deviation", profiles.deviations[:, j], own.deviations[j], 1 / (2 * seen), number=j, log=True),
            _held("missing", profiles.missing[:, j], own.missing[j], _chance(rate, n_rows), number=j),
        ]
    for i, shares in enumerate(profiles.levels):
        for level, past in enumerate(shares.T):
            rate = float(past.mean())
            found.append(_held("level", past, own.levels[i][level], _chance(rate, n_rows), category=i, level=level))
    told = [one for one in found if one is not None and abs(one.score) >= FAR]
    return sorted(told, key=lambda one: -abs(one.score))


def _chance(rate: float, n_rows: int) -> float:
    """Variance of a share among so many rows; that of one row at least."""
    return (rate * (1 - rate) + 1 / n_rows) / n_rows


def _profile(table: Encoded, n_levels: tuple[int, ...]) -> Profiles:
    seen = ~np.isnan(table.numbers)
    counts = seen.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(seen, table.numbers, 0).sum(0) / counts
        squares = np.where(seen, (table.numbers - means) ** 2, 0).sum(0) / counts
    levels = []
    for column, n in zip(table.codes.T, n_levels, strict=True):
        present = column[column >= 0]
        levels.append(np.bincount(present, minlength=n)[:n] / max(len(present), 1))
    return Profiles(means, np.sqrt(squares), 1 - counts / len(seen), tuple(levels))


def _held(
    kind: str,
    past: Floats,
    here: float,
    chance: float,
    *,
    number: int | None = None,
    category: int | None = None,
    level: int | None = None,
    log: bool = False,
) -> Unusual | None:
    """A figure of the table beside those of past ones; None where it, or all of theirs, is not known."""
    past = past[np.isfinite(past)]
    if not len(past) or not math.isfinite(here):
        return None
    usual, low, high = (float(np.quantile(past, share)) for share in (0.5, 0.05, 0.95))
    if log:
        floor = 0.01 * max(usual, LEAST)
        spread = math.sqrt(float(np.var(np.log(past + floor))) + chance)
        apart = math.log(here + floor) - float(np.mean(np.log(past + floor)))
    else:
        spread = math.sqrt(float(np.var(past)) + chance)
        apart = here - float(past.mean())
    if abs(apart) <= LEAST * max(abs(usual), LEAST):
        return None
    score = apart / max(spread, LEAST * abs(apart))
    return Unusual(kind, number, category, level, float(here), usual, low, high, score)

"""How like a family's tables a new one is, as a share: so many of the family's own tables look as unlike it, or more.

A table's rows give a few *signs*, numbers that are low where a table is not of the family: how likely a member that has
not seen the table makes its rows, on average and in the middle, before it adapts and after it adapted to the other
half of them; and how much alike rows are in that. Each sign is told in deviations of past tables, which were left out
when the members were learned; the lowest one counts. Its rank among past tables is the familiarity; beyond the most
unlike of these it goes down with the distance (conformal p-values, Vovk 2005, with a tail, for families are small).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from firstsight.density.em import em_step
from firstsight.density.incomplete import Floats, Ints
from firstsight.density.mixture import log_density
from firstsight.priors.members import Ground, Member

__all__ = ["FOREIGN", "Familiarity", "familiarity_of", "learn_familiarity", "signs_of"]

FOREIGN = 0.05
"""Of the family's own tables this share is called foreign."""

TAIL = 1.5  # deviations in which familiarity falls by e, beyond the most unlike past table
FEWEST_ROWS = 4


class Familiarity(NamedTuple):
    """What past tables look like.

    Parameters
    ----------
    rows : ndarray of shape (n_sizes,)
        Rows of a table, rising.
    signs : tuple of ndarray of shape (n_tables, n_signs)
        For each size, of past tables that were left out.

    """

    rows: Floats
    signs: tuple[Floats, ...]


def signs_of(member: Member, ground: Ground, z: Floats, codes: Ints) -> Floats:
    """Signs of a table's rows, (n_signs,).

    Parameters
    ----------
    member : Member
        Of all past tables, in the space.
    ground : Ground
        The space.
    z : ndarray of shape (n_rows, d)
        At least two rows, in the space.
    codes : ndarray of shape (n_rows, c)
        -1 is missing.

    """
    centre = member.pull.centre
    plain = log_density(centre, z, codes)
    halves = np.arange(len(z)) % 2
    adapted = np.empty(len(z))
    for half in (0, 1):
        shown, asked = halves == half, halves != half
        mixture = centre
        for _ in range(2):
            mixture = em_step(mixture, z[shown], codes[shown], floor=ground.floor, pull=member.pull)
        adapted[asked] = log_density(mixture, z[asked], codes[asked])
    return np.array([plain.mean(), adapted.mean(), np.median(plain), -np.log(plain.std() + 0.1)])


def learn_familiarity(signs: Mapping[int, Sequence[Floats]]) -> Familiarity:
    """From the signs (n_signs,) of left-out tables, by rows."""
    return Familiarity(np.array(list(signs), float), tuple(np.array(tables) for tables in signs.values()))


def familiarity_of(familiarity: Familiarity, member: Member, ground: Ground, z: Floats, codes: Ints) -> float:
    """How familiar a table is, from 0 to 1.

    Parameters
    ----------
    familiarity : Familiarity
        Of the family.
    member, ground : Member, Ground
        As for :func:`signs_of`.
    z : ndarray of shape (n_rows, d)
        Rows of the table in the space; of fewer than four nothing is told, and it is 1.
    codes : ndarray of shape (n_rows, c)
        -1 is missing.

    """
    n_rows = len(z)
    if n_rows < FEWEST_ROWS:
        return 1.0
    place = max(int(np.searchsorted(familiarity.rows, n_rows, side="right")) - 1, 0)
    # Fewer rows vary more: of many, as many count as past tables showed.
    most = int(familiarity.rows[place])
    signs = signs_of(member, ground, z[:most], codes[:most])
    past = familiarity.signs[place]
    found = _unlikeness(signs, past)
    others = np.array([_unlikeness(past[i], np.delete(past, i, axis=0)) for i in range(len(past))])
    if found <= others.max():
        return float((1 + (others >= found).sum()) / (len(others) + 1))
    return float(np.exp(-(found - others.max()) / TAIL) / (len(others) + 1))


def _unlikeness(signs: Floats, past: Floats) -> float:
    """Of the signs the lowest, in deviations of past tables below their mean."""
    middle = np.median(past, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(past - middle), axis=0), 0.5 * past.std(0)) + 0.05
    return float(((middle - signs) / spread).max())

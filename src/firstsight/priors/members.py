"""Members of a family's prior: what each of them makes of the rows of a new table.

A member is a mixture of Gaussians times categorical tables, learned from all past tables together, that a new table
moves by exact steps of MAP-EM (:mod:`firstsight.density.em`), each component pulled to where it was. It may first
move the whole table (:mod:`firstsight.priors.alignment`). A member whose components come from single past tables first
asks which of these the new one is like: EM on the weights of the tables alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from firstsight.density.em import Pull, em_step
from firstsight.density.experts import BENT, PLAIN, Recipe, Rows, Space, fitted_mixture, space_of
from firstsight.density.incomplete import Floats, Ints
from firstsight.density.mixture import Mixture, component_scores, log_sum
from firstsight.density.stack import Expert
from firstsight.density.warps import Warp, warped
from firstsight.priors.alignment import Alignment, learn_alignment, shift_of

__all__ = ["Encoded", "Ground", "Member", "adapted", "ground_of", "past_member", "pooled_member", "table_mixture"]

LEAST_VARIANCE = 1e-5  # of a component, in the space's units
STEPS = 4
STRENGTHS = {"weight_rows": 1.0, "mean_rows": 1.0, "covariance_rows": 10.0, "level_rows": 5.0}
TABLE_ROWS = 0.1  # that speak for all past tables alike
TABLE_ROUNDS = 30
TABLE_COMPONENTS = 3
MOST_POOLED = 6000


class Encoded(NamedTuple):
    """Rows of a table.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, d)
        NaN is missing.
    codes : ndarray of shape (n_rows, c)
        Places of levels; -1 is missing.

    """

    numbers: Floats
    codes: Ints

    def part(self, rows: Ints) -> "Encoded":
        """Some of the rows."""
        return Encoded(self.numbers[rows], self.codes[rows])


class Ground(NamedTuple):
    """The space that members work in.

    Parameters
    ----------
    warp : Warp
        To the space.
    floor : ndarray of shape (d,)
        Least variances there.
    alignment : Alignment
        Of tables there.

    """

    warp: Warp
    floor: Floats
    alignment: Alignment


class Member(NamedTuple):
    """One member.

    Parameters
    ----------
    name : str
        In words.
    aligned : bool
        Whether tables are moved to one place first.
    pull : Pull
        Where components are pulled to, and how strongly.
    steps : int
        Exact steps; 0 leaves the components as they are.
    tables : ndarray of shape (n_components,) or of shape (0,)
        The past table that each component comes from; empty when they come from all.

    """

    name: str
    aligned: bool
    pull: Pull
    steps: int
    tables: Ints


def ground_of(
    tables: Sequence[Encoded], n_levels: tuple[int, ...], steps: Floats, *, space: str
) -> tuple[Ground, Space]:
    """The space of a family, and its pooled rows there; of every table as many rows, at most.

    Parameters
    ----------
    tables : sequence of Encoded
        Past tables, their rows in random order.
    n_levels : tuple of int
        Of every category.
    steps : ndarray of shape (d,)
        In which columns were measured; 0 where they are fine.
    space : {"as measured", "as normal scores"}
        Which.

    """
    most = max(1, MOST_POOLED // len(tables))
    numbers = np.concatenate([table.numbers[:most] for table in tables])
    codes = np.concatenate([table.codes[:most] for table in tables])
    pooled = space_of(space, Rows(numbers, codes, n_levels, steps))
    resolution = 0.0 if space == BENT else (steps / pooled.warp.scales) ** 2 / 12
    floor = LEAST_VARIANCE + resolution + np.zeros(numbers.shape[1])
    pieces = np.split(pooled.z, np.cumsum([min(most, len(table.numbers)) for table in tables])[:-1])
    return Ground(pooled.warp, floor, learn_alignment(pieces)), pooled


def pooled_member(
    tables: Sequence[Encoded], ground: Ground, pooled: Space, size: int, *, aligned: bool, shown: Ints, seed: int
) -> Member:
    """Components from the rows of all past tables.

    Parameters
    ----------
    tables : sequence of Encoded
        Past tables.
    ground, pooled : Ground, Space
        As :func:`ground_of` gives them.
    size : int
        Components.
    aligned : bool
        Whether tables are moved to one place, each by what a part of its rows tells.
    shown : ndarray of shape (n_tables,)
        How many rows of each table tell its shift: as few as a new table may have.
    seed : int
        Of the partition that EM begins at.

    """
    most = max(1, MOST_POOLED // len(tables))
    codes = np.concatenate([table.codes[:most] for table in tables])
    shift = np.zeros_like(pooled.z)
    if aligned:
        ends = np.cumsum([min(most, len(table.numbers)) for table in tables])[:-1]
        pieces = zip(np.split(pooled.z, ends), shown, strict=True)
        shift = np.concatenate(
            [np.repeat(shift_of(ground.alignment, piece[:few])[None], len(piece), axis=0) for piece, few in pieces]
        )
    size = min(size, max(1, len(codes) // 10))
    moved = pooled._replace(z=pooled.z - shift, full=pooled.full - shift, floor=ground.floor)
    centre = fitted_mixture(Recipe(BENT, size), moved, codes, seed)
    what = f"{size} Gaussians of all tables" + (", moved to one place" if aligned else "")
    return Member(what, aligned, Pull(centre, **STRENGTHS), STEPS, np.empty(0, np.int64))


def table_mixture(table: Encoded, ground: Ground, n_levels: tuple[int, ...], seed: int) -> Mixture:
    """The mixture of one past table by itself, in the space of the family."""
    z = warped(ground.warp, table.numbers)[0]
    whole = space_of_rows(z, table.codes, n_levels, ground)
    size = max(1, min(TABLE_COMPONENTS, len(z) // 10))
    return fitted_mixture(Recipe(BENT, size), whole, table.codes, seed)


def past_member(mixtures: Sequence[Mixture], *, steps: int) -> Member:
    """Components of every past table; ``steps`` moves them after the tables were weighed."""
    n_tables = len(mixtures)
    centre = Mixture(
        np.concatenate([mixture.log_weights for mixture in mixtures]) - np.log(n_tables),
        np.concatenate([mixture.means for mixture in mixtures]),
        np.concatenate([mixture.covariances for mixture in mixtures]),
        tuple(np.concatenate(tables) for tables in zip(*(mixture.levels for mixture in mixtures), strict=True)),
    )
    tables = np.repeat(np.arange(n_tables), [len(mixture.means) for mixture in mixtures])
    what = "past tables that it is like" + (", moved" if steps else "")
    return Member(what, False, Pull(centre, **STRENGTHS), steps, tables)


def adapted(member: Member, ground: Ground, z: Floats, codes: Ints) -> Expert:
    """A member's density of a new table.

    Parameters
    ----------
    member : Member
        One.
    ground : Ground
        Its space.
    z : ndarray of shape (n_rows, d)
        Rows of the table in the space, at least one; NaN is missing.
    codes : ndarray of shape (n_rows, c)
        -1 is missing.

    Returns
    -------
    Expert

    """
    shift = shift_of(ground.alignment, z) if member.aligned else np.zeros(z.shape[1])
    z = z - shift
    pull = member.pull
    if len(member.tables):
        pull = pull._replace(centre=_weighed(pull.centre, member.tables, z, codes))
    mixture = pull.centre
    for _ in range(member.steps):
        mixture = em_step(mixture, z, codes, floor=ground.floor, pull=pull)
    return Expert(member.name, ground.warp, mixture._replace(means=mixture.means + shift))


def _weighed(centre: Mixture, tables: Ints, z: Floats, codes: Ints) -> Mixture:
    """Past tables weighed by how likely they make the rows; within a table its components keep their shares."""
    n_tables = int(tables.max()) + 1
    scores = component_scores(centre, z, codes)
    by_table = np.stack([log_sum(scores[:, tables == table], 1) for table in range(n_tables)], axis=1)
    moved = np.zeros(n_tables)
    for _ in range(TABLE_ROUNDS):
        members = by_table + moved
        shares = np.exp(members - log_sum(members, 1)[:, None]).sum(0)
        moved = np.log(n_tables * (shares + TABLE_ROWS / n_tables) / (len(z) + TABLE_ROWS))
    return centre._replace(log_weights=centre.log_weights + moved[tables])


def space_of_rows(z: Floats, codes: Ints, n_levels: tuple[int, ...], ground: Ground) -> Space:
    """Rows that are in the family's space already, as experts are fitted to them."""
    # The experts' own scaling is undone: components of all tables stand side by side.
    own = space_of(PLAIN, Rows(z, codes, n_levels, np.full(z.shape[1], LEAST_VARIANCE**0.5)))
    scales, centres = own.warp.scales, own.warp.centres
    whole = own.whole._replace(
        means=own.whole.means * scales + centres, covariances=own.whole.covariances * scales[:, None] * scales
    )
    return Space(ground.warp, z, own.full * scales + centres, whole, ground.floor)

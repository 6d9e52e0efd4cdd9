"""A prior from the past tables of a family: members, what each is worth, and how unlike each other the tables are.

Everything that is said of a new table is learned from tables that were left out: the tables are divided into folds;
members are fitted to all folds but one, and tables of that one show some of their rows and are asked about the others.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from firstsight.density.experts import BENT, PLAIN
from firstsight.density.incomplete import Floats
from firstsight.density.mixture import log_sum
from firstsight.density.stack import expert_log_density
from firstsight.density.warps import warped
from firstsight.priors.familiarity import Familiarity, learn_familiarity, signs_of
from firstsight.priors.members import (
    Encoded,
    Ground,
    Member,
    adapted,
    ground_of,
    past_member,
    pooled_member,
    table_mixture,
)
from firstsight.priors.trained import trained_member
from firstsight.priors.weights import FEWEST_ASKED, Weights, learn_weights, sizes_of

__all__ = ["Learned", "learned"]

SPACES = (BENT, PLAIN)
N_FOLDS = 3
MOST_ROWS = 400  # of a table, that members are learned from
MOST_ASKED = 100
SMALL = 50  # rows that members are trained to be shown, at most
MOST_TABLES = 60  # that are left out and asked, and that have components of their own


class Learned(NamedTuple):
    """What the density of a new table is made of.

    Parameters
    ----------
    grounds : tuple of Ground
        The spaces.
    members : tuple of Member
        All of them; the first is the one that familiarity is judged by.
    places : tuple of int
        For each member its space.
    weights : Weights
        Of the members.
    familiarity : Familiarity
        How unlike each other the past tables are.
    gains : ndarray of shape (n_sizes, n_members + 1)
        Mean log-density of left-out rows of left-out tables, in nats: each member's, and that of all together.

    """

    grounds: tuple[Ground, ...]
    members: tuple[Member, ...]
    places: tuple[int, ...]
    weights: Weights
    familiarity: Familiarity
    gains: Floats


def learned(
    tables: Sequence[Encoded], n_levels: tuple[int, ...], steps: Floats, groups: Sequence[int], seed: int
) -> Learned:
    """Learn a prior.

    Parameters
    ----------
    tables : sequence of Encoded
        Past tables, at least three; values that tie were spread over their steps.
    n_levels : tuple of int
        Of every category.
    steps : ndarray of shape (d,)
        In which columns were measured; 0 where they are fine.
    groups : sequence of int
        Tables of one group are in one fold: they share rows.
    seed : int
        Of folds, starts and tasks. The order of rows changes nothing.

    Returns
    -------
    Learned

    Raises
    ------
    ValueError
        When tables have too few rows for one of them to be shown and asked.

    """
    generator = np.random.default_rng(seed)
    tables = [table.part(generator.permutation(len(table.codes))) for table in map(_sorted, tables)]
    sizes = sizes_of([len(table.codes) for table in tables])
    if not sizes:
        raise ValueError(
            f"at least 3 tables, and half of all, should have {5 + FEWEST_ASKED} rows or more; found tables of "
            f"{sorted(len(table.codes) for table in tables)[-3:]} rows at most; pass longer tables"
        )
    fold_of = _folds(groups, generator)
    scores: dict[int, list[Floats]] = {size: [] for size in sizes}
    signs: dict[int, list[Floats]] = {size: [] for size in sizes}
    for fold in tqdm(sorted(set(fold_of)), desc="learning from past tables", unit="fold", disable=None, leave=False):
        known = [table for table, own in zip(tables, fold_of, strict=True) if own != fold]
        left_out = [table for table, own in zip(tables, fold_of, strict=True) if own == fold][: MOST_TABLES // N_FOLDS]
        grounds, members, places = _members(known, n_levels, steps, sizes, seed)
        for table in left_out:
            for size in sizes:
                if len(table.codes) >= size + FEWEST_ASKED:
                    scores[size].append(_asked(table, size, grounds, members, places))
                    shown = table.part(np.arange(size))
                    z = warped(grounds[0].warp, shown.numbers)[0]
                    signs[size].append(signs_of(members[0], grounds[0], z, shown.codes))
    weights = learn_weights(scores)
    gains = []
    for by_table, shares in zip(scores.values(), weights.shares, strict=True):
        with np.errstate(divide="ignore"):  # a member may have no share
            together = [log_sum(one + np.log(shares), 1) for one in by_table]
        gains.append([*np.mean([one.mean(0) for one in by_table], axis=0), np.mean([one.mean() for one in together])])
    grounds, members, places = _members(tables, n_levels, steps, sizes, seed)
    used = weights.shares.max(0) > 0.01
    used[0] = True  # by which familiarity is judged
    shares = weights.shares[:, used]
    return Learned(
        grounds,
        tuple(member for member, keep in zip(members, used, strict=True) if keep),
        tuple(place for place, keep in zip(places, used, strict=True) if keep),
        Weights(weights.rows, shares / shares.sum(1, keepdims=True)),
        learn_familiarity(signs),
        np.array(gains)[:, [*used, True]],
    )


def _members(
    tables: Sequence[Encoded], n_levels: tuple[int, ...], steps: Floats, sizes: Sequence[int], seed: int
) -> tuple[tuple[Ground, ...], tuple[Member, ...], tuple[int, ...]]:
    """All that are tried, from these tables alone; the first one judges familiarity."""
    generator = np.random.default_rng(seed)
    tables = [Encoded(table.numbers[:MOST_ROWS], table.codes[:MOST_ROWS]) for table in tables]
    small = [size for size in sizes if size <= SMALL] or sizes[:1]
    shown = generator.choice(small, len(tables))
    grounds, members, places = [], [], []
    spaces = SPACES if tables[0].numbers.shape[1] else (PLAIN,)
    for place, space in enumerate(spaces):
        ground, pooled = ground_of(tables, n_levels, steps, space=space)
        z = [warped(ground.warp, table.numbers)[0] for table in tables]
        found = [
            pooled_member(tables, ground, pooled, 40, aligned=False, shown=shown, seed=seed),
            pooled_member(tables, ground, pooled, 12, aligned=True, shown=shown, seed=seed),
        ]
        mixtures = [table_mixture(table, ground, n_levels, seed) for table in tables[:MOST_TABLES]]
        found.append(past_member(mixtures, steps=3))
        if place == 0:
            found.append(past_member(mixtures, steps=0))
            start = pooled_member(tables, ground, pooled, 12, aligned=False, shown=shown, seed=seed)
            found.append(trained_member(start, tables, ground, z, small, seed=seed) or start)
        grounds.append(ground)
        members += [member._replace(name=f"{member.name}, {space}") for member in found]
        places += [place] * len(found)
    return tuple(grounds), tuple(members), tuple(places)


def _asked(
    table: Encoded, size: int, grounds: Sequence[Ground], members: Sequence[Member], places: Sequence[int]
) -> Floats:
    """Log-densities of other rows of a table of which ``size`` are shown, (n_asked, n_members)."""
    shown, asked = table.part(np.arange(size)), table.part(np.arange(size, min(len(table.codes), size + MOST_ASKED)))
    z = [warped(ground.warp, shown.numbers)[0] for ground in grounds]
    experts = [
        adapted(member, grounds[place], z[place], shown.codes) for member, place in zip(members, places, strict=True)
    ]
    return np.stack([expert_log_density(expert, asked.numbers, asked.codes) for expert in experts], axis=1)


def _sorted(table: Encoded) -> Encoded:
    return table.part(np.lexsort(np.column_stack([table.numbers, table.codes]).T))


def _folds(groups: Sequence[int], generator: np.random.Generator) -> list[int]:
    """A fold for every table, the same for those of one group."""
    names = np.array(sorted(set(groups)))
    order = generator.permutation(len(names))
    fold = {name: place % min(N_FOLDS, len(names)) for place, name in enumerate(names[order].tolist())}
    return [fold[group] for group in groups]

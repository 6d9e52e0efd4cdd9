"""A density as a stack of experts, whose weights make rows likely that the experts have not seen.

Stacked density estimation (Smyth and Wolpert 1999): the rows are divided into folds; every expert is fitted to all
folds but one and says how likely the rows of that one are; EM finds the weights of the experts that make these most
likely together, and the experts with some weight are fitted to all rows. The first folds decide which experts are worth
the others.

A column whose values tie was measured in steps, and any spike at a value would make it ever likelier. So values are
spread evenly over their step, by a draw, before anything is fitted.
"""

from typing import NamedTuple

import numpy as np

from firstsight.density.experts import (
    FURTHEST_PLAIN,
    PLAIN,
    Recipe,
    Rows,
    candidates,
    fitted_mixture,
    space_of,
)
from firstsight.density.incomplete import Bools, Floats, Ints
from firstsight.density.mixture import Mixture, log_sum
from firstsight.density.mixture import log_density as mixture_log_density
from firstsight.density.warps import Warp, warped

MOST_ROWS = 5000  # that experts are fitted to
MOST_CHOSEN_ON = 2000
FOLDS = 5
FEWEST_ROWS = 4  # to choose on
ENOUGH_ROWS = 50  # after which experts may be dropped before the last fold
PRIOR_ROWS = 1.0  # that speak for equal weights
LEAST_WEIGHT = 0.01
ROUNDS = 300


class Expert(NamedTuple):
    """A mixture in a warped space.

    Parameters
    ----------
    name : str
        Such as ``"4 Gaussians, as normal scores"``.
    warp : Warp
        Of the numbers to the space.
    mixture : Mixture
        There, and over the categories.

    """

    name: str
    warp: Warp
    mixture: Mixture


class Density(NamedTuple):
    """A mixture of experts.

    Parameters
    ----------
    log_weights : ndarray of shape (n_experts,)
        Logarithms of weights that add up to 1.
    experts : tuple of Expert
        Over the same columns.

    """

    log_weights: Floats
    experts: tuple[Expert, ...]


def expert_log_density(expert: Expert, numbers: Floats, codes: Ints) -> Floats:
    """Log-density of rows under one expert, (n_rows,), in nats and in units of the numbers."""
    z, slopes = warped(expert.warp, numbers)
    found: Floats = mixture_log_density(expert.mixture, z, codes) + slopes.sum(1)
    return found


def log_density(density: Density, numbers: Floats, codes: Ints) -> Floats:
    """Log-density of rows.

    Parameters
    ----------
    density : Density
        Over d numbers and c categories.
    numbers : ndarray of shape (n_rows, d)
        NaN is missing.
    codes : ndarray of shape (n_rows, c)
        -1 is missing.

    Returns
    -------
    ndarray of shape (n_rows,)
        In nats and in units of the numbers.

    """
    return log_sum(expert_scores(density, numbers, codes), 1)


def expert_scores(density: Density, numbers: Floats, codes: Ints) -> Floats:
    """Log of each expert's weight times its density of each row, (n_rows, n_experts)."""
    each = [expert_log_density(expert, numbers, codes) for expert in density.experts]
    scores: Floats = np.stack(each, axis=1) + density.log_weights
    return scores


def fitted(
    numbers: Floats,
    codes: Ints,
    seed: int,
    *,
    n_levels: tuple[int, ...] | None = None,
    steps: Floats | None = None,
    cheap: bool = False,
) -> Density:
    """Fit a stack.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, d)
        NaN is missing; every column has a value.
    codes : ndarray of shape (n_rows, c)
        -1 is missing.
    seed : int
        Of folds, starts and draws. The order of the rows changes nothing.
    n_levels : tuple of int of length c or None
        Of every category; as many as there are codes if None.
    steps : ndarray of shape (d,) or None
        In which columns were measured, in their units; all fine if None.
    cheap : bool
        Whether only four experts are tried: a third of the time, for many small tables.

    Returns
    -------
    Density

    """
    n_levels = n_levels if n_levels is not None else tuple(int(column.max()) + 1 for column in codes.T)
    steps = steps if steps is not None else np.zeros(numbers.shape[1])
    generator = np.random.default_rng(seed)
    order = np.lexsort(np.column_stack([numbers, codes]).T)
    order = generator.permutation(order)[:MOST_ROWS]
    rows = Rows(numbers[order], codes[order], n_levels, steps)
    rows = rows._replace(numbers=rows.numbers + steps * generator.uniform(-0.5, 0.5, rows.numbers.shape))
    some = rows._replace(numbers=rows.numbers[:MOST_CHOSEN_ON], codes=rows.codes[:MOST_CHOSEN_ON])
    recipes, weights = chosen(some, seed, cheap=cheap)
    spaces = {name: space_of(name, rows) for name in {recipe.space for recipe in recipes}}
    experts = []
    for recipe in recipes:
        space = spaces[recipe.space]
        experts.append(Expert(recipe.name, space.warp, fitted_mixture(recipe, space, rows.codes, seed)))
    return Density(np.log(weights), tuple(experts))


def chosen(rows: Rows, seed: int, *, cheap: bool = False) -> tuple[list[Recipe], Floats]:
    """The recipes that are worth a place, and their weights; heaviest first."""
    n_rows, d = rows.numbers.shape
    if n_rows < FEWEST_ROWS:
        return [Recipe(PLAIN, 1)], np.ones(1)
    n_folds = min(n_rows, FOLDS)
    fold = np.arange(n_rows) % n_folds
    recipes = candidates(n_rows - (n_rows - 1) // n_folds - 1, d, rows.n_levels, cheap=cheap)
    scores = np.empty((n_rows, len(recipes)))
    for number in range(n_folds):
        out, seen = fold == number, fold <= number
        scores[out] = unseen(recipes, rows, out, seed)
        kept: Bools = np.isfinite(scores[seen]).all(axis=0)
        if seen.sum() >= ENOUGH_ROWS or number == n_folds - 1:
            weights = np.zeros(len(recipes))
            weights[kept] = stacked(scores[np.ix_(seen, kept)])
            kept = weights >= min(LEAST_WEIGHT, weights.max())
        recipes = [recipe for recipe, keep in zip(recipes, kept.tolist(), strict=True) if keep]
        scores = scores[:, kept]
    weights = stacked(scores)
    heaviest = np.argsort(-weights, kind="stable")
    return [recipes[place] for place in heaviest], weights[heaviest]


def stacked(scores: Floats) -> Floats:
    """Weights (n_experts,) that make rows likeliest, given each expert's log-density of them (n_rows, n_experts)."""
    likely = np.exp(scores - scores.max(1, keepdims=True))
    n_rows, n_experts = scores.shape
    weights: Floats = np.full(n_experts, 1 / n_experts)
    for _ in range(ROUNDS):
        gains = (likely / (likely @ weights)[:, None]).sum(0)
        weights = (weights * gains + PRIOR_ROWS / n_experts) / (n_rows + PRIOR_ROWS)
    return weights


def unseen(recipes: list[Recipe], rows: Rows, out: Bools, seed: int) -> Floats:
    """Log-densities of the rows that are left out under experts fitted to the others, (n_out, n_recipes).

    Minus infinity for the plain space where values are so far out that it says nothing of the others, and for kernels
    where less than half of the rows have all numbers.
    """
    found = np.full((int(out.sum()), len(recipes)), -np.inf)
    others = rows._replace(numbers=rows.numbers[~out], codes=rows.codes[~out])
    whole = np.mean(~np.isnan(others.numbers).any(1)) >= 0.5
    for name in dict.fromkeys(recipe.space for recipe in recipes):
        space = space_of(name, others)
        if name == PLAIN and np.abs(np.nan_to_num(space.z)).max(initial=0) > FURTHEST_PLAIN:
            continue
        z, slopes = warped(space.warp, rows.numbers[out])
        for place, recipe in enumerate(recipes):
            if recipe.space == name and (recipe.size or whole):
                mixture = fitted_mixture(recipe, space, others.codes, seed)
                found[:, place] = mixture_log_density(mixture, z, rows.codes[out]) + slopes.sum(1)
    return found

"""What a stack answers beside how likely a row is: draws, conditionals, and what missing cells are likely to hold."""

import numpy as np

from firstsight.density.incomplete import Floats, Ints
from firstsight.density.mixture import (
    Mixture,
    completed_by,
    component_scores,
    conditioned,
    draw,
    log_sum,
    patterns,
    shares_of,
)
from firstsight.density.stack import Density, Expert, expert_scores
from firstsight.density.warps import Warp, unwarped, unwarped_column, warped

AT_ONCE = 2_000_000  # numbers of a temporary array
SLIGHT = 1e-3  # probability of a component, to that of the likeliest, that is passed over in a mean
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
GRID = np.linspace(-9, 9, 1801)


def known_levels(density: Density) -> Density:
    """The density without the last level of every category, which stands for levels that were never seen."""
    experts = []
    for expert in density.experts:
        tables = [table[:, :-1] - log_sum(table[:, :-1], 1)[:, None] for table in expert.mixture.levels]
        experts.append(expert._replace(mixture=expert.mixture._replace(levels=tuple(tables))))
    return density._replace(experts=tuple(experts))


def drawn(density: Density, n: int, generator: np.random.Generator) -> tuple[Floats, Ints]:
    """So many rows at random: numbers (n, d) and codes (n, c)."""
    first = density.experts[0].mixture
    numbers, codes = np.empty((n, first.means.shape[1])), np.empty((n, len(first.levels)), np.int64)
    members = generator.choice(len(density.experts), n, p=shares_of(density.log_weights))
    for place, expert in enumerate(density.experts):
        rows = np.flatnonzero(members == place)
        z, codes[rows] = draw(expert.mixture, len(rows), generator)
        numbers[rows] = unwarped(expert.warp, z)
    return numbers, codes


def given(density: Density, numbers: Floats, codes: Ints) -> Density:
    """The density of what one row lacks, given what it has.

    Parameters
    ----------
    density : Density
        Over d numbers and c categories.
    numbers : ndarray of shape (d,)
        NaN is missing.
    codes : ndarray of shape (c,)
        -1 is missing.

    Returns
    -------
    Density
        Over the missing numbers and categories, in their order.

    """
    lacking = np.isnan(numbers)
    experts = []
    for expert in density.experts:
        z = warped(expert.warp, numbers[None])[0][0]
        warp = Warp(*(leaf[lacking] for leaf in expert.warp))
        experts.append(Expert(expert.name, warp, conditioned(expert.mixture, z, codes)))
    return Density(expert_members(density, numbers[None], codes[None])[0], tuple(experts))


def expert_members(density: Density, numbers: Floats, codes: Ints) -> Floats:
    """Logarithms of each expert's probability given what rows have, (n_rows, n_experts)."""
    scores = expert_scores(density, numbers, codes)
    return scores - log_sum(scores, 1)[:, None]


def expected(density: Density, numbers: Floats, codes: Ints) -> tuple[Floats, Ints]:
    """Rows whose missing cells hold the conditional mean, or the likeliest level, given the others.

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
    tuple of ndarray of shape (n_rows, d) and ndarray of shape (n_rows, c)
        Means are in units of the table, not of the experts' spaces.

    """
    members = np.exp(expert_members(density, numbers, codes))
    means = np.zeros_like(numbers)
    likely = [np.zeros((len(numbers), table.shape[1])) for table in density.experts[0].mixture.levels]
    for expert, share in zip(density.experts, members.T, strict=True):
        found, levels = _expected(expert, numbers, codes)
        means += share[:, None] * found
        for total, own in zip(likely, levels, strict=True):
            total += share[:, None] * own
    filled = codes.copy()
    for column, total in zip(filled.T, likely, strict=True):
        column[column < 0] = total.argmax(1)[column < 0]
    return np.where(np.isnan(numbers), means, numbers), filled


def drawn_cells(density: Density, numbers: Floats, codes: Ints, generator: np.random.Generator) -> tuple[Floats, Ints]:
    """Rows whose missing cells are drawn given the others; arguments as of :func:`expected`."""
    experts = _picked(expert_members(density, numbers, codes), generator)
    numbers, codes = numbers.copy(), codes.copy()
    for place, expert in enumerate(density.experts):
        rows = np.flatnonzero(experts == place)
        z = warped(expert.warp, numbers[rows])[0]
        components = _picked(component_scores(expert.mixture, z, codes[rows]), generator)
        for some, seen in patterns(z):
            if seen.all():
                continue
            used, own = np.unique(components[some], return_inverse=True)
            of = expert.mixture
            few = Mixture(of.log_weights[used], of.means[used], of.covariances[used])
            means, covariances = completed_by(few, z[some], seen)
            factors = np.linalg.cholesky(covariances + 1e-12 * np.eye(covariances.shape[1]))
            noise = generator.standard_normal((len(some), covariances.shape[1]))
            values = means[own, np.arange(len(some))] + np.einsum("nij,nj->ni", factors[own], noise)
            numbers[np.ix_(rows[some], ~seen)] = unwarped(Warp(*(leaf[~seen] for leaf in expert.warp)), values)
        for column, table in zip(codes.T, expert.mixture.levels, strict=True):
            column[rows] = np.where(column[rows] < 0, _picked(table[components], generator), column[rows])
    return numbers, codes


def _expected(expert: Expert, numbers: Floats, codes: Ints) -> tuple[Floats, list[Floats]]:
    """Conditional means of missing numbers, 0 for the others, and probabilities of levels, under one expert."""
    z, mixture = warped(expert.warp, numbers)[0], expert.mixture
    scores = component_scores(mixture, z, codes)
    shares = np.exp(scores - log_sum(scores, 1)[:, None])
    means = np.zeros_like(numbers)
    tables = {int(j): unwarped_column(expert.warp, GRID, int(j)) for j in np.flatnonzero(np.isnan(numbers).any(0))}
    for rows, seen in patterns(z):
        lacking = np.flatnonzero(~seen)
        step = max(1, AT_ONCE // (len(mixture.means) * max(1, len(lacking))))
        for start in range(0, len(rows) if len(lacking) else 0, step):
            some = rows[start : start + step]
            share = shares[some]
            row, component = np.nonzero(share > SLIGHT * share.max(1, keepdims=True))
            weights = share[row, component]
            weights = weights / np.bincount(row, weights)[row]
            centres, covariances = completed_by(mixture, z[some], seen)
            for place, j in enumerate(lacking):
                deviations = np.sqrt(np.maximum(covariances[component, place, place], 0))
                nodes = centres[component, row, place][:, None] + deviations[:, None] * NODES
                values = _looked_up(expert.warp, nodes, int(j), tables[int(j)]) @ NODE_WEIGHTS / NODE_WEIGHTS.sum()
                means[some, j] = np.bincount(row, weights * values, len(some))
    return means, [shares @ np.exp(table) for table in mixture.levels]


def _looked_up(warp: Warp, z: Floats, j: int, table: Floats) -> Floats:
    """Numbers of column j that are mapped to z, between those of a grid; by themselves outside of it."""
    found = np.interp(z, GRID, table)
    far = np.abs(z) > GRID[-1]
    found[far] = unwarped_column(warp, z[far], j)
    return found


def _picked(log_shares: Floats, generator: np.random.Generator) -> Ints:
    """One column's place for each row (n_rows,), at random by the shares in the row: the largest with Gumbel noise."""
    found: Ints = (log_shares + generator.gumbel(size=log_shares.shape)).argmax(1)
    return found

"""The experts of a stack: Gaussians, mixtures of Gaussians and kernels, in plain and in bent space.

All are mixtures, so that marginals and conditionals are closed. A mixture of k Gaussians is fitted by EM from a
partition by k-means with the prior of Fraley and Raftery (2007): covariances are pulled to that of the whole table
(shrunken, Ledoit and Wolf 2004) divided by k^(2/d), which leaves it finite with components of one row. A kernel density
has a component at every row; its kernels are round, or shaped like the table. A kernel's table of a category is its
row's level, mixed with the whole table's shares (Aitchison and Aitken 1976).
"""

from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import KMeans
from sklearn.covariance import ledoit_wolf

from firstsight.density.em import Pull, Shape, em_step, moved
from firstsight.density.incomplete import Floats, Ints
from firstsight.density.mixture import Mixture, completed, component_scores, log_sum
from firstsight.density.warps import Warp, bending, straight, warped

PLAIN, BENT = "as measured", "as normal scores"
FLOOR = 1e-6
MOST_KERNELS = 2000
STEPS, TOLERANCE = 60, 1e-3
STEPS_OF_ONE = 20
STEPS_WITH_GAPS = 6  # after a fit to rows whose missing numbers were drawn
FURTHEST = 1e6
MEAN_ROWS = 0.05
ROWS_OF_VARIANCES = 3.0
FEW_ROWS = 400
SIZES = (1, 2, 3, 4, 8, 16, 32)
FEWEST_A_GAUSSIAN = 8  # rows
MOST_CATEGORIES = 8  # whose levels Gaussians start from
WIDTHS = (0.15, 0.25, 0.4, 0.6)
FURTHEST_PLAIN = 100.0  # deviations: with values further out, the plain space says nothing of the others


class Recipe(NamedTuple):
    """How an expert is fitted.

    Parameters
    ----------
    space : str
        ``PLAIN`` or ``BENT``.
    size : int
        Number of Gaussians; 0 for kernels.
    width : float
        Deviation of a kernel in those of the columns; unused by Gaussians.
    shaped : bool
        Whether a kernel has the table's correlations, and Gaussians have correlations at all.
    category : int
        Whose levels the Gaussians start from; -1 for a partition of the rows.

    """

    space: str
    size: int
    width: float = 0.0
    shaped: bool = True
    category: int = -1

    @property
    def name(self) -> str:
        """What it is, in words."""
        if self.size == 0:
            return f"{'shaped' if self.shaped else 'round'} kernels of {self.width:g} deviations, {self.space}"
        what = "1 Gaussian" if self.size == 1 else f"{self.size} Gaussians"
        start = f" from the levels of category {self.category}" if self.category >= 0 else ""
        return f"{what}{'' if self.shaped else ' without correlations'}{start}, {self.space}"


class Rows(NamedTuple):
    """What is learned from.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, d)
        NaN is missing.
    codes : ndarray of shape (n_rows, c)
        -1 is missing.
    n_levels : tuple of int of length c
        Of every category.
    steps : ndarray of shape (d,)
        In which columns were measured, in their units; 0 where they are fine.

    """

    numbers: Floats
    codes: Ints
    n_levels: tuple[int, ...]
    steps: Floats


class Space(NamedTuple):
    """Rows in a warped space.

    Parameters
    ----------
    warp : Warp
        To it.
    z : ndarray of shape (n_rows, d)
        The rows there; NaN is missing.
    full : ndarray of shape (n_rows, d)
        Missing numbers are draws: what a fit starts from.
    whole : Mixture
        One shrunken Gaussian with the shares of levels.
    floor : ndarray of shape (d,)
        Least variances there.

    """

    warp: Warp
    z: Floats
    full: Floats
    whole: Mixture
    floor: Floats


def space_of(name: str, rows: Rows) -> Space:
    """Rows in a space, ``PLAIN`` or ``BENT``, that is learned from them."""
    warp = straight(rows.numbers, np.maximum(rows.steps, np.finfo(np.float64).tiny))
    floor = np.full(rows.numbers.shape[1], FLOOR)
    if name == BENT:
        warp = bending(rows.numbers, warp, rows.steps)
    else:
        floor += (rows.steps / warp.scales) ** 2 / 12
    z = warped(warp, rows.numbers)[0]
    whole = _whole(z, rows, floor)
    return Space(warp, z, _full(z, whole), whole, floor)


def fitted_mixture(recipe: Recipe, space: Space, codes: Ints, seed: int) -> Mixture:
    """The expert's mixture in its space, from the rows there and their codes (n_rows, c)."""
    if recipe.size == 0:
        return _kernels(recipe, space, codes)
    if recipe.size == 1:
        own = np.diag(np.diag(space.whole.covariances[0]))[None]
        return space.whole if recipe.shaped else space.whole._replace(covariances=own)
    d, size = space.z.shape[1], recipe.size
    covariance = space.whole.covariances[0]
    aim = (covariance if recipe.shaped else np.diag(np.diag(covariance))) / size ** (2 / max(d, 1))
    centre = Mixture(
        np.full(size, -np.log(size)),
        np.repeat(space.whole.means, size, axis=0),
        np.repeat(aim[None], size, axis=0),
        tuple(np.repeat(table, size, axis=0) for table in space.whole.levels),
    )
    pull = Pull(
        centre,
        weight_rows=1.0,
        mean_rows=MEAN_ROWS,
        covariance_rows=d + 2.0 if recipe.shaped else ROWS_OF_VARIANCES,
        level_rows=2.0,
    )
    shape: Shape = "full" if recipe.shaped else "diagonal"
    labels = _partition(recipe, space, codes, seed)
    scores = np.where(labels[:, None] == np.arange(size), 0.0, -50.0)
    mixture, before = centre, -np.inf
    for _ in range(STEPS):
        mixture = moved(mixture, space.full, codes, scores, floor=space.floor, pull=pull, shape=shape)
        scores = component_scores(mixture, space.full, codes)
        likelihood = float(log_sum(scores, 1).mean())
        if likelihood - before < TOLERANCE:
            break
        before = likelihood
    for _ in range(STEPS_WITH_GAPS if np.isnan(space.z).any() else 0):
        mixture = em_step(mixture, space.z, codes, floor=space.floor, pull=pull, shape=shape)
    return mixture


def candidates(n_rows: int, d: int, n_levels: tuple[int, ...] = (), *, cheap: bool = False) -> list[Recipe]:
    """What may be worth a place in the stack of so many rows, numbers and levels; only some of it, to be cheap."""
    spaces = (BENT, PLAIN) if d else (PLAIN,)
    if cheap:
        few = [Recipe(space, 1) for space in spaces]
        return [*few, Recipe(spaces[0], 2), Recipe(spaces[0], 0, 0.6)] if n_rows >= FEWEST_A_GAUSSIAN else few
    shapes = (True, False) if d > 1 else (True,)
    sizes = [size for size in SIZES if size == 1 or size * FEWEST_A_GAUSSIAN <= n_rows]
    found = [Recipe(space, size) for space in spaces for size in sizes]
    some = [j for j, n in enumerate(n_levels) if n * FEWEST_A_GAUSSIAN <= n_rows][:MOST_CATEGORIES]
    found += [Recipe(spaces[0], n_levels[j], category=j) for j in some]
    if (n_rows < FEW_ROWS or n_levels) and d > 1:
        found += [Recipe(space, size, shaped=False) for space in spaces for size in sizes[:5]]
    return found + [Recipe(space, 0, width, shaped) for space in spaces for width in WIDTHS for shaped in shapes]


def _whole(z: Floats, rows: Rows, floor: Floats) -> Mixture:
    """One Gaussian with the shares of levels, half a row added to each."""
    d = z.shape[1]
    tables = []
    for column, n in zip(rows.codes.T, rows.n_levels, strict=True):
        counts = np.bincount(column[column >= 0], minlength=n) + 0.5
        tables.append(np.log(counts / counts.sum())[None])
    seen = ~np.isnan(z)
    # What is further out would overflow where it is squared twice.
    z = np.clip(z, -FURTHEST, FURTHEST)
    if seen.all():
        covariance = ledoit_wolf(z)[0] if d and len(z) > 1 else np.eye(d)
        return Mixture(np.zeros(1), z.mean(0)[None], (covariance + np.diag(floor))[None], tuple(tables))
    sizes = np.maximum(seen.sum(0), 1)
    mean = np.where(seen, z, 0).sum(0) / sizes
    variance = np.where(seen.any(0), np.where(seen, (z - mean) ** 2, 0).sum(0) / sizes, 1.0)
    start = Mixture(np.zeros(1), mean[None], np.diag(variance + floor)[None])
    pull, mixture, none = Pull(start, 0.0, 0.0, d + 2.0, 0.0), start, rows.codes[:, :0]
    for _ in range(STEPS_OF_ONE):
        mixture = em_step(mixture, z, none, floor=floor, pull=pull)
    return mixture._replace(levels=tuple(tables))


def _full(z: Floats, whole: Mixture) -> Floats:
    """The rows with missing numbers drawn from the one Gaussian, each by itself."""
    if not np.isnan(z).any():
        return z
    found = completed(whole._replace(levels=()), z, np.empty((len(z), 0), np.int64))
    noise = np.random.default_rng(0).standard_normal(z.shape)
    full: Floats = found.means[:, 0] + np.sqrt(found.variances[:, 0]) * noise
    return full


def _kernels(recipe: Recipe, space: Space, codes: Ints) -> Mixture:
    """A component at every row that has all its numbers."""
    d = space.z.shape[1]
    whole = np.flatnonzero(~np.isnan(space.z).any(1))[:MOST_KERNELS]
    n_kernels = len(whole)
    covariance = space.whole.covariances[0]
    shape = covariance if recipe.shaped else np.diag(np.diag(covariance))
    tables = []
    for column, table in zip(codes[whole].T, space.whole.levels, strict=True):
        shares = np.exp(table[0])
        own = np.where((column >= 0)[:, None], np.eye(len(shares))[column], shares)
        tables.append(np.log((1 - recipe.width) * own + recipe.width * shares))
    return Mixture(
        np.full(n_kernels, -np.log(n_kernels)),
        space.z[whole],
        np.broadcast_to(recipe.width**2 * shape + np.diag(space.floor), (n_kernels, d, d)),
        tuple(tables),
    )


def _partition(recipe: Recipe, space: Space, codes: Ints, seed: int) -> Ints:
    """Labels from 0: a category's levels, or by Ward's method or k-means.

    Levels are numbers as in a factor analysis of mixed data: a rare one counts more.
    """
    if recipe.category >= 0:
        column = codes[:, recipe.category]
        return np.where(column >= 0, column, space.whole.levels[recipe.category][0].argmax())
    levels = []
    for column, table in zip(codes.T, space.whole.levels, strict=True):
        levels.append(np.eye(table.shape[1] + 1)[column][:, :-1] / np.exp(table / 2))
    rows = np.column_stack([space.full, *levels])
    if len(rows) <= FEW_ROWS:
        return np.asarray(fcluster(linkage(rows, "ward"), recipe.size, "maxclust"), np.int64) - 1
    return np.asarray(KMeans(recipe.size, n_init=1, random_state=seed).fit(rows).labels_, np.int64)

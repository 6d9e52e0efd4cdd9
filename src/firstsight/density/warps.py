"""Columnwise monotone maps to a roughly normal scale, and back.

A column is centred and scaled, bent by a power (Yeo and Johnson 2000) and, through a mixture of Gaussians of its own,
mapped to where a standard normal distribution has the same probability,

    z = Phi^-1(sum_b w_b Phi((y - m_b) / s_b)).

With one part that is a straight line; so all warps are of one form. Parts are the column's quantile bins, each as wide
as its rows and its neighbours say: narrow where rows are dense. Beyond what was seen z goes on at the slope of the
outer parts, so that a new value far away has a finite density. Powers are kept within 0 and 2, where both directions
reach the whole line.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri, ndtri_exp

from firstsight.density.incomplete import Floats
from firstsight.density.mixture import log_sum

POWERS = np.linspace(0, 2, 9)
MOST_PARTS = 60
FAR = 10.0  # times what the quartiles say: a deviation that a few values decide
NEIGHBOURS = 0.7  # share of the distance to the next bins that a bin's deviation holds
FURTHEST = 1e50  # scales from the centre: squares of further numbers would overflow
STEPS = np.array([-40, -12, -6, -4, -3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 12, 40])
NEWTON = 8
CLOSE = 1e-11
LEAST = 1e-290
TINY = 1e-300


class Warp(NamedTuple):
    """A map of d columns.

    Parameters
    ----------
    centres, scales : ndarray of shape (d,)
        In units of the column; scales > 0.
    powers : ndarray of shape (d,)
        From 0 to 2; 1 bends nothing.
    weights, means, deviations : ndarray of shape (d, n_parts)
        Of the mixture of every column, after its power; weights add up to 1.

    """

    centres: Floats
    scales: Floats
    powers: Floats
    weights: Floats
    means: Floats
    deviations: Floats


def straight(numbers: Floats, least: Floats) -> Warp:
    """Columns centred and scaled.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, d)
        NaN is missing.
    least : ndarray of shape (d,)
        Scales are no smaller; > 0.

    Returns
    -------
    Warp
        Deviations are those of the columns, or from their quartiles where few values are so far out that they alone
        would decide.

    """
    missing = bool(np.isnan(numbers).any())
    numbers = np.where(np.isnan(numbers).all(0), 0.0, numbers)
    low, centres, high = (np.nanquantile if missing else np.quantile)(numbers, [0.25, 0.5, 0.75], axis=0)
    # So that squares of the largest numbers do not overflow.
    size = np.maximum(np.nanmax(np.abs(numbers - centres), axis=0), least)
    deviations = size * np.nanstd((numbers - centres) / size, axis=0)
    robust = (high - low) / 1.35
    scales = np.maximum(np.where((robust == 0) | (deviations < FAR * robust), deviations, robust), least)
    d = numbers.shape[1]
    ones = np.ones((d, 1))
    return Warp(centres, scales, np.ones(d), ones, np.zeros((d, 1)), ones)


def bending(numbers: Floats, base: Warp, resolutions: Floats) -> Warp:
    """Columns bent so that each is about normal.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, d)
        NaN is missing.
    base : Warp
        As :func:`straight` gives it.
    resolutions : ndarray of shape (d,)
        Of the columns, in their units: no part is narrower.

    Returns
    -------
    Warp
        With about as many parts as the square root of the rows.

    """
    d = numbers.shape[1]
    n_parts = int(np.clip(round(len(numbers) ** 0.5), 2, MOST_PARTS))
    numbers = np.where(np.isnan(numbers).all(0), base.centres, numbers)
    powers = _powers(np.stack([_placed(base, column, j) for j, column in enumerate(numbers.T)], axis=1))
    weights, means, deviations = (np.empty((d, n_parts)) for _ in range(3))
    for j, column in enumerate(numbers.T):
        x = _placed(base, column[~np.isnan(column)], j)
        y, slopes = _bent(np.sort(x), powers[j])
        edges = np.linspace(0, len(y), n_parts + 1)
        bins = [slice(int(start), max(int(start) + 1, int(stop))) for start, stop in itertools.pairwise(edges)]
        weights[j] = 1 / n_parts
        means[j] = [y[some].mean() for some in bins]
        own = np.exp(slopes[[(some.start + some.stop - 1) // 2 for some in bins]]) * resolutions[j] / base.scales[j]
        wide = np.array([y[some].var() for some in bins]) + (NEIGHBOURS * np.gradient(means[j])) ** 2 + own**2 / 12
        deviations[j] = np.sqrt(np.maximum(wide, 1e-12 * max(y.var(), 1e-12)))
    return Warp(base.centres, base.scales, powers, weights, means, deviations)


def warped(warp: Warp, numbers: Floats) -> tuple[Floats, Floats]:
    """Numbers (n_rows, d) on the normal scale, and the logarithms of the slopes there; NaN stays NaN, with slope 1."""
    z, slopes = np.empty_like(numbers), np.empty_like(numbers)
    for j, column in enumerate(numbers.T):
        y, bent = _bent(_placed(warp, column, j), warp.powers[j])
        z[:, j], scored = _scored(y, warp.weights[j], warp.means[j], warp.deviations[j])
        slopes[:, j] = scored + bent - np.log(warp.scales[j])
    return z, np.where(np.isnan(z), 0.0, slopes)


def unwarped(warp: Warp, z: Floats) -> Floats:
    """The numbers (n_rows, d) that :func:`warped` maps to z; NaN stays NaN."""
    return np.stack([unwarped_column(warp, column, j) for j, column in enumerate(z.T)], axis=1) if z.size else z.copy()


def unwarped_column(warp: Warp, z: Floats, j: int) -> Floats:
    """The numbers (n_rows,) of column j that are mapped to z."""
    y = _unscored(z, warp.weights[j], warp.means[j], warp.deviations[j])
    numbers: Floats = warp.centres[j] + warp.scales[j] * _unbent(y, warp.powers[j])
    return numbers


def _placed(warp: Warp, column: Floats, j: int) -> Floats:
    with np.errstate(over="ignore"):
        placed: Floats = np.clip((column - warp.centres[j]) / warp.scales[j], -FURTHEST, FURTHEST)
        return placed


def _powers(x: Floats) -> Floats:
    """For each column the power of the highest likelihood, were it then normal."""
    found = []
    for power in POWERS:
        y, slopes = _bent(x, power)
        found.append(np.nanmean(slopes, axis=0) - 0.5 * np.log(np.maximum(np.nanvar(y, axis=0), TINY)))
    powers: Floats = POWERS[np.argmax(found, axis=0)]
    return powers


def _bent(x: Floats, power: float) -> tuple[Floats, Floats]:
    """Yeo and Johnson's power of x, and the logarithm of its slope."""
    if power == 1:
        return x, np.zeros_like(x)
    log = np.log1p(np.abs(x))
    above = np.expm1(power * log) / power if power > 0 else log
    below = -np.expm1((2 - power) * log) / (2 - power) if power < 2 else -log
    return np.where(x < 0, below, above), (power - 1) * np.where(x < 0, -log, log)


def _unbent(y: Floats, power: float) -> Floats:
    if power == 1:
        return y
    size = np.minimum(np.abs(y), 100.0 if power in (0, 2) else np.inf)
    above = np.expm1(np.log1p(power * size) / power) if power > 0 else np.expm1(size)
    below = -np.expm1(np.log1p((2 - power) * size) / (2 - power)) if power < 2 else -np.expm1(size)
    return np.where(y < 0, below, above)


def _scored(y: Floats, weights: Floats, means: Floats, deviations: Floats) -> tuple[Floats, Floats]:
    """Normal scores of y through a mixture, and the logarithms of the slopes."""
    apart = (y[:, None] - means) / deviations
    if len(weights) == 1:
        return apart[:, 0], np.full_like(y, -np.log(deviations[0]))
    below, above = ndtr(apart) @ weights, ndtr(-apart) @ weights
    # The smaller of the two probabilities has all its digits, unless it is too small for a number.
    least = np.minimum(below, above)
    tail = ndtri(least)
    far = least < LEAST
    if far.any():
        side = np.where(below[far] < above[far], 1.0, -1.0)[:, None]
        tail[far] = ndtri_exp(log_sum(log_ndtr(side * apart[far]) + np.log(weights), 1))
    z = np.where(below < above, tail, -tail)
    return z, log_sum(np.log(weights / deviations) - 0.5 * apart**2, 1) + 0.5 * z**2


def _unscored(z: Floats, weights: Floats, means: Floats, deviations: Floats) -> Floats:
    if len(weights) == 1:
        line: Floats = means[0] + deviations[0] * z
        return line
    grid = np.unique((means[:, None] + deviations[:, None] * STEPS).ravel())
    scores = np.maximum.accumulate(_scored(grid, weights, means, deviations)[0])
    # Each part alone maps to z from a place of its own; that of the mixture lies among them.
    own = means + deviations * z[:, None]
    place = np.searchsorted(scores, z)
    low = np.where(place > 0, grid[np.maximum(place - 1, 0)], own.min(1))
    high = np.where(place < len(grid), grid[np.minimum(place, len(grid) - 1)], own.max(1))
    y: Floats = np.clip(np.interp(z, scores, grid), low, high)
    for _ in range(NEWTON):
        found, slope = _scored(y, weights, means, deviations)
        low, high = np.where(found < z, y, low), np.where(found > z, y, high)
        moved = y + (z - found) * np.exp(-slope)
        # Halving where Newton's step leaves the bracket.
        y = np.where((moved >= low) & (moved <= high) | np.isnan(z), moved, 0.5 * (low + high))
        if not (np.abs(found - z) > CLOSE * (1 + np.abs(z))).any():
            break
    return y

"""One step of EM for a mixture of Gaussians times categorical tables, with missing cells and a prior.

Without a prior it is EM (Dempster, Laird and Rubin 1977); a missing cell counts with its expected moments given what
the row has (Ghahramani and Jordan 1994). With one it is MAP-EM (Fraley and Raftery 2007): the prior is a mixture
with as many components, to which each of them is pulled with strengths lambda in units of rows. With n_j the
responsibilities of component j, x_j the mean of its rows, A_j their covariance, p_j its rows' shares of levels and
D_j = x_j - m0_j, the step is that of :mod:`firstsight.learners.gmm`,

    w_j = t_w n_j / n + (1 - t_w) w0_j                                      t_w = n / (n + lambda_w)
    mu_j = m0_j + t_m D_j                                                   t_m = n_j / (n_j + lambda_m)
    S_j = t_s (A_j + (1 - t_m) D_j D_j' + floor I) + (1 - t_s) S0_j         t_s = n_j / (n_j + lambda_s)
    p_j = t_l p_j + (1 - t_l) p0_j                                          t_l = n_j / (n_j + lambda_l)

with logarithms of sizes, so that it stays finite at any strength: 0 gives EM, infinity the prior. Tied: A and D D'
averaged over components, n for n_j. Without a prior a component whose responsibilities add up to less than a rounding
stays where it was.
"""

from typing import Literal, NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from firstsight.density.incomplete import Bools, Floats, Ints, filled
from firstsight.density.mixture import AT_ONCE, Mixture, component_scores, log_sum

Shape = Literal["full", "diagonal", "tied"]
TINY = float(np.finfo(np.float64).tiny)


class Pull(NamedTuple):
    """A prior on a mixture.

    Parameters
    ----------
    centre : Mixture
        What each component is pulled to; shaped like the mixture.
    weight_rows, mean_rows, covariance_rows, level_rows : float
        How strongly, in rows, from 0 to infinity.

    """

    centre: Mixture
    weight_rows: float
    mean_rows: float
    covariance_rows: float
    level_rows: float


def em_step(
    mixture: Mixture,
    numbers: Floats,
    codes: Ints,
    *,
    floor: float | Floats,
    pull: Pull | None = None,
    shape: Shape = "full",
) -> Mixture:
    """The mixture after one exact step; its log-likelihood, with the log of the prior's density, is no lower.

    Parameters
    ----------
    mixture : Mixture
        Over d numbers and c categories.
    numbers : ndarray of shape (n_rows, d)
        At least one row; NaN is missing.
    codes : ndarray of shape (n_rows, c)
        -1 is missing.
    floor : float or ndarray of shape (d,)
        Added to the variances, >= 0, in squared units of the numbers.
    pull : Pull or None
        The prior.
    shape : {"full", "diagonal", "tied"}
        Each component its own matrix, its own variances, or one matrix for all.

    Returns
    -------
    Mixture
        A new one.

    """
    scores = component_scores(mixture, numbers, codes)
    return moved(mixture, numbers, codes, scores, floor=floor, pull=pull, shape=shape)


def moved(
    mixture: Mixture,
    numbers: Floats,
    codes: Ints,
    scores: Floats,
    *,
    floor: float | Floats,
    pull: Pull | None = None,
    shape: Shape = "full",
) -> Mixture:
    """As :func:`em_step`, given what :func:`component_scores` says of the rows, (n_rows, n_components)."""
    log_n = np.log(len(scores))
    # A component of weight 0 has no share in any row; a finite number keeps it from being compared with infinity.
    log_members = np.maximum(scores - log_sum(scores, 1)[:, None], -1e300)
    log_sizes = log_sum(log_members, 0)
    # Each row's share in a component: adds up to 1 over the rows, however far away all of them are.
    shares = np.exp(log_members - log_sizes)
    shares /= shares.sum(0)
    means, scatter = _moments(mixture, numbers, shares)
    levels = [_level_shares(table, column, shares) for table, column in zip(mixture.levels, codes.T, strict=True)]
    log_weights = log_sizes - log_n
    if pull is not None:
        trust = expit(log_sizes - _log(pull.mean_rows))[:, None]
        gap = means - pull.centre.means
        scatter = scatter + (1 - trust)[:, :, None] * gap[:, :, None] * gap[:, None, :]
        means = pull.centre.means + trust * gap
        odds = log_n - _log(pull.weight_rows)
        log_weights = np.logaddexp(log_expit(odds) + log_weights, log_expit(-odds) + pull.centre.log_weights)
        trust = expit(log_sizes - _log(pull.level_rows))[:, None]
        levels = [
            trust * share + (1 - trust) * np.exp(table) for share, table in zip(levels, pull.centre.levels, strict=True)
        ]
    log_rows = log_sizes
    if shape == "tied":
        pooled = np.tensordot(np.exp(log_sizes - log_n), scatter, 1)
        scatter = np.repeat(pooled[None], len(means), axis=0)
        log_rows = np.full_like(log_sizes, log_n)
    elif shape == "diagonal":
        scatter = scatter * np.eye(scatter.shape[1])
    covariances = scatter + np.eye(scatter.shape[1]) * floor
    if pull is not None:
        trust = expit(log_rows - _log(pull.covariance_rows))[:, None, None]
        covariances = trust * covariances + (1 - trust) * pull.centre.covariances
    tables = tuple(np.log(np.maximum(share, TINY)) for share in levels)
    found = Mixture(log_weights, means, covariances, tables)
    lost = log_sizes <= np.log(np.finfo(np.float64).eps)
    return _kept(found, mixture, lost, tied=shape == "tied") if pull is None and lost.any() else found


def _moments(mixture: Mixture, numbers: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Means (n_components, d) of the components' rows, and their covariances, given shares (n_rows, n_components)."""
    if not np.isnan(numbers).any():
        means = shares.T @ numbers
        return means, _scatter(numbers, shares, means)
    lacking = np.isnan(numbers).any(1)
    whole = numbers[~lacking]
    means = shares[~lacking].T @ whole
    places = np.flatnonzero(lacking)
    parts = list(filled(mixture.means, mixture.covariances, numbers[lacking]))
    for some, part in parts:
        means += np.einsum("nk,nkd->kd", shares[places[some]], part.values)
    scatter = _scatter(whole, shares[~lacking], means)
    for some, part in parts:
        share = shares[places[some]].T
        deviations = part.values.swapaxes(0, 1) - means[:, None]
        scatter += (share[:, :, None] * deviations).swapaxes(1, 2) @ deviations
        in_patterns = np.stack([np.bincount(part.pattern, own, len(part.spreads)) for own in share])
        scatter += np.einsum("kp,pkij->kij", in_patterns, part.spreads)
    return means, scatter


def _scatter(numbers: Floats, shares: Floats, means: Floats) -> Floats:
    """Weighted sums of d d' over rows that have all numbers, (n_components, d, d)."""
    n_components, d = means.shape
    found = np.empty((n_components, d, d))
    step = max(1, AT_ONCE // max(1, numbers.size))
    for start in range(0, n_components, step):
        some = slice(start, start + step)
        deviations = numbers - means[some, None]
        found[some] = (shares.T[some, :, None] * deviations).swapaxes(1, 2) @ deviations
    return found


def _level_shares(table: Floats, column: Ints, shares: Floats) -> Floats:
    """Each level's share of the components' rows, (n_components, n_levels); a missing code is what it is expected."""
    n_levels = table.shape[1]
    seen = np.zeros((len(column), n_levels + 1))
    seen[np.arange(len(column)), column] = 1  # -1 is the last
    found = shares.T @ seen
    filled: Floats = found[:, :n_levels] + found[:, n_levels:] * np.exp(table)
    filled /= filled.sum(1, keepdims=True)
    return filled


def _kept(found: Mixture, before: Mixture, lost: Bools, *, tied: bool) -> Mixture:
    return Mixture(
        found.log_weights,
        np.where(lost[:, None], before.means, found.means),
        found.covariances if tied else np.where(lost[:, None, None], before.covariances, found.covariances),
        tuple(np.where(lost[:, None], old, new) for old, new in zip(before.levels, found.levels, strict=True)),
    )


def _log(rows: float) -> float:
    return float(np.log(rows)) if rows > 0 else -np.inf

"""A mixture of Gaussians times categorical tables: densities, draws and conditionals in closed form.

Component j has weight w_j, a normal distribution N(mu_j, S_j) of the numbers, and for every category a table of
probabilities, independent given j:

    p(x, c) = sum_j w_j N(x; mu_j, S_j) prod_l p_jl(c_l).

A cell that is missing, NaN in numbers and -1 in codes, is integrated out: its column is left out of the component's
density. Numbers are meant to be of about unit size; there may be none of them, or no category.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from firstsight.density.incomplete import Bools, Floats, Ints, patterns_of, scores_of

AT_ONCE = 200_000  # numbers of a temporary array: it stays in the processor's cache


class Mixture(NamedTuple):
    """A mixture over d numbers and c categories.

    Parameters
    ----------
    log_weights : ndarray of shape (n_components,)
        Logarithms of weights that add up to 1.
    means : ndarray of shape (n_components, d)
        Of the numbers.
    covariances : ndarray of shape (n_components, d, d)
        Of the numbers, positive definite.
    levels : tuple of ndarray of shape (n_components, n_levels)
        For each category the logarithms of its levels' probabilities.

    """

    log_weights: Floats
    means: Floats
    covariances: Floats
    levels: tuple[Floats, ...] = ()


class Completed(NamedTuple):
    """What a mixture says of the numbers that rows lack.

    Parameters
    ----------
    log_members : ndarray of shape (n_rows, n_components)
        Logarithm of each component's probability, given what the row has.
    means : ndarray of shape (n_rows, n_components, d)
        Of the numbers given the component; those that the row has are themselves.
    variances : ndarray of shape (n_rows, n_components, d)
        Likewise; 0 for those that the row has.

    """

    log_members: Floats
    means: Floats
    variances: Floats


def component_scores(mixture: Mixture, numbers: Floats, codes: Ints) -> Floats:
    """Log of each component's weight times its density.

    Parameters
    ----------
    mixture : Mixture
        Over d numbers and c categories.
    numbers : ndarray of shape (n_rows, d)
        NaN is missing.
    codes : ndarray of shape (n_rows, c)
        Places of levels; -1 is missing.

    Returns
    -------
    ndarray of shape (n_rows, n_components)
        In nats. The log-sum-exp over components is the log-density of the row.

    """
    scores = np.repeat(mixture.log_weights[None], len(numbers), axis=0)
    if numbers.shape[1]:
        lacking = np.isnan(numbers).any(1)
        if not lacking.any():
            scores += _log_normal(mixture.means, mixture.covariances, numbers)
        else:
            scores[~lacking] += _log_normal(mixture.means, mixture.covariances, numbers[~lacking])
            scores[lacking] += _log_marginal(mixture.means, mixture.covariances, numbers[lacking])
    for column, table in zip(codes.T, mixture.levels, strict=True):
        scores += np.vstack([table.T, np.zeros(len(table))])[column]  # -1 is the last row
    return scores


def log_density(mixture: Mixture, numbers: Floats, codes: Ints) -> Floats:
    """Log-density of rows, (n_rows,), in nats; arguments as of :func:`component_scores`."""
    return log_sum(component_scores(mixture, numbers, codes), 1)


def draw(mixture: Mixture, n: int, generator: np.random.Generator) -> tuple[Floats, Ints]:
    """So many rows at random: numbers (n, d) and codes (n, c)."""
    members = generator.choice(len(mixture.log_weights), n, p=shares_of(mixture.log_weights))
    numbers = mixture.means[members].copy()
    if numbers.size:
        used, place = np.unique(members, return_inverse=True)
        factors = _factors(mixture.covariances[used])
        numbers += np.einsum("nij,nj->ni", factors[place], generator.standard_normal(numbers.shape))
    codes = np.empty((n, len(mixture.levels)), np.int64)
    for column, table in zip(codes.T, mixture.levels, strict=True):
        # The largest of log-probabilities plus Gumbel noise is a draw.
        column[:] = (table[members] + generator.gumbel(size=(n, table.shape[1]))).argmax(1)
    return numbers, codes


def conditioned(mixture: Mixture, numbers: Floats, codes: Ints) -> Mixture:
    """The mixture over what one row lacks, given what it has.

    Parameters
    ----------
    mixture : Mixture
        Over d numbers and c categories.
    numbers : ndarray of shape (d,)
        NaN is missing.
    codes : ndarray of shape (c,)
        -1 is missing.

    Returns
    -------
    Mixture
        Over the missing numbers and categories, in their order.

    """
    scores = component_scores(mixture, numbers[None], codes[None])
    seen = ~np.isnan(numbers)
    means, covariances = completed_by(mixture, numbers[None], seen)
    levels = tuple(table for table, code in zip(mixture.levels, codes, strict=True) if code < 0)
    return Mixture((scores - log_sum(scores, 1)[:, None])[0], means[:, 0], covariances, levels)


def completed(mixture: Mixture, numbers: Floats, codes: Ints) -> Completed:
    """Moments of the numbers that rows lack, component by component, given what they have.

    Parameters
    ----------
    mixture : Mixture
        Over d numbers and c categories.
    numbers : ndarray of shape (n_rows, d)
        NaN is missing.
    codes : ndarray of shape (n_rows, c)
        -1 is missing.

    Returns
    -------
    Completed
        See there. It takes memory for ``n_rows * n_components * d`` numbers, twice.

    """
    scores = component_scores(mixture, numbers, codes)
    means = np.repeat(numbers[:, None], len(mixture.means), axis=1)
    variances = np.zeros_like(means)
    for rows, seen in patterns(numbers):
        if not seen.all():
            lacking, own = np.ix_(rows, np.arange(len(mixture.means)), ~seen), np.diagonal
            moved, covariances = completed_by(mixture, numbers[rows], seen)
            means[lacking] = moved.swapaxes(0, 1)
            variances[lacking] = np.maximum(own(covariances, axis1=1, axis2=2), 0)[None]
    return Completed(scores - log_sum(scores, 1)[:, None], means, variances)


def completed_by(mixture: Mixture, numbers: Floats, seen: Bools) -> tuple[Floats, Floats]:
    """Means and covariances of the numbers that rows of one pattern lack, given the others.

    Parameters
    ----------
    mixture : Mixture
        Over d numbers.
    numbers : ndarray of shape (n_rows, d)
        All with the same columns missing.
    seen : ndarray of shape (d,)
        Which are not.

    Returns
    -------
    tuple of ndarray of shape (n_components, n_rows, n_missing) and (n_components, n_missing, n_missing)

    """
    means = np.repeat(mixture.means[:, None, ~seen], len(numbers), axis=1)
    within = mixture.covariances[:, ~seen][:, :, ~seen]
    if not seen.any():
        return means, within
    whitening = _whitening(mixture.covariances[:, seen][:, :, seen])[0]
    across = mixture.covariances[:, ~seen][:, :, seen] @ whitening.swapaxes(1, 2)
    deviations = numbers[None, :, seen] - mixture.means[:, None, seen]
    means += deviations @ (across @ whitening).swapaxes(1, 2)
    return means, within - across @ across.swapaxes(1, 2)


def patterns(numbers: Floats) -> Iterator[tuple[Ints, Bools]]:
    """Rows (n_some,) that have the same numbers, and which these are (d,): all patterns that occur."""
    if not len(numbers):
        return
    different, place = patterns_of(~np.isnan(numbers))
    order = np.argsort(place, kind="stable")
    for seen, rows in zip(different, np.split(order, np.cumsum(np.bincount(place))[:-1]), strict=True):
        yield rows, seen


def log_sum(scores: Floats, axis: int) -> Floats:
    """Logarithm of the sum of exponentials along an axis; minus infinity where all are."""
    top = scores.max(axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        found: Floats = np.log(np.exp(scores - top).sum(axis)) + top.squeeze(axis)
    return found


def _log_marginal(means: Floats, covariances: Floats, X: Floats) -> Floats:
    """Log of each Gaussian's density at what rows have, (n_rows, n_components)."""
    if not _equal(covariances):
        return scores_of(means, covariances, X)
    found = np.zeros((len(X), len(means)))
    for rows, seen in patterns(X):
        if seen.any():
            found[rows] = _log_normal(means[:, seen], covariances[:, seen][:, :, seen], X[rows][:, seen])
    return found


def _log_normal(means: Floats, covariances: Floats, X: Floats) -> Floats:
    """Log of each Gaussian's density at each row, (n_rows, n_components)."""
    n_components, d = means.shape
    if _equal(covariances):
        whitening, log_volume = _whitening(covariances[:1])
        squared = cdist(X @ whitening[0].T, means @ whitening[0].T, "sqeuclidean")
    else:
        whitening, log_volume = _whitening(covariances)
        flat = whitening.reshape(n_components * d, d).T
        centres = (whitening @ means[:, :, None])[:, :, 0]
        squared = np.empty((len(X), n_components))
        step = max(1, AT_ONCE // (n_components * d))
        for start in range(0, len(X), step):
            apart = (X[start : start + step] @ flat).reshape(-1, n_components, d) - centres
            squared[start : start + step] = np.einsum("nkd,nkd->nk", apart, apart)
    found: Floats = -0.5 * squared - (log_volume + 0.5 * d * np.log(2 * np.pi))
    return found


def _equal(covariances: Floats) -> bool:
    return len(covariances) > 1 and bool((covariances[1:] == covariances[:1]).all())


def _whitening(covariances: Floats) -> tuple[Floats, Floats]:
    """Inverses of the Cholesky factors, and the logarithms of their determinants."""
    factors = _factors(covariances)
    log_volume: Floats = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)
    return np.asarray(np.linalg.inv(factors), np.float64), log_volume


def _factors(covariances: Floats) -> Floats:
    d = covariances.shape[1]
    # What rounding may take from a matrix without full rank.
    rounding = 10 * np.finfo(np.float64).eps * np.trace(covariances, axis1=1, axis2=2)
    found: Floats = np.linalg.cholesky(covariances + rounding[:, None, None] * np.eye(d))
    return found


def shares_of(log_weights: Floats) -> Floats:
    """Weights that add up to 1."""
    shares: Floats = np.exp(log_weights - log_weights.max())
    shares /= shares.sum()
    return shares

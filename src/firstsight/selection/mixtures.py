"""Gaussian mixtures for many numbers of components at once.

The logarithm of a Gaussian's density is linear in (1, x, x x^T), so that one matrix product gives it for all
components of all mixtures, and another one gives all their moments. Maximum likelihood by EM (Dempster, Laird and
Rubin 1977), a small multiple of the identity added to covariances as in scikit-learn; what differs from
scikit-learn's is the speed, for tables of thousands of rows and up to some 15 columns.
"""

from typing import Literal, NamedTuple

import numpy as np

from firstsight.selection.geometry import Floats, Ints

Covariance = Literal["full", "diag", "tied"]


class Mixtures(NamedTuple):
    """Fitted mixtures, one after the other.

    Parameters
    ----------
    labels : list of ndarray of shape (n_rows,)
        The likeliest component of each row.
    log_likelihood : ndarray of shape (n_mixtures,)
        A row's mean.
    weights : ndarray of shape (n_components,)
        Of the components of all mixtures.
    means : ndarray of shape (n_components, n_features)
        Likewise.
    covariances : ndarray of shape (n_components, n_features, n_features)
        Likewise.

    """

    labels: list[Ints]
    log_likelihood: Floats
    weights: Floats
    means: Floats
    covariances: Floats


def moments(X: Floats) -> Floats:
    """(1, x, upper half of x x^T) of every row, of shape (n_rows, 1 + d + d (d + 1) / 2)."""
    above = np.triu_indices(X.shape[1])
    return np.column_stack([np.ones(len(X)), X, X[:, above[0]] * X[:, above[1]]])


def gaussians(sums: Floats, d: int, regularise: float) -> tuple[Floats, Floats, Floats]:
    """Sizes (n,), means (n, d) and covariances (n, d, d) of groups of rows, from the sums of their moments."""
    size = np.maximum(sums[:, 0], 1e-9)
    means = sums[:, 1 : 1 + d] / size[:, None]
    above = np.triu_indices(d)
    covariances = np.empty((len(sums), d, d))
    covariances[:, above[0], above[1]] = sums[:, 1 + d :] / size[:, None]
    covariances[:, above[1], above[0]] = covariances[:, above[0], above[1]]
    covariances -= means[:, :, None] * means[:, None, :]
    covariances[:, np.arange(d), np.arange(d)] = np.maximum(covariances[:, np.arange(d), np.arange(d)], 0) + regularise
    return size, means, covariances


def log_densities(phi: Floats, means: Floats, covariances: Floats) -> Floats:
    """Logarithm of every Gaussian's density at every row, of shape (n_gaussians, n_rows)."""
    d = means.shape[1]
    precision = np.linalg.inv(covariances)
    determinant = np.linalg.slogdet(covariances)[1]
    linear = (precision @ means[:, :, None])[:, :, 0]
    constant = -0.5 * (d * np.log(2 * np.pi) + determinant + (linear * means).sum(1))
    above = np.triu_indices(d)
    quadratic = -precision[:, above[0], above[1]]
    quadratic[:, above[0] == above[1]] *= 0.5
    return np.asarray(np.column_stack([constant, linear, quadratic]) @ phi.T)


def fit_mixtures(
    X: Floats,
    starts: list[Ints],
    covariance: Covariance,
    *,
    steps: int = 20,
    tolerance: float = 1e-3,
    regularise: float = 1e-4,
) -> Mixtures:
    """Fit mixtures from partitions.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Scaled to about unit variance.
    starts : list of ndarray of shape (n_rows,)
        A partition, labels 0 to k - 1, for each mixture.
    covariance : {"full", "diag", "tied"}
        Each component its own matrix, its own variances, or one matrix for all.
    steps : int
        Of EM, at most.
    tolerance : float
        EM ends when no mixture's mean log-likelihood gained more.
    regularise : float
        Added to the variances.

    Returns
    -------
    Mixtures
        In the order of ``starts``.

    """
    d = X.shape[1]
    phi = moments(X)
    counts = [int(start.max()) + 1 for start in starts]
    offsets = np.concatenate([[0], np.cumsum(counts)[:-1]])
    share = np.zeros((sum(counts), len(X)))
    for start, offset in zip(starts, offsets, strict=True):
        share[start + offset, np.arange(len(X))] = 1
    before = np.full(len(starts), -np.inf)
    for step in range(steps + 1):
        weights, means, covariances = gaussians(share @ phi, d, regularise)
        weights = weights / len(X)
        covariances = _constrained(covariances, weights, covariance, counts, offsets)
        scores = log_densities(phi, means, covariances) + np.log(weights)[:, None]
        top = np.maximum.reduceat(scores, offsets, axis=0)
        # Shares need no more digits than float32 has, and its exponentials take half the time.
        share = np.exp((scores - np.repeat(top, counts, axis=0)).astype(np.float32))
        total = np.add.reduceat(share, offsets, axis=0)
        likelihood = (np.log(total) + top).mean(1)
        if step == steps or (likelihood - before < tolerance).all():
            break
        before = likelihood
        share = (share / np.repeat(total, counts, axis=0)).astype(np.float64)
    labels = [scores[o : o + k].argmax(0).astype(np.int64) for o, k in zip(offsets, counts, strict=True)]
    return Mixtures(labels, likelihood, weights, means, covariances)


def _constrained(
    covariances: Floats, weights: Floats, covariance: Covariance, counts: list[int], offsets: Ints
) -> Floats:
    if covariance == "diag":
        return covariances * np.eye(covariances.shape[1])
    if covariance == "tied":
        pooled = np.add.reduceat(covariances * weights[:, None, None], offsets, axis=0)
        return np.repeat(pooled, counts, axis=0)
    return covariances

"""Mixtures of Gaussians found among rows by a fixed number of steps, for every number of clusters at once.

Expectation-maximisation (Dempster et al. 1977) unrolled, so that it goes through vmap and can be differentiated: the
starts are rows far from one another and in dense places, chosen one after the other without any draw, and moved by a
few rounds of soft k-means. Of the K mixtures the one of k clusters has the first k starts. With w the memberships,
n_j their sums, m_j the means and S_j the scatter of a cluster, a step maximises the posterior of

    cov_j = (S_j + a s I) / (n_j + a),    weight_j proportional to n_j + 1,

so that a cluster of one row, or of none, is a Gaussian as well.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

UNUSED = -1e4
"""The log-weight of a Gaussian that a mixture does not have."""


class Mixtures(NamedTuple):
    """Mixtures of 1 to K Gaussians, in K places each; one mixture without the first axis.

    Parameters
    ----------
    logs : Tensor of shape (K, K)
        Log-weights with the log-determinants of L; ``UNUSED`` or less where there is no Gaussian.
    means : Tensor of shape (K, K, n_columns)
        Means.
    L : Tensor of shape (K, K, n_columns, n_columns)
        Lower triangular, the inverse covariance is ``L^T L``.

    """

    logs: Tensor
    means: Tensor
    L: Tensor


def squared_distances(X: Tensor, centres: Tensor) -> Tensor:
    """Of rows to centres, of shape (..., n_rows, n_centres)."""
    return ((X[..., :, None, :] - centres[..., None, :, :]) ** 2).sum(-1)


def spread_starts(X: Tensor, n_starts: int, *, reach: float = 0.05) -> Tensor:
    """Rows in dense places far from one another, the densest first, of shape (n_starts, n_columns).

    Parameters
    ----------
    X : Tensor of shape (n_rows, n_columns)
        Rows of total variance 1.
    n_starts : int
        How many, >= 1; a row is chosen again where there are fewer.
    reach : float
        Variance of the kernel of the density, > 0.

    """
    distances = squared_distances(X, X)
    dense = torch.exp(-distances / reach).mean(1)
    number = torch.arange(len(X), device=X.device)
    chosen = [(number == dense.argmax()).to(X.dtype)]
    nearest = chosen[0] @ distances
    for _ in range(n_starts - 1):
        chosen.append((number == (nearest * dense).argmax()).to(X.dtype))
        nearest = torch.minimum(nearest, chosen[-1] @ distances)
    return torch.stack(chosen) @ X


def log_memberships(X: Tensor, mixtures: Mixtures) -> Tensor:
    """The log-density of rows with each Gaussian of each mixture, up to a constant, of shape (..., n_rows, K)."""
    turned = mixtures.L.mT
    white = X @ turned - mixtures.means[..., None, :] @ turned
    return (mixtures.logs[..., None] - 0.5 * (white**2).sum(-1)).mT


def maximised(X: Tensor, memberships: Tensor, strength: Tensor, spread: Tensor, off: Tensor) -> Mixtures:
    """The mixtures that fit the memberships, of shape (K, n_rows, K), best."""
    n_rows, n_columns = X.shape
    eye = torch.eye(n_columns, dtype=X.dtype, device=X.device)
    sizes, weights = memberships.sum(1), memberships.mT
    means = weights @ X / (sizes[..., None] + 1e-3)
    squares = (X[:, :, None] * X[:, None, :]).flatten(1)
    scatter = (weights @ squares).reshape(*means.shape, n_columns)
    scatter = scatter - sizes[..., None, None] * means[..., :, None] * means[..., None, :]
    covariances = (scatter + strength * spread * eye) / (sizes + strength)[..., None, None]
    factors = torch.linalg.cholesky_ex(covariances).L
    L = torch.linalg.solve_triangular(factors, eye.expand_as(factors), upper=False)
    logs = ((sizes + 1) / (n_rows + 1)).log() + off + L.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return Mixtures(logs, means, L)


def fit_mixtures(
    X: Tensor, n_clusters: int, strength: Tensor, spread: Tensor, *, steps: int = 6, sharpness: float = 12.0
) -> Mixtures:
    """Mixtures of 1 to ``n_clusters`` Gaussians; gradients pass through the last two steps.

    Parameters
    ----------
    X : Tensor of shape (n_rows, n_columns)
        Rows of total variance 1.
    n_clusters : int
        The most clusters, K, >= 1.
    strength : Tensor of shape ()
        a, in rows, > 0.
    spread : Tensor of shape ()
        s, in units of the total variance, > 0.
    steps : int
        Steps before those that are differentiated, >= 0.
    sharpness : float
        Of soft k-means, per total variance, > 0.

    """
    order = torch.arange(n_clusters, device=X.device)
    off = UNUSED * (order[None, :] > order[:, None]).to(X.dtype)
    fixed, fixed_strength, fixed_spread = X.detach(), strength.detach(), spread.detach()
    centres = spread_starts(fixed, n_clusters).expand(n_clusters, -1, -1)
    for _ in range(3):
        weights = (off[:, None, :] - sharpness * squared_distances(fixed, centres)).softmax(-1).mT
        centres = weights @ fixed / (weights.sum(-1, keepdim=True) + 1e-3)
    memberships = (off[:, None, :] - sharpness * squared_distances(fixed, centres)).softmax(-1)
    for _ in range(steps):
        mixtures = maximised(fixed, memberships, fixed_strength, fixed_spread, off)
        memberships = log_memberships(fixed, mixtures).softmax(-1)
    mixtures = maximised(X, memberships, strength, spread, off)
    return maximised(X, log_memberships(X, mixtures).softmax(-1), strength, spread, off)


def log_density(X: Tensor, mixture: Tensor) -> Tensor:
    """The log-density of rows under a mixture of Gaussians, of shape (n_rows, 1).

    Parameters
    ----------
    X : Tensor of shape (n_rows, n_features)
        Rows.
    mixture : Tensor of shape (n_slots, 1 + n_features + n_features * (n_features + 1) / 2)
        A log-weight, a mean, the log-diagonal of L and what lies below it, row by row. The log-weights are
        normalised here.

    """
    n_features = X.shape[1]
    log_weights, means, log_diagonal, below = torch.split(
        mixture, [1, n_features, n_features, n_features * (n_features - 1) // 2], dim=1
    )
    away = X[:, None, :] - means
    # No matrix is written into, so that this goes through vmap: entry (i, j) of L times column j of what is away.
    lower, upper = torch.tril_indices(n_features, n_features, -1, device=X.device)
    row = torch.arange(n_features, device=X.device)
    summed = (lower[:, None] == row).to(X.dtype)
    whitened = away * log_diagonal.exp() + (away[..., upper] * below) @ summed
    logs = log_weights[:, 0].log_softmax(0) + log_diagonal.sum(1) - 0.5 * (whitened**2).sum(2)
    return (torch.logsumexp(logs, 1) - 0.5 * n_features * math.log(2 * math.pi))[:, None]

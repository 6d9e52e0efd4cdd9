"""Views of a row from the bulk of the table: Gaussians, principal components, mixtures and clusters.

Mahalanobis distances from the whole table and from its densest half (concentration steps as in Rousseeuw and Van
Driessen 1999, from one start); the part of a row that leading principal components miss, and its part in the minor ones
(Shyu et al. 2003); how far every column is from what the others let one expect; Gaussian mixtures; and the clusters of
k-means: how large the own one is, and how far the next large one (He, Xu and Deng 2003).
"""

from typing import NamedTuple

import numpy as np

from firstsight.selection.centres import lloyd, plus_plus
from firstsight.selection.geometry import Floats, pairwise
from firstsight.selection.mixtures import fit_mixtures, log_densities, moments
from firstsight.selection.spaces import leading

MOST_DIRECTIONS = 100
RIDGE = 0.02  # share of the mean variance that is added to every direction
STEPS = 6
HALF = 0.6
COMPONENTS = (2, 6)
COMPACT = 8
CLUSTERS = (5, 20)
LARGE = 0.9
TINY = 1e-9


class Gaussian(NamedTuple):
    """A centre and a matrix that whitens.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
    whiten : ndarray of shape (n_features, n_features)
        Principal components over their deviations.
    variances : ndarray of shape (n_features,)
        Of the components, largest first.
    precision : ndarray of shape (n_features, n_features)

    """

    mean: Floats
    whiten: Floats
    variances: Floats
    precision: Floats


class Bulk(NamedTuple):
    """What is kept of the reference rows.

    Parameters
    ----------
    turn : ndarray of shape (n_features, n_directions)
        Leading directions, where there are many columns.
    whole, half : Gaussian
        Of all rows, and of the densest.
    compact : ndarray of shape (n_directions, n_components)
        Few columns for mixtures.
    mixtures : list of (ndarray, ndarray, ndarray)
        Weights, means and covariances.
    centres : list of ndarray of shape (n_clusters, n_directions)
        Of k-means.
    shares : list of ndarray of shape (n_clusters,)
        Of the rows.

    """

    turn: Floats
    whole: Gaussian
    half: Gaussian
    compact: Floats
    mixtures: list[tuple[Floats, Floats, Floats]]
    centres: list[Floats]
    shares: list[Floats]


def gaussian(R: Floats) -> Gaussian:
    """Of rows (n_rows, n_features), a little shrunk towards a ball."""
    mean = R.mean(0)
    covariance = np.cov(R, rowvar=False, bias=True).reshape(R.shape[1], -1)
    d = len(mean)
    # The fewer rows a column has, the less the directions are to be believed.
    shrink = min(0.5, RIDGE + 0.5 * d / len(R))
    covariance = (1 - shrink) * covariance + shrink * (np.trace(covariance) / d + TINY) * np.eye(d)
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = np.maximum(variances[::-1], TINY), directions[:, ::-1]
    whiten = directions / np.sqrt(variances)
    return Gaussian(mean, whiten, variances, whiten @ whiten.T)


def densest(R: Floats) -> Gaussian:
    """Of the rows that a Gaussian fits best, a little over half of them."""
    middle = np.median(R, axis=0)
    spread = np.median(np.abs(R - middle), axis=0)
    spread = np.where(spread > 0, spread, R.std(0) + TINY)
    distance = (((R - middle) / spread).clip(-10, 10) ** 2).sum(1)
    size = max(int(HALF * len(R)), min(len(R), 3))
    for _ in range(STEPS):
        fitted = gaussian(R[np.argpartition(distance, size - 1)[:size]])
        distance = _mahalanobis(fitted, R)
    return fitted


def _mahalanobis(fitted: Gaussian, Q: Floats) -> Floats:
    return np.asarray((((Q - fitted.mean) @ fitted.whiten) ** 2).sum(1))


def fit_bulk(R: Floats, seed: int) -> Bulk:
    """Learn from reference rows (n_reference, n_features), at least three."""
    d = R.shape[1]
    turn = np.eye(d) if d <= MOST_DIRECTIONS else leading_of(R, MOST_DIRECTIONS)
    T = R @ turn
    compact = np.eye(T.shape[1]) if T.shape[1] <= COMPACT else leading(T, 1.0, COMPACT)
    C = T @ compact
    generator = np.random.default_rng(seed)
    counts = [min(k, max(2, len(R) // 5)) for k in CLUSTERS]
    labels, _ = lloyd(T, plus_plus(T, counts, generator))
    starts = plus_plus(C, [min(k, max(2, len(R) // 10)) for k in COMPONENTS], generator)
    starts, _ = lloyd(C, starts)
    starts = [np.unique(start, return_inverse=True)[1].astype(np.int64) for start in starts]
    fitted = fit_mixtures(C, starts, "full", steps=10, regularise=1e-2)
    ends = np.cumsum([int(start.max()) + 1 for start in starts])[:-1]
    mixtures = list(
        zip(*(np.split(part, ends) for part in (fitted.weights, fitted.means, fitted.covariances)), strict=True)
    )
    centres: list[Floats] = []
    shares: list[Floats] = []
    for label in labels:
        numbers, label = np.unique(label, return_inverse=True)
        shares.append(np.bincount(label) / len(R))
        centres.append(np.stack([T[label == number].mean(0) for number in range(len(numbers))]))
    return Bulk(turn, gaussian(T), densest(T), compact, mixtures, centres, shares)


def leading_of(R: Floats, most: int) -> Floats:
    """Leading directions of wide rows, (n_features, at most ``most``)."""
    _, _, directions = np.linalg.svd(R - R.mean(0), full_matrices=False)
    return np.asarray(directions[:most].T)


def bulk_views(bulk: Bulk, Q: Floats) -> dict[str, Floats]:
    """Views of rows (n_rows, n_features), higher = more abnormal."""
    T = Q @ bulk.turn
    views: dict[str, Floats] = {}
    for name, fitted in (("whole", bulk.whole), ("half", bulk.half)):
        Z = (T - fitted.mean) @ fitted.whiten
        views[f"mahalanobis_{name}"] = np.log1p((Z**2).sum(1))
        explained = np.cumsum(fitted.variances) / fitted.variances.sum()
        missed = (Z**2) * fitted.variances
        for share in (0.5, 0.9):
            rest = np.searchsorted(explained, share) + 1
            views[f"missed_{int(100 * share)}_{name}"] = np.log1p(missed[:, min(rest, len(explained) - 1) :].sum(1))
        minor = len(explained) // 2
        views[f"minor_{name}"] = np.log1p((Z[:, minor:] ** 2).sum(1))
        residual = (T - fitted.mean) @ fitted.precision / np.sqrt(np.diag(fitted.precision))
        views[f"combination_{name}"] = np.log1p(np.abs(residual).max(1))
    C = T @ bulk.compact
    phi = moments(C)
    for (weights, means, covariances), k in zip(bulk.mixtures, COMPONENTS, strict=True):
        scores = log_densities(phi, means, covariances) + np.log(weights)[:, None]
        top = scores.max(0)
        views[f"mixture_{k}"] = -(top + np.log(np.exp(scores - top).sum(0)))
    for centres, shares, k in zip(bulk.centres, bulk.shares, CLUSTERS, strict=True):
        D = pairwise(T, centres)
        order = np.argsort(-shares)
        large = order[: int(np.searchsorted(np.cumsum(shares[order]), LARGE)) + 1]
        views[f"large_cluster_{k}"] = D[:, large].min(1)
        views[f"small_cluster_{k}"] = -np.log(shares[D.argmin(1)])
    return {name: np.asarray(values, np.float64) for name, values in views.items()}

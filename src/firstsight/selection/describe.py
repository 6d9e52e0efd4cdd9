"""Describe clusters and partitions without labels: what a judge reads.

A cluster is measured by how compact and separate it is (silhouette, separation from the nearest other, the gap on the
line to it), by what its border cuts (neighbours, edges of the spanning tree, slopes of the density), by the peaks of
the density inside, by how well a Gaussian fits it, and by how often other partitions find it too. A partition is
measured by its sizes, Calinski-Harabasz, Davies-Bouldin, likelihoods, and by how far the other partitions agree.
"""

from typing import NamedTuple

import numpy as np

from firstsight.selection.crowd import Crowd, agreements, recurrences, shared_rows
from firstsight.selection.geometry import Floats, Geometry, Ints
from firstsight.selection.hierarchies import Peaks
from firstsight.selection.mixtures import gaussians, log_densities, moments

__all__ = ["Description", "Measures", "compared", "describe", "joined"]

TINY = 1e-12
BORDER_NEIGHBORS = 10
NO_PASS = 8.0  # rise, in standard deviations of the density, of a cluster that no neighbour touches
NO_EDGE = 4.0  # contrast of the border, in logarithms of length, of a cluster that no edge leaves

Measures = dict[str, Floats]


class Description(NamedTuple):
    """Measures by name.

    Parameters
    ----------
    clusters : dict of str to ndarray of shape (n_clusters,)
        Of every cluster of every partition, in the order of the crowd.
    partitions : dict of str to ndarray of shape (n_partitions,)
        Of the partitions.

    """

    clusters: Measures
    partitions: Measures


def describe(crowd: Crowd, geometry: Geometry, peaks: Peaks, compact: Floats) -> Description:
    """Measure each partition of one table by itself.

    Parameters
    ----------
    crowd : Crowd
        At least two clusters in each.
    geometry : Geometry
        Of the scaled table.
    peaks : Peaks
        Of its density.
    compact : ndarray of shape (n_rows, n_components)
        The table in few columns, for Gaussians.

    Returns
    -------
    Description
        Finite figures, which do not depend on what else is in the crowd.

    """
    parts = [
        _sizes(crowd),
        _silhouettes(crowd, geometry),
        _borders(crowd, geometry),
        _tree(crowd, geometry),
        _peaks(crowd, geometry, peaks),
        _gaussian(crowd, compact),
    ]
    clusters = {name: values for part in parts for name, values in part.clusters.items()}
    partitions = {name: values for part in parts for name, values in part.partitions.items()}
    return Description(_finite(clusters), _finite(partitions))


def joined(first: Description, second: Description) -> Description:
    """The measures of two crowds, one after the other: those that the second has."""
    return Description(
        {name: np.concatenate([first.clusters[name], values]) for name, values in second.clusters.items()},
        {name: np.concatenate([first.partitions[name], values]) for name, values in second.partitions.items()},
    )


def compared(alone: Description, crowd: Crowd) -> Description:
    """What :func:`describe` found, and how far the partitions of the crowd agree with one another."""
    consensus = _consensus(crowd)
    return Description(alone.clusters | _finite(consensus.clusters), alone.partitions | _finite(consensus.partitions))


def _finite(measures: Measures) -> Measures:
    return {name: np.nan_to_num(values, nan=0.0, posinf=1e6, neginf=-1e6) for name, values in measures.items()}


def _sizes(crowd: Crowd) -> Description:
    share = crowd.sizes / crowd.labels.shape[1]
    clusters = {"share": share, "log_rows": np.log(crowd.sizes), "of_clusters": np.repeat(crowd.counts, crowd.counts)}
    partitions = {
        "log_k": np.log(crowd.counts),
        "smallest": np.log(crowd.least(share)),
        "smallest_rows": np.log(crowd.least(crowd.sizes)),
        "largest": crowd.most(share),
        "balance": crowd.total(-share * np.log(share)) / np.log(crowd.counts),
        "small_clusters": crowd.mean((share < 0.02).astype(float)),
    }
    return Description(clusters, partitions)


def _silhouettes(crowd: Crowd, geometry: Geometry) -> Description:
    to_cluster = crowd.member @ geometry.distances
    own_size = crowd.sizes.astype(np.float32)[crowd.numbers]
    inside = crowd.own(to_cluster) / np.maximum(own_size - 1, 1)
    to_cluster /= crowd.sizes.astype(np.float32)[:, None]
    np.put_along_axis(to_cluster, crowd.numbers, np.inf, axis=0)
    outside = crowd.least(to_cluster)
    width = (outside - inside) / np.maximum(np.maximum(inside, outside), TINY)
    width[own_size == 1] = 0
    place = int(0.1 * (width.shape[1] - 1))
    by_cluster = crowd.means(width)
    partitions = {
        "silhouette": width.mean(1),
        "silhouette_low": np.partition(width, place, axis=1)[:, place],
        "silhouette_negative": (width < 0).mean(1),
        "silhouette_worst": crowd.least(by_cluster),
        "silhouette_clusters": crowd.mean(by_cluster),
    }
    return Description({"silhouette": by_cluster}, partitions)


def _borders(crowd: Crowd, geometry: Geometry) -> Description:
    labels, density = crowd.labels.astype(np.int16), geometry.density.astype(np.float32)
    n_near = min(BORDER_NEIGHBORS, geometry.neighbors.shape[1])
    same = np.zeros(labels.shape, np.float32)
    height = np.full(labels.shape, -np.inf, np.float32)  # of the pass that leads from a row to another cluster
    first = np.zeros(len(labels))
    for place in range(n_near):
        other = geometry.neighbors[:, place]
        equal = labels[:, other] == labels
        same += equal
        if place == 0:
            first = equal.mean(1)
        np.maximum(height, np.where(equal, -np.inf, np.minimum(density, density[other])), out=height)
    purity = same / np.float32(n_near)
    border = purity < 1
    n_border = crowd.sums(border)
    thick = crowd.means(density)
    edge = crowd.sums(border * density) / np.maximum(n_border, 1)
    drop = np.where(n_border > 0, thick - edge, 0)
    spread = density.std() + TINY
    top, passes = crowd.highest(density), crowd.highest(height)
    touched = np.isfinite(passes)
    prominence = np.where(touched, np.minimum((top - passes) / spread, NO_PASS), NO_PASS)
    depth = np.where(touched, thick - passes, 3.0)
    uneven = np.sqrt(np.maximum(crowd.means(density**2) - thick**2, 0)) / spread
    chance = crowd.weighted(crowd.sizes / labels.shape[1])  # purity if neighbours were drawn at random
    by_cluster = crowd.means(purity)
    clusters = {
        "purity": by_cluster, "border": n_border / crowd.sizes, "drop": drop, "prominence": prominence,
        "depth": depth, "uneven": uneven, "thick": (thick - density.max()) / spread,
    }  # fmt: skip
    partitions = {
        "purity_1": first,
        "purity_10": purity.mean(1),
        "purity_worst": crowd.least(by_cluster),
        "purity_excess": (purity.mean(1) - chance) / np.maximum(1 - chance, TINY),
        "border_share": border.mean(1),
        "border_drop": crowd.weighted(drop),
        "border_drop_worst": crowd.least(drop),
        "prominence": crowd.weighted(prominence),
        "prominence_worst": crowd.least(prominence),
        "pass_depth": crowd.weighted(depth),
        "pass_depth_worst": crowd.least(depth),
        "density_spread": crowd.weighted(uneven),
        "density_contrast": crowd.most(thick) - crowd.least(thick),
    }
    return Description(clusters, partitions)


def _tree(crowd: Crowd, geometry: Geometry) -> Description:
    one, other = geometry.tree.T
    within = crowd.labels[:, one] == crowd.labels[:, other]
    length = np.log(np.maximum(geometry.lengths, 1e-9)).astype(np.float32)
    # Longer than what is usual around its two ends.
    contrast = length + geometry.density[geometry.tree].mean(1).astype(np.float32)
    spread = np.broadcast_to(contrast, within.shape)
    n_across = np.maximum((~within).sum(1), 1)
    n_within = np.maximum(within.sum(1), 1)
    inside = np.full(len(crowd.sizes), -3.0)
    np.maximum.at(inside, crowd.numbers[:, one][within], spread[within])
    leaving = np.full(len(crowd.sizes), NO_EDGE)
    total, n_leaving = np.zeros(len(crowd.sizes)), np.zeros(len(crowd.sizes))
    for ends in (one, other):
        numbers = crowd.numbers[:, ends][~within]
        np.minimum.at(leaving, numbers, spread[~within])
        total += np.bincount(numbers, spread[~within], minlength=len(total))
        n_leaving += np.bincount(numbers, minlength=len(total))
    scattered = (~within).sum(1) - (crowd.counts - 1)
    clusters = {
        "tree_inside": inside, "tree_leaving": leaving, "tree_gap": leaving - inside, "tree_edges": np.log1p(n_leaving),
        "tree_leaving_mean": np.where(n_leaving > 0, total / np.maximum(n_leaving, 1), NO_EDGE),
    }  # fmt: skip
    partitions = {
        "tree_contrast": (contrast.sum() - within @ contrast) / n_across - (within @ contrast) / n_within,
        "tree_gap": np.where(within, np.inf, contrast).min(1) - np.where(within, contrast, -np.inf).max(1),
        "tree_shortest": np.where(within, np.inf, contrast).min(1),
        "tree_longest": np.where(within, contrast, -np.inf).max(1),
        "tree_length_gap": np.where(within, np.inf, length).min(1) - np.where(within, length, -np.inf).max(1),
        "tree_inside": crowd.weighted(inside),
        "tree_scattered": np.log1p(np.maximum(scattered, 0)),
        "tree_scattered_share": scattered / crowd.labels.shape[1],
    }
    return Description(clusters, partitions)


def _peaks(crowd: Crowd, geometry: Geometry, peaks: Peaks) -> Description:
    spread = geometry.density.std() + TINY
    rise = np.minimum(peaks.prominence / spread, NO_PASS)[1:]
    rows, above = peaks.rows[1:], peaks.rows[peaks.parent[1:]]
    if not len(rise):
        rise, rows, above = np.zeros(1), np.zeros(1, np.int64), np.zeros(1, np.int64)
    # A peak counts as parted from the higher one it would fall to.
    parted = crowd.labels[:, rows] != crowd.labels[:, above]
    together = np.where(parted, 0, rise)
    inner, outer = np.zeros(len(crowd.sizes)), np.zeros(len(crowd.sizes))
    np.maximum.at(inner, crowd.numbers[:, rows][~parted], np.broadcast_to(rise, parted.shape)[~parted])
    np.maximum.at(outer, crowd.numbers[:, rows][parted], np.broadcast_to(rise, parted.shape)[parted])
    partitions = {
        "peaks_together": together.max(1),
        "peaks_together_sum": together.sum(1),
        "peaks_parted": np.where(parted, rise, NO_PASS).min(1),
        "peaks_parted_sum": np.where(parted, rise, 0).sum(1),
        "peaks_margin": np.where(parted, rise, NO_PASS).min(1) - together.max(1),
    }
    return Description({"inner_peak": inner, "outer_peak": outer}, partitions)


def _gaussian(crowd: Crowd, X: Floats) -> Description:
    n_rows, d = X.shape
    k, phi = crowd.counts, moments(X)
    size, means, covariances = gaussians(crowd.member.astype(np.float64) @ phi, d, 0)
    inside = np.trace(covariances, axis1=1, axis2=2)
    unexplained = crowd.weighted(inside) / (X.var(0).sum() + TINY)
    ratio = (1 - unexplained + TINY) / (unexplained + TINY) * (n_rows - k) / np.maximum(k - 1, 1)
    whole = np.cov(X, rowvar=False, bias=True).reshape(d, d) + 1e-6 * np.eye(d)
    # Small clusters borrow d rows from the table, shrunk to a cluster's usual volume, for a proper density.
    shrink = (np.repeat(k, k) ** (-2 / d))[:, None, None]
    covariances = (size[:, None, None] * covariances + d * shrink * whole) / (size + d)[:, None, None]
    covariances += 1e-6 * np.eye(d)
    weights = np.log(size / n_rows)
    base = -0.5 * (d * np.log(2 * np.pi) + np.linalg.slogdet(whole)[1] + d)
    scores = log_densities(phi, means, covariances) + (weights - base)[:, None]
    own, best = crowd.own(scores), crowd.most(scores)
    share = np.exp((scores - np.repeat(best, k, axis=0)).astype(np.float32))
    likelihood = best + np.log(crowd.total(share))
    posterior = np.exp(own - likelihood)
    cost = 0.5 * (k * (1 + d + d * (d + 1) / 2) - 1) * np.log(n_rows) / n_rows
    constant = d * np.log(2 * np.pi) + np.linalg.slogdet(covariances)[1] - 2 * (weights - base)
    squared = np.maximum(-2 * own - constant[crowd.numbers], 0)
    kurtosis = np.log(np.maximum(crowd.means(squared**2) / (d * (d + 2)), 1e-3))
    nearest, line = _nearest(crowd, means)
    direction = np.linalg.solve(0.5 * (covariances + covariances[nearest]), line[:, :, None])[:, :, 0]
    separation = np.log(np.sqrt(np.maximum((direction * line).sum(1), 0)) + 0.01)
    scatter = np.sqrt(np.maximum(inside, 0)) + np.sqrt(np.maximum(inside[nearest], 0))
    halfway, beyond = _gap(crowd, X, means, direction, line)
    certain = crowd.means(posterior)
    anisotropy = np.log(np.linalg.eigvalsh(covariances)[:, -1] / (inside / d + TINY))
    clusters = {
        "volume": np.log(inside / (X.var(0).sum() + TINY) + 1e-6), "certain": certain, "kurtosis": kurtosis,
        "separation": separation, "gap": halfway, "gap_of_nearest": halfway[nearest], "beyond": beyond,
        "anisotropy": anisotropy, "nearest_share": crowd.sizes[nearest] / n_rows,
    }  # fmt: skip
    partitions = {
        "unexplained": unexplained,
        "calinski": np.log(ratio),
        "davies": crowd.mean(np.minimum(scatter / (np.sqrt((line**2).sum(1)) + TINY), 50)),
        "likelihood": likelihood.mean(1),
        "bic": likelihood.mean(1) - cost,
        "classification": own.mean(1) - cost,
        "posterior": posterior.mean(1),
        "posterior_worst": crowd.least(certain),
        "gaussian_error": (own < best - 1e-9).mean(1),
        "kurtosis": crowd.weighted(kurtosis),
        "separation": crowd.weighted(separation),
        "separation_worst": crowd.least(separation),
        "gap": crowd.weighted(halfway),
        "gap_worst": crowd.most(halfway),
        "beyond": crowd.weighted(beyond),
        "anisotropy": crowd.weighted(anisotropy),
    }
    return Description(clusters, partitions)


def _nearest(crowd: Crowd, means: Floats) -> tuple[Ints, Floats]:
    """For every cluster the nearest other centre of its partition, and the way there."""
    nearest = np.empty(len(means), np.int64)
    for offset, count in zip(crowd.offsets, crowd.counts, strict=True):
        centres = means[offset : offset + count]
        squares = ((centres[:, None] - centres[None]) ** 2).sum(-1)
        np.fill_diagonal(squares, np.inf)
        nearest[offset : offset + count] = offset + squares.argmin(1)
    return nearest, means[nearest] - means


def _gap(crowd: Crowd, X: Floats, means: Floats, direction: Floats, line: Floats) -> tuple[Floats, Floats]:
    """Along the line to the next centre: rows halfway over rows around the own centre, and the share beyond."""
    direction = direction / ((direction * line).sum(1) + TINY)[:, None]
    place = direction.astype(np.float32) @ X.T.astype(np.float32)
    place -= (means * direction).sum(1).astype(np.float32)[:, None]
    place = crowd.own(place)
    halfway = crowd.sums((place > 0.35) & (place < 0.65))
    core = crowd.sums((place > -0.15) & (place < 0.15))
    return np.log((halfway + 1) / (core + 1)), crowd.means((place > 0.5).astype(np.float32))


def _consensus(crowd: Crowd) -> Description:
    shared = shared_rows(crowd)
    agreement, (found, nearly) = agreements(crowd, shared), recurrences(crowd, shared)
    n = len(agreement)
    others = agreement - 2 * np.eye(n)
    top = np.sort(others, axis=1)[:, ::-1][:, : max(1, min(10, n - 1))]
    partitions = {
        "agreement": (agreement.sum(1) - 1) / max(n - 1, 1),
        "agreement_top": top.mean(1),
        "agreement_share": (others > 0.8).mean(1),
        "found_again": crowd.weighted(found),
        "found_again_worst": crowd.least(found),
    }
    return Description({"found_again": found, "found_nearly": nearly}, partitions)

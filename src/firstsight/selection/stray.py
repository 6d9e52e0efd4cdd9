"""Rows that may belong to no cluster: what the judge reads of each row within a partition."""

import numpy as np

from firstsight.selection.geometry import Floats, Geometry, Ints

__all__ = ["stray_rows"]

NEAR = 5
TINY = 1e-12
FACTS = ("intrinsic_dimension", "density_spread", "density_skewness", "density_kurtosis", "tree_long", "kurtosis")


def stray_rows(geometry: Geometry, labels: Ints, facts: dict[str, float]) -> tuple[list[str], Floats]:
    """Describe every row of the table within a partition.

    Parameters
    ----------
    geometry : Geometry
        Of the scaled table.
    labels : ndarray of shape (n_rows,)
        From 0 without gaps.
    facts : dict of str to float
        Of the table.

    Returns
    -------
    names : list of str
    values : ndarray of shape (n_rows, n_values)

    """
    n_rows, n_clusters = len(labels), int(labels.max()) + 1
    near = geometry.neighbors[:, :NEAR]
    radius = np.log(np.maximum(geometry.radii[:, : 2 * NEAR].mean(1), 1e-9))
    nearest = np.log(np.maximum(geometry.radii[:, 0], 1e-9))
    size = np.bincount(labels, minlength=n_clusters).astype(float)
    order = np.lexsort((radius, labels))
    first = np.concatenate([[0], np.cumsum(size)[:-1]]).astype(int)

    def at(share: float) -> Floats:
        return np.asarray(radius[order][first + (share * (size - 1)).astype(int)])

    middle, wide = at(0.5), np.maximum(at(0.75) - at(0.25), 0.02)
    place = np.empty(n_rows)
    place[order] = (np.arange(n_rows) - first[labels[order]]) / np.maximum(size[labels[order]] - 1, 1)
    whole = np.median(radius)
    whole_wide = max(float(np.quantile(radius, 0.75) - np.quantile(radius, 0.25)), 0.02)
    densest = at(0.1)
    around = radius[near].mean(1)
    same = (labels[geometry.neighbors] == labels[:, None]).mean(1)
    spread = np.array([geometry.X[labels == cluster].std(0).sum() for cluster in range(n_clusters)])
    centre = np.stack([geometry.X[labels == cluster].mean(0) for cluster in range(n_clusters)])
    far = np.sqrt(((geometry.X - centre[labels]) ** 2).sum(1)) / (spread[labels] + TINY)
    typical = np.array([np.median(far[labels == cluster]) for cluster in range(n_clusters)])
    sparse = radius > middle[labels] + 2 * wide[labels]
    share_sparse = np.bincount(labels, sparse, n_clusters) / size
    found = {
        "radius_in_cluster": radius - middle[labels],
        "radius_scaled": (radius - middle[labels]) / wide[labels],
        "radius_place": place,
        "radius_in_table": (radius - whole) / whole_wide,
        "radius_to_densest": radius - densest[labels],
        "radius_to_near": radius - around,
        "nearest": nearest - middle[labels],
        "same": same,
        "far": far - typical[labels],
        "cluster_wide": wide[labels],
        "cluster_sparse": share_sparse[labels],
        "cluster_rows": np.log(size[labels]),
        "cluster_share": size[labels] / n_rows,
        "cluster_thin": middle[labels] - middle.min(),
        "table_sparse": np.full(n_rows, sparse.mean()),
        "table_wide": np.full(n_rows, whole_wide),
        "table_rows": np.full(n_rows, np.log(n_rows)),
        "table_clusters": np.full(n_rows, float(n_clusters)),
    } | {f"table_{name}": np.full(n_rows, facts[name]) for name in FACTS}
    return list(found), np.nan_to_num(np.stack(list(found.values()), axis=1))

"""Facts about a table that help to judge its partitions."""

import numpy as np

from firstsight.selection.geometry import Floats, Geometry
from firstsight.selection.hierarchies import Peaks
from firstsight.selection.spaces import tails

N_PEAKS = 6
MOST = 8.0


def facts_of(X: Floats, geometry: Geometry, peaks: Peaks) -> dict[str, float]:
    """Describe a table.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        As it came, in numbers.
    geometry : Geometry
        Of the scaled table.
    peaks : Peaks
        Of its density.

    Returns
    -------
    dict of str to float
        Finite.

    """
    Z, density = geometry.X, geometry.density
    n_rows, d = Z.shape
    variances = np.maximum(np.linalg.eigvalsh(np.cov(Z, rowvar=False, bias=True).reshape(d, d)), 0)
    correlation = np.corrcoef(Z, rowvar=False).reshape(d, d)
    off = np.abs(correlation[~np.eye(d, dtype=bool)]) if d > 1 else np.zeros(1)
    spread = density.std() + 1e-12
    rise = np.zeros(N_PEAKS)
    highest = np.sort(np.minimum(peaks.prominence[1:] / spread, MOST))[::-1][:N_PEAKS]
    rise[: len(highest)] = highest
    lengths = np.log(np.maximum(geometry.lengths, 1e-9))
    inner = np.log(np.maximum(geometry.radii[:, -1:], 1e-9) / np.maximum(geometry.radii[:, :-1], 1e-9))
    skewness, kurtosis = tails(Z)
    (density_skewness,), (density_kurtosis,) = tails(density[:, None])
    found = {
        "log_rows": np.log(n_rows),
        "log_columns": np.log(X.shape[1]),
        "log_dimensions": np.log(d),
        "effective_dimensions": variances.sum() ** 2 / ((variances**2).sum() + 1e-12),
        "first_component": variances.max() / (variances.sum() + 1e-12),
        "intrinsic_dimension": 1 / max(float(inner.mean()), 0.02) if inner.size else 0.0,
        "correlation": off.mean(),
        "correlation_highest": off.max(),
        "skewness": np.abs(skewness).mean(),
        "kurtosis": np.minimum(kurtosis, 50).mean(),
        "kurtosis_lowest": np.minimum(kurtosis, 50).min(),
        "few_values": np.mean([len(np.unique(column)) <= 20 for column in X.T]),
        "copies": (geometry.radii[:, 0] < 1e-9).mean(),
        "density_spread": spread,
        "density_skewness": density_skewness,
        "density_kurtosis": density_kurtosis,
        "tree_spread": lengths.std(),
        "tree_longest": lengths[-1] - np.median(lengths),
        "tree_long": np.quantile(lengths, 0.99) - np.median(lengths),
        "n_peaks": np.log1p((peaks.prominence[1:] > spread).sum()),
    }
    found |= {f"peak_{place}": rise[place] for place in range(N_PEAKS)}
    return {name: float(value) for name, value in zip(found, np.nan_to_num(list(found.values())), strict=True)}

"""Views of a row from its columns, one at a time: rare values, extreme values, on which side, and in how many columns.

Histograms (HBOS, Goldstein and Dengel 2012) and the tails of empirical distributions (COPOD and ECOD, Li et al. 2020,
2022), with sums over all columns and over the few most extreme ones.
"""

from typing import NamedTuple

import numpy as np

from firstsight.selection.geometry import Floats, Ints
from firstsight.selection.spaces import tails

FEW = 3
TINY = 1e-9


class Marginals(NamedTuple):
    """What is kept of the reference rows' columns.

    Parameters
    ----------
    ordered : ndarray of shape (n_reference, n_features)
        Values of each column, sorted.
    edges : ndarray of shape (n_features, n_bins + 1)
        Of the histograms.
    surprise : ndarray of shape (n_features, n_bins)
        Minus the logarithm of each bin's share, in units of the fullest bin.
    middle, spread : ndarray of shape (n_features,)
        Median, and a robust deviation.
    mode : ndarray of shape (n_features,)
        The most frequent value.
    side : ndarray of shape (n_features,)
        Sign of the skewness.
    weight : ndarray of shape (n_features,)
        Columns of one category share a weight of one.

    """

    ordered: Floats
    edges: Floats
    surprise: Floats
    middle: Floats
    spread: Floats
    mode: Floats
    side: Floats
    weight: Floats


def fit_marginals(R: Floats, groups: Ints) -> Marginals:
    """Learn from reference rows (n_reference, n_features); columns of one category have one group."""
    n, d = R.shape
    ordered = np.sort(R, axis=0)
    bins = int(np.clip(np.sqrt(n), 5, 30))
    edges, surprise = np.empty((d, bins + 1)), np.empty((d, bins))
    mode = np.empty(d)
    for column in range(d):
        values = ordered[:, column]
        # Extreme values do not stretch the bins: beyond the outer ones is the outermost bin.
        low, high = np.quantile(values, (0.005, 0.995))
        edges[column] = np.linspace(low, max(high, low + TINY), bins + 1)
        place = np.clip(np.searchsorted(edges[column], values, side="right") - 1, 0, bins - 1)
        share = (np.bincount(place, minlength=bins) + 0.5) / (n + 0.5 * bins)
        surprise[column] = np.log(share.max() / share)
        starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
        lengths = np.diff([*starts, n])
        mode[column] = values[starts[lengths.argmax()]] if lengths.max() > max(2, 0.05 * n) else np.nan
    middle = np.median(R, axis=0)
    low, high = np.quantile(R, (0.25, 0.75), axis=0)
    spread = np.where(high > low, (high - low) / 1.35, R.std(0))
    side = np.sign(tails(R)[0])
    weight = 1 / np.bincount(groups)[groups]
    return Marginals(ordered, edges, surprise, middle, np.maximum(spread, TINY), mode, side, weight)


def counts_beside(ordered: Floats, Q: Floats) -> tuple[Floats, Floats]:
    """How many values of sorted columns (n_reference, n_features) are smaller, and larger, (n_rows, n_features)."""
    below, above = (np.empty(Q.shape, order="F") for _ in range(2))
    for column, values in enumerate(np.ascontiguousarray(ordered.T)):
        asked = np.ascontiguousarray(Q[:, column])
        first = np.searchsorted(values, asked, side="left")
        after = first.copy()
        # Few new values equal a known one: only they are looked up again.
        same = np.flatnonzero(values[np.minimum(first, len(values) - 1)] == asked)
        after[same] = np.searchsorted(values, asked[same], side="right")
        below[:, column], above[:, column] = first, len(values) - after
    return below, above


def ranks_among(ordered: Floats, Q: Floats) -> Floats:
    """Ranks among the values of sorted columns, 0 to 1, the middle of equal ones: (n_rows, n_features)."""
    below, above = counts_beside(ordered, Q)
    return (below + len(ordered) - above) / (2 * len(ordered))


def tails_from(below: Floats, above: Floats, n: int) -> tuple[Floats, Floats]:
    """Minus the logarithm of the share of n rows at or below, and at or above, from the counts beside them."""
    return -np.log((n - above + 0.5) / (n + 1)), -np.log((n - below + 0.5) / (n + 1))


def tail_of(marginals: Marginals, Q: Floats) -> tuple[Floats, Floats]:
    """Minus the logarithm of the share of reference rows at or below, and at or above: (n_rows, n_features) each."""
    return tails_from(*counts_beside(marginals.ordered, Q), len(marginals.ordered))


def marginal_views(marginals: Marginals, Q: Floats) -> dict[str, Floats]:
    """Views of rows (n_rows, n_features), higher = more abnormal."""
    d = Q.shape[1]
    weight = marginals.weight
    total = weight.sum()
    rare = np.empty(Q.shape)
    for column in range(d):
        edges = marginals.edges[column]
        place = np.clip(np.searchsorted(edges, Q[:, column], side="right") - 1, 0, len(edges) - 2)
        rare[:, column] = marginals.surprise[column][place]
    left, right = tail_of(marginals, Q)
    both = np.maximum(left, right)
    skewed = np.where(marginals.side < 0, left, right)
    Z = (Q - marginals.middle) / marginals.spread
    bounded = Z.clip(-20, 20)
    few = slice(max(d - FEW, 0), None)
    usual = (np.abs(Q - marginals.mode) < TINY) & ~np.isnan(marginals.mode)
    return {
        "rare": rare @ weight / total,
        "rare_few": np.sort(rare, axis=1)[:, few].mean(1),
        "tails": both @ weight / total,
        "tails_few": np.sort(both, axis=1)[:, few].mean(1),
        "tail_highest": both.max(1),
        "tails_skewed": skewed @ weight / total,
        "tails_left": left @ weight / total,
        "tails_right": right @ weight / total,
        "deviation": np.sqrt((bounded**2) @ weight / total),
        "deviation_highest": np.abs(bounded).max(1),
        "larger": bounded @ weight / total,
        "unusual_values": -(usual @ weight) / total,
    }

"""All views of the rows of one table, fitted on reference rows and applied to any.

The table is seen in two scalings: every column over its standard deviation, and every column's ranks as normal scores,
where one extreme value does not hide all others.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtri

from firstsight.selection.anomalies.bulk import Bulk, bulk_views, fit_bulk
from firstsight.selection.anomalies.forests import Forests, fit_forests, forest_views
from firstsight.selection.anomalies.marginals import Marginals, fit_marginals, marginal_views, ranks_among
from firstsight.selection.anomalies.near import Near, fit_near, near_views
from firstsight.selection.geometry import Floats, Ints
from firstsight.selection.spaces import variances

FARTHEST = 1e6  # deviations: what is farther out is no more abnormal, and its square would overflow
RANKED = ("near_1", "near_10", "near_mean", "near_5%", "near_50%", "local_10", "factor_30", "in_degree", "one_side")
RANKED_BULK = (
    "mahalanobis_whole", "mahalanobis_half", "combination_whole", "combination_half", "minor_half", "mixture_2",
)  # fmt: skip


class Views(NamedTuple):
    """A fitted context.

    Parameters
    ----------
    shift, scale : ndarray of shape (n_features,)
        Of the standard scaling; 0 for a constant column.
    knots : ndarray of shape (n_reference, n_features)
        Sorted values, for ranks.
    rank_scale : ndarray of shape (n_features,)
        By which normal scores are multiplied.
    near, near_ranked : Near
    bulk, bulk_ranked : Bulk
    marginals : Marginals
    forests : Forests

    """

    shift: Floats
    scale: Floats
    knots: Floats
    rank_scale: Floats
    near: Near
    near_ranked: Near
    bulk: Bulk
    bulk_ranked: Bulk
    marginals: Marginals
    forests: Forests


def fit_views(R: Floats, groups: Ints, seed: int, threads: int = 1) -> Views:
    """Learn from reference rows.

    Parameters
    ----------
    R : ndarray of shape (n_reference, n_features)
        Finite; at least three rows, and a column that varies.
    groups : ndarray of shape (n_features,)
        Columns that come from one category have one number.
    seed : int
        Of what is random.
    threads : int
        Over which the parts are spread.

    Returns
    -------
    Views

    """
    variance = variances(R)
    total = np.bincount(groups, variance)[groups]
    keep = (total > 0) & (variance > 0)
    scale = np.divide(1, np.sqrt(total), out=np.zeros_like(total), where=keep)
    shift = R.mean(0)
    knots = np.sort(R, axis=0)
    raw = _ranked(knots, R)
    spread = np.bincount(groups, raw.var(0))[groups]
    rank_scale = np.divide(1, np.sqrt(spread), out=np.zeros_like(spread), where=keep & (spread > 0))
    Z, S = ((R - shift) * scale)[:, keep], (raw * rank_scale)[:, keep]
    # The longest first.
    forests, near, near_ranked, bulk, bulk_ranked, marginals = in_threads(
        [
            partial(fit_forests, Z, seed), partial(fit_near, Z, seed), partial(fit_near, S, seed, brief=True),
            partial(fit_bulk, Z, seed), partial(fit_bulk, S, seed), partial(fit_marginals, Z, groups[keep]),
        ],
        threads,
    )  # fmt: skip
    return Views(shift, scale, knots, rank_scale, near, near_ranked, bulk, bulk_ranked, marginals, forests)


def in_threads(work: Sequence[Callable[[], Any]], threads: int) -> list[Any]:
    """What pieces of work return, in their order."""
    if threads == 1 or len(work) == 1:
        return [piece() for piece in work]
    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(piece) for piece in work]]


def standard(views: Views, X: Floats) -> Floats:
    """Rows (n_rows, n_features) in the standard scaling, without constant columns."""
    keep = views.scale > 0
    return np.asarray(np.clip((X[:, keep] - views.shift[keep]) * views.scale[keep], -FARTHEST, FARTHEST))


def _ranked(knots: Floats, X: Floats) -> Floats:
    """Normal scores of ranks among the knots, the middle of equal ones; beyond them, the outermost."""
    n = len(knots)
    return np.asarray(ndtri(np.clip(ranks_among(knots, X), 0.5 / n, 1 - 0.5 / n)))


def views_of(views: Views, X: Floats, own: Ints) -> tuple[dict[str, Floats], Ints]:
    """Views of rows.

    Parameters
    ----------
    views : Views
        Fitted.
    X : ndarray of shape (n_rows, n_features)
        Finite.
    own : ndarray of shape (n_rows,)
        Which reference row each one is; -1 for none: no row is its own neighbour.

    Returns
    -------
    views : dict of str to ndarray of shape (n_rows,)
        Higher = more abnormal.
    neighbors : ndarray of shape (n_rows, n_neighbors)
        Nearest reference rows.

    """
    keep = views.scale > 0
    Z = standard(views, X)
    S = (_ranked(views.knots, X) * views.rank_scale)[:, keep]
    found, neighbors = near_views(views.near, Z, own)
    ranked, _ = near_views(views.near_ranked, S, own)
    found |= {f"{name}_ranked": ranked[name] for name in RANKED}
    found |= bulk_views(views.bulk, Z)
    ranked = bulk_views(views.bulk_ranked, S)
    found |= {f"{name}_ranked": ranked[name] for name in RANKED_BULK}
    found |= marginal_views(views.marginals, Z) | forest_views(views.forests, Z)
    # The last digits of a product depend on how many rows are asked at once: they are dropped.
    kept = {name: np.round(values, 9).astype(np.float32).astype(np.float64) for name, values in found.items()}
    return {name: np.nan_to_num(values, nan=0.0, posinf=1e9, neginf=-1e9) for name, values in kept.items()}, neighbors

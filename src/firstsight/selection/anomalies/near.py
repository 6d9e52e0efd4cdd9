"""Views of a row from its distances to the reference rows.

Distances to the k-th nearest row (Ramaswamy et al. 2000) for k from 1 to half of the reference, so that
anomalies that lie together are seen too; the mean of the nearest (what DTE-NP reads as well, Livernoche et al.
2023); local outlier factors (Breunig et al. 2000) and their simplified form; of how many rows it is a near neighbour
(ODIN, Hautamaki et al. 2004); kernel densities; hyperspheres around a few rows (iNNE, Bandaragoda et al. 2018); and
how far it lies to one side of its neighbours.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.selection.geometry import Floats, Ints, nearest

NEAREST = (1, 3, 10, 30)  # neighbours
SHARES = (0.05, 0.2, 0.5)  # of the reference rows
FACTORS = (10, 30)  # neighbours of the local outlier factors
REVERSE = 20  # neighbours of the in-degree
N_NEAR = 30
BALLS, N_BALLS = 100, 16
SAME = 1e-3  # of the narrow kernel's width: rows as near as this are copies, but for rounding
CHUNK = 2048
TINY = 1e-9


class Near(NamedTuple):
    """What is kept of the reference rows.

    Parameters
    ----------
    R : ndarray of shape (n_reference, n_features)
        Scaled and centred.
    radii : ndarray of shape (n_reference, n_factors)
        Distance to the k-th nearest other one, for each k of :data:`FACTORS`.
    reach : ndarray of shape (n_reference, n_factors)
        Local reachability density of each.
    reverse : ndarray of shape (n_reference,)
        Distance to the 20-th nearest other one.
    widths : ndarray of shape (2,)
        Of the kernels.
    balls : ndarray of shape (n_sets, n_balls)
        Rows that are centres.
    radius : ndarray of shape (n_sets, n_balls)
        To the nearest other centre of the set.
    outer : ndarray of shape (n_sets, n_balls)
        How isolated the ball is: 1 less the radius of its nearest centre's ball over its own.
    brief : bool
        Whether kernels and balls are left out.

    """

    R: Floats
    radii: Floats
    reach: Floats
    reverse: Floats
    widths: Floats
    balls: Ints
    radius: Floats
    outer: Floats
    brief: bool


def fit_near(R: Floats, seed: int, *, brief: bool = False) -> Near:
    """Learn from reference rows (n_reference, n_features), at least three; a brief one has no kernels and balls."""
    n = len(R)
    near, radii = [], []
    reverse = np.empty(n)
    most = min(N_NEAR, n - 1)
    middle = np.empty(n)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        D = distances_to(R[part], R)
        own = np.arange(len(D))
        D[own, start + own] = np.inf
        places, distances = nearest(D, most)
        near.append(places)
        radii.append(distances)
        reverse[part] = distances[:, min(REVERSE, most) - 1]
        middle[part] = np.partition(D, (n - 1) // 2, axis=1)[:, (n - 1) // 2]
    places, distances = np.concatenate(near), np.concatenate(radii)
    ks = [min(k, most) for k in FACTORS]
    edges = np.stack([distances[:, k - 1] for k in ks], axis=1)
    floor = 0.01 * (np.median(edges[:, 0]) or edges[:, 0].max() or 1.0)  # rows with copies are not infinitely dense
    edges = np.maximum(edges, floor)
    reach = np.stack(
        [1 / np.maximum(edges[places[:, :k], f], distances[:, :k]).mean(1) for f, k in enumerate(ks)], axis=1
    )
    widths = np.array([np.median(edges[:, 0]), 0.3 * np.median(middle)]) + TINY
    generator = np.random.default_rng(seed)
    size = min(N_BALLS, n)
    balls = np.empty((0 if brief else BALLS, size), np.int64)
    radius, outer = np.empty(balls.shape), np.empty(balls.shape)
    for number in range(len(balls)):
        balls[number] = ball = generator.choice(n, size, replace=False)
        D = distances_to(R[ball], R[ball])
        np.fill_diagonal(D, np.inf)
        to = D.argmin(1)
        radius[number] = D[np.arange(size), to]
        outer[number] = 1 - (radius[number][to] + TINY) / (radius[number] + TINY)
    return Near(R, edges, reach, np.maximum(reverse, floor), widths, balls, radius, outer, brief)


def distances_to(Q: Floats, R: Floats) -> NDArray[np.float32]:
    """Euclidean distances, (n_rows, n_reference): the same for a row whatever other rows are asked with it.

    Products of matrices are not, to the last digit. So they are taken with more digits than are kept.
    """
    squares = Q @ (-2 * R.T)
    squares += (Q * Q).sum(1)[:, None]
    squares += (R * R).sum(1)[None, :]
    # What is left of equal rows are the last digits of their squares.
    squares[squares < 1e-12 * (1 + (R * R).sum(1))[None, :]] = 0
    return np.sqrt(squares, out=squares).astype(np.float32)


def near_views(near: Near, Q: Floats, own: Ints) -> tuple[dict[str, Floats], Ints]:
    """Views of rows, higher = more abnormal, and their nearest reference rows (n_rows, 10).

    Parameters
    ----------
    near : Near
        Of the reference rows.
    Q : ndarray of shape (n_rows, n_features)
        Scaled likewise.
    own : ndarray of shape (n_rows,)
        Which reference row each one is; -1 for none.

    Returns
    -------
    views : dict of str to ndarray of shape (n_rows,)
    neighbors : ndarray of shape (n_rows, n_neighbors)

    """
    found: list[dict[str, Floats]] = []
    neighbors = []
    for start in range(0, len(Q), CHUNK):
        views, places = _views(near, Q[start : start + CHUNK], own[start : start + CHUNK])
        found.append(views)
        neighbors.append(places)
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}, np.concatenate(neighbors)


def _views(near: Near, Q: Floats, own: Ints) -> tuple[dict[str, Floats], Ints]:
    n = len(near.R)
    D = distances_to(Q, near.R)
    mine = np.flatnonzero(own >= 0)
    D[mine, own[mine]] = np.inf
    most = min(N_NEAR, n - 1)
    places, distances = nearest(D, most)
    views: dict[str, Floats] = {f"near_{k}": distances[:, min(k, most) - 1] for k in NEAREST}
    views["near_mean"] = (distances[:, : min(5, most)] ** 2).mean(1)
    rest, ranked = D, {}
    # One place at a time, each within the part that is left: several at once take nine times as long.
    for share in sorted(SHARES, reverse=True):
        place = min(max(int(share * (n - 1)), 1), rest.shape[1] - 1)
        rest = np.partition(rest, place, axis=1)[:, : place + 1]
        ranked[share] = rest[:, place]
    views |= {f"near_{int(100 * share)}%": ranked[share] for share in SHARES}
    for f, k in enumerate(min(k, most) for k in FACTORS):
        own_edge = np.maximum(distances[:, k - 1], near.radii[:, f].min())
        views[f"local_{FACTORS[f]}"] = np.log(own_edge / near.radii[places[:, :k], f].mean(1))
        reach = 1 / np.maximum(near.radii[places[:, :k], f], distances[:, :k]).mean(1)
        views[f"factor_{FACTORS[f]}"] = np.log(near.reach[places[:, :k], f].mean(1) / reach)
    views["copies"] = -np.log1p((SAME * near.widths[0] > D).sum(1))
    views["in_degree"] = -np.log1p((near.reverse[None, :].astype(np.float32) >= D).sum(1))
    if not near.brief:
        for name, width in zip(("kernel_narrow", "kernel_wide"), near.widths, strict=True):
            views[name] = -np.log(np.exp(-0.5 * (D / np.float32(width)) ** 2).mean(1) + 1e-30)
        views["balls"] = _balls(near, D)
    some = places[:, : min(10, most)]
    middle = near.R[some].mean(1)
    gap = np.abs(Q - middle)
    views["one_side"] = np.sqrt((gap**2).sum(1)) / (distances[:, : some.shape[1]].mean(1) + TINY)
    views["unlike_neighbors"] = gap.max(1)
    return {name: np.asarray(values, np.float64) for name, values in views.items()}, some


def _balls(near: Near, D: NDArray[np.float32]) -> Floats:
    total = np.zeros(len(D))
    for ball, radius, outer in zip(near.balls, near.radius, near.outer, strict=True):
        inside = D[:, ball] <= radius
        smallest = np.where(inside, radius, np.inf).argmin(1)
        total += np.where(inside.any(1), outer[smallest], 1.0)
    return total / len(near.balls)

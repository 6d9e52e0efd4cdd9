"""Views of a row from its distances to the reference rows.

Distances to the k-th nearest row (Ramaswamy et al. 2000) for k from 1 to half of the reference, so that
anomalies that lie together are seen too; the mean of the nearest (what DTE-NP reads as well, Livernoche et al.
2023); local outlier factors (Breunig et al. 2000) and their simplified form; of how many rows it is a near neighbour
(ODIN, Hautamaki et al. 2004); kernel densities; hyperspheres around a few rows (iNNE, Bandaragoda et al. 2018); and
how far it lies to one side of its neighbours.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

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
BLOCK = 128  # rows whose distances stay in the cache of a processor
LEAST_POWER = np.float32(-87.0)  # smaller ones have no exponential in float32, and take thrice as long
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
        To the nearest other centre of the set, largest first.
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
    most = min(N_NEAR, n - 1)
    places, distances, middle = np.empty((n, most), np.int64), np.empty((n, most), np.float32), np.empty(n)
    for part, D in blocks(R, R):
        rows = np.arange(n)[part]
        D[rows - rows[0], rows] = np.inf
        shares, low = _at_shares(D)
        places[part], distances[part] = _nearest(D, low, most)
        middle[part] = shares[0.5]
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
    reverse = np.maximum(distances[:, min(REVERSE, most) - 1].astype(np.float64), floor)
    return Near(R, edges, reach, reverse, widths, *_largest_first(balls, radius, outer), brief)


def _largest_first(balls: Ints, radius: Floats, outer: Floats) -> tuple[Ints, Floats, Floats]:
    """The balls of each set by their radius; of equal ones the first is last, since the last one that holds counts."""
    order = np.argsort(radius, axis=1, kind="stable")[:, ::-1]
    radius = np.take_along_axis(radius, order, axis=1).astype(np.float32)
    return np.take_along_axis(balls, order, axis=1), radius, np.take_along_axis(outer, order, axis=1)


def distances_to(Q: Floats, R: Floats) -> NDArray[np.float32]:
    """Euclidean distances, (n_rows, n_reference): the same for a row whatever other rows are asked with it."""
    return np.concatenate([D for _, D in blocks(Q, R)])


def blocks(Q: Floats, R: Floats) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Distances (n_part, n_reference) of some rows after the others.

    Products of matrices depend, to the last digit, on what other rows are asked. So they are taken with more digits
    than are kept.
    """
    lengths, turned = (R * R).sum(1), -2 * R.T
    equal = 1e-12 * (1 + lengths)
    for start in range(0, len(Q), BLOCK):
        part = slice(start, min(start + BLOCK, len(Q)))
        squares = Q[part] @ turned
        squares += (Q[part] * Q[part]).sum(1)[:, None]
        squares += lengths
        # What is left of equal rows are the last digits of their squares.
        np.copyto(squares, 0, where=squares < equal)
        yield part, np.sqrt(squares, out=squares).astype(np.float32)


def _at_shares(D: NDArray[np.float32]) -> tuple[dict[float, NDArray[np.float32]], NDArray[np.float32]]:
    """Distances within which each of :data:`SHARES` lies, and all those within the least, in no order."""
    rest, found = D, {}
    # One place at a time, each within the part that is left: several at once take nine times as long.
    for share in sorted(SHARES, reverse=True):
        place = min(max(int(share * (D.shape[1] - 1)), 1), rest.shape[1] - 1)
        rest = np.partition(rest, place, axis=1)[:, : place + 1]
        found[share] = rest[:, place]
    return found, rest


def _nearest(D: NDArray[np.float32], low: NDArray[np.float32], most: int) -> tuple[Ints, NDArray[np.float32]]:
    """Places and distances of the nearest, nearest first, (n_rows, most); ``low`` has the smallest distances."""
    if low.shape[1] < most:
        return nearest(D, most)
    edge = np.partition(low, most - 1, axis=1)[:, most - 1 : most]
    within, tied = edge >= D, np.zeros(len(D), bool)
    flat = np.flatnonzero(within)
    if len(flat) > most * len(D):
        tied = within.sum(1) > most
        within[tied] = np.arange(D.shape[1]) < most  # any, until they are looked up below
        flat = np.flatnonzero(within)
    places = (flat % D.shape[1]).reshape(len(D), most)
    radii = np.take_along_axis(D, places, axis=1)
    order = np.argsort(radii, axis=1, kind="stable")
    places, radii = np.take_along_axis(places, order, axis=1), np.take_along_axis(radii, order, axis=1)
    tied |= (radii[:, 1:] == radii[:, :-1]).any(1)
    # Which of several equally far rows come first should not follow their order, as it would above.
    if tied.any():
        places[tied], radii[tied] = nearest(D[tied], most)
    return places, radii


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
    most = min(N_NEAR, len(near.R) - 1)
    parts = [_measured(near, D, own[part], most) for part, D in blocks(Q, near.R)]
    places, distances = (np.concatenate([part[which] for part in parts]) for which in (0, 1))
    views: dict[str, Floats] = {name: np.concatenate([part[2][name] for part in parts]) for name in parts[0][2]}
    views |= {f"near_{k}": distances[:, min(k, most) - 1] for k in NEAREST}
    views["near_mean"] = (distances[:, : min(5, most)] ** 2).mean(1)
    for f, k in enumerate(min(k, most) for k in FACTORS):
        own_edge = np.maximum(distances[:, k - 1], near.radii[:, f].min())
        edges = near.radii[places[:, :k], f]
        views[f"local_{FACTORS[f]}"] = np.log(own_edge / edges.mean(1))
        reach = 1 / np.maximum(edges, distances[:, :k]).mean(1)
        views[f"factor_{FACTORS[f]}"] = np.log(near.reach[places[:, :k], f].mean(1) / reach)
    some = places[:, : min(10, most)]
    gap = np.abs(Q - near.R[some].mean(1))
    views["one_side"] = np.sqrt((gap**2).sum(1)) / (distances[:, : some.shape[1]].mean(1) + TINY)
    views["unlike_neighbors"] = gap.max(1)
    return {name: np.asarray(views[name], np.float64) for name in _names(brief=near.brief)}, some


def _names(*, brief: bool) -> list[str]:
    """Of the views, in the order in which the reader has learned them."""
    return [
        *(f"near_{k}" for k in NEAREST), "near_mean",
        *(f"near_{int(100 * share)}%" for share in SHARES),
        *(f"{kind}_{k}" for k in FACTORS for kind in ("local", "factor")), "copies", "in_degree",
        *(() if brief else ("kernel_narrow", "kernel_wide", "balls")), "one_side", "unlike_neighbors",
    ]  # fmt: skip


def _measured(
    near: Near, D: NDArray[np.float32], own: Ints, most: int
) -> tuple[Ints, NDArray[np.float32], dict[str, NDArray[Any]]]:
    """What needs all distances of some rows: the nearest ones (places, distances), and views."""
    mine = np.flatnonzero(own >= 0)
    D[mine, own[mine]] = np.inf
    shares, low = _at_shares(D)
    places, distances = _nearest(D, low, most)
    views: dict[str, NDArray[Any]] = {f"near_{int(100 * share)}%": found for share, found in shares.items()}
    views["copies"] = -np.log1p((SAME * near.widths[0] > D).sum(1))
    views["in_degree"] = -np.log1p((near.reverse.astype(np.float32) >= D).sum(1))
    if not near.brief:
        for name, width in zip(("kernel_narrow", "kernel_wide"), near.widths, strict=True):
            views[name] = _kernel(D, width)
        views["balls"] = _balls(near, D)
    return places, distances, views


def _kernel(D: NDArray[np.float32], width: float) -> Floats:
    """Minus the logarithm of a Gaussian kernel's density."""
    power = D / np.float32(width)
    power *= power
    power *= np.float32(-0.5)
    np.maximum(power, LEAST_POWER, out=power)
    np.exp(power, out=power)
    return np.asarray(-np.log(power.mean(1) + 1e-30))


def _balls(near: Near, D: NDArray[np.float32]) -> Floats:
    """How isolated the smallest ball that holds a row is, on average over the sets; 1 where none does."""
    value = np.ones((len(D), len(near.balls)))
    for ball, radius, outer in zip(near.balls.T, near.radius.T, near.outer.T, strict=True):
        np.copyto(value, outer, where=np.take(D, ball, axis=1) <= radius)
    return np.asarray(value.mean(1))

"""What the scenes are made of: parts that rows can be drawn from, counts of rows, turns, and a check of the truth."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Rng = np.random.Generator
Vector = Sequence[float] | Array


class Part(NamedTuple):
    """One cluster before its number of rows is known.

    Parameters
    ----------
    draw : callable
        ``n_rows -> ndarray of shape (n_rows, n_features)``.
    measure : float
        Its length or area: in proportion to it, all parts are equally dense.

    """

    draw: Callable[[int], Array]
    measure: float


def curve(rng: Rng, points: Array, width: float) -> Part:
    """Rows along a polyline, with jitter.

    Parameters
    ----------
    rng : Generator
        Advanced now, and by each draw.
    points : ndarray of shape (n_points, n_features)
        The corners, in order.
    width : float
        Standard deviation of the jitter.

    """
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    places = np.concatenate([[0.0], np.cumsum(steps)])
    even, flat = rng.random() < 0.5, rng.random() < 0.4
    lean = rng.uniform(1, 1.6) if rng.random() < 0.2 else 1.0
    # Some curves are thin at one end.
    taper = rng.uniform(0.2, 1) if rng.random() < 0.2 else 1.0

    def draw(n_rows: int) -> Array:
        u = (np.arange(n_rows) + rng.random(n_rows)) / n_rows if even else rng.random(n_rows)
        u = u**lean
        at = np.stack([np.interp(u * places[-1], places, column) for column in points.T], 1)
        noise = rng.uniform(-1.7, 1.7, at.shape) if flat else rng.standard_normal(at.shape)
        return at + width * (taper + (1 - taper) * u[:, None]) * noise

    return Part(draw, float(places[-1]))


def strokes(rng: Rng, lines: Sequence[Array], width: float) -> Part:
    """Rows along several polylines, in proportion to their lengths."""
    return joined(rng, [curve(rng, line, width) for line in lines])


def joined(rng: Rng, parts: Sequence[Part]) -> Part:
    """One part of several, each as dense as the others."""
    measures = np.array([part.measure for part in parts])

    def draw(n_rows: int) -> Array:
        each = rng.multinomial(n_rows, measures / measures.sum())
        return np.concatenate([part.draw(int(m)) for part, m in zip(parts, each, strict=True)])

    return Part(draw, float(measures.sum()))


def blob(rng: Rng, centre: Vector, spread: Vector, tails: float | None = None) -> Part:
    """Rows of a Gaussian with axes ``spread``, turned at random; Student's t with ``tails`` degrees of freedom."""
    middle, scale = np.asarray(centre, float), np.asarray(spread, float)
    turn = rotation(rng, len(middle))

    def draw(n_rows: int) -> Array:
        z = rng.standard_normal((n_rows, len(middle)))
        if tails is not None:
            z = z / np.sqrt(rng.chisquare(tails, (n_rows, 1)) / tails)
        return np.asarray(middle + (z * scale) @ turn.T)

    return Part(draw, float(4 * np.prod(scale)))


def disc(rng: Rng, centre: Vector, radii: tuple[float, float], angles: tuple[float, float] = (0, 7)) -> Part:
    """Rows uniform in a disc, a ring or a sector: between two radii and two angles (more than 2 pi is a full turn)."""
    low, high = radii
    slope = gradient(rng, np.asarray(centre, float) + high * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]))
    start, stop = angles if angles[1] - angles[0] <= 2 * np.pi else (0.0, 2 * np.pi)

    def draw(n_rows: int) -> Array:
        return slope(n_rows, flat)

    def flat(n_rows: int) -> Array:
        r = np.sqrt(rng.uniform(low**2, high**2, n_rows))
        a = rng.uniform(start, stop, n_rows)
        return np.asarray(np.asarray(centre, float) + np.stack([r * np.cos(a), r * np.sin(a)], 1))

    return Part(draw, (high**2 - low**2) * (stop - start) / 2)


def polygon(rng: Rng, corners: Array) -> Part:
    """Rows uniform in a convex polygon with corners of shape (n_corners, 2), in order."""
    first, second, third = corners[0], corners[1:-1] - corners[0], corners[2:] - corners[0]
    slope = gradient(rng, corners)
    areas = np.abs(second[:, 0] * third[:, 1] - second[:, 1] * third[:, 0]) / 2

    def draw(n_rows: int) -> Array:
        return slope(n_rows, flat)

    def flat(n_rows: int) -> Array:
        which = rng.choice(len(areas), n_rows, p=areas / areas.sum())
        u, v = rng.random((2, n_rows, 1))
        flip = u + v > 1
        u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
        return np.asarray(first + u * second[which] + v * third[which])

    return Part(draw, float(areas.sum()))


def gradient(rng: Rng, corners: Array) -> Callable[[int, Callable[[int], Array]], Array]:
    """At times, a way to draw rows ever denser towards one side of the ``corners``; otherwise as they are."""
    if rng.random() < 0.7:
        return lambda n_rows, draw: draw(n_rows)
    direction = rng.standard_normal(corners.shape[1])
    low, high = (corners @ direction).min(), (corners @ direction).max()
    least = rng.uniform(0.05, 0.4)

    def tilted(n_rows: int, draw: Callable[[int], Array]) -> Array:
        rows = draw(4 * n_rows)
        chances = np.clip((rows @ direction - low) / (high - low), 0, 1) * (1 - least) + least
        return rows[rng.choice(len(rows), n_rows, replace=False, p=chances / chances.sum())]

    return tilted


def arc(start: float, stop: float, radius: float = 1.0, centre: Vector = (0, 0)) -> Array:
    """Points of shape (60, 2) on an arc of a circle, angles in radians."""
    a = np.linspace(start, stop, 60)
    return np.asarray(centre, float) + radius * np.stack([np.cos(a), np.sin(a)], 1)


def walk(rng: Rng, length: float, bend: float) -> Array:
    """Points of shape (80, 2) on a smooth random path of this length, whose direction turns by about ``bend``."""
    t = np.linspace(0, 1, 80)
    angle = sum(bend * rng.standard_normal() / f * np.sin(np.pi * f * t + rng.uniform(0, 7)) for f in (1, 2, 3))
    angle = angle + rng.uniform(-bend, bend) * t
    steps = np.stack([np.cos(angle), np.sin(angle)], 1) * length / 80
    path = np.cumsum(steps, 0)
    return np.asarray(path - path.mean(0))


def rotation(rng: Rng, n_features: int) -> Array:
    """A turn of shape (n_features, n_features), any as likely as any other."""
    if n_features == 2:
        a = rng.uniform(0, 2 * np.pi)
        return np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return np.asarray(np.linalg.qr(rng.standard_normal((n_features, n_features)))[0])


def counts(rng: Rng, n_rows: int, weights: Array) -> Labels:
    """Rows of each cluster, of shape (n_clusters,), that sum to ``n_rows``.

    Each has at least 5 rows, and 1 % of all but in a tenth of the draws, which may be very unequal.

    """
    n_clusters = len(weights)
    floor = 5 if rng.random() < 0.1 else max(5, n_rows // 100)
    exact = np.maximum(weights / weights.sum() * n_rows, floor)
    spare = n_rows - n_clusters * floor
    above = exact - floor
    each: Labels = np.full(n_clusters, floor, np.int64)
    if above.sum() > 0:
        each += (above / above.sum() * spare).astype(np.int64)
    each[rng.permutation(n_clusters)[: (n_rows - each.sum()) % n_clusters]] += 1
    each[np.argmax(each)] += n_rows - each.sum()
    return each


def weights_of(rng: Rng, n_clusters: int) -> Array:
    """Shares of the clusters, of shape (n_clusters,), from equal to very unequal."""
    kind = rng.choice(3, p=[0.35, 0.5, 0.15])
    if kind == 0:
        return np.ones(n_clusters)
    if kind == 1:
        return np.asarray(rng.dirichlet(np.full(n_clusters, rng.uniform(1.5, 8))) + 1e-3)
    return np.asarray(np.exp(rng.uniform(0, np.log(rng.uniform(3, 40)), n_clusters)))


def disagreement(X: Array, y: Labels, n_neighbours: int = 2, most: int = 500) -> float:
    """Share of the nearest neighbours whose label is another; in more than 3 columns, among ``most`` rows only."""
    if X.shape[1] <= 3:
        near = cKDTree(X).query(X, n_neighbours + 1)[1][:, 1:]
    else:
        # Rows may come in the order of their clusters.
        step = -(-len(X) // most)
        X, y = X[::step], y[::step]
        distances = cdist(X, X, "sqeuclidean")
        np.fill_diagonal(distances, np.inf)
        near = np.argpartition(distances, n_neighbours, axis=1)[:, :n_neighbours]
    # In a full tie a row can be among its own neighbours, which counts as agreement: copies agree anyway.
    return float((y[near] != y[:, None]).mean())

"""Scenes of areas and blobs: functions ``(rng, n_clusters) -> list of Part``; see the module ``scenes``."""

import numpy as np

from firstsight.tasks.synthetic.primitives import Array, Part, Rng, arc, blob, curve, disc, joined, polygon


def jitter(rng: Rng, most: float = 0.16) -> float:
    """A standard deviation from very thin to ``most``, in units of the gap."""
    return float(np.exp(rng.uniform(np.log(0.008), np.log(most))))


def grid(rng: Rng, k: int) -> list[Part]:
    """Blobs on a grid, round or not, some cells empty."""
    side = int(np.ceil(np.sqrt(k)))
    cells = rng.permutation(side * side)[:k]
    spread, shift = rng.uniform(0.06, 0.24), rng.uniform(0, 0.12)
    mixed = rng.random() < 0.4
    offset = rng.choice([0.0, 0.5])
    if rng.random() < 0.25 and k > 4:
        # On a circle, one at times in its middle.
        a = 2 * np.pi * np.arange(k) / k
        at = 0.5 / np.sin(np.pi / k) * np.stack([np.cos(a), np.sin(a)], 1)
        at[0] *= rng.choice([0.0, 1.0])
        return [blob(rng, place, [spread * np.exp(rng.uniform(-0.5, 0))] * 2) for place in at]
    parts = []
    for cell in cells:
        row, column = divmod(int(cell), side)
        own = spread * np.exp(rng.uniform(-0.9, 0, 2) if mixed else np.zeros(2))
        parts.append(blob(rng, np.array([column + offset * (row % 2), row]) + rng.normal(0, shift, 2), own))
    return parts


def tiles(rng: Rng, k: int) -> list[Part]:
    """Squares, diamonds or triangles, uniform, with a small gap or touching at a corner."""
    kind, gap = int(rng.integers(3)), rng.uniform(0.06, 0.35)
    side = int(np.ceil(np.sqrt(k))) if rng.random() < 0.6 else k
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.5
    diamond = np.array([(-1, 0), (0, -1), (1, 0), (0, 1)]) * 0.5
    parts = []
    for j in range(k):
        row, column = j // side, float(j % side)
        if kind == 0:
            corners = square * (1 - gap) * rng.uniform(0.75, 1, 2)
        elif kind == 1:
            corners = diamond * (1 - gap / 4)
        else:
            flip = 1 if j % 2 else -1
            column *= 0.62
            corners = np.array([(-0.5, -0.45), (0.5, -0.45), (0, 0.45)]) * flip * (1 - gap)
        parts.append(polygon(rng, corners + np.array([column, row])))
    return parts


def dense_in_sparse(rng: Rng, k: int) -> list[Part]:
    """Dense blobs in or next to a sparse field that keeps a little clear of them."""
    centres = rng.uniform(-2.2, 2.2, (60, 2))
    kept = [centres[0]]
    for centre in centres[1:]:
        if len(kept) < k - 1 and min(np.linalg.norm(centre - other) for other in kept) > 1.4:
            kept.append(centre)
    sigma = rng.uniform(0.08, 0.2, len(kept))
    clear = rng.uniform(2.6, 3.6)

    def field(m: int) -> Array:
        rows = np.empty((0, 2))
        while len(rows) < m:
            new = rng.uniform(-3, 3, (2 * m + 20, 2))
            far = [np.linalg.norm(new - c, axis=1) > clear * s for c, s in zip(kept, sigma, strict=True)]
            rows = np.concatenate([rows, new[np.all(far, axis=0)]])
        return rows[:m]

    # Per area, a blob has several times as many rows as the field.
    dense = rng.uniform(5, 25)
    blobs = [blob(rng, c, [s] * 2) for c, s in zip(kept, sigma, strict=True)]
    return [Part(field, 36.0)] + [part._replace(measure=3 * dense * part.measure) for part in blobs]


def sizes(rng: Rng, k: int) -> list[Part]:
    """One big cluster with small ones close by."""
    flat, small = rng.random() < 0.5, rng.uniform(0.08, 0.3)
    parts = [disc(rng, (0, 0), (0, 1.6)) if flat else blob(rng, (0, 0), [0.62, rng.uniform(0.4, 0.62)])]
    for a in rng.uniform(0, 7) + 2 * np.pi * np.arange(k - 1) / max(k - 1, 3) + rng.normal(0, 0.08, k - 1):
        r = 1.9 + 2 * small + rng.uniform(0, 0.6)
        parts.append(blob(rng, (r * np.cos(a), r * np.sin(a)), [small, small * rng.uniform(0.5, 1)]))
    return parts


def bridges(rng: Rng, k: int) -> list[Part]:
    """Blobs in a row joined by thin bridges, whose rows belong to the nearer blob."""
    parts, at = [], 0.0
    thin, thick = rng.uniform(0.01, 0.06), rng.uniform(0.3, 0.45)
    for j in range(k):
        body = disc(rng, (at, 0), (0, 2 * thick)) if rng.random() < 0.5 else blob(rng, (at, 0), [thick] * 2)
        arms = [curve(rng, np.array([(at, 0.0), (at + s * 1.25, 0.0)]), thin) for s in (-1, 1) if 0 <= j + s < k]
        weak = [arm._replace(measure=body.measure * rng.uniform(0.02, 0.07)) for arm in arms]
        parts.append(joined(rng, [body, *weak]))
        at += 2.6
    return parts


def framed(rng: Rng, k: int) -> list[Part]:
    """A frame, round or square, around blobs, discs or squares."""
    side = int(np.ceil(np.sqrt(k - 1)))
    width, spread, solid = jitter(rng, 0.12), rng.uniform(0.06, 0.2), rng.random() < 0.5
    half = side / 2 + rng.uniform(0.2, 0.6)
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * half
    parts = [curve(rng, square if rng.random() < 0.5 else arc(0, 2 * np.pi * rng.uniform(0.7, 1.1), 1.4 * half), width)]
    for cell in rng.permutation(side * side)[: k - 1]:
        at = np.array(divmod(int(cell), side)) - (side - 1) / 2 + rng.normal(0, 0.05, 2)
        if solid:
            parts.append(polygon(rng, at + np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 2 * spread))
        else:
            parts.append(blob(rng, at, [spread, spread * rng.uniform(0.4, 1)]))
    return parts


def shells(rng: Rng, k: int) -> list[Part]:
    """A ball in a hollow ball, in three columns, and a third around both."""
    radii, width = [0.0], jitter(rng, 0.1)
    for _ in range(k - 1):
        radii.append(radii[-1] + rng.uniform(0.9, 1.5))

    def shell(radius: float) -> Part:
        def draw(m: int) -> Array:
            z = rng.standard_normal((m, 3))
            length = np.linalg.norm(z, axis=1, keepdims=True)
            grown = radius + width * rng.standard_normal((m, 1))
            return np.asarray(z / length * (grown if radius > 0 else 0.6 * rng.random((m, 1)) ** (1 / 3)))

        return Part(draw, 4 * np.pi * (radius + 0.2) ** 2)

    return [shell(radius) for radius in radii]


def sheets(rng: Rng, k: int) -> list[Part]:
    """Wavy sheets above one another, in three columns."""
    long, high, width = rng.uniform(1.5, 3), rng.uniform(0, 0.8), jitter(rng, 0.12)
    ways = rng.uniform(-1, 1, (2, 2))

    def sheet(height: float) -> Part:
        def draw(m: int) -> Array:
            flat = rng.uniform(-long / 2, long / 2, (m, 2))
            rise = high * np.sin(flat @ ways).sum(1) + height + width * rng.standard_normal(m)
            return np.column_stack([flat, rise])

        return Part(draw, long**2)

    return [sheet(j * rng.uniform(0.9, 1.3)) for j in range(k)]

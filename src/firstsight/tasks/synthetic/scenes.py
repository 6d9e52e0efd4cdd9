"""Named scenes, above all of curves: functions ``(rng, n_clusters) -> list of Part`` in two columns, or three.

The distance between neighbouring parts is about 1 and jitter is a share of it, so that a person sees the parts.
"""

from collections.abc import Callable

import numpy as np

from firstsight.tasks.synthetic.primitives import Part, Rng, arc, blob, curve, disc, polygon, strokes
from firstsight.tasks.synthetic.solids import (
    bridges,
    dense_in_sparse,
    framed,
    grid,
    jitter,
    sheets,
    shells,
    sizes,
    tiles,
)

Scene = Callable[[Rng, int], list[Part]]
# Glyphs as strokes between the points of a grid 3 wide and 5 high.
_GLYPHS: dict[str, list[list[tuple[float, float]]]] = {
    "A": [[(0, 0), (1, 4), (2, 0)], [(0.5, 2), (1.5, 2)]],
    "C": [[(2, 4), (0.6, 4), (0, 3), (0, 1), (0.6, 0), (2, 0)]],
    "E": [[(2, 4), (0, 4), (0, 0), (2, 0)], [(0, 2), (1.6, 2)]],
    "F": [[(2, 4), (0, 4), (0, 0)], [(0, 2), (1.6, 2)]],
    "H": [[(0, 0), (0, 4)], [(2, 0), (2, 4)], [(0, 2), (2, 2)]],
    "J": [[(2, 4), (2, 1), (1.4, 0), (0.6, 0), (0, 1)]],
    "K": [[(0, 0), (0, 4)], [(2, 4), (0, 2), (2, 0)]],
    "L": [[(0, 4), (0, 0), (2, 0)]],
    "N": [[(0, 0), (0, 4), (2, 0), (2, 4)]],
    "O": [[(1, 4), (0.2, 3.4), (0, 2), (0.2, 0.6), (1, 0), (1.8, 0.6), (2, 2), (1.8, 3.4), (1, 4)]],
    "P": [[(0, 0), (0, 4), (1.5, 4), (2, 3), (1.5, 2), (0, 2)]],
    "S": [[(2, 3.5), (1, 4), (0, 3), (1, 2), (2, 1), (1, 0), (0, 0.5)]],
    "T": [[(0, 4), (2, 4)], [(1, 4), (1, 0)]],
    "U": [[(0, 4), (0, 1), (0.6, 0), (1.4, 0), (2, 1), (2, 4)]],
    "V": [[(0, 4), (1, 0), (2, 4)]],
    "X": [[(0, 0), (2, 4)], [(0, 4), (2, 0)]],
    "Y": [[(0, 4), (1, 2), (2, 4)], [(1, 2), (1, 0)]],
    "Z": [[(0, 4), (2, 4), (0, 0), (2, 0)]],
}


def moons(rng: Rng, k: int) -> list[Part]:
    """Half circles that reach into each other, two or three."""
    rise, width, span = rng.uniform(-0.1, 0.6), jitter(rng, 0.13), rng.uniform(0.8, 1.05) * np.pi
    step = rng.uniform(0.9, 1.1)
    lean = (np.pi - span) / 2
    return [
        curve(rng, arc(lean + np.pi * (j % 2), lean + np.pi * (j % 2) + span, 1, (j * step, (j % 2) * rise)), width)
        for j in range(k)
    ]


def rings(rng: Rng, k: int) -> list[Part]:
    """Rings in rings, thin or filled, the innermost often a core; centres may differ a little."""
    width, core = jitter(rng, 0.2), rng.random() < 0.5
    filled, parts, radius = rng.random() < 0.25, [], rng.uniform(0.4, 1.5)
    for j in range(k):
        centre = rng.uniform(-0.15, 0.15, 2)
        if j == 0 and core:
            solid = rng.random() < 0.5
            parts.append(disc(rng, centre, (0, 0.7)) if solid else blob(rng, centre, [rng.uniform(0.1, 0.3)] * 2))
            radius = max(radius, 0.6)
            if radius < 1.6:
                radius = 1.6
            continue
        thick = rng.uniform(0.2, 0.8) if filled else 0.0
        ring = disc(rng, centre, (radius, radius + thick))
        parts.append(ring if filled else curve(rng, arc(0, 2 * np.pi, radius, centre), width))
        radius += thick + rng.uniform(0.8, 1.5)
    return parts


def spirals(rng: Rng, k: int) -> list[Part]:
    """Arms of a spiral, turned against each other."""
    turns, inner, width = rng.uniform(0.5, 3.2 / k + 0.4), rng.uniform(0.2, 0.8), jitter(rng, 0.15)
    a = np.linspace(0, 2 * np.pi * turns, 150)
    radius = inner * k / 4 + a * k / (2 * np.pi)
    arms = [np.stack([radius * np.cos(a + s), radius * np.sin(a + s)], 1) for s in 2 * np.pi * np.arange(k) / k]
    if rng.random() < 0.2:
        # With corners.
        arms = [0.9 * arm * (np.linalg.norm(arm, axis=1) / np.abs(arm).max(1))[:, None] for arm in arms]
    return [curve(rng, arm, width) for arm in arms]


def stripes(rng: Rng, k: int) -> list[Part]:
    """Parallel lines or bars, of unequal lengths and places."""
    long, width, bars = rng.uniform(2, 3 + 2 * k), jitter(rng, 0.2), rng.random() < 0.4
    parts, height = [], 0.0
    for _ in range(k):
        left = rng.uniform(-0.15, 0.15) * long
        right = left + long * rng.uniform(0.6, 1)
        thick = rng.uniform(0.1, 1.5) if bars else 0.0
        if bars:
            corners = [(left, height), (right, height), (right, height + thick), (left, height + thick)]
            parts.append(polygon(rng, np.array(corners)))
        else:
            tilt = rng.normal(0, 0.1)
            parts.append(curve(rng, np.array([(left, height - tilt), (right, height + tilt)]), width))
        height += thick + (rng.uniform(0.25, 0.8) if bars else rng.uniform(0.8, 1.6))
    return parts


def waves(rng: Rng, k: int) -> list[Part]:
    """Zigzags or sines, one above the other."""
    x = np.linspace(0, rng.uniform(2, 6) * np.pi, 200)
    high, sharp, width = rng.uniform(0.4, 1.6), rng.random() < 0.4, jitter(rng)
    y = 2 / np.pi * np.arcsin(np.sin(x)) if sharp else np.sin(x)
    steep = np.sqrt(1 + (0.7 * high) ** 2)
    return [curve(rng, np.stack([x, high * y + steep * j], 1), width) for j in range(k)]


def links(rng: Rng, k: int) -> list[Part]:
    """Rings of a chain, in three columns."""
    width, parts = jitter(rng, 0.12), []
    for j in range(k):
        flat = arc(0, 2 * np.pi, 1.0)
        ring = np.insert(flat, 1 if j % 2 else 2, 0.0, axis=1)
        parts.append(curve(rng, ring + np.array([j * rng.uniform(0.95, 1.2), 0, 0]), width))
    return parts


def helices(rng: Rng, k: int) -> list[Part]:
    """Strands wound around each other, in three columns."""
    turns, width = rng.uniform(0.5, 3.5 / k + 0.5), jitter(rng, 0.12)
    a = np.linspace(0, 2 * np.pi * turns, 150)
    rise = a * k / (2 * np.pi) * rng.uniform(0.7, 1.3)
    starts = 2 * np.pi * np.arange(k) / k
    return [curve(rng, np.stack([np.cos(a + s), np.sin(a + s), rise], 1), width) for s in starts]


def combs(rng: Rng, k: int) -> list[Part]:
    """Combs whose teeth reach into each other, or hooks around hooks."""
    width, parts = jitter(rng, 0.12), []
    if rng.random() < 0.5:
        long, teeth = rng.uniform(1.5, 4), int(rng.integers(2, 4))
        for j in range(k):
            spine, side = (long + 0.8) * (j // 2 * 2 + j % 2), -1 if j % 2 else 1
            places = 2.0 * np.arange(teeth) + (j % 2)
            lines = [np.array([(spine, places[0]), (spine, places[-1])])]
            lines += [np.array([(spine, place), (spine + side * long, place)]) for place in places]
            parts.append(strokes(rng, lines, width))
        return parts
    wide, high = rng.uniform(1, 2), rng.uniform(1, 3)
    for j in range(k):
        hook = np.array([(-wide - j, high), (-wide - j, -j), (wide + j, -j), (wide + j, high * rng.uniform(0.3, 1.2))])
        parts.append(curve(rng, hook, width))
    return parts


def parabolas(rng: Rng, k: int) -> list[Part]:
    """Parabolas nested, or turned towards each other."""
    t = np.linspace(-1, 1, 80) * rng.uniform(1, 1.6)
    steep, width = rng.uniform(0.6, 2), jitter(rng, 0.14)
    if k == 2 and rng.random() < 0.5:
        gap = rng.uniform(0.3, 0.8)
        up = np.stack([t, steep * t**2 + gap], 1)
        return [curve(rng, up, width), curve(rng, -up + [rng.uniform(-0.5, 1.3), 0], width)]
    return [curve(rng, np.stack([t, steep * t**2 + j * rng.uniform(0.9, 1.1) * 1.2], 1), width) for j in range(k)]


def arcs(rng: Rng, k: int) -> list[Part]:
    """Parts of concentric rings, each of its own angles, at times around a blob."""
    width, parts = jitter(rng, 0.18), []
    span, turn = rng.uniform(0.6, 1.75) * np.pi, rng.choice([0.4, 3.0])
    if rng.random() < 0.5:
        parts.append(blob(rng, (0, 0), np.exp(rng.uniform(-2.5, -1, 2))))
    for j in range(k - len(parts)):
        start = rng.normal(0, turn)
        parts.append(curve(rng, arc(start, start + span * rng.uniform(0.8, 1.15), 1.2 + j), width))
    return parts


def letters(rng: Rng, k: int) -> list[Part]:
    """Letters of strokes in one or two lines."""
    names = rng.choice(list(_GLYPHS), k)
    width, gap, rows = jitter(rng, 0.18), rng.uniform(1.0, 1.8), 2 if k > 5 or rng.random() < 0.2 else 1
    per_row = int(np.ceil(k / rows))
    parts = []
    for j, name in enumerate(names):
        at = np.array([(j % per_row) * (2 + gap), -(j // per_row) * (4 + gap)])
        tilt = np.array([[1, rng.normal(0, 0.12)], [rng.normal(0, 0.1), 1]])
        parts.append(strokes(rng, [np.array(line, float) @ tilt + at for line in _GLYPHS[str(name)]], width))
    return parts


def nested(rng: Rng, k: int) -> list[Part]:
    """Outlines of polygons in one another, the innermost often filled."""
    n_corners, width = int(rng.integers(3, 7)), jitter(rng, 0.15)
    a = np.linspace(0, 2 * np.pi, n_corners + 1)
    outline = np.stack([np.cos(a), np.sin(a)], 1)
    scale = 1 / np.cos(np.pi / n_corners)
    parts = [polygon(rng, outline[:-1] * scale * 0.7)] if rng.random() < 0.5 else []
    sizes = scale * (1.0 + np.arange(1 if parts else 0, k) * rng.uniform(0.9, 1.2))
    return parts + [curve(rng, outline * size, width) for size in sizes]


def fan(rng: Rng, k: int) -> list[Part]:
    """Spokes from a hub, or slices of a disc, that keep clear of each other."""
    width, slices = jitter(rng, 0.1), rng.random() < 0.5
    inner = 0.5 * k / np.pi * rng.uniform(0.6, 1)
    starts = 2 * np.pi * np.arange(k) / k
    if slices:
        gap = rng.uniform(0.1, 0.5) * 2 * np.pi / k
        return [
            disc(rng, (0, 0), (inner * rng.uniform(0.3, 1), inner + 2), (a, a + 2 * np.pi / k - gap)) for a in starts
        ]
    bend = rng.uniform(-0.6, 0.6)
    r = np.linspace(inner, inner + rng.uniform(1.5, 4), 40)
    spokes = [np.stack([r * np.cos(a + bend * r / r[-1]), r * np.sin(a + bend * r / r[-1])], 1) for a in starts]
    return [curve(rng, spoke, width) for spoke in spokes]


def face(rng: Rng, k: int) -> list[Part]:
    """A round outline, a mouth and one or two eyes."""
    width = jitter(rng, 0.1)
    mouth = arc(-np.pi / 2 - 0.9, -np.pi / 2 + 0.9, rng.uniform(0.8, 1.4), (0, 0.2))
    parts = [curve(rng, arc(0, 2 * np.pi, 2.2), width), curve(rng, mouth, width)]
    eye = rng.uniform(0.05, 0.2)
    places = [(0.0, 1.0)] if k == 3 else [(-0.8, 0.9), (0.8, 0.9)]
    return parts + [blob(rng, place, [eye, eye * rng.uniform(0.5, 1)]) for place in places]


def crossing(rng: Rng, k: int) -> list[Part]:
    """Lines, bows or rings that cross at one or two points and are seen apart nevertheless."""
    width = jitter(rng, 0.05)
    if rng.random() < 0.4:
        return [curve(rng, arc(0, 2 * np.pi, 1.0, (1.5 * j, (j % 2) * rng.uniform(0, 0.6))), width) for j in range(k)]
    t, parts = np.linspace(-1, 1, 60), []
    for a in np.pi * (np.arange(k) + rng.uniform(-0.15, 0.15, k)) / k:
        bow, at = rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3, 2)
        line = np.stack([2 * t, bow * t**2], 1)
        turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
        parts.append(curve(rng, line @ turn + at, width))
    return parts


# Scene: fewest clusters, most clusters, how often.
SCENES: dict[str, tuple[Scene, int, int, float]] = {
    "moons": (moons, 2, 3, 1.0), "rings": (rings, 2, 5, 1.3), "spirals": (spirals, 2, 5, 1.0),
    "stripes": (stripes, 2, 8, 1.0), "waves": (waves, 2, 5, 0.8), "grid": (grid, 4, 20, 1.0),
    "links": (links, 2, 4, 0.5), "shells": (shells, 2, 3, 0.4), "parabolas": (parabolas, 2, 4, 0.6),
    "arcs": (arcs, 2, 5, 1.0), "letters": (letters, 2, 10, 1.0), "tiles": (tiles, 2, 12, 1.0),
    "nested": (nested, 2, 4, 0.5), "fan": (fan, 3, 8, 0.8), "dense": (dense_in_sparse, 2, 5, 0.9),
    "sizes": (sizes, 2, 6, 0.8), "bridges": (bridges, 2, 4, 0.5), "face": (face, 3, 4, 0.4),
    "helices": (helices, 2, 4, 0.4), "sheets": (sheets, 2, 4, 0.4), "combs": (combs, 2, 3, 0.6),
    "framed": (framed, 2, 8, 0.7), "crossing": (crossing, 2, 3, 0.35),
}  # fmt: skip
# These have three columns.
SOLID = ("links", "shells", "helices", "sheets")

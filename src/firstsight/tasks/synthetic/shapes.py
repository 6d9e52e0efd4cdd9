"""Shapes in two or three columns: a named scene, or a collage of shapes that do not overlap.

Whatever is drawn is looked at before it is given out: where more than a few of the nearest
neighbours have another label, a person would not see the clusters, and another is drawn.
"""

import numpy as np
from scipy.spatial import cKDTree

from firstsight.tasks.synthetic.primitives import (
    Array,
    Labels,
    Part,
    Rng,
    arc,
    blob,
    counts,
    curve,
    disagreement,
    disc,
    joined,
    polygon,
    rotation,
    strokes,
    walk,
    weights_of,
)
from firstsight.tasks.synthetic.scenes import SCENES, SOLID
from firstsight.tasks.synthetic.solids import grid, jitter

_PRIMITIVES = (
    "blob", "stretched", "student", "disc", "box", "triangle", "ring", "arc", "line", "curve", "ess", "beads", "cross",
)  # fmt: skip
_PALETTES = {
    "blobs": ("blob", "stretched", "student"),
    "solids": ("blob", "disc", "box", "triangle", "stretched"),
    "lines": ("line", "curve", "arc", "ess"),
    "worms": ("curve",),
    "any": _PRIMITIVES,
}


def sample(rng: Rng, n_rows: int, n_clusters: int, *, solid: bool) -> tuple[Array, Labels, str]:
    """One table of shapes.

    Parameters
    ----------
    rng : Generator
        Advanced.
    n_rows, n_clusters : int
        ``n_clusters`` >= 2.
    solid : bool
        Whether three columns are allowed.

    Returns
    -------
    X : ndarray of shape (n_rows, 2) or (n_rows, 3)
    y : ndarray of shape (n_rows,)
        In order of the clusters.
    name : str

    """
    for _ in range(8):
        names = [
            name for name, (_, least, most, _) in SCENES.items()
            if least <= n_clusters <= most and (solid or name not in SOLID)
        ]  # fmt: skip
        # What has three columns is allowed seldom, so it is taken gladly.
        chances = np.array([SCENES[name][3] * (5 if name in SOLID else 1) for name in names])
        scene = chances.sum()
        chances = np.array([*chances, 0.35 * scene + 0.8, 0.12 * scene + 0.6 if n_clusters > 3 else 0.0])
        name = str(rng.choice([*names, "collage", "pair"], p=chances / chances.sum()))
        if name == "collage":
            X, y, name = collage(rng, n_rows, n_clusters)
        elif name == "pair":
            X, y, name = pair(rng, n_rows, n_clusters)
        else:
            parts = SCENES[name][0](rng, n_clusters)
            # Where a scene had no room for all clusters, another is drawn.
            if len(parts) != n_clusters:
                continue
            X, y = _rows(rng, n_rows, parts)
        X = transformed(rng, X)
        touching = "blob" in name or name in ("grid", "tiles", "crossing")
        # Few rows of a thin shape are seen as one shape only where the next of another is farther than several.
        if disagreement(X, y) <= (0.08 if touching else 0.03) and disagreement(X, y, 4) <= (0.15 if touching else 0.08):
            return X, y, name
    X, y = _rows(rng, n_rows, grid(rng, n_clusters))
    return X, y, "grid"


def collage(rng: Rng, n_rows: int, n_clusters: int) -> tuple[Array, Labels, str]:
    """Shapes placed at random without overlap; returns like :func:`sample`."""
    palette = str(rng.choice(list(_PALETTES), p=[0.22, 0.16, 0.12, 0.12, 0.38]))
    kinds = rng.choice(_PALETTES[palette], n_clusters)
    scales = np.exp(rng.uniform(0, 0.6) * rng.standard_normal(n_clusters))
    parts = [primitive(rng, str(kind), float(scale)) for kind, scale in zip(kinds, scales, strict=True)]
    each = _counts(rng, n_rows, parts)
    gap = np.exp(rng.uniform(np.log(0.12), np.log(1.2)))
    rows = [part.draw(int(m)) @ rotation(rng, 2).T for part, m in zip(parts, each, strict=True)]
    order = np.argsort(-scales)
    placed = _placed(rng, [rows[j] for j in order], float(gap))
    X = np.concatenate([placed[place] for place in np.argsort(order)])
    return X, np.repeat(np.arange(n_clusters), each).astype(np.int64), f"collage-{palette}"


def pair(rng: Rng, n_rows: int, n_clusters: int) -> tuple[Array, Labels, str]:
    """Two scenes, or a scene and a collage, in one table; returns like :func:`sample`."""
    first = int(rng.integers(2, min(5, n_clusters - 2) + 1))
    share = float(np.clip(first / n_clusters * rng.uniform(0.7, 1.4), 0.25, 0.75))
    cut = int(np.clip(share * n_rows, 5 * first, n_rows - 5 * (n_clusters - first)))
    tables = []
    for m, k in ((cut, first), (n_rows - cut, n_clusters - first)):
        names = [name for name, (_, least, most, _) in SCENES.items() if least <= k <= most]
        names = [name for name in names if name not in SOLID and name != "crossing"]
        if names and rng.random() < 0.8:
            parts = SCENES[str(rng.choice(names))][0](rng, k)
            X, y = _rows(rng, m, parts if len(parts) == k else grid(rng, k))
        else:
            X, y, _ = collage(rng, m, k)
        tables.append((2 * transformed(rng, X - X.mean(0)) / X.std() * np.exp(rng.normal(0, 0.25)), y))
    rows = _placed(rng, [X for X, _ in tables], float(np.exp(rng.uniform(np.log(0.3), np.log(1.5)))))
    return np.concatenate(rows), np.concatenate([tables[0][1], tables[1][1] + first]), "pair"


def _placed(rng: Rng, groups: list[Array], gap: float) -> list[Array]:
    """Groups of rows shifted, one after the other, so that their bulks keep ``gap`` and some spacings apart."""
    crowd = rng.uniform(0.06, 0.18)
    placed = groups[:1]
    for rows in groups[1:]:
        tree = cKDTree(np.concatenate(placed))
        # Tails may come closer than the bulk.
        distance = np.linalg.norm(rows - np.median(rows, 0), axis=1)
        core = rows[np.argsort(distance)[: max(5, int(0.97 * len(rows)))]]
        core = core[rng.permutation(len(core))[:120]]
        spacing = np.median(tree.query(tree.data[:60], 2)[0][:, 1])
        clear = max(gap, 2.5 * spacing * rng.uniform(1, 2))
        radius = 0.3
        shift = radius * rng.standard_normal(2)
        while tree.query(core + shift)[0].min() <= clear:
            radius *= 1 + crowd
            shift = radius * rng.standard_normal(2)
        placed.append(rows + shift)
    return placed


def primitive(rng: Rng, kind: str, scale: float) -> Part:
    """One shape about ``scale`` in radius, around the origin."""
    thin = scale * jitter(rng, 0.12)
    if kind == "blob":
        return blob(rng, (0, 0), [0.4 * scale] * 2)
    if kind == "stretched":
        return blob(rng, (0, 0), [0.6 * scale, 0.6 * scale * rng.uniform(0.08, 0.6)])
    if kind == "student":
        return blob(rng, (0, 0), [0.3 * scale, 0.3 * scale * rng.uniform(0.4, 1)], tails=rng.uniform(4, 8))
    if kind == "disc":
        return disc(rng, (0, 0), (0, scale))
    if kind == "box":
        sides = scale * np.array([1, rng.uniform(0.15, 1)])
        return polygon(rng, np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * sides)
    if kind == "triangle":
        a = np.sort(rng.uniform(0, 2 * np.pi / 3, 3) * 0.6 + 2 * np.pi / 3 * np.arange(3))
        return polygon(rng, 1.3 * scale * np.stack([np.cos(a), np.sin(a)], 1))
    if kind == "ring":
        inner = rng.uniform(0.5, 0.95)
        hollow = disc(rng, (0, 0), (1.4 * scale * inner, 1.4 * scale))
        return hollow if rng.random() < 0.5 else curve(rng, arc(0, 2 * np.pi, 1.4 * scale), thin)
    if kind == "arc":
        return curve(rng, arc(0, rng.uniform(0.6, 1.6) * np.pi, 1.4 * scale), thin)
    if kind == "line":
        return curve(rng, np.array([(-1.6 * scale, 0.0), (1.6 * scale, 0.0)]), thin)
    if kind == "ess":
        t = np.linspace(-1, 1, 80)
        return curve(rng, scale * np.stack([2 * t, rng.uniform(0.4, 1.2) * np.sin(np.pi * t)], 1), thin)
    if kind == "beads":
        path = walk(rng, 4 * scale, 1.5)[:: int(rng.integers(12, 20))]
        return joined(rng, [blob(rng, bead, [0.22 * scale] * 2) for bead in path])
    if kind == "cross":
        bars = [np.array([(-1.2, 0.0), (1.2, 0.0)]) * scale, np.array([(0.0, -1.2), (0.0, 1.2)]) * scale]
        return strokes(rng, bars, thin)
    return curve(rng, walk(rng, scale * rng.uniform(3, 7), rng.uniform(0.5, 2.0)), thin)


def transformed(rng: Rng, X: Array) -> Array:
    """Turned, and half of the time stretched and sheared."""
    d = X.shape[1]
    if rng.random() < 0.5:
        X = X * np.exp(rng.uniform(-0.45, 0.45, d))
        if rng.random() < 0.4:
            shear = np.eye(d)
            shear[0, 1] = rng.uniform(-0.6, 0.6)
            X = X @ shear
    return X @ rotation(rng, d).T if rng.random() < 0.6 else X


def _rows(rng: Rng, n_rows: int, parts: list[Part]) -> tuple[Array, Labels]:
    each = _counts(rng, n_rows, parts)
    X = np.concatenate([part.draw(int(m)) for part, m in zip(parts, each, strict=True)])
    return X, np.repeat(np.arange(len(parts)), each).astype(np.int64)


def _counts(rng: Rng, n_rows: int, parts: list[Part]) -> Labels:
    """Equally dense parts, equally large ones, or neither."""
    measures = np.array([part.measure for part in parts])
    kind = rng.choice(4, p=[0.4, 0.2, 0.25, 0.15])
    if kind == 0:
        weights = measures
    elif kind == 1:
        weights = np.ones(len(parts))
    elif kind == 2:
        weights = measures * np.exp(rng.normal(0, 0.6, len(parts)))
    else:
        weights = weights_of(rng, len(parts))
    return counts(rng, n_rows, weights)

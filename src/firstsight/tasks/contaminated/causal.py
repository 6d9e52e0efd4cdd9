"""Tables from random causes: the columns are some nodes of a layered graph with dropped arrows.

A node is f(sum of w_ij parent_i) + noise, f one of a dozen functions, the noise of a scale of its own. Rows with
broken causes come from the same graph: along a cut arrow a parent's value is that of another row, so that every
value is as likely as before and only its company is wrong; along a reversed arrow the weight has the other sign.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from firstsight.tasks.contaminated.worlds import World, unchanged
from firstsight.tasks.synthetic.primitives import Array, Labels, Rng

_FUNCTIONS: tuple[Callable[[Array], Array], ...] = (
    lambda z: z,
    lambda z: z,
    np.tanh,
    lambda z: np.maximum(z, 0),
    lambda z: np.where(z > 0, z, 0.2 * z),
    lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    np.sin,
    np.abs,
    lambda z: np.clip(z, -3, 3) ** 2,
    lambda z: np.sign(z),
    lambda z: np.floor(z),
    lambda z: np.exp(np.clip(z, -3, 2)),
)


class Layer(NamedTuple):
    """One layer of nodes.

    Parameters
    ----------
    weights : ndarray of shape (n_parents, n_nodes)
        0 where there is no arrow.
    partners : ndarray of shape (n_nodes,)
        The node that a node is multiplied with; itself where it is not.
    functions : ndarray of shape (n_nodes,)
        Which function.
    noise : ndarray of shape (n_nodes,)
        Standard deviation of the noise, the function's values having about 1.

    """

    weights: Array
    partners: Labels
    functions: Labels
    noise: Array


class Graph(NamedTuple):
    """Layers after the roots, the laws of the roots (n_roots,), and the columns that are seen (n_columns,)."""

    roots: Labels
    layers: list[Layer]
    seen: Labels
    scales: list[tuple[Array, Array]]


def causal(rng: Rng, n_rows: int, n_features: int) -> World:
    """Columns of shape (n_rows, n_features) from a random graph."""
    depth = 1 + min(4, int(rng.geometric(0.45)))
    width = max(3, -(-n_features // depth)) + int(rng.integers(2, 8))
    # The fewer roots, the more the columns have in common.
    n_roots = int(rng.integers(1, width + 1))
    layers = [_layer(rng, width, n_roots if i == 0 else width) for i in range(depth)]
    n_nodes = width * (depth + 1)
    inner = np.arange(width, n_nodes)
    # Some tables leave the roots out, so that no column is a cause of all.
    candidates = inner if rng.random() < 0.5 else np.concatenate([np.arange(n_roots), inner])
    seen = rng.permutation(candidates)[:n_features]
    graph = Graph(rng.integers(4, size=width), layers, seen, [])
    nodes = _flow(rng, graph, n_rows)
    unseen = np.setdiff1d(np.arange(n_nodes), graph.seen)
    return World(
        nodes[:, graph.seen],
        np.zeros(n_rows, np.int64),
        unchanged,
        partial(_broken, graph=graph),
        nodes[:, unseen],
        np.empty((0, n_features)),
    )


def _layer(rng: Rng, width: int, n_parents: int) -> Layer:
    """A layer of ``width`` nodes, of whose possible parents only the first ``n_parents`` have arrows."""
    weights = rng.standard_normal((width, width)) * (rng.random((width, width)) > rng.uniform(0.3, 0.9))
    # No node without a parent.
    weights[rng.integers(n_parents, size=width), np.arange(width)] = rng.choice([-1.0, 1.0], width)
    weights[n_parents:] = 0
    partners = np.arange(width)
    multiplied = rng.random(width) < 0.12
    partners[multiplied] = rng.integers(width, size=int(multiplied.sum()))
    some = rng.integers(len(_FUNCTIONS), size=int(rng.integers(1, 5)))
    return Layer(
        weights,
        partners,
        some[rng.integers(len(some), size=width)],
        np.exp(rng.normal(rng.uniform(-2.5, -0.3), 0.8, width)),
    )


def _roots(rng: Rng, laws: Labels, n_rows: int) -> Array:
    normal = rng.standard_normal((n_rows, len(laws)))
    others = [
        normal,
        rng.uniform(-1.7, 1.7, normal.shape),
        np.where(rng.random(normal.shape) < 0.5, -1.0, 1.0) + 0.4 * normal,
        rng.exponential(1, normal.shape) - 1,
    ]
    return np.asarray(np.choose(laws, others))


def _flow(
    rng: Rng, graph: Graph, n_rows: int, other: Array | None = None, changed: list[Labels] | None = None
) -> Array:
    """All nodes of shape (n_rows, n_nodes).

    The first flow fixes the scales of the nodes. Along the arrows of ``changed`` (one array a layer) 1 takes the
    parent from ``other`` rows and 2 reverses the sign.
    """
    H = _roots(rng, graph.roots, n_rows)
    nodes = [H]
    fixed = len(graph.scales) > 0
    width = H.shape[1]
    for i, layer in enumerate(graph.layers):
        weights = layer.weights
        if changed is None or other is None:
            pre = H @ weights
        else:
            cut, reversed_ = changed[i] == 1, changed[i] == 2
            pre = H @ (weights * np.where(cut, 0, np.where(reversed_, -1, 1)))
            pre = pre + other[:, i * width : (i + 1) * width] @ (weights * cut)
        pre = pre / np.linalg.norm(weights, axis=0)
        pre = np.where(layer.partners == np.arange(width), pre, pre * pre[:, layer.partners])
        values = np.empty_like(pre)
        for which in np.unique(layer.functions):
            mine = layer.functions == which
            values[:, mine] = _FUNCTIONS[which](pre[:, mine])
        if not fixed:
            graph.scales.append((values.mean(0), values.std(0) + 1e-3))
        mean, scale = graph.scales[i]
        H = (values - mean) / scale + layer.noise * rng.standard_normal(values.shape)
        nodes.append(H)
    return np.concatenate(nodes, 1)


def _broken(rng: Rng, n_rows: int, strength: float, *, graph: Graph) -> Array:
    """Rows of shape (n_rows, n_columns) with arrows cut or reversed, the more the stronger."""
    share = float(np.clip(0.3 + 0.25 * strength, 0, 1))
    cut = 1 if rng.random() < 0.7 else 2
    changed = []
    for layer in graph.layers:
        nodes = np.less(rng.random(layer.weights.shape[1]), share)
        # A node with a single changed arrow at least, or nothing may change.
        nodes[rng.integers(len(nodes))] = True
        chosen = np.less(rng.random(layer.weights.shape), max(0.5, share)) & nodes
        changed.append(np.where(chosen, cut, 0).astype(np.int64))
    return _flow(rng, graph, n_rows, _flow(rng, graph, n_rows), changed)[:, graph.seen]

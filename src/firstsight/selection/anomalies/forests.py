"""Views of a row from isolation forests (Liu et al. 2008): on the columns, and on random directions of them.

Cuts along random directions follow correlated columns, as in the extended isolation forest (Hariri et al. 2019). Trees
are scikit-learn's and are the very ones that its ``IsolationForest`` grows of the same seed; what differs is that each
is grown on its sample of rows alone and asked directly, without the checks that took four fifths of the time.
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn import config_context
from sklearn.tree import ExtraTreeRegressor
from sklearn.utils.random import sample_without_replacement

from firstsight.selection.geometry import Floats, Ints

N_TREES = 100
MOST_SAMPLED = 256  # rows that a tree is grown on
MOST_TURNED = 60
LARGEST = np.iinfo(np.int32).max


class Forest(NamedTuple):
    """One forest.

    Parameters
    ----------
    trees : list of sklearn.tree._tree.Tree
    depths : list of ndarray of shape (n_nodes,)
        Of each tree's nodes, with the depth that the rows which are left in a node would still need.
    usual : float
        Depth of a tree grown on so many rows, on average.

    """

    trees: list[Any]
    depths: list[Floats]
    usual: float


class Forests(NamedTuple):
    """Two forests.

    Parameters
    ----------
    straight, turned : Forest
    turn : ndarray of shape (n_features, n_directions)

    """

    straight: Forest
    turned: Forest
    turn: Floats


def fit_forests(R: Floats, seed: int) -> Forests:
    """Learn from reference rows (n_reference, n_features)."""
    d = R.shape[1]
    generator = np.random.default_rng(seed)
    n_directions = min(max(2 * d, 4), MOST_TURNED)
    turn = generator.standard_normal((d, n_directions))
    # Each direction mixes a few columns: of many, their sum would be nearly Gaussian and tell little.
    keep = np.argsort(generator.random((d, n_directions)), axis=0) < min(d, 3)
    turn *= keep
    return Forests(forest(R, seed), forest(R @ turn, seed + 1), turn)


def forest(R: Floats, seed: int) -> Forest:
    """Grow the trees of one forest; the draws are those of scikit-learn, in its order."""
    n, d = R.shape
    size = min(MOST_SAMPLED, n)
    depth = int(np.ceil(np.log2(max(size, 2))))
    values = R.astype(np.float32)
    y = np.asarray(np.random.RandomState(seed).uniform(size=n))
    seeds: Ints = np.random.RandomState(seed).randint(LARGEST, size=N_TREES, dtype=np.int64)
    trees, depths = [], []
    with config_context(skip_parameter_validation=True):
        for own in seeds:
            drawn = np.random.RandomState(own)
            sample_without_replacement(d, d, random_state=drawn)  # of columns, which all are taken
            rows = np.sort(sample_without_replacement(n, size, random_state=drawn))
            tree = ExtraTreeRegressor(
                max_features=1, max_depth=depth, random_state=np.random.RandomState(own).randint(LARGEST)
            )
            tree.fit(values[rows], y[rows], check_input=False)
            trees.append(tree.tree_)
            depths.append(tree.tree_.compute_node_depths() + _still(tree.tree_.n_node_samples) - 1.0)
    return Forest(trees, depths, float(_still(np.array([size]))[0]))


def _still(n_rows: Any) -> Floats:
    """Mean depth at which a row is alone in a tree that is grown on so many rows."""
    n = np.maximum(n_rows, 3)
    mean = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return np.asarray(np.where(n_rows <= 1, 0.0, np.where(n_rows == 2, 1.0, mean)))


def isolation(forest: Forest, Q: Floats) -> Floats:
    """How soon rows (n_rows, n_features) are alone, 0 to 1: higher = sooner."""
    values, total = np.ascontiguousarray(Q, np.float32), np.zeros(len(Q))
    for tree, depths in zip(forest.trees, forest.depths, strict=True):
        total += depths[tree.apply(values)]
    return np.asarray(2 ** -(total / (len(forest.trees) * forest.usual)))


def forest_views(forests: Forests, Q: Floats) -> dict[str, Floats]:
    """Views of rows (n_rows, n_features), higher = more abnormal."""
    return {
        "isolation": isolation(forests.straight, Q), "isolation_turned": isolation(forests.turned, Q @ forests.turn),
    }  # fmt: skip

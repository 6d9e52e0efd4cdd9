"""Views of a row from isolation forests (Liu et al. 2008): on the columns, and on random directions of them.

Cuts along random directions follow correlated columns, as in the extended isolation forest (Hariri et al. 2019).
"""

from typing import NamedTuple

import numpy as np
from sklearn.ensemble import IsolationForest

from firstsight.selection.geometry import Floats

N_TREES = 100
MOST_TURNED = 60


class Forests(NamedTuple):
    """Two forests.

    Parameters
    ----------
    straight, turned : IsolationForest
    turn : ndarray of shape (n_features, n_directions)

    """

    straight: IsolationForest
    turned: IsolationForest
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
    straight = IsolationForest(n_estimators=N_TREES, random_state=seed).fit(R)
    return Forests(straight, IsolationForest(n_estimators=N_TREES, random_state=seed + 1).fit(R @ turn), turn)


def forest_views(forests: Forests, Q: Floats) -> dict[str, Floats]:
    """Views of rows (n_rows, n_features), higher = more abnormal."""
    return {
        "isolation": -np.asarray(forests.straight.score_samples(Q), np.float64),
        "isolation_turned": -np.asarray(forests.turned.score_samples(Q @ forests.turn), np.float64),
    }

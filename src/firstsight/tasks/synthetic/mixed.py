"""Tables of categories, or of numbers and categories, with known clusters.

A table of :func:`~firstsight.tasks.synthetic.mix.sample`, some or all of whose columns are cut into levels whose
order is lost, as in questionnaires and records. Cells are at times filled in wrongly.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.tasks.synthetic.mix import Config, sample
from firstsight.tasks.synthetic.primitives import Array, Rng

CONFIG = Config(n_features=(3, 60), shapes=0.05, gaussians=0.4, warped=0.4, structureless=0.15, noisy=0.1, idle=0.35)


class Mixed(NamedTuple):
    """A table with categories, and its clusters.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Numbers, and whole numbers from 0 for the levels of a category.
    y : ndarray of shape (n_rows,)
        Clusters from 0 to k - 1; -1 is noise.
    categorical : ndarray of shape (n_features,)
        Which columns are categories; one at least.
    kind : str
        As in :class:`~firstsight.tasks.synthetic.mix.Truth`.

    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    categorical: NDArray[np.bool_]
    kind: str


def sample_mixed(seed: int, config: Config = CONFIG) -> Mixed:
    """The table of a seed.

    Parameters
    ----------
    seed : int
        >= 0; the same seed and settings give the same table.
    config : Config
        Of the table before columns are cut.

    Returns
    -------
    Mixed
        In three tables of ten all columns are categories.

    """
    truth = sample(seed, config)
    rng = np.random.default_rng([seed, 1])
    n_features = truth.X.shape[1]
    share = 1.0 if rng.random() < 0.3 else rng.uniform(0.1, 0.9)
    categorical = np.asarray(rng.random(n_features) < share)
    categorical[rng.integers(n_features)] = True
    wrong = rng.uniform(0, 0.15) if rng.random() < 0.3 else 0.0
    X = truth.X.copy()
    for column in np.flatnonzero(categorical):
        X[:, column] = _levels(rng, X[:, column], wrong)
    return Mixed(X, truth.y, categorical, truth.kind)


def _levels(rng: Rng, values: Array, wrong: float) -> Array:
    """Two to eight levels in no order, some of them rare."""
    n_levels = int(np.clip(1 + rng.geometric(0.45), 2, 8))
    cuts = np.quantile(values, np.cumsum(rng.dirichlet(np.full(n_levels, 2.0)))[:-1])
    level = rng.permutation(n_levels)[np.searchsorted(cuts, values, side="right")]
    return np.where(rng.random(len(values)) < wrong, rng.integers(n_levels, size=len(values)), level).astype(np.float64)

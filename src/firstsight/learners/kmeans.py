"""k-means as a learner: centroids, Lloyd's exact step, and a prior on where centroids lie.

The loss is the mean squared distance of a row to its nearest centroid,

    L(c) = 1/n sum_i min_j ||x_i - c_j||^2,

or, with a temperature T, the soft minimum ``-T logsumexp_j(-||x_i - c_j||^2 / T)``, whose gradient
does not vanish for centroids that are nobody's nearest; it is a lower bound of the hard loss and
tends to it as T -> 0. The exact step is Lloyd's (1982). With ``prior=True`` the parameters hold a
leaf ``log_lambda`` as well, and the exact step minimises

    sum_i min_j ||x_i - c_j||^2 + lambda sum_j ||c_j - c0_j||^2,

where the centres c0 and lambda come from the prior that is passed in: a meta-learner that passes
theta learns where centroids usually lie *and* how far to trust that. For Gaussian clusters of
within-variance sigma^2 whose centres vary between tasks by tau^2, the best lambda is
sigma^2 / tau^2: the number of rows that the past is worth.

Differs from the textbook: the step is written ``trust * mean + (1 - trust) * c0`` with
``trust = sigmoid(log n_j - log lambda)``, because ``(s + lambda c0) / (n + lambda)`` gives NaN at
extreme lambda. A cluster without rows goes to c0, or stays where it was when there is no prior.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from firstsight.checks import check_flag, check_number
from firstsight.core import Data, Learner, Tree
from firstsight.starts import spread_rows
from firstsight.tensor_checks import check_rows


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of k-means.

    Parameters
    ----------
    n_features : int
        Number of columns, >= 1.
    n_clusters : int
        Number of centroids, >= 1.
    temperature : float
        0 for the hard minimum, above 0 for the soft one; in units of squared distance.
    prior : bool
        Whether the parameters hold ``log_lambda`` and the exact step uses it.
    prior_rows : float
        lambda at the start, in rows, > 0; used with ``prior=True``.
    init_scale : float
        Standard deviation of the first centroids, in units of the data, > 0.

    """

    n_features: int = 2
    n_clusters: int = 3
    temperature: float = 0.0
    prior: bool = False
    prior_rows: float = 1.0
    init_scale: float = 1.0

    def __post_init__(self) -> None:
        check_number("n_features", self.n_features, at_least=1, integer=True)
        check_number("n_clusters", self.n_clusters, at_least=1, integer=True)
        check_number("temperature", self.temperature, at_least=0)
        check_flag("prior", self.prior)
        check_number("prior_rows", self.prior_rows, above=0)
        check_number("init_scale", self.init_scale, above=0)


def init(generator: torch.Generator, *, config: Config) -> Tree:
    """Centroids of shape (n_clusters, n_features) from a normal distribution; with a prior, log_lambda of shape ()."""
    centroids = config.init_scale * torch.randn(config.n_clusters, config.n_features, generator=generator)
    if not config.prior:
        return {"centroids": centroids}
    return {"centroids": centroids, "log_lambda": torch.tensor(config.prior_rows).log()}


def start(generator: torch.Generator, data: Data, *, config: Config) -> Tree:
    """Centroids by k-means++ (Arthur and Vassilvitskii 2007): rows far from those already chosen.

    Parameters
    ----------
    generator : torch.Generator
        Of the choice.
    data : Data
        At least ``n_clusters`` rows.
    config : Config
        Settings.

    Returns
    -------
    dict
        As ``init`` gives.

    Raises
    ------
    ValueError
        When there are fewer rows than clusters.

    """
    check_rows("X", data.X, row_shape=(config.n_features,), at_least=config.n_clusters)
    chosen, _ = spread_rows(generator, data.X, config.n_clusters)
    return {**init(generator, config=config), "centroids": data.X[chosen]}


def squared_distances(X: Tensor, centroids: Tensor) -> Tensor:
    """Squared Euclidean distances of every row to every centroid, of shape (n_rows, n_clusters)."""
    return ((X[:, None, :] - centroids[None, :, :]) ** 2).sum(-1)


def loss(params: Tree, data: Data, *, temperature: float) -> Tensor:
    """Mean over rows of the (soft) minimum squared distance, in squared units of the data."""
    check_rows("X", data.X, row_shape=params["centroids"].shape[1:])
    distances = squared_distances(data.X, params["centroids"])
    if temperature == 0:
        return distances.min(1).values.mean()
    return -temperature * torch.logsumexp(-distances / temperature, 1).mean()


def predict(params: Tree, X: Tensor) -> Tensor:
    """Scores of shape (n_rows, n_clusters): minus the squared distances; the argmax is the cluster."""
    check_rows("X", X, row_shape=params["centroids"].shape[1:])
    return -squared_distances(X, params["centroids"])


def refine(params: Tree, data: Data, prior: Tree | None) -> Tree:
    """One Lloyd step, pulled towards the prior's centroids where there is a prior.

    Parameters
    ----------
    params : dict
        ``centroids`` of shape (n_clusters, n_features) that assign the rows.
    data : Data
        Rows; should be at least ``n_clusters`` of them.
    prior : dict or None
        ``centroids`` and ``log_lambda`` to pull towards; without ``log_lambda``, or None: plain Lloyd.

    Returns
    -------
    dict
        New centroids; other leaves as in ``params``.

    Raises
    ------
    ValueError
        When there are fewer rows than clusters and no prior to make up for it.

    """
    centroids = params["centroids"]
    check_rows("X", data.X, row_shape=centroids.shape[1:])
    has_prior = prior is not None and "log_lambda" in prior
    if data.X.shape[0] < centroids.shape[0] and not has_prior:
        raise ValueError(
            f"n_rows={data.X.shape[0]} should be >= n_clusters={centroids.shape[0]}; "
            "pass more rows, fewer clusters, or prior=True"
        )
    nearest = squared_distances(data.X, centroids).argmin(1)
    member = (nearest[:, None] == torch.arange(centroids.shape[0], device=nearest.device)).to(data.X.dtype)
    n_members = member.sum(0)
    mean = (member.T @ data.X) / n_members.clamp(min=1.0)[:, None]
    if has_prior and prior is not None:
        trust = torch.sigmoid(n_members.log() - prior["log_lambda"])[:, None]
        moved = trust * mean + (1 - trust) * prior["centroids"]
    else:
        moved = torch.where(n_members[:, None] > 0, mean, centroids)
    return {**params, "centroids": moved}


def build(config: Config) -> Learner:
    """k-means with these settings."""
    return Learner(
        init=partial(init, config=config),
        loss=partial(loss, temperature=config.temperature),
        predict=predict,
        refine=refine,
        start=partial(start, config=config),
        row_shape=(config.n_features,),
    )

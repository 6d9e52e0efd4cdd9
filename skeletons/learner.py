"""A learner to copy: k-medians, centres under the city-block distance.

What, the formula, and where it is from (Bradley, Mangasarian, Street 1997):

    L(c) = 1/n sum_i min_j |x_i - c_j|_1.

Differs from the paper: gradient steps only, no exact step.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from firstsight.checks import check_number
from firstsight.core import Data, Learner, Tree
from firstsight.tensor_checks import check_rows


# 1. Settings: frozen, keyword-only, each with its unit and range, each checked.
@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of k-medians.

    Parameters
    ----------
    n_features : int
        Number of columns, >= 1.
    n_clusters : int
        Number of centres, >= 1.

    """

    n_features: int = 2
    n_clusters: int = 3

    def __post_init__(self) -> None:
        check_number("n_features", self.n_features, at_least=1, integer=True)
        check_number("n_clusters", self.n_clusters, at_least=1, integer=True)


# 2. Pure functions of the parameters, for one task: no .item(), no `if` on a tensor's value, no random
#    draw (noise comes in data.noise), arguments unchanged.
def init(generator: torch.Generator, *, config: Config) -> Tree:
    """Centres of shape (n_clusters, n_features) from a normal distribution."""
    return {"centres": torch.randn(config.n_clusters, config.n_features, generator=generator)}


def distances(X: Tensor, centres: Tensor) -> Tensor:
    """City-block distances, of shape (n_rows, n_clusters)."""
    check_rows("X", X, row_shape=centres.shape[1:])
    return (X[:, None, :] - centres[None, :, :]).abs().sum(-1)


def loss(params: Tree, data: Data) -> Tensor:
    """Mean distance to the nearest centre, in units of the data."""
    return distances(data.X, params["centres"]).min(1).values.mean()


def predict(params: Tree, X: Tensor) -> Tensor:
    """Scores of shape (n_rows, n_clusters): minus the distances; the argmax is the cluster."""
    return -distances(X, params["centres"])


# 3. Bind the settings with functools.partial, never with a closure: a partial pickles.
def build(config: Config) -> Learner:
    """k-medians with these settings."""
    return Learner(init=partial(init, config=config), loss=loss, predict=predict, row_shape=(config.n_features,))

"""Gaussian mixtures, independent or as a family whose tasks share where their centres lie.

The centre of cluster j of a task is

    centre_j = sqrt(shared) * family_j + sqrt(1 - shared) * own_j,     family_j, own_j ~ N(0, 1),

and its rows are ``centre_j + within * A e`` with e ~ N(0, 1). So centres have unit variance whatever
``shared`` is; between tasks they vary by tau^2 = 1 - shared, and within a cluster rows vary by
sigma^2 = within^2 a column on average. With ``shared=0`` the tasks have nothing in common, with
``shared=1`` their centres are the same. ``within`` is the overlap: the spread of a cluster in units
of the spread of the centres.

All tasks of one call share their number of columns, clusters and rows, drawn anew each call.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from firstsight.checks import check_choice, check_number, check_range
from firstsight.core import Data, Sample, Task
from firstsight.seeds import generator_of, uniform


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the mixtures.

    Parameters
    ----------
    n_features : (int, int)
        Range of the number of columns.
    n_clusters : (int, int)
        Range of the number of clusters.
    n_support : int
        Rows seen of a task, >= 1.
    n_query : int
        Rows scored, >= 1.
    within : (float, float)
        Range of the standard deviation within a cluster, in units of that of the centres; one
        draw a task.
    imbalance : (float, float)
        Range of the expected size of the largest cluster over that of the smallest, >= 1; one draw a task.
    covariance : {"spherical", "diagonal", "full"}
        Shape of the clusters.
    stretch : (float, float)
        Range of the longest over the shortest axis of a cluster, >= 1, for diagonal and full; one
        draw a cluster.
    shared : float
        Share of the centres' variance that all tasks have in common, from 0 to 1.
    family : int
        Seed of what they have in common.

    """

    n_features: tuple[int, int] = (2, 2)
    n_clusters: tuple[int, int] = (3, 3)
    n_support: int = 20
    n_query: int = 50
    within: tuple[float, float] = (0.3, 0.3)
    imbalance: tuple[float, float] = (1.0, 1.0)
    covariance: Literal["spherical", "diagonal", "full"] = "spherical"
    stretch: tuple[float, float] = (1.0, 3.0)
    shared: float = 0.0
    family: int = 0

    def __post_init__(self) -> None:
        check_range("n_features", self.n_features, integer=True, at_least=1)
        check_range("n_clusters", self.n_clusters, integer=True, at_least=1)
        check_number("n_support", self.n_support, at_least=1, integer=True)
        check_number("n_query", self.n_query, at_least=1, integer=True)
        check_range("within", self.within, above=0)
        check_range("imbalance", self.imbalance, at_least=1)
        check_choice("covariance", self.covariance, ["spherical", "diagonal", "full"])
        check_range("stretch", self.stretch, at_least=1)
        check_number("shared", self.shared, at_least=0, at_most=1)
        check_number("family", self.family, at_least=0, integer=True)


def sample(generator: torch.Generator, n_tasks: int, *, config: Config) -> Task:
    """Tasks with X of shape (n_tasks, n_rows, n_features) and y, the cluster, of shape (n_tasks, n_rows)."""
    n_features = _whole(generator, config.n_features)
    n_clusters = _whole(generator, config.n_clusters)
    n_rows = config.n_support + config.n_query

    # The widest family is drawn and cut, so that tasks of any shape share the same centres.
    family = torch.randn(config.n_clusters[1], config.n_features[1], generator=generator_of(config.family, "mixtures"))[
        :n_clusters, :n_features
    ]
    own = torch.randn(n_tasks, n_clusters, n_features, generator=generator)
    centres = config.shared**0.5 * family + (1 - config.shared) ** 0.5 * own

    share = torch.linspace(0, 1, n_clusters) if n_clusters > 1 else torch.zeros(1)
    imbalance = uniform(generator, (n_tasks, 1), config.imbalance)
    # Which cluster is large is drawn too, or the family's first would always be.
    order = torch.rand(n_tasks, n_clusters, generator=generator).argsort(1)
    weights = (imbalance**share).gather(1, order)
    y = torch.multinomial(weights, n_rows, replacement=True, generator=generator)

    within = uniform(generator, (n_tasks, 1, 1), config.within)
    shape = _axes(generator, n_tasks, n_clusters, n_features, config)
    noise = torch.randn(n_tasks, n_rows, n_features, generator=generator)
    task = torch.arange(n_tasks)[:, None]
    X = centres[task, y] + within * (shape[task, y] @ noise[..., None])[..., 0]
    cut = config.n_support
    return Task(Data(X[:, :cut], y[:, :cut]), Data(X[:, cut:], y[:, cut:]))


def build(config: Config) -> Sample:
    """The task distribution with these settings."""
    return partial(sample, config=config)


def _axes(generator: torch.Generator, n_tasks: int, n_clusters: int, n_features: int, config: Config) -> Tensor:
    """Square roots of the clusters' covariances, of mean variance 1 a column."""
    lead = (n_tasks, n_clusters)
    if config.covariance == "spherical":
        return torch.eye(n_features).expand(*lead, -1, -1)
    stretch = uniform(generator, (*lead, 1), config.stretch)
    place = torch.rand(*lead, n_features, generator=generator)
    place[..., 0] = 0
    if n_features > 1:
        place[..., 1] = 1
    lengths = stretch**place
    lengths = lengths / (lengths**2).mean(-1, keepdim=True).sqrt()
    if config.covariance == "diagonal":
        columns = torch.rand(*lead, n_features, generator=generator).argsort(-1)
        return torch.diag_embed(lengths.gather(-1, columns))
    turn: Tensor = torch.linalg.qr(torch.randn(*lead, n_features, n_features, generator=generator)).Q
    return turn * lengths[..., None, :]


def _whole(generator: torch.Generator, limits: tuple[int, int]) -> int:
    return int(torch.randint(limits[0], limits[1] + 1, (), generator=generator))

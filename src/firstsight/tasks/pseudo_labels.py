"""Episodes whose classes are clusters of an embedding.

CACTUs (Hsu et al. 2019, arXiv:1810.02334): k-means divides the embedded pool several times, each time with the features
rescaled at random, s ~ U(0, 1); a task draws a division, then classes among its clusters that have rows enough.

Differs from the paper: mini-batch k-means, and no refitting where clusters are small: those are left out. No label,
number of classes or balance is used; ``n_clusters`` should merely be large.
"""

from dataclasses import dataclass
from functools import partial

import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from firstsight.checks import check_number
from firstsight.core import Data, Sample, Task
from firstsight.seeds import generator_of, seed_of
from firstsight.tasks import episodes
from firstsight.tensor_checks import check_finite, check_rows


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the divisions and of the episodes.

    Parameters
    ----------
    n_way : int
        Classes a task, >= 1.
    n_shot : int
        Support rows a class, >= 1.
    n_query : int
        Query rows a class, >= 1.
    n_clusters : int
        Clusters of a division, >= n_way.
    n_partitions : int
        Divisions, >= 1.
    seed : int
        Of the divisions, >= 0.

    """

    n_way: int = 5
    n_shot: int = 1
    n_query: int = 5
    n_clusters: int = 500
    n_partitions: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_way", "n_shot", "n_query", "n_clusters", "n_partitions"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        check_number("seed", self.seed, at_least=0, integer=True)
        if self.n_clusters < self.n_way:
            raise ValueError(f"n_clusters={self.n_clusters} should be >= n_way={self.n_way}; raise it")


def partition(embedded: Tensor, *, n_clusters: int, seed: int) -> Tensor:
    """One division of the rows by k-means after a random rescaling of the features.

    Parameters
    ----------
    embedded : Tensor of shape (n_rows, n_features)
        The pool as embedded.
    n_clusters : int
        Clusters, at most n_rows.
    seed : int
        Of the rescaling and of k-means.

    Returns
    -------
    Tensor of shape (n_rows,)
        Cluster numbers.

    """
    scale = torch.rand(embedded.shape[1], generator=generator_of(seed, "scale"))
    means = MiniBatchKMeans(n_clusters, n_init=1, random_state=seed_of(seed, "k-means") % 2**32)
    return torch.from_numpy(means.fit_predict((embedded * scale).numpy())).long()


def build(config: Config, X: Tensor, embedded: Tensor) -> Sample:
    """Episodes from divisions of a pool.

    Parameters
    ----------
    config : Config
        Settings.
    X : Tensor of shape (n_rows, ...)
        The pool, floating point and finite, without labels.
    embedded : Tensor of shape (n_rows, n_features)
        The same rows as embedded.

    Raises
    ------
    TypeError, ValueError
        When the tensors are not what they should be, or a division has fewer than ``n_way`` clusters of
        ``n_shot + n_query`` rows.

    """
    check_rows("X", X, at_least=config.n_clusters)
    check_finite("X", X)
    check_rows("embedded", embedded, at_least=config.n_clusters)
    check_finite("embedded", embedded)
    if len(X) != len(embedded):
        raise ValueError(f"X has {len(X)} rows, embedded has {len(embedded)}, should be as many; embed the same pool")
    needed = config.n_shot + config.n_query
    divisions = []
    for number in range(config.n_partitions):
        cluster = partition(embedded, n_clusters=config.n_clusters, seed=seed_of(config.seed, "partition", number))
        members = [(cluster == label).nonzero().flatten() for label in range(config.n_clusters)]
        large = [rows for rows in members if len(rows) >= needed]
        if len(large) < config.n_way:
            raise ValueError(
                f"{len(large)} of {config.n_clusters} clusters have n_shot + n_query = {needed} rows, should be >= "
                f"n_way={config.n_way}; lower n_clusters, n_shot or n_query"
            )
        divisions.append(large)
    episode = episodes.Config(n_way=config.n_way, n_shot=config.n_shot, n_query=config.n_query)
    return partial(sample, X=X, divisions=divisions, episode=episode)


def sample(
    generator: torch.Generator, n_tasks: int, *, X: Tensor, divisions: list[list[Tensor]], episode: episodes.Config
) -> Task:
    """Tasks with X of shape (n_tasks, n_way * n_shot, ...) and y of shape (n_tasks, n_way * n_shot)."""
    drawn = [
        episodes.sample(generator, 1, X=X, members=divisions[number], config=episode)
        for number in torch.randint(len(divisions), (n_tasks,), generator=generator).tolist()
    ]
    support, query = (
        Data(torch.cat([part.X for part in parts]), torch.cat([part.y for part in parts if part.y is not None]))
        for parts in zip(*drawn, strict=True)
    )
    return Task(support, query)

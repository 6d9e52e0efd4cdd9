"""Contrast with neighbours: an embedding that knows a row again, and then its kind, without labels.

Two changed copies of an image, one of it and one of a *partner*, should be embedded alike, and unlike others:

    L = - mean_i log softmax_j(q_i . k_j / T)[partner of i],    q = predict(project(f(x))),  k = project'(f'(x')),

where f', project' are slow copies, theta' <- m theta' + (1 - m) theta, and j runs over the batch and a queue of past k
(MoCo, He et al. 2020, arXiv:1911.05722). At first the partner is the image itself. Later, every ``renew_every`` steps,
the whole pool is embedded by the slow copy, and each row's partners become its mutual nearest neighbours; a row and its
partners are never negatives of each other (as PsCo, Jang et al. 2023, arXiv:2303.00996, draws positives from a memory).

Differs from PsCo: neighbours over the whole pool at a few moments and not over a queue at each step, so that a row can
find all its like; mutual neighbours in place of Sinkhorn's matching; and the partner is seen through a fresh view.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from firstsight.checks import check_number
from firstsight.tasks.neighbours import centred, mutual, nearest

Augment = Callable[[torch.Generator, Tensor], Tensor]
"""``(generator, images) -> images`` of the same shape, changed at random."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the objective.

    Parameters
    ----------
    temperature : float
        T, > 0.
    momentum : float
        m, 0 to below 1.
    n_queue : int
        Past embeddings kept as negatives, >= 1.
    neighbours_from : int
        The step at which partners are first looked for, >= 1; beyond the last step, the training is plain contrast.
    renew_every : int
        Steps between two searches, >= 1.
    n_neighbours : int
        Nearest rows asked whether they agree, >= 1.
    n_cells : int
        Cells of the search, >= 1; see :func:`firstsight.tasks.neighbours.nearest`.
    own : float
        Probability that a row with partners is still paired with itself, 0 to 1.

    """

    temperature: float = 0.1
    momentum: float = 0.99
    n_queue: int = 4096
    neighbours_from: int = 1000
    renew_every: int = 1000
    n_neighbours: int = 5
    n_cells: int = 16
    own: float = 0.3

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, above=0)
        check_number("momentum", self.momentum, at_least=0, at_most=0.9999999)
        for name in ("n_queue", "neighbours_from", "renew_every", "n_neighbours", "n_cells"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        check_number("own", self.own, at_least=0, at_most=1)


class Nets(NamedTuple):
    """The modules that are trained.

    Parameters
    ----------
    encoder : nn.Module
        Rows to features; what is kept.
    projector : nn.Module
        Features to the space of the contrast.
    predictor : nn.Module
        That space to itself, on the fast side alone.

    """

    encoder: nn.Module
    projector: nn.Module
    predictor: nn.Module


class Memory(NamedTuple):
    """What the objective remembers from step to step.

    Parameters
    ----------
    keys : Tensor of shape (n_queue, n_outputs)
        Past embeddings of length 1.
    rows : Tensor of shape (n_queue,)
        Which row of the pool each is of; -1 for those drawn at the start.
    partners : Tensor of shape (n_rows, n_neighbours)
        Row numbers; -1 where there is none.

    """

    keys: Tensor
    rows: Tensor
    partners: Tensor


def empty(generator: torch.Generator, config: Config, *, n_rows: int, n_outputs: int) -> Memory:
    """A memory of random keys and no partners."""
    keys = functional.normalize(torch.randn(config.n_queue, n_outputs, generator=generator), dim=1)
    return Memory(keys, torch.full((config.n_queue,), -1), torch.full((n_rows, config.n_neighbours), -1))


def follow(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """Move the slow copy's parameters towards the fast ones; its running statistics are copied."""
    with torch.no_grad():
        for mine, theirs in zip(slow.parameters(), fast.parameters(), strict=True):
            mine.lerp_(theirs, 1 - momentum)
        for copied, source in zip(slow.buffers(), fast.buffers(), strict=True):
            copied.copy_(source)


def choose_partners(generator: torch.Generator, rows: Tensor, partners: Tensor, own: float) -> Tensor:
    """One partner of each row: at random among its own, or the row itself; shape (n_batch,)."""
    known = partners[rows]
    place = (torch.rand(known.shape, generator=generator) * (known >= 0)).argmax(1, keepdim=True)
    chosen = known.gather(1, place).squeeze(1)
    with_itself = torch.rand(rows.shape, generator=generator) < own
    return torch.where((chosen < 0) | with_itself, rows, chosen)


def contrast(queries: Tensor, keys: Tensor, rows: Tensor, paired: Tensor, memory: Memory, temperature: float) -> Tensor:
    """How badly queries find the keys of their partners, in nats.

    Parameters
    ----------
    queries, keys : Tensor of shape (n_batch, n_outputs)
        Of length 1.
    rows, paired : Tensor of shape (n_batch,)
        Row numbers of queries and keys.
    memory : Memory
        Further negatives, and the partners that are none.
    temperature : float
        T.

    Returns
    -------
    Tensor of shape ()

    """
    scores = queries @ torch.cat([keys, memory.keys]).T / temperature
    owners = torch.cat([paired, memory.rows])
    friends = torch.cat([rows[:, None], memory.partners[rows]], 1)
    # Which rows of the pool are friends, looked up by the owner of each key: cheaper than all comparisons.
    table = torch.zeros(len(rows), len(memory.partners) + 1, dtype=torch.bool)
    table.scatter_(1, friends + 1, True)
    table[:, 0] = False
    alike = table[:, owners + 1]
    target = torch.arange(len(rows))
    alike[target, target] = False
    return functional.cross_entropy(scores.masked_fill(alike, -torch.inf), target)


def enqueue(memory: Memory, keys: Tensor, rows: Tensor, step: int) -> Memory:
    """The memory with the keys of this step in place of the oldest."""
    place = (torch.arange(len(rows)) + step * len(rows)) % len(memory.keys)
    return memory._replace(keys=memory.keys.index_copy(0, place, keys), rows=memory.rows.index_copy(0, place, rows))


def embed(encoder: nn.Module, X: Tensor, *, block: int = 256) -> Tensor:
    """Features of rows by an encoder in evaluation mode: each row for itself, none of its neighbours' statistics.

    Parameters
    ----------
    encoder : nn.Module
        Its mode is put back.
    X : Tensor of shape (n_rows, ...)
        Rows.
    block : int
        Rows at a time.

    Returns
    -------
    Tensor of shape (n_rows, n_features)

    """
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            return torch.cat([encoder(part) for part in torch.split(X, block)])
    finally:
        encoder.train(training)


def renewed(generator: torch.Generator, memory: Memory, slow: nn.Module, X: Tensor, config: Config) -> Memory:
    """The memory with partners as the slow encoder now sees the pool."""
    found = nearest(
        generator, centred(embed(slow, X)), n_neighbours=config.n_neighbours, n_cells=min(config.n_cells, len(X))
    )
    return memory._replace(partners=mutual(found))

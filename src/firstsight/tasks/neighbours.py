"""Rows that are probably of one kind, found in an embedding without labels; and tasks whose classes they are.

Two ways from embedded rows to partners:

- nearest rows by cosine within random cells, of which only *mutual* ones are kept: j is a partner of i if each is
  among the ``n_neighbours`` nearest of the other. A cell is where one of ``n_cells`` centres is the nearest, after a
  few rounds of spherical k-means from random rows; it makes the search n_cells times cheaper, and misses partners
  across a border.
- the shots of PsCo (Jang et al. 2023, arXiv:2303.00996): rows of a memory matched to the rows of a batch by Sinkhorn's
  algorithm, so that no memory row is liked by all.

A task has ``n_way`` rows as the centres of its classes, whose partners are the class's other rows. No function here
takes a label, a number of classes, or their sizes.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from firstsight.checks import check_number
from firstsight.core import Data, Sample, Task
from firstsight.tensor_checks import check_finite, check_rows

ROUNDS = 4  # of k-means: cells need not be good, only near
BLOCK = 1024  # rows compared at once


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of tasks whose classes are neighbourhoods.

    Parameters
    ----------
    n_way : int
        Classes a task, >= 1.
    n_shot : int
        Support rows a class, >= 1.
    n_query : int
        Query rows a class, >= 1.
    n_neighbours : int
        How many nearest rows are asked whether they agree, >= n_shot + n_query - 1.
    n_cells : int
        Cells of the search, >= 1.

    """

    n_way: int = 5
    n_shot: int = 1
    n_query: int = 1
    n_neighbours: int = 8
    n_cells: int = 1

    def __post_init__(self) -> None:
        for name in ("n_way", "n_shot", "n_query", "n_neighbours", "n_cells"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        if self.n_neighbours < self.n_shot + self.n_query - 1:
            raise ValueError(
                f"n_neighbours={self.n_neighbours} should be >= n_shot + n_query - 1 = "
                f"{self.n_shot + self.n_query - 1}; raise it"
            )


def centred(embedded: Tensor) -> Tensor:
    """Rows less their mean, of length 1."""
    return functional.normalize(embedded - embedded.mean(0), dim=1)


def nearest(generator: torch.Generator, embedded: Tensor, *, n_neighbours: int, n_cells: int = 1) -> Tensor:
    """The nearest other rows by cosine, within random cells.

    Parameters
    ----------
    generator : torch.Generator
        Draws the rows that the cells begin with.
    embedded : Tensor of shape (n_rows, n_features)
        Rows of length 1; see :func:`centred`.
    n_neighbours : int
        How many, >= 1.
    n_cells : int
        Cells, 1 to n_rows.

    Returns
    -------
    Tensor of shape (n_rows, n_neighbours)
        Row numbers, nearest first; -1 where a cell has too few rows.

    """
    centres = embedded[torch.randperm(len(embedded), generator=generator)[:n_cells]]
    for _ in range(ROUNDS if n_cells > 1 else 0):
        cell = (embedded @ centres.T).argmax(1)
        centres = functional.normalize(torch.zeros_like(centres).index_add(0, cell, embedded), dim=1)
    cell = (embedded @ centres.T).argmax(1)
    found = torch.full((len(embedded), n_neighbours), -1)
    for number in range(len(centres)):
        members = (cell == number).nonzero().flatten()
        kept = min(n_neighbours, len(members) - 1)
        if kept < 1:
            continue
        inside = embedded[members]
        for start in range(0, len(members), BLOCK):
            close = inside[start : start + BLOCK] @ inside.T
            close.diagonal(start).fill_(-torch.inf)
            found[members[start : start + BLOCK], :kept] = members[close.topk(kept, dim=1).indices]
    return found


def mutual(found: Tensor) -> Tensor:
    """Of the nearest rows those that find each other, the others -1; shape (n_rows, n_neighbours) as given.

    >>> mutual(torch.tensor([[1], [0], [1]])).flatten().tolist()
    [1, 0, -1]
    """
    own = torch.arange(len(found))[:, None, None]
    agrees = (found[found.clamp(min=0)] == own).any(2) & (found >= 0)
    return torch.where(agrees, found, -1)


def sinkhorn(scores: Tensor, *, temperature: float = 0.05, rounds: int = 3) -> Tensor:
    """How much of every memory row belongs to every row of a batch; rows sum to one, columns are about even.

    Parameters
    ----------
    scores : Tensor of shape (n_rows, n_memory)
        Similarities.
    temperature : float
        > 0; small values give each row few memory rows.
    rounds : int
        Of normalisation, >= 1.

    Returns
    -------
    Tensor of shape (n_rows, n_memory)

    """
    logs = scores / temperature
    for _ in range(rounds):
        logs = logs - logs.logsumexp(0, keepdim=True)
        logs = logs - logs.logsumexp(1, keepdim=True)
    return logs.exp()


def build(config: Config, X: Tensor, embedded: Tensor, *, generator: torch.Generator) -> Sample:
    """Tasks whose classes are rows with their mutual nearest neighbours.

    Parameters
    ----------
    config : Config
        Settings.
    X : Tensor of shape (n_rows, ...)
        The pool, without labels.
    embedded : Tensor of shape (n_rows, n_features)
        Where neighbours are looked for.
    generator : torch.Generator
        Draws the cells, once.

    Raises
    ------
    TypeError, ValueError
        When the tensors are not what they should be, or fewer than ``n_way`` rows have neighbours enough.

    """
    check_rows("X", X, at_least=2)
    check_finite("X", X)
    check_rows("embedded", embedded, at_least=2)
    check_finite("embedded", embedded)
    if len(X) != len(embedded):
        raise ValueError(f"X has {len(X)} rows, embedded has {len(embedded)}, should be as many; embed the same pool")
    found = nearest(generator, centred(embedded), n_neighbours=config.n_neighbours, n_cells=config.n_cells)
    partners = mutual(found)
    needed = config.n_shot + config.n_query - 1
    rich = ((partners >= 0).sum(1) >= needed).nonzero().flatten()
    if len(rich) < config.n_way:
        raise ValueError(
            f"{len(rich)} rows have {needed} mutual neighbours, should be >= n_way={config.n_way}; "
            "raise n_neighbours, or pass a larger pool"
        )
    return partial(sample, X=X, partners=partners, rich=rich, config=config)


def sample(
    generator: torch.Generator, n_tasks: int, *, X: Tensor, partners: Tensor, rich: Tensor, config: Config
) -> Task:
    """Tasks with X of shape (n_tasks, n_way * n_shot, ...) and y of shape (n_tasks, n_way * n_shot)."""
    rows = []
    for _ in range(n_tasks):
        order = rich[torch.randperm(len(rich), generator=generator)].tolist()
        rows.append(_classes(generator, order, partners, config))
    numbers = torch.stack(rows)
    y = torch.arange(config.n_way)[None, :, None].expand(numbers.shape)
    parts = []
    for part in (slice(0, config.n_shot), slice(config.n_shot, None)):
        drawn, labels = numbers[:, :, part].flatten(1), y[:, :, part].flatten(1)
        mixed = torch.rand(drawn.shape, generator=generator).argsort(1)
        parts.append(Data(X[drawn.gather(1, mixed)], labels.gather(1, mixed)))
    return Task(*parts)


def _classes(generator: torch.Generator, order: list[int], partners: Tensor, config: Config) -> Tensor:
    """Row numbers of shape (n_way, n_shot + n_query), no row in two classes."""
    taken: set[int] = set()
    classes = []
    for centre in order:
        # Neighbours as they come at random, so that the nearest is not always the shot.
        friends = partners[centre][partners[centre] >= 0]
        friends = friends[torch.randperm(len(friends), generator=generator)]
        row = [centre, *(friend for friend in friends.tolist())][: config.n_shot + config.n_query]
        if taken.isdisjoint(row):
            taken.update(row)
            classes.append(row)
        if len(classes) == config.n_way:
            return torch.tensor(classes)
    raise ValueError(
        f"n_way={config.n_way} neighbourhoods without a common row should exist; found {len(classes)}; lower n_way"
    )

"""N-way K-shot episodes from a labelled array, for few-shot classification and few-shot clustering.

A task draws ``n_way`` classes, and of each ``n_shot`` rows for the support and ``n_query`` for the
query (Vinyals et al. 2016, arXiv:1606.04080). Classes are renumbered 0 to n_way - 1 at random, and
rows are shuffled, so that neither the number nor the place of a row tells its class. Draws are with
replacement between tasks and without within one.

:func:`pool` draws rows of an array as they come, knowing no class: tasks for what is unsupervised.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from firstsight.checks import check_number
from firstsight.core import Data, Sample, Task
from firstsight.seeds import generator_of
from firstsight.tensor_checks import check_finite, check_rows


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the episodes.

    Parameters
    ----------
    n_way : int
        Classes a task, >= 1.
    n_shot : int
        Support rows a class, >= 1.
    n_query : int
        Query rows a class, >= 1.

    """

    n_way: int = 5
    n_shot: int = 1
    n_query: int = 15

    def __post_init__(self) -> None:
        for name in ("n_way", "n_shot", "n_query"):
            check_number(name, getattr(self, name), at_least=1, integer=True)


def build(config: Config, X: Tensor, y: Tensor, classes: list[int] | None = None) -> Sample:
    """Episodes from the rows of some classes.

    Parameters
    ----------
    config : Config
        Settings.
    X : Tensor of shape (n_rows, ...)
        Floating point and finite.
    y : Tensor of shape (n_rows,)
        Class of every row, int64.
    classes : list of int, optional
        The classes to draw from; all by default. See :func:`split_classes`.

    Returns
    -------
    Sample
        Tasks with X of shape (n_tasks, n_way * n_shot, ...) and y of shape (n_tasks, n_way * n_shot).

    Raises
    ------
    TypeError, ValueError
        When the data are not what they should be, there are fewer classes than ``n_way``, or a
        class has fewer rows than ``n_shot + n_query``.

    """
    _check_labelled(X, y)
    found = sorted(set(y.tolist()))
    if classes is not None and not (isinstance(classes, list) and all(isinstance(label, int) for label in classes)):
        raise TypeError(f"classes={classes!r} should be a list of int, such as split_classes gives, or None")
    wanted = found if classes is None else classes
    if len(set(wanted)) != len(wanted) or not set(wanted) <= set(found):
        raise ValueError(f"classes={wanted} should be distinct classes of y, which has {found}")
    if len(wanted) < config.n_way:
        raise ValueError(f"n_way={config.n_way} should be <= the number of classes, {len(wanted)}; pass more classes")
    members = [(y == label).nonzero().flatten() for label in wanted]
    needed = config.n_shot + config.n_query
    for label, rows in zip(wanted, members, strict=True):
        if len(rows) < needed:
            raise ValueError(
                f"class {label} has n_rows={len(rows)}, should be >= n_shot + n_query = {needed}; "
                "lower n_shot or n_query, or leave the class out"
            )
    return partial(sample, X=X, members=members, config=config)


def sample(generator: torch.Generator, n_tasks: int, *, X: Tensor, members: list[Tensor], config: Config) -> Task:
    """Tasks of the classes whose row numbers are ``members``."""
    rows, labels = [], []
    for _ in range(n_tasks):
        chosen = torch.randperm(len(members), generator=generator)[: config.n_way].tolist()
        drawn = [_some(generator, members[label], config.n_shot + config.n_query) for label in chosen]
        rows.append(torch.stack(drawn))
        labels.append(torch.arange(config.n_way)[:, None].expand_as(rows[-1]))
    cut = config.n_shot
    parts = []
    for part in (slice(0, cut), slice(cut, None)):
        numbers = torch.stack(rows)[:, :, part].flatten(1)
        y = torch.stack(labels)[:, :, part].flatten(1)
        order = torch.rand(numbers.shape, generator=generator).argsort(1)
        parts.append(Data(X[numbers.gather(1, order)], y.gather(1, order)))
    return Task(*parts)


def pool(X: Tensor, *, n_support: int, n_query: int) -> Sample:
    """Tasks of rows drawn at random from an unlabelled array.

    Parameters
    ----------
    X : Tensor of shape (n_rows, ...)
        Floating point and finite.
    n_support, n_query : int
        Rows seen and scored of a task, >= 1 each.

    Returns
    -------
    Sample
        Tasks with X of shape (n_tasks, n_support, ...), no y.

    Raises
    ------
    TypeError, ValueError
        When X is not what it should be or has too few rows.

    """
    check_number("n_support", n_support, at_least=1, integer=True)
    check_number("n_query", n_query, at_least=1, integer=True)
    check_rows("X", X, at_least=n_support + n_query)
    check_finite("X", X)
    return partial(_sample_pool, X=X, n_support=n_support, n_query=n_query)


def split_classes(y: Tensor, sizes: tuple[int, int, int], *, seed: int) -> tuple[list[int], list[int], list[int]]:
    """Disjoint classes for meta-training, meta-validation and meta-test.

    Parameters
    ----------
    y : Tensor of shape (n_rows,)
        Class of every row.
    sizes : (int, int, int)
        Number of classes of each; together at most as many as there are.
    seed : int
        Of the split.

    Returns
    -------
    tuple of three lists of int
        Sorted class numbers.

    Raises
    ------
    ValueError
        When there are too few classes.

    """
    found = sorted(set(y.tolist()))
    if len(sizes) != 3:
        raise ValueError(f"sizes={sizes} should be three numbers: to meta-train, to meta-validate, to meta-test")
    for size in sizes:
        check_number("sizes", size, at_least=1, integer=True)
    if sum(sizes) > len(found):
        raise ValueError(f"sizes={sizes} should add up to at most the number of classes, {len(found)}")
    order = [found[i] for i in torch.randperm(len(found), generator=generator_of(seed, "classes")).tolist()]
    first, second = sizes[0], sizes[0] + sizes[1]
    return sorted(order[:first]), sorted(order[first:second]), sorted(order[second : sum(sizes)])


def _sample_pool(generator: torch.Generator, n_tasks: int, *, X: Tensor, n_support: int, n_query: int) -> Task:
    everyone = torch.arange(X.shape[0])
    rows = torch.stack([_some(generator, everyone, n_support + n_query) for _ in range(n_tasks)])
    return Task(Data(X[rows[:, :n_support]]), Data(X[rows[:, n_support:]]))


def _some(generator: torch.Generator, rows: Tensor, count: int) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator)[:count]]


def _check_labelled(X: Any, y: Any) -> None:
    check_rows("X", X)
    check_finite("X", X)
    if not isinstance(y, Tensor) or y.dtype != torch.int64 or y.shape != X.shape[:1]:
        found = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"y should be an int64 tensor of shape ({X.shape[0]},); found {found}")

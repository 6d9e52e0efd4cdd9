"""Tasks from single rows: every row drawn is a class, its changed copies are the query.

UMTRA (Khodadadeh et al. 2019, arXiv:1811.11819): where classes are many, a few rows drawn at random are probably of
different ones, so each may stand for a class of its own. The support holds the row itself, and changed copies where
more than one shot is asked for; the query holds other changed copies.

Differs from the paper: the augmentation is handed in. No label, number of classes or balance is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from firstsight.checks import check_number
from firstsight.core import Data, Sample, Task
from firstsight.tensor_checks import check_finite, check_rows


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the tasks.

    Parameters
    ----------
    n_way : int
        Rows drawn, each a class, >= 1.
    n_shot : int
        Support rows a class, >= 1; the first is the row as it is.
    n_query : int
        Changed copies a class to be scored on, >= 1.

    """

    n_way: int = 5
    n_shot: int = 1
    n_query: int = 1

    def __post_init__(self) -> None:
        for name in ("n_way", "n_shot", "n_query"):
            check_number(name, getattr(self, name), at_least=1, integer=True)


def build(config: Config, X: Tensor, augment: Callable[[torch.Generator, Tensor], Tensor]) -> Sample:
    """Tasks from a pool and a way to change its rows.

    Parameters
    ----------
    config : Config
        Settings.
    X : Tensor of shape (n_rows, ...)
        The pool, floating point and finite, without labels.
    augment : callable
        ``(generator, rows) -> rows`` of the same shape, a module-level function or a partial of one.

    Raises
    ------
    TypeError, ValueError
        When the pool is not what it should be or has fewer than ``n_way`` rows.

    """
    check_rows("X", X, at_least=config.n_way)
    check_finite("X", X)
    if not callable(augment):
        raise TypeError(f"augment should be a function (generator, rows) -> rows; found {type(augment).__name__}")
    return partial(sample, X=X, augment=augment, config=config)


def sample(
    generator: torch.Generator,
    n_tasks: int,
    *,
    X: Tensor,
    augment: Callable[[torch.Generator, Tensor], Tensor],
    config: Config,
) -> Task:
    """Tasks with X of shape (n_tasks, n_way * n_shot, ...) and y of shape (n_tasks, n_way * n_shot)."""
    rows = torch.stack([torch.randperm(len(X), generator=generator)[: config.n_way] for _ in range(n_tasks)])
    copies = config.n_shot - 1 + config.n_query
    changed = augment(generator, X[rows.repeat_interleave(copies, 1).flatten()])
    changed = changed.reshape(n_tasks, config.n_way, copies, *X.shape[1:])
    both = torch.cat([X[rows][:, :, None], changed], 2)
    y = torch.arange(config.n_way)[None, :, None].expand(both.shape[:3])
    parts = []
    for part in (slice(0, config.n_shot), slice(config.n_shot, None)):
        flat, labels = both[:, :, part].flatten(1, 2), y[:, :, part].flatten(1)
        order = torch.rand(labels.shape, generator=generator).argsort(1)
        parts.append(Data(flat[torch.arange(n_tasks)[:, None], order], labels.gather(1, order)))
    return Task(*parts)

"""A family of tables as a task distribution: sixty stores, a hundred weeks, a thousand patients.

A task is one table, drawn evenly whatever its length, and of it ``n_support`` rows to see and ``n_query``
others to be scored on, drawn without replacement. Tables of different lengths so meet in one batch.

Columns are standardised, because learners measure distances over all of them:

* ``scale="family"``: by the mean and standard deviation of all rows of meta-training. What a table is beside
  the others stays visible, such as a store that is dearer than the rest.
* ``scale="task"``: by those of the task's own support rows. What differs between tables is taken away. A
  column that hardly varies in the support, as far as few rows tell, is divided by a tenth of the family's deviation.

The query's own statistics are never used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from firstsight.checks import check_choice, check_number
from firstsight.core import Data, Sample, Task
from firstsight.tensor_checks import check_finite, check_rows

LEAST = 0.1  # deviation of a task's column, in deviations of the family's, under which it is taken for chance


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the tasks of a family of tables.

    Parameters
    ----------
    n_support : int
        Rows of a table to adapt to, >= 1: about as many as a new table will have.
    n_query : int
        Other rows of it to be scored on, >= 1.
    scale : {"family", "task", "none"}
        Standardise by meta-training's rows, by the task's support rows, or not at all.

    """

    n_support: int = 24
    n_query: int = 64
    scale: Literal["family", "task", "none"] = "family"

    def __post_init__(self) -> None:
        check_number("n_support", self.n_support, at_least=1, integer=True)
        check_number("n_query", self.n_query, at_least=1, integer=True)
        check_choice("scale", self.scale, ["family", "task", "none"])


class Scaling(NamedTuple):
    """What columns are standardised by.

    Parameters
    ----------
    mean, deviation : Tensor of shape (n_features,)
        In units of the columns; a column that does not vary has deviation 1.

    """

    mean: Tensor
    deviation: Tensor


def scaling_of(X: Tensor) -> Scaling:
    """Mean and standard deviation of every column.

    Parameters
    ----------
    X : Tensor of shape (..., n_rows, n_features)
        Rows of one table, or of many tables with leading axes.

    Returns
    -------
    Scaling
        Of shape (..., n_features).

    """
    # In float64: a column of the size of a year in seconds has no digits left for its deviation in float32.
    deviation, mean = torch.std_mean(X.double(), -2, correction=0)
    return Scaling(mean, torch.where(_varies(X), deviation, 1.0))


def scaled(X: Tensor, scaling: Scaling) -> Tensor:
    """Standardised columns, float32; computed in float64."""
    mean, deviation = (part[..., None, :] for part in scaling)
    return ((X.double() - mean) / deviation).float()


def standardised(X: Tensor, support: Tensor, config: Config, family: Scaling) -> Tensor:
    """Rows on the scale that ``config`` asks for, float32.

    Parameters
    ----------
    X : Tensor of shape (..., n_rows, n_features)
        Rows of a table, or of a batch of tables.
    support : Tensor of shape (..., n_support, n_features)
        Those rows of the same table that are seen.
    config : Config
        Settings.
    family : Scaling
        Of meta-training.

    """
    if config.scale == "none":
        return X.float()
    if config.scale == "family":
        return scaled(X, family)
    own = scaling_of(support)
    deviation = torch.maximum(own.deviation.where(_varies(support), 0), LEAST * family.deviation)
    return scaled(X, own._replace(deviation=deviation))


def build(
    config: Config, tables: Sequence[Tensor], truths: Sequence[Tensor] | None = None, scaling: Scaling | None = None
) -> Sample:
    """Tasks from the tables of a family.

    Parameters
    ----------
    config : Config
        Settings.
    tables : sequence of Tensor of shape (n_rows, n_features)
        Of the same columns, floating point (float64 to keep large numbers exact) and finite; each of at
        least ``n_support + n_query`` rows.
    truths : sequence of Tensor of shape (n_rows,), optional
        Class numbers (int64) of the rows of every table, for scoring.
    scaling : Scaling, optional
        That of meta-training, when these tables are others; by default that of all rows of ``tables``.

    Returns
    -------
    Sample
        Tasks with X of shape (n_tasks, n_support, n_features), float32.

    Raises
    ------
    TypeError, ValueError
        When there are no tables, or one is not what it should be, with its place in the sequence.

    """
    if len(tables) == 0:
        raise ValueError("a family should have at least one table; found none")
    needed = config.n_support + config.n_query
    for place, table in enumerate(tables):
        check_rows(f"tables[{place}]", table, row_shape=tuple(tables[0].shape[1:]))
        check_finite(f"tables[{place}]", table)
        if table.ndim != 2:
            raise ValueError(f"tables[{place}] should have shape (n_rows, n_features); found {tuple(table.shape)}")
        if len(table) < needed:
            raise ValueError(
                f"tables[{place}] has n_rows={len(table)}, should be >= n_support + n_query = {needed}; "
                "lower n_support or n_query, or leave the table out"
            )
    if truths is not None and [len(truth) for truth in truths] != [len(table) for table in tables]:
        raise ValueError("truths should have one number a row of every table; their lengths differ")
    rows = torch.cat(list(tables))
    family = scaling or scaling_of(rows)
    if config.scale == "family":
        rows = scaled(rows, family)
    check_finite("a family's rows in float32", rows.float())
    lengths = torch.tensor([len(table) for table in tables])
    return partial(
        sample,
        rows=rows,
        y=None if truths is None else torch.cat(list(truths)),
        firsts=(lengths.cumsum(0) - lengths).tolist(),
        lengths=lengths.tolist(),
        family=family,
        config=config,
    )


def sample(
    generator: torch.Generator,
    n_tasks: int,
    *,
    rows: Tensor,
    y: Tensor | None,
    firsts: list[int],
    lengths: list[int],
    family: Scaling,
    config: Config,
) -> Task:
    """Tasks of tables that lie one after the other in ``rows``."""
    needed = config.n_support + config.n_query
    chosen = torch.randint(len(lengths), (n_tasks,), generator=generator).tolist()
    numbers = torch.stack(
        [torch.randperm(lengths[table], generator=generator)[:needed] + firsts[table] for table in chosen]
    )
    X = rows[numbers]
    if config.scale == "task":
        X = standardised(X, X[:, : config.n_support], config, family)
    truth = None if y is None else y[numbers]
    return Task(
        *(
            Data(X[:, part].float(), None if truth is None else truth[:, part])
            for part in (slice(0, config.n_support), slice(config.n_support, None))
        )
    )


def _varies(X: Tensor) -> Tensor:
    """Whether columns vary by more than rounding, of shape (..., n_features)."""
    deviation, mean = torch.std_mean(X.double(), -2, correction=0)
    return deviation > 1e-9 * mean.abs().clamp(min=1e-30)

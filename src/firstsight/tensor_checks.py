"""Checks of tensors and of what should keep the contract, whose messages name the rule, the value seen and the cure."""

from typing import Any

import torch
from torch import Tensor

from firstsight.core import Data, MetaLearner, Task


def check_rows(name: str, X: Any, *, row_shape: tuple[int, ...] | None = None, at_least: int = 1) -> None:
    """Refuse what cannot be the rows of one task, by type and shape alone (so it works inside vmap).

    Parameters
    ----------
    name : str
        How the message calls them.
    X : Tensor of shape (n_rows, ...)
        Should be floating point.
    row_shape : tuple of int, optional
        The shape of one row that the learner was built for, ``(n_features,)`` for tables.
    at_least : int
        The fewest rows that make sense.

    Raises
    ------
    TypeError
        When X is no tensor of real floating-point numbers.
    ValueError
        When its shape is wrong or it has too few rows.

    >>> check_rows("X", torch.zeros(4, 3), row_shape=(2,))
    Traceback (most recent call last):
    ...
    ValueError: X should have shape (n_rows, 2); found (4, 3); pass the columns the learner was \
built for, or build it for these

    """
    if not isinstance(X, Tensor):
        raise TypeError(
            f"{name} should be a torch.Tensor; found {type(X).__name__}; "
            "convert with torch.as_tensor(numpy_array, dtype=torch.float32)"
        )
    if not X.is_floating_point():
        raise TypeError(f"{name} should be floating point; found {X.dtype}; convert with {name}.float()")
    if X.ndim < 2:
        raise ValueError(
            f"{name} should have shape (n_rows, n_features, ...); found {tuple(X.shape)}; "
            f"use {name}[:, None] for a single column"
        )
    if row_shape is not None and X.shape[1:] != row_shape:
        wanted = ", ".join(map(str, ("n_rows", *row_shape)))
        raise ValueError(
            f"{name} should have shape ({wanted}); found {tuple(X.shape)}; "
            "pass the columns the learner was built for, or build it for these"
        )
    if X.shape[0] < at_least:
        raise ValueError(f"{name} has n_rows={X.shape[0]}, should be >= {at_least}; pass more rows")


def drawn_noise(what: str, data: Data) -> Tensor:
    """The noise of some rows.

    Parameters
    ----------
    what : str
        How the message calls who needs it.
    data : Data
        Rows.

    Raises
    ------
    ValueError
        When they have none.

    """
    if data.noise is None:
        raise ValueError(
            f"{what} needs noise; found data.noise=None; wrap the tasks in with_noise, "
            "or pass adapt(..., noise=learner.noise(generator, n_rows))"
        )
    return data.noise


def check_finite(name: str, X: Tensor) -> None:
    """Refuse NaN and infinite entries, and say how many there are and where the first is.

    Raises
    ------
    ValueError
        When there is one.

    >>> check_finite("X", torch.tensor([[1.0, float("nan")]]))
    Traceback (most recent call last):
    ...
    ValueError: X should be finite; found 1 NaN and 0 infinite entries, the first at (0, 1); \
drop or impute them

    """
    # A sum is finite only if every entry is; it is ten times cheaper than looking at each.
    if bool(torch.isfinite(X.sum())):
        return
    bad = ~torch.isfinite(X)
    if not bool(bad.any()):
        return
    first = tuple(int(i) for i in bad.nonzero()[0])
    n_nan = int(X.isnan().sum())
    raise ValueError(
        f"{name} should be finite; found {n_nan} NaN and {int(bad.sum()) - n_nan} infinite entries, "
        f"the first at {first}; drop or impute them"
    )


def check_meta_learner(meta: Any) -> None:
    """Refuse what is no MetaLearner."""
    if not isinstance(meta, MetaLearner):
        raise TypeError(f"meta should be a MetaLearner, as maml.build(...) gives; found {type(meta).__name__}")


def check_sample(name: str, sample: Any) -> None:
    """Refuse what cannot be a task distribution; what it draws is for :func:`check_batch`."""
    if not callable(sample):
        raise TypeError(f"{name} should be a function (generator, n_tasks) -> Task; found {type(sample).__name__}")


def check_batch(tasks: Any, n_tasks: int) -> None:
    """Refuse what a task distribution should not give: see :data:`firstsight.core.Sample`.

    Raises
    ------
    TypeError
        When it is no Task of Data of tensors.
    ValueError
        When an axis has the wrong length or an entry is not finite.

    """
    if not isinstance(tasks, Task):
        raise TypeError(f"a task distribution should return a Task; found {type(tasks).__name__}")
    for part_name, part in zip(Task._fields, tasks, strict=True):
        if not isinstance(part, Data):
            raise TypeError(f"{part_name} should be Data; found {type(part).__name__}")
        if not isinstance(part.X, Tensor):
            raise TypeError(f"{part_name}.X should be a torch.Tensor; found {type(part.X).__name__}")
        if not part.X.is_floating_point():
            raise TypeError(f"{part_name}.X should be floating point; found {part.X.dtype}")
        if part.X.ndim < 2 or part.X.shape[1] < 1:
            raise ValueError(
                f"{part_name}.X should have shape (n_tasks, n_rows >= 1, ...); found {tuple(part.X.shape)}"
            )
        for name, leaf in zip(Data._fields, part, strict=True):
            if leaf is None:
                continue
            if not isinstance(leaf, Tensor):
                raise TypeError(f"{part_name}.{name} should be a torch.Tensor or None; found {type(leaf).__name__}")
            if leaf.shape[:2] != (n_tasks, part.X.shape[1]):
                raise ValueError(
                    f"{part_name}.{name} should begin with the axes (n_tasks, n_rows) = "
                    f"{(n_tasks, part.X.shape[1])}; found shape {tuple(leaf.shape)}"
                )
            if leaf.is_floating_point():
                check_finite(f"{part_name}.{name}", leaf)
    if tasks.support.X.shape[2:] != tasks.query.X.shape[2:]:
        raise ValueError(
            f"support.X and query.X should have rows of one shape; found {tuple(tasks.support.X.shape[2:])} "
            f"and {tuple(tasks.query.X.shape[2:])}"
        )

"""The contract: what a task, a learner and a meta-learner are.

Everything in firstsight meets here. A *task* is one data set split into support
(seen) and query (scored). A *learner* is an inner model as a tuple of pure
functions of its parameters. A *meta-learner* holds what is learned across tasks,
**theta**, and turns theta and a support set into a **state**: the model of one task.

All functions are written for **one** task, without a task axis; the engine maps them
over tasks with ``torch.func.vmap``, a loop or threads, and all of these must agree.
So inside them: no ``.item()``, no Python ``if`` on the value of a tensor, no
``F.one_hot``, no in-place change of an unbatched tensor, and no random draw: noise
travels in :class:`Data`. Bind hyperparameters with ``functools.partial`` on
module-level functions, so that every field pickles and can be stepped into.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

Tree: TypeAlias = Any
"""A tensor, None, or a dict, list, tuple or NamedTuple of trees."""


class Data(NamedTuple):
    """Rows of one task; a batch of tasks adds a leading task axis to every field.

    Parameters
    ----------
    X : Tensor of shape (n_rows, ...)
        The rows, floating point.
    y : Tensor of shape (n_rows, ...), optional
        Truth, where there is one: class numbers (int64) or target values. Used only
        by supervised learners, in meta-training and in scoring.
    noise : Tensor of shape (n_rows, n_draws, ...), optional
        Noise drawn together with the task, for losses that are stochastic by nature.
        A loss averages over the draws; one draw reused in all inner steps is overfitted.

    """

    X: Tensor
    y: Tensor | None = None
    noise: Tensor | None = None


class Task(NamedTuple):
    """One data set split into rows to learn from and rows to be scored on.

    Parameters
    ----------
    support : Data
        What the learner sees.
    query : Data
        What it is scored on; disjoint from the support.

    """

    support: Data
    query: Data


Sample: TypeAlias = Callable[[torch.Generator, int], Task]
"""A task distribution: ``(generator, n_tasks) -> Task`` with a leading task axis on every
tensor. All tasks of one call share their shapes; the same generator gives the same tasks."""

Loss: TypeAlias = Callable[[Tree, Data], Tensor]
"""``(params, data) -> Tensor of shape ()``, a mean over the rows of ``data``."""


class Settled(NamedTuple):
    """The parameters of one task with what its support tells beside them.

    Parameters
    ----------
    params : Tree
        Of the learner.
    statistics : Tree
        Computed from the support, never learned: the mean and variance of every normalised layer.

    """

    params: Tree
    statistics: Tree


class Learner(NamedTuple):
    """An inner model: pure functions of its parameters, for one task.

    Parameters
    ----------
    init : callable
        ``(generator) -> params``, a tree of floating-point tensors.
    loss : callable
        ``(params, data) -> Tensor of shape ()``: the fit to the data only, deterministic,
        a mean over rows.
    predict : callable
        ``(params, X) -> Tensor of shape (n_rows, ...)``. Clusterers and classifiers give
        scores of shape (n_rows, n_clusters), whose argmax is the label.
    refine : callable, optional
        ``(params, data, prior) -> params``: one exact step (Lloyd, EM, SOM batch).
        ``prior`` is a tree shaped like ``params``, or None.
    noise : callable, optional
        ``(generator, n_rows) -> Tensor of shape (n_rows, n_draws, ...)``, for ``Data.noise``.
    settle : callable, optional
        ``(params, support) -> Settled``: what the support tells beside the parameters, such as the
        statistics of normalisation. Meta-learners call it once, after the inner loop; ``loss`` and
        ``predict`` take its result in place of the parameters.
    start : callable, optional
        ``(generator, data) -> params``: a start that looks at the rows, as classical algorithms have
        (k-means++). Not differentiated, not mapped over tasks.
    row_shape : tuple of int, optional
        The shape of one row of X, where the learner was built for one; meta-learners that read the support
        themselves build their nets for it.

    """

    init: Callable[[torch.Generator], Tree]
    loss: Loss
    predict: Callable[[Tree, Tensor], Tensor]
    refine: Callable[[Tree, Data, Tree | None], Tree] | None = None
    noise: Callable[[torch.Generator, int], Tensor] | None = None
    settle: Callable[[Tree, Data], Settled] | None = None
    start: Callable[[torch.Generator, Data], Tree] | None = None
    row_shape: tuple[int, ...] | None = None


class MetaLearner(NamedTuple):
    """What is learned across tasks, and how it meets a new one.

    ``objective`` is a scalar and not a gradient: MAML differentiates the query loss, Reptile
    fits as half the squared distance of theta to the adapted parameters. The engine sums the
    objectives of many tasks and differentiates once.

    Parameters
    ----------
    init : callable
        ``(generator) -> theta``, a tree of floating-point tensors.
    adapt : callable
        ``(theta, support) -> state``, a tree of floating-point tensors.
    predict : callable
        ``(theta, state, X) -> Tensor of shape (n_rows, ...)``, as the learner's.
    objective : callable
        ``(theta, task) -> (scalar to differentiate, query loss to report)``.

    """

    init: Callable[[torch.Generator], Tree]
    adapt: Callable[[Tree, Data], Tree]
    predict: Callable[[Tree, Tree, Tensor], Tensor]
    objective: Callable[[Tree, Task], tuple[Tensor, Tensor]]

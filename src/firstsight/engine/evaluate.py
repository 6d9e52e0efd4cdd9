"""Meta-test: every task's own row, means with intervals, and paired differences."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from firstsight.checks import check_number
from firstsight.core import Data, MetaLearner, Sample, Tree
from firstsight.engine.config import Plan
from firstsight.engine.execute import checked_tasks, map_tasks
from firstsight.seeds import generator_of
from firstsight.tensor_checks import check_finite, check_meta_learner, check_rows, check_sample
from firstsight.trees import cast, detach, index, leaves, named_leaves

Metric = Callable[[Tensor, Data], float]
"""``(prediction, query) -> number`` for one task; the prediction has shape (n_rows, ...)."""


class Interval(NamedTuple):
    """A mean with its 95 % confidence interval.

    Parameters
    ----------
    mean, low, high : float
        In the units of the values; ``low`` and ``high`` are NaN for a single value.
    n : int
        Independent values behind it.

    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if self.n == 1:
            return f"{self.mean:.3f} (one value)"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval(values: Sequence[float] | np.ndarray[Any, Any], groups: Sequence[Any] | None = None) -> Interval:
    """The mean of some values and its 95 % interval by Student's t.

    Parameters
    ----------
    values : array-like of shape (n_values,)
        One number a task, finite.
    groups : sequence of length n_values, optional
        What a value belongs to, such as a class split. Values of one group are averaged first,
        and the interval speaks of groups: tasks that share their classes are not independent.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        When there are no values, one is not finite, or the lengths differ.

    Examples
    --------
    >>> print(interval([1.0, 2.0, 3.0]))
    2.000 [-0.484, 4.484]

    """
    numbers = np.asarray(values, dtype=float)
    if numbers.ndim != 1 or numbers.size == 0 or not np.isfinite(numbers).all():
        raise ValueError(f"values should be a non-empty row of finite numbers; found shape {numbers.shape}")
    if groups is not None:
        if len(groups) != len(numbers):
            raise ValueError(f"groups should have one entry a value ({len(numbers)}); found {len(groups)}")
        members: dict[Any, list[float]] = {}
        # Tensors hash by identity: their values are what groups.
        labels = groups.tolist() if hasattr(groups, "tolist") else list(groups)
        for number, group in zip(numbers, labels, strict=True):
            members.setdefault(group, []).append(float(number))
        numbers = np.array([np.mean(group) for group in members.values()])
    n = len(numbers)
    mean = float(numbers.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    half = float(stats.t.ppf(0.975, n - 1) * numbers.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def paired(ours: Sequence[float], theirs: Sequence[float], groups: Sequence[Any] | None = None) -> Interval:
    """The mean of ``ours - theirs`` over the same tasks, with its interval; see :func:`interval`.

    Parameters
    ----------
    ours, theirs : sequence of float
        A value for each task, of the same tasks in the same order.
    groups : sequence, optional
        Of each task; tasks of one group are averaged first.

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        When the lengths differ, or as :func:`interval`.

    """
    if len(ours) != len(theirs):
        raise ValueError(f"paired values should be of the same tasks; found {len(ours)} and {len(theirs)} of them")
    return interval(np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float), groups)


class TestResult(NamedTuple):
    """What a meta-test gives.

    Parameters
    ----------
    rows : list of dict
        One a task: ``task``, ``query_loss`` and every metric.
    summary : dict of Interval
        By name, over the tasks.

    """

    rows: list[dict[str, float]]
    summary: dict[str, Interval]


def meta_test(
    meta: MetaLearner,
    theta: Tree,
    sample: Sample,
    *,
    n_tasks: int,
    seed: int = 0,
    metrics: Mapping[str, Metric] | None = None,
    plan: Plan | None = None,
    batch: int = 64,
) -> TestResult:
    """Adapt to tasks never seen, and score each on its query.

    Parameters
    ----------
    meta : MetaLearner
        What was trained.
    theta : Tree
        From meta-training.
    sample : callable
        Meta-test tasks, ``(generator, n_tasks) -> Task``, of data sets or classes that neither
        meta-training nor meta-validation has seen.
    n_tasks : int
        Number of tasks, >= 1.
    seed : int
        Of the tasks: the same seed and ``batch`` give every method the same tasks.
    metrics : mapping of callables, optional
        Name to ``(prediction, query) -> number``.
    plan : Plan, optional
        How to run them; by vmap in chunks of 16 by default.
    batch : int
        Tasks drawn at once, >= 1.

    Returns
    -------
    TestResult

    Raises
    ------
    TypeError, ValueError
        When an argument or a batch is not what it should be.

    """
    check_number("n_tasks", n_tasks, at_least=1, integer=True)
    check_number("seed", seed, at_least=0, integer=True)
    check_number("batch", batch, at_least=1, integer=True)
    check_meta_learner(meta)
    check_sample("sample", sample)
    metrics = dict(metrics or {})
    if taken := {"task", "query_loss"} & metrics.keys():
        raise ValueError(f"metrics should not be named {sorted(taken)}, which every row has already; rename them")
    theta = detach(theta)
    dtype = leaves(theta)[0].dtype if plan is None else getattr(torch, plan.dtype)
    plan = plan or Plan(threads=torch.get_num_threads())
    theta = cast(theta, dtype)

    def tested(theta: Tree, task: Any) -> tuple[Tensor, Tensor]:
        prediction = meta.predict(theta, meta.adapt(theta, task.support), task.query.X)
        return prediction, meta.objective(theta, task)[1]

    rows: list[dict[str, float]] = []
    for first in range(0, n_tasks, batch):
        count = min(batch, n_tasks - first)
        # Always drawn whole and then cut, so that the first tasks do not depend on how many follow.
        tasks = checked_tasks(sample, generator_of(seed, "test", first // batch), batch, dtype)
        tasks = index(tasks, slice(0, count))
        predictions, losses = map_tasks(tested, theta, tasks, plan)
        for i in range(count):
            query = index(tasks.query, i)
            row = {"task": first + i, "query_loss": _finite("the query loss", float(losses[i]), first + i, seed)}
            for name, metric in metrics.items():
                row[name] = _finite(f"metric {name!r}", float(metric(predictions[i], query)), first + i, seed)
            rows.append(row)
    names = [name for name in rows[0] if name != "task"]
    return TestResult(rows, {name: interval([row[name] for row in rows]) for name in names})


def adapt(meta: MetaLearner, theta: Tree, X: Any, y: Any = None, *, noise: Tensor | None = None) -> Tree:
    """The state of one new data set.

    Parameters
    ----------
    meta : MetaLearner
        What was trained.
    theta : Tree
        From meta-training.
    X : Tensor of shape (n_rows, ...)
        The rows, floating point and finite.
    y : Tensor of shape (n_rows, ...), optional
        Truth, for supervised learners.
    noise : Tensor of shape (n_rows, n_draws, ...), optional
        For learners whose loss takes noise.

    Returns
    -------
    Tree
        For ``meta.predict(theta, state, X)``.

    Raises
    ------
    TypeError, ValueError
        When the data are not what they should be.

    """
    check_rows("X", X)
    for name, other in (("y", y), ("noise", noise)):
        if other is not None and (not isinstance(other, Tensor) or other.shape[:1] != X.shape[:1]):
            found = tuple(other.shape) if isinstance(other, Tensor) else type(other).__name__
            raise ValueError(f"{name} should be a tensor with n_rows={X.shape[0]} rows, as X; found {found}")
    theta = detach(theta)
    support = cast(Data(X, y, noise), leaves(theta)[0].dtype)
    # After the conversion, in which a large float64 may become infinite.
    for name, part in zip(Data._fields, support, strict=True):
        if part is not None and part.is_floating_point():
            check_finite(name, part)
    with torch.no_grad():
        state: Tree = meta.adapt(theta, support)
    for name, leaf in named_leaves(state):
        if not bool(torch.isfinite(leaf).all()):
            raise FloatingPointError(
                f"{name} of the adapted state is not finite; scale X as the tasks of meta-training were, "
                "check the class numbers, or lower inner_lr"
            )
    return state


def predict(meta: MetaLearner, theta: Tree, state: Tree, X: Any) -> Tensor:
    """What the model of one data set says of rows.

    Parameters
    ----------
    meta : MetaLearner
        What was trained.
    theta : Tree
        From meta-training.
    state : Tree
        From :func:`adapt`.
    X : Tensor of shape (n_rows, ...)
        Rows, floating point and finite.

    Returns
    -------
    Tensor of shape (n_rows, ...)
        Clusterers and classifiers give scores, whose argmax over the second axis is the label.

    Raises
    ------
    TypeError, ValueError
        When X is not what it should be.

    """
    check_rows("X", X)
    X = X.to(leaves(theta)[0].dtype)
    check_finite("X", X)
    with torch.no_grad():
        return meta.predict(detach(theta), state, X)


def _finite(what: str, value: float, task: int, seed: int) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{what} of task {task} of seed {seed} should be finite; found {value}")
    return value

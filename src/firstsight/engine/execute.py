"""Running a function over the tasks of a meta-batch: by vmap in chunks, by a loop, or by threads.

All three give the same numbers up to rounding, and each the same bits every time.
"""

import contextlib
import ctypes
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from firstsight.core import Sample, Task, Tree
from firstsight.engine.config import Plan, TrainConfig
from firstsight.tensor_checks import check_batch
from firstsight.trees import cast as cast_tree
from firstsight.trees import concatenate, index, leaves, n_tasks, named_leaves, stack, vmap_axes

Objective = Callable[[Tree, Task], tuple[Tensor, Tensor]]
Gradients = dict[str, Tensor | None]


def checked_tasks(sample: Sample, generator: torch.Generator, count: int, dtype: torch.dtype) -> Task:
    """A batch of a task distribution in this dtype, after the checks of :func:`firstsight.tensor_checks.check_batch`.

    Raises
    ------
    TypeError, ValueError
        When the task distribution gives what it should not, or what this dtype cannot hold.

    """
    tasks = sample(generator, count)
    check_batch(tasks, count)
    converted: Task = cast_tree(tasks, dtype)
    if any(before.dtype != after.dtype for before, after in zip(leaves(tasks), leaves(converted), strict=True)):
        check_batch(converted, count)
    return converted


def sum_gradients(objective: Objective, theta: Tree, tasks: Task, plan: Plan) -> tuple[Gradients, Tensor]:
    """The gradient of the summed objectives of a meta-batch, and every task's query loss.

    Parameters
    ----------
    objective : callable
        ``(theta, task) -> (scalar to differentiate, query loss to report)`` for one task.
    theta : Tree
        Its leaves that require a gradient get one.
    tasks : Task
        A batch.
    plan : Plan
        How to run it.

    Returns
    -------
    gradients : dict
        By name of the leaves; None for a leaf that no objective depends on.
    query_losses : Tensor of shape (n_tasks,)

    """
    learned = {name: leaf for name, leaf in named_leaves(theta) if leaf.requires_grad}
    parameters = list(learned.values())

    def part(tasks: Task) -> tuple[list[Tensor | None], Tensor]:
        with torch.enable_grad():
            objectives, query_losses = _apply(objective, theta, tasks, plan.backend)
        if objectives.ndim != 1 or query_losses.ndim != 1:
            raise ValueError(
                "an objective should give two scalars, to differentiate and to report; found shapes "
                f"{tuple(objectives.shape[1:])} and {tuple(query_losses.shape[1:])}; take the mean over rows"
            )
        if objectives.grad_fn is None:
            return [None] * len(parameters), query_losses.detach()
        gradients = torch.autograd.grad(objectives.sum(), parameters, allow_unused=True)
        return list(gradients), query_losses.detach()

    totals: list[Tensor | None] = [None] * len(parameters)
    losses = []
    for gradients, query_losses in _run(part, tasks, plan):
        totals = [_add(total, gradient) for total, gradient in zip(totals, gradients, strict=True)]
        losses.append(query_losses)
    return dict(zip(learned, totals, strict=True)), torch.cat(losses)


def map_tasks(function: Callable[[Tree, Task], Tree], theta: Tree, tasks: Task, plan: Plan) -> Tree:
    """``function(theta, task)`` for every task of a batch, without gradients.

    Parameters
    ----------
    function : callable
        ``(theta, task) -> tree of tensors`` for one task.
    theta : Tree
        What the tasks share.
    tasks : Task
        A batch.
    plan : Plan
        How to run it.

    Returns
    -------
    Tree
        As the function gives, with a leading task axis.

    """

    def part(tasks: Task) -> Tree:
        with torch.no_grad():
            return _apply(function, theta, tasks, plan.backend)

    return concatenate(list(_run(part, tasks, plan)))


def choose_plan(objective: Objective, theta: Tree, tasks: Task, config: TrainConfig) -> Plan:
    """Settle what the configuration leaves open, by timing the ways on one batch.

    Parameters
    ----------
    objective, theta, tasks
        As for :func:`sum_gradients`.
    config : TrainConfig
        ``backend="auto"``, ``chunk=0`` and ``threads=0`` are what is settled.

    Returns
    -------
    Plan

    """
    count = n_tasks(tasks)
    threads = config.threads or torch.get_num_threads()
    fits = max(1, min(count, int(config.memory_limit_gib * 2**30 / bytes_of_task(objective, theta, tasks))))
    chunks = [config.chunk] if config.chunk else sorted({max(1, min(fits, count // 4**i)) for i in range(4)})
    candidates: list[tuple[str, int]] = []
    if config.backend in ("auto", "vmap"):
        candidates += [("vmap", chunk) for chunk in chunks]
    if config.backend in ("auto", "loop"):
        candidates.append(("loop", 1))
    if config.backend == "threads" or (config.backend == "auto" and threads > 1 and count > 1):
        candidates.append(("threads", 1))
    plans = [
        Plan(
            backend=cast(Literal["vmap", "loop", "threads"], backend), chunk=chunk, threads=threads, dtype=config.dtype
        )
        for backend, chunk in candidates
    ]
    if len(plans) == 1:
        return plans[0]
    return min(plans, key=lambda plan: _seconds_per_task(objective, theta, tasks, plan))


def bytes_of_task(objective: Objective, theta: Tree, tasks: Task) -> int:
    """About what one task needs at its peak: the sizes of all tensors that its objective and gradient make."""
    with _Allocations() as made:  # type: ignore[no-untyped-call]
        sum_gradients(objective, theta, index(tasks, slice(0, 1)), Plan(backend="loop"))
    return max(1, int(made.n_bytes))


@contextlib.contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Torch computes with this many threads inside the block, and with as many as before after it."""
    before = torch.get_num_threads()
    if before == n_threads:
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _apply(function: Callable[[Tree, Task], Tree], theta: Tree, tasks: Task, backend: str) -> Any:
    if backend == "vmap":
        return torch.func.vmap(function, in_dims=(None, vmap_axes(tasks)), randomness="error")(theta, tasks)
    return stack([function(theta, index(tasks, i)) for i in range(n_tasks(tasks))])


def _run(part: Callable[[Task], Any], tasks: Task, plan: Plan) -> Iterator[Any]:
    """``part`` of every chunk of tasks, in order."""
    count = n_tasks(tasks)
    size = plan.chunk if plan.backend == "vmap" else 1
    chunks = [index(tasks, slice(i, i + size)) for i in range(0, count, size)]
    if plan.backend != "threads":
        with torch_threads(plan.threads):
            for chunk in chunks:
                yield part(chunk)
        return
    with torch_threads(1), ThreadPoolExecutor(plan.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        # A window of a few chunks, so that their gradients are added up as they come.
        waiting = [pool.submit(part, chunk) for chunk in chunks[: 2 * plan.threads]]
        for i in range(len(chunks)):
            result = waiting.pop(0).result()
            if i + 2 * plan.threads < len(chunks):
                waiting.append(pool.submit(part, chunks[i + 2 * plan.threads]))
            yield result


def _seconds_per_task(objective: Objective, theta: Tree, tasks: Task, plan: Plan) -> float:
    some = index(tasks, slice(0, n_tasks(tasks) if plan.backend == "vmap" else 2 * plan.threads))
    sum_gradients(objective, theta, index(some, slice(0, plan.chunk)), plan)
    best = math.inf
    for _ in range(2):
        start = time.perf_counter()
        sum_gradients(objective, theta, some, plan)
        best = min(best, time.perf_counter() - start)
    return best / n_tasks(some)


def _add(total: Tensor | None, gradient: Tensor | None) -> Tensor | None:
    if total is None or gradient is None:
        return gradient if total is None else total
    return total + gradient


def keep_freed_memory() -> None:
    """Tell glibc's allocator to keep what is freed; without glibc nothing happens.

    Meta-batches allocate and free the same large blocks over and over. By default each goes back to
    the system and is mapped anew, which can cost more than the computation. Meant for processes that
    do nothing else, such as the demo's workers; importing firstsight never calls it.
    """
    top_pad, mmap_max, trim_threshold = -2, -4, -1
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_max, 0)
        mallopt(top_pad, 256 << 20)
        mallopt(trim_threshold, 2**31 - 1)


class _Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of every tensor that an operation returns without aliasing an input."""

    n_bytes: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        is_view = any(result.alias_info is not None for result in func._schema.returns)
        for tensor in [output] if isinstance(output, Tensor) else (output if isinstance(output, tuple | list) else []):
            if isinstance(tensor, Tensor) and not is_view:
                self.n_bytes += tensor.numel() * tensor.element_size()
        return output

"""Meta-training: a loop that can be read, stopped at any moment and resumed to the bit.

Every random draw has an address (seed, purpose, step), so there is no generator state to carry: what
a step draws depends on the seed and the step alone.
"""

import dataclasses
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from firstsight.core import MetaLearner, Sample, Task, Tree
from firstsight.engine.config import Plan, TrainConfig
from firstsight.engine.execute import Gradients, checked_tasks, choose_plan, map_tasks, sum_gradients
from firstsight.engine.identity import described
from firstsight.engine.outer import MakeOptimizer, make_outer, rate_factor, set_gradients
from firstsight.engine.resume import Run, resume_run, save_run
from firstsight.seeds import generator_of, seed_of
from firstsight.tensor_checks import check_meta_learner, check_sample
from firstsight.trees import cast, check_branches, is_below, named_leaves, replace_leaves, tree_map

CHECKPOINT = "checkpoint.safetensors"


class Info(NamedTuple):
    """What people want to watch.

    Parameters
    ----------
    loss : float
        Mean query loss of this step's tasks, before the step.
    gradient_norm : float
        Norm of the outer gradient before clipping.
    validation : float or None
        Mean query loss on the meta-validation tasks, at the steps that validate.
    best_theta : Tree
        theta at the best meta-validation; without meta-validation, the current one.
    best_step : int
        The step that gave it.
    plan : Plan
        How meta-batches are run.

    """

    loss: float
    gradient_norm: float
    validation: float | None
    best_theta: Tree
    best_step: int
    plan: Plan


class Step(NamedTuple):
    """One outer step: its number from 1, theta after it, and what to watch.

    Step number n was taken on the meta-batch at the address ``("train", n - 1)``; see :func:`draw`.
    """

    step: int
    theta: Tree
    info: Info


def meta_train(
    meta: MetaLearner,
    sample: Sample,
    config: TrainConfig,
    *,
    validate: Sample | None = None,
    directory: Path | str | None = None,
    about: Mapping[str, Any] | None = None,
    make_optimizer: MakeOptimizer | None = None,
    start: Tree | None = None,
) -> Iterator[Step]:
    """Meta-train, yielding every outer step.

    Parameters
    ----------
    meta : MetaLearner
        What is trained.
    sample : callable
        Meta-training tasks, ``(generator, n_tasks) -> Task`` with a leading task axis.
    config : TrainConfig
        Settings.
    validate : callable, optional
        Meta-validation tasks, of other data sets or classes than ``sample``. The same tasks are
        used each time; the best theta is kept.
    directory : path, optional
        Where checkpoints go. If it holds one, the run goes on from there, and gives to the bit what
        an unbroken run gives.
    about : mapping, optional
        Anything JSON can say; resuming with another ``about`` is refused, as it is with other
        settings, another meta-learner or other tasks, as far as their settings can be read off.
    make_optimizer : callable, optional
        ``(list of leaves) -> torch.optim.Optimizer``, instead of ``config.optimizer``. The rates of
        its groups are its own; ``config.schedule`` scales them.
    start : Tree, optional
        theta to begin with, shaped like ``meta.init`` gives it: from another training, or from a
        classical algorithm on pooled rows. A random start can lie in the basin of a poor theta.

    Yields
    ------
    Step
        A resumed run yields the steps that are left; a finished one its last step again.

    Raises
    ------
    TypeError, ValueError
        At the call, when an argument or the first batch is not what it should be.
    NotADirectoryError
        At the call, when ``directory`` cannot be a folder.
    FloatingPointError
        At the step whose loss or gradient is not finite, with the seed of the task.
    CheckpointError
        When the checkpoint is damaged or belongs to other settings.

    """
    check_meta_learner(meta)
    if not isinstance(config, TrainConfig):
        raise TypeError(f"config should be a TrainConfig; found {type(config).__name__}")
    check_sample("sample", sample)
    if validate is not None:
        check_sample("validate", validate)
    path = None if directory is None else Path(directory) / CHECKPOINT
    about = {
        "about": _plain(about),  # first, as the caller's own words say best what differs
        "settings": {**dataclasses.asdict(config), "checkpoint_every": 0},  # which changes no result
        "method": described(meta),
        "tasks": described([sample, validate]),
        "start": described(start),
    }
    if path is not None:
        _make_folder(path.parent)
    theta = meta.init(generator_of(config.seed, "init"))
    if start is not None:
        theta = replace_leaves(theta, dict(named_leaves(start)))
    for name, leaf in named_leaves(theta):
        if not leaf.is_floating_point():
            raise TypeError(f"leaf {name!r} of theta should be floating point; found {leaf.dtype}")
    theta = cast(theta, getattr(torch, config.dtype))
    check_branches("frozen", config.frozen, theta)
    theta = _copy(theta)
    learned = [leaf.requires_grad_() for name, leaf in named_leaves(theta) if not is_below(name, config.frozen)]
    if not learned:
        raise ValueError("theta should have leaves to learn; found none that is not frozen")
    optimizer = make_outer(learned, config, make_optimizer)
    validation = [] if validate is None else list(_validation_batches(validate, config))
    first = draw(sample, config, "train", 0)
    if path is not None and path.exists():
        run, plan = resume_run(path, theta, optimizer, about)
    else:
        run, plan = Run(0, theta, _copy(theta), 0, [], []), choose_plan(meta.objective, theta, first, config)
        _refuse_unused(sum_gradients(meta.objective, theta, first, plan)[0])
        if validation:
            try:
                mean_query_loss(meta, theta, validation[:1], plan)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{error} (in the meta-validation tasks)") from error
        if path is not None:
            # At once, so that a run killed before its first checkpoint keeps its plan.
            save_run(path, run, plan, optimizer, about)
    return _steps(meta, sample, config, validation, path, about, optimizer, run, plan)


def _steps(
    meta: MetaLearner,
    sample: Sample,
    config: TrainConfig,
    validation: list[Task],
    path: Path | None,
    about: Mapping[str, Any],
    optimizer: torch.optim.Optimizer,
    run: Run,
    plan: Plan,
) -> Iterator[Step]:
    """The loop itself."""
    saved = run.step
    rates = [group["initial_rate"] for group in optimizer.param_groups]
    if _is_finished(run, config):
        yield _step_of(run, plan, has_validation=bool(validation))
    try:
        while not _is_finished(run, config):
            tasks = draw(sample, config, "train", run.step)
            gradients, query_losses = sum_gradients(meta.objective, run.theta, tasks, plan)
            gradient_norm = set_gradients(run.theta, gradients, len(query_losses), config.clip_norm)
            _stop_if_not_finite(run.step, config, query_losses, gradient_norm)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * rate_factor(config, run.step)
            optimizer.step()
            run.losses.append((float(query_losses.double().mean()), gradient_norm))
            run = run._replace(step=run.step + 1)
            if validation and (run.step % config.validate_every == 0 or run.step == config.steps):
                run = _validated(run, mean_query_loss(meta, run.theta, validation, plan))
            if not validation:
                run = run._replace(best_theta=run.theta, best_step=run.step)
            if path is not None and (run.step % config.checkpoint_every == 0 or _is_finished(run, config)):
                save_run(path, run, plan, optimizer, about)
                saved = run.step
            yield _step_of(run, plan, has_validation=bool(validation))
    except GeneratorExit:
        # The caller has had enough: between two steps everything is whole, so nothing need be lost.
        if path is not None and run.step > saved:
            save_run(path, run, plan, optimizer, about)
        raise


def last(steps: Iterator[Step], *, total: int | None = None, label: str = "meta-training") -> Step:
    """Run to the end behind a progress bar (silent when not a terminal) and return the last step.

    Parameters
    ----------
    steps : iterator of Step
        From :func:`meta_train`.
    total : int, optional
        Outer steps, for the bar.
    label : str
        What the bar says.

    Raises
    ------
    ValueError
        When there was no step.

    """
    step = None
    with tqdm(total=total, desc=label, unit="step", disable=None, mininterval=0.5) as bar:
        for step in steps:
            bar.update(step.step - bar.n)
            if step.step % 20 == 0:
                bar.set_postfix_str(f"query loss {step.info.loss:.4g}", refresh=False)
    if step is None:
        raise ValueError("there should be at least one step; the iterator was used up; call meta_train again")
    return step


def draw(sample: Sample, config: TrainConfig, *address: str | int) -> Task:
    """The checked meta-batch at an address, such as ``("train", step)``, in the run's dtype.

    Raises
    ------
    TypeError, ValueError
        When the task distribution gives what it should not, with the address.

    """
    try:
        return checked_tasks(
            sample, generator_of(config.seed, *address), config.meta_batch, getattr(torch, config.dtype)
        )
    except (TypeError, ValueError) as error:
        place = f"in the meta-batch {'/'.join(map(str, address))} of seed {config.seed}"
        raise type(error)(f"{error} ({place})") from error


def mean_query_loss(meta: MetaLearner, theta: Tree, batches: list[Task], plan: Plan) -> float:
    """The mean query loss over the tasks of some batches."""
    losses = [
        map_tasks(lambda theta, task: meta.objective(theta, task)[1], theta, batch, plan).double() for batch in batches
    ]
    return float(torch.cat(losses).mean())


def _validation_batches(validate: Sample, config: TrainConfig) -> Iterator[Task]:
    # Drawn batch by batch, so that they show as many shapes as meta-training does.
    for batch in range(math.ceil(config.validate_tasks / config.meta_batch)):
        yield draw(validate, config, "validate", batch)


def _validated(run: Run, loss: float) -> Run:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the query loss on meta-validation is not finite after step {run.step}; "
            "lower inner_lr or outer_lr, take fewer inner steps, or scale the data"
        )
    is_best = all(loss < before for _, before in run.validations)
    run = run._replace(validations=[*run.validations, (run.step, loss)])
    return run._replace(best_theta=_copy(run.theta), best_step=run.step) if is_best else run


def _is_finished(run: Run, config: TrainConfig) -> bool:
    since_best = sum(step > run.best_step for step, _ in run.validations)
    return run.step >= config.steps or bool(config.patience and since_best >= config.patience)


def _step_of(run: Run, plan: Plan, *, has_validation: bool) -> Step:
    loss, gradient_norm = run.losses[-1]
    validated = bool(run.validations) and run.validations[-1][0] == run.step
    info = Info(
        loss=loss,
        gradient_norm=gradient_norm,
        validation=run.validations[-1][1] if validated else None,
        best_theta=_copy(run.best_theta if has_validation else run.theta),
        best_step=run.best_step,
        plan=plan,
    )
    return Step(run.step, _copy(run.theta), info)


def _refuse_unused(gradients: Gradients) -> None:
    unused = [name for name, gradient in gradients.items() if gradient is None]
    if unused:
        raise ValueError(
            f"the objective does not depend on {unused} of theta, so they would never be learned; build the "
            "learner without them, or name them in frozen (a k-means prior is learned by MAML with inner='refine')"
        )
    still = [name for name, gradient in gradients.items() if gradient is not None and not bool(gradient.any())]
    if still:
        warnings.warn(
            f"the first gradient of {still} of theta is exactly 0, so they may never be learned; "
            "units may be dead at the start; Reptile learns no log_lambda and no leaf outside 'adapted'",
            stacklevel=3,
        )


def _stop_if_not_finite(step: int, config: TrainConfig, query_losses: Tensor, gradient_norm: float) -> None:
    bad = (~torch.isfinite(query_losses)).nonzero().flatten().tolist()
    if not bad and math.isfinite(gradient_norm):
        return
    what = f"the query loss of task {bad[0]}" if bad else "the outer gradient"
    raise FloatingPointError(
        f"{what} is not finite at step {step}; its meta-batch was drawn with seed "
        f"{seed_of(config.seed, 'train', step)} (see firstsight.draw with address 'train', {step}); "
        "lower inner_lr or outer_lr, take fewer inner steps, scale the data, or check that class numbers "
        "lie from 0 to one below the number of outputs"
    )


def _plain(about: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(about or {}), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(f"about should hold what JSON can say: numbers, text, lists, dicts; {error}") from error
    return plain


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotADirectoryError(
            f"directory={str(folder)!r} should be a folder that can be written; {error.strerror}; pass another"
        ) from error


def _copy(tree: Tree) -> Tree:
    return tree_map(lambda leaf: leaf.detach().clone(), tree)

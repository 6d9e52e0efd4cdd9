"""What a run of meta-training carries from step to step, written to a checkpoint and read back."""

import dataclasses
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from firstsight import __version__
from firstsight.core import Tree
from firstsight.engine.checkpoint import CheckpointError, read_checkpoint, refuse_difference, write_checkpoint
from firstsight.engine.config import Plan
from firstsight.trees import named_leaves, replace_leaves, tree_map


class Run(NamedTuple):
    """All that the next step needs, but for the optimiser's own state."""

    step: int
    theta: Tree
    best_theta: Tree
    best_step: int
    losses: list[tuple[float, float]]  # (mean query loss, gradient norm) of every step; grows in place
    validations: list[tuple[int, float]]  # (step, mean query loss)


def save_run(path: Path, run: Run, plan: Plan, optimizer: torch.optim.Optimizer, about: Mapping[str, Any]) -> None:
    """Write the run, its plan, the optimiser's state and what the run is made of."""
    state = optimizer.state_dict()
    tensors = {f"theta.{name}": leaf for name, leaf in named_leaves(run.theta)}
    tensors |= {f"best.{name}": leaf for name, leaf in named_leaves(run.best_theta)}
    tensors["losses"] = torch.tensor(run.losses, dtype=torch.float64).reshape(-1, 2)
    tensors["validations"] = torch.tensor(run.validations, dtype=torch.float64).reshape(-1, 2)
    numbers: dict[str, Any] = {}
    for leaf, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{leaf}.{name}"] = value
            else:
                numbers[f"{leaf}.{name}"] = value
    facts = {
        "version": __version__,
        "torch": torch.__version__,
        "about": about,
        "plan": dataclasses.asdict(plan),
        "step": run.step,
        "best_step": run.best_step,
        "optimizer": {"numbers": numbers, "groups": state["param_groups"], "kind": type(optimizer).__name__},
    }
    write_checkpoint(path, tensors, facts)


def resume_run(path: Path, theta: Tree, optimizer: torch.optim.Optimizer, about: Mapping[str, Any]) -> tuple[Run, Plan]:
    """The run and plan of a checkpoint; fills theta's leaves and the optimiser's state in place."""
    tensors, facts = read_checkpoint(path)
    if "plan" not in facts:
        raise CheckpointError(f"{path} holds no run of meta-training; start in another folder")
    for name in about:
        refuse_difference(path, name, facts["about"].get(name), about[name])
    refuse_difference(path, "optimizer", facts["optimizer"]["kind"], type(optimizer).__name__)
    ours = [_without_rate(group) for group in optimizer.state_dict()["param_groups"]]
    refuse_difference(path, "optimizer", [_without_rate(group) for group in facts["optimizer"]["groups"]], ours)
    if facts["torch"] != torch.__version__:
        warnings.warn(
            f"{path} was made with torch {facts['torch']}, this is {torch.__version__}; "
            "the run goes on, but may differ in the last bits from an unbroken one",
            stacklevel=3,
        )
    try:
        stored = replace_leaves(theta, _below("theta.", tensors))
        best = replace_leaves(theta, _below("best.", tensors))
    except ValueError as error:
        raise CheckpointError(f"{path} belongs to another meta-learner: {error}; start in another folder") from error
    with torch.no_grad():
        tree_map(lambda leaf, value: leaf.copy_(value), theta, stored)
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**_below("optimizer.", tensors), **facts["optimizer"]["numbers"]}.items():
        leaf, entry = name.split(".", 1)
        state.setdefault(int(leaf), {})[entry] = value
    optimizer.load_state_dict({"state": state, "param_groups": facts["optimizer"]["groups"]})
    losses = [(float(loss), float(size)) for loss, size in tensors["losses"]]
    validations = [(int(step), float(loss)) for step, loss in tensors["validations"]]
    run = Run(facts["step"], theta, best, facts["best_step"], losses, validations)
    return run, Plan(**facts["plan"])


def _without_rate(group: dict[str, Any]) -> dict[str, Any]:
    """A parameter group but for the rate, which the schedule changes."""
    return {name: value for name, value in group.items() if name != "lr"}


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): leaf for name, leaf in tensors.items() if name.startswith(prefix)}


def read_theta(path: Path, theta: Tree) -> Tree:
    """The best theta that a run of meta-training has found so far.

    Parameters
    ----------
    path : Path
        Of the run's checkpoint.
    theta : Tree
        Any theta of the same meta-learner, as its ``init`` gives it; tells the shape.

    Returns
    -------
    Tree
        Shaped like ``theta``.

    Raises
    ------
    FileNotFoundError, CheckpointError
        When there is no whole checkpoint of this meta-learner.

    """
    tensors, _ = read_checkpoint(path)
    best = {name: tensors[f"best.{name}"] for name, _ in named_leaves(theta) if f"best.{name}" in tensors}
    if wrong := [name for name, leaf in named_leaves(theta) if name not in best or best[name].shape != leaf.shape]:
        raise CheckpointError(f"{path} should hold {wrong} of this meta-learner's shape; it belongs to another")
    return replace_leaves(theta, best)

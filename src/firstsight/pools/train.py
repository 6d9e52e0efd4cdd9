"""Train an encoder on a pool, step by step, with checkpoints from which it goes on to the bit.

Every random draw has an address of its own (see :mod:`firstsight.seeds`), so a step needs nothing but its number, the
nets, the optimiser's state and the memory, all of which are in the checkpoint.
"""

import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from firstsight import __version__
from firstsight.checks import check_choice, check_number
from firstsight.engine.checkpoint import CheckpointError, read_checkpoint, refuse_difference, write_checkpoint
from firstsight.pools import neighbours
from firstsight.pools.neighbours import Augment, Memory, Nets
from firstsight.seeds import generator_of
from firstsight.tensor_checks import check_finite, check_rows

CHECKPOINT = "checkpoint.safetensors"
WARM_UP = 100  # steps over which the rate rises


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of the training.

    Parameters
    ----------
    steps : int
        Optimiser steps, >= 1.
    batch : int
        Rows a step, >= 2 and at most the pool and the queue.
    lr : float
        Highest rate of AdamW, > 0; it rises over 100 steps and falls as a cosine to 0.
    weight_decay : float
        >= 0.
    dtype : {"float32", "bfloat16"}
        Of convolutions and products. bfloat16 (autocast) is the faster one on processors with AVX512 or AMX, and seven
        times slower on those without.
    checkpoint_every : int
        Steps between two checkpoints, >= 1; changes no result.
    seed : int
        Of all draws, >= 0.

    """

    steps: int = 4000
    batch: int = 128
    lr: float = 2e-3
    weight_decay: float = 1e-2
    dtype: str = "float32"
    checkpoint_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "checkpoint_every"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        check_number("batch", self.batch, at_least=2, integer=True)
        check_number("lr", self.lr, above=0)
        check_number("weight_decay", self.weight_decay, at_least=0)
        check_choice("dtype", self.dtype, ("float32", "bfloat16"))
        check_number("seed", self.seed, at_least=0, integer=True)


class PoolStep(NamedTuple):
    """One step: its number from 1, the nets after it (the same objects at every step), and what to watch.

    Parameters
    ----------
    step : int
        From 1.
    nets : Nets
        Trained in place from step to step; copy them to keep them.
    memory : Memory
        After the step.
    loss : float
        In nats.

    """

    step: int
    nets: Nets
    memory: Memory
    loss: float


def train_pool(
    nets: Nets,
    X: Tensor,
    augment: Augment,
    objective: neighbours.Config,
    config: TrainConfig,
    *,
    directory: Path | str | None = None,
    about: Mapping[str, Any] | None = None,
) -> Iterator[PoolStep]:
    """Train copies of some nets on a pool, yielding every step.

    Parameters
    ----------
    nets : Nets
        With their starting values; they are copied and not changed.
    X : Tensor of shape (n_rows, ...)
        The pool. It has no labels.
    augment : callable
        ``(generator, rows) -> rows``, changed at random.
    objective : neighbours.Config
        What is optimised.
    config : TrainConfig
        How.
    directory : path, optional
        Where the checkpoint goes. If it holds one, the run goes on from there; a finished one gives its last step.
    about : mapping, optional
        Anything JSON can say; resuming with another ``about``, or other settings, is refused.

    Yields
    ------
    PoolStep

    Raises
    ------
    TypeError, ValueError
        At the call, when an argument is not what it should be.
    FloatingPointError
        At the step whose loss is not finite.
    CheckpointError
        When the checkpoint is damaged or belongs to other settings.

    """
    check_rows("X", X, at_least=config.batch)
    check_finite("X", X)
    if config.batch > objective.n_queue:
        raise ValueError(f"batch={config.batch} should be <= n_queue={objective.n_queue}; raise n_queue")
    path = None if directory is None else Path(directory) / CHECKPOINT
    settings = {
        "about": dict(about or {}),
        "training": {**dataclasses.asdict(config), "checkpoint_every": 0},
        "objective": dataclasses.asdict(objective),
        "pool": list(X.shape),
        "threads": torch.get_num_threads(),  # the order of sums, and so the last bit, depends on it
    }
    run = _start(nets, X, objective, config)
    if path is not None and path.exists():
        run = _resumed(path, run, settings)
    return _steps(run, X, augment, objective, config, path, settings)


def last(steps: Iterator[PoolStep], *, total: int, label: str = "pool") -> PoolStep:
    """Run to the end behind a progress bar (silent when not a terminal) and return the last step."""
    step = None
    with tqdm(total=total, desc=label, unit="step", disable=None, mininterval=0.5) as bar:
        for step in steps:
            bar.update(step.step - bar.n)
            bar.set_postfix_str(f"loss {step.loss:.3f}", refresh=False)
    if step is None:
        raise ValueError("there should be at least one step; the iterator was used up; call train_pool again")
    return step


class _Run(NamedTuple):
    step: int
    fast: nn.ModuleDict
    slow: nn.ModuleDict
    optimizer: torch.optim.Optimizer
    memory: Memory
    loss: float


def _start(nets: Nets, X: Tensor, objective: neighbours.Config, config: TrainConfig) -> _Run:
    fast = nn.ModuleDict({name: copy.deepcopy(net) for name, net in nets._asdict().items()}).train()
    slow = nn.ModuleDict({name: copy.deepcopy(fast[name]) for name in ("encoder", "projector")})
    slow.requires_grad_(False)
    optimizer = torch.optim.AdamW(fast.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    with torch.no_grad():
        width = slow["projector"].eval()(neighbours.embed(slow["encoder"], X[:2])).shape[1]
    slow.train()
    memory = neighbours.empty(generator_of(config.seed, "queue"), objective, n_rows=len(X), n_outputs=width)
    return _Run(0, fast, slow, optimizer, memory, math.nan)


def _steps(
    run: _Run,
    X: Tensor,
    augment: Augment,
    objective: neighbours.Config,
    config: TrainConfig,
    path: Path | None,
    settings: dict[str, Any],
) -> Iterator[PoolStep]:
    nets = Nets(*(run.fast[name] for name in Nets._fields))
    if run.step >= config.steps:
        yield PoolStep(run.step, nets, run.memory, run.loss)
    while run.step < config.steps:
        run = _one(run, X, augment, objective, config)
        if not math.isfinite(run.loss):
            raise FloatingPointError(f"the loss of step {run.step} is {run.loss}; lower lr={config.lr}")
        if path is not None and (run.step % config.checkpoint_every == 0 or run.step == config.steps):
            _save(path, run, settings)
        yield PoolStep(run.step, nets, run.memory, run.loss)


def _one(run: _Run, X: Tensor, augment: Augment, objective: neighbours.Config, config: TrainConfig) -> _Run:
    step, fast, slow, memory = run.step, run.fast, run.slow, run.memory
    since = step - objective.neighbours_from
    if since >= 0 and since % objective.renew_every == 0:
        memory = neighbours.renewed(generator_of(config.seed, "cells", step), memory, slow["encoder"], X, objective)
    rows = _batch(len(X), config, step)
    generator = generator_of(config.seed, "step", step)
    paired = neighbours.choose_partners(generator, rows, memory.partners, objective.own)
    views = augment(generator, X[torch.cat([rows, paired])])
    neighbours.follow(slow["encoder"], fast["encoder"], objective.momentum)
    neighbours.follow(slow["projector"], fast["projector"], objective.momentum)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.dtype == "bfloat16"):
        with torch.no_grad():
            keys = slow["projector"](slow["encoder"](views[len(rows) :]))
        queries = fast["predictor"](fast["projector"](fast["encoder"](views[: len(rows)])))
    keys, queries = (functional.normalize(part.float(), dim=1) for part in (keys, queries))
    loss = neighbours.contrast(queries, keys, rows, paired, memory, objective.temperature)
    for group in run.optimizer.param_groups:
        group["lr"] = config.lr * min(1, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * step / config.steps)) / 2
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    run.optimizer.step()
    memory = neighbours.enqueue(memory, keys, paired, step)
    return run._replace(step=step + 1, memory=memory, loss=float(loss.detach()))


def _batch(n_rows: int, config: TrainConfig, step: int) -> Tensor:
    """Rows of a step: the pool in a new order every epoch, what is left over at its end left out."""
    epoch, place = divmod(step, n_rows // config.batch)
    order = torch.randperm(n_rows, generator=generator_of(config.seed, "order", epoch))
    return order[place * config.batch : (place + 1) * config.batch]


def _tensors(run: _Run) -> dict[str, Tensor]:
    tensors = {f"fast.{name}": value for name, value in run.fast.state_dict().items()}
    tensors |= {f"slow.{name}": value for name, value in run.slow.state_dict().items()}
    return tensors | {f"memory.{name}": value for name, value in run.memory._asdict().items()}


def _save(path: Path, run: _Run, settings: dict[str, Any]) -> None:
    tensors = _tensors(run)
    for number, entries in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in entries.items()}
    facts = {"version": __version__, "kind": "pool", "step": run.step, "loss": run.loss, "settings": settings}
    write_checkpoint(path, tensors, facts)


def _resumed(path: Path, run: _Run, settings: dict[str, Any]) -> _Run:
    tensors, facts = read_checkpoint(path)
    if facts.get("kind") != "pool":
        raise CheckpointError(f"{path} holds no training on a pool; start in another folder")
    refuse_difference(path, "settings", facts["settings"], settings)
    shapes = {name: value.shape for name, value in _tensors(run).items()}
    if wrong := [name for name, shape in shapes.items() if name not in tensors or tensors[name].shape != shape]:
        raise CheckpointError(f"{path} belongs to other nets: {wrong[0]} differs; start in another folder")
    for part in ("fast", "slow"):
        module: nn.Module = getattr(run, part)
        module.load_state_dict({name: tensors[f"{part}.{name}"] for name in module.state_dict()})
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            number, entry = name.removeprefix("optimizer.").split(".")
            state.setdefault(int(number), {})[entry] = value
    groups = run.optimizer.state_dict()["param_groups"]
    run.optimizer.load_state_dict({"state": state, "param_groups": groups})
    memory = Memory(*(tensors[f"memory.{name}"] for name in Memory._fields))
    return run._replace(step=facts["step"], memory=memory, loss=facts["loss"])

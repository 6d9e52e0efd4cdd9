"""The outer step: the optimiser, its rate, and the clipped mean gradient."""

import inspect
import math
from collections.abc import Callable

import torch
from torch import Tensor

from firstsight.core import Tree
from firstsight.engine.config import TrainConfig
from firstsight.engine.execute import Gradients
from firstsight.trees import named_leaves, norm

MakeOptimizer = Callable[[list[Tensor]], torch.optim.Optimizer]


def make_outer(
    parameters: list[Tensor], config: TrainConfig, make_optimizer: MakeOptimizer | None
) -> torch.optim.Optimizer:
    """The outer optimiser over these leaves, its groups holding their ``initial_rate``.

    Raises
    ------
    TypeError, ValueError
        When it cannot be made, or takes more than one gradient a step.

    """
    if make_optimizer is not None:
        if not callable(make_optimizer):
            raise TypeError(f"make_optimizer should be a function of a list of leaves; found {make_optimizer!r}")
        optimizer = make_optimizer(parameters)
        if not isinstance(optimizer, torch.optim.Optimizer) or isinstance(optimizer, torch.optim.LBFGS):
            raise TypeError(
                "make_optimizer should return a torch.optim.Optimizer that takes one gradient a step; "
                f"found {type(optimizer).__name__}"
            )
    else:
        optimizer = _named_optimizer(parameters, config)
    for group in optimizer.param_groups:
        group["initial_rate"] = group["lr"]
    return optimizer


def _named_optimizer(parameters: list[Tensor], config: TrainConfig) -> torch.optim.Optimizer:
    kind = getattr(torch.optim, config.optimizer, None)
    accepted = inspect.signature(kind).parameters if isinstance(kind, type) else {}
    if kind is None or not {"lr", "weight_decay"} <= accepted.keys() or kind is torch.optim.LBFGS:
        raise ValueError(
            f"optimizer={config.optimizer!r} should name an optimiser of torch.optim that takes one gradient "
            "a step, a rate and a weight decay, such as 'Adam' or 'SGD'; pass others as make_optimizer"
        )
    made: torch.optim.Optimizer = kind(parameters, lr=config.outer_lr, weight_decay=config.weight_decay)
    return made


def rate_factor(config: TrainConfig, step: int) -> float:
    """The factor on the outer rate."""
    return 1.0 if config.schedule == "constant" else 0.5 * (1 + math.cos(math.pi * step / config.steps))


def set_gradients(theta: Tree, gradients: Gradients, count: int, clip_norm: float) -> float:
    """Put the mean gradient of a batch, clipped, where the optimiser looks for it; its norm before clipping."""
    means = {name: None if gradient is None else gradient / count for name, gradient in gradients.items()}
    total = float(norm([mean for mean in means.values() if mean is not None]))
    scale = clip_norm / total if 0 < clip_norm < total else 1.0
    for name, leaf in named_leaves(theta):
        mean = means.get(name)
        leaf.grad = None if mean is None else mean * scale
    return total

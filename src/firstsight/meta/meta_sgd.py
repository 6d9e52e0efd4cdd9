"""Meta-SGD: MAML that learns its inner rates together with the start.

Li, Zhou, Chen, Li 2017 (arXiv:1707.09835). theta = (params, rates);

    phi = params - rates * grad L(params; support), repeated        min over theta of  L'(phi; query).

A rate belongs to every entry of every leaf, as in the paper, or to every leaf. Rates may become
negative or zero: the direction of a step is learned as well as its length.

Differs from the paper: all rates start at ``inner_lr`` and not at random in [0.005, 0.1], and there
may be several inner steps, which share their rates.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from firstsight.checks import check_choice, check_flag, check_number
from firstsight.core import Data, Learner, Loss, MetaLearner, Tree
from firstsight.meta.inner import gradient_steps, predict, query_objective, settled
from firstsight.trees import tree_map


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of Meta-SGD.

    Parameters
    ----------
    inner_lr : float
        Every rate at the start, > 0.
    inner_steps : int
        Number of inner steps, >= 0.
    rates : {"element", "leaf"}
        A rate for every number, or one for every leaf.
    first_order : bool
        Whether to treat the inner gradients as constants; the rates are learned either way.

    """

    inner_lr: float = 0.01
    inner_steps: int = 1
    rates: Literal["element", "leaf"] = "element"
    first_order: bool = False

    def __post_init__(self) -> None:
        check_number("inner_lr", self.inner_lr, above=0)
        check_number("inner_steps", self.inner_steps, at_least=0, integer=True)
        check_flag("first_order", self.first_order)
        check_choice("rates", self.rates, ["element", "leaf"])


def init(generator: torch.Generator, *, learner: Learner, config: Config) -> Tree:
    """The learner's parameters and their rates: ``{"params": ..., "rates": ...}``."""
    params = learner.init(generator)
    shaped = torch.ones_like if config.rates == "element" else _one
    return {"params": params, "rates": tree_map(lambda leaf: config.inner_lr * shaped(leaf), params)}


def adapt(theta: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The learner's parameters after the inner steps, differentiable in params and rates."""
    params = gradient_steps(
        theta["params"],
        support,
        loss=learner.loss,
        rates=theta["rates"],
        n_steps=config.inner_steps,
        first_order=config.first_order,
    )
    return settled(params, support, learner=learner)


def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """Meta-SGD over this learner.

    Parameters
    ----------
    config : Config
        Settings.
    learner : Learner
        The inner model.
    outer_loss : callable, optional
        ``(params, data) -> Tensor of shape ()`` on the query; the learner's own loss by default.

    """
    bound_adapt = partial(adapt, learner=learner, config=config)
    return MetaLearner(
        init=partial(init, learner=learner, config=config),
        adapt=bound_adapt,
        predict=partial(predict, learner=learner),
        objective=partial(query_objective, adapt=bound_adapt, outer_loss=outer_loss or learner.loss),
    )


def _one(leaf: Tensor) -> Tensor:
    return torch.ones((), dtype=leaf.dtype)

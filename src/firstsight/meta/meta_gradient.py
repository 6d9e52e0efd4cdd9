"""Meta-gradient: the strategy of the inner loop is learned together with the start.

theta = (params, strategy). Inner step k moves leaf l by

    scale = (1 + (||g_l|| / clip_kl)^4)^(-1/4),    m_l <- momentum_kl m_l + scale g_l,    w_l <- w_l - rate_kl m_l,

with g_l the gradient of the support loss. The strategy holds log rates, momenta and log clips for every step and leaf;
with ``conditioned=True`` three features, which every task and learner has, correct them before every step,

    asinh(support loss),    log(||g_l|| / ||w_l||),    log(1 + number of rows),

by weights of the leaf, so the rate follows a power law of what is seen: Polyak's step (1987), a step of constant
length, or caution on few rows are among them. The features' weights start at 0, the rates at ``inner_lr``, the momenta
at 0 and the clips wide: at the start this is MAML. Rates and momenta as in Meta-SGD (Li et al. 2017, arXiv:1707.09835)
and MAML++ (Antoniou et al. 2019, arXiv:1810.09502); a strategy that looks at gradients and weights as in ALFA
(Baik et al. 2020, arXiv:2011.00209).

Differs from the papers: ALFA's net is one for all leaves and gives rates and decay of weights; here a leaf has its own
linear rule, and momentum and clipping are learned too. asinh stands for the log, since a loss may be 0 or negative.
The clip is smooth: at ||g|| = clip the norm that is left is 0.84 clip, where torch's clip_grad_norm_ leaves all of it;
a quarter of the clip or four times it, and the two agree to 0.1 %.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from firstsight.checks import check_flag, check_number
from firstsight.core import Data, Learner, Loss, MetaLearner, Tree
from firstsight.meta.inner import predict, query_objective, settled
from firstsight.trees import detach, named_leaves, replace_leaves

FEATURES = ("loss", "relative gradient", "rows")

_SHARPNESS = 4  # of the clip
_CORRECTION = math.log(100.0)  # the most by which features change a log rate or a log clip
_SMALLEST, _LARGEST = 1e-12, 1e30  # squared norms


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the meta-gradient.

    Parameters
    ----------
    inner_lr : float
        Every rate at the start, > 0.
    inner_steps : int
        Number of inner steps, >= 1; the strategy is of so many. Momentum is learned from the second on.
    clip : float
        Norm of a leaf's gradient that is clipped, at the start, > 0; should be well above those that occur.
    conditioned : bool
        Whether features of the task correct the strategy.
    first_order : bool
        Whether to treat the inner gradients and the features as constants; the strategy is learned either way.

    """

    inner_lr: float = 0.01
    inner_steps: int = 5
    clip: float = 100.0
    conditioned: bool = True
    first_order: bool = False

    def __post_init__(self) -> None:
        check_number("inner_lr", self.inner_lr, above=0)
        check_number("inner_steps", self.inner_steps, at_least=1, integer=True)
        check_number("clip", self.clip, above=0)
        check_flag("conditioned", self.conditioned)
        check_flag("first_order", self.first_order)


class Controls(NamedTuple):
    """What one inner step does to every leaf, in the order of :func:`firstsight.trees.named_leaves`.

    Parameters
    ----------
    rate : Tensor of shape (n_leaves,)
        Step length, > 0.
    momentum : Tensor of shape (n_leaves,)
        Share of the last step that is kept, between -1 and 1.
    log_clip : Tensor of shape (n_leaves,)
        Log of the norm to which gradients are clipped.

    """

    rate: Tensor
    momentum: Tensor
    log_clip: Tensor


def init(generator: torch.Generator, *, learner: Learner, config: Config) -> Tree:
    """The learner's parameters and a strategy that is plain gradient descent: ``{"params": ..., "strategy": ...}``."""
    params = learner.init(generator)
    table = torch.zeros(config.inner_steps, len(list(named_leaves(params))))
    strategy = {
        "log_rate": table + math.log(config.inner_lr),
        "momentum": table.clone(),
        "log_clip": table + math.log(config.clip),
    }
    if config.conditioned:
        strategy["weights"] = torch.zeros(table.shape[1], len(FEATURES), len(Controls._fields))
    return {"params": params, "strategy": strategy}


def log_norms(tree: Tree) -> Tensor:
    """Log of the Euclidean norm of every leaf, of shape (n_leaves,); finite where the norm is 0 or overflows."""
    squared = torch.stack([(leaf**2).sum() for _, leaf in named_leaves(tree)])
    return 0.5 * (squared.clamp(max=_LARGEST) + _SMALLEST).log()


def features(params: Tree, log_gradients: Tensor, loss: Tensor, n_rows: int) -> Tensor:
    """What is seen before an inner step, of shape (n_leaves, n_features), in the order of ``FEATURES``.

    Parameters
    ----------
    params : Tree
        Before the step.
    log_gradients : Tensor of shape (n_leaves,)
        Log norms of the gradients.
    loss : Tensor of shape ()
        On the support.
    n_rows : int
        Of the support.

    """
    relative = log_gradients - log_norms(params)
    rows = torch.full_like(relative, math.log1p(n_rows))
    return torch.stack([loss.asinh().expand_as(relative), relative, rows], dim=1)


def controls(strategy: Tree, step: int, seen: Tensor) -> Controls:
    """What the strategy does in a step.

    Parameters
    ----------
    strategy : Tree
        ``theta["strategy"]``.
    step : int
        Number of the inner step, from 0.
    seen : Tensor of shape (n_leaves, n_features)
        From :func:`features`; of no account without weights.

    """
    log_rate, momentum, log_clip = (strategy[name][step] for name in ("log_rate", "momentum", "log_clip"))
    if "weights" in strategy:
        correction = (seen[:, :, None] * strategy["weights"]).sum(1)
        bounded = _CORRECTION * torch.tanh(correction / _CORRECTION)
        log_rate, momentum, log_clip = log_rate + bounded[:, 0], momentum + bounded[:, 1], log_clip + bounded[:, 2]
    return Controls(log_rate.exp(), momentum.tanh(), log_clip)


def clip_scale(log_norm: Tensor, log_clip: Tensor) -> Tensor:
    """(1 + (norm / clip)^4)^(-1/4) for every leaf, from logs and so without overflow."""
    return (-functional.softplus(_SHARPNESS * (log_norm - log_clip)) / _SHARPNESS).exp()


def adapt(theta: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The learner's parameters after the inner steps, differentiable in params and strategy."""
    params = theta["params"]
    velocity = [torch.zeros_like(leaf) for _, leaf in named_leaves(params)]
    for step in range(config.inner_steps):
        point = detach(params) if config.first_order else params
        gradients, loss = torch.func.grad_and_value(learner.loss)(point, support)
        log_gradients = log_norms(gradients)
        seen = features(point, log_gradients, loss, support.X.shape[0])
        rate, momentum, log_clip = controls(theta["strategy"], step, seen)
        scale = clip_scale(log_gradients, log_clip)
        moved = {}
        for i, ((name, leaf), (_, gradient)) in enumerate(
            zip(named_leaves(params), named_leaves(gradients), strict=True)
        ):
            velocity[i] = momentum[i] * velocity[i] + scale[i] * gradient
            moved[name] = leaf - rate[i] * velocity[i]
        params = replace_leaves(params, moved)
    return settled(params, support, learner=learner)


def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """The meta-gradient over this learner.

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

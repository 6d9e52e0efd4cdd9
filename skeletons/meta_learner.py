"""A meta-learner to copy: MAML with multi-step loss.

What, the formula, and where it is from (Antoniou, Edwards, Storkey 2019, arXiv:1810.09502, section 4):
the outer loss is the mean of the query losses after each inner step, which steadies training,

    min over theta of  1/K sum_k L'(phi_k; query),    phi_k = phi_{k-1} - alpha grad L(phi_{k-1}; support).

Differs from the paper: the steps keep equal weights instead of moving to the last one.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from firstsight.checks import check_number
from firstsight.core import Data, Learner, Loss, MetaLearner, Task, Tree
from firstsight.meta.inner import gradient_steps, predict, settled


# 1. Settings: frozen, keyword-only, each with its unit and range, each checked.
@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of MAML with multi-step loss.

    Parameters
    ----------
    inner_lr : float
        Step length, > 0.
    inner_steps : int
        Number of inner steps, >= 1.

    """

    inner_lr: float = 0.01
    inner_steps: int = 3

    def __post_init__(self) -> None:
        check_number("inner_lr", self.inner_lr, above=0)
        check_number("inner_steps", self.inner_steps, at_least=1, integer=True)


# 2. Pure functions of theta, for one task. The learner is handed in: a meta-learner imports none.
def step(params: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The learner's parameters after one inner step."""
    return gradient_steps(params, support, loss=learner.loss, rates=config.inner_lr, n_steps=1, first_order=False)


def adapt(theta: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The learner's parameters after the inner steps from theta, with the statistics it keeps of the support."""
    params = theta
    for _ in range(config.inner_steps):
        params = step(params, support, learner=learner, config=config)
    return settled(params, support, learner=learner)


def objective(theta: Tree, task: Task, *, learner: Learner, outer_loss: Loss, config: Config) -> tuple[Tensor, Tensor]:
    """The mean query loss over the inner steps to differentiate, and that after the last one to report."""
    params, losses = theta, []
    for _ in range(config.inner_steps):
        params = step(params, task.support, learner=learner, config=config)
        losses.append(outer_loss(settled(params, task.support, learner=learner), task.query))
    return torch.stack(losses).mean(), losses[-1].detach()


# 3. Bind what is handed in with functools.partial, never with a closure: a partial pickles.
def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """MAML with multi-step loss over this learner; by default with its own, unsupervised loss outside too."""
    return MetaLearner(
        init=learner.init,
        adapt=partial(adapt, learner=learner, config=config),
        predict=partial(predict, learner=learner),
        objective=partial(objective, learner=learner, outer_loss=outer_loss or learner.loss, config=config),
    )

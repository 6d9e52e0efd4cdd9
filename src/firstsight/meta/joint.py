"""Joint training: one model for all tasks, fine-tuned on each new one. The baseline of every comparison.

    min over theta of  L'(theta; support and query)        phi = theta after the inner loop on the support.

It sees the same rows, net and budget as a meta-learner, and adapts in the same way; but nothing in
its training knows that it will adapt (multi-task pretraining, Caruana 1997).
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from firstsight.core import Data, Learner, Loss, MetaLearner, Task, Tree
from firstsight.meta.inner import check_learner, check_settings, fit, predict, settled
from firstsight.trees import detach, join_rows


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of joint training and its fine-tuning.

    Parameters
    ----------
    inner : {"gradient", "refine"}
        Fine-tuning by gradient steps, or by the learner's exact steps.
    inner_lr : float
        Step length of the gradient steps, > 0.
    inner_steps : int
        Number of fine-tuning steps on the support of a new task, >= 0.
    adapted : tuple of str
        Names of the leaves or branches that fine-tuning moves; empty for all.

    """

    inner: Literal["gradient", "refine"] = "gradient"
    inner_lr: float = 0.01
    inner_steps: int = 1
    adapted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_settings(self)


def adapt(theta: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The joint parameters after fine-tuning on the support."""
    return settled(fit(theta, support, learner=learner, config=config), support, learner=learner)


def objective(theta: Tree, task: Task, *, learner: Learner, outer_loss: Loss, config: Config) -> tuple[Tensor, Tensor]:
    """The loss of the joint parameters on all rows to differentiate; after fine-tuning, on the query, to report."""
    loss = outer_loss(theta, join_rows(task.support, task.query))
    with torch.no_grad():
        # So that the best theta is chosen for what it will do, as with every other meta-learner.
        query_loss = outer_loss(adapt(detach(theta), task.support, learner=learner, config=config), task.query)
    return loss, query_loss


def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """Joint training of this learner.

    Parameters
    ----------
    config : Config
        Settings.
    learner : Learner
        The inner model.
    outer_loss : callable, optional
        ``(params, data) -> Tensor of shape ()`` on all rows; the learner's own loss by default.

    Raises
    ------
    ValueError
        When the learner cannot run the fine-tuning asked for.

    """
    check_learner(config, learner)
    return MetaLearner(
        init=learner.init,
        adapt=partial(adapt, learner=learner, config=config),
        predict=partial(predict, learner=learner),
        objective=partial(objective, learner=learner, outer_loss=outer_loss or learner.loss, config=config),
    )

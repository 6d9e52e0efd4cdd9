"""Reptile: move theta towards where the inner loop ends, task after task.

Nichol, Achiam, Schulman 2018 (arXiv:1803.02999). theta are the learner's parameters, phi those after
the inner loop on the support. The objective is

    1/2 ||theta - stop(phi)||^2,

whose gradient is exactly theta - phi, so any torch optimiser takes the outer step; plain SGD with
rate epsilon gives the paper's ``theta + epsilon (phi - theta)``. No second derivative, and no query:
the query is only scored, to be reported.

Differs from the paper: full-batch inner steps on the support alone, and no inner optimiser state.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from firstsight.core import Data, Learner, Loss, MetaLearner, Task, Tree
from firstsight.meta.inner import check_learner, check_settings, fit, predict, settled
from firstsight.trees import detach, squared_distance


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of Reptile.

    Parameters
    ----------
    inner : {"gradient", "refine"}
        Gradient steps, or the learner's exact steps.
    inner_lr : float
        Step length of the gradient steps, > 0.
    inner_steps : int
        Number of inner steps, >= 0; with one, theta just follows the mean gradient of the support loss.
    adapted : tuple of str
        Names of the leaves or branches that move in the inner loop; empty for all. The others
        stay where they began.

    """

    inner: Literal["gradient", "refine"] = "gradient"
    inner_lr: float = 0.01
    inner_steps: int = 5
    adapted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_settings(self)


def adapt(theta: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The learner's parameters after the inner loop."""
    return settled(fit(theta, support, learner=learner, config=config), support, learner=learner)


def objective(theta: Tree, task: Task, *, learner: Learner, outer_loss: Loss, config: Config) -> tuple[Tensor, Tensor]:
    """Half the squared distance of theta to the adapted parameters, and the query loss to report."""
    with torch.no_grad():
        params = detach(fit(detach(theta), task.support, learner=learner, config=config))
        query_loss = outer_loss(settled(params, task.support, learner=learner), task.query)
    return 0.5 * squared_distance(theta, params), query_loss


def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """Reptile over this learner.

    Parameters
    ----------
    config : Config
        Settings.
    learner : Learner
        The inner model.
    outer_loss : callable, optional
        ``(params, data) -> Tensor of shape ()`` on the query, only reported; the learner's own loss
        by default.

    Raises
    ------
    ValueError
        When the learner cannot run the inner loop asked for.

    """
    check_learner(config, learner)
    return MetaLearner(
        init=learner.init,
        adapt=partial(adapt, learner=learner, config=config),
        predict=partial(predict, learner=learner),
        objective=partial(objective, learner=learner, outer_loss=outer_loss or learner.loss, config=config),
    )

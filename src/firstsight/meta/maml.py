"""MAML: the start from which a few inner steps on the support serve the query best.

Finn, Abbeel, Levine 2017 (arXiv:1703.03400). theta are the learner's parameters;

    phi = theta - alpha grad L(theta; support), repeated        min over theta of  L'(phi; query),

differentiated through the inner steps (second order), or taking the inner gradients as constants
(first order). ``adapted`` chooses which leaves move: the head alone gives ANIL (Raghu et al. 2019,
arXiv:1909.09157).

Differs from the paper: the inner loop may be the learner's exact step (Lloyd, EM) with theta as
its prior, and the outer loss L' is handed in; by default it is the learner's own, unsupervised loss.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from firstsight.checks import check_flag
from firstsight.core import Data, Learner, Loss, MetaLearner, Tree
from firstsight.meta.inner import check_learner, check_settings, fit, predict, query_objective, settled


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of MAML.

    Parameters
    ----------
    inner : {"gradient", "refine"}
        Gradient steps, or the learner's exact steps.
    inner_lr : float
        Step length of the gradient steps, > 0.
    inner_steps : int
        Number of inner steps, >= 0.
    first_order : bool
        Whether to treat the inner gradients as constants: cheaper, a little less exact.
    adapted : tuple of str
        Names of the leaves or branches that move in the inner loop; empty for all.

    """

    inner: Literal["gradient", "refine"] = "gradient"
    inner_lr: float = 0.01
    inner_steps: int = 1
    first_order: bool = False
    adapted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_settings(self)
        check_flag("first_order", self.first_order)


def adapt(theta: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The learner's parameters after the inner loop, differentiable in theta."""
    params = fit(theta, support, learner=learner, config=config, first_order=config.first_order)
    return settled(params, support, learner=learner)


def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """MAML over this learner.

    Parameters
    ----------
    config : Config
        Settings.
    learner : Learner
        The inner model.
    outer_loss : callable, optional
        ``(params, data) -> Tensor of shape ()`` on the query; the learner's own loss by default.

    Raises
    ------
    ValueError
        When the learner cannot run the inner loop asked for.

    """
    check_learner(config, learner)
    bound_adapt = partial(adapt, learner=learner, config=config)
    return MetaLearner(
        init=learner.init,
        adapt=bound_adapt,
        predict=partial(predict, learner=learner),
        objective=partial(query_objective, adapt=bound_adapt, outer_loss=outer_loss or learner.loss),
    )

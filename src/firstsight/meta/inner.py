"""What meta-learners share: the inner loop (a few gradient steps, or a few exact steps of the learner),
the predictions of an adapted learner, and the outer loss on the query.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import torch
from torch import Tensor

from firstsight.checks import check_choice, check_names, check_number
from firstsight.core import Data, Learner, Loss, Task, Tree
from firstsight.trees import check_branches, detach, is_below, named_leaves, replace_leaves


class InnerLoop(Protocol):
    """The settings of an inner loop, as the Configs of the meta-learners hold them."""

    @property
    def inner(self) -> Literal["gradient", "refine"]:
        """Gradient steps, or the learner's exact steps."""

    @property
    def inner_lr(self) -> float:
        """Step length of the gradient steps."""

    @property
    def inner_steps(self) -> int:
        """Number of inner steps."""

    @property
    def adapted(self) -> tuple[str, ...]:
        """Names of the leaves or branches that move; empty for all."""


def check_settings(config: InnerLoop) -> None:
    """Refuse settings outside their range.

    Raises
    ------
    TypeError, ValueError
        With the rule, the value and the cure.

    """
    check_choice("inner", config.inner, ["gradient", "refine"])
    check_number("inner_lr", config.inner_lr, above=0)
    check_number("inner_steps", config.inner_steps, at_least=0, integer=True)
    check_names("adapted", config.adapted)
    if config.adapted and config.inner == "refine":
        raise ValueError(f"adapted={config.adapted} should be () with inner='refine'; an exact step moves all leaves")


def check_learner(config: InnerLoop, learner: Learner) -> None:
    """Refuse a learner that cannot run this inner loop.

    Raises
    ------
    ValueError
        When there is no exact step, or ``adapted`` names no leaf.

    """
    if config.inner == "refine" and learner.refine is None:
        raise ValueError("inner='refine' needs a learner with an exact step; use inner='gradient'")
    if config.adapted:
        check_branches("adapted", config.adapted, learner.init(torch.Generator()))


def fit(params: Tree, support: Data, *, learner: Learner, config: InnerLoop, first_order: bool = False) -> Tree:
    """The learner's parameters after the inner loop that ``config`` asks for, starting at ``params``.

    Exact steps take ``params`` as prior too: start and prior are one, because a hard assignment
    passes no gradient to the start.
    """
    if config.inner == "refine":
        assert learner.refine is not None
        fitted = params
        for _ in range(config.inner_steps):
            fitted = learner.refine(fitted, support, params)
        return fitted
    return gradient_steps(
        params,
        support,
        loss=learner.loss,
        rates=config.inner_lr,
        n_steps=config.inner_steps,
        first_order=first_order,
        adapted=config.adapted,
    )


def gradient_steps(
    params: Tree,
    support: Data,
    *,
    loss: Loss,
    rates: float | Tree,
    n_steps: int,
    first_order: bool,
    adapted: tuple[str, ...] = (),
) -> Tree:
    """Parameters after ``n_steps`` of gradient descent on the support, differentiable in ``params``.

    Parameters
    ----------
    params : Tree
        Where to start.
    support : Data
        Rows of one task.
    loss : callable
        ``(params, data) -> Tensor of shape ()``.
    rates : float or Tree
        Step length: one for all, or a tree with a tensor for each leaf that broadcasts to it.
    n_steps : int
        Number of steps, >= 0.
    first_order : bool
        Whether to treat the inner gradients as constants.
    adapted : tuple of str
        Names of the leaves or branches that move, such as ``("head",)``; empty for all.

    Returns
    -------
    Tree
        Shaped like ``params``.

    """
    everything = dict(named_leaves(params))
    moving = {name: leaf for name, leaf in everything.items() if not adapted or is_below(name, adapted)}
    frozen = {name: leaf for name, leaf in everything.items() if name not in moving}
    rate_of = dict.fromkeys(moving, rates) if isinstance(rates, int | float) else dict(named_leaves(rates))

    def loss_of(moving: dict[str, Tensor], frozen: dict[str, Tensor]) -> Tensor:
        return loss(replace_leaves(params, frozen | moving), support)

    for _ in range(n_steps):
        # Detached inputs build no graph at all, which is what makes the first order cheap.
        point = (detach(moving), detach(frozen)) if first_order else (moving, frozen)
        gradients = torch.func.grad(loss_of)(*point)
        moving = {name: leaf - rate_of[name] * gradients[name] for name, leaf in moving.items()}
    return replace_leaves(params, frozen | moving)


def settled(params: Tree, support: Data, *, learner: Learner) -> Tree:
    """The state of a task: the parameters after the inner loop, with the statistics that the learner keeps."""
    return params if learner.settle is None else learner.settle(params, support)


def predict(theta: Tree, state: Tree, X: Tensor, *, learner: Learner) -> Tensor:
    """The predictions of the learner whose parameters are the state."""
    return learner.predict(state, X)


def query_objective(
    theta: Tree, task: Task, *, adapt: Callable[[Tree, Data], Tree], outer_loss: Loss
) -> tuple[Tensor, Tensor]:
    """The outer loss of the adapted learner on the query, to differentiate and to report."""
    loss = outer_loss(adapt(theta, task.support), task.query)
    return loss, loss.detach()

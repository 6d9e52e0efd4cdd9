"""Implicit MAML: the outer gradient from where the inner loop ends, not from the way there.

Rajeswaran, Finn, Kakade, Levine 2019 (arXiv:1909.04630). theta are the learner's parameters;

    phi* = argmin over phi of  L(phi; support) + lambda / 2 ||phi - theta||^2
    d phi* / d theta = (I + H / lambda)^-1,    H the Hessian of L(.; support) at phi*,
    v = (I + H / lambda)^-1 grad L'(phi*; query),

and theta falls along v. phi* is sought by gradient steps that keep no graph, and v by conjugate gradients, which need
products of H with a vector only: memory does not grow with the number of inner steps. The formula holds at the
minimum, so the inner steps should come near it: ``inner_lr`` below 2 / (largest curvature + lambda), and about
1 / (inner_lr lambda) steps or more. A large lambda keeps phi near theta and both problems easy. v does not know of
``inner_lr``: MAML is driven away from starts at which its steps overshoot, this is not, so leave the rate a margin.

Differs from the paper: conjugate gradients run a fixed number of steps, and hold still once nothing is left to solve or
where the support loss curves down so far that I + H / lambda has less than a tenth of I's curvature along the
direction of search; if the first direction is such a one, v is the plain gradient of the query, which is also what
0 steps give. What the support tells beside the parameters (statistics of normalisation) is settled at phi*, and the
query loss is differentiated through it. lambda is set and not learned, and all leaves move.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from firstsight.checks import check_number
from firstsight.core import Data, Learner, Loss, MetaLearner, Task, Tree
from firstsight.meta.inner import gradient_steps, predict, settled
from firstsight.trees import detach, leaves, named_leaves, replace_leaves, squared_distance

_LEAST_CURVATURE = 0.1


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of implicit MAML.

    Parameters
    ----------
    inner_lr : float
        Step length of the inner steps, > 0.
    inner_steps : int
        Number of inner steps, >= 0.
    proximal : float
        lambda, the weight of half the squared distance to theta, in units of the loss over squared units of the
        parameters, > 0.
    cg_steps : int
        Steps of conjugate gradients, >= 0; each costs about two gradients of the support loss. 0 for v the gradient
        of the query loss alone.

    """

    inner_lr: float = 0.01
    inner_steps: int = 16
    proximal: float = 1.0
    cg_steps: int = 5

    def __post_init__(self) -> None:
        check_number("inner_lr", self.inner_lr, above=0)
        check_number("inner_steps", self.inner_steps, at_least=0, integer=True)
        check_number("proximal", self.proximal, above=0)
        check_number("cg_steps", self.cg_steps, at_least=0, integer=True)


def proximal_loss(params: Tree, support: Data, *, centre: Tree, loss: Loss, weight: float) -> Tensor:
    """The support loss plus half the weighted squared distance to ``centre``, of shape ()."""
    return loss(params, support) + 0.5 * weight * squared_distance(params, centre)


def inner_solution(theta: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The learner's parameters after the inner steps from theta, outside any gradient."""
    centre = detach(theta)
    loss = partial(proximal_loss, centre=centre, loss=learner.loss, weight=config.proximal)
    return gradient_steps(
        centre, support, loss=loss, rates=config.inner_lr, n_steps=config.inner_steps, first_order=True
    )


def conjugate_gradients(product: Callable[[Tensor], Tensor], target: Tensor, n_steps: int) -> Tensor:
    """Solve ``product(x) = target`` for a symmetric matrix with eigenvalues above a tenth.

    Hestenes and Stiefel 1952, from x = 0; exact after as many steps as the matrix has distinct eigenvalues. From the
    first direction on along which the matrix has less than a tenth of the identity's curvature, x stays what it is.

    Parameters
    ----------
    product : callable
        ``(vector) -> matrix @ vector``.
    target : Tensor of shape (n,)
        Right-hand side.
    n_steps : int
        Number of products; the same whatever the numbers are.

    Returns
    -------
    Tensor of shape (n,)
        The target itself where the first direction was refused, or ``n_steps`` is 0.

    """
    solution, x = target, torch.zeros_like(target)
    residual = direction = target
    left = residual @ residual
    going = left > 0
    for _ in range(n_steps):
        image = product(direction)
        curvature = direction @ image
        going = going & (left > 0) & (curvature > _LEAST_CURVATURE * (direction @ direction))
        length = torch.where(going, left, 0.0) / torch.where(going, curvature, 1.0)
        x = x + length * direction
        solution = torch.where(going, x, solution)
        residual = residual - length * image
        before, left = left, residual @ residual
        direction = residual + torch.where(going, left, 0.0) / torch.where(going, before, 1.0) * direction
    return solution


def implicit_gradient(params: Tree, outer: Tree, support: Data, *, loss: Loss, config: Config) -> Tree:
    """(I + H / lambda)^-1 times ``outer``, with H the Hessian of the support loss at ``params``.

    Parameters
    ----------
    params : Tree
        Where the inner loop ended.
    outer : Tree
        The gradient of the query loss there, shaped like ``params``.
    support : Data
        Rows of one task.
    loss : callable
        ``(params, data) -> Tensor of shape ()``.
    config : Config
        Settings.

    Returns
    -------
    Tree
        Shaped like ``params``.

    """
    if config.cg_steps == 0:
        return outer
    # The gradient is taken apart once; every product with H is then one pass back through it, H being symmetric.
    pull_back = torch.func.vjp(lambda point: torch.func.grad(loss)(point, support), params)[1]

    def product(direction: Tensor) -> Tensor:
        (curved,) = pull_back(_split(direction, params))
        return direction + _join(curved) / config.proximal

    return _split(conjugate_gradients(product, _join(outer), config.cg_steps), params)


def adapt(theta: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The learner's parameters after the inner steps, as numbers: not differentiable in theta."""
    return settled(inner_solution(theta, support, learner=learner, config=config), support, learner=learner)


def objective(theta: Tree, task: Task, *, learner: Learner, outer_loss: Loss, config: Config) -> tuple[Tensor, Tensor]:
    """A scalar with the value of the query loss and the implicit gradient in theta; the query loss to report."""
    params = inner_solution(theta, task.support, learner=learner, config=config)

    def query_loss(params: Tree) -> Tensor:
        return outer_loss(settled(params, task.support, learner=learner), task.query)

    outer, loss = torch.func.grad_and_value(query_loss)(params)
    gradient = implicit_gradient(params, outer, task.support, loss=learner.loss, config=config)
    flat = _join(theta)
    return loss.detach() + _join(gradient).detach() @ (flat - flat.detach()), loss.detach()


def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """Implicit MAML over this learner.

    Parameters
    ----------
    config : Config
        Settings.
    learner : Learner
        The inner model.
    outer_loss : callable, optional
        ``(params, data) -> Tensor of shape ()`` on the query; the learner's own loss by default.

    """
    return MetaLearner(
        init=learner.init,
        adapt=partial(adapt, learner=learner, config=config),
        predict=partial(predict, learner=learner),
        objective=partial(objective, learner=learner, outer_loss=outer_loss or learner.loss, config=config),
    )


def _join(tree: Tree) -> Tensor:
    return torch.cat([leaf.flatten() for leaf in leaves(tree)])


def _split(flat: Tensor, like: Tree) -> Tree:
    named = dict(named_leaves(like))
    parts = torch.split(flat, [leaf.numel() for leaf in named.values()])
    return replace_leaves(
        like, {name: part.view(leaf.shape) for (name, leaf), part in zip(named.items(), parts, strict=True)}
    )

"""Amortised learning: a net that reads the support and says the learner's parameters for this task, at once.

theta = {"start": theta_0, "net": weights}; f_theta(support, theta_in) is the state of the task, zero-shot or after a
few inner steps. theta_in is the classical solution, some exact steps of the learner (Lloyd, EM) from theta_0, or
theta_0 itself. Then, with one token for every slice of the parameters and one for every row of the support,

    token_j = W [theta_in_j, theta_0_j, gradient_j] + b        row_i = V x_i + v
    L times:  rows attend to tokens (whose am I?), tokens attend to rows and tokens (who is mine?)
    phi = theta_in + U token                      (U ~ 0 at the beginning: f returns theta_in)

    min over theta of  L'(phi; query),    L'(steps from phi on the support; query),    or their mean.

A slice is one entry of the first axis of all leaves that lie side by side in the tree and share that axis: a centroid;
a component of a mixture with its mean, spread and weight; a neuron with its weights and bias. A leaf without axes is
one slice. All slices of one kind share their linear layers, so the result does not depend on the order of the rows, and
permuting the clusters of theta_0 permutes those of the result. The gradient of the support's loss at theta_in, a
constant here, is how labels enter, whatever the learner. There may be several theta_0: the one with the least support
loss, after its exact steps, is taken. An exact step with hard assignments (Lloyd) passes no gradient to its start; what
theta_0 learns then comes through its tokens alone, so it should begin scattered, as ``learner.init`` draws it. Inner
steps that are exact take phi as their prior as well, so that a learner with a prior gets one for each task.

After Set Transformer and amortised clustering (Lee et al. 2019, arXiv:1810.00825; 2019, arXiv:1909.13433), VERSA
(Gordon et al. 2019, arXiv:1805.09921) and CNAPs (Requeima et al. 2019, arXiv:1906.07697), which amortise a classifier's
head or its modulation by class means. Differs from the papers: any learner with a known shape of a row, whose classical
solution is an input and is corrected instead of replaced; the output may be tuned, and be trained for that.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from firstsight.checks import check_choice, check_flag, check_names, check_number
from firstsight.core import Data, Learner, Loss, MetaLearner, Task, Tree
from firstsight.meta.inner import check_learner, check_settings, fit, predict, settled
from firstsight.nets.functional import Functional
from firstsight.nets.tokens import TINY, TokenNet
from firstsight.tensor_checks import check_rows
from firstsight.trees import detach, named_leaves, replace_leaves, stack, tree_map, vmap_axes


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of amortised learning.

    Parameters
    ----------
    theta_in : {"start", "refine", "none"}
        What the net corrects: the learned start; what exact steps make of it; or nothing, so that the net's output
        alone is the state and the start no more than seeds of its tokens.
    n_starts : int
        Starts that are learned, of which a task takes the one with the least support loss, >= 1.
    refine_steps : int
        Exact steps from a start, for ``theta_in="refine"``, >= 1.
    snap : tuple of str
        Names of leaves that are lists of places among the rows, such as ``("centroids",)``: the exact steps begin at
        the rows nearest to them, because a centroid far from all rows would never be any row's nearest.
    objective : {"zero", "after", "both"}
        The query loss that is trained: right away, after the inner steps, or the mean of both.
    inner : {"gradient", "refine"}
        Gradient steps from the net's output, or the learner's exact steps.
    inner_lr : float
        Step length of the gradient steps, > 0.
    inner_steps : int
        Number of inner steps, >= 0; 0 is zero-shot.
    adapted : tuple of str
        Names of the leaves or branches that move in the inner loop; empty for all.
    width : int
        Numbers in a token, >= 1, a multiple of ``n_heads``.
    n_heads : int
        Heads of attention, >= 1.
    n_blocks : int
        Rounds of attention between rows and tokens, >= 1.
    standardise : bool
        Whether the net sees the columns of the support in units of their own, and these units beside them, where
        tasks have scales of their own. Otherwise it sees rows as they are; they and the parameters should be of the
        order of one, as the columns of a standardised table are.

    """

    theta_in: Literal["start", "refine", "none"] = "start"
    n_starts: int = 1
    refine_steps: int = 5
    snap: tuple[str, ...] = ()
    objective: Literal["zero", "after", "both"] = "both"
    inner: Literal["gradient", "refine"] = "gradient"
    inner_lr: float = 0.01
    inner_steps: int = 1
    adapted: tuple[str, ...] = ()
    width: int = 64
    n_heads: int = 4
    n_blocks: int = 2
    standardise: bool = False

    def __post_init__(self) -> None:
        check_settings(self)
        check_choice("theta_in", self.theta_in, ["start", "refine", "none"])
        check_choice("objective", self.objective, ["zero", "after", "both"])
        for name in ("n_starts", "refine_steps", "width", "n_heads", "n_blocks"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        check_names("snap", self.snap)
        check_flag("standardise", self.standardise)
        if self.width % self.n_heads:
            raise ValueError(f"width={self.width} should be a multiple of n_heads={self.n_heads}; change one of them")


class Slices(NamedTuple):
    """Leaves that are cut together: ``n`` slices, each of the entries of all ``names``, ``sizes`` of each."""

    n: int
    names: tuple[str, ...]
    sizes: tuple[int, ...]


def slices_of(params: Tree) -> list[Slices]:
    """How parameters are cut: leaves of one branch that share their first axis together; a number alone.

    >>> slices_of({"mean": torch.zeros(3, 2), "weight": torch.zeros(3), "noise": torch.zeros(())})
    [Slices(n=3, names=('mean', 'weight'), sizes=(2, 1)), Slices(n=1, names=('noise',), sizes=(1,))]
    """
    found: dict[tuple[str, int | str], list[tuple[str, Tensor]]] = {}
    for name, leaf in named_leaves(params):
        branch = name.rpartition(".")[0]
        found.setdefault((branch, leaf.shape[0]) if leaf.ndim else (name, "number"), []).append((name, leaf))
    return [
        Slices(
            members[0][1].shape[0] if members[0][1].ndim else 1,
            tuple(name for name, _ in members),
            tuple(leaf[0].numel() if leaf.ndim else 1 for _, leaf in members),
        )
        for members in found.values()
    ]


def cut(params: Tree, kinds: list[Slices]) -> list[Tensor]:
    """The slices of every kind, of shape (n, numbers of a slice)."""
    flat = dict(named_leaves(params))
    return [torch.cat([flat[name].reshape(kind.n, -1) for name in kind.names], 1) for kind in kinds]


def uncut(pieces: list[Tensor], kinds: list[Slices], like: Tree) -> Tree:
    """Parameters shaped like ``like`` from their slices."""
    flat = dict(named_leaves(like))
    new = {
        name: part.reshape(flat[name].shape)
        for piece, kind in zip(pieces, kinds, strict=True)
        for name, part in zip(kind.names, torch.split(piece, list(kind.sizes), 1), strict=True)
    }
    return replace_leaves(like, new)


def init(generator: torch.Generator, *, learner: Learner, net: Functional, config: Config) -> Tree:
    """``{"start": the learner's parameters, n_starts of them on a first axis, "net": weights}``."""
    return {"start": stack([learner.init(generator) for _ in range(config.n_starts)]), "net": net.init(generator)}


def classical(start: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The parameters after the exact steps from a start, which is their prior too; or the start itself."""
    params = start
    if config.theta_in == "refine":
        assert learner.refine is not None
        places = dict(named_leaves(start))
        places |= {name: _nearest_rows(places[name], support.X) for name in config.snap}
        params = replace_leaves(start, places)
        for _ in range(config.refine_steps):
            params = learner.refine(params, support, start)
    return params


def first_look(theta: Tree, support: Data, *, learner: Learner, config: Config) -> tuple[Tree, Tree]:
    """theta_0 and theta_in: of the start whose classical solution has the least support loss, the first of equals."""
    starts = theta["start"]
    if config.n_starts == 1:
        chosen = torch.zeros(1, dtype=torch.int64, device=support.X.device)
    else:

        def tried(start: Tree) -> Tensor:
            return learner.loss(classical(start, support, learner=learner, config=config), support)

        # Without a graph: which one is chosen has no gradient, and only that one's steps are differentiated.
        losses = torch.func.vmap(tried, in_dims=(vmap_axes(starts),))(detach(starts))
        # Starts often end at one solution: rounding should not choose between them.
        least = losses.min()
        chosen = (losses <= least + 1e-5 * (1 + least.abs())).to(torch.int64).argmax()[None]
    start = tree_map(lambda leaf: leaf.index_select(0, chosen)[0], starts)
    return start, classical(start, support, learner=learner, config=config)


def propose(theta: Tree, support: Data, *, learner: Learner, net: Functional, config: Config) -> Tree:
    """f(support, theta_in): the learner's parameters for this task, at once."""
    check_rows("X", support.X, row_shape=learner.row_shape)
    start, params = first_look(theta, support, learner=learner, config=config)
    kinds = slices_of(start)
    known = cut(start, kinds)
    if config.theta_in != "none":
        gradient = torch.func.grad(learner.loss)(detach(params), detach(support))
        known = [
            torch.cat([here, began, *_in_units(slope)], 1)
            for here, began, slope in zip(cut(params, kinds), known, cut(gradient, kinds), strict=True)
        ]
    out = net(theta["net"], support.X.flatten(1), known)
    change = uncut(out, kinds, start)
    return change if config.theta_in == "none" else tree_map(torch.add, params, change)


def adapt(theta: Tree, support: Data, *, learner: Learner, net: Functional, config: Config) -> Tree:
    """What the net proposes, after the inner steps."""
    params = propose(theta, support, learner=learner, net=net, config=config)
    return settled(fit(params, support, learner=learner, config=config), support, learner=learner)


def objective(
    theta: Tree, task: Task, *, learner: Learner, net: Functional, outer_loss: Loss, config: Config
) -> tuple[Tensor, Tensor]:
    """The query loss right away, after the inner steps, or the mean of both; and the one after, to report."""
    params = propose(theta, task.support, learner=learner, net=net, config=config)
    zero, after = (
        outer_loss(settled(state, task.support, learner=learner), task.query)
        for state in (params, fit(params, task.support, learner=learner, config=config))
    )
    trained = {"zero": zero, "after": after, "both": (zero + after) / 2}
    return trained[config.objective], after.detach()


def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """Amortised learning of this learner.

    Parameters
    ----------
    config : Config
        Settings.
    learner : Learner
        The inner model; its ``row_shape`` should say what it reads.
    outer_loss : callable, optional
        ``(params, data) -> Tensor of shape ()`` on the query; the learner's own loss by default.

    Raises
    ------
    ValueError
        When the learner does not say the shape of its rows, or cannot run the steps asked for.

    """
    check_learner(config, learner)
    if config.theta_in == "refine" and learner.refine is None:
        raise ValueError("theta_in='refine' needs a learner with an exact step; use theta_in='start'")
    if learner.row_shape is None:
        raise ValueError(
            "the net reads the rows itself and needs their shape; found learner.row_shape=None; "
            "build the learner with a row_shape"
        )
    params = learner.init(torch.Generator())
    shapes = {name: tuple(leaf.shape) for name, leaf in named_leaves(params)}
    for name in config.snap:
        if shapes.get(name, ())[1:] != learner.row_shape:
            raise ValueError(
                f"snap={config.snap} should name leaves whose entries are shaped like a row, {learner.row_shape}; "
                f"found {shapes}"
            )
    sizes = [sum(kind.sizes) for kind in slices_of(params)]
    corrects = config.theta_in != "none"
    with torch.device("meta"):  # draws nothing from the global generator
        module = TokenNet(
            math.prod(learner.row_shape),
            # A slice, where it began, its gradient, and how large that was; or where it began alone.
            [3 * size + 1 for size in sizes] if corrects else sizes,
            sizes,
            width=config.width,
            n_heads=config.n_heads,
            n_blocks=config.n_blocks,
            faint=corrects,
            standardise=config.standardise,
        )
    net = Functional(module)
    return MetaLearner(
        init=partial(init, learner=learner, net=net, config=config),
        adapt=partial(adapt, learner=learner, net=net, config=config),
        predict=partial(predict, learner=learner),
        objective=partial(objective, learner=learner, net=net, outer_loss=outer_loss or learner.loss, config=config),
    )


def _in_units(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """A gradient over its root mean square, and the logarithm of that for every slice."""
    size = (gradient**2).mean().sqrt() + TINY
    return gradient / size, size.log().expand(len(gradient), 1)


def _nearest_rows(places: Tensor, X: Tensor) -> Tensor:
    """The row that is nearest to every place."""
    return X.index_select(0, ((places[:, None] - X[None]) ** 2).flatten(2).sum(2).argmin(1))

"""A learner fitted to one data set alone, with no past: the baseline of every meta-test."""

import torch

from firstsight.checks import check_number
from firstsight.core import Data, Learner, Tree
from firstsight.seeds import generator_of
from firstsight.trees import cast, detach, leaves, tree_map


def from_scratch(learner: Learner, data: Data, *, seed: int = 0, n_starts: int = 10, n_steps: int = 300) -> Tree:
    """The learner's parameters after as much fitting as helps on this data set.

    A learner with an exact step takes it until the loss no longer falls, from each of ``n_starts`` starts,
    and the best by loss on ``data`` is kept, as k-means is run in practice. Others take ``n_steps`` of Adam
    with rate .01 from one start.

    Parameters
    ----------
    learner : Learner
        What is fitted.
    data : Data
        All rows there are.
    seed : int
        Of the starts, >= 0.
    n_starts : int
        Starts of a learner with an exact step, >= 1.
    n_steps : int
        Most steps from one start, >= 1.

    Returns
    -------
    Tree
        As ``learner.init`` gives, detached; settled, where the learner settles.

    Raises
    ------
    TypeError, ValueError
        When a number is outside its range, or the learner refuses the data.

    """
    check_number("n_starts", n_starts, at_least=1, integer=True)
    check_number("n_steps", n_steps, at_least=1, integer=True)
    check_number("seed", seed, at_least=0, integer=True)
    if learner.refine is None:
        fitted = _descended(learner, _begun(learner, data, seed, 0), data, n_steps)
    else:
        fits = [_refined(learner, _begun(learner, data, seed, number), data, n_steps) for number in range(n_starts)]
        fitted = min(fits, key=lambda params: float(learner.loss(params, data)))
    return fitted if learner.settle is None else learner.settle(fitted, data)


def _begun(learner: Learner, data: Data, seed: int, number: int) -> Tree:
    generator = generator_of(seed, "scratch", number)
    params = learner.init(generator) if learner.start is None else learner.start(generator, data)
    return cast(params, data.X.dtype)


def _refined(learner: Learner, params: Tree, data: Data, n_steps: int) -> Tree:
    assert learner.refine is not None
    with torch.no_grad():
        loss = float(learner.loss(params, data))
        for _ in range(n_steps):
            params = learner.refine(params, data, None)
            before, loss = loss, float(learner.loss(params, data))
            if not loss < before - 1e-6 * abs(before):
                break
    return params


def _descended(learner: Learner, params: Tree, data: Data, n_steps: int) -> Tree:
    params = tree_map(lambda leaf: leaf.detach().clone().requires_grad_(), params)
    optimizer = torch.optim.Adam(leaves(params), lr=0.01)
    with torch.enable_grad():
        for _ in range(n_steps):
            optimizer.zero_grad()
            learner.loss(params, data).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return detach(params)

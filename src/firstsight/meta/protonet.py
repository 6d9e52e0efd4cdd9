"""Prototypical networks: a class is the mean of its embedded shots, the nearest mean is the answer.

Snell et al. 2017, arXiv:1703.05175. With f the learner's ``predict`` and theta its parameters,

    c_k = mean of f(x) over the support of class k,    logit_k(x) = - ||f(x) - c_k||^2 / T    or    cos(f(x), c_k) / T,

and theta falls along the cross-entropy of the query. There is no inner loop: adapting is one pass over the support.

Differs from the paper: cosine as an alternative; what the support tells beside the parameters (statistics of
normalisation) is settled first, so that the query is normalised as the support was. A class without a shot gets the
mean of the whole support.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from firstsight.checks import check_choice, check_number
from firstsight.core import Data, Learner, Loss, MetaLearner, Task, Tree
from firstsight.meta.inner import settled


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of prototypical networks.

    Parameters
    ----------
    n_way : int
        Classes of a task, numbered from 0, >= 1.
    distance : {"euclidean", "cosine"}
        Between a row and a prototype; squared, if Euclidean.
    temperature : float
        T, > 0.

    """

    n_way: int = 5
    distance: Literal["euclidean", "cosine"] = "euclidean"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_number("n_way", self.n_way, at_least=1, integer=True)
        check_choice("distance", self.distance, ["euclidean", "cosine"])
        check_number("temperature", self.temperature, above=0)


def prototypes(embedded: Tensor, y: Tensor, n_way: int) -> Tensor:
    """The mean of every class, of shape (n_way, n_features); of all rows, where a class has none.

    Parameters
    ----------
    embedded : Tensor of shape (n_rows, n_features)
        The support.
    y : Tensor of shape (n_rows,)
        Class numbers.
    n_way : int
        Classes.

    """
    member = (y[None, :] == torch.arange(n_way, device=y.device)[:, None]).to(embedded.dtype)
    count = member.sum(1, keepdim=True)
    means = member @ embedded / count.clamp(min=1)
    return torch.where(count > 0, means, embedded.mean(0))


def logits(embedded: Tensor, centres: Tensor, *, config: Config) -> Tensor:
    """How near every row is to every prototype, of shape (n_rows, n_way)."""
    if config.distance == "cosine":
        return functional.normalize(embedded, dim=1) @ functional.normalize(centres, dim=1).T / config.temperature
    return -((embedded[:, None] - centres[None]) ** 2).sum(2) / config.temperature


def adapt(theta: Tree, support: Data, *, learner: Learner, config: Config) -> Tree:
    """The learner as the support settles it, and the prototypes.

    Raises
    ------
    ValueError
        When the support has no labels.

    """
    if support.y is None:
        raise ValueError("prototypes need classes; found support.y=None; draw tasks that have them, such as episodes")
    model = settled(theta, support, learner=learner)
    return {"model": model, "prototypes": prototypes(learner.predict(model, support.X), support.y, config.n_way)}


def predict(theta: Tree, state: Tree, X: Tensor, *, learner: Learner, config: Config) -> Tensor:
    """Logits of shape (n_rows, n_way)."""
    return logits(learner.predict(state["model"], X), state["prototypes"], config=config)


def objective(theta: Tree, task: Task, *, learner: Learner, config: Config) -> tuple[Tensor, Tensor]:
    """The cross-entropy of the query, to differentiate and to report."""
    if task.query.y is None:
        raise ValueError("prototypical networks train on classes; found query.y=None; draw tasks that have them")
    state = adapt(theta, task.support, learner=learner, config=config)
    scores = predict(theta, state, task.query.X, learner=learner, config=config)
    loss = functional.cross_entropy(scores, task.query.y)
    return loss, loss.detach()


def build(config: Config, learner: Learner, outer_loss: Loss | None = None) -> MetaLearner:
    """Prototypical networks over the learner's ``predict`` as the embedding.

    Parameters
    ----------
    config : Config
        Settings.
    learner : Learner
        Whose ``predict`` gives (n_rows, n_features).
    outer_loss : None
        Prototypical networks have their own.

    Raises
    ------
    ValueError
        When an outer loss is given.

    """
    if outer_loss is not None:
        raise ValueError("outer_loss should be None: prototypical networks score the query by its prototypes")
    return MetaLearner(
        init=learner.init,
        adapt=partial(adapt, learner=learner, config=config),
        predict=partial(predict, learner=learner, config=config),
        objective=partial(objective, learner=learner, config=config),
    )

"""An energy of rows and answers, with features of the task: the answer of a row given the other rows of its task.

A small net r reads every row with its answer, the mean over the support is what is known of the task, and a second
net s scores an answer,

    u = 1/n sum_i r(x_i, y_i),        P(y | x, task) = exp s(x, y, u) / Z(x, u),

where Z is a sum over classes, or an integral over values. The loss is the mean of -log P, in nats. Features of a set
as means: deep sets (Zaheer et al. 2017, arXiv:1703.06114), conditional neural processes (Garnelo et al. 2018,
arXiv:1807.01613); regression by an energy: Gustafsson et al. 2020 (arXiv:1909.12297).

u is what ``settle`` computes: without inner steps this is a neural process with an energy for a head, which inner
steps then fit to the task. A row must not read its own answer: with bare parameters, as in the inner loop, the rows
at hand are each other's support, and the mean of a row leaves it out. An empty support has u = 0.

Differs from the paper: Z is no Monte Carlo estimate. Values have the density that is proportional to exp s at the
``n_points`` points of an even grid, and linear between them, which the trapezoidal rule integrates exactly: a density
cannot hide a peak between two points, and is at most one over their distance. It is 0 outside the grid, where the
loss is infinite. Nets read values scaled to run from -1 to 1 over the grid.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from firstsight.checks import check_choice, check_number, check_range, check_widths
from firstsight.core import Data, Learner, Settled, Tree
from firstsight.losses import cross_entropy
from firstsight.nets.functional import Functional
from firstsight.nets.mlp import ACTIVATIONS, mlp
from firstsight.tensor_checks import check_rows


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of an energy with features of the task.

    Parameters
    ----------
    n_features : int
        Number of columns, >= 1.
    target : {"class", "value"}
        What an answer is.
    n_outputs : int
        Classes, >= 1; 1 for values.
    n_task : int
        Features of the task, >= 1.
    hidden : tuple of int
        Widths of the hidden layers of both nets.
    activation : {"relu", "tanh", "gelu"}
        Between the layers.
    value_range : (float, float)
        First and last point of the grid, in units of the target; should hold every value.
    n_points : int
        Points of the grid, >= 2.

    """

    n_features: int = 1
    target: Literal["class", "value"] = "class"
    n_outputs: int = 5
    n_task: int = 16
    hidden: tuple[int, ...] = (40, 40)
    activation: Literal["relu", "tanh", "gelu"] = "relu"
    value_range: tuple[float, float] = (-4.0, 4.0)
    n_points: int = 64

    def __post_init__(self) -> None:
        check_number("n_features", self.n_features, at_least=1, integer=True)
        check_choice("target", self.target, ["class", "value"])
        check_number("n_outputs", self.n_outputs, at_least=1, integer=True)
        check_number("n_task", self.n_task, at_least=1, integer=True)
        check_widths("hidden", self.hidden)
        check_choice("activation", self.activation, list(ACTIVATIONS))
        check_range("value_range", self.value_range)
        check_number("n_points", self.n_points, at_least=2, integer=True)
        if self.value_range[0] == self.value_range[1]:
            raise ValueError(f"value_range={self.value_range} should have low < high; widen it")
        if self.target == "value" and self.n_outputs != 1:
            raise ValueError(f"n_outputs={self.n_outputs} should be 1 with target='value'; a density is of one column")


class Nets(NamedTuple):
    """Both nets as functions of their parameters, for the functions below.

    Parameters
    ----------
    reader : Functional
        r: ``(params["reader"], rows with answers) -> Tensor of shape (n_rows, n_task)``.
    scorer : Functional
        s: from rows with features of the task to a score for every class; or from those with a value to its score.
    config : Config
        Settings.

    """

    reader: Functional
    scorer: Functional
    config: Config


def nets(config: Config) -> Nets:
    """The nets of these settings."""
    value = config.target == "value"
    answer = 1 if value else config.n_outputs
    read = config.n_features + answer
    scored = config.n_features + config.n_task + (1 if value else 0)
    with torch.device("meta"):  # draws nothing from the global generator
        reader = mlp((read, *config.hidden, config.n_task), activation=config.activation)
        scorer = mlp((scored, *config.hidden, answer), activation=config.activation)
    return Nets(Functional(reader), Functional(scorer), config)


def init(generator: torch.Generator, *, nets: Nets) -> Tree:
    """Parameters of both nets, as torch initialises them."""
    return {"reader": nets.reader.init(generator), "scorer": nets.scorer.init(generator)}


def read(params: Tree, data: Data, *, nets: Nets) -> Tensor:
    """What the reader makes of every row with its answer, of shape (n_rows, n_task)."""
    config = nets.config
    check_rows("X", data.X, row_shape=(config.n_features,))
    answers = _answers(data, config)
    if config.target == "class":
        # Written as a comparison, because one_hot does not go through vmap.
        answers = (answers[:, None] == torch.arange(config.n_outputs, device=answers.device)).to(data.X.dtype)
    else:
        answers = _scaled(answers, config)
    found: Tensor = nets.reader(params["reader"], torch.cat([data.X, answers], 1))
    return found


def leave_one_out(rows: Tensor) -> Tensor:
    """The mean of all other rows, for every row, of the shape of ``rows``; 0 for a row that is alone."""
    return (rows.sum(0) - rows) / max(len(rows) - 1, 1)


def task_features(params: Tree, data: Data, *, nets: Nets) -> Tensor:
    """Features of the task for every row, of shape (n_rows, n_task): of the support, or else of the other rows."""
    if isinstance(params, Settled):
        features: Tensor = params.statistics
        return features.expand(len(data.X), -1)
    return leave_one_out(read(params, data, nets=nets))


def settle(params: Tree, support: Data, *, nets: Nets) -> Settled:
    """The parameters with the features of the task, of shape (n_task,)."""
    return Settled(params, read(params, support, nets=nets).mean(0))


def scores(params: Tree, X: Tensor, features: Tensor, *, nets: Nets) -> Tensor:
    """Scores of every answer, of shape (n_rows, n_outputs), or (n_rows, n_points) for values.

    Parameters
    ----------
    params : Tree
        Of the learner, settled or not.
    X : Tensor of shape (n_rows, n_features)
        Rows.
    features : Tensor of shape (n_rows, n_task)
        From :func:`task_features`.
    nets : Nets
        From :func:`nets`.

    """
    config = nets.config
    check_rows("X", X, row_shape=(config.n_features,))
    weights = params.params if isinstance(params, Settled) else params
    rows = torch.cat([X, features], 1)
    if config.target == "class":
        of_classes: Tensor = nets.scorer(weights["scorer"], rows)
        return of_classes
    points = _scaled(grid(config, X), config)[:, None]
    pairs = torch.cat(
        [rows[:, None].expand(-1, config.n_points, -1), points[None].expand(len(X), -1, -1)],
        2,
    )
    of_points: Tensor = nets.scorer(weights["scorer"], pairs.flatten(0, 1)).unflatten(0, pairs.shape[:2])[..., 0]
    return of_points


def grid(config: Config, like: Tensor) -> Tensor:
    """The points at which values are scored, of shape (n_points,), with the type of ``like``."""
    return torch.linspace(*config.value_range, config.n_points, dtype=like.dtype, device=like.device)


def log_density(params: Tree, data: Data, *, nets: Nets) -> Tensor:
    """Log P(y | x, task) of every value, of shape (n_rows,), with y in units of the target; -inf outside the grid.

    Parameters
    ----------
    params : Tree
        Settled on the support; or bare: then the rows of ``data`` are each other's support.
    data : Data
        Rows with values of shape (n_rows, 1).
    nets : Nets
        From :func:`nets`.

    """
    config = nets.config
    of_points = scores(params, data.X, task_features(params, data, nets=nets), nets=nets)
    (low, high), places = config.value_range, grid(config, data.X)
    values = _answers(data, config)
    inside = values.clamp(low, high)
    step = (high - low) / (config.n_points - 1)
    # The share of each point in a value: 1 on it, 0 one step away, linear between; two points have one.
    shares = (1 - (inside - places).abs() / step).clamp(min=0)
    logs = torch.where(shares > 0, shares.clamp(min=torch.finfo(shares.dtype).tiny).log(), -torch.inf)
    found = (of_points + logs).logsumexp(1) - (of_points + _log_weights(places)).logsumexp(1)
    return torch.where((values == inside)[:, 0], found, -torch.inf)


def loss(params: Tree, data: Data, *, nets: Nets) -> Tensor:
    """The mean of -log P(y | x, task), in nats."""
    if nets.config.target == "value":
        return -log_density(params, data, nets=nets).mean()
    of_classes = scores(params, data.X, task_features(params, data, nets=nets), nets=nets)
    return cross_entropy(of_classes, _answers(data, nets.config))


def predict(params: Tree, X: Tensor, *, nets: Nets) -> Tensor:
    """Log-probabilities of shape (n_rows, n_outputs), or the means of the densities of shape (n_rows, 1).

    Of the task that the parameters are settled on; of bare parameters, without a support.
    """
    config = nets.config
    check_rows("X", X, row_shape=(config.n_features,))
    features = params.statistics if isinstance(params, Settled) else X.new_zeros(config.n_task)
    of_answers = scores(params, X, features.expand(len(X), -1), nets=nets)
    if config.target == "class":
        return of_answers.log_softmax(1)
    places = grid(config, X)
    # The half triangles at both ends have their centres of mass a third of a step inwards.
    third = (places[1] - places[0]) / 3
    inwards = torch.cat([third[None], torch.zeros_like(places[2:]), -third[None]])
    return (of_answers + _log_weights(places)).softmax(1) @ (places + inwards)[:, None]


def build(config: Config) -> Learner:
    """An energy with features of the task, with these settings."""
    both = nets(config)
    return Learner(
        init=partial(init, nets=both),
        loss=partial(loss, nets=both),
        predict=partial(predict, nets=both),
        settle=partial(settle, nets=both),
        row_shape=(config.n_features,),
    )


def _answers(data: Data, config: Config) -> Tensor:
    if data.y is None:
        raise ValueError("an energy of answers needs truth; found data.y=None; use tasks with y")
    wanted = (len(data.X),) if config.target == "class" else (len(data.X), 1)
    if data.y.shape != wanted or data.y.is_floating_point() != (config.target == "value"):
        kind = "whole numbers" if config.target == "class" else "floating point"
        raise ValueError(
            f"y should be {kind} of shape {wanted} with target={config.target!r}; found {data.y.dtype} of shape "
            f"{tuple(data.y.shape)}; convert it, or change the target"
        )
    return data.y


def _scaled(values: Tensor, config: Config) -> Tensor:
    low, high = config.value_range
    return (2 * values - low - high) / (high - low)


def _log_weights(places: Tensor) -> Tensor:
    """Logarithms of the weights of the trapezoidal rule, in units of the target."""
    ends = torch.zeros_like(places)
    ends = torch.cat([ends[:1] + 0.5, ends[2:] + 1.0, ends[:1] + 0.5])
    return (ends * (places[1] - places[0])).log()

"""Deep one-class description as a learner: a net that maps usual rows near a centre, and odd ones away from it.

Ruff et al. 2018, "Deep one-class classification" (Deep SVDD). With f a net without biases and c the centre, the paper
minimises ``1/n sum_i ||f(x_i) - c||^2``, and ``||f(x) - c||^2`` says how odd a row is. Where the centre follows the
rows, as it must from task to task, this has a trivial minimum: f the same everywhere. So the loss here also looks
at rows z drawn evenly in a box around the data, and at distances in units of their own mean u:

    L(w) = 1/n sum_i d(x_i) / (d(x_i) + u) + 1/m sum_k u / (d(z_k) + u),
    d(x) = ||f(x) - c||^2,        u = (mean_i d(x_i) + mean_k d(z_k)) / 2,        c = mean_i f(x_i).

Multiplying f by a number changes nothing, so shrinking it gains nothing, and a net that is the same everywhere has
L = 1, which is what nothing learned is worth: usual rows have to come nearer than the box does. A row counts 1 at
most, so that a few far corners of the box cannot pay for the rest.

Differs from the paper: that loss, instead of the plain one with weight decay. The centre is the mean of the embedded
support after the inner loop, and not of an untrained net; without it, that of the rows at hand. The score is in units
of the support's mean. Box rows travel in ``Data.noise``.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from firstsight.checks import check_choice, check_number, check_widths
from firstsight.core import Data, Learner, Settled, Tree
from firstsight.nets.functional import Functional
from firstsight.nets.mlp import mlp
from firstsight.tensor_checks import check_rows, drawn_noise

LEAST = 0.1  # deviation of a column that hardly varies, in units of the scaled data: the box has a volume
EPSILON = 1e-12


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the one-class description; the caller brings columns to unit variance.

    Parameters
    ----------
    n_features : int
        Number of columns, >= 1.
    n_code : int
        Numbers in the embedding, >= 1.
    hidden : tuple of int
        Widths of the hidden layers.
    activation : {"relu", "gelu"}
        Between the layers; a bounded one could be constant without biases.
    reach : float
        Half the side of the box, in standard deviations of every column, > 0.
    n_draws : int
        Box rows for every row, >= 1.

    """

    n_features: int = 2
    n_code: int = 8
    hidden: tuple[int, ...] = (32, 32)
    activation: Literal["relu", "gelu"] = "relu"
    reach: float = 2.5
    n_draws: int = 4

    def __post_init__(self) -> None:
        check_number("n_features", self.n_features, at_least=1, integer=True)
        check_number("n_code", self.n_code, at_least=1, integer=True)
        check_widths("hidden", self.hidden)
        check_choice("activation", self.activation, ["relu", "gelu"])
        check_number("reach", self.reach, above=0)
        check_number("n_draws", self.n_draws, at_least=1, integer=True)


def noise(generator: torch.Generator, n_rows: int, *, config: Config) -> Tensor:
    """Places in the box, even in [-1, 1], of shape (n_rows, n_draws, n_features)."""
    return 2 * torch.rand(n_rows, config.n_draws, config.n_features, generator=generator) - 1


def box_rows(data: Data, *, config: Config) -> Tensor:
    """Rows in the box around the data, of shape (n_rows * n_draws, n_features).

    Raises
    ------
    ValueError
        When the data have no noise.

    """
    drawn = drawn_noise("the box", data)
    deviation, mean = torch.std_mean(data.X, 0, correction=0)
    return (mean + config.reach * deviation.clamp(min=LEAST) * drawn).flatten(0, 1)


def squared_distances(embedded: Tensor, centre: Tensor) -> Tensor:
    """Of every row to the centre, of shape (n_rows,)."""
    return ((embedded - centre) ** 2).sum(1)


def loss(params: Tree, data: Data, *, embed: Functional, config: Config) -> Tensor:
    """How near the rows are and how far the box is, from 0 to 2; 1 for a net that is the same everywhere."""
    check_rows("X", data.X, row_shape=(config.n_features,))
    weights, statistics = _parts(params)
    embedded = embed(weights, data.X)
    centre = embedded.mean(0) if statistics is None else statistics["centre"]
    near = squared_distances(embedded, centre)
    far = squared_distances(embed(weights, box_rows(data, config=config)), centre)
    unit = 0.5 * (near.mean() + far.mean()) + EPSILON
    return (near / (near + unit)).mean() + (unit / (far + unit)).mean()


def predict(params: Tree, X: Tensor, *, embed: Functional, n_features: int) -> Tensor:
    """How odd every row is, of shape (n_rows, 1): 1 for the mean of the support, or else of the rows at hand."""
    check_rows("X", X, row_shape=(n_features,))
    weights, statistics = _parts(params)
    embedded = embed(weights, X)
    found = _statistics(embedded) if statistics is None else statistics
    return (squared_distances(embedded, found["centre"]) / (found["scale"] + EPSILON))[:, None]


def settle(params: Tree, support: Data, *, embed: Functional) -> Settled:
    """The centre of the embedded support, of shape (n_code,), and its mean squared distance to it, of shape ()."""
    return Settled(params, _statistics(embed(params, support.X)))


def build(config: Config) -> Learner:
    """A one-class description with these settings."""
    with torch.device("meta"):  # draws nothing from the global generator
        net = mlp((config.n_features, *config.hidden, config.n_code), activation=config.activation, bias=False)
    embed = Functional(net)
    return Learner(
        init=embed.init,
        loss=partial(loss, embed=embed, config=config),
        predict=partial(predict, embed=embed, n_features=config.n_features),
        noise=partial(noise, config=config),
        settle=partial(settle, embed=embed),
        row_shape=(config.n_features,),
    )


def _parts(params: Tree) -> tuple[Tree, Tree | None]:
    """The weights, and what the support told beside them."""
    return (params.params, params.statistics) if isinstance(params, Settled) else (params, None)


def _statistics(embedded: Tensor) -> dict[str, Tensor]:
    centre = embedded.mean(0)
    return {"centre": centre, "scale": squared_distances(embedded, centre).mean()}

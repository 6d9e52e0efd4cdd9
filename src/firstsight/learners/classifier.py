"""A supervised net as a learner: linear, MLP or convolutional body with a linear head, or any module.

The loss is the mean cross-entropy for classes, or the mean squared error for values:

    L(w) = 1/n sum_i CE(f_w(x_i), y_i)        L(w) = 1/n sum_i ||f_w(x_i) - y_i||^2 / n_outputs.

The parameters are ``{"body": ..., "head": ...}``, so that a meta-learner may adapt the head alone
(ANIL, Raghu et al. 2019, arXiv:1909.09157). The 40-40 net for sinusoids and the four convolutional
blocks are those of MAML (Finn et al. 2017, arXiv:1703.03400), but for what ``nets/conv.py`` says.

Batch normalisation (``norm="support"``) takes its statistics from the support, in the inner loop and on
the query alike, which is inductive: a query row is judged alone. ``norm="query"`` takes those of the rows
at hand, as the published MAML does; that is transductive, for the rows of a query tell each other their
classes' balance, and its figures belong in a row of their own. (Joint training, which sees support and query
together, normalises by both while it trains; it adapts as the others do.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from firstsight.checks import check_choice, check_number, check_widths
from firstsight.core import Data, Learner, Settled, Tree
from firstsight.losses import cross_entropy, squared_error
from firstsight.nets.conv import DOWNSAMPLES, Conv
from firstsight.nets.functional import Functional
from firstsight.nets.mlp import ACTIVATIONS, mlp
from firstsight.tensor_checks import check_rows


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a supervised net.

    Parameters
    ----------
    n_features : int
        Columns of a table, or channels of an image, >= 1.
    n_outputs : int
        Classes, or columns of the target, >= 1.
    target : {"class", "value"}
        Classification by cross-entropy or regression by squared error.
    body : {"linear", "mlp", "conv"}
        ``linear`` has no body; ``conv`` reads images of shape (n_features, image_size, image_size).
    hidden : tuple of int
        Widths of the hidden layers of ``mlp``.
    activation : {"relu", "tanh", "gelu"}
        Of ``mlp``.
    image_size : int
        Height and width in pixels, for ``conv``.
    n_filters : int
        Channels of every block of ``conv``.
    norm : {"image", "support", "query"}
        Of ``conv``: over each image alone; over a batch, by the statistics of the support (inductive); or
        over a batch, by those of the rows at hand (transductive).
    downsample : {"pool", "stride"}
        Of ``conv``: 2x2 max pooling, or strided convolutions, four times cheaper.

    """

    n_features: int = 1
    n_outputs: int = 5
    target: Literal["class", "value"] = "class"
    body: Literal["linear", "mlp", "conv"] = "mlp"
    hidden: tuple[int, ...] = (40, 40)
    activation: Literal["relu", "tanh", "gelu"] = "relu"
    image_size: int = 28
    n_filters: int = 64
    norm: Literal["image", "support", "query"] = "image"
    downsample: Literal["pool", "stride"] = "pool"

    def __post_init__(self) -> None:
        check_number("n_features", self.n_features, at_least=1, integer=True)
        check_number("n_outputs", self.n_outputs, at_least=1, integer=True)
        check_choice("target", self.target, ["class", "value"])
        check_choice("body", self.body, ["linear", "mlp", "conv"])
        check_widths("hidden", self.hidden)
        check_choice("activation", self.activation, list(ACTIVATIONS))
        check_number("image_size", self.image_size, at_least=1, integer=True)
        check_number("n_filters", self.n_filters, at_least=1, integer=True)
        check_choice("norm", self.norm, ["image", "support", "query"])
        check_choice("downsample", self.downsample, DOWNSAMPLES)
        if self.body == "mlp" and not self.hidden:
            raise ValueError("hidden=() should name at least one layer; use body='linear' for none")


Outputs = Callable[[Tree, Tensor], Tensor]
"""``(params, X) -> Tensor of shape (n_rows, n_outputs)``."""


class Net(nn.Module):
    """A body and a linear head; gives the outputs and the statistics of normalisation, if any."""

    def __init__(self, body: nn.Module, width: int, n_outputs: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, n_outputs)

    def forward(self, X: Tensor, statistics: Tree = None) -> tuple[Tensor, Tree]:
        """Outputs of shape (n_rows, n_outputs), normalised by ``statistics`` or, without, by those of X."""
        if isinstance(self.body, Conv):
            features, statistics = self.body(X, statistics)
        else:
            features = self.body(X)
        return self.head(features), statistics


def loss(params: Tree, data: Data, *, net: Outputs, row_shape: tuple[int, ...] | None, target: str) -> Tensor:
    """Mean cross-entropy in nats, or mean squared error in squared units of ``data.y``."""
    if data.y is None:
        raise ValueError("a supervised learner needs truth; found data.y=None; use tasks with y")
    output = predict(params, data.X, net=net, row_shape=row_shape)
    if target == "class":
        return cross_entropy(output, data.y)
    return squared_error(output, data.y)


def predict(params: Tree, X: Tensor, *, net: Outputs, row_shape: tuple[int, ...] | None) -> Tensor:
    """Scores or values of shape (n_rows, n_outputs)."""
    check_rows("X", X, row_shape=row_shape)
    return net(params, X)


def settle(params: Tree, support: Data, *, net: Functional) -> Settled:
    """The parameters with the statistics of every normalised layer over the support."""
    return Settled(params, net(params, support.X)[1])


def build(config: Config) -> Learner:
    """A supervised net with these settings."""
    body: nn.Module = nn.Identity()
    row_shape: tuple[int, ...] = (config.n_features,)
    width = config.n_features
    with torch.device("meta"):  # draws nothing from the global generator
        if config.body == "conv":
            row_shape = (config.n_features, config.image_size, config.image_size)
            body = Conv(
                n_channels=config.n_features,
                image_size=config.image_size,
                n_filters=config.n_filters,
                norm="image" if config.norm == "image" else "batch",
                downsample=config.downsample,
            )
            width = body.n_features
        elif config.body == "mlp":
            layers = mlp((config.n_features, *config.hidden), activation=config.activation)
            body = nn.Sequential(*layers, ACTIVATIONS[config.activation]())
            width = config.hidden[-1]
        module = Net(body, width, config.n_outputs)
    net = Functional(module)
    learner = _learner(net.init, partial(_outputs, net=net), config.target, row_shape)
    if config.body == "conv" and config.norm == "support":
        learner = learner._replace(settle=partial(settle, net=net))
    return learner


def from_module(
    module: nn.Module, *, target: Literal["class", "value"] = "class", row_shape: tuple[int, ...] | None = None
) -> Learner:
    """Any module ``(n_rows, ...) -> (n_rows, n_outputs)`` as a learner.

    Parameters
    ----------
    module : nn.Module
        Whose layers have ``reset_parameters``, as torch's own have; its own values are not used.
    target : {"class", "value"}
        The loss: cross-entropy or squared error.
    row_shape : tuple of int, optional
        The shape of one row, to refuse others with a clear message.

    Raises
    ------
    ValueError
        When the module has no parameters, or buffers (BatchNorm with running statistics), dropout, or
        parameters that no ``reset_parameters`` initialises.

    """
    check_choice("target", target, ["class", "value"])
    net = Functional(module)
    return _learner(net.init, net, target, row_shape)


def _learner(
    init: Callable[[torch.Generator], Tree], net: Outputs, target: str, row_shape: tuple[int, ...] | None
) -> Learner:
    return Learner(
        init=init,
        loss=partial(loss, net=net, row_shape=row_shape, target=target),
        predict=partial(predict, net=net, row_shape=row_shape),
        row_shape=row_shape,
    )


def _outputs(params: Tree, X: Tensor, *, net: Functional) -> Tensor:
    weights, statistics = params if isinstance(params, Settled) else (params, None)
    outputs: Tensor = net(weights, X, statistics)[0]
    return outputs

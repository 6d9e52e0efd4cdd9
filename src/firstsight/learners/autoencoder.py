"""A (denoising) autoencoder as a learner: what a row is, in a few numbers.

The loss is the reconstruction error of clean rows from corrupted ones,

    L(w) = 1/n sum_i mean_draws ||decode(encode(x_i + s * noise_i)) - x_i||^2 / n_features,

with s = ``corruption``; at s = 0 it is the plain autoencoder. Denoising: Vincent et al. 2008,
"Extracting and composing robust features with denoising autoencoders".

Differs from the paper: noise is Gaussian and added, not masking, and travels in ``Data.noise``, a
few draws a row averaged in the loss.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from firstsight.checks import check_choice, check_number, check_widths
from firstsight.core import Data, Learner, Tree
from firstsight.nets.functional import Functional
from firstsight.nets.mlp import ACTIVATIONS, mlp
from firstsight.tensor_checks import check_rows, drawn_noise


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of an autoencoder.

    Parameters
    ----------
    n_features : int
        Number of columns, >= 1.
    n_code : int
        Numbers in the code, >= 1.
    hidden : tuple of int
        Widths of the encoder's hidden layers; the decoder mirrors them.
    activation : {"relu", "tanh", "gelu"}
        Between the layers.
    corruption : float
        Standard deviation of the noise added to the input, in units of the data, >= 0.
    n_draws : int
        Noise draws a row, >= 1; used with ``corruption > 0``.

    """

    n_features: int = 2
    n_code: int = 2
    hidden: tuple[int, ...] = (32,)
    activation: Literal["relu", "tanh", "gelu"] = "relu"
    corruption: float = 0.0
    n_draws: int = 8

    def __post_init__(self) -> None:
        check_number("n_features", self.n_features, at_least=1, integer=True)
        check_number("n_code", self.n_code, at_least=1, integer=True)
        check_widths("hidden", self.hidden)
        check_choice("activation", self.activation, list(ACTIVATIONS))
        check_number("corruption", self.corruption, at_least=0)
        check_number("n_draws", self.n_draws, at_least=1, integer=True)


def loss(params: Tree, data: Data, *, encode: Functional, decode: Functional, config: Config) -> Tensor:
    """Mean squared reconstruction error a column, in squared units of the data."""
    check_rows("X", data.X, row_shape=(config.n_features,))
    X = data.X
    target = X
    if config.corruption > 0:
        drawn = drawn_noise("corruption > 0", data)
        X = (X[:, None, :] + config.corruption * drawn).flatten(0, 1)
        target = data.X[:, None, :].expand(-1, drawn.shape[1], -1).flatten(0, 1)
    rebuilt: Tensor = decode(params["decoder"], encode(params["encoder"], X))
    return ((rebuilt - target) ** 2).mean()


def predict(params: Tree, X: Tensor, *, encode: Functional, n_features: int) -> Tensor:
    """The code of every row, of shape (n_rows, n_code)."""
    check_rows("X", X, row_shape=(n_features,))
    codes: Tensor = encode(params["encoder"], X)
    return codes


def noise(generator: torch.Generator, n_rows: int, *, config: Config) -> Tensor:
    """Standard normal noise of shape (n_rows, n_draws, n_features)."""
    return torch.randn(n_rows, config.n_draws, config.n_features, generator=generator)


def init(generator: torch.Generator, *, encode: Functional, decode: Functional) -> Tree:
    """Parameters of both halves, as torch initialises them."""
    return {"encoder": encode.init(generator), "decoder": decode.init(generator)}


def build(config: Config) -> Learner:
    """An autoencoder with these settings."""
    widths = (config.n_features, *config.hidden, config.n_code)
    with torch.device("meta"):  # draws nothing from the global generator
        encoder, decoder = (mlp(sizes, activation=config.activation) for sizes in (widths, widths[::-1]))
    encode, decode = Functional(encoder), Functional(decoder)
    return Learner(
        init=partial(init, encode=encode, decode=decode),
        loss=partial(loss, encode=encode, decode=decode, config=config),
        predict=partial(predict, encode=encode, n_features=config.n_features),
        noise=partial(noise, config=config) if config.corruption > 0 else None,
        row_shape=(config.n_features,),
    )

"""A variational autoencoder as a learner: a density of rows, a code of every row, and new rows.

A row x comes from a code z ~ N(0, I) through a decoder, p(x | z); an encoder gives q(z | x) = N(m(x), diag s(x)^2).
The loss is minus the evidence lower bound, a row, in nats,

    L(w) = 1/n sum_i [ KL(q(z | x_i) || N(0, I)) - mean_draws log p(x_i | m(x_i) + s(x_i) noise) ],

with the divergence in closed form, 1/2 sum (m^2 + s^2 - 1 - log s^2) (Kingma and Welling 2013, arXiv:1312.6114).
The decoder is ``gaussian``, N(x; f(z), v I) with a learned variance v, or ``bernoulli`` with logits f(z), for data in
[0, 1]. :func:`importance_bound` is the tighter bound on the log-likelihood of Burda et al. 2015 (arXiv:1509.00519),

    1/n sum_i log 1/K sum_k p(x_i | z_ik) p(z_ik) / q(z_ik | x_i),    z_ik ~ q(z | x_i),

which is at least the evidence lower bound and rises to log p(x) with the number K of draws.

With ``prior="learned"`` z ~ N(a, diag b^2) instead. For one data set that adds nothing, as the nets can move and
stretch the codes themselves; but a and b are a short way to say where the codes of a task lie, which an inner loop
finds from a few rows, with rates far larger than the nets bear.

Differs from the paper: noise travels in ``Data.noise``, a few draws a row averaged in the loss. v is ``noise_floor``
plus the exponential of a parameter, one number for all columns, so that rows which can be rebuilt exactly do not
drive it to zero. The logarithm of s^2 is held between -15 and 15.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from firstsight.checks import check_choice, check_number, check_widths
from firstsight.core import Data, Learner, Tree
from firstsight.nets.functional import Functional
from firstsight.nets.mlp import ACTIVATIONS, mlp
from firstsight.tensor_checks import check_rows, drawn_noise

LOG_VARIANCES = 15.0


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a variational autoencoder.

    Parameters
    ----------
    n_features : int
        Number of columns, >= 1.
    n_code : int
        Numbers in the code, >= 1.
    hidden : tuple of int
        Widths of the encoder's hidden layers; the decoder mirrors them. Empty for linear halves.
    activation : {"relu", "tanh", "gelu"}
        Between the layers.
    decoder : {"gaussian", "bernoulli"}
        What rows are: real numbers, or numbers from 0 to 1. The loss of a row outside is NaN.
    prior : {"standard", "learned"}
        Of the codes: N(0, I), or a normal distribution whose means and log variances are the leaf ``prior``.
    noise_floor : float
        The least variance of a Gaussian decoder, in squared units of the data, > 0.
    n_draws : int
        Noise draws a row, >= 1.

    """

    n_features: int = 2
    n_code: int = 2
    hidden: tuple[int, ...] = (32,)
    activation: Literal["relu", "tanh", "gelu"] = "relu"
    decoder: Literal["gaussian", "bernoulli"] = "gaussian"
    prior: Literal["standard", "learned"] = "standard"
    noise_floor: float = 1e-3
    n_draws: int = 4

    def __post_init__(self) -> None:
        check_number("n_features", self.n_features, at_least=1, integer=True)
        check_number("n_code", self.n_code, at_least=1, integer=True)
        check_widths("hidden", self.hidden)
        check_choice("activation", self.activation, list(ACTIVATIONS))
        check_choice("decoder", self.decoder, ["gaussian", "bernoulli"])
        check_choice("prior", self.prior, ["standard", "learned"])
        check_number("noise_floor", self.noise_floor, above=0)
        check_number("n_draws", self.n_draws, at_least=1, integer=True)


class Nets(NamedTuple):
    """The two halves as functions of their parameters, for the functions below.

    Parameters
    ----------
    encoder : Functional
        ``(params["encoder"], X) -> Tensor of shape (n_rows, 2 * n_code)``: means, then log variances.
    decoder : Functional
        ``(params["decoder"], codes) -> Tensor of shape (n_rows, n_features)``: means or logits.
    config : Config
        Settings.

    """

    encoder: Functional
    decoder: Functional
    config: Config


def nets(config: Config) -> Nets:
    """The nets of these settings."""
    inner = (config.n_features, *config.hidden)
    with torch.device("meta"):  # draws nothing from the global generator
        encoder = mlp((*inner, 2 * config.n_code), activation=config.activation)
        decoder = mlp((config.n_code, *inner[::-1]), activation=config.activation)
    return Nets(Functional(encoder), Functional(decoder), config)


def init(generator: torch.Generator, *, nets: Nets) -> Tree:
    """Parameters of both halves, as torch initialises them; ``log_noise`` and ``prior`` at 0, where there are any."""
    params = {"encoder": nets.encoder.init(generator), "decoder": nets.decoder.init(generator)}
    if nets.config.decoder == "gaussian":
        params["log_noise"] = torch.zeros(())
    if nets.config.prior == "learned":
        params["prior"] = {name: torch.zeros(nets.config.n_code) for name in ("means", "log_variances")}
    return params


def encode(params: Tree, X: Tensor, *, nets: Nets) -> tuple[Tensor, Tensor]:
    """Means and log variances of the codes, each of shape (n_rows, n_code)."""
    check_rows("X", X, row_shape=(nets.config.n_features,))
    means, log_variances = nets.encoder(params["encoder"], X).chunk(2, 1)
    return means, log_variances.clamp(-LOG_VARIANCES, LOG_VARIANCES)


def decode(params: Tree, codes: Tensor, *, nets: Nets) -> Tensor:
    """What a row is expected to be, of shape (n_rows, n_features): means, or probabilities of a Bernoulli decoder.

    Parameters
    ----------
    params : dict
        Of the learner.
    codes : Tensor of shape (n_rows, n_code)
        From ``predict``, or standard normal numbers for new rows.
    nets : Nets
        From :func:`nets`.

    """
    check_rows("codes", codes, row_shape=(nets.config.n_code,))
    decoded: Tensor = nets.decoder(params["decoder"], codes)
    return decoded.sigmoid() if nets.config.decoder == "bernoulli" else decoded


def sample(params: Tree, generator: torch.Generator, n_rows: int, *, nets: Nets) -> Tensor:
    """New rows of shape (n_rows, n_features), drawn from the model."""
    like = params["decoder"]["0"]["weight"]
    prior_means, prior_logs = _prior(params, like.new_zeros(nets.config.n_code))
    codes = torch.randn(n_rows, nets.config.n_code, generator=generator, dtype=like.dtype)
    codes = prior_means + (0.5 * prior_logs).exp() * codes
    rows = decode(params, codes, nets=nets)
    if nets.config.decoder == "bernoulli":
        return torch.bernoulli(rows, generator=generator)
    return rows + _variance(params, nets).sqrt() * torch.randn(rows.shape, generator=generator, dtype=rows.dtype)


def divergence(means: Tensor, logs: Tensor, prior_means: Tensor, prior_logs: Tensor) -> Tensor:
    """KL(N(means, exp(logs)) || N(prior_means, exp(prior_logs))) in nats, summed over the last axis."""
    squares = (means - prior_means) ** 2 + logs.exp()
    return 0.5 * (squares * (-prior_logs).exp() - 1 + prior_logs - logs).sum(-1)


def log_likelihood(params: Tree, X: Tensor, codes: Tensor, *, nets: Nets) -> Tensor:
    """Log p(x | z) in nats, of shape (n_rows, n_draws).

    Parameters
    ----------
    params : dict
        Of the learner.
    X : Tensor of shape (n_rows, n_features)
        Rows.
    codes : Tensor of shape (n_rows, n_draws, n_code)
        Some for each row.
    nets : Nets
        From :func:`nets`.

    """
    decoded: Tensor = nets.decoder(params["decoder"], codes.flatten(0, 1)).unflatten(0, codes.shape[:2])
    rows = X[:, None, :].expand_as(decoded)
    if nets.config.decoder == "bernoulli":
        logs = -functional.binary_cross_entropy_with_logits(decoded, rows, reduction="none").sum(2)
        # Values cannot be looked at here, and the engine stops at NaN.
        return torch.where(((X >= 0) & (X <= 1)).all(1)[:, None], logs, torch.nan)
    variance = _variance(params, nets)
    return -0.5 * ((rows - decoded) ** 2 / variance + variance.log() + math.log(2 * math.pi)).sum(2)


def loss(params: Tree, data: Data, *, nets: Nets) -> Tensor:
    """Minus the evidence lower bound, the mean over rows, in nats."""
    means, logs, codes = _posterior(params, data, nets)
    rebuilt = log_likelihood(params, data.X, codes, nets=nets)
    return divergence(means, logs, *_prior(params, means[0])).mean() - rebuilt.mean()


def importance_bound(params: Tree, data: Data, *, nets: Nets) -> Tensor:
    """The importance-weighted bound on log p(x), the mean over rows, in nats; of as many draws as ``data.noise`` has.

    Parameters
    ----------
    params : dict
        Of the learner.
    data : Data
        Rows with noise of shape (n_rows, n_draws, n_code). Bounds can be compared at one number of draws.
    nets : Nets
        From :func:`nets`.

    """
    _, logs, codes = _posterior(params, data, nets)
    assert data.noise is not None
    prior_means, prior_logs = _prior(params, logs[0])
    squares = data.noise**2 - (codes - prior_means) ** 2 * (-prior_logs).exp()
    prior_over_posterior = 0.5 * (squares + logs[:, None] - prior_logs).sum(2)
    weights = log_likelihood(params, data.X, codes, nets=nets) + prior_over_posterior
    return (weights.logsumexp(1) - math.log(codes.shape[1])).mean()


def predict(params: Tree, X: Tensor, *, nets: Nets) -> Tensor:
    """The mean code of every row, of shape (n_rows, n_code)."""
    return encode(params, X, nets=nets)[0]


def noise(generator: torch.Generator, n_rows: int, *, config: Config) -> Tensor:
    """Standard normal noise of shape (n_rows, n_draws, n_code)."""
    return torch.randn(n_rows, config.n_draws, config.n_code, generator=generator)


def build(config: Config) -> Learner:
    """A variational autoencoder with these settings."""
    both = nets(config)
    return Learner(
        init=partial(init, nets=both),
        loss=partial(loss, nets=both),
        predict=partial(predict, nets=both),
        noise=partial(noise, config=config),
        row_shape=(config.n_features,),
    )


def _posterior(params: Tree, data: Data, nets: Nets) -> tuple[Tensor, Tensor, Tensor]:
    """Means and log variances of q, and the codes that the noise draws from it."""
    drawn = drawn_noise("a variational autoencoder", data)
    means, logs = encode(params, data.X, nets=nets)
    return means, logs, means[:, None] + (0.5 * logs).exp()[:, None] * drawn


def _prior(params: Tree, zeros_like: Tensor) -> tuple[Tensor, Tensor]:
    """Means and log variances of the codes of all rows, of the shape of ``zeros_like``."""
    zeros = torch.zeros_like(zeros_like)
    prior = params.get("prior", {"means": zeros, "log_variances": zeros})
    return prior["means"], prior["log_variances"].clamp(-LOG_VARIANCES, LOG_VARIANCES)


def _variance(params: Tree, nets: Nets) -> Tensor:
    variance: Tensor = nets.config.noise_floor + params["log_noise"].exp()
    return variance

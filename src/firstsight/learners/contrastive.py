"""A contrastive embedding of small images: rows should be known again after a small transformation.

Two views of every row go through a linear embedding; each view has to find its partner among all
others (instance discrimination; SimCLR, Chen et al. 2020, arXiv:2002.05709),

    L = - mean_i log softmax_j(- ||z_i - z_j||^2 / (2 T v))[partner of i],

with the temperature T in units of v, the mean squared distance of the embedded views to their centre,
so that the loss does not change with the scale of the embedding. A view is

    x + D x + D^2 x / 2,    D = sum_t strength_t noise_t G_t,

to second order the small transformation exp(D) x, where G_t are the derivatives of an image by
shift, rotation, scale and shear (tangent propagation; Simard et al. 1992) and noise_t ~ N(0, 1) travels
in ``Data.noise``. With ``learned_views=True`` the strengths and the temperature are parameters: *which*
changes leave a thing what it is can then be learned across tasks, by a meta-learner that adapts only
the ``embedding``.

Differs from SimCLR: distances instead of cosines, a linear embedding that starts as the identity, and
transformations that are differentiable in their strengths.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from firstsight.checks import check_flag, check_number
from firstsight.core import Data, Learner, Tree
from firstsight.tensor_checks import check_rows, drawn_noise

TRANSFORMATIONS = ("shift_x", "shift_y", "rotation", "scale_x", "scale_y", "shear")
"""Each moves the border of the image by its strength in pixels."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the contrastive embedding.

    Parameters
    ----------
    image_size : int
        Height and width in pixels, >= 2; rows are flattened images of one channel.
    temperature : float
        T, in units of the embedded views' mean squared distance to their centre, > 0.
    strength : float
        Standard deviation of every transformation, > 0: in pixels at the border of the image.
    learned_views : bool
        Whether the strengths and the temperature are parameters, which begin at these values.

    """

    image_size: int = 8
    temperature: float = 1.0
    strength: float = 0.2
    learned_views: bool = False

    def __post_init__(self) -> None:
        check_number("image_size", self.image_size, at_least=2, integer=True)
        check_number("temperature", self.temperature, above=0)
        check_number("strength", self.strength, above=0)
        check_flag("learned_views", self.learned_views)


def derivatives(image_size: int) -> Tensor:
    """The linear operators G_t of :data:`TRANSFORMATIONS` on flattened images.

    Parameters
    ----------
    image_size : int
        Height and width in pixels.

    Returns
    -------
    Tensor of shape (n_transformations, n_pixels, n_pixels)
        Central differences, zero outside the image. All are scaled to move the border by one pixel.

    """
    step = torch.zeros(image_size, image_size)
    step += torch.diag(torch.full((image_size - 1,), 0.5), 1) - torch.diag(torch.full((image_size - 1,), 0.5), -1)
    identity = torch.eye(image_size)
    along_x, along_y = torch.kron(identity, step), torch.kron(step, identity)
    place = torch.linspace(-1, 1, image_size)
    x, y = place.repeat(image_size)[:, None], place.repeat_interleave(image_size)[:, None]
    return torch.stack([along_x, along_y, x * along_y - y * along_x, x * along_x, y * along_y, y * along_x])


def init(generator: torch.Generator, *, config: Config) -> Tree:
    """The identity embedding of shape (n_pixels, n_pixels); with learned views, their logarithms too."""
    params = {"embedding": torch.eye(config.image_size**2)}
    if config.learned_views:
        params["log_strength"] = torch.full((len(TRANSFORMATIONS),), config.strength).log()
        params["log_temperature"] = torch.tensor(config.temperature).log()
    return params


def views(X: Tensor, changes: Tensor, operators: Tensor) -> Tensor:
    """Images after small transformations.

    Parameters
    ----------
    X : Tensor of shape (n_rows, n_pixels)
        Flattened images.
    changes : Tensor of shape (n_rows, n_views, n_transformations)
        How far each goes.
    operators : Tensor of shape (n_transformations, n_pixels, n_pixels)
        From :func:`derivatives`.

    Returns
    -------
    Tensor of shape (n_rows, n_views, n_pixels)

    """
    moved = torch.einsum("tpq,nq,nvt->nvp", operators, X, changes)
    return X[:, None] + moved + torch.einsum("tpq,nvq,nvt->nvp", operators, moved, changes) / 2


def loss(params: Tree, data: Data, *, operators: Tensor, config: Config) -> Tensor:
    """How badly views find their partners, in nats; at chance it is log(2 n_rows - 1)."""
    check_rows("X", data.X, row_shape=operators.shape[2:])
    drawn = drawn_noise("the contrastive loss", data)
    strength = params["log_strength"].exp() if config.learned_views else config.strength
    temperature = params["log_temperature"].exp() if config.learned_views else config.temperature
    seen = views(data.X, strength * drawn, operators.to(data.X.dtype))
    n_rows = len(data.X)
    embedded = seen.transpose(0, 1).flatten(0, 1) @ params["embedding"]
    embedded = embedded - embedded.mean(0)
    squares = (embedded**2).sum(1)
    distances = squares[:, None] + squares[None, :] - 2 * embedded @ embedded.T
    # The smallest spread keeps equal rows, whose spread is 0, from giving 0 / 0.
    scores = -distances / (2 * temperature * squares.mean().clamp(min=1e-12))
    itself = torch.eye(2 * n_rows, dtype=torch.bool, device=scores.device)
    log_probability = scores.masked_fill(itself, -torch.inf).log_softmax(1)
    # Row i of the first views has row i of the second as its partner, and the other way round.
    log_found = torch.cat([log_probability.diagonal(n_rows), log_probability.diagonal(-n_rows)])
    return -log_found.mean()


def predict(params: Tree, X: Tensor) -> Tensor:
    """The embedding of every row, of shape (n_rows, n_pixels)."""
    check_rows("X", X, row_shape=params["embedding"].shape[:1])
    embedded: Tensor = X @ params["embedding"]
    return embedded


def noise(generator: torch.Generator, n_rows: int) -> Tensor:
    """Standard normal noise of shape (n_rows, 2, n_transformations)."""
    return torch.randn(n_rows, 2, len(TRANSFORMATIONS), generator=generator)


def build(config: Config) -> Learner:
    """A contrastive embedding with these settings."""
    return Learner(
        init=partial(init, config=config),
        loss=partial(loss, operators=derivatives(config.image_size), config=config),
        predict=predict,
        noise=noise,
        row_shape=(config.image_size**2,),
    )

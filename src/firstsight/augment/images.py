"""Random changes of small images that leave a thing what it is: warps, crops, holes and the width of strokes.

Rotation, scale, shear, shift, crop and elastic displacement are one map from the places of the new image to
places of the old one, which is read once, bilinearly:

    place(u) = A (u + B d B') + shift,        A = rotation . shear . scale . crop,

with u the regular grid over -1 to 1, d normal noise on a coarse grid of ``elastic_cells`` squared and B its
interpolation by Gaussian bumps whose rows sum to one. Beyond the border lies 0 (paper, where ink is 1). After that
come the stroke's width, by grey morphology (Serra 1982): dilation is max pooling, erosion max pooling of the
negative, each blended in by a drawn share; and erasing of a rectangle (Zhong et al. 2017, arXiv:1708.04896).

Differs from chains of single transformations, as kornia's: one interpolation in place of three or four, which is
faster and blurs less. All numbers are drawn by the generator that is handed in.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from firstsight.checks import check_number
from firstsight.seeds import uniform


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the changes; every one is off at its default.

    Parameters
    ----------
    rotation : float
        Largest turn in degrees to either side, 0 to 180.
    scale : float
        Largest change of size, 0 to below 1: sides are multiplied by up to 1 + scale, or divided by it.
    shear : float
        Largest shear in degrees to either side, 0 to 45.
    shift : float
        Largest shift to either side as a share of the side, 0 to 1.
    elastic : float
        Standard deviation of the elastic displacement at a coarse cell as a share of the side, 0 to 1.
    elastic_cells : int
        Coarse cells along a side, >= 2: more of them give finer waves.
    crop : float
        The least share of the area that a random crop keeps, above 0 to 1; 1 crops nothing.
    stroke : float
        Largest share of dilation or erosion by a square of 3 pixels, 0 to 1.
    erase : float
        Probability that a rectangle is erased, 0 to 1.
    erase_side : float
        The longest side of that rectangle as a share of the image's, above 0 to 1.

    """

    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    elastic_cells: int = 5
    crop: float = 1.0
    stroke: float = 0.0
    erase: float = 0.0
    erase_side: float = 0.4

    def __post_init__(self) -> None:
        check_number("rotation", self.rotation, at_least=0, at_most=180)
        check_number("scale", self.scale, at_least=0, at_most=0.99)
        check_number("shear", self.shear, at_least=0, at_most=45)
        for name in ("shift", "elastic", "stroke", "erase"):
            check_number(name, getattr(self, name), at_least=0, at_most=1)
        check_number("elastic_cells", self.elastic_cells, at_least=2, integer=True)
        for name in ("crop", "erase_side"):
            check_number(name, getattr(self, name), above=0, at_most=1)


LINES = Config(rotation=15.0, scale=0.2, shear=15.0, shift=0.08, elastic=0.03, stroke=0.5)
"""For line drawings on empty paper, such as handwritten characters."""

OBJECTS = Config(rotation=10.0, scale=0.2, shear=5.0, shift=0.08, elastic=0.01, crop=0.5, erase=0.5)
"""For pictures of things that fill the frame."""


class Places(NamedTuple):
    """Where every new image is read.

    Parameters
    ----------
    matrix : Tensor of shape (n, 2, 2)
        A, in units of half a side.
    shift : Tensor of shape (n, 2)
        Of x and y, in the same units.
    waves : Tensor of shape (n, 2, elastic_cells, elastic_cells)
        d of x and y, in the same units.

    """

    matrix: Tensor
    shift: Tensor
    waves: Tensor


def check_images(name: str, X: Any) -> None:
    """Refuse what is no tensor (n, channels, height, width) of floating-point numbers."""
    if not isinstance(X, Tensor) or not X.is_floating_point():
        found = X.dtype if isinstance(X, Tensor) else type(X).__name__
        raise TypeError(f"{name} should be a floating-point tensor; found {found}; convert with {name}.float()")
    if X.ndim != 4:
        raise ValueError(
            f"{name} should have shape (n, channels, height, width); found {tuple(X.shape)}; "
            f"use {name}[:, None] for grey images without an axis of channels"
        )


def augment(generator: torch.Generator, images: Tensor, config: Config) -> Tensor:
    """Changed copies of some images, each changed in its own way.

    Parameters
    ----------
    generator : torch.Generator
        Draws the changes.
    images : Tensor of shape (n, channels, height, width)
        Floating point.
    config : Config
        How far the changes go.

    Returns
    -------
    Tensor of shape (n, channels, height, width)
        No value lies outside the range of the image and 0.

    Raises
    ------
    TypeError, ValueError
        When the images are not what they should be.

    """
    check_images("images", images)
    if any((config.rotation, config.scale, config.shear, config.shift, config.elastic, config.crop < 1)):
        images = warp(images, draw_places(generator, len(images), config))
    if config.stroke:
        images = stroke(images, uniform(generator, (len(images),), (-config.stroke, config.stroke)).to(images))
    if config.erase:
        images = erase(images, draw_holes(generator, len(images), config).to(images))
    return images


def draw_places(generator: torch.Generator, n: int, config: Config) -> Places:
    """Random places to read ``n`` images at."""
    angle, slant = (
        uniform(generator, (n,), (-limit * math.pi / 180, limit * math.pi / 180))
        for limit in (config.rotation, config.shear)
    )
    # Exponents: as likely to grow by a factor as to shrink by it, in each direction by itself.
    size = math.log1p(config.scale)
    stretch = uniform(generator, (n, 2), (-size, size)).exp()
    kept = uniform(generator, (n, 1), (config.crop, 1.0)).sqrt()
    shift = 2 * uniform(generator, (n, 2), (-config.shift, config.shift))
    shift = shift + (1 - kept) * uniform(generator, (n, 2), (-1.0, 1.0))
    cells = config.elastic_cells
    waves = 2 * config.elastic * torch.randn(n, 2, cells, cells, generator=generator)
    cosine, sine, tangent = angle.cos(), angle.sin(), slant.tan()
    turned = torch.stack([cosine, -sine, sine, cosine], 1).reshape(n, 2, 2)
    sheared = torch.eye(2).repeat(n, 1, 1)
    sheared[:, 0, 1] = tangent
    return Places((turned @ sheared) * (kept * stretch)[:, None, :], shift, waves)


def warp(images: Tensor, places: Places) -> Tensor:
    """Images read at other places, bilinearly, with 0 beyond the border.

    Parameters
    ----------
    images : Tensor of shape (n, channels, height, width)
        Floating point.
    places : Places
        Of ``n`` images.

    Returns
    -------
    Tensor of shape (n, channels, height, width)

    """
    n, _, height, width = images.shape
    rows, columns = (bumps(side, places.waves.shape[-1]).to(images) for side in (height, width))
    moved = (rows @ places.waves.to(images) @ columns.T).flatten(2)
    y, x = ((2 * torch.arange(side, dtype=images.dtype) + 1) / side - 1 for side in (height, width))
    regular = torch.stack([x.repeat(height), y.repeat_interleave(width)])
    grid = places.matrix.to(images) @ (regular + moved) + places.shift.to(images)[:, :, None]
    return functional.grid_sample(images, grid.transpose(1, 2).reshape(n, height, width, 2), align_corners=False)


def bumps(side: int, cells: int) -> Tensor:
    """The interpolation B from ``cells`` coarse places to ``side`` pixels; rows sum to one."""
    fine = (torch.arange(side) + 0.5) / side
    coarse = (torch.arange(cells) + 0.5) / cells
    return (-0.5 * ((fine[:, None] - coarse[None, :]) * cells / 0.7) ** 2).softmax(1)


def stroke(images: Tensor, amount: Tensor) -> Tensor:
    """Bright strokes made wider or narrower.

    Parameters
    ----------
    images : Tensor of shape (n, channels, height, width)
        Bright strokes on dark paper.
    amount : Tensor of shape (n,)
        The share of dilation where positive, of erosion where negative, -1 to 1.

    Returns
    -------
    Tensor of shape (n, channels, height, width)

    """
    sign = torch.where(amount < 0, -1.0, 1.0).to(images)[:, None, None, None]
    # Erosion is dilation of the negative, so that one pass of max pooling serves both.
    wide = sign * functional.max_pool2d(sign * images, 3, stride=1, padding=1)
    return torch.lerp(images, wide, amount.abs()[:, None, None, None])


def draw_holes(generator: torch.Generator, n: int, config: Config) -> Tensor:
    """Rectangles of shape (n, 4): left, right, top and bottom as shares of the side; empty where nothing is erased."""
    sides = uniform(generator, (n, 2), (0.0, config.erase_side))
    sides = sides * (torch.rand(n, 1, generator=generator) < config.erase)
    corner = torch.rand(n, 2, generator=generator) * (1 - sides)
    return torch.stack([corner[:, 0], corner[:, 0] + sides[:, 0], corner[:, 1], corner[:, 1] + sides[:, 1]], 1)


def erase(images: Tensor, holes: Tensor) -> Tensor:
    """Images with 0 inside one rectangle each; see :func:`draw_holes`."""
    height, width = images.shape[2:]
    y, x = ((torch.arange(side, dtype=images.dtype) + 0.5) / side for side in (height, width))
    left, right, top, bottom = (edge[:, None] for edge in holes.T)
    inside = ((y > top) & (y < bottom))[:, :, None] & ((x > left) & (x < right))[:, None, :]
    return images.masked_fill(inside[:, None], 0)

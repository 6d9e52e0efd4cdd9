"""Random changes of log-mel pictures of sounds that leave what is said, and who says it, what they are.

Masks of time and of frequency (SpecAugment, Park et al. 2019, arXiv:1904.08779): bands of a drawn width at a drawn
place become 0. Before them one reading of the picture at other places, as :func:`firstsight.augment.images.warp` does
it, moves and stretches it in time and, a little, in frequency, and lets the tempo change on the way,

    place(t, f) = (t / stretch + shift + B d,  f / scale + lift),

with d normal noise at a few times and B its interpolation. Then comes what rooms and microphones add: another sound of
the batch, heard where it is louder, max(value, level . other); and, to whatever lies above the floor, a slope over the
frequencies, gain, and noise.

Differs from SpecAugment: masks are 0, the floor, and not the mean; shift, stretch and tempo in place of its warp by
splines; and frequency moves a little too, as voices do (Jaitly and Hinton 2013).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from firstsight.augment.images import Places, check_images, warp
from firstsight.checks import check_number
from firstsight.seeds import uniform


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the changes; every one is off at its default.

    Parameters
    ----------
    shift : float
        Largest move in time to either side as a share of the width, 0 to 1.
    stretch : float
        Largest change of tempo, 0 to below 1: lengths are multiplied by up to 1 + stretch, or divided by it.
    tempo : float
        Standard deviation of the displacement in time at one of ``tempo_cells`` times as a share of the width, 0 to 1.
    tempo_cells : int
        Times at which it is drawn, >= 2.
    lift : float
        Largest move in frequency to either side as a share of the height, 0 to 1.
    scale : float
        Largest change of the height, 0 to below 1, as ``stretch``.
    crop : float
        The least share of the area that a random crop, blown up to the whole, keeps: above 0 to 1; 1 crops nothing.
    slope : float
        Largest change at the lowest and the opposite one at the highest band, in units of the picture, 0 to 1.
    gain : float
        Largest change of all values, in units of the picture, 0 to 1.
    mix : float
        Highest level of another row of the batch, 0 to 1; it is 0 for half of the rows.
    noise : float
        Standard deviation of what is added to every value above the floor, in units of the picture, 0 to 1.
    time_masks, frequency_masks : int
        How many masks, >= 0.
    time_mask, frequency_mask : float
        The widest mask as a share of the width or the height, 0 to 1.

    """

    shift: float = 0.0
    stretch: float = 0.0
    tempo: float = 0.0
    tempo_cells: int = 5
    lift: float = 0.0
    scale: float = 0.0
    crop: float = 1.0
    slope: float = 0.0
    gain: float = 0.0
    mix: float = 0.0
    noise: float = 0.0
    time_masks: int = 0
    time_mask: float = 0.2
    frequency_masks: int = 0
    frequency_mask: float = 0.2

    def __post_init__(self) -> None:
        for name in ("shift", "tempo", "lift", "slope", "gain", "mix", "noise", "time_mask", "frequency_mask"):
            check_number(name, getattr(self, name), at_least=0, at_most=1)
        for name in ("stretch", "scale"):
            check_number(name, getattr(self, name), at_least=0, at_most=0.99)
        check_number("crop", self.crop, above=0, at_most=1)
        check_number("tempo_cells", self.tempo_cells, at_least=2, integer=True)
        for name in ("time_masks", "frequency_masks"):
            check_number(name, getattr(self, name), at_least=0, integer=True)


SPEECH = Config(shift=0.1, stretch=0.3, tempo=0.04, noise=0.02, time_masks=2, time_mask=0.3)
"""For words where the voice matters too: time is changed, the colour of the sound is left as it is."""


def augment(generator: torch.Generator, X: Tensor, config: Config) -> Tensor:
    """Changed copies of some pictures, each changed in its own way.

    Parameters
    ----------
    generator : torch.Generator
        Draws the changes.
    X : Tensor of shape (n, 1, n_mels, n_frames)
        Floating point, 0 to 1, as :func:`firstsight.inputs.sounds.log_mel` gives them.
    config : Config
        How far the changes go.

    Returns
    -------
    Tensor of shape (n, 1, n_mels, n_frames)
        0 to 1.

    Raises
    ------
    TypeError, ValueError
        When the pictures are not what they should be.

    """
    check_images("X", X)
    n, changed = len(X), X
    if any((config.shift, config.stretch, config.tempo, config.lift, config.scale, config.crop < 1)):
        changed = warp(changed, draw_places(generator, n, config))
    if config.mix:
        changed = torch.maximum(changed, draw_levels(generator, n, config).to(X) * changed.roll(1, 0))
    if config.slope or config.gain:
        changed = louder(changed, draw_gains(generator, n, X.shape[2], config).to(X))
    if config.noise:
        draws = torch.randn(changed.shape, generator=generator).to(X)
        changed = torch.where(changed > 0, (changed + config.noise * draws).clamp(0, 1), changed)
    for axis, count, widest in (
        (3, config.time_masks, config.time_mask),
        (2, config.frequency_masks, config.frequency_mask),
    ):
        for _ in range(count):
            changed = mask(changed, draw_band(generator, n, widest).to(X), axis)
    return changed


def draw_places(generator: torch.Generator, n: int, config: Config) -> Places:
    """Random places to read ``n`` pictures at."""
    stretch, scale = (
        uniform(generator, (n,), (-math.log1p(limit), math.log1p(limit))).exp()
        for limit in (config.stretch, config.scale)
    )
    kept = uniform(generator, (n, 2), (config.crop, 1.0)).sqrt()
    free = (1 - kept) * uniform(generator, (n, 2), (-1.0, 1.0))
    move, lift = (2 * uniform(generator, (n,), (-limit, limit)) for limit in (config.shift, config.lift))
    cells = config.tempo_cells
    wave = 2 * config.tempo * torch.randn(n, 1, cells, generator=generator)
    waves = torch.stack([wave.expand(n, cells, cells), torch.zeros(n, cells, cells)], 1)
    matrix = torch.diag_embed(torch.stack([kept[:, 0] * stretch, kept[:, 1] * scale], 1))
    return Places(matrix, torch.stack([move, lift], 1) + free, waves)


def draw_levels(generator: torch.Generator, n: int, config: Config) -> Tensor:
    """How loud the other row is; shape (n, 1, 1, 1), 0 for about half."""
    level = uniform(generator, (n,), (-config.mix, config.mix)).clamp(min=0)
    return level[:, None, None, None]


def draw_gains(generator: torch.Generator, n: int, n_mels: int, config: Config) -> Tensor:
    """What is added in every band; shape (n, 1, n_mels, 1)."""
    slope, gain = (uniform(generator, (n, 1), (-limit, limit)) for limit in (config.slope, config.gain))
    return (gain + slope * torch.linspace(-1, 1, n_mels))[:, None, :, None]


def louder(X: Tensor, gains: Tensor) -> Tensor:
    """Pictures with some decibels more or less; what lies at the floor stays there."""
    return torch.where(X > 0, (X + gains).clamp(0, 1), X)


def draw_band(generator: torch.Generator, n: int, widest: float) -> Tensor:
    """Begin and end of one mask each as shares of the side; shape (n, 2)."""
    width = uniform(generator, (n,), (0.0, widest))
    begin = torch.rand(n, generator=generator) * (1 - width)
    return torch.stack([begin, begin + width], 1)


def mask(X: Tensor, bands: Tensor, axis: int) -> Tensor:
    """Pictures with 0 wherever the middle of a cell along an axis lies within the band; see :func:`draw_band`."""
    side = X.shape[axis]
    middle = (torch.arange(side, dtype=X.dtype, device=X.device) + 0.5) / side
    inside = (middle > bands[:, :1]) & (middle < bands[:, 1:])
    return X.masked_fill(inside[:, None, None, :] if axis == 3 else inside[:, None, :, None], 0)

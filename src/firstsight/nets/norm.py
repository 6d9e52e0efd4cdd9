"""Batch normalisation without running statistics (Ioffe and Szegedy 2015, arXiv:1502.03167).

Differs from the paper: at prediction the statistics are not running averages but those handed in, such as
those of a task's support; without any, they are those of the rows at hand. They are returned either way, so
that nothing is remembered inside the module.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

EPSILON = 1e-5


class Statistics(NamedTuple):
    """Of one layer.

    Parameters
    ----------
    mean, variance : Tensor of shape (n_channels,)
        Over rows and pixels.

    """

    mean: Tensor
    variance: Tensor


class BatchNorm(nn.Module):
    """Normalise every channel of images, then scale and shift it.

    Parameters
    ----------
    n_channels : int
        Channels, >= 1.

    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_channels))
        self.bias = nn.Parameter(torch.zeros(n_channels))

    def reset_parameters(self) -> None:
        """Scale by 1, shift by 0."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, images: Tensor, statistics: Statistics | None = None) -> tuple[Tensor, Statistics]:
        """The normalised images of shape (n_rows, n_channels, height, width), and the statistics used."""
        if statistics is None:
            variance, mean = torch.var_mean(images, (0, 2, 3), correction=0)
            statistics = Statistics(mean, variance)
        scale = self.weight * torch.rsqrt(statistics.variance + EPSILON)
        shift = self.bias - statistics.mean * scale
        return images * scale[:, None, None] + shift[:, None, None], statistics

"""An encoder for pools of sounds: convolutions over time, and what their outputs are like over all that is heard.

The body of speaker recognition (Snyder et al. 2018, x-vectors): the bands of a log-mel picture are channels, each
layer is convolution over time, batch normalisation and ReLU, and the mean and the standard deviation of the last one
over time are the features. Every band is normalised first: voices differ in small differences between bands.

Differs from x-vectors: there is no linear layer after the pooling; mean and deviation of the first cepstral
coefficients (the cosine transform of the bands, Davis and Mermelstein 1980), which nothing is learned in, stand beside
those of the last layer; all features are normalised at the end; and a frame that is 0 in every band (paper
around the sound, or masked) has no share in mean and deviation, so that a short word is not one that is half silent.
As these nets are not adapted to a task, normalisation uses running statistics at test: one sound is embedded as it
would be among others.
"""

import math

import torch
from torch import Tensor, nn

from firstsight.checks import check_number

LEAST = 1e-6  # variance under the root, whose slope at 0 is infinite


class FrameEncoder(nn.Module):
    """Log-mel pictures to features.

    Parameters
    ----------
    n_mels : int
        Bands, >= 1.
    n_filters : int
        Channels of every layer, >= 1.
    n_layers : int
        Layers, >= 1; the first sees 5 frames, each further one 3, which are 1, 2, 3 ... frames apart.
    n_cepstra : int
        Cepstral coefficients beside the last layer, 0 to ``n_mels``.

    Attributes
    ----------
    n_features : int
        Width of the output, ``2 * (n_filters + n_cepstra)``.

    """

    cosines: Tensor

    def __init__(self, *, n_mels: int = 40, n_filters: int = 96, n_layers: int = 3, n_cepstra: int = 20) -> None:
        super().__init__()
        for name, number in (("n_mels", n_mels), ("n_filters", n_filters), ("n_layers", n_layers)):
            check_number(name, number, at_least=1, integer=True)
        check_number("n_cepstra", n_cepstra, at_least=0, at_most=n_mels, integer=True)
        self.bands = nn.BatchNorm1d(n_mels)
        layers: list[nn.Module] = []
        for layer in range(n_layers):
            inputs, seen = (n_mels, 5) if layer == 0 else (n_filters, 3)
            apart = max(1, layer)
            layers += [
                nn.Conv1d(inputs, n_filters, seen, padding=apart * (seen // 2), dilation=apart, bias=False),
                nn.BatchNorm1d(n_filters),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        angles = math.pi / n_mels * torch.arange(n_cepstra)[:, None] * (torch.arange(n_mels) + 0.5)
        self.register_buffer("cosines", angles.cos() * math.sqrt(2 / n_mels))
        self.n_features = 2 * (n_filters + n_cepstra)
        self.norm = nn.BatchNorm1d(self.n_features, affine=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Features of shape (n_rows, n_features) of pictures of shape (n_rows, 1, n_mels, n_frames)."""
        frames = pictures[:, 0]
        heard = (frames > 0).any(1, keepdim=True).to(frames)
        share = heard / heard.sum(2, keepdim=True).clamp(min=1)
        outputs = torch.cat([self.layers(self.bands(frames) * heard), self.cosines @ frames], 1)
        mean = (outputs * share).sum(2)
        variance = ((outputs - mean[:, :, None]) ** 2 * share).sum(2)
        features: Tensor = self.norm(torch.cat([mean, (variance + LEAST).sqrt()], 1))
        return features

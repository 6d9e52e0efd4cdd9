"""Encoders for pools of images and of vectors, and heads for contrastive training.

Images: the body of few-shot learning (Vinyals et al. 2016, arXiv:1606.04080): 3x3 convolution, batch normalisation,
ReLU and 2x2 max pooling, whose last rows and columns are kept (28 pixels end as 2 x 2). As these nets are not adapted
to a task, normalisation uses running statistics at test: one image is embedded as it would be among others. Differs
from the paper: pooling comes before normalisation, which for a positive scale gives the same maximum and costs a
quarter; 1.4 times as fast in training on a CPU.

Vectors: f(x) = W x + B relu(norm(A x)), with W the identity and B zero at the start, so that training begins with what
the vectors already know.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from firstsight.checks import check_number
from firstsight.seeds import seed_of


class Encoder(nn.Module):
    """Images to features.

    Parameters
    ----------
    n_channels : int
        Channels of the image, >= 1.
    image_size : int
        Height and width in pixels, >= 1.
    n_filters : int
        Channels of every block, >= 1.
    n_blocks : int
        Number of blocks, >= 1.

    Attributes
    ----------
    n_features : int
        Width of the output.

    """

    def __init__(self, *, n_channels: int = 1, image_size: int = 28, n_filters: int = 64, n_blocks: int = 4) -> None:
        super().__init__()
        for name, number in (
            ("n_channels", n_channels),
            ("image_size", image_size),
            ("n_filters", n_filters),
            ("n_blocks", n_blocks),
        ):
            check_number(name, number, at_least=1, integer=True)
        layers: list[nn.Module] = []
        for block in range(n_blocks):
            layers += [
                nn.Conv2d(n_channels if block == 0 else n_filters, n_filters, 3, padding=1, bias=False),
                nn.MaxPool2d(2, ceil_mode=True),
                nn.BatchNorm2d(n_filters),
                nn.ReLU(),
            ]
            image_size = (image_size + 1) // 2
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.n_features = n_filters * image_size**2

    def forward(self, images: Tensor) -> Tensor:
        """Features of shape (n_rows, n_features)."""
        features: Tensor = self.layers(images.contiguous(memory_format=torch.channels_last))
        return features.flatten(1)


class VectorEncoder(nn.Module):
    """Vectors to features of the same width; before any training, features are the vectors.

    Parameters
    ----------
    n_inputs : int
        Width of the input, >= 1.
    n_hidden : int
        Hidden units beside the linear map, >= 0; with 0 the encoder is the linear map alone.

    Attributes
    ----------
    n_features : int
        Width of the output.

    """

    def __init__(self, *, n_inputs: int, n_hidden: int = 0) -> None:
        super().__init__()
        check_number("n_inputs", n_inputs, at_least=1, integer=True)
        check_number("n_hidden", n_hidden, at_least=0, integer=True)
        self.n_features = n_inputs
        # Bare parameters, which drawing a net anew from a seed leaves as they are.
        self.map = nn.Parameter(torch.eye(n_inputs))
        self.hidden: nn.Sequential | None = None
        if n_hidden:
            self.hidden = nn.Sequential(nn.Linear(n_inputs, n_hidden, bias=False), nn.BatchNorm1d(n_hidden), nn.ReLU())
            self.back = nn.Parameter(torch.zeros(n_inputs, n_hidden))

    def forward(self, X: Tensor) -> Tensor:
        """Features of rows (n_rows, n_inputs), or of the first copy of (n_rows, n_copies, n_inputs)."""
        if X.ndim == 3:
            X = X[:, 0]
        features = functional.linear(X, self.map)
        if self.hidden is None:
            return features
        return features + functional.linear(self.hidden(X), self.back)


def head(n_inputs: int, n_hidden: int, n_outputs: int) -> nn.Module:
    """Linear, normalised, ReLU, linear: the projector and the predictor of contrastive training."""
    return nn.Sequential(
        nn.Linear(n_inputs, n_hidden, bias=False),
        nn.BatchNorm1d(n_hidden),
        nn.ReLU(),
        nn.Linear(n_hidden, n_outputs, bias=False),
    )


def seeded(module: nn.Module, seed: int) -> nn.Module:
    """The module, its parameters drawn anew from a seed; the global generator is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "init"))
        for part in module.modules():
            if callable(reset := getattr(part, "reset_parameters", None)):
                reset()
    return module

"""The four-block convolutional body of the few-shot literature (Vinyals et al. 2016, arXiv:1606.04080).

Differs from the paper: normalisation is over each image alone (one group), which needs no batch
statistics and so is inductive and the same for one image or many.
"""

from torch import nn

from firstsight.checks import check_number


def conv(*, n_channels: int, image_size: int, n_filters: int = 64, n_blocks: int = 4) -> nn.Sequential:
    """Blocks of 3x3 convolution, normalisation, ReLU and 2x2 max pooling, flattened.

    Parameters
    ----------
    n_channels : int
        Channels of the image, >= 1.
    image_size : int
        Height and width in pixels; pooling stops once a block would see fewer than 2 pixels.
    n_filters : int
        Channels of every block, >= 1.
    n_blocks : int
        Number of blocks, >= 1.

    Returns
    -------
    nn.Sequential
        ``(n_rows, n_channels, image_size, image_size) -> (n_rows, conv_features(...))``.

    """
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
            nn.Conv2d(n_channels if block == 0 else n_filters, n_filters, 3, padding=1),
            nn.GroupNorm(1, n_filters),
            nn.ReLU(),
        ]
        if image_size >= 2:
            layers.append(nn.MaxPool2d(2))
            image_size //= 2
    return nn.Sequential(*layers, nn.Flatten())


def conv_features(*, image_size: int, n_filters: int = 64, n_blocks: int = 4) -> int:
    """Width of the output of :func:`conv`."""
    for _ in range(n_blocks):
        image_size = image_size // 2 if image_size >= 2 else image_size
    return n_filters * image_size**2

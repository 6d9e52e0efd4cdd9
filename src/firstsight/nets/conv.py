"""The four-block convolutional body of the few-shot literature (Vinyals et al. 2016, arXiv:1606.04080).

With ``downsample="stride"`` it is the body that MAML (arXiv:1703.03400) uses on Omniglot: strided convolutions
in place of pooling, four times cheaper.

Differs from the papers: normalisation over each image alone (``norm="image"``, one group) needs no batch
statistics, so it is inductive and the same for one image or many; ``norm="batch"`` is theirs, without running
statistics.
"""

from torch import Tensor, nn

from firstsight.checks import check_choice, check_number
from firstsight.nets.norm import BatchNorm, Statistics

NORMS = ("image", "batch")
DOWNSAMPLES = ("pool", "stride")


class Block(nn.Module):
    """3x3 convolution, normalisation, ReLU, and half the height and width by pooling or by stride."""

    def __init__(self, n_in: int, n_out: int, *, norm: str, downsample: str, halve: bool) -> None:
        super().__init__()
        stride = 2 if halve and downsample == "stride" else 1
        self.conv = nn.Conv2d(n_in, n_out, 3, padding=1, stride=stride)
        self.norm = BatchNorm(n_out) if norm == "batch" else nn.GroupNorm(1, n_out)
        self.pool = nn.MaxPool2d(2) if halve and downsample == "pool" else nn.Identity()

    def forward(self, images: Tensor, statistics: Statistics | None = None) -> tuple[Tensor, Statistics | None]:
        """The next images, and the statistics of the normalisation where it has any."""
        images = self.conv(images)
        if isinstance(self.norm, BatchNorm):
            images, statistics = self.norm(images, statistics)
        else:
            images = self.norm(images)
        return self.pool(images.relu()), statistics


class Conv(nn.Module):
    """Blocks of convolution, normalisation, ReLU and halving, flattened.

    Parameters
    ----------
    n_channels : int
        Channels of the image, >= 1.
    image_size : int
        Height and width in pixels; halving stops once a block would see fewer than 2 pixels.
    n_filters : int
        Channels of every block, >= 1.
    n_blocks : int
        Number of blocks, >= 1.
    norm : {"image", "batch"}
        Over each image alone, or over all rows at hand.
    downsample : {"pool", "stride"}
        2x2 max pooling after a block, or every second place of its convolution.

    Attributes
    ----------
    n_features : int
        Width of the output.

    """

    def __init__(
        self,
        *,
        n_channels: int,
        image_size: int,
        n_filters: int = 64,
        n_blocks: int = 4,
        norm: str = "image",
        downsample: str = "pool",
    ) -> None:
        super().__init__()
        for name, number in (
            ("n_channels", n_channels),
            ("image_size", image_size),
            ("n_filters", n_filters),
            ("n_blocks", n_blocks),
        ):
            check_number(name, number, at_least=1, integer=True)
        check_choice("norm", norm, NORMS)
        check_choice("downsample", downsample, DOWNSAMPLES)
        self.blocks = nn.ModuleList()
        for block in range(n_blocks):
            halve = image_size >= 2
            n_in = n_channels if block == 0 else n_filters
            self.blocks.append(Block(n_in, n_filters, norm=norm, downsample=downsample, halve=halve))
            if halve:
                image_size = image_size // 2 if downsample == "pool" else (image_size + 1) // 2
        self.n_features = n_filters * image_size**2

    def forward(
        self, images: Tensor, statistics: tuple[Statistics | None, ...] | None = None
    ) -> tuple[Tensor, tuple[Statistics | None, ...]]:
        """Features of shape (n_rows, n_features), and the statistics of every block.

        Parameters
        ----------
        images : Tensor of shape (n_rows, n_channels, image_size, image_size)
            Images.
        statistics : tuple of Statistics, optional
            To normalise by, one a block; those of ``images`` themselves by default.

        """
        used = []
        for block, given in zip(self.blocks, statistics or (None,) * len(self.blocks), strict=True):
            images, found = block(images, given)
            used.append(found)
        return images.flatten(1), tuple(used)

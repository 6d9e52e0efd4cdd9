"""Attention over the rows of a set, and blocks of it.

Nothing in it knows an order of rows: queries that attend to a set give the same whatever its order, and a set
that attends to itself comes out in the order in which it went in (Set Transformer, Lee et al. 2019,
arXiv:1810.00825). Written out in matrix products, which torch maps over tasks and differentiates twice.
"""

import math

from torch import Tensor, nn

from firstsight.checks import check_number


class Attention(nn.Module):
    """Queries attend to the rows of a set, in several heads.

    Parameters
    ----------
    width : int
        Columns of queries, rows and outputs, >= 1.
    n_heads : int
        Heads, >= 1; should divide the width.

    Raises
    ------
    ValueError
        When the heads do not divide the width.

    """

    def __init__(self, width: int, n_heads: int = 4) -> None:
        super().__init__()
        check_number("width", width, at_least=1, integer=True)
        check_number("n_heads", n_heads, at_least=1, integer=True)
        if width % n_heads:
            raise ValueError(f"width={width} should be a multiple of n_heads={n_heads}; change one of them")
        self.n_heads = n_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, rows: Tensor) -> Tensor:
        """What the queries gather from the rows.

        Parameters
        ----------
        queries : Tensor of shape (..., n_queries, width)
            Who asks.
        rows : Tensor of shape (..., n_rows, width)
            The set.

        Returns
        -------
        Tensor of shape (..., n_queries, width)

        """
        asked, known, told = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(-2, -3)
            for part in (self.query(queries), self.key(rows), self.value(rows))
        )
        weights = (asked @ known.transpose(-1, -2) / math.sqrt(asked.shape[-1])).softmax(-1)
        gathered: Tensor = self.out((weights @ told).transpose(-2, -3).flatten(-2))
        return gathered


class AttentionBlock(nn.Module):
    """Attention and a small net, each added to its input after layer normalisation.

    Parameters
    ----------
    width : int
        Columns of queries, rows and outputs, >= 1.
    n_heads : int
        Heads, >= 1; should divide the width.

    """

    def __init__(self, width: int, n_heads: int = 4) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(width)
        self.attention = Attention(width, n_heads)
        self.before_net = nn.LayerNorm(width)
        self.net = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, queries: Tensor, rows: Tensor) -> Tensor:
        """The queries after they have attended to the rows, of shape (..., n_queries, width).

        Parameters
        ----------
        queries : Tensor of shape (..., n_queries, width)
            Who asks.
        rows : Tensor of shape (..., n_rows, width)
            The set; the queries themselves, where a set attends to itself.

        """
        queries = queries + self.attention(self.before_attention(queries), self.before_attention(rows))
        out: Tensor = queries + self.net(self.before_net(queries))
        return out

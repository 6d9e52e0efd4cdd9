"""A net of two sets: tokens that learn of the rows, and rows that learn of the tokens, by turns.

A row first asks the tokens, whose it is; then a token asks rows and tokens, which are its own: the two halves of
expectation maximisation, learned (Set Transformer, Lee et al. 2019, arXiv:1810.00825, has both kinds of attention).
Nothing in it knows an order of the rows, nor of tokens of one kind, which go in and come out through the same layers.
"""

import torch
from torch import Tensor, nn

from firstsight.nets.attention import AttentionBlock

TINY = 1e-3


class Faint(nn.Linear):
    """A linear layer that begins with almost nothing: zeros would pass no gradient to what comes before it."""

    def reset_parameters(self) -> None:
        """Weights of a thousandth, no bias."""
        nn.init.normal_(self.weight, std=1e-3)
        nn.init.zeros_(self.bias)


class TokenNet(nn.Module):
    """Tokens of several kinds and rows attend to each other; every token gives some numbers.

    Parameters
    ----------
    row_size : int
        Numbers in a row, >= 1.
    n_in, n_out : list of int
        Numbers that go into and come out of a token, for every kind of token.
    width : int
        Numbers in a token on the way, a multiple of ``n_heads``.
    n_heads : int
        Heads of attention, >= 1.
    n_blocks : int
        Rounds of asking, >= 1.
    faint : bool
        Whether the outputs begin near 0.
    standardise : bool
        Whether the rows are seen in units of their own, with these units in a further row.

    """

    def __init__(
        self,
        row_size: int,
        n_in: list[int],
        n_out: list[int],
        *,
        width: int,
        n_heads: int,
        n_blocks: int,
        faint: bool,
        standardise: bool,
    ) -> None:
        super().__init__()
        self.row = nn.Linear(row_size, width)
        self.units = nn.Linear(2 * row_size, width) if standardise else None
        self.lift = nn.ModuleList(nn.Linear(size, width) for size in n_in)
        self.ask = nn.ModuleList(AttentionBlock(width, n_heads) for _ in range(n_blocks))
        self.tell = nn.ModuleList(AttentionBlock(width, n_heads) for _ in range(n_blocks))
        self.norm = nn.LayerNorm(width)
        self.out = nn.ModuleList((Faint if faint else nn.Linear)(width, size) for size in n_out)

    def forward(self, rows: Tensor, parts: list[Tensor]) -> list[Tensor]:
        """What the tokens of every kind give, of shape (n_tokens, numbers out).

        Parameters
        ----------
        rows : Tensor of shape (n_rows, row_size)
            The set.
        parts : list of Tensor
            The tokens of every kind, of shape (n_tokens, numbers in).

        """
        if self.units is None:
            seen = self.row(rows)
        else:
            variance, mean = torch.var_mean(rows, 0, correction=0)
            deviation = (variance + TINY**2).sqrt()
            units = self.units(torch.cat([mean.asinh(), deviation.log()]))
            seen = torch.cat([self.row((rows - mean) / deviation), units[None]])
        tokens = torch.cat([lift(part) for lift, part in zip(self.lift, parts, strict=True)])
        for ask, tell in zip(self.ask, self.tell, strict=True):
            seen = ask(seen, tokens)
            tokens = tell(tokens, torch.cat([seen, tokens]))
        told = self.norm(tokens).split([len(part) for part in parts])
        return [out(part) for out, part in zip(self.out, told, strict=True)]

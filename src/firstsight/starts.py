"""Where algorithms that look at the rows begin: rows far from each other."""

import math

import torch
from torch import Tensor


def spread_rows(generator: torch.Generator, X: Tensor, count: int) -> tuple[list[int], Tensor]:
    """Rows far from those already chosen, by k-means++ (Arthur and Vassilvitskii 2007).

    Parameters
    ----------
    generator : torch.Generator
        Of the choice.
    X : Tensor of shape (n_rows, n_features)
        At least ``count`` rows.
    count : int
        How many, >= 1.

    Returns
    -------
    chosen : list of int
        Row numbers.
    nearest : Tensor of shape (n_rows,)
        Squared distance of every row to the nearest that was chosen.

    """
    chosen = [int(torch.randint(len(X), (1,), generator=generator))]
    nearest = _squared(X, chosen[0])
    while len(chosen) < count:
        # Where every row is chosen already, any row will do.
        odds = nearest if bool(nearest.any()) else torch.ones_like(nearest)
        # Of a few candidates the one that leaves least, as scikit-learn does.
        candidates = torch.multinomial(odds, 2 + int(math.log(count)), True, generator=generator).tolist()
        left = torch.stack([torch.minimum(nearest, _squared(X, row)) for row in candidates])
        best = int(left.sum(1).argmin())
        chosen.append(candidates[best])
        nearest = left[best]
    return chosen, nearest


def _squared(X: Tensor, row: int) -> Tensor:
    return ((X - X[row]) ** 2).sum(-1)

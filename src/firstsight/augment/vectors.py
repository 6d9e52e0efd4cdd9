"""Random changes of rows of numbers that leave a row what it is: entries left out or exchanged, noise, mixing.

For an entry x of row i, with z normal, s its column's standard deviation over the rows handed in, and j another row:

    x <- (1 - l) x_i + l x_j,   l uniform over 0 to ``mix``;     x <- x_j with probability ``swap``;
    x <- x + ``noise`` s z;                                      x <- 0 with probability ``drop``.

Exchange within the column is SCARF's corruption (Bahri et al. 2022, arXiv:2106.15147), mixing is mixup's (Zhang et al.
2018, arXiv:1710.09412) with the row itself as the larger part. Rows may come with copies of themselves that were
changed before they became numbers, as texts with words left out: then one of the copies is drawn first.

Differs from both papers: what is exchanged comes from one other row of the batch, so that nothing of the pool must be
kept. Columns should be standardised, or have at least their mean at 0, which is what an entry that is left out becomes.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from firstsight.checks import check_number
from firstsight.tensor_checks import check_rows


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the changes; every one is off at its default.

    Parameters
    ----------
    drop : float
        Probability that an entry becomes 0, 0 to 1.
    swap : float
        Probability that an entry becomes that of another row, 0 to 1.
    noise : float
        Standard deviation of the noise, in standard deviations of the column, >= 0.
    mix : float
        The largest share of another row, 0 to 0.5.

    """

    drop: float = 0.0
    swap: float = 0.0
    noise: float = 0.0
    mix: float = 0.0

    def __post_init__(self) -> None:
        for name in ("drop", "swap"):
            check_number(name, getattr(self, name), at_least=0, at_most=1)
        check_number("noise", self.noise, at_least=0)
        check_number("mix", self.mix, at_least=0, at_most=0.5)


TABLE = Config(swap=0.3, noise=0.1)
"""For standardised measurements."""


def check_vectors(name: str, X: Any) -> None:
    """Refuse what is no tensor (n_rows, n_features) or (n_rows, n_copies, n_features) of floating-point numbers."""
    check_rows(name, X)
    if X.ndim > 3 or X.shape[-1] == 0 or X.shape[1] == 0:
        raise ValueError(
            f"{name} should have shape (n_rows, n_features) or (n_rows, n_copies, n_features), none of them 0; "
            f"found {tuple(X.shape)}; use {name}.flatten(1) for images, or firstsight.augment.images"
        )


def augment(generator: torch.Generator, X: Tensor, config: Config) -> Tensor:
    """Changed copies of some rows, each changed in its own way.

    Parameters
    ----------
    generator : torch.Generator
        Draws the changes.
    X : Tensor of shape (n_rows, n_features) or (n_rows, n_copies, n_features)
        Floating point, columns with mean 0; of several copies of a row one is drawn.
    config : Config
        How far the changes go.

    Returns
    -------
    Tensor of shape (n_rows, n_features)

    Raises
    ------
    TypeError, ValueError
        When the rows are not what they should be.

    """
    check_vectors("X", X)
    if X.ndim == 3:
        X = X[torch.arange(len(X)), torch.randint(X.shape[1], (len(X),), generator=generator)]
    drawn = X
    if config.mix:
        share = config.mix * torch.rand(len(X), 1, generator=generator).to(X)
        X = torch.lerp(X, drawn[torch.randperm(len(X), generator=generator)], share)
    if config.swap:
        other = drawn[torch.randperm(len(X), generator=generator)]
        X = torch.where(torch.rand(X.shape, generator=generator) < config.swap, other, X)
    if config.noise:
        deviation = drawn.std(0, correction=0)
        X = X + config.noise * deviation * torch.randn(X.shape, generator=generator).to(X)
    if config.drop:
        X = X.masked_fill(torch.rand(X.shape, generator=generator) < config.drop, 0)
    return X.clone() if X is drawn else X

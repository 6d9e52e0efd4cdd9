"""Transductive refinement: the rows that are asked about move the classes, as in one soft clustering with the shots.

Expectation and maximisation of the two-covariance model (for prototypes, Ren et al. 2018, arXiv:1803.00676): each
row counts among the shots of its likeliest class by the probability that it is of that class.

Differs from the paper: a row of no class counts for nothing, and one of another class not even a little; no class is
taken to have as many rows as another.
"""

import torch
from torch import Tensor
from torch.nn import functional

from firstsight.few_shot.calibrate import Calibration, log_shares, unknown_odds
from firstsight.few_shot.two_covariances import Shots, Space, log_densities, shots_of

ROUNDS = 10


def refined(space: Space, shots: Shots, support: Tensor, y: Tensor, queries: Tensor, calibration: Calibration) -> Shots:
    """What shots and queries together tell of the classes.

    Parameters
    ----------
    space : Space
        Where they lie.
    shots : Shots
        What the support tells by itself.
    support, queries : Tensor of shape (n_shots, n_coordinates) and (n_queries, n_coordinates)
        Placed rows.
    y : Tensor of shape (n_shots,)
        Class numbers.
    calibration : Calibration
        How sure to be.

    """
    n_classes = len(shots.mean)
    sure = functional.one_hot(y, n_classes).to(queries.dtype)
    together = torch.cat([support, queries])
    for _ in range(ROUNDS):
        densities = log_densities(space, shots, queries)
        known = (-unknown_odds(densities, calibration)).sigmoid()[:, None].to(queries.dtype)
        shares = known * log_shares(densities, calibration).exp()
        # Many small shares of the rows of one class would draw another class over to it.
        shares = shares * functional.one_hot(shares.argmax(1), n_classes)
        shots = shots_of(space, together, torch.cat([sure, shares]), n_classes)
    return shots

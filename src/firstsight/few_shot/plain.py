"""Vectors as they are: a two-covariance model from the shots alone, where no pool was learned from.

With v the variance of a column over all shots, SS the sum of squares about the class means, n shots and K classes,

    W = (SS + v) / (n - K + 2),    B = v - W, and no less than a tenth of v,

in each column for itself: half of the variance is taken to lie within the classes until the shots say otherwise.
"""

import torch
from torch import Tensor

from firstsight.few_shot.calibrate import Calibration
from firstsight.few_shot.two_covariances import Space

STARTING = 2  # shots that the guess of a half counts for
LEAST = 0.1  # of the variance that lies between classes


def learn(X: Tensor, y: Tensor) -> tuple[Space, Calibration]:
    """A space from shots.

    Parameters
    ----------
    X : Tensor of shape (n_shots, n_features)
        Vectors.
    y : Tensor of shape (n_shots,)
        Class numbers from 0.

    """
    X = X.double()
    centre = X.mean(0)
    means = torch.stack([X[y == label].mean(0) for label in range(int(y.max()) + 1)])
    scale = X.std(0, correction=0)
    # A constant column's deviation is a rounding error of its mean; it says nothing.
    scale = torch.where(scale > 1e-9 * X.abs().max(0).values, scale, torch.inf)
    spread = ((X - means[y]) / scale).square().sum(0)
    within = (spread + STARTING * 0.5) / (len(X) - len(means) + STARTING)
    between = (1 - within).clamp(min=LEAST)
    order = (between / within).argsort(descending=True, stable=True)
    matrix = torch.diag(1 / (scale * within.sqrt()))[:, order]
    # Columns go together: each says less than it would by itself.
    calibration = Calibration(scale=X.shape[1] ** -0.5, slope=1.0, offset=0.0)
    return Space(
        centre, matrix, (between / within)[order], torch.tensor(False), torch.tensor(0.0), torch.tensor(False)
    ), calibration

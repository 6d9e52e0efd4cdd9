"""Losses of predictions against truth, for the outer loop of meta-training.

Each has the shape ``(predictions, truth) -> Tensor of shape ()``. :func:`on_query` turns one into
the ``(params, data) -> scalar`` that meta-learners take as their outer loss; without one they use
the learner's own, unsupervised loss.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from firstsight.core import Data, Learner, Loss, Tree


def cross_entropy(scores: Tensor, classes: Tensor) -> Tensor:
    """Mean negative log-probability of the true class.

    Parameters
    ----------
    scores : Tensor of shape (n_rows, n_classes)
        Unnormalised log-probabilities.
    classes : Tensor of shape (n_rows,)
        True class numbers, int64.

    """
    return _cross_entropy_of_rows(scores, classes).mean()


def misclassified_cross_entropy(scores: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy counted on the misclassified rows only, as a mean over all rows.

    The rows that are right already give no gradient. With no row wrong it is 0.

    Parameters
    ----------
    scores : Tensor of shape (n_rows, n_classes)
        Unnormalised log-probabilities.
    classes : Tensor of shape (n_rows,)
        True class numbers, int64.

    """
    losses = _cross_entropy_of_rows(scores, classes)
    return (losses * (scores.argmax(1) != classes).to(scores.dtype)).mean()


def squared_error(values: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference over rows and columns.

    Parameters
    ----------
    values, targets : Tensor of shape (n_rows, n_outputs)
        Predictions and truth, in the same units.

    """
    if values.shape != targets.shape:
        raise ValueError(f"targets should have shape {tuple(values.shape)}; found {tuple(targets.shape)}")
    return ((values - targets) ** 2).mean()


def soft_adjusted_rand(scores: Tensor, classes: Tensor) -> Tensor:
    """One minus the adjusted Rand index of soft memberships against true classes.

    The index of Hubert and Arabie (1985) is written as a count over pairs of rows, where two rows
    share a cluster with probability ``p_i . p_j``. It needs neither a matching of clusters to
    classes nor their number, and equals the usual index when the memberships are hard.

    Parameters
    ----------
    scores : Tensor of shape (n_rows, n_clusters)
        Unnormalised log-memberships.
    classes : Tensor of shape (n_rows,)
        True class numbers, int64.

    Returns
    -------
    Tensor of shape ()
        0 for a perfect clustering, about 1 for a random one.

    """
    memberships = scores.softmax(1)
    n_rows = scores.shape[0]
    pairs = torch.ones(n_rows, n_rows, dtype=scores.dtype, device=scores.device).triu(1)
    together = pairs * (memberships @ memberships.T)
    truly = pairs * (classes[:, None] == classes[None, :]).to(scores.dtype)
    expected = together.sum() * truly.sum() / pairs.sum().clamp(min=1.0)
    best = 0.5 * (together.sum() + truly.sum())
    # Both partitions trivial: they agree, and the quotient would be 0 / 0.
    trivial = (best - expected).abs() < 1e-12
    index = ((together * truly).sum() - expected) / torch.where(trivial, 1.0, best - expected)
    return 1.0 - torch.where(trivial, 1.0, index)


def pair_cross_entropy(scores: Tensor, classes: Tensor) -> Tensor:
    """Mean negative log-probability of the truth about two rows: half over pairs of one class, half over pairs of two.

    Two rows share a cluster with probability ``p_i . p_j``, as in :func:`soft_adjusted_rand`; it needs neither a
    matching of clusters to classes nor their number. Unlike an index adjusted for chance it has a gradient where all
    rows are of one class, and a strong one where two classes share a cluster; the halves keep one cluster for all
    from being cheap.

    Parameters
    ----------
    scores : Tensor of shape (n_rows, n_clusters)
        Unnormalised log-memberships.
    classes : Tensor of shape (n_rows,)
        True class numbers, int64.

    Returns
    -------
    Tensor of shape ()
        In nats; about 0.001 for a perfect and sure clustering, 0 for a single row.

    """
    memberships = scores.softmax(1)
    pairs = torch.ones(len(scores), len(scores), dtype=scores.dtype, device=scores.device).triu(1)
    # Never quite sure, so that a wrong pair costs a finite amount.
    together = 0.001 + 0.998 * (memberships @ memberships.T)
    same = pairs * (classes[:, None] == classes[None, :]).to(scores.dtype)
    other = pairs - same
    joined = (same * together.log()).sum() / same.sum().clamp(min=1.0)
    parted = (other * (1 - together).log()).sum() / other.sum().clamp(min=1.0)
    return -0.5 * (joined + parted)


def prototype_cross_entropy(embedding: Tensor, classes: Tensor, *, temperature: float = 0.2) -> Tensor:
    """Cross-entropy of telling classes apart by the distance to their means.

    The loss of prototypical networks (Snell et al. 2017, arXiv:1703.05175), with the means of the
    same rows and distances in units of the rows' total variance, so that the scale of the
    embedding does not matter. It needs neither a matching nor the number of classes.

    Parameters
    ----------
    embedding : Tensor of shape (n_rows, n_code)
        Where the rows are.
    classes : Tensor of shape (n_rows,)
        True class numbers, int64.
    temperature : float
        In units of the total variance, > 0.

    """
    same = (classes[:, None] == classes[None, :]).to(embedding.dtype)
    size = same.sum(1)
    centred = embedding - embedding.mean(0)
    variance = (centred**2).sum(1).mean().clamp(min=1e-12)
    means = (same / size[:, None]) @ centred
    distances = ((centred[:, None, :] - means[None, :, :]) ** 2).sum(-1) / (temperature * variance)
    # Every class stands in as many columns as it has rows: each weighs one over that number.
    return (distances.diagonal() + torch.logsumexp(-distances - size.log(), 1)).mean()


def on_query(loss: Callable[[Tensor, Tensor], Tensor], learner: Learner) -> Loss:
    """The outer loss ``(params, data) -> scalar`` that compares the learner's predictions with ``data.y``."""
    return partial(_loss_of_predictions, loss=loss, predict=learner.predict)


def _loss_of_predictions(
    params: Tree,
    data: Data,
    *,
    loss: Callable[[Tensor, Tensor], Tensor],
    predict: Callable[[Tree, Tensor], Tensor],
) -> Tensor:
    if data.y is None:
        raise ValueError(
            "a supervised outer loss needs truth; found data.y=None; use tasks with y or the learner's own loss"
        )
    return loss(predict(params, data.X), data.y)


def _cross_entropy_of_rows(scores: Tensor, classes: Tensor) -> Tensor:
    if scores.ndim != 2 or classes.shape != scores.shape[:1] or classes.is_floating_point():
        raise ValueError(
            f"classes should be whole numbers of shape ({scores.shape[0]},) for scores of shape "
            f"{tuple(scores.shape)}; found {classes.dtype} of shape {tuple(classes.shape)}"
        )
    # Written as a masked sum, because indexing by data and one_hot do not go through vmap.
    is_true = classes[:, None] == torch.arange(scores.shape[1], device=scores.device)
    loss = -(is_true.to(scores.dtype) * scores.log_softmax(1)).sum(1)
    # A class that has no score is NaN, not 0: values cannot be looked at here, and the engine stops at NaN.
    return loss * torch.where(is_true.any(1), 1.0, torch.nan)

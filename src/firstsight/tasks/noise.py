"""Any task distribution, with the noise that a stochastic learner needs drawn along."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from firstsight.core import Sample, Task


def with_noise(sample: Sample, noise: Callable[[torch.Generator, int], Tensor] | None) -> Sample:
    """Tasks of ``sample`` whose support and query carry noise.

    Parameters
    ----------
    sample : callable
        ``(generator, n_tasks) -> Task``.
    noise : callable or None
        ``Learner.noise``: ``(generator, n_rows) -> Tensor of shape (n_rows, n_draws, ...)``. With
        None, ``sample`` itself is returned.

    """
    return sample if noise is None else partial(_sample, sample=sample, noise=noise)


def _sample(
    generator: torch.Generator, n_tasks: int, *, sample: Sample, noise: Callable[[torch.Generator, int], Tensor]
) -> Task:
    tasks = sample(generator, n_tasks)
    parts = []
    for part in tasks:
        n_rows = part.X.shape[1]
        drawn = noise(generator, n_tasks * n_rows)
        parts.append(part._replace(noise=drawn.reshape(n_tasks, n_rows, *drawn.shape[1:])))
    return Task(*parts)

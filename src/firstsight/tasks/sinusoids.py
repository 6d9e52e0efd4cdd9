"""Sinusoid regression, the first experiment of MAML (Finn et al. 2017, arXiv:1703.03400, section 5.1).

    y = A sin(x - phase),    A ~ U[0.1, 5],  phase ~ U[0, pi],  x ~ U[-5, 5],

a task being one amplitude and phase. Differs from the paper's code: support and query need not have
the same number of rows.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch

from firstsight.checks import check_number, check_range
from firstsight.core import Data, Sample, Task
from firstsight.seeds import uniform


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the sinusoids.

    Parameters
    ----------
    n_support : int
        Rows seen of a task (K in the paper), >= 1.
    n_query : int
        Rows scored, >= 1.
    amplitude : (float, float)
        Range of A.
    phase : (float, float)
        Range of the phase, in radians.
    x : (float, float)
        Range of the inputs, in radians.

    """

    n_support: int = 10
    n_query: int = 10
    amplitude: tuple[float, float] = (0.1, 5.0)
    phase: tuple[float, float] = (0.0, math.pi)
    x: tuple[float, float] = (-5.0, 5.0)

    def __post_init__(self) -> None:
        check_number("n_support", self.n_support, at_least=1, integer=True)
        check_number("n_query", self.n_query, at_least=1, integer=True)
        for name in ("amplitude", "phase", "x"):
            check_range(name, getattr(self, name))


def sample(generator: torch.Generator, n_tasks: int, *, config: Config) -> Task:
    """Tasks with X and y of shape (n_tasks, n_rows, 1)."""
    n_rows = config.n_support + config.n_query
    amplitude = uniform(generator, (n_tasks, 1, 1), config.amplitude)
    phase = uniform(generator, (n_tasks, 1, 1), config.phase)
    X = uniform(generator, (n_tasks, n_rows, 1), config.x)
    y = amplitude * torch.sin(X - phase)
    cut = config.n_support
    return Task(Data(X[:, :cut], y[:, :cut]), Data(X[:, cut:], y[:, cut:]))


def build(config: Config) -> Sample:
    """The task distribution with these settings."""
    return partial(sample, config=config)

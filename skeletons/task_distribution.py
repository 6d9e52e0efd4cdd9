"""A task distribution to copy: concentric rings, whose radii change from task to task.

x = radius_y (cos a, sin a) + noise,    radius_y = y + U[1, 1.5],    a ~ U[0, 2 pi].
"""

import math
from dataclasses import dataclass
from functools import partial

import torch

from firstsight.checks import check_number
from firstsight.core import Data, Sample, Task
from firstsight.seeds import uniform


# 1. Settings: frozen, keyword-only, each with its unit and range, each checked.
@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the rings.

    Parameters
    ----------
    n_rings : int
        Rings a task, >= 1.
    n_support : int
        Rows seen of a task, >= 1.
    n_query : int
        Rows scored, >= 1.
    noise : float
        Standard deviation across a ring, in units of the distance between rings, >= 0.

    """

    n_rings: int = 2
    n_support: int = 30
    n_query: int = 30
    noise: float = 0.05

    def __post_init__(self) -> None:
        for name in ("n_rings", "n_support", "n_query"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        check_number("noise", self.noise, at_least=0)


# 2. Tasks from a generator alone: the same generator gives the same tasks, all of one shape.
def sample(generator: torch.Generator, n_tasks: int, *, config: Config) -> Task:
    """Tasks with X of shape (n_tasks, n_rows, 2) and y, the ring, of shape (n_tasks, n_rows)."""
    n_rows = config.n_support + config.n_query
    y = torch.randint(config.n_rings, (n_tasks, n_rows), generator=generator)
    radius = torch.arange(config.n_rings) + uniform(generator, (n_tasks, config.n_rings), (1.0, 1.5))
    angle = uniform(generator, (n_tasks, n_rows), (0.0, 2 * math.pi))
    X = radius.gather(1, y)[..., None] * torch.stack([angle.cos(), angle.sin()], -1)
    X = X + config.noise * torch.randn(X.shape, generator=generator)
    cut = config.n_support
    return Task(Data(X[:, :cut], y[:, :cut]), Data(X[:, cut:], y[:, cut:]))


# 3. Bind the settings with functools.partial, never with a closure: a partial pickles.
def build(config: Config) -> Sample:
    """The task distribution with these settings."""
    return partial(sample, config=config)

"""What a run will take, timed before it starts."""

import time
from typing import NamedTuple

import torch

from firstsight.core import MetaLearner, Sample, Tree
from firstsight.engine.config import Plan, TrainConfig
from firstsight.engine.execute import choose_plan, sum_gradients
from firstsight.engine.train import draw
from firstsight.seeds import generator_of
from firstsight.trees import cast, tree_map

TIMED = 1.0  # seconds of timing


class Cost(NamedTuple):
    """What a run of meta-training will take.

    Parameters
    ----------
    seconds : float
        Of all steps and meta-validations, as timed on the first meta-batch.
    plan : Plan
        How meta-batches will be run; ``backend="auto"`` is settled.

    """

    seconds: float
    plan: Plan


def cost(meta: MetaLearner, sample: Sample, config: TrainConfig, *, start: Tree | None = None) -> Cost:
    """Time a few meta-batches, to say what a run will cost before it starts.

    Parameters
    ----------
    meta, sample, config, start
        As for :func:`meta_train`.

    Returns
    -------
    Cost
        An estimate, as good as the machine is quiet.

    """
    tasks = draw(sample, config, "train", 0)
    theta = meta.init(generator_of(config.seed, "init")) if start is None else start
    theta = tree_map(lambda leaf: leaf.clone().requires_grad_(), cast(theta, getattr(torch, config.dtype)))
    plan = choose_plan(meta.objective, theta, tasks, config)
    sum_gradients(meta.objective, theta, tasks, plan)
    began, count = time.perf_counter(), 0
    while count < 3 or time.perf_counter() - began < TIMED:
        sum_gradients(meta.objective, theta, draw(sample, config, "train", count), plan)
        count += 1
    seconds = (time.perf_counter() - began) / count
    # A meta-validation runs forwards only, at about half the cost of a task.
    validations = config.steps / config.validate_every * config.validate_tasks / config.meta_batch / 2
    return Cost(seconds * (config.steps + validations), plan)

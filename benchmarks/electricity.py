"""Weeks of electricity: what was tried to make 24 half-hours as good as a whole week.

The tasks and the comparison are those of ``examples/weeks_of_electricity.py``; here the number of centroids, the
scale, the width of the code and the meta-learner change. Judged on the middle weeks, so that the late ones stay a test.
"""

import runpy
from pathlib import Path

import torch

import firstsight as fs
from firstsight.engine.scratch import from_scratch
from firstsight.learners import autoencoder, kmeans
from firstsight.meta import maml, meta_sgd
from firstsight.seeds import generator_of
from firstsight.tasks import tables

EXAMPLE = runpy.run_path(str(Path(__file__).parent.parent / "examples" / "weeks_of_electricity.py"))
REFINE = maml.Config(inner="refine", inner_steps=5)


def attempts() -> list[tuple[str, fs.Learner, fs.MetaLearner, float, str]]:
    """Name, learner, meta-learner, outer rate and scale."""
    found = []
    for n_clusters in (4, 8, 16):
        for scale in ("none", "task"):
            learner = kmeans.build(kmeans.Config(n_features=6, n_clusters=n_clusters, prior=True))
            found.append((f"{n_clusters} centroids", learner, maml.build(REFINE, learner), 0.03, scale))
    for n_code in (2, 3):
        learner = autoencoder.build(autoencoder.Config(n_features=6, n_code=n_code, hidden=(32,), activation="tanh"))
        few = maml.build(maml.Config(inner_lr=0.1, inner_steps=5), learner)
        many = maml.build(maml.Config(inner_lr=0.05, inner_steps=20, first_order=True), learner)
        rates = meta_sgd.build(meta_sgd.Config(inner_lr=0.1, inner_steps=5, rates="leaf"), learner)
        for name, meta in (("MAML, 5 steps", few), ("first order, 20 steps", many), ("Meta-SGD, 5 steps", rates)):
            found.append((f"{n_code} codes, {name}", learner, meta, 0.005, "none"))
    return found


def main() -> None:
    early, middle, _ = EXAMPLE["read_weeks"]()
    early, judged = early[:-8], early[-8:]
    family = tables.scaling_of(torch.cat(early))
    for name, learner, meta, rate, scale in attempts():
        tasks = tables.Config(n_support=24, n_query=128, scale=scale)
        training, validation = (tables.build(tasks, weeks, scaling=family) for weeks in (early, judged))
        start = None
        if learner.start is not None:
            rows = training(generator_of(0, "pool"), 64).support.X.flatten(0, 1)
            start = from_scratch(learner, fs.Data(rows))
        config = fs.TrainConfig(
            steps=600, outer_lr=rate, schedule="cosine", validate_every=50, clip_norm=1.0, backend="vmap", chunk=16
        )
        theta = fs.last(fs.meta_train(meta, training, config, validate=validation, start=start)).info.best_theta
        print(f"{name}, scale {scale}, {len(middle)} weeks", flush=True)
        EXAMPLE["compare"](learner, meta, theta, middle, scale, family)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

"""What is learned of the inner loop, at the same seconds: joint, MAML, implicit MAML, Meta-SGD and the meta-gradient.

Two families. *sinusoids*: regression on 10 rows by a net of 40-40. *scales*: an autoencoder of mixtures of 5 clusters
in 8 columns, with 5, 10 or 40 rows and a scale of .3 to 3 that differs between tasks, so that features of the task
could help. Every method gets as many outer steps as fit into its seconds of processor time, timed beforehand, a cosine
schedule over them and the best of ten meta-validations; meta-test is on tasks drawn at another address.
"""

import argparse
import dataclasses
import math
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

import firstsight as fs
from firstsight.core import Learner, MetaLearner, Sample, Task
from firstsight.engine.record import write_record
from firstsight.learners import autoencoder, classifier
from firstsight.meta import imaml, joint, maml, meta_gradient, meta_sgd
from firstsight.seeds import uniform
from firstsight.tasks import mixtures, sinusoids


class Family(NamedTuple):
    """Tasks, what learns them, and the rates for them."""

    learner: Learner
    training: Sample
    testing: Sample
    inner_lr: float
    outer_lr: float
    meta_batch: int


def scaled(generator: torch.Generator, n_tasks: int, *, samples: list[Sample]) -> Task:
    """Tasks of one of the families, each multiplied by a scale of its own."""
    tasks = samples[int(torch.randint(len(samples), (), generator=generator))](generator, n_tasks)
    scale = uniform(generator, (n_tasks, 1, 1), (math.log(0.3), math.log(3.0))).exp()
    return Task(*(part._replace(X=part.X * scale) for part in tasks))


def families() -> dict[str, Family]:
    base = mixtures.Config(n_features=(8, 8), n_clusters=(5, 5), shared=0.5, within=(0.2, 0.6), n_query=40)
    scales = partial(scaled, samples=[mixtures.build(dataclasses.replace(base, n_support=n)) for n in (5, 10, 40)])
    return {
        "sinusoids": Family(
            classifier.build(classifier.Config(n_features=1, n_outputs=1, target="value", hidden=(40, 40))),
            sinusoids.build(sinusoids.Config(n_support=10, n_query=20)),
            sinusoids.build(sinusoids.Config(n_support=10, n_query=100)),
            inner_lr=0.01,
            outer_lr=3e-3,
            meta_batch=100,
        ),
        "scales": Family(
            autoencoder.build(autoencoder.Config(n_features=8, n_code=2)),
            scales,
            scales,
            inner_lr=0.03,
            outer_lr=1e-2,
            meta_batch=64,
        ),
    }


def methods(family: Family) -> dict[str, MetaLearner]:
    rate, learner = family.inner_lr, family.learner
    return {
        "joint, 1 step": joint.build(joint.Config(inner_lr=rate), learner),
        "maml, 1 step": maml.build(maml.Config(inner_lr=rate), learner),
        "maml": maml.build(maml.Config(inner_lr=rate, inner_steps=5), learner),
        "imaml": imaml.build(imaml.Config(inner_lr=rate, inner_steps=16, proximal=2.0), learner),
        "meta_sgd": meta_sgd.build(meta_sgd.Config(inner_lr=rate, inner_steps=5), learner),
        "meta_gradient": meta_gradient.build(meta_gradient.Config(inner_lr=rate, conditioned=False), learner),
        "meta_gradient, conditioned": meta_gradient.build(
            meta_gradient.Config(inner_lr=rate, conditioned=True), learner
        ),
    }


def steps_in(seconds: float, meta: MetaLearner, family: Family, config: fs.TrainConfig) -> int:
    """Outer steps that fit into these seconds of processor time."""
    steps = fs.meta_train(meta, family.training, dataclasses.replace(config, steps=10**6))
    for _ in range(5):
        next(steps)
    began, count = time.process_time(), 0
    while time.process_time() - began < min(3.0, seconds):
        next(steps)
        count += 1
    # Meta-validations take a twentieth.
    return max(10, int(0.95 * seconds * count / (time.process_time() - began)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=list(families()), default="sinusoids")
    parser.add_argument("--methods", nargs="*", help="some of them; all by default")
    parser.add_argument("--seconds", type=float, default=120.0, help="of processor time for each method and seed")
    parser.add_argument("--outer-lr", type=float, help="instead of the family's")
    parser.add_argument("--test-tasks", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/out/inner_loops"))
    args = parser.parse_args()
    family = families()[args.family]
    rows = []
    for seed in range(args.seeds):
        for name, meta in methods(family).items():
            if args.methods and name not in args.methods:
                continue
            config = fs.TrainConfig(
                meta_batch=family.meta_batch,
                outer_lr=args.outer_lr or family.outer_lr,
                seed=seed,
                backend="vmap",
                chunk=family.meta_batch,
                threads=1,
            )
            try:
                steps = steps_in(args.seconds, meta, family, config)
                config = dataclasses.replace(
                    config, steps=steps, schedule="cosine", validate_every=max(1, steps // 10), validate_tasks=400
                )
                began = time.process_time()
                theta = fs.last(fs.meta_train(meta, family.training, config, validate=family.training)).info.best_theta
            except FloatingPointError as error:
                print(f"{args.family} seed {seed} {name:28} stopped: {error}", flush=True)
                continue
            seconds = time.process_time() - began
            result = fs.meta_test(meta, theta, family.testing, n_tasks=args.test_tasks, seed=seed, batch=100)
            loss = result.summary["query_loss"]
            print(f"{args.family} seed {seed} {name:28} {steps:6} steps {seconds:6.1f} s  {loss}", flush=True)
            rows.append(
                {"method": name, "seed": seed, "steps": steps, "seconds": seconds, "query_loss": loss._asdict()}
            )
    write_record(args.out / f"{args.family}.json", {"seconds": args.seconds, "rows": rows})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

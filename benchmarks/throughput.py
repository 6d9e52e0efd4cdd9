"""Tasks a second of meta-training, ours against a plain loop, in the same run.

One line a work: its name, tasks a second of each way, and ``ratio_to_loop``, the best of ours over the
plain loop. The plain loop is what a careful user would write without a library:
``torch.autograd.grad(create_graph=True)`` task by task. Medians of interleaved runs.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from firstsight import Plan, Sample, Task
from firstsight.engine.execute import sum_gradients
from firstsight.learners import autoencoder, classifier, kmeans
from firstsight.learners.classifier import Config as Net
from firstsight.meta import maml
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures, sinusoids
from firstsight.trees import index, leaves, tree_map

SINUSOIDS = sinusoids.build(sinusoids.Config(n_support=10, n_query=10))
MLP = classifier.build(Net(n_features=1, n_outputs=1, target="value", hidden=(40, 40)))
TABLES = mixtures.build(mixtures.Config(n_features=(20, 20), n_clusters=(4, 4)))
AUTOENCODER = autoencoder.build(autoencoder.Config(n_features=20, n_code=4, hidden=(32,)))
FAMILY = mixtures.build(mixtures.Config(n_features=(8, 8), n_clusters=(5, 5), shared=0.9))
KMEANS = kmeans.build(kmeans.Config(n_features=8, n_clusters=5, prior=True))


def gradient_loop(learner, settings):
    """The plain loop: autograd through unrolled steps, one task after the other."""

    def run(theta, tasks: Task) -> None:
        parameters = leaves(theta)
        totals = [torch.zeros_like(leaf) for leaf in parameters]
        for i in range(len(tasks.support.X)):
            task = index(tasks, i)
            adapted = parameters
            for _ in range(settings.inner_steps):
                loss = learner.loss(with_leaves(theta, adapted), task.support)
                gradients = torch.autograd.grad(loss, adapted, create_graph=not settings.first_order)
                adapted = [leaf - settings.inner_lr * grad for leaf, grad in zip(adapted, gradients, strict=True)]
            loss = learner.loss(with_leaves(theta, adapted), task.query)
            for total, gradient in zip(totals, torch.autograd.grad(loss, parameters), strict=True):
                total += gradient

    return run


def refine_loop(learner, settings):
    """The plain loop over exact steps."""

    def run(theta, tasks: Task) -> None:
        parameters = leaves(theta)
        for i in range(len(tasks.support.X)):
            task = index(tasks, i)
            params = theta
            for _ in range(settings.inner_steps):
                params = learner.refine(params, task.support, theta)
            torch.autograd.grad(learner.loss(params, task.query), parameters)

    return run


def with_leaves(theta, flat):
    values = iter(flat)
    return tree_map(lambda _: next(values), theta)


def works(quick: bool) -> list[tuple[str, object, maml.Config, Sample, int]]:
    table = [
        ("mlp 40-40, 256 tasks, 5 steps, 2nd order", MLP, maml.Config(inner_steps=5), SINUSOIDS, 256),
        ("mlp 40-40, 25 tasks, 1 step, 2nd order", MLP, maml.Config(), SINUSOIDS, 25),
        ("mlp 40-40, 256 tasks, 5 steps, 1st order", MLP, maml.Config(inner_steps=5, first_order=True), SINUSOIDS, 256),
        ("autoencoder 20-32-4, 64 tasks, 5 steps, 2nd order", AUTOENCODER, maml.Config(inner_steps=5), TABLES, 64),
        ("k-means with prior, 64 tasks, 5 exact steps", KMEANS, maml.Config(inner="refine", inner_steps=5), FAMILY, 64),
    ]
    return table[:1] if quick else table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the first work only")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    for name, learner, settings, sample, n_tasks in works(args.quick):
        meta = maml.build(settings, learner)
        theta = tree_map(lambda leaf: leaf.requires_grad_(), meta.init(generator_of(0)))
        tasks = sample(generator_of(1), n_tasks)
        plain = (gradient_loop if settings.inner == "gradient" else refine_loop)(learner, settings)

        def ours(plan: Plan, meta=meta, theta=theta, tasks=tasks) -> Callable[[], object]:
            return lambda: sum_gradients(meta.objective, theta, tasks, plan)

        ways: dict[str, Callable[[], object]] = {
            "plain loop": lambda plain=plain, theta=theta, tasks=tasks: plain(theta, tasks),
            "loop": ours(Plan(backend="loop", threads=1)),
            "vmap 1 thread": ours(Plan(backend="vmap", chunk=n_tasks, threads=1)),
            "vmap 2 threads": ours(Plan(backend="vmap", chunk=n_tasks, threads=2)),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for repeat in range(args.repeats + 1):
            for way, call in ways.items():
                start = time.perf_counter()
                call()
                if repeat:  # the first round warms up
                    seconds[way].append(time.perf_counter() - start)
        speed = {way: n_tasks / statistics.median(times) for way, times in seconds.items()}
        ratio = max(speed["vmap 1 thread"], speed["vmap 2 threads"]) / speed["plain loop"]
        print(f"{name}: " + ", ".join(f"{way} {value:.0f}/s" for way, value in speed.items()), end="; ")
        print(f"ratio_to_loop={ratio:.1f}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

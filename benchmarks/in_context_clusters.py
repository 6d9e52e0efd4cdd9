"""Clusters of unseen Gaussian mixtures read in context, k unknown, against scikit-learn's mixtures told k.

A transformer is meta-trained on mixtures of 1 to 6 clusters and meta-tested on others, of other seeds: 100 rows are
read, and those rows, or 100 further ones, get their cluster in one pass. The mixtures by EM are told k, start ten
times, and do the same; "best by BIC" chooses their covariance. Paired differences, for k >= 2 and for k = 1 apart.
Resumes.
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

import firstsight as fs
from firstsight.engine.execute import keep_freed_memory
from firstsight.engine.record import write_record
from firstsight.learners import classifier
from firstsight.meta import in_context
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures
from firstsight.trees import concatenate, index

MOST_CLUSTERS, N_ROWS, SCALE = 6, 100, 4.0
COVARIANCES = ("full", "diag", "spherical")


def of_every_k(generator: torch.Generator, n_tasks: int, *, samples: list[fs.Sample]) -> fs.core.Task:
    """As many tasks of every number of clusters as go in, those of the first k once more."""
    counts = [n_tasks // len(samples) + (k < n_tasks % len(samples)) for k in range(len(samples))]
    parts = [sample(generator, count) for sample, count in zip(samples, counts, strict=True) if count]
    return concatenate(parts)


def enlarged(generator: torch.Generator, n_tasks: int, *, sample: fs.Sample) -> fs.core.Task:
    """The same tasks in a smaller unit: a fresh net is too smooth to see what lies within a tenth of its input."""
    return fs.core.Task(*(part._replace(X=SCALE * part.X) for part in sample(generator, n_tasks)))


def tasks_of(n_features: int, n_query: int) -> list[fs.Sample]:
    """A task distribution for every number of clusters, from the most down to one."""
    return [
        partial(
            enlarged,
            sample=mixtures.build(
                mixtures.Config(
                    n_features=(n_features,) * 2,
                    n_clusters=(k, k),
                    within=(0.1, 0.4),
                    covariance="full",
                    imbalance=(1.0, 4.0),
                    n_support=N_ROWS,
                    n_query=n_query,
                )
            ),
        )
        for k in range(MOST_CLUSTERS, 0, -1)
    ]


def mixtures_told_k(task: fs.core.Task, k: int, seed: int) -> dict[str, tuple[float, float]]:
    """The adjusted Rand index on the rows seen and on further ones, by the shape of the covariance."""
    (X, y), (X_query, y_query) = ((part.X.double().numpy(), part.y.numpy()) for part in task)
    found, bics = {}, {}
    for covariance in COVARIANCES:
        fitted = GaussianMixture(k, covariance_type=covariance, n_init=10, random_state=seed).fit(X)
        found[covariance] = tuple(
            float(adjusted_rand_score(truth, fitted.predict(rows))) for rows, truth in ((X, y), (X_query, y_query))
        )
        bics[covariance] = fitted.bic(X)
    return {**found, "best by BIC": found[min(bics, key=bics.__getitem__)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--test-tasks", type=int, default=360)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/out/in_context_clusters"))
    args = parser.parse_args()

    learner = classifier.build(
        classifier.Config(n_features=args.features, n_outputs=args.width, hidden=(64,), activation="gelu")
    )
    config = in_context.Config(n_outputs=args.slots, width=args.width, n_blocks=args.blocks)
    meta = in_context.build(config, learner)
    # From 2 clusters up first: with a single one among them at once, one cluster for all is soon the answer to all.
    courses = (("several", args.steps, 15, args.rate, 1), ("one_or_several", args.steps // 5, 18, args.rate / 3, 0))
    theta, seconds = None, 0.0
    for name, steps, meta_batch, rate, n_left_out in courses:
        samples = tasks_of(args.features, n_query=25)
        training = partial(of_every_k, samples=samples[: len(samples) - n_left_out])
        train = fs.TrainConfig(
            steps=steps,
            meta_batch=meta_batch,
            outer_lr=rate,
            schedule="cosine",
            clip_norm=1.0,
            validate_every=max(1, steps // 12),
            validate_tasks=240,
            checkpoint_every=100,
            seed=args.seed,
            backend="vmap",
            chunk=meta_batch,
            threads=1,
        )
        began = time.perf_counter()
        folder = args.out / f"{args.features}_columns_{name}"
        for step in fs.meta_train(meta, training, train, validate=training, directory=folder, start=theta):
            if step.info.validation is not None:
                spent = time.perf_counter() - began
                print(f"{name}: step {step.step}, {spent:.0f} s, loss {step.info.validation:.4f}", flush=True)
        theta = step.info.best_theta
        seconds += time.perf_counter() - began

    ours: list[tuple[float, float]] = []
    theirs: dict[str, list[tuple[float, float]]] = {name: [] for name in (*COVARIANCES, "best by BIC")}
    ks = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for number, sample in enumerate(tasks_of(args.features, n_query=N_ROWS)):
            k = MOST_CLUSTERS - number
            tasks = sample(generator_of(args.seed + 1000, "test", k), args.test_tasks // MOST_CLUSTERS)
            for i in range(args.test_tasks // MOST_CLUSTERS):
                task = index(tasks, i)
                state = fs.adapt(meta, theta, task.support.X)
                scores = [fs.predict(meta, theta, state, part.X) for part in task]
                ours.append(
                    tuple(
                        float(adjusted_rand_score(part.y, score.argmax(1)))
                        for part, score in zip(task, scores, strict=True)
                    )
                )
                for name, value in mixtures_told_k(task, k, args.seed).items():
                    theirs[name].append(value)
                ks.append(k)
    several = np.array(ks) > 1
    content: dict[str, object] = {"settings": vars(args) | {"out": str(args.out)}, "seconds": round(seconds, 1)}
    mine = np.array(ours)
    for place, rows in enumerate(("rows read", "further rows")):
        print(f"\n{rows}: adjusted Rand index, k = 2 to {MOST_CLUSTERS} ({several.sum()} tasks)")
        print(f"{'in context, k unknown':24} {fs.interval(mine[several, place])}")
        record = {"in context": fs.interval(mine[several, place])._asdict()}
        for name, values in theirs.items():
            other = np.array(values)[several, place]
            difference = fs.paired(mine[several, place], other)
            print(f"{'EM told k, ' + name:24} {fs.interval(other)}   ours minus it {difference}")
            record[name] = fs.interval(other)._asdict()
            record[f"minus {name}"] = difference._asdict()
        for k in range(1, MOST_CLUSTERS + 1):
            chosen = np.array(ks) == k
            others = ", ".join(
                f"{name} {np.array(values)[chosen, place].mean():.3f}" for name, values in theirs.items()
            )
            print(f"k = {k}: in context {mine[chosen, place].mean():.3f}; {others}")
            record[f"k = {k}"] = float(mine[chosen, place].mean())
        content[rows] = record
    write_record(args.out / f"in_context_clusters_{args.features}.json", content)


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()
    main()

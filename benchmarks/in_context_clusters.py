"""Clusters of unseen Gaussian mixtures read in context, k unknown, against scikit-learn's mixtures told k, or by BIC.

A transformer is meta-trained on mixtures of 1 to 6 clusters and meta-tested on others, of other seeds: 100 rows are
read, and those rows, or 100 further ones, get their cluster in one pass. The mixtures by EM are told k, start ten
times, and do the same; "best by BIC" chooses their covariance, "k by BIC" the number. Paired differences, for k >= 2
and for k = 1 apart. Resumes.
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

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


class Answers(NamedTuple):
    """The adjusted Rand index on the rows seen and on further ones by method, the k by BIC, and seconds a method."""

    found: dict[str, tuple[float, float]]
    k_by_bic: int
    seconds: dict[str, float]


def mixtures_by_em(task: fs.core.Task, k: int, seed: int) -> Answers:
    """Mixtures told k, by the shape of the covariance; and full ones whose k is the best of all by BIC."""
    (X, y), (X_query, y_query) = ((part.X.double().numpy(), part.y.numpy()) for part in task)

    def fitted(n_clusters: int, covariance: str) -> tuple[float, tuple[float, float]]:
        model = GaussianMixture(n_clusters, covariance_type=covariance, n_init=10, random_state=seed).fit(X)
        scored = (
            float(adjusted_rand_score(truth, model.predict(rows))) for rows, truth in ((X, y), (X_query, y_query))
        )
        return float(model.bic(X)), tuple(scored)

    told, seconds = {}, {}
    for covariance in COVARIANCES:
        began = time.process_time()
        told[covariance] = fitted(k, covariance)
        seconds[covariance] = time.process_time() - began
    began = time.process_time()
    of_k = {n: told["full"] if n == k else fitted(n, "full") for n in range(1, MOST_CLUSTERS + 1)}
    seconds["full, k by BIC"] = time.process_time() - began + seconds["full"]
    k_by_bic = min(of_k, key=lambda n: of_k[n][0])
    found = {name: scored for name, (_, scored) in told.items()}
    return Answers(
        {**found, "best by BIC": min(told.values())[1], "full, k by BIC": of_k[k_by_bic][1]}, k_by_bic, seconds
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--test-tasks", type=int, default=360)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/out/in_context_clusters"))
    args = parser.parse_args()

    learner = classifier.build(
        classifier.Config(n_features=args.features, n_outputs=args.width, hidden=(64,), activation="gelu")
    )
    config = in_context.Config(
        n_outputs=MOST_CLUSTERS, width=args.width, n_blocks=args.blocks, n_code=min(args.features, 8)
    )
    meta = in_context.build(config, learner)
    training = partial(of_every_k, samples=tasks_of(args.features, n_query=40))
    train = fs.TrainConfig(
        steps=args.steps,
        meta_batch=18,
        outer_lr=args.rate,
        schedule="cosine",
        clip_norm=1.0,
        validate_every=max(1, args.steps // 10),
        validate_tasks=240,
        checkpoint_every=100,
        seed=args.seed,
        backend="vmap",
        chunk=18,
        threads=1,
    )
    began = time.process_time()
    folder = args.out / f"{args.features}_columns"
    for step in fs.meta_train(meta, training, train, validate=training, directory=folder):
        if step.info.validation is not None:
            spent = time.process_time() - began
            print(f"step {step.step}, {spent:.0f} s, loss {step.info.validation:.4f}", flush=True)
    theta, seconds = step.info.best_theta, time.process_time() - began

    ours: list[tuple[float, float]] = []
    names = (*COVARIANCES, "best by BIC", "full, k by BIC")
    theirs: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    ks, ks_found, ks_by_bic, times = [], [], [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for number, sample in enumerate(tasks_of(args.features, n_query=N_ROWS)):
            k = MOST_CLUSTERS - number
            tasks = sample(generator_of(args.seed + 1000, "test", k), args.test_tasks // MOST_CLUSTERS)
            for i in range(args.test_tasks // MOST_CLUSTERS):
                task = index(tasks, i)
                began = time.process_time()
                state = fs.adapt(meta, theta, task.support.X)
                scores = [fs.predict(meta, theta, state, part.X) for part in task]
                spent = time.process_time() - began
                ours.append(
                    tuple(
                        float(adjusted_rand_score(part.y, score.argmax(1)))
                        for part, score in zip(task, scores, strict=True)
                    )
                )
                answers = mixtures_by_em(task, k, args.seed)
                for name, value in answers.found.items():
                    theirs[name].append(value)
                ks.append(k)
                ks_found.append(1 + int(in_context.count_probabilities(state).argmax()))
                ks_by_bic.append(answers.k_by_bic)
                times.append({"in context": spent, **answers.seconds})
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
            print(f"{'EM, ' + name:24} {fs.interval(other)}   ours minus it {difference}")
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
    content["right k"] = {
        name: float(np.mean(np.array(found)[several] == np.array(ks)[several]))
        for name, found in (("in context", ks_found), ("by BIC", ks_by_bic))
    }
    content["milliseconds a task"] = {name: 1e3 * float(np.median([one[name] for one in times])) for name in times[0]}
    for about in ("right k", "milliseconds a task"):
        print(f"\n{about}, k = 2 to {MOST_CLUSTERS}: {content[about]}")
    write_record(args.out / f"in_context_clusters_{args.features}.json", content)


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()
    main()

"""Gaussian mixtures with a meta-learned prior on 20 rows, against mixtures from scratch on 20, 200 and 500.

Mixture families of 4 clusters in 6 columns that differ in how far centres move between tasks (tau^2 = 1 - shared) and
in how wide their clusters are; the shape of every cluster is new in every task. From scratch: scikit-learn's
GaussianMixture with n_init=10, its kind of covariance by BIC on the rows of the task, its reg_covar by the held-out
likelihood of meta-validation tasks, for each number of rows; the number of clusters is told to both, and on 20 rows
left to BIC as well. Every task of meta-test is new. Beside it, what the prior gives without adapting, and plain EM on
20 rows from the prior's mixture.
"""

import argparse
import dataclasses
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import firstsight as fs
from firstsight.engine.record import write_record
from firstsight.learners import gmm
from firstsight.meta import maml
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures
from firstsight.trees import index

N_FEATURES, N_CLUSTERS, N_SEEN = 6, 4, 20
KINDS = ("spherical", "diag", "tied", "full")
FLOORS = (1e-6, 1e-3, 1e-2, 3e-2, 1e-1)
FROM_SCRATCH: dict[str, tuple[int, Sequence[int]]] = {
    "scratch 20": (20, (N_CLUSTERS,)),
    "scratch 20, number too": (20, range(1, N_CLUSTERS + 1)),
    "scratch 200": (200, (N_CLUSTERS,)),
    "scratch 500": (500, (N_CLUSTERS,)),
}
FAMILIES: dict[str, dict[str, Any]] = {
    "shared .90, within .3, diagonal": {"shared": 0.9, "within": (0.3, 0.3), "covariance": "diagonal"},
    "shared .96, within .2 to .6, full": {"shared": 0.96, "within": (0.2, 0.6), "covariance": "full"},
}


def from_scratch(
    X: np.ndarray, floor: float, seed: int, n_init: int = 10, numbers: Sequence[int] = (N_CLUSTERS,)
) -> GaussianMixture:
    """The best of the kinds of covariance (and numbers of clusters) by BIC."""
    fitted = [
        GaussianMixture(number, covariance_type=kind, n_init=n_init, reg_covar=floor, random_state=seed).fit(X)
        for kind in KINDS
        for number in numbers
    ]
    return min(fitted, key=lambda mixture: mixture.bic(X))


def choose_floor(tasks: fs.Task, n_rows: int, seed: int, numbers: Sequence[int] = (N_CLUSTERS,)) -> float:
    """The reg_covar after which rows of meta-validation tasks that were not seen are likeliest."""

    def held_out(floor: float) -> float:
        return sum(
            from_scratch(task.support.X[:n_rows].double().numpy(), floor, seed, 2, numbers).score(
                task.query.X.double().numpy()
            )
            for task in (index(tasks, i) for i in range(len(tasks.support.X)))
        )

    return max(FLOORS, key=held_out)


def pooled_start(learner: fs.Learner, training: fs.Sample, seed: int) -> fs.core.Tree:
    """The best of ten mixtures of the pooled rows of 64 meta-training tasks."""
    rows = fs.Data(training(generator_of(seed, "pool"), 64).support.X.flatten(0, 1))
    fitted = []
    for attempt in range(10):
        params = learner.start(generator_of(seed, "start", attempt), rows)
        for _ in range(20):
            params = learner.refine(params, rows, None)
        fitted.append(params)
    return min(fitted, key=lambda params: float(learner.loss(params, rows)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--test-tasks", type=int, default=50)
    parser.add_argument("--validate-tasks", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/out/mixture_prior"))
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    records = []
    for name, shape in FAMILIES.items():
        losses: dict[str, list[float]] = {}
        for seed in range(args.seeds):
            family = mixtures.Config(
                n_features=(N_FEATURES,) * 2, n_clusters=(N_CLUSTERS,) * 2, n_support=N_SEEN, family=seed, **shape
            )
            learner = gmm.build(
                gmm.Config(
                    n_features=N_FEATURES, n_clusters=N_CLUSTERS, covariance=shape["covariance"], prior=True,
                    variance_floor=1e-4,
                )
            )  # fmt: skip
            meta = maml.build(maml.Config(inner="refine", inner_steps=5), learner)
            training = mixtures.build(family)
            began = time.perf_counter()
            config = fs.TrainConfig(
                steps=args.steps, meta_batch=32, outer_lr=0.05, schedule="cosine", seed=seed, backend="vmap",
                chunk=32, threads=1,
            )  # fmt: skip
            theta = fs.last(fs.meta_train(meta, training, config, start=pooled_start(learner, training, seed))).theta
            seconds = time.perf_counter() - began
            # One draw of 500 support rows a task: the prior sees the first 20 of them.
            wide = mixtures.build(dataclasses.replace(family, n_support=500, n_query=500))
            validation = wide(generator_of(seed, "validate"), args.validate_tasks)
            floors = {
                method: choose_floor(validation, n_rows, seed, numbers)
                for method, (n_rows, numbers) in FROM_SCRATCH.items()
            }
            tasks = wide(generator_of(seed, "test"), args.test_tasks)
            began = time.perf_counter()
            for i in range(args.test_tasks):
                support, query = index(tasks, i)
                seen = fs.Data(support.X[:N_SEEN])
                plain = theta
                for _ in range(5):
                    plain = learner.refine(plain, seen, None)
                scores = {
                    "prior 20": learner.loss(fs.adapt(meta, theta, seen.X), query),
                    "not adapted": learner.loss(theta, query),
                    "plain EM from it 20": learner.loss(plain, query),
                }
                for method, (n_rows, numbers) in FROM_SCRATCH.items():
                    fitted = from_scratch(support.X[:n_rows].double().numpy(), floors[method], seed, numbers=numbers)
                    scores[method] = -fitted.score(query.X.double().numpy())
                for method, score in scores.items():
                    losses.setdefault(method, []).append(float(score))
            strengths = {strength: round(float(theta[strength].exp()), 2) for strength in gmm.STRENGTHS}
            print(f"{name}, seed {seed}: trained in {seconds:.0f} s, tested in {time.perf_counter() - began:.0f} s,")
            print(f"    reg_covar {floors}, rows {strengths}", flush=True)
            records.append({"family": name, "seed": seed, "seconds": round(seconds, 1), "floors": floors} | strengths)
        for method, values in losses.items():
            difference = fs.paired(losses["prior 20"], values)
            print(f"    {method:23} {fs.interval(values)!s:26} prior 20 minus it {difference}")
            records.append({"family": name, "method": method, "loss": fs.interval(values)._asdict()}
                           | {"prior 20 minus it": difference._asdict()})  # fmt: skip
    write_record(args.out / "mixture_prior.json", {"steps": args.steps, "rows": records})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

"""k-means with a meta-learned prior on 20 rows, against k-means from scratch on 20 and on 200.

Mixture families of 5 clusters in 8 columns that differ in tau, how far centres move between tasks. The
best lambda is sigma^2 / tau^2; the learned one is shown beside it. Every task of meta-test is new.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import KMeans

import firstsight as fs
from firstsight.engine.record import write_record
from firstsight.learners import kmeans
from firstsight.meta import maml
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures
from firstsight.trees import index

N_FEATURES, N_CLUSTERS, WITHIN = 8, 5, 0.5


def from_scratch(learner: fs.Learner, X: np.ndarray, query: fs.Data, seed: int) -> float:
    fitted = KMeans(N_CLUSTERS, n_init=10, random_state=seed).fit(X)
    return float(learner.loss({"centroids": torch.as_tensor(fitted.cluster_centers_)}, query))


def pooled_start(training: fs.Sample, seed: int) -> dict[str, torch.Tensor]:
    """Centroids of the pooled rows of 64 meta-training tasks: a random start may put two where one belongs."""
    rows = training(generator_of(seed, "pool"), 64).support.X.flatten(0, 1)
    fitted = KMeans(N_CLUSTERS, n_init=10, random_state=seed).fit(rows.numpy())
    return {"centroids": torch.as_tensor(fitted.cluster_centers_), "log_lambda": torch.tensor(0.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--test-tasks", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/out/kmeans_prior"))
    args = parser.parse_args()
    learner = kmeans.build(kmeans.Config(n_features=N_FEATURES, n_clusters=N_CLUSTERS, prior=True))
    meta = maml.build(maml.Config(inner="refine", inner_steps=5), learner)
    rows = []
    print("best lambda  learned   prior, 20 rows        minus scratch, 200       minus scratch, 20")
    for best in (100.0, 25.0, 4.0, 1.0):
        for seed in range(args.seeds):
            family = mixtures.Config(
                n_features=(N_FEATURES,) * 2,
                n_clusters=(N_CLUSTERS,) * 2,
                within=(WITHIN,) * 2,
                shared=1 - WITHIN**2 / best,
                family=seed,
            )
            config = fs.TrainConfig(
                steps=args.steps, meta_batch=64, outer_lr=0.1, schedule="cosine", seed=seed, backend="vmap", chunk=64
            )
            began = time.perf_counter()
            training = mixtures.build(family)
            theta = fs.last(fs.meta_train(meta, training, config, start=pooled_start(training, seed))).theta
            seconds = time.perf_counter() - began
            # One draw of 200 support rows a task: the prior sees the first 20 of them.
            testing = mixtures.build(dataclasses.replace(family, n_support=200, n_query=500))
            tasks = testing(generator_of(seed, "test"), args.test_tasks)
            losses: dict[str, list[float]] = {"prior 20": [], "scratch 20": [], "scratch 200": []}
            for i in range(args.test_tasks):
                support, query = index(tasks, i)
                state = fs.adapt(meta, theta, support.X[:20])
                losses["prior 20"].append(float(learner.loss(state, query)))
                for n_rows in (20, 200):
                    loss = from_scratch(learner, support.X[:n_rows].numpy(), query, seed)
                    losses[f"scratch {n_rows}"].append(loss)
            learned = float(theta["log_lambda"].exp())
            ours = fs.interval(losses["prior 20"])
            against = {name: fs.paired(losses["prior 20"], losses[name]) for name in ("scratch 200", "scratch 20")}
            print(
                f"{best:11.0f} {learned:8.2f}   {ours!s:20}  {against['scratch 200']!s:24} {against['scratch 20']}",
                flush=True,
            )
            rows.append(
                {
                    "best": best,
                    "seed": seed,
                    "learned": learned,
                    "seconds": round(seconds, 1),
                    "query_loss": ours._asdict(),
                }
                | {f"minus {name}": difference._asdict() for name, difference in against.items()}
            )
    write_record(args.out / "kmeans_prior.json", {"steps": args.steps, "rows": rows})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

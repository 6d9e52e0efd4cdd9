"""k-means at first sight: a net reads the support and gives the centroids; against k-means with 10 restarts.

Every family of mixtures (what its tasks share, columns, support rows) is trained once a seed, and tested on tasks of
another draw. k-means with 10 restarts (scikit-learn) is fitted to the same support. Differences are paired over the
tasks of all seeds; the mean of every seed stands beside them. On the support k-means is all but optimal, on the query
it has overfitted. ``theta_in`` is what the net is given: the best of the classical solutions, without any net.

    python benchmarks/amortized_kmeans.py                      # the families
    python benchmarks/amortized_kmeans.py --ablations          # one family, one setting changed at a time
    python benchmarks/amortized_kmeans.py --sinusoids          # a supervised learner, against MAML at the same seconds
"""

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans

import firstsight as fs
from firstsight.core import Learner, MetaLearner, Sample, Task
from firstsight.engine.execute import map_tasks
from firstsight.engine.record import write_record
from firstsight.engine.train import Step
from firstsight.learners import classifier, kmeans
from firstsight.meta import amortized, maml
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures, sinusoids
from firstsight.trees import detach, index, tree_map

N_CLUSTERS, WITHIN = 5, 0.5
# (columns, support rows, share of the centres' variance that the tasks have in common)
FAMILIES = ((2, 20, 0.0), (8, 20, 0.0), (8, 20, 0.9), (8, 20, 0.5), (2, 50, 0.0), (8, 50, 0.0), (2, 20, 0.9))
# Chosen on validation tasks of the families with nothing in common.
OURS = amortized.Config(
    theta_in="refine",
    snap=("centroids",),
    n_starts=32,
    refine_steps=5,
    inner_lr=0.5,
    objective="both",
    width=32,
    n_heads=4,
    n_blocks=2,
)
ABLATIONS: dict[str, dict[str, Any]] = {
    "as above": {},
    "without theta_in": {"theta_in": "none", "n_starts": 1},
    "theta_in=start": {"theta_in": "start", "n_starts": 1},
    "objective=zero": {"objective": "zero"},
    "objective=after": {"objective": "after"},
}
STEPS: dict[str, dict[str, Any]] = {
    "theta_in": {"inner_steps": 0},
    "zero-shot": {"inner_steps": 0},
    "1 gradient step": {"inner_steps": 1},
    "1 Lloyd step": {"inner_steps": 1, "inner": "refine"},
}


def trained(config: amortized.Config, learner: Learner, sample: Sample, seed: int, steps: int) -> tuple[Any, float]:
    """What was learned, and the seconds of processor time that it took."""
    settings = fs.TrainConfig(
        steps=steps, meta_batch=32, outer_lr=3e-3, schedule="cosine", clip_norm=1.0, seed=seed, backend="vmap", chunk=32
    )
    began = time.process_time()
    theta = fs.last(fs.meta_train(amortized.build(config, learner), sample, settings)).theta
    return theta, time.process_time() - began


def scores(state_of: Any, theta: Any, tasks: Task, learner: Learner) -> dict[str, np.ndarray]:
    """The loss of every task on its support and on its query."""

    def both(theta: Any, task: Task) -> tuple[torch.Tensor, torch.Tensor]:
        state = state_of(theta, task.support)
        return learner.loss(state, task.support), learner.loss(state, task.query)

    support, query = map_tasks(both, theta, tasks, fs.Plan(chunk=32))
    return {"support": support.numpy(), "query": query.numpy()}


def restarts(tasks: Task, learner: Learner, seed: int) -> tuple[dict[str, np.ndarray], float]:
    """The same of k-means with 10 restarts, and its milliseconds a task."""
    began = time.process_time()
    centres = [
        KMeans(N_CLUSTERS, n_init=10, random_state=seed).fit(X).cluster_centers_ for X in tasks.support.X.numpy()
    ]
    taken = 1000 * (time.process_time() - began) / len(centres)
    losses = [
        [float(learner.loss({"centroids": torch.as_tensor(found)}, part)) for part in index(tasks, i)]
        for i, found in enumerate(centres)
    ]
    support, query = np.array(losses).T
    return {"support": support, "query": query}, taken


def run(
    config: amortized.Config, family: tuple[int, int, float], seeds: int, args: argparse.Namespace
) -> dict[str, Any]:
    """A line for the query and one for the support: k-means, and our differences over the tasks of all seeds."""
    n_features, n_support, shared = family
    learner = kmeans.build(kmeans.Config(n_features=n_features, n_clusters=N_CLUSTERS))
    theirs: dict[str, list[float]] = {"support": [], "query": []}
    ours: dict[str, dict[str, list[float]]] = {name: {"support": [], "query": []} for name in STEPS}
    seconds: list[float] = []
    times: dict[str, list[float]] = {"k-means": [], "zero-shot, one task": [], "zero-shot, in batches": []}
    for seed in range(seeds):
        sample = mixtures.build(
            mixtures.Config(
                n_features=(n_features,) * 2,
                n_clusters=(N_CLUSTERS,) * 2,
                within=(WITHIN,) * 2,
                shared=shared,
                family=seed,
                n_support=n_support,
                n_query=200,
            )
        )
        theta, taken = trained(config, learner, sample, seed, args.steps)
        seconds.append(taken)
        tasks = sample(generator_of(seed, args.tasks), args.n_tasks)
        theta = detach(theta)
        silent = {**theta, "net": {**theta["net"], "out": tree_map(torch.zeros_like, theta["net"]["out"])}}
        baseline, milliseconds = restarts(tasks, learner, seed)
        times["k-means"].append(milliseconds)
        for name, changed in STEPS.items():
            meta = amortized.build(dataclasses.replace(config, **changed), learner)
            began = time.process_time()
            found = scores(meta.adapt, silent if name == "theta_in" else theta, tasks, learner)
            if name == "zero-shot":
                times["zero-shot, in batches"].append(1000 * (time.process_time() - began) / args.n_tasks)
                began = time.process_time()
                with torch.no_grad():
                    for i in range(20):
                        meta.adapt(theta, index(tasks, i).support)
                times["zero-shot, one task"].append(1000 * (time.process_time() - began) / 20)
            for part, losses in found.items():
                ours[name][part] += losses.tolist()
        for part, losses in baseline.items():
            theirs[part] += losses.tolist()
    record: dict[str, Any] = {"family": family, "train_seconds": seconds, "milliseconds": times}
    for part in ("query", "support"):
        base = fs.interval(theirs[part])
        gaps = {name: np.array(ours[name][part]) - np.array(theirs[part]) for name in STEPS}
        differences = {name: fs.interval(gap) for name, gap in gaps.items()}
        record[part] = {"k-means": base._asdict()} | {name: gap._asdict() for name, gap in differences.items()}
        per_seed = {name: [float(np.mean(x)) for x in np.split(gaps[name], seeds)] for name in STEPS}
        record[part]["per seed"] = per_seed
        print(
            f"  {part:8} {base.mean:.3f}   "
            + "   ".join(f"{gap!s:26}" for gap in differences.values())
            + "   seeds, zero-shot: "
            + " ".join(f"{value:+.3f}" for value in per_seed["zero-shot"]),
            flush=True,
        )
    print("  " + ", ".join(f"{name} {np.mean(values):.1f} ms" for name, values in times.items()), flush=True)
    return record


def trained_for(seconds: float, meta: MetaLearner, sample: Sample, seed: int) -> Step:
    """The last outer step that this processor time allows."""
    settings = fs.TrainConfig(
        steps=100_000, meta_batch=32, outer_lr=2e-3, clip_norm=1.0, seed=seed, backend="vmap", chunk=32
    )
    steps = fs.meta_train(meta, sample, settings)
    began, step = time.process_time(), next(steps)
    while time.process_time() - began < seconds:
        step = next(steps)
    return step


def sinusoid(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Query error of a net adapted to 10 rows of a sinusoid, against MAML trained for the same processor time."""
    learner = classifier.build(classifier.Config(n_features=1, n_outputs=1, target="value", hidden=(40, 40)))
    sample = sinusoids.build(sinusoids.Config(n_support=10, n_query=20))
    methods: dict[str, Any] = {
        "amortized": (amortized, amortized.Config(inner_lr=0.01, width=32, n_blocks=2, objective="both")),
        "maml": (maml, maml.Config(inner_lr=0.01)),
    }
    rows = []
    for seed in range(args.seeds):
        losses: dict[tuple[str, int], list[float]] = {}
        for name, (method, config) in methods.items():
            step = trained_for(args.seconds, method.build(config, learner), sample, seed)
            print(f"{name}, seed {seed}: {step.step} outer steps", flush=True)
            for inner_steps in (0, 1, 5):
                meta = method.build(dataclasses.replace(config, inner_steps=inner_steps), learner)
                result = fs.meta_test(meta, step.theta, sample, n_tasks=640, seed=seed)
                losses[name, inner_steps] = [row["query_loss"] for row in result.rows]
        for inner_steps in (0, 1, 5):
            both = [losses[name, inner_steps] for name in methods]
            means = {name: fs.interval(found) for name, found in zip(methods, both, strict=True)}
            gap = fs.paired(*both)
            said = "  ".join(f"{name} {mean}" for name, mean in means.items())
            print(f"  {inner_steps} inner steps  {said}  difference {gap}", flush=True)
            rows.append(
                {"seed": seed, "inner_steps": inner_steps, "difference": gap._asdict()}
                | {name: mean._asdict() for name, mean in means.items()}
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--n-tasks", type=int, default=200, help="of meta-test, a seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", choices=["validate", "test"], default="test")
    parser.add_argument("--only", type=int, nargs="+", default=range(len(FAMILIES)), help="numbers of families, from 0")
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--sinusoids", action="store_true")
    parser.add_argument("--seconds", type=float, default=60, help="of processor time for each method on sinusoids")
    parser.add_argument("--out", type=Path, default=Path("runs/out/amortized_kmeans"))
    args = parser.parse_args()
    if args.sinusoids:
        write_record(args.out / "sinusoids.json", {"rows": sinusoid(args)})
        return
    changes = ABLATIONS if args.ablations else {"as above": {}}
    print("            k-means x 10   ours minus it: " + "   ".join(f"{name:26}" for name in STEPS))
    rows = []
    for name, changed in changes.items():
        for family in FAMILIES[:1] if args.ablations else [FAMILIES[i] for i in args.only]:
            print(f"{family[0]} columns, {family[1]} support rows, {family[2]} shared; {name}", flush=True)
            rows.append({"setting": name} | run(dataclasses.replace(OURS, **changed), family, args.seeds, args))
            write_record(args.out / f"{'ablations' if args.ablations else 'families'}.json", {"rows": rows})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

"""Omniglot, 5-way 1-shot, supervised: MAML and its relatives against joint training on a like budget of time.

Conv4 with strides, split of Vinyals et al. For each method, two settings of the inner loop are tried for a
tenth of the steps and judged on the meta-validation characters; the better one is meta-trained in full, its
best theta is kept by meta-validation, and the meta-test characters are looked at once, at the end.
Prints a table and writes omniglot.json and curves.png to the output folder. Resumes.
"""

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import firstsight as fs
from firstsight import datasets, losses
from firstsight.core import Data, Sample, Tree
from firstsight.engine.execute import keep_freed_memory
from firstsight.engine.record import write_record
from firstsight.engine.resume import read_theta
from firstsight.learners import classifier
from firstsight.meta import joint, maml, meta_sgd, reptile
from firstsight.report.pictures import save_lines
from firstsight.tasks import episodes

EPISODE = episodes.Config(n_way=5, n_shot=1, n_query=5)
PLAN = fs.Plan(backend="threads", threads=2)
SCORED = episodes.Config(n_way=5, n_shot=1, n_query=15)


RATES = (0.1, 0.4)


class Method(NamedTuple):
    """A meta-learner with the two inner loops to choose from, and the steps that take about eight minutes."""

    build: Callable[..., fs.MetaLearner]
    candidates: tuple[Any, Any]
    steps: int
    episode: episodes.Config = EPISODE
    optimizer: str = "Adam"
    outer_lr: float = 3e-3


TRANSDUCTIVE = ("maml", "meta_sgd")  # tested once more with normalisation by the query's own statistics
METHODS = {
    "maml": Method(maml.build, tuple(maml.Config(inner_lr=rate) for rate in RATES), 1200),
    "maml, first order": Method(
        maml.build, tuple(maml.Config(inner_lr=rate, first_order=True) for rate in RATES), 1200
    ),
    "joint": Method(joint.build, tuple(joint.Config(inner_lr=rate) for rate in RATES), 1200),
    "anil": Method(maml.build, tuple(maml.Config(inner_lr=rate, adapted=("head",)) for rate in RATES), 1200),
    "meta_sgd": Method(meta_sgd.build, tuple(meta_sgd.Config(inner_lr=rate) for rate in RATES), 1200),
    "reptile": Method(
        reptile.build,
        tuple(reptile.Config(inner_lr=rate, inner_steps=5) for rate in RATES),
        400,
        # With one shot Reptile is joint training: its paper, too, trains with more shots than it tests with.
        episode=episodes.Config(n_way=5, n_shot=5, n_query=1),
        optimizer="SGD",
        outer_lr=1.0,
    ),
}


def accuracy(scores: Tensor, query: Data) -> float:
    """Share of the query rows whose class is right."""
    assert query.y is not None
    return float((scores.argmax(1) == query.y).float().mean())


def drawn(part: str, config: episodes.Config) -> Sample:
    """Episodes of one part of the characters, rotations as classes of their own."""
    images = datasets.load_omniglot(part=part)
    return episodes.build(config, torch.from_numpy(images.X), torch.from_numpy(images.y))


def meta_of(method: Method, inner: Any, norm: str = "support") -> fs.MetaLearner:
    """The meta-learner over Conv4, judged outside by cross-entropy on the query."""
    learner = classifier.build(classifier.Config(body="conv", norm=norm, downsample="stride"))
    return method.build(inner, learner, losses.on_query(losses.cross_entropy, learner))


def train(
    method: Method,
    inner: Any,
    parts: dict[str, Sample],
    steps: int,
    n_looks: int,
    folder: Path,
    args: argparse.Namespace,
) -> tuple[Tree, list[list[float]]]:
    """The best theta and the learning curve: (tasks seen, seconds, loss on the meta-validation tasks)."""
    config = fs.TrainConfig(
        steps=steps,
        meta_batch=args.meta_batch,
        optimizer=method.optimizer,
        outer_lr=method.outer_lr,
        schedule="cosine",
        validate_every=max(1, steps // n_looks),
        validate_tasks=200,
        checkpoint_every=max(1, steps // n_looks),
        seed=args.seed,
        backend="threads",
        threads=2,
    )
    file = folder / "curve.json"
    curve: list[list[float]] = json.loads(file.read_text()) if file.exists() else []
    before, start = (curve[-1][1] if curve else 0.0), time.perf_counter()

    def noted(steps: Iterator[fs.Step]) -> Iterator[fs.Step]:
        for step in steps:
            tasks = step.step * args.meta_batch
            if step.info.validation is not None and (not curve or tasks > curve[-1][0]):
                curve.append([tasks, before + time.perf_counter() - start, step.info.validation])
                file.write_text(json.dumps(curve))
            yield step

    taken = fs.meta_train(
        meta_of(method, inner), parts["train"], config, validate=parts["validation"], directory=folder
    )
    return fs.last(noted(taken), total=steps, label=folder.name).info.best_theta, curve


def accuracies(meta: fs.MetaLearner, theta: Tree, sample: Sample, n_tasks: int, seed: int) -> list[float]:
    """One number a task."""
    result = fs.meta_test(meta, theta, sample, n_tasks=n_tasks, seed=seed, metrics={"accuracy": accuracy}, plan=PLAN)
    return [row["accuracy"] for row in result.rows]


def finished(name: str, trained: dict[str, Any], out: Path, norm: str = "support") -> tuple[fs.MetaLearner, Tree]:
    """A meta-trained method with the inner loop that it is tested with, from its record and its checkpoint."""
    method = METHODS[name]
    inner = dataclasses.replace(method.candidates[0], **{**trained["inner"], "inner_steps": trained["test_steps"]})
    meta = meta_of(method, inner, norm=norm)
    return meta, read_theta(out / slug(name) / "full" / "checkpoint.safetensors", meta.init(torch.Generator()))


def transductive(name: str, trained: dict[str, Any], test: Sample, args: argparse.Namespace) -> dict[str, Any]:
    """The same theta and inner loop, the query's rows normalised by the query's statistics."""
    meta, theta = finished(name, trained, args.out, norm="query")
    return {**trained, "accuracies": accuracies(meta, theta, test, args.test_tasks, args.seed)}


def slug(name: str) -> str:
    return name.replace(", ", "-").replace(" ", "-")


def chosen_and_trained(name: str, parts: dict[str, Sample], args: argparse.Namespace) -> dict[str, Any]:
    """One method from the choice of its inner loop to its accuracy on the meta-test characters."""
    method, folder = METHODS[name], args.out / slug(name)
    parts = {**parts, "train": drawn("train", method.episode)}
    steps = max(1, round(method.steps * args.shorten))
    tried = {}
    for inner in method.candidates:
        _, curve = train(method, inner, parts, max(1, steps // 10), 3, folder / f"try-{inner.inner_lr}", args)
        tried[inner.inner_lr] = min(loss for *_, loss in curve)
    inner = min(method.candidates, key=lambda candidate: tried[candidate.inner_lr])
    theta, curve = train(method, inner, parts, steps, 20, folder / "full", args)

    def tested(part: str, factor: int, n_tasks: int) -> list[float]:
        many = dataclasses.replace(inner, inner_steps=factor * inner.inner_steps)
        return accuracies(meta_of(method, many), theta, parts[part], n_tasks, args.seed)

    by_factor = {factor: statistics.mean(tested("validation", factor, 200)) for factor in (1, 3, 10)}
    factor = max(by_factor, key=by_factor.__getitem__)
    return {
        "tried": tried,
        "inner": dataclasses.asdict(inner),
        "test_steps": factor * inner.inner_steps,
        "validation_accuracy_by_test_steps": {factor * inner.inner_steps: by_factor[factor] for factor in by_factor},
        "tasks": steps * args.meta_batch,
        "seconds": curve[-1][1],
        "curve": curve,
        "accuracies": tested("test", factor, args.test_tasks),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--meta-batch", type=int, default=16)
    parser.add_argument("--shorten", type=float, default=1.0, help="factor on the steps of every method")
    parser.add_argument("--test-tasks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/out/omniglot"))
    args = parser.parse_args()

    parts = {part: drawn(part, SCORED) for part in ("validation", "test")}
    results: dict[str, dict[str, Any]] = {}
    for name in args.methods:
        file = args.out / f"{slug(name)}.json"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_record(file, chosen_and_trained(name, parts, args))
        results[name] = json.loads(file.read_text())
        print(f"{name}: {fs.interval(results[name]['accuracies'])}", flush=True)
    for name in [name for name in TRANSDUCTIVE if name in results]:
        results[f"{name}, transductive"] = transductive(name, results[name], parts["test"], args)

    print(f"\nOmniglot 5-way 1-shot, {args.test_tasks} meta-test tasks of 15 queries a class, seed {args.seed}")
    print("method                  accuracy              minus joint            inner steps, rate   tasks   minutes")
    for name, result in results.items():
        difference = ""
        if name != "joint" and "joint" in results:
            difference = str(fs.paired(result["accuracies"], results["joint"]["accuracies"]))
        inner = f"{result['test_steps']}, {result['inner']['inner_lr']}"
        print(
            f"{name:22}  {fs.interval(result['accuracies'])!s:20}  {difference:21}  {inner:17}  "
            f"{result['tasks']:5} {result['seconds'] / 60:9.1f}"
        )
    write_record(args.out / "omniglot.json", results)
    save_lines(
        args.out / "curves.png",
        {
            name: [(seconds / 60, loss) for _, seconds, loss in result["curve"]]
            for name, result in results.items()
            if name in METHODS
        },
        x_label="minutes of meta-training on 2 cores",
        y_label="query cross-entropy on meta-validation characters",
    )


if __name__ == "__main__":
    keep_freed_memory()
    torch.set_num_threads(1)
    main()

"""Sinusoid regression as in the MAML paper: MAML against joint training, query error after 0 to 10 steps.

Prints a table and writes sinusoids.json and sinusoids.png to the output folder. Resumes.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import torch

import firstsight as fs
from firstsight.engine.record import write_record
from firstsight.learners import classifier
from firstsight.meta import joint, maml
from firstsight.report.pictures import save_curves
from firstsight.tasks import sinusoids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--meta-batch", type=int, default=100)
    parser.add_argument("--test-tasks", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/out/sinusoids"))
    args = parser.parse_args()

    learner = classifier.build(classifier.Config(n_features=1, n_outputs=1, target="value", hidden=(40, 40)))
    training = sinusoids.build(sinusoids.Config(n_support=10, n_query=20))
    testing = sinusoids.build(sinusoids.Config(n_support=10, n_query=100))
    config = fs.TrainConfig(
        steps=args.steps,
        meta_batch=args.meta_batch,
        outer_lr=3e-3,
        schedule="cosine",
        validate_every=max(1, args.steps // 20),
        validate_tasks=500,
        checkpoint_every=1000,
        seed=args.seed,
        backend="vmap",
        chunk=args.meta_batch,
        threads=1,
    )
    settings = {
        "maml": (maml, maml.Config(inner_lr=0.01, inner_steps=1)),
        "joint": (joint, joint.Config(inner_lr=0.01)),
    }
    content: dict[str, object] = {"training": dataclasses.asdict(config), "test_tasks": args.test_tasks}
    curves: dict[str, list[fs.Interval]] = {}
    for name, (method, inner) in settings.items():
        start = time.perf_counter()
        steps = fs.meta_train(
            method.build(inner, learner), training, config, validate=training, directory=args.out / name
        )
        theta = fs.last(steps, total=args.steps, label=name).info.best_theta
        seconds = time.perf_counter() - start
        curves[name] = []
        for inner_steps in range(11):
            meta = method.build(dataclasses.replace(inner, inner_steps=inner_steps), learner)
            result = fs.meta_test(meta, theta, testing, n_tasks=args.test_tasks, seed=args.seed)
            curves[name].append(result.summary["query_loss"])
        content[name] = {"seconds": round(seconds, 1), "query_mse": [curve._asdict() for curve in curves[name]]}
        print(f"{name}: meta-training took {seconds:.0f} s")
    print("\nmean query squared error after n inner steps, K = 10\nsteps  " + "".join(f"{name:>24}" for name in curves))
    for inner_steps in range(11):
        print(f"{inner_steps:5}  " + "".join(f"{curve[inner_steps]!s:>24}" for curve in curves.values()))
    write_record(args.out / "sinusoids.json", content)
    save_curves(args.out / "sinusoids.png", curves, x_label="gradient steps on 10 rows", y_label="query squared error")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

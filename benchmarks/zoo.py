"""The zoo compared: every meta-learner and learner where it applies, on four problems, with the same budget.

    python benchmarks/zoo.py                  # what is not yet there; two runs at a time, one thread each; resumes
    python benchmarks/zoo.py --only sinusoids # one problem
    python benchmarks/zoo.py --table          # the tables alone, from the runs that are there
    python benchmarks/zoo.py --table --page docs/methods.md   # and into a page of the documentation

A run is a method, a problem and a seed, in a process of its own (its peak of memory is its own too). The outer rate is
chosen of three by meta-validation after a tenth of the budget each; then the method is meta-trained from the start for
the whole budget, which is seconds of the processor turned into steps before the start. Its best theta is kept by
meta-validation and tested once. All methods of a problem have the same tasks of meta-test. Rows "from scratch" learn
from the support alone.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from peak import peak_mib
from torch import Tensor
from tqdm import tqdm
from zoo_methods import METHODS, Method
from zoo_problems import Problem, problem_of
from zoo_scratch import SCRATCH, TUNING, row_losses, scratch_predictions
from zoo_table import table, write_into

import firstsight as fs
from firstsight import Learner, MetaLearner, Sample, Task, catalogue, losses
from firstsight.core import Tree
from firstsight.engine.execute import keep_freed_memory
from firstsight.engine.record import write_record
from firstsight.seeds import generator_of
from firstsight.tasks.noise import with_noise
from firstsight.trees import cast, index

RATES = (1e-3, 5e-3, 2.5e-2)
PILOT = 0.1  # of the budget, for each rate
TEST_SEED = 20_000


def built(method: Method) -> tuple[Learner, MetaLearner]:
    """The learner and the meta-learner of a row, from the catalogue."""
    (learner_name, learner_settings), (meta_name, meta_settings) = method.learner, method.meta
    entry = catalogue.LEARNERS[learner_name]
    learner = entry.build(entry.config(**learner_settings))
    outer = losses.on_query(getattr(losses, method.truth), learner) if method.truth else None
    entry = catalogue.META_LEARNERS[meta_name]
    return learner, entry.build(entry.config(**meta_settings), learner, outer)


def row_scores(theta: Tree, state: Tree, X: Tensor, *, learner: Learner) -> Tensor:
    """How odd every row is to the model of a task, of shape (n_rows, 1)."""
    return row_losses(state, X, learner=learner)


def answering(method: Method, learner: Learner, meta: MetaLearner, problem: str) -> MetaLearner:
    """The meta-learner whose predictions answer the problem: those of a model of rows are its losses, for anomalies."""
    is_model = catalogue.META_LEARNERS[method.meta[0]].takes == "model"
    if problem == "contaminated" and is_model and catalogue.LEARNERS[method.learner[0]].gives != "scores":
        return meta._replace(predict=partial(row_scores, learner=learner))
    return meta


def settings(problem: Problem, steps: int, rate: float, seed: int) -> fs.TrainConfig:
    """Of a training of so many steps."""
    return fs.TrainConfig(
        steps=steps,
        meta_batch=16,
        validate_tasks=200,
        outer_lr=rate,
        schedule="cosine",
        validate_every=max(1, steps // 10),
        checkpoint_every=max(1, steps // 10),
        seed=seed,
        backend="vmap",
        chunk=problem.chunk,
        threads=1,
    )


class Trained(NamedTuple):
    """The best theta of a training, its loss on meta-validation, and the seconds of the processor that it took."""

    theta: Tree
    validation: float
    seconds: float


def train(
    meta: MetaLearner, problem: Problem, learner: Learner, config: fs.TrainConfig, folder: Path | None
) -> Trained:
    """A training, or what is left of it."""
    train, validate = (with_noise(part, learner.noise) for part in (problem.train, problem.validate))
    began, best = time.process_time(), float("inf")
    for step in fs.meta_train(meta, train, config, validate=validate, directory=folder):
        if step.info.validation is not None:
            best = min(best, step.info.validation)
    return Trained(step.info.best_theta, best, time.process_time() - began)


def seconds_a_step(meta: MetaLearner, problem: Problem, learner: Learner, config: fs.TrainConfig) -> float:
    """Of the processor, so that other work on the machine does not count."""
    clock = [time.process_time() for _ in fs.meta_train(meta, with_noise(problem.train, learner.noise), config)]
    return float(np.median(np.diff(clock)))


def planned(
    meta: MetaLearner, problem: Problem, learner: Learner, seed: int, out: Path, scale: float
) -> dict[str, Any]:
    """The steps that the budget pays for, and what meta-validation says of every rate; decided once and written."""
    file = out / "plan.json"
    if not file.exists():
        budget = problem.seconds * scale / seconds_a_step(meta, problem, learner, settings(problem, 12, 1e-3, seed))
        rates: dict[str, float] = {}
        for rate in RATES:
            config = settings(problem, max(20, int(PILOT * budget)), rate, seed)
            with contextlib.suppress(FloatingPointError):  # this rate is too large
                rates[str(rate)] = train(meta, problem, learner, config, None).validation
        write_record(file, {"steps": max(20, int(budget)), "rates": rates})
    content = json.loads(file.read_text())
    return {"steps": content["steps"], "rates": content["rates"]}


def run(problem_name: str, name: str, seed: int, out: Path, scale: float) -> dict[str, Any]:
    """One run of the comparison."""
    problem, method = problem_of(problem_name), METHODS[problem_name][name]
    learner, meta = built(method)
    idle = peak_mib()
    plan = planned(meta, problem, learner, seed, out, scale)
    trained = None
    for rate in sorted(plan["rates"], key=lambda one: plan["rates"][one]):
        # What is stable for a tenth of the budget may not be so for all of it.
        with contextlib.suppress(FloatingPointError):
            config = settings(problem, plan["steps"], float(rate), seed)
            trained = train(meta, problem, learner, config, out / f"full-{rate}")
            break
    if trained is None:
        raise FloatingPointError(f"{name} should be stable at one of the rates {RATES}; it was at none")
    meta = answering(method, learner, meta, problem_name)
    values, adapting = test(meta, trained.theta, problem, learner)
    return {
        "problem": problem_name,
        "method": name,
        "seed": seed,
        "values": values,
        "rate": rate,
        **plan,
        "seconds": round(trained.seconds, 1),
        "adapt_ms": round(1000 * adapting, 3),
        "peak_mib": round(peak_mib() - idle, 1),
        "validation": trained.validation,
    }


def tasks_of(sample: Sample, n_tasks: int, part: str) -> Task:
    """The same tasks for every method of a problem; others for another part, where both draw from one distribution."""
    return cast(sample(generator_of(TEST_SEED, part), n_tasks), torch.float32)


def test(meta: MetaLearner, theta: Tree, problem: Problem, learner: Learner) -> tuple[list[float], float]:
    """The figure on every task of meta-test, and the seconds that adapting to one takes."""
    tasks = tasks_of(problem.test, problem.n_test, "test")
    noise = learner.noise
    values, seconds = [], 0.0
    for i in range(problem.n_test):
        support, query = index(tasks, i)
        drawn = None if noise is None else noise(generator_of(TEST_SEED, "noise", i), len(support.X))
        began = time.process_time()
        state = fs.adapt(meta, theta, support.X, support.y, noise=drawn)
        seconds += time.process_time() - began
        values.append(problem.measure(fs.predict(meta, theta, state, query.X), query))
    return values, seconds / problem.n_test


def scratch_run(problem_name: str, name: str) -> dict[str, Any]:
    """One row that learns from the support alone."""
    problem = problem_of(problem_name)
    tasks = tasks_of(problem.test, problem.n_test, "test")
    validation = tasks_of(problem.validate, TUNING, "validation")
    idle = peak_mib()
    fit = scratch_predictions(problem_name, name, problem, validation)
    values, seconds = [], 0.0
    for i in range(problem.n_test):
        support, query = index(tasks, i)
        began = time.process_time()
        prediction = fit(support, query.X)
        seconds += time.process_time() - began
        values.append(problem.measure(prediction, query))
    return {
        "problem": problem_name,
        "method": name,
        "seed": 0,
        "values": values,
        "seconds": 0.0,
        "adapt_ms": round(1000 * seconds / problem.n_test, 3),
        "peak_mib": round(peak_mib() - idle, 1),
    }


def slug(problem: str, name: str, seed: int) -> str:
    """The folder of a run."""
    return f"{problem}/{name.replace(', ', '-').replace(' ', '_')}/{seed}"


def wanted(args: argparse.Namespace) -> list[tuple[str, str, int]]:
    """The runs that are asked for, first seeds first."""
    problems = [args.only] if args.only else list(METHODS)
    scratch = [(problem, name, 0) for problem in problems for name in SCRATCH[problem]]
    return scratch + [
        (problem, name, seed) for seed in range(args.seeds) for problem in problems for name in METHODS[problem]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--scale", type=float, default=1.0, help="of the budget, to try it out")
    parser.add_argument("--out", type=Path, default=Path("runs/out/zoo"))
    parser.add_argument("--table", action="store_true", help="print the tables of the runs that are there")
    parser.add_argument("--page", type=Path, help="where they are written, behind a mark")
    parser.add_argument("--run", nargs=3, metavar=("PROBLEM", "METHOD", "SEED"), help="one run, in this process")
    args = parser.parse_args()
    if args.run:
        problem, name, seed = args.run
        folder = args.out / slug(problem, name, int(seed))
        if name in SCRATCH[problem]:
            record = scratch_run(problem, name)
        else:
            record = run(problem, name, int(seed), folder, args.scale)
        write_record(folder / "result.json", record)
        return
    if not args.table:
        left = [one for one in wanted(args) if not (args.out / slug(*one) / "result.json").exists()]
        bar = tqdm(total=len(left), desc="runs", disable=None)

        def started(one: tuple[str, str, int]) -> None:
            command = [
                sys.executable,
                __file__,
                "--run",
                *map(str, one),
                "--out",
                str(args.out),
                "--scale",
                str(args.scale),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            bar.update()
            if done.returncode:
                print(f"{one} failed:\n{done.stderr[-2000:]}", file=sys.stderr, flush=True)

        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(started, left))
    records = [json.loads(path.read_text()) for path in sorted(args.out.glob("*/*/*/result.json"))]
    text = table(records, METHODS)
    print(text)
    if args.page:
        write_into(args.page, text)


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()
    main()

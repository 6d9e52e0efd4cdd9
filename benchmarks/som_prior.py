"""A map with a meta-learned codebook, neighbourhood and rate on 20 rows, against MiniSom on 200 rows of the same task.

Both are judged on held-out rows of new tasks by MiniSom's own measures: the quantisation error (mean distance to the
best unit) and the topographic error (share of rows whose two best units are no neighbours). Families: mixtures of 5
clusters that share most of where they lie (``--shared``), in 4, 6 and 8 columns; curved sheets, bent alike to the same
share, in as many columns; and weeks of electricity (elec2), where early weeks train, ten validate and the last 32 are
a test task each. The grid is 8 x 8, by MiniSom's rule of thumb for 200 rows.

What either side is free to choose is chosen on meta-validation: MiniSom's start, sigma and rate by
``quantisation / least of all settings + topographic``; here the weight of the topographic loss, so that the larger of
the two differences to that MiniSom, a share of its quantisation error and a topographic error, is least. MiniSom's
settings of least quantisation and of least topographic error are shown as well.
"""

import argparse
import dataclasses
import itertools
import runpy
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import firstsight as fs
from firstsight.engine.record import write_record
from firstsight.learners import som
from firstsight.meta import maml
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures, tables
from firstsight.trees import concatenate, index, n_tasks

SIDE, SEEN, MANY, HELD_OUT, SCORED = 8, 20, 200, 136, 64
COLUMNS = (4, 6, 8)
GRID = list(itertools.product(("pca", "random"), (1.2, 2.0, 2.5, 3.0), (0.2, 0.5)))
WEIGHTS = (0.3, 0.6, 1.0)
Scores = tuple[float, float]


def sheets(
    generator: torch.Generator, n_tasks: int, *, n_features: int, family: int, shared: float, n_rows: int
) -> Tensor:
    """Rows of curved sheets: a square bent by nine curves, whose loadings the tasks share to ``shared``."""
    place = 2 * torch.rand(n_tasks, n_rows, 2, generator=generator) - 1
    u, v = place[..., 0], place[..., 1]
    curves = torch.stack(
        [2 * u, 2 * v, u * v, u**2, v**2, (3 * u).sin(), (3 * v).sin(), (3 * u).cos(), (3 * v).cos()], -1
    )
    common = torch.randn(9, n_features, generator=generator_of(family, "sheets"))
    own = torch.randn(n_tasks, 9, n_features, generator=generator)
    bent = curves @ (shared**0.5 * common + (1 - shared) ** 0.5 * own) / 2
    return bent + 0.1 * torch.randn(bent.shape, generator=generator)


def sheet_tasks(
    generator: torch.Generator, n_tasks: int, *, n_features: int, family: int, shared: float, rows: tuple[int, int]
) -> fs.Task:
    X = sheets(generator, n_tasks, n_features=n_features, family=family, shared=shared, n_rows=sum(rows))
    return fs.Task(fs.Data(X[:, : rows[0]]), fs.Data(X[:, rows[0] :]))


def families(seed: int, name: str, shared: float) -> tuple[int, Callable[[str, int, int], fs.Sample]]:
    """The number of columns, and ``(part, n_support, n_query) -> tasks``, of seeds or weeks of its own."""
    n_features = COLUMNS[seed % len(COLUMNS)]
    if name == "mixtures":
        config = mixtures.Config(
            n_features=(n_features,) * 2,
            n_clusters=(5, 5),
            within=(0.5, 0.5),
            shared=shared,
            family=seed,
        )
        return n_features, lambda _, seen, scored: mixtures.build(
            dataclasses.replace(config, n_support=seen, n_query=scored)
        )
    if name == "sheets":
        return n_features, lambda _, seen, scored: partial(
            sheet_tasks, rows=(seen, scored), n_features=n_features, family=seed, shared=shared
        )
    weeks = dict(zip(("train", "validate", "test"), read_weeks(), strict=True))
    scaling = tables.scaling_of(torch.cat(weeks["train"]))

    def of_weeks(part: str, seen: int, scored: int) -> fs.Sample:
        config = tables.Config(n_support=seen, n_query=scored)
        each = [tables.build(config, [week], scaling=scaling) for week in weeks["test"]]
        return partial(in_turn, each=each) if part == "test" else tables.build(config, weeks[part], scaling=scaling)

    return 6, of_weeks


def in_turn(generator: torch.Generator, count: int, *, each: list[fs.Sample]) -> fs.Task:
    """A task of every week, the first ``count`` of them."""
    task: fs.Task = concatenate([sample(generator, 1) for sample in each[:count]])
    return task


def read_weeks() -> Sequence[list[Tensor]]:
    path = Path(__file__).parent.parent / "examples" / "weeks_of_electricity.py"
    read: Sequence[list[Tensor]] = runpy.run_path(str(path))["read_weeks"]()
    return read


def scores(codebook: Tensor, X: Tensor) -> Scores:
    params = {"codebook": codebook}
    return float(som.quantisation_error(params, X)), float(som.topographic_error(params, X))


def minisom_of(X: Tensor, setting: tuple[str, float, float], seed: int, n_iterations: int) -> Tensor:
    try:
        from minisom import MiniSom
    except ImportError as error:
        raise ImportError("this benchmark compares with MiniSom; install it with pip install minisom") from error
    begin, sigma, rate = setting
    peer = MiniSom(SIDE, SIDE, X.shape[1], sigma=sigma, learning_rate=rate, random_seed=seed)
    rows = X.double().numpy()
    getattr(peer, f"{begin}_weights_init")(rows)
    peer.train_random(rows, n_iterations)
    return torch.as_tensor(peer.get_weights()).float()


def outer(params: Any, data: fs.Data, *, weight: float, unit: float) -> Tensor:
    """The quantisation error in units of the family's, and the soft topographic error."""
    soft = som.topographic_loss(params, data.X, temperature=0.05 * unit**2)
    return som.quantisation_error(params, data.X) / unit + weight * soft


def learned(
    train: fs.Sample, weight: float, n_features: int, steps: int, seed: int
) -> tuple[fs.MetaLearner, fs.Learner, Any]:
    learner = som.build(
        som.Config(
            n_features=n_features, grid=(SIDE, SIDE), learned_schedule=True, prior=True, prior_rows=3.0, radius_end=1.0
        )
    )
    pooled = fs.Data(train(generator_of(seed, "pool"), 64).support.X.flatten(0, 1))
    assert learner.start is not None
    assert learner.refine is not None
    begun = learner.start(generator_of(seed), pooled)
    begin = begun
    for _ in range(30):
        begin = learner.refine(begin, pooled, None)
    unit = float(som.quantisation_error(begin, pooled.X))
    meta = maml.build(maml.Config(inner="refine", inner_steps=3), learner, partial(outer, weight=weight, unit=unit))
    config = fs.TrainConfig(
        steps=steps, meta_batch=16, outer_lr=0.03, schedule="cosine", seed=seed, backend="vmap", chunk=16, clip_norm=1.0
    )
    theta = fs.last(fs.meta_train(meta, train, config, start={**begun, "codebook": begin["codebook"]})).theta
    return meta, learner, theta


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=["mixtures", "sheets", "weeks"], default="mixtures")
    parser.add_argument("--shared", type=float, default=0.95)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--iterations", type=int, default=5_000)
    parser.add_argument("--validate-tasks", type=int, default=6)
    parser.add_argument("--test-tasks", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/out/som_prior"))
    args = parser.parse_args()
    found = []
    for seed in args.seeds:
        n_features, family = families(seed, args.family, args.shared)
        validation = family("validate", MANY, HELD_OUT)(generator_of(seed, "validate"), args.validate_tasks)
        test = family("test", MANY, HELD_OUT)(generator_of(seed, "test"), args.test_tasks)
        n_test = n_tasks(test)

        def of_minisom(setting: Any, tasks: fs.Task, n_seen: int, count: int, seed: int = seed) -> np.ndarray:
            found = []
            for i in range(count):
                support, query = index(tasks, i)
                found.append(scores(minisom_of(support.X[:n_seen], setting, seed, args.iterations), query.X))
            return np.array(found)

        tried = {setting: of_minisom(setting, validation, MANY, args.validate_tasks).mean(0) for setting in GRID}
        least = min(quantisation for quantisation, _ in tried.values())
        chosen = {
            "balanced": min(tried, key=lambda setting: tried[setting][0] / least + tried[setting][1]),
            "quantisation": min(tried, key=lambda setting: tried[setting][0]),
            "topographic": min(tried, key=lambda setting: tried[setting][1]),
        }
        began = time.perf_counter()
        trained = {}
        for weight in WEIGHTS:
            meta, _, theta = learned(family("train", SEEN, SCORED), weight, n_features, args.steps, seed)
            many = family("validate", SEEN, HELD_OUT)(generator_of(seed, "validate ours"), 64)
            values = np.array(
                [
                    scores(meta.adapt(theta, index(many, i).support)["codebook"], index(many, i).query.X)
                    for i in range(64)
                ]
            ).mean(0)
            excess = values - tried[chosen["balanced"]]
            trained[weight] = (max(excess[0] / least, excess[1]), values, meta, theta)
        seconds = time.perf_counter() - began
        weight = min(trained, key=lambda weight: trained[weight][0])
        _, _, meta, theta = trained[weight]
        numbers = {name: round(float(leaf), 3) for name, leaf in theta.items() if leaf.ndim == 0}
        print(f"{args.family}, shared {args.shared}, seed {seed}, {n_features} columns")
        print(f"  {len(WEIGHTS)} meta-trainings took {seconds:.0f} s")
        for value in WEIGHTS:
            print(f"  validation, weight {value}: {trained[value][1].round(3)}")
        print(f"  chosen weight {weight}; {numbers}", flush=True)
        ours = np.array(
            [
                scores(meta.adapt(theta, fs.Data(index(test, i).support.X[:SEEN]))["codebook"], index(test, i).query.X)
                for i in range(n_test)
            ]
        )
        prior = np.array([scores(theta["codebook"], index(test, i).query.X) for i in range(n_test)])
        print(f"  ours, {SEEN} rows: {fs.interval(ours[:, 0])}, topographic {fs.interval(ours[:, 1])}")
        print(f"  start, no row: {fs.interval(prior[:, 0])}, topographic {fs.interval(prior[:, 1])}")
        cases = [(name, setting, MANY) for name, setting in chosen.items()] + [("balanced", chosen["balanced"], SEEN)]
        record = {"seed": seed, "weight": weight, "learned": numbers, "seconds": round(seconds, 1)}
        for name, setting, n_seen in cases:
            began = time.perf_counter()
            theirs = of_minisom(setting, test, n_seen, n_test)
            each = (time.perf_counter() - began) / n_test
            both = [fs.paired(ours[:, k], theirs[:, k]) for k in range(2)]
            print(
                f"  MiniSom, {n_seen} rows, {name} {setting}: {theirs[:, 0].mean():.3f}, topographic "
                f"{theirs[:, 1].mean():.3f}; ours minus this: {both[0]}, topographic {both[1]}; {each:.2f} s a task",
                flush=True,
            )
            record[f"minus {name} {n_seen}"] = [difference._asdict() for difference in both]
        found.append(record)
    write_record(args.out / f"{args.family}_{args.shared}.json", {"steps": args.steps, "rows": found})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

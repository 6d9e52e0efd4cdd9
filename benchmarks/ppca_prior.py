"""Probabilistic PCA with a meta-learned prior on 10 and 20 rows, against PCA from scratch on 20, 200 and 500.

Tables of 20 columns whose rows vary along 3 directions that the tables of a family share, but for a little of their
own: x = m + W z + .4 e, where W and m are the family's plus ``own`` times a draw of the table. The prior is learned on
tables of 20 rows. From scratch: the closed form of Tipping and Bishop (PCA with its noise), the number of directions
told, or chosen by 5-fold held-out likelihood. Scores on 500 new rows of each table: negative log-likelihood, and the
mean squared error a column of a row put back together from 3 numbers (projected on mean and directions). Every
table of meta-test is new. Beside it, what the prior gives without adapting, and plain EM on 20 rows from there.
"""

import argparse
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import firstsight as fs
from firstsight.engine.record import write_record
from firstsight.learners import ppca
from firstsight.meta import maml
from firstsight.seeds import generator_of
from firstsight.trees import index

N_FEATURES, N_CODE, NOISE, N_SEEN = 20, 3, 0.4, 20


def tables(
    generator: torch.Generator, n_tasks: int, *, family: int, own: float, n_support: int, n_query: int
) -> fs.Task:
    """Tables of one family, of shape (n_tasks, n_rows, N_FEATURES)."""
    ours = generator_of(family, "family")
    W = torch.randn(N_FEATURES, N_CODE, generator=ours) / math.sqrt(N_CODE)
    mean = torch.randn(N_FEATURES, generator=ours)
    W = W + own * torch.randn(n_tasks, N_FEATURES, N_CODE, generator=generator) / math.sqrt(N_CODE)
    mean = mean + own * torch.randn(n_tasks, 1, N_FEATURES, generator=generator)
    n_rows = n_support + n_query
    codes = torch.randn(n_tasks, n_rows, N_CODE, generator=generator)
    X = mean + codes @ W.mT + NOISE * torch.randn(n_tasks, n_rows, N_FEATURES, generator=generator)
    return fs.Task(fs.Data(X[:, :n_support]), fs.Data(X[:, n_support:]))


def closed_form(X: Tensor, n_code: int) -> tuple[fs.Learner, fs.core.Tree]:
    learner = ppca.build(ppca.Config(n_features=N_FEATURES, n_code=n_code))
    assert learner.start is not None
    return learner, learner.start(generator_of(0), fs.Data(X))


def chosen_code(X: Tensor) -> int:
    """The number of directions after which rows held out five times are likeliest."""
    fold = torch.arange(len(X)) % 5

    def held_out(n_code: int) -> float:
        fitted = [closed_form(X[fold != part], n_code) for part in range(5)]
        return sum(
            float(learner.loss(params, fs.Data(X[fold == part]))) for part, (learner, params) in enumerate(fitted)
        )

    return min(range(1, 2 * N_CODE + 1), key=held_out)


def error(params: fs.core.Tree, X: Tensor) -> float:
    directions = torch.linalg.qr(params["loadings"]).Q
    centred = X - params["mean"]
    return float(((centred - centred @ directions @ directions.mT) ** 2).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--test-tasks", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/out/ppca_prior"))
    args = parser.parse_args()
    learner = ppca.build(ppca.Config(n_features=N_FEATURES, n_code=N_CODE, prior=True, variance_floor=1e-4))
    meta = maml.build(maml.Config(inner="refine", inner_steps=5), learner)
    assert learner.start is not None
    records: list[dict[str, Any]] = []
    for own in (0.1, 0.3, 1.0):
        scores: dict[str, list[tuple[float, float]]] = {}
        for seed in range(args.seeds):
            family = partial(tables, family=seed, own=own)
            training = partial(family, n_support=N_SEEN, n_query=50)
            pooled = fs.Data(training(generator_of(seed, "pool"), 64).support.X.flatten(0, 1))
            config = fs.TrainConfig(
                steps=args.steps, meta_batch=32, outer_lr=0.05, schedule="cosine", seed=seed, backend="vmap",
                chunk=32, threads=1,
            )  # fmt: skip
            began = time.perf_counter()
            start = learner.start(generator_of(seed, "start"), pooled)
            theta = fs.last(fs.meta_train(meta, training, config, start=start)).theta
            seconds = time.perf_counter() - began
            tasks = family(generator_of(seed, "test"), args.test_tasks, n_support=500, n_query=500)
            for i in range(args.test_tasks):
                X, query = index(tasks, i).support.X, index(tasks, i).query
                plain = theta
                for _ in range(5):
                    plain = learner.refine(plain, fs.Data(X[:N_SEEN]), None)
                fitted = {f"prior {n_rows}": (learner, fs.adapt(meta, theta, X[:n_rows])) for n_rows in (10, N_SEEN)}
                fitted |= {"not adapted": (learner, theta), "plain EM from it 20": (learner, plain)}
                for n_rows in (20, 200, 500):
                    fitted[f"scratch {n_rows}"] = closed_form(X[:n_rows], N_CODE)
                fitted["scratch 20, codes too"] = closed_form(X[:20], chosen_code(X[:20]))
                for method, (model, params) in fitted.items():
                    scores.setdefault(method, []).append((float(model.loss(params, query)), error(params, query.X)))
            strengths = {name: round(float(theta[name].exp()), 2) for name in ppca.STRENGTHS}
            print(f"own {own}, seed {seed}: trained in {seconds:.0f} s, rows {strengths}", flush=True)
            records.append({"own": own, "seed": seed, "seconds": round(seconds, 1)} | strengths)
        for place, what in enumerate(("negative log-likelihood", "squared error")):
            print(f"  {what}")
            values = {method: [pair[place] for pair in pairs] for method, pairs in scores.items()}
            for method, theirs in values.items():
                record = {"own": own, "what": what, "method": method, "value": fs.interval(theirs)._asdict()}
                text = ""
                for ours in ("prior 10", "prior 20"):
                    difference = fs.paired(values[ours], theirs)
                    record[f"{ours} minus it"] = difference._asdict()
                    text += f" {ours} minus it {difference}"
                print(f"    {method:22} {fs.interval(theirs)!s:24}{text}")
                records.append(record)
    write_record(args.out / "ppca_prior.json", {"steps": args.steps, "rows": records})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

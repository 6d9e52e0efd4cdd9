"""Meta-test on tables of a family that the run has never seen, against what can be done without a past."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor
from tqdm import tqdm

from firstsight import catalogue
from firstsight.checks import check_number
from firstsight.core import Data, Learner, Task, Tree
from firstsight.engine.evaluate import Interval, interval, paired
from firstsight.engine.execute import torch_threads
from firstsight.engine.record import write_record
from firstsight.engine.scratch import from_scratch
from firstsight.family.read import read_family
from firstsight.family.run import Run, meta_of, read_run, seen_in, standardised, table_rows, theta_of
from firstsight.report.pictures import new_figure, save_differences
from firstsight.seeds import generator_of

OURS, STILL = "adapted", "not adapted"
FEW, MANY = "from scratch, same rows", "from scratch, all other rows"
METHODS = (OURS, STILL, FEW, MANY)


class FamilyTest(NamedTuple):
    """What a meta-test of a run gives.

    Parameters
    ----------
    rows : list of dict
        One a table: its name and the mean query loss of every method over the repeats; with a label, also
        the adjusted Rand index of every method, named ``<method>, adjusted Rand``.
    summary : dict of str to Interval
        Mean over tables, by name.
    differences : dict of str to Interval
        ``adapted`` minus each other method, paired over tables.
    notes : list of str
        Tables that were left out, and why.

    """

    rows: list[dict[str, Any]]
    summary: dict[str, Interval]
    differences: dict[str, Interval]
    notes: list[str]


def run_tests(
    directory: Path, tasks: Path, *, repeats: int = 5, seed: int = 0, group: str | None = None, label: str | None = None
) -> FamilyTest:
    """Adapt to some rows of each new table, and score on other rows of it.

    Parameters
    ----------
    directory : Path
        The folder of a run.
    tasks : Path
        New tables, as for meta-training; those that the run has learned from are left out.
    repeats : int
        Draws of rows from every table, averaged within the table, >= 1.
    seed : int
        Of the draws, >= 0.
    group, label : str, optional
        As in meta-training; those of the run by default.

    Returns
    -------
    FamilyTest

    Raises
    ------
    ValueError, FileNotFoundError
        When there is no run, or no table is left.

    """
    check_number("repeats", repeats, at_least=1, integer=True)
    new_figure(1, 1)  # says now, and not after the test, that matplotlib is missing
    run = read_run(directory)
    asked: dict[str, Any] = {name: value for name, value in (("group", group), ("label", label)) if value is not None}
    run = run._replace(asked=run.asked._replace(family=dataclasses.replace(run.asked.family, **asked)))
    if run.asked.family.label in {column.name for column in run.columns.columns}:
        raise ValueError(
            f"label={run.asked.family.label!r} is a column that the run has learned from, so it cannot be the truth; "
            "meta-train with --label"
        )
    learner, meta, theta = theta_of(run)
    still = meta_of(run, learner, inner_steps=0)
    tables, truths, notes = _unseen(run, tasks)
    fits = {
        OURS: lambda task, rest: meta.adapt(theta, task.support),
        STILL: lambda task, rest: still.adapt(theta, task.support),
        FEW: lambda task, rest: _alone(learner, task.support, seed),
        MANY: lambda task, rest: _alone(learner, rest, seed),
    }
    rows = []
    with torch_threads(1):  # fits to a few rows take many short steps
        for name in tqdm(tables, desc="meta-test", unit="table", disable=None, leave=False):
            draws = [
                _draw(run, learner, tables[name], truths.get(name), seed, name, number) for number in range(repeats)
            ]
            scores: dict[str, list[float]] = {}
            for (task, rest), (method, fit) in itertools.product(draws, fits.items()):
                for what, score in _scored(learner, fit(task, rest), task.query, clusters=_clusters(run)).items():
                    scores.setdefault(f"{method}{what}", []).append(score)
            rows.append({"table": name, **{what: float(np.mean(values)) for what, values in scores.items()}})
    names = [name for name in rows[0] if name != "table" and all(np.isfinite(row.get(name, np.nan)) for row in rows)]
    return FamilyTest(
        rows,
        {name: interval([row[name] for row in rows]) for name in names},
        {
            name: paired([row[OURS] for row in rows], [row[name] for row in rows])
            for name in METHODS[1:]
            if name in names
        },
        notes,
    )


def save_test(result: FamilyTest, out: Path) -> None:
    """Write ``test.json`` (every table's row) and ``test.png`` (paired differences) to a folder."""
    write_record(
        out / "test.json",
        {
            "tables": result.rows,
            "summary": {name: value._asdict() for name, value in result.summary.items()},
            "adapted_minus": {name: value._asdict() for name, value in result.differences.items()},
            "notes": result.notes,
        },
    )
    save_differences(
        out / "test.png",
        {name: [row[OURS] - row[name] for row in result.rows] for name in result.differences},
        result.differences,
        x_label=f"query loss of '{OURS}' minus that of each other, a dot a table\n(left of 0: adapting is better)",
    )


def _unseen(run: Run, tasks: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], list[str]]:
    config, family = run.asked.tables, run.asked.family
    needed = config.n_support + config.n_query
    tables, truths, notes = {}, {}, []
    for name, frame in read_family(tasks, family).items():
        if len(frame) < needed:
            notes.append(f"{name} has {len(frame)} rows, fewer than n_support + n_query = {needed}: left out")
            continue
        rows = table_rows(run, frame, name)
        if (known := seen_in(run, rows)) is not None:
            notes.append(f"{name} shares rows with {known}, which the run has learned from: left out")
        else:
            tables[name] = rows
            if family.label:
                truths[name] = torch.from_numpy(frame[family.label].astype("category").cat.codes.to_numpy().copy())
    if not tables:
        raise ValueError(f"no table of {tasks} is left to test on: {notes[0]}; pass tables the run has not seen")
    return tables, truths, notes


def _draw(
    run: Run, learner: Learner, table: Tensor, truth: Tensor | None, seed: int, name: str, repeat: int
) -> tuple[Task, Data]:
    """A task of the table, and all its rows but the query, on the same scale."""
    config, generator = run.asked.tables, generator_of(seed, "test", name, repeat)
    order = torch.randperm(len(table), generator=generator)
    query, rest = order[: config.n_query], order[config.n_query :]
    support = rest[: config.n_support]

    def data(rows: Tensor) -> Data:
        X = standardised(run, table[rows], table[support])
        noise = None if learner.noise is None else learner.noise(generator, len(rows))
        return Data(X, None if truth is None else truth[rows], noise)

    return Task(data(support), data(query)), data(rest)


def _alone(learner: Learner, data: Data, seed: int) -> Tree | None:
    """The learner from scratch, or None where it cannot be fitted to so few rows."""
    try:
        return from_scratch(learner, data, seed=seed)
    except ValueError:
        # All that a finite table of the right width can be refused for.
        return None


def _scored(learner: Learner, state: Tree | None, query: Data, *, clusters: bool) -> dict[str, float]:
    """Query loss, and with truth the adjusted Rand index over the rows that have one."""
    if state is None:
        return {"": float("nan")}
    with torch.no_grad():
        scores = {"": float(learner.loss(state, query))}
        if clusters and query.y is not None and bool((query.y >= 0).any()):
            known = query.y >= 0
            found = learner.predict(state, query.X).argmax(1)
            scores[", adjusted Rand"] = float(adjusted_rand_score(query.y[known].numpy(), found[known].numpy()))
    return scores


def _clusters(run: Run) -> bool:
    return catalogue.LEARNERS[run.asked.learner].gives == "clusters"

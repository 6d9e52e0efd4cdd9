"""Meta-training on a family: what is decided about the tables, what it will cost, and the training itself."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from firstsight.columns.encode import encode
from firstsight.columns.kinds import Columns
from firstsight.columns.learn import learn_columns
from firstsight.core import Data, Learner, Sample, Tree
from firstsight.datasets.rows import row_hashes
from firstsight.engine.checkpoint import read_checkpoint
from firstsight.engine.config import TrainConfig
from firstsight.engine.cost import cost
from firstsight.engine.scratch import from_scratch
from firstsight.engine.train import CHECKPOINT, last, meta_train
from firstsight.family.read import read_family, split_family
from firstsight.family.run import (
    Asked,
    Run,
    check_asked,
    hashes_of,
    learned_part,
    learner_of,
    meta_of,
    read_run,
    refuse_difference,
    same_tables,
    write_run,
)
from firstsight.report.pictures import new_figure, save_lines
from firstsight.seeds import generator_of
from firstsight.tasks import tables as tables_of
from firstsight.tasks.noise import with_noise
from firstsight.tasks.tables import scaling_of

POOLED_TASKS = 64  # tasks whose rows a learner that starts from rows looks at

Say = Callable[[str], None]


def train_run(tasks: Path, out: Path, asked: Asked, say: Say) -> Run:
    """Meta-train on a family, or go on with a run that was stopped.

    Parameters
    ----------
    tasks : Path
        A folder of tables, or one file with ``asked.family.group``.
    out : Path
        The folder of the run; when it holds one, that run goes on.
    asked : Asked
        Settings.
    say : callable
        ``(sentence)``: told what was decided, and what it will cost, before it starts.

    Returns
    -------
    Run

    Raises
    ------
    TypeError, ValueError
        When the tables, or settings for them, are not what they should be; or the run in ``out`` was asked
        something else.

    """
    check_asked(asked.learner, asked.meta)
    new_figure(1, 1)  # says now, and not after the training, that matplotlib is missing
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"out={str(out)!r} should be a folder; it is a file; pass another --out")
    old = read_run(out) if (out / CHECKPOINT).exists() else None
    if old is not None:
        refuse_difference(old.asked, asked, out)
    run, tables, notes = _decided(tasks, out, asked)
    if old is not None and not same_tables(old, run):
        raise ValueError(
            f"{out} was learned from other tables than {tasks} holds now; restore them or pass another --out"
        )

    samples = {
        part: with_noise(
            tables_of.build(asked.tables, [tables[name] for name in names], scaling=run.scaling), learner_of(run).noise
        )
        for part, names in run.names.items()
        if names
    }
    meta = meta_of(run, _started(run, samples["train"]))
    for note in notes:
        say(note)
    if old is not None:
        facts = read_checkpoint(out / CHECKPOINT).facts
        train = _planned(asked.train, facts["plan"])
        say(f"{out} is there already: it goes on from step {facts['step']} of {train.steps}")
    else:
        estimate = cost(meta, samples["train"], asked.train)
        train = _planned(asked.train, dataclasses.asdict(estimate.plan))
        say(
            f"{train.steps} steps of {train.meta_batch} tasks, run by {estimate.plan.backend}: "
            f"{_duration(estimate.seconds)}; stop it at any moment, the same command goes on"
        )
    # Checks everything and writes a first checkpoint; only what it accepts becomes a run.
    steps = meta_train(meta, samples["train"], train, validate=samples.get("validate"), directory=out)
    write_run(run)
    info = last(steps, total=train.steps, label="meta-training").info
    _save_curve(out)
    say(f"best theta found at step {info.best_step}; run kept in {out}")
    return run


def _decided(tasks: Path, out: Path, asked: Asked) -> tuple[Run, dict[str, Tensor], list[str]]:
    """The run before it is trained, its tables as numbers, and what was decided in words."""
    frames, left_out = _long_enough(read_family(tasks, asked.family), asked)
    learned = {name: learned_part(frame, asked.family) for name, frame in frames.items()}
    training, validation, together = split_family(
        list(learned), [row_hashes(frame) for frame in learned.values()], asked.family, seed=asked.train.seed
    )
    columns = learn_columns({name: learned[name] for name in training})
    tables = {name: torch.from_numpy(encode(columns, frame, name)) for name, frame in learned.items()}
    run = Run(
        out,
        asked,
        columns,
        scaling_of(torch.cat([tables[name] for name in training])),
        {"train": training, "validate": validation},
        {name: hashes_of(tables[name]) for name in training + validation},
    )
    return run, tables, _notes(columns, training, validation, together, left_out)


def _started(run: Run, sample: Sample) -> Learner:
    """The learner whose first parameters are, where it can start from rows, its fit to the rows of many tasks."""
    learner = learner_of(run)
    if learner.start is None:
        return learner
    rows = sample(generator_of(run.asked.train.seed, "pool"), POOLED_TASKS).support.X.flatten(0, 1)
    fitted = from_scratch(learner, Data(rows), seed=run.asked.train.seed)
    return learner._replace(init=partial(_given, params=fitted))


def _given(generator: torch.Generator, *, params: Tree) -> Tree:
    return params


def _planned(train: TrainConfig, plan: Mapping[str, Any]) -> TrainConfig:
    return dataclasses.replace(train, backend=plan["backend"], chunk=plan["chunk"], threads=plan["threads"])


def _long_enough(frames: dict[str, pd.DataFrame], asked: Asked) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    needed = asked.tables.n_support + asked.tables.n_query
    kept = {name: frame for name, frame in frames.items() if len(frame) >= needed}
    if not kept:
        longest = max(len(frame) for frame in frames.values())
        raise ValueError(
            f"tables should have at least n_support + n_query = {needed} rows; the longest of {len(frames)} has "
            f"{longest}; lower --n-support or --n-query"
        )
    return kept, {name: len(frame) for name, frame in frames.items() if name not in kept}


def _notes(
    columns: Columns, training: list[str], validation: list[str], together: list[list[str]], left_out: dict[str, int]
) -> list[str]:
    """What was decided, a sentence each."""
    notes = [
        f"{len(training)} tables to meta-train, {len(validation)} to meta-validate; {len(columns.columns)} columns "
        f"as {len(columns.feature_names)} numbers",
        *columns.notes,
    ]
    if left_out:
        shown = ", ".join(f"{name} ({n_rows})" for name, n_rows in list(left_out.items())[:3])
        notes.append(f"left out, for having fewer than n_support + n_query rows: {len(left_out)}, such as {shown}")
    notes += [f"{', '.join(group[:4])} share rows and are kept on one side of the split" for group in together]
    return notes


def _duration(seconds: float) -> str:
    if seconds < 10:
        return "less than 10 s"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _save_curve(directory: Path) -> None:
    tensors = read_checkpoint(directory / CHECKPOINT).tensors
    losses = tensors["losses"][:, 0]
    lines = {"meta-training": list(enumerate(losses.tolist(), start=1))}
    if len(tensors["validations"]):
        lines["meta-validation"] = [(step, loss) for step, loss in tensors["validations"].tolist()]
    save_lines(directory / "curve.png", lines, x_label="outer step", y_label="query loss")

"""A run: meta-training on a family, kept in a folder, and adapting to new tables later.

``run.json`` says what was asked and what was decided (columns, scaling, which tables were learned from),
``seen.safetensors`` holds hashes of their rows, ``checkpoint.safetensors`` the training. None is a pickle.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight import catalogue
from firstsight.checks import check_choice, check_finite
from firstsight.columns.encode import encode
from firstsight.columns.kinds import Columns
from firstsight.columns.learn import learn_columns
from firstsight.core import Data, Learner, MetaLearner, Sample, Tree
from firstsight.datasets.rows import SHARED, row_hashes, share_seen
from firstsight.engine.checkpoint import read_checkpoint, write_checkpoint, write_whole
from firstsight.engine.config import TrainConfig
from firstsight.engine.cost import cost
from firstsight.engine.resume import read_theta
from firstsight.engine.scratch import from_scratch
from firstsight.engine.train import CHECKPOINT, last, meta_train
from firstsight.family.read import Config, read_family, split_family
from firstsight.report.pictures import save_lines
from firstsight.seeds import generator_of
from firstsight.tasks import tables as tables_of
from firstsight.tasks.noise import with_noise
from firstsight.tasks.tables import Scaling, scaling_of

RUN = "run.json"
SEEN = "seen.safetensors"
FORMAT = 1
POOLED_TASKS = 64  # tasks whose rows a learner that starts from rows looks at

Say = Callable[[str], None]


class Asked(NamedTuple):
    """What a run is asked to do.

    Parameters
    ----------
    learner, meta : str
        Names in the catalogue.
    learner_config, meta_config : dataclass
        Their settings; the learner's ``n_features`` is filled in from the data.
    tables : firstsight.tasks.tables.Config
        The tasks.
    family : firstsight.family.read.Config
        How tables are read and split.
    train : TrainConfig
        Meta-training.

    """

    learner: str
    meta: str
    learner_config: Any
    meta_config: Any
    tables: tables_of.Config
    family: Config
    train: TrainConfig


class Run(NamedTuple):
    """A run as it lies in its folder.

    Parameters
    ----------
    directory : Path
        The folder.
    asked : Asked
        What it was asked.
    columns : Columns
        What every column is.
    scaling : Scaling
        Mean and deviation of the columns of meta-training.
    names : dict
        ``train`` and ``validate``: names of the tables.
    seen : dict of str to ndarray
        The rows of the tables that were learned from, as hashes, by which they are known again.

    """

    directory: Path
    asked: Asked
    columns: Columns
    scaling: Scaling
    names: dict[str, list[str]]
    seen: dict[str, NDArray[np.uint64]]


def learns_from_tables(entry: catalogue.Entry) -> bool:
    """Whether a learner takes any number of columns and needs no truth."""
    fields = {field.name for field in dataclasses.fields(entry.config)}
    return "n_features" in fields and "target" not in fields


def check_asked(learner: str, meta: str) -> None:
    """Refuse names that are not in the catalogue, and learners that cannot learn from tables without truth.

    Raises
    ------
    ValueError
        With what there is.

    """
    check_choice("learner", learner, list(catalogue.LEARNERS))
    check_choice("meta", meta, list(catalogue.META_LEARNERS))
    fit = [name for name, entry in catalogue.LEARNERS.items() if learns_from_tables(entry)]
    if learner not in fit:
        raise ValueError(
            f"learner={learner!r} needs classes or images; from tables without truth learn {', '.join(fit)}"
        )


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
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"out={str(out)!r} should be a folder; it is a file; pass another --out")
    old = read_run(out) if (out / CHECKPOINT).exists() else None
    if old is not None:
        _refuse_difference(old.asked, asked, out)
    run, tables, notes = _decided(tasks, out, asked)
    if old is not None and not _same(old, run):
        raise ValueError(
            f"{out} was learned from other tables than {tasks} holds now; restore them or pass another --out"
        )

    samples = {
        part: with_noise(
            tables_of.build(asked.tables, [tables[name] for name in names], scaling=run.scaling), _learner(run).noise
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
    _write_run(run)
    info = last(steps, total=train.steps, label="meta-training").info
    _save_curve(out)
    say(f"best theta found at step {info.best_step}; run kept in {out}")
    return run


def read_run(directory: Path) -> Run:
    """A run from its folder.

    Raises
    ------
    FileNotFoundError, ValueError
        When there is none, or it is damaged.

    """
    path = directory / RUN
    if not path.is_file():
        raise FileNotFoundError(
            f"no run at {directory}, for it has no {RUN}; make one with: firstsight meta-train --tasks FOLDER "
            "--out RUN, in a folder that holds no other checkpoint"
        )
    try:
        content = json.loads(path.read_text())
        if content["format"] > FORMAT:
            raise ValueError(f"it has format {content['format']}, this version reads up to {FORMAT}; upgrade")
        asked = content["asked"]
        check_asked(asked["learner"], asked["meta"])
        return Run(
            directory,
            Asked(
                asked["learner"],
                asked["meta"],
                _config(catalogue.LEARNERS[asked["learner"]].config, asked["learner_config"]),
                _config(catalogue.META_LEARNERS[asked["meta"]].config, asked["meta_config"]),
                _config(tables_of.Config, asked["tables"]),
                _config(Config, asked["family"]),
                _config(TrainConfig, asked["train"]),
            ),
            Columns.from_json(content["columns"]),
            Scaling(*(torch.tensor(part, dtype=torch.float64) for part in content["scaling"])),
            content["names"],
            {
                name: hashes.numpy().view(np.uint64)
                for name, hashes in read_checkpoint(directory / SEEN).tensors.items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read ({error}); restore it from a copy or train again") from error


def theta_of(run: Run) -> tuple[Learner, MetaLearner, Tree]:
    """The learner and meta-learner of a run, and the best theta it has found so far."""
    learner = _learner(run)
    meta = meta_of(run, learner)
    return learner, meta, read_theta(run.directory / CHECKPOINT, meta.init(generator_of(0)))


def table_rows(run: Run, table: pd.DataFrame, name: str) -> Tensor:
    """The rows of a table as numbers, in the columns of the run, not yet standardised.

    Returns
    -------
    Tensor of shape (n_rows, n_features)
        float64.

    """
    return torch.from_numpy(encode(run.columns, _learned(table, run.asked.family), name))


def seen_in(run: Run, rows: Tensor) -> str | None:
    """The table of meta-training or meta-validation that shares these rows (see :func:`table_rows`), if any."""
    hashes = _hashes(rows)
    shares = {name: share_seen(hashes, known) for name, known in run.seen.items()}
    most = max(shares, key=shares.__getitem__)
    return most if shares[most] >= SHARED else None


def _decided(tasks: Path, out: Path, asked: Asked) -> tuple[Run, dict[str, Tensor], list[str]]:
    """The run before it is trained, its tables as numbers, and what was decided in words."""
    frames, left_out = _long_enough(read_family(tasks, asked.family), asked)
    learned = {name: _learned(frame, asked.family) for name, frame in frames.items()}
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
        {name: _hashes(tables[name]) for name in training + validation},
    )
    return run, tables, _notes(columns, training, validation, together, left_out)


def _learner(run: Run) -> Learner:
    entry = catalogue.LEARNERS[run.asked.learner]
    config = dataclasses.replace(run.asked.learner_config, n_features=len(run.scaling.mean))
    learner: Learner = entry.build(config)
    return learner


def meta_of(run: Run, learner: Learner, **changed: Any) -> MetaLearner:
    """The meta-learner of a run over this learner, with some of its settings changed."""
    config = dataclasses.replace(run.asked.meta_config, **changed)
    meta: MetaLearner = catalogue.META_LEARNERS[run.asked.meta].build(config, learner)
    return meta


def standardised(run: Run, rows: Tensor, support: Tensor) -> Tensor:
    """Rows of a table on the scale that the run learned on, float32."""
    X = tables_of.standardised(rows, support, run.asked.tables, run.scaling)
    check_finite("the table in float32", X)
    return X


def _started(run: Run, sample: Sample) -> Learner:
    """The learner whose first parameters are, where it can start from rows, its fit to the rows of many tasks."""
    learner = _learner(run)
    if learner.start is None:
        return learner
    rows = sample(generator_of(run.asked.train.seed, "pool"), POOLED_TASKS).support.X.flatten(0, 1)
    fitted = from_scratch(learner, Data(rows), seed=run.asked.train.seed)
    return learner._replace(init=partial(_given, params=fitted))


def _given(generator: torch.Generator, *, params: Tree) -> Tree:
    return params


def _planned(train: TrainConfig, plan: Mapping[str, Any]) -> TrainConfig:
    return dataclasses.replace(train, backend=plan["backend"], chunk=plan["chunk"], threads=plan["threads"])


def _not_learned(config: Config) -> tuple[str, ...]:
    return (*config.ignore, *(name for name in (config.label, config.group) if name))


def _learned(table: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The table without the columns from which nothing is learned."""
    return table.drop(columns=[name for name in _not_learned(config) if name in table.columns])


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


def _plain(run: Run) -> dict[str, Any]:
    """The run as JSON says it."""
    asked = {
        name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
        for name, value in run.asked._asdict().items()
    }
    content = {
        "format": FORMAT,
        "asked": asked,
        "columns": run.columns.to_json(),
        "scaling": [part.tolist() for part in run.scaling],
        "names": run.names,
    }
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return plain


def _write_run(run: Run) -> None:
    hashes = {name: torch.from_numpy(known.view(np.int64)) for name, known in run.seen.items()}
    write_checkpoint(run.directory / SEEN, hashes, {})
    write_whole(run.directory / RUN, (json.dumps(_plain(run), indent=1, allow_nan=False) + "\n").encode())


def _same(old: Run, new: Run) -> bool:
    """Whether both were made from the same tables."""
    return _plain(old) == _plain(new) and all(np.array_equal(old.seen[name], new.seen[name]) for name in new.seen)


def _hashes(rows: Tensor) -> NDArray[np.uint64]:
    return row_hashes(pd.DataFrame(rows.numpy()))


def _config(kind: type, settings: Mapping[str, Any]) -> Any:
    """A config from JSON, in which tuples have become lists."""
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()})


def _refuse_difference(old: Asked, new: Asked, out: Path) -> None:
    for name, was, now in zip(Asked._fields, old, new, strict=True):
        if was == now:
            continue
        if dataclasses.is_dataclass(was) and type(was) is type(now):
            fields = [f.name for f in dataclasses.fields(was) if getattr(was, f.name) != getattr(now, f.name)]
            what = ", ".join(f"{field}={getattr(was, field)!r}, now {getattr(now, field)!r}" for field in fields)
        else:
            what = f"{name}={was!r}, now {now!r}"
        raise ValueError(f"{out} holds a run with {what}; ask the same, or pass another --out")


def _save_curve(directory: Path) -> None:
    tensors = read_checkpoint(directory / CHECKPOINT).tensors
    losses = tensors["losses"][:, 0]
    lines = {"meta-training": list(enumerate(losses.tolist(), start=1))}
    if len(tensors["validations"]):
        lines["meta-validation"] = [(step, loss) for step, loss in tensors["validations"].tolist()]
    save_lines(directory / "curve.png", lines, x_label="outer step", y_label="query loss")

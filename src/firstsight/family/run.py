"""A run of meta-training on a family of tables, as it lies in its folder.

``run.json`` says what was asked and what was decided (columns, scaling, which tables were learned from),
``seen.safetensors`` holds hashes of their rows, ``checkpoint.safetensors`` the training. None is a pickle.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight import catalogue
from firstsight.checks import check_choice
from firstsight.columns.encode import encode
from firstsight.columns.kinds import Columns
from firstsight.core import Learner, MetaLearner, Tree
from firstsight.datasets.rows import SHARED, row_hashes, share_seen
from firstsight.engine.checkpoint import read_checkpoint, write_checkpoint, write_whole
from firstsight.engine.config import TrainConfig
from firstsight.engine.resume import read_theta
from firstsight.engine.train import CHECKPOINT
from firstsight.family.read import Config
from firstsight.seeds import generator_of
from firstsight.tasks import tables as tables_of
from firstsight.tasks.tables import Scaling
from firstsight.tensor_checks import check_finite

RUN = "run.json"
SEEN = "seen.safetensors"
FORMAT = 1


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


def adapts_without_truth(entry: catalogue.Entry) -> bool:
    """Whether a meta-learner fits the learner to a table without truth; one that takes an embedding trains on truth."""
    return entry.takes == "model"


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
    fit = [name for name, entry in catalogue.META_LEARNERS.items() if adapts_without_truth(entry)]
    if meta not in fit:
        raise ValueError(f"meta={meta!r} needs classes; to tables without truth adapt {', '.join(fit)}")


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


def write_run(run: Run) -> None:
    """Write what was asked and decided, and the hashes of the rows; ``run.json`` last, as it makes the folder a run."""
    hashes = {name: torch.from_numpy(known.view(np.int64)) for name, known in run.seen.items()}
    write_checkpoint(run.directory / SEEN, hashes, {})
    write_whole(run.directory / RUN, (json.dumps(_plain(run), indent=1, allow_nan=False) + "\n").encode())


def same_tables(old: Run, new: Run) -> bool:
    """Whether both were made from the same tables."""
    return _plain(old) == _plain(new) and all(np.array_equal(old.seen[name], new.seen[name]) for name in new.seen)


def refuse_difference(old: Asked, new: Asked, out: Path) -> None:
    """Refuse to go on with a run that was asked something else.

    Raises
    ------
    ValueError
        With the settings that differ.

    """
    for name, was, now in zip(Asked._fields, old, new, strict=True):
        if was == now:
            continue
        if dataclasses.is_dataclass(was) and type(was) is type(now):
            fields = [f.name for f in dataclasses.fields(was) if getattr(was, f.name) != getattr(now, f.name)]
            what = ", ".join(f"{field}={getattr(was, field)!r}, now {getattr(now, field)!r}" for field in fields)
        else:
            what = f"{name}={was!r}, now {now!r}"
        raise ValueError(f"{out} holds a run with {what}; ask the same, or pass another --out")


def theta_of(run: Run) -> tuple[Learner, MetaLearner, Tree]:
    """The learner and meta-learner of a run, and the best theta it has found so far."""
    learner = learner_of(run)
    meta = meta_of(run, learner)
    return learner, meta, read_theta(run.directory / CHECKPOINT, meta.init(generator_of(0)))


def learner_of(run: Run) -> Learner:
    """The learner of a run, for as many columns as its tables became."""
    entry = catalogue.LEARNERS[run.asked.learner]
    config = dataclasses.replace(run.asked.learner_config, n_features=len(run.scaling.mean))
    learner: Learner = entry.build(config)
    return learner


def meta_of(run: Run, learner: Learner, **changed: Any) -> MetaLearner:
    """The meta-learner of a run over this learner, with some of its settings changed."""
    config = dataclasses.replace(run.asked.meta_config, **changed)
    meta: MetaLearner = catalogue.META_LEARNERS[run.asked.meta].build(config, learner)
    return meta


def table_rows(run: Run, table: pd.DataFrame, name: str) -> Tensor:
    """The rows of a table as numbers, in the columns of the run, not yet standardised.

    Returns
    -------
    Tensor of shape (n_rows, n_features)
        float64.

    """
    return torch.from_numpy(encode(run.columns, learned_part(table, run.asked.family), name))


def standardised(run: Run, rows: Tensor, support: Tensor) -> Tensor:
    """Rows of a table on the scale that the run learned on, float32."""
    X = tables_of.standardised(rows, support, run.asked.tables, run.scaling)
    check_finite("the table in float32", X)
    return X


def seen_in(run: Run, rows: Tensor) -> str | None:
    """The table of meta-training or meta-validation that shares these rows (see :func:`table_rows`), if any."""
    hashes = hashes_of(rows)
    shares = {name: share_seen(hashes, known) for name, known in run.seen.items()}
    most = max(shares, key=shares.__getitem__)
    return most if shares[most] >= SHARED else None


def hashes_of(rows: Tensor) -> NDArray[np.uint64]:
    """The distinct rows of a table in the columns of a run, by which it is known again."""
    return row_hashes(pd.DataFrame(rows.numpy()))


def learned_part(table: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The table without the columns from which nothing is learned."""
    return table.drop(columns=[name for name in _not_learned(config) if name in table.columns])


def _not_learned(config: Config) -> tuple[str, ...]:
    return (*config.ignore, *(name for name in (config.label, config.group) if name))


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


def _config(kind: type, settings: Mapping[str, Any]) -> Any:
    """A config from JSON, in which tuples have become lists."""
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()})

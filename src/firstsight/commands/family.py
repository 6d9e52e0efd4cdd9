"""The commands on a family of tables: meta-train, adapt, test."""

import difflib
import inspect
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from firstsight import catalogue
from firstsight.engine.config import TrainConfig
from firstsight.engine.execute import keep_freed_memory
from firstsight.family import read
from firstsight.family.adapting import adapt_run
from firstsight.family.run import Asked, check_asked
from firstsight.family.testing import METHODS, FamilyTest, run_tests, save_test
from firstsight.family.training import train_run
from firstsight.flags import config_of, flags_of, read_toml, with_flags
from firstsight.tasks import tables

# What serves families of tables well and differs from the configs' own defaults, which serve gradient steps
# on any data; see benchmarks/LOG.md.
RECOMMENDED: dict[tuple[str, ...], dict[str, Any]] = {
    ("kmeans",): {"n_clusters": 5, "inner": "refine", "inner_steps": 5, "outer_lr": 0.03},
    ("kmeans", "maml"): {"prior": True},  # others give its lambda no gradient
    ("kmeans", "meta_sgd"): {"inner_lr": 0.1},
    ("autoencoder",): {"inner_lr": 0.1, "inner_steps": 5, "outer_lr": 0.003},
}
EVERYWHERE: dict[str, Any] = {"schedule": "cosine", "validate_every": 50, "checkpoint_every": 50}
Tokens = Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]


def meta_train(*tokens: Tokens) -> None:
    """Learn from a family of tables how to learn from a new one."""
    toml = read_toml(Path(config)) if (config := _early(tokens, "config")) else {}
    learner = str(_early(tokens, "learner") or toml.get("learner") or "kmeans")
    meta = str(_early(tokens, "meta") or toml.get("meta") or "maml")
    check_asked(learner, meta)
    kinds = {
        f"Learner: {learner}": catalogue.LEARNERS[learner].config,
        f"Meta-learner: {meta}": catalogue.META_LEARNERS[meta].config,
        "Tasks": tables.Config,
        "Family": read.Config,
        "Meta-training": TrainConfig,
    }
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in toml.items()}
    defaults = EVERYWHERE | RECOMMENDED.get((learner,), {}) | RECOMMENDED.get((learner, meta), {}) | given
    parameters = _places(learner, meta, given)
    for title, kind in kinds.items():
        parameters += flags_of(kind, title=title, defaults=defaults, hidden=("n_features",))
    _refuse_unknown(given, [parameter.name for parameter in parameters])
    app = App(
        name="firstsight meta-train",
        help="Learn from a family of tables how to learn from a new one. Goes on where it stopped when OUT is a run.",
        version_flags=[],
        suppress_keyboard_interrupt=False,
    )
    app.default(with_flags(partial(_meta_train, list(kinds.values())), parameters))
    app(list(tokens))


def adapt(run: Path, table: Path, *, output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None) -> None:
    """Adapt a run to a new table, and write the table with what was found.

    Parameters
    ----------
    run : Path
        Folder of a run, from meta-train.
    table : Path
        The new table, of the same columns: CSV, TSV, Parquet or npz.
    output : Path
        CSV file to write; printed when left out.

    """
    if output is not None:
        _check_output(output, table)
    result = adapt_run(run, table, _warn)
    if output is None:
        print(result.to_csv(index=False), end="")
        return
    result.to_csv(output, index=False)
    print(f"{len(result)} rows written to {output}")


def score(
    run: Path,
    *,
    tasks: Path,
    out: Path | None = None,
    repeats: int = 5,
    seed: int = 0,
    group: str | None = None,
    label: str | None = None,
) -> None:
    """Test a run on tables it has never seen, against learning each from scratch.

    Parameters
    ----------
    run : Path
        Folder of a run, from meta-train.
    tasks : Path
        Folder of new tables, or a file with --group.
    out : Path
        Folder for test.json and test.png; RUN/test by default.
    repeats : int
        Draws of rows from every table, averaged within the table.
    seed : int
        Of the draws.
    group : str
        Column of a single file that says which rows are one table; that of the run by default.
    label : str
        Column with the truth, to score clusters with; that of the run by default.

    """
    folder = out or run / "test"
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"out={str(folder)!r} should be a folder; it is a file; pass another --out")
    result = run_tests(run, tasks, repeats=repeats, seed=seed, group=group, label=label)
    save_test(result, folder)
    for note in result.notes:
        _note(note)
    for line in _table(result):
        print(line)
    print(f"\nevery table in {folder / 'test.json'}, picture in {folder / 'test.png'}")


def _meta_train(kinds: Sequence[type], values: dict[str, Any]) -> None:
    """Meta-train."""
    keep_freed_memory()
    parts = [config_of(kind, values) for kind in kinds]
    train_run(values["tasks"], values["out"], Asked(values["learner"], values["meta"], *parts), _note)


def _places(learner: str, meta: str, given: Mapping[str, Any]) -> list[inspect.Parameter]:
    """The flags that belong to no config."""
    said = {
        "tasks": (Path, "Folder of tables (CSV, TSV, Parquet or npz), each a task; or one file with --group."),
        "out": (Path, "Folder of the run; if it holds one, that run goes on."),
        "learner": (str, "What is fitted to a table; see firstsight list."),
        "meta": (str, "How it learns from many; see firstsight list."),
        "config": (Path | None, "TOML file with flags, such as: inner_steps = 3. Flags given here win."),
    }
    defaults: dict[str, Any] = {"learner": learner, "meta": meta, "config": None}
    for name in ("tasks", "out"):
        if name in given:
            if not isinstance(given[name], str):
                raise TypeError(f"{name}={given[name]!r} in the TOML file should be a path in quotes")
            defaults[name] = Path(given[name])
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(name, inspect.Parameter.empty),
            annotation=Annotated[kind, Parameter(help=text)],
        )
        for name, (kind, text) in said.items()
    ]


def _early(tokens: Sequence[str], name: str) -> str | None:
    """The value of a flag that decides which other flags there are."""
    for place, token in enumerate(tokens):
        if token == f"--{name}" and place + 1 < len(tokens):
            return tokens[place + 1]
        if token.startswith(f"--{name}="):
            return token.split("=", 1)[1]
    return None


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise ValueError(f"{name} in the TOML file is no flag of this learner and meta-learner; {hint}")


def _table(result: FamilyTest) -> list[str]:
    """The summary as lines of text."""
    lines = [
        f"{len(result.rows)} tables never seen, mean and 95 % interval over tables",
        f"{'':28}  {'query loss':24}  adapted minus this, paired",
    ]
    for name in METHODS:
        if name not in result.summary:
            lines.append(f"{name:28}  too few rows to fit this learner")
            continue
        difference = str(result.differences.get(name, ""))
        lines.append(f"{name:28}  {result.summary[name]!s:24}  {difference}".rstrip())
    scored = [name for name in result.summary if name.endswith(", adjusted Rand")]
    if scored:
        lines += ["", "adjusted Rand index with the label"]
        lines += [f"{name.removesuffix(', adjusted Rand'):28}  {result.summary[name]}" for name in scored]
    return lines


def _check_output(output: Path, table: Path) -> None:
    """Refuse, before anything is computed, a file that cannot or should not be written."""
    if not output.name.endswith((".csv", ".csv.gz")):
        raise ValueError(f"output={str(output)!r} should end in .csv or .csv.gz")
    if output.is_dir() or not output.parent.is_dir():
        raise NotADirectoryError(
            f"output={str(output)!r} should be a file in a folder that exists; make the folder first"
        )
    if output.exists() and output.samefile(table):
        raise ValueError(f"output={str(output)!r} is the table itself; pass another file")


def _note(sentence: str) -> None:
    print(sentence, flush=True)


def _warn(sentence: str) -> None:
    """Beside the result, which may be going into a pipe."""
    print(sentence, file=sys.stderr, flush=True)

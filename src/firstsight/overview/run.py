"""Look at one table: survey its columns, find groups and anomalies, draw a map, and say it on a page."""

import time
from datetime import datetime
from typing import Any

import pandas as pd
from tqdm import tqdm

from firstsight import __version__
from firstsight.checks import check_flag, check_number
from firstsight.overview.answers import answered, fitted
from firstsight.overview.contents import contents_of
from firstsight.overview.result import Look
from firstsight.overview.source import source_of
from firstsight.report.contents import Beside, Made

__all__ = ["look"]

STAGES = ("reading", "columns", "groups", "anomalies", "rows", "map", "page")


def look(
    data: Any,
    *,
    name: str | None = None,
    with_rows: bool = True,
    prior: Any = None,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> Look:
    """Say what is in a table: its groups, the rows that look wrong, a map, and the quality of its columns.

    Parameters
    ----------
    data : DataFrame, array of shape (n_rows, n_columns), str or Path
        Numbers, categories, dates and texts, with missing values. A path is that of a CSV, TSV, Parquet, Excel, JSON
        lines or npz file, or ``"-"`` for the standard input.
    name : str, optional
        Of the table; that of its file by default.
    with_rows : bool
        Whether the page may show values of the table.
    prior : Prior, path or None
        What was learned from past tables of the same kind, by ``DensityEstimator.meta_fit`` or ``firstsight learn``:
        the page then says what is unusual about the table beside them.
    random_state : int
        Seed, >= 0. The same table and seed give the same answer.
    n_jobs : int or None
        Threads of the numerical libraries; as they are if None.

    Returns
    -------
    Look
        Shows itself in a notebook; holds ``clusters``, ``anomalies``, ``map``, ``quality``, ``table`` and
        ``save(path)``.

    Raises
    ------
    TypeError, ValueError, OSError
        When it is no table, or one with a single row or column, or one where no column tells rows apart.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> found = look(load_wine(as_frame=True).data)
    >>> found.contents["groups"]["n_groups"]
    3

    """
    check_flag("with_rows", with_rows)
    check_number("random_state", random_state, at_least=0, integer=True)
    if n_jobs is not None:
        check_number("n_jobs", n_jobs, at_least=1, integer=True)
    with _Clock() as clock:
        clock.stage("reading")
        source = source_of(data, name)
        fit = fitted(source, random_state, n_jobs, clock.stage)
        answers = answered(source, fit, random_state, n_jobs, clock.stage)
        clock.stage("page")
        family = None if prior is None else _beside(prior, fit.raw, with_rows)
        made = Made(
            version=__version__, seed=random_state, date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
            seconds=clock.seconds(), stages=clock.stages(), command=_command(source.name, with_rows, random_state),
            settings=[
                ("groups", repr(fit.clusterer)), ("anomalies", repr(fit.detector)),
                ("map", repr(answers.points.embedder)),
            ],
        )  # fmt: skip
        return Look(contents_of(source, answers, made, with_rows=with_rows, family=family), source, answers)


def _beside(prior: Any, raw: pd.DataFrame, with_rows: bool) -> Beside:
    from firstsight.overview.family import beside  # brings torch, which nothing else here needs

    return beside(prior, raw, told=with_rows)


class _Clock:
    """Which stage is at work, as a bar where there is a terminal, and how long each took."""

    def __enter__(self) -> "_Clock":
        self._began: list[tuple[str, float]] = []
        self._bar = tqdm(total=len(STAGES), bar_format="{desc} {bar} {elapsed}", disable=None, leave=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def stage(self, name: str) -> None:
        self._began.append((name, time.perf_counter()))
        self._bar.set_description_str(f"{name:10}")
        self._bar.update(len(self._began) > 1)

    def seconds(self) -> float:
        return time.perf_counter() - self._began[0][1]

    def stages(self) -> list[tuple[str, float]]:
        ends = [*(began for _, began in self._began[1:]), time.perf_counter()]
        return [(name, end - began) for (name, began), end in zip(self._began, ends, strict=True)]


def _command(name: str, with_rows: bool, seed: int) -> str:
    return f"firstsight look {name}" + (" --no-rows" if not with_rows else "") + (f" --seed {seed}" if seed else "")

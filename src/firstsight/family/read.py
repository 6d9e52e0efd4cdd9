"""A family of tables from a folder, or from one file with a column that says which rows belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from firstsight.checks import check_names, check_number
from firstsight.columns.read import list_tables, read_table
from firstsight.datasets.rows import groups_by_rows
from firstsight.seeds import generator_of


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a family is read and split.

    Parameters
    ----------
    group : str
        Column of a single file that says which rows are one table; empty for a folder of tables.
    label : str
        Column with the truth, from which nothing is learned; clusters are scored with it. Empty for none.
    ignore : tuple of str
        Columns to leave out, such as identifiers.
    validate_share : float
        Share of the tables that meta-validation takes, at least one of them; from 0 (none) to 0.5.

    """

    group: str = ""
    label: str = ""
    ignore: tuple[str, ...] = ()
    validate_share: float = 0.2

    def __post_init__(self) -> None:
        for name in ("group", "label"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name}={getattr(self, name)!r} should be the name of a column, or ''")
        check_names("ignore", self.ignore)
        check_number("validate_share", self.validate_share, at_least=0, at_most=0.5)


def read_family(path: Path, config: Config) -> dict[str, pd.DataFrame]:
    """The tables of a family by name.

    Parameters
    ----------
    path : Path
        A folder of tables, or with ``config.group`` one file.
    config : Config
        Settings.

    Returns
    -------
    dict of str to DataFrame
        Named by file, or by the value of the group column, which is taken out.

    Raises
    ------
    ValueError, FileNotFoundError
        When the path, a file, or the group, label or ignored column is not what it should be.

    """
    frames = _folder(path) if not config.group else _groups(path, config.group)
    for wanted in (config.label, *config.ignore):
        for name, frame in frames.items():
            if wanted and wanted not in frame.columns:
                what = "label" if wanted == config.label else "ignore"
                raise ValueError(
                    f"{what}={wanted!r} should be a column of every table; {name} has {list(frame.columns)}"
                )
    return frames


def split_family(
    names: Sequence[str], hashes: Sequence[NDArray[Any]], config: Config, *, seed: int
) -> tuple[list[str], list[str], list[list[str]]]:
    """Tables to meta-train and to meta-validate on; tables that share rows stay on one side.

    Parameters
    ----------
    names : sequence of str
        Of the tables.
    hashes : sequence of ndarray
        Their rows, from :func:`firstsight.datasets.rows.row_hashes`.
    config : Config
        Settings.
    seed : int
        Of the split.

    Returns
    -------
    (list of str, list of str, list of list of str)
        Names to meta-train on, names to meta-validate on, and the groups of several tables that share rows.

    Raises
    ------
    ValueError
        When there are not two groups of tables to put on two sides.

    """
    group_of = groups_by_rows(hashes)
    members: dict[int, list[str]] = {}
    for name, group in zip(names, group_of, strict=True):
        members.setdefault(group, []).append(name)
    together = [group for group in members.values() if len(group) > 1]
    if config.validate_share == 0:
        return list(names), [], together
    if len(members) < 2:
        raise ValueError(
            f"a family should have at least two tables that share no rows, to meta-train and to meta-validate on; "
            f"found {len(members)} ({len(names)} tables in all); pass more tables, or validate_share=0"
        )
    groups = list(members.values())
    order = torch.randperm(len(groups), generator=generator_of(seed, "family")).tolist()
    wanted = max(1, round(config.validate_share * len(names)))
    chosen: set[str] = set()
    for place in order:
        if len(chosen) + len(groups[place]) <= wanted:
            chosen |= set(groups[place])
    # Where every group is larger than the share, the smallest one.
    if not chosen:
        chosen = set(sorted(groups, key=len)[0])
    return [name for name in names if name not in chosen], [name for name in names if name in chosen], together


def _groups(path: Path, group: str) -> dict[str, pd.DataFrame]:
    if path.is_dir():
        raise ValueError(f"group={group!r} is for one file; {path} is a folder, of which each file is a table")
    table = read_table(path)
    if group not in table.columns:
        raise ValueError(f"group={group!r} should be a column of {path}, which has {list(table.columns)}")
    if n_missing := int(table[group].isna().sum()):
        raise ValueError(
            f"group={group!r} should have a value in every row of {path}; {n_missing} of {len(table)} have none; "
            "fill them in, or take those rows out"
        )
    return {
        f"{group}={value}": rows.drop(columns=group).reset_index(drop=True)
        for value, rows in table.groupby(group, sort=True)
    }


def _folder(path: Path) -> dict[str, pd.DataFrame]:
    return {
        file.name: read_table(file)
        for file in tqdm(list_tables(path), desc="reading tables", unit="table", disable=None, leave=False)
    }

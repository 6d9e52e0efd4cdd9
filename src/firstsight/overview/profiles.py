"""What sets each group of rows apart: the columns by which its rows could be told from all others.

The effect of a column is the total variation between its values in the group and in the other rows, over tenths of
the table (fewer for a small group) or over levels: the share of rows that the column alone tells apart.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.dates import SECONDS_A_DAY
from firstsight.report.contents import Distribution, Finding, Group

__all__ = ["Table", "cell_text", "date_text", "group_name", "groups_of", "typical_rows"]

MOST_FINDINGS = 5
CLEAR = 0.3  # effect of a column that is said in the summary
IN_SUMMARY = 3
N_PARTS = 12  # of a drawn distribution
MOST_LEVELS = 8  # drawn; the rest together
N_TYPICAL = 3
SIDE = 0.33  # twice the probability of superiority, less 1, above which values are higher or lower and not in between
TIMES_ALONE = pd.Timestamp("1900-01-01")  # the day that a time of day alone is read as
GONE = 0.2  # difference in shares of missing values that is said

Floats = NDArray[np.floating[Any]]


class Table(NamedTuple):
    """The used columns of a table.

    Parameters
    ----------
    columns : DataFrame of shape (n_rows, n_used)
        Numbers, and texts for categories, as :func:`firstsight.columns.clean.cleaned` gives them.
    dates : frozenset of str
        Columns of days since 1970-01-01.
    told : bool
        Whether values may be named.

    """

    columns: pd.DataFrame
    dates: frozenset[str]
    told: bool


def groups_of(table: Table, labels: NDArray[np.int64], sizes: Mapping[int, int]) -> list[Group]:
    """Profiles of all groups, largest first, the rows of no group last.

    Parameters
    ----------
    table : Table
        Of the rows that are looked at.
    labels : ndarray of shape (n_rows,)
        Their groups; -1 for none.
    sizes : mapping of int to int
        Number of rows of each group in the whole table.

    """
    total = sum(sizes.values())
    order = sorted(sizes, key=lambda label: (label < 0, -sizes[label], label))
    found = []
    for label in order:
        here = labels == label
        findings = findings_of(table, here)
        group = Group(
            label=label, name=group_name(label), n_rows=sizes[label], share=sizes[label] / total,
            summary=_summary(findings, label), findings=findings[:MOST_FINDINGS], typical=[],
        )  # fmt: skip
        found.append(group)
    return found


def group_name(label: int) -> str:
    """What people call it: groups count from 1."""
    return f"group {label + 1}" if label >= 0 else "no group"


def findings_of(table: Table, here: NDArray[np.bool_]) -> list[Finding]:
    """Columns that set rows apart, strongest first."""
    if not here.any() or here.all():
        return []
    found: list[Finding] = []
    for name, column in ((str(name), column) for name, column in table.columns.items()):
        missing = column.isna().to_numpy()
        gone, gone_elsewhere = missing[here].mean(), missing[~here].mean()
        if abs(gone - gone_elsewhere) > GONE:
            found.append(_missing(name, float(gone), float(gone_elsewhere)))
        inside, outside = here & ~missing, ~here & ~missing
        if not inside.any() or not outside.any():
            continue
        if column.dtype == object:
            found.append(_category(table, name, column[inside], column[outside]))
        else:
            found.append(_number(table, name, column[inside].to_numpy(), column[outside].to_numpy()))
    return sorted((one for one in found if one["effect"] > 0), key=lambda one: -one["effect"])


def typical_rows(columns: pd.DataFrame, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The few rows whose values are most in the middle of those of a group.

    Parameters
    ----------
    columns : DataFrame of shape (n_group, n_used)
        The group's rows.
    rows : ndarray of shape (n_group,)
        What they are called.

    """
    off = np.zeros(len(rows))
    for name in columns:
        column = columns[name]
        if column.dtype == object:
            filled = column.fillna("")
            off += 1 - filled.map(filled.value_counts(normalize=True)).to_numpy()
        else:
            off += np.nan_to_num(np.abs(column.rank(pct=True).to_numpy() - 0.5), nan=0.5)
    return rows[np.argsort(off, kind="stable")[:N_TYPICAL]]


def date_text(days: float) -> str:
    """Days since 1970-01-01 as a date, with the time where there is one."""
    stamp = pd.Timestamp(round(days * SECONDS_A_DAY), unit="s")
    if stamp.normalize() == TIMES_ALONE and stamp != TIMES_ALONE:
        return stamp.strftime("%H:%M")
    return str(stamp.date()) if stamp == stamp.normalize() else stamp.strftime("%Y-%m-%d %H:%M")


def cell_text(value: Any, most: int = 200) -> str:
    """A cell as it is shown."""
    if isinstance(value, float) and abs(value) < 1e15 and value == int(value):
        value = int(value)
    elif isinstance(value, float):
        value = f"{value:.6g}"
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def short_text(number: float) -> str:
    """A number in three digits, or whole."""
    if not 1000 <= abs(number) < 1e15:
        return f"{number:.3g}"
    return f"{number:.0f}" if abs(number) < 10_000 else f"{number:,.0f}"  # years have no comma


def _missing(name: str, here: float, elsewhere: float) -> Finding:
    return Finding(
        column=name, words=f"{here:.0%} have no value, elsewhere {elsewhere:.0%}", effect=abs(here - elsewhere),
        higher=None, distribution=Distribution(parts=["no value", "a value"], here=[here, 1 - here],
        elsewhere=[elsewhere, 1 - elsewhere]),
    )  # fmt: skip


def _number(table: Table, name: str, here: Floats, elsewhere: Floats) -> Finding:
    text = date_text if name in table.dates else short_text
    both = np.concatenate([here, elsewhere])
    edges = np.unique(np.quantile(both, np.linspace(0, 1, _n_tenths(len(here)) + 1)[1:-1]))
    parts = len(edges) + 1
    effect = _variation(*(np.bincount(np.searchsorted(edges, side), minlength=parts) for side in (here, elsewhere)))
    ranks = pd.Series(both).rank().to_numpy()
    above = (ranks[: len(here)].mean() - (len(here) + 1) / 2) / len(elsewhere)  # probability of superiority
    side = 2 * above - 1
    higher = None if abs(side) < SIDE else bool(side > 0)
    middle, low, high = (np.quantile(here, share) for share in (0.5, 0.25, 0.75))
    words = {True: "higher", False: "lower", None: "in between"}[higher]
    if table.told and higher is None:
        outer = [text(float(np.quantile(elsewhere, share))) for share in (0.25, 0.75)]
        words = f"half within {text(float(low))} and {text(float(high))}, elsewhere {outer[0]} and {outer[1]}"
    elif table.told:
        usual = "median", text(float(middle)), text(float(np.median(elsewhere)))
        if usual[1] == usual[2]:
            usual = "mean", text(float(here.mean())), text(float(elsewhere.mean()))
        words = f"{words}: {usual[0]} {usual[1]}, elsewhere {usual[2]}"
    return Finding(
        column=name, words=words, effect=effect, higher=higher, distribution=_steps(table, here, elsewhere, text)
    )


def _category(table: Table, name: str, here: "pd.Series[str]", elsewhere: "pd.Series[str]") -> Finding:
    codes, levels = pd.factorize(np.concatenate([here.to_numpy(), elsewhere.to_numpy()]), sort=True)
    inside, outside = (
        np.bincount(part, minlength=len(levels)) / len(part) for part in (codes[: len(here)], codes[len(here) :])
    )
    # What most rows of the group have is said rather than what they lack.
    most = int((inside - outside).argmax())
    if inside[most] <= 0.5:
        most = int(np.abs(inside - outside).argmax())
    more = inside[most] > outside[most]
    if table.told:
        how = "mostly" if inside[most] > 0.5 else "often" if more else "seldom" if inside[most] else "never"
        words = f"{how} {cell_text(levels[most], 40)!r} ({inside[most]:.0%}, elsewhere {outside[most]:.0%})"
    else:
        words = f"one value {'more' if more else 'less'} often"
    kept = np.argsort(-(inside + outside), kind="stable")[:MOST_LEVELS]
    parts = [cell_text(levels[place], 40) if table.told else "" for place in kept]
    drawn = [inside[kept].tolist(), outside[kept].tolist()]
    if len(levels) > len(kept):
        parts.append("the rest")
        for shares in drawn:
            shares.append(max(0.0, 1 - sum(shares)))
    return Finding(
        column=name, words=words, effect=float(np.abs(inside - outside).sum() / 2), higher=None,
        distribution=Distribution(parts=parts, here=drawn[0], elsewhere=drawn[1]),
    )  # fmt: skip


def _n_tenths(n_here: int) -> int:
    """Parts of the table that so few rows can fill."""
    return int(np.clip(np.sqrt(n_here), 2, 10))


def _variation(here: NDArray[np.int64], elsewhere: NDArray[np.int64]) -> float:
    return float(np.abs(here / here.sum() - elsewhere / elsewhere.sum()).sum() / 2)


def _steps(table: Table, here: Floats, elsewhere: Floats, text: Any) -> Distribution:
    """Equal steps over what most rows have; the first and the last hold what lies beyond."""
    both = np.concatenate([here, elsewhere])
    different = np.unique(both)
    if len(different) <= N_PARTS:
        edges, names = (different[1:] + different[:-1]) / 2, [text(float(one)) for one in different]
    else:
        low, high = np.quantile(both, [0.02, 0.98])
        low, high = (low, high) if high > low else (different[0], different[-1])
        bounds = np.linspace(low, high, N_PARTS + 1)
        edges = bounds[1:-1]
        names = [f"{text(float(a))} to {text(float(b))}" for a, b in pairwise(bounds)]
    counts = [np.bincount(np.searchsorted(edges, side), minlength=len(names)) for side in (here, elsewhere)]
    return Distribution(
        parts=names if table.told else [""] * len(names),
        here=(counts[0] / len(here)).tolist(),
        elsewhere=(counts[1] / len(elsewhere)).tolist(),
    )


def _summary(findings: list[Finding], label: int) -> str:
    if label < 0:
        return "rows between or beyond the groups"
    clear = list(_said(findings))
    if clear:
        return "; ".join(clear[:IN_SUMMARY])
    return "no column alone sets it apart: it differs in combinations" if findings else "the only group"


def _said(findings: list[Finding]) -> Iterator[str]:
    for one in findings:
        if one["effect"] >= CLEAR:
            yield f"{one['column']} {one['words']}"

"""Decide, from the meta-training tables alone, what each column is.

Over all tables together a column is, in this order,

- *constant*, when it has one value, or more than 90 % of its rows have none: it gives no feature;
- a *number*, when at least 95 % of its values read as numbers (booleans are 0 and 1). The rest count
  as missing. A table where less than half do, while most tables hold numbers, is refused (likewise dates);
- a *date*, when at least 95 % are dates written in one way, ISO 8601 being read besides. Of dates that
  are month first as well as day first, the first is taken unless dots part them;
- a *category*, when it has at most 30 values;
- *text* else, hashed.

A number or date or text that is missing in at least 1 % of the rows, and a category that is missing
in any, has a feature that says so.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.dates import best_format, date_parts, label_days
from firstsight.columns.fits import check_kind, listed, named_columns, shared_columns
from firstsight.columns.kinds import PARTS, Column, Columns
from firstsight.columns.values import Values, number_text

MOST = 0.95
MOSTLY_MISSING = 0.9
OFTEN_MISSING = 0.01
MOST_LEVELS = 30
NOTES_A_COLUMN = 3


class Decided(NamedTuple):
    """A column and the sentences about it."""

    column: Column
    notes: list[str]


class NothingVariesError(ValueError):
    """No column of the tables tells rows apart: all are constant, ignored, or left out."""


def learn_columns(tables: Mapping[str, pd.DataFrame], *, ignore: Sequence[str] = ()) -> Columns:
    """Decide what every column is, from tables of one kind.

    Parameters
    ----------
    tables : mapping of str to DataFrame of shape (n_rows, n_columns)
        The meta-training tables by the names that messages give them. All have the same columns, in any order.
    ignore : sequence of str
        Columns to leave out of every table.

    Returns
    -------
    Columns
        What :func:`firstsight.columns.encode.encode` needs; its notes are sentences for the user.

    Raises
    ------
    TypeError
        When a table is no DataFrame.
    ValueError
        When there is no table or one has no rows, has other columns than most, or has words where the others
        have numbers; when ``ignore`` names an unknown column; when no column would be left.

    """
    if isinstance(ignore, str):
        raise TypeError(f"ignore={ignore!r} should be a sequence of names; pass [{ignore!r}]")
    if not tables:
        raise ValueError("tables should hold at least one table; found none")
    named = {name: named_columns(table, name) for name, table in tables.items()}
    known = dict.fromkeys(column for table in named.values() for column in table.columns)
    unknown = [name for name in ignore if name not in known]
    if unknown:
        raise ValueError(f"ignore={unknown} should name columns of the tables, which have {listed(known)}")
    ignored = tuple(dict.fromkeys(ignore))
    shared = shared_columns({name: [c for c in table.columns if c not in ignored] for name, table in named.items()})
    decided = [_decide(column, {name: Values(table[column]) for name, table in named.items()}) for column in shared]
    if all(entry.column.kind == "constant" for entry in decided):
        why = "; ".join(note for entry in decided for note in entry.notes) or "all are ignored"
        raise NothingVariesError(f"tables should have at least one column that varies; found none ({why})")
    return Columns(
        columns=tuple(entry.column for entry in decided),
        notes=tuple(note for entry in decided for note in entry.notes),
        ignored=ignored,
    )


def _decide(name: str, tables: Mapping[str, Values]) -> Decided:
    n_rows = sum(len(values.missing) for values in tables.values())
    if _holds_numbers(tables):
        for table, values in tables.items():
            check_kind(values, values.is_number, Column(name=name, kind="number"), table)
        notes = _number_notes(name, tables)
        numbers = np.concatenate([values.numbers for values in tables.values()])
        present = numbers[~np.isnan(numbers)]
        short = _uninformative(name, n_rows, len(present), [number_text(x) for x in sorted({*_range(present)})])
        if short:
            return Decided(short.column, [*notes, *short.notes])
        low, median, high = _spread(present)
        missing = _often(n_rows, len(present))
        column = Column(name=name, kind="number", missing=missing, low=low, median=median, high=high)
        return Decided(column, notes)
    counts = _label_counts(tables)
    n_values = sum(counts.values())
    decided = _uninformative(name, n_rows, n_values, list(counts)) or _date(name, tables, counts, n_rows)
    if decided:
        return decided
    if len(counts) <= MOST_LEVELS:
        column = Column(name=name, kind="category", missing=n_values < n_rows, levels=tuple(sorted(counts)))
        return Decided(column, [f"{name}: {len(counts)} categories ({listed(column.levels)})"])
    column = Column(name=name, kind="text", missing=_often(n_rows, n_values))
    return Decided(column, [f"{name}: text of {len(counts)} values such as {next(iter(counts))!r}, hashed"])


def _holds_numbers(tables: Mapping[str, Values]) -> bool:
    """Whether most values are numbers, in all tables or at least in most tables."""
    pairs = [(int(values.is_number.sum()), int((~values.missing).sum())) for values in tables.values()]
    pairs = [(n_numbers, n_values) for n_numbers, n_values in pairs if n_values]
    mostly = [(n_numbers, n_values) for n_numbers, n_values in pairs if n_numbers >= n_values / 2]
    return _are_numbers(pairs) or (len(mostly) > len(pairs) / 2 and _are_numbers(mostly))


def _are_numbers(pairs: list[tuple[int, int]]) -> bool:
    n_values = sum(pair[1] for pair in pairs)
    return n_values > 0 and sum(pair[0] for pair in pairs) >= MOST * n_values


def _uninformative(name: str, n_rows: int, n_values: int, labels: list[str]) -> Decided | None:
    """What to do with a column that is missing nearly everywhere or has one value, else None."""
    if n_values == 0:
        note = f"{name}: no value in any table, left out"
    elif n_rows - n_values > MOSTLY_MISSING * n_rows:
        note = f"{name}: missing in {100 * (1 - n_values / n_rows):.3g} % of the rows, left out"
    elif len(labels) > 1:
        return None
    elif n_values == n_rows:
        note = f"{name}: {labels[0]!r} in every row that was learned from, left out"
    else:  # whether it is missing is all that it tells
        column = Column(name=name, kind="category", missing=True, levels=(labels[0],))
        return Decided(column, [f"{name}: {labels[0]!r} or missing, taken as a category"])
    return Decided(Column(name=name, kind="constant"), [note])


def _date(name: str, tables: Mapping[str, Values], counts: Mapping[str, int], n_rows: int) -> Decided | None:
    """The column as dates, or None when it holds none."""
    labels, weights = list(counts), np.array(list(counts.values()))
    best, rival, share = best_format(labels, weights)
    if share < MOST:
        return None
    days = np.repeat(label_days(labels, best, iso=True), weights)
    present = days[~np.isnan(days)]
    if present.min() == present.max():
        return None
    parts = {part: values for part, values in date_parts(np.unique(present)).items() if np.ptp(values) > 0}
    low, median, high = _spread(present)
    column = Column(
        name=name, kind="date", missing=_often(n_rows, len(present)), date_format=best,
        parts=tuple(part for part in PARTS if part in parts), low=low, median=median, high=high,
    )  # fmt: skip
    found = {table: ~np.isnan(values.days(best)) for table, values in tables.items()}
    for table, values in tables.items():
        check_kind(values, found[table], column, table)
    notes = [f"{name}: dates, read as {best}"]
    if rival:
        notes.append(f"{name}: {rival} would fit as well; write dates as 2024-01-31 to make sure")
    lost = {table: ~found[table] & ~values.missing for table, values in tables.items()}
    return Decided(column, [*notes, *_file_notes(name, tables, lost, "no dates")])


def _number_notes(name: str, tables: Mapping[str, Values]) -> list[str]:
    lost = {table: ~values.is_number & ~values.missing for table, values in tables.items()}
    infinite = {table: values.infinite for table, values in tables.items()}
    return [
        *_file_notes(name, tables, lost, "no numbers"),
        *_file_notes(name, tables, infinite, "infinite"),
    ]


def _file_notes(
    name: str, tables: Mapping[str, Values], which: Mapping[str, NDArray[np.bool_]], what: str
) -> list[str]:
    """A sentence for each of the first tables that have such values, and one for the others."""
    found = [table for table in tables if which[table].any()]
    notes = []
    for table in found[:NOTES_A_COLUMN]:
        count = int(which[table].sum())
        are, example = "is" if count == 1 else "are", tables[table].example(which[table])
        notes.append(
            f"{name}: {count} value{'s' * (count > 1)} of {table} {are} {what} ({example!r}), taken as missing"
        )
    if len(found) > NOTES_A_COLUMN:
        count = sum(int(which[table].sum()) for table in found[NOTES_A_COLUMN:])
        notes.append(f"{name}: so with {count} values of {len(found) - NOTES_A_COLUMN} more tables")
    return notes


def _label_counts(tables: Mapping[str, Values]) -> dict[str, int]:
    """How many rows have each label, in the order of their first appearance."""
    total: dict[str, int] = {}
    for values in tables.values():
        codes, labels = values.coded
        for label, count in zip(labels, np.bincount(codes[codes >= 0], minlength=len(labels)).tolist(), strict=True):
            total[label] = total.get(label, 0) + count
    return total


def _range(present: NDArray[np.float64]) -> tuple[float, ...]:
    return (float(present.min()), float(present.max())) if len(present) else ()


def _spread(present: NDArray[np.float64]) -> tuple[float, float, float]:
    low, high = _range(present)
    # Rounding of the mean of the two middle values may leave the range.
    return low, min(max(float(np.median(present)), low), high), high


def _often(n_rows: int, n_values: int) -> bool:
    """Whether so much is missing that it has a feature of its own."""
    return n_rows - n_values >= max(1, OFTEN_MISSING * n_rows)

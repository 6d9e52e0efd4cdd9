"""Say of every column of one table what it is, which of them tell rows apart, and what is wrong with them.

A column is, in this order,

- *empty*, when more than 90 % of its rows have no value, or *constant*, when all have one;
- a *number*, when at least 95 % of its values read as numbers, currencies, percent signs and commas between
  thousands included; an *identifier* when they are whole, different in nearly all different rows, and count them or are
  named so; a *date* when all are such as 20240131;
- a *date*, when at least 95 % are dates written in one way;
- a *category*, when it has at most 30 values, or when the values that at least 2 % of the rows have cover half of them;
- an *identifier*, when nine in ten values of few words are different; *text* else;
- a *copy*, when an earlier column orders the rows in the same way, or names the same groups of rows.

Numbers, dates and categories are used. A value far beyond all others that many rows share, such as -999, is taken as
missing.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.dates import best_format
from firstsight.columns.figures import figures
from firstsight.columns.fits import named_columns
from firstsight.columns.learn import MOST, MOST_LEVELS, MOSTLY_MISSING
from firstsight.columns.roles import PACKED, days_as_written, marker_of, names_rows, packed_days
from firstsight.columns.values import Values, number_text

__all__ = ["Surveyed", "numbers_as_written", "repeated_rows", "survey"]

Kind = Literal["number", "category", "date", "text", "identifier", "constant", "copy", "empty"]
OFTEN = 0.02  # share of the rows that a level of a long category has
COVERED = 0.5  # share of the rows that such levels have together
DIFFERENT = 0.9  # share of values that are different, above which texts are identifiers or free text
WORDS = 4  # in free text, on average
FEW = 10  # rows, of which all may be different by chance
IN_ORDER = 0.99  # share of the rows that follow each other, above which dates are the order of the file
MOST_ROWS = 5000  # that are compared, evenly spaced
SAME_ORDER = 0.9999  # rank correlation of copies


class Surveyed(NamedTuple):
    """What was found of one column.

    Parameters
    ----------
    name : str
    kind : str
        See the module.
    used : bool
        Whether it helps to tell rows apart.
    why : str
        A sentence where something is to be said, or empty.
    missing : float
        Share of the rows.
    n_values : int
        Different ones.
    levels : tuple of str
        Of a category that is used; values that are none of these are "(other)".
    date_format : str
        Of a date.
    written : bool
        Whether numbers are written with signs or commas.
    marker : float or None
        Number that stands for a missing one.
    caution : str
        What was wrong with its values, and empty where nothing was.
    example : str
        A value that was wrong.

    """

    name: str
    kind: Kind
    used: bool
    why: str
    missing: float
    n_values: int
    levels: tuple[str, ...] = ()
    date_format: str = ""
    written: bool = False
    marker: float | None = None
    caution: str = ""
    example: str = ""


def survey(table: pd.DataFrame) -> list[Surveyed]:
    """Look at every column.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        It is not changed.

    Returns
    -------
    list of Surveyed
        One a column, in the order of the table.

    Raises
    ------
    ValueError
        When it has no rows, or two columns of one name.

    """
    table = named_columns(table, "the table")
    values = {name: Values(table[name]) for name in table.columns}
    first = ~_repeated(values)
    found = [_column(name, column, first) for name, column in values.items()]
    copies = dict(_copies(found, values))
    return [
        one if one.name not in copies
        else one._replace(kind="copy", used=False, why=f"tells the same as {copies[one.name]!r}")
        for one in found
    ]  # fmt: skip


def repeated_rows(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows equal an earlier one, (n_rows,): numbers as numbers, other cells by their text."""
    return _repeated({name: Values(table[name]) for name in table.columns})


def _repeated(values: dict[str, Values]) -> NDArray[np.bool_]:
    same = np.zeros(len(next(iter(values.values())).missing), np.int64)
    for column in values.values():
        codes = column.coded[0]
        same = pd.factorize(same * (int(codes.max(initial=-1)) + 2) + codes + 1)[0]
    return pd.Series(same).duplicated().to_numpy()


def numbers_as_written(values: Values, *, written: bool, marker: float | None) -> NDArray[np.float64]:
    """Numbers of a column, NaN where there is none; shape (n_rows,)."""
    numbers = values.numbers
    if written:
        codes, labels = values.coded
        numbers = np.append(figures(labels), np.nan)[codes]
    return numbers if marker is None else np.where(numbers == marker, np.nan, numbers)


def _column(name: str, values: Values, first: NDArray[np.bool_]) -> Surveyed:
    n_rows, missing = len(values.missing), float(values.missing.mean())
    present = ~values.missing
    n_present = int(present.sum())
    if n_present == 0:
        return Surveyed(name, "empty", False, "no row has a value", 1.0, 0)
    n_numbers = int(values.is_number.sum())
    if n_numbers >= MOST * n_present:
        return _number(name, values, first, written=False)
    codes, labels = values.coded
    counts = np.bincount(codes[codes >= 0], minlength=len(labels))
    written = figures(labels)
    if counts[~np.isnan(written)].sum() >= MOST * n_present:
        return _number(name, values, first, written=True)
    plain = Surveyed(name, "category", True, "", missing, len(labels))
    if missing > MOSTLY_MISSING and n_rows > FEW:
        return plain._replace(kind="empty", used=False, why=f"{missing:.0%} of the rows have no value")
    if len(labels) == 1:
        return _single(plain)
    form, rival, share = best_format(labels, counts)
    if share >= MOST:
        days = values.days(form)
        lost = np.isnan(days) & present
        found = plain._replace(kind="date", date_format=form)
        if lost.any():
            n_lost = int(lost.sum())
            caution = f"{n_lost} {'value is' if n_lost == 1 else 'values are'} no date"
            found = found._replace(caution=caution, example=values.example(lost))
        elif rival:
            found = found._replace(caution=f"{rival} would fit the dates as well; they were read as {form}")
        return _dated(found, days)
    return _labelled(plain, labels, counts, int((first & present).sum()))


def _number(name: str, values: Values, first: NDArray[np.bool_], *, written: bool) -> Surveyed:
    numbers = numbers_as_written(values, written=written, marker=None)
    finite = numbers[~np.isnan(numbers)]
    n_lost = int((~values.missing).sum()) - len(finite)
    different, counts = np.unique(finite, return_counts=True)
    found = Surveyed(name, "number", True, "", float(values.missing.mean()), len(different), written=written)
    if n_lost:
        lost = np.isnan(numbers) & ~values.missing
        found = found._replace(
            missing=float(np.isnan(numbers).mean()),
            caution=f"{n_lost} {'value is' if n_lost == 1 else 'values are'} no number",
            example=values.example(lost),
        )
    if found.missing > MOSTLY_MISSING and len(numbers) > FEW:
        return found._replace(kind="empty", used=False, why=f"{found.missing:.0%} of the rows have no value")
    if not len(different):
        return found._replace(kind="empty", used=False, why="no row has a number that is finite")
    if len(different) == 1:
        return _single(found._replace(kind="category", levels=(number_text(float(different[0])),)))
    if len(days := packed_days(different)) and not np.isnan(days).any():
        return _dated(found._replace(kind="date", date_format=PACKED), packed_days(numbers))
    marker = marker_of(different, counts)
    if marker is not None:
        lost_share = float(counts[different == marker].sum() / len(numbers))
        found = found._replace(
            marker=marker,
            missing=found.missing + lost_share,
            n_values=len(different) - 1,
            caution=f"a number stands for no value in {lost_share:.1%} of the rows",
            example=number_text(marker),
        )
    elif names_rows(name, numbers[first]):
        return found._replace(kind="identifier", used=False, why="a whole number that is different in nearly every row")
    return found


def _single(found: Surveyed) -> Surveyed:
    """A column of one value: whether it is missing may still tell rows apart."""
    if found.missing == 0:
        return found._replace(kind="constant", used=False, why="the same value in every row", levels=())
    return found._replace(kind="category", why="one value or none: taken as a category of two")


def _dated(found: Surveyed, days: NDArray[np.float64]) -> Surveyed:
    known = days[~np.isnan(days)]
    steps = np.diff(known)
    in_order = max((steps >= 0).mean(), (steps <= 0).mean()) >= IN_ORDER if len(steps) else False
    found = found._replace(missing=float(np.isnan(days).mean()))
    if len(np.unique(known)) < 2:
        return found._replace(kind="constant", used=False, why="the same date in every row")
    if len(known) > FEW and in_order and len(np.unique(known)) > DIFFERENT * len(known):
        return found._replace(used=False, why="the order of the file, one date after another")
    return found


def _labelled(found: Surveyed, labels: list[str], counts: NDArray[np.int64], n_different: int) -> Surveyed:
    """Texts: a category, identifiers, or free text, among so many rows that are not copies."""
    n_present = int(counts.sum())
    if len(labels) > DIFFERENT * n_different and n_different > FEW:
        words = float(np.mean([len(label.split()) for label in labels[:1000]]))
        if words >= WORDS:
            return found._replace(kind="text", used=False, why="free text, different in nearly every row")
        return found._replace(kind="identifier", used=False, why="a different text in nearly every row")
    folded = {label.casefold() for label in labels}
    n_spelled = len(labels) - len(folded)
    if n_spelled:
        found = found._replace(caution=f"{n_spelled} of its values differ from another in capital letters only")
    if len(labels) <= MOST_LEVELS:
        return found._replace(levels=tuple(sorted(labels)))
    frequent = counts >= OFTEN * n_present
    if counts[frequent].sum() >= COVERED * n_present:
        kept = tuple(sorted(label for label, often in zip(labels, frequent, strict=True) if often))
        why = f"{len(labels)} values, of which the {len(kept)} most frequent are told apart"
        return found._replace(levels=kept, why=why)
    return found._replace(kind="text", used=False, why=f"{len(labels)} different texts, none of them frequent")


def _copies(found: Sequence[Surveyed], values: dict[str, Values]) -> Iterator[tuple[str, str]]:
    """Later columns with the earlier ones that say the same."""
    orders, labels = [], []
    some = slice(None, None, 1 + len(next(iter(values.values())).missing) // MOST_ROWS)
    for one in found:
        column = values[one.name]
        if one.used and one.kind == "number":
            orders.append((one.name, numbers_as_written(column, written=one.written, marker=one.marker)[some]))
        elif one.used and one.kind == "date":
            orders.append((one.name, days_as_written(column, one.date_format)[some]))
        elif one.used:
            labels.append((one.name, pd.factorize(column.coded[0])[0].astype(np.float64)))
    yield from _pairs([(name, _ranked(numbers)) for name, numbers in orders])
    # Columns that name the same groups have the same codes, counted in the order of the file.
    seen: dict[bytes, str] = {}
    for name, codes in labels:
        first = seen.setdefault(codes.tobytes(), name)
        if first != name:
            yield name, first


def _ranked(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of length 1 around their mean; missing ones are in the middle."""
    ranks = pd.Series(numbers).rank().to_numpy()
    centred = np.nan_to_num(ranks - np.nanmean(ranks))
    length = np.linalg.norm(centred)
    return centred / length if length else centred


def _pairs(ranked: list[tuple[str, NDArray[np.float64]]]) -> Iterator[tuple[str, str]]:
    if len(ranked) < 2:
        return
    matrix = np.array([ranks for _, ranks in ranked])
    alike = np.abs(matrix @ matrix.T) > SAME_ORDER
    for place, (name, _) in enumerate(ranked):
        first = int(np.argmax(alike[place, : place + 1])) if alike[place, : place + 1].any() else place
        if first < place:
            yield name, ranked[first][0]

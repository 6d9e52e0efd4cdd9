"""The quality of a table: what was found in its columns and rows, and what was done about it."""

from collections.abc import Iterator, Sequence

from firstsight.columns.survey import Surveyed
from firstsight.overview.profiles import cell_text
from firstsight.overview.words import counted
from firstsight.report.contents import Note

__all__ = ["notes_of"]

GAPS = 0.2  # share of missing values that is worth a note
LISTED = 8
LEFT_OUT = {
    "empty": ("has hardly a value", "have hardly a value"),
    "constant": ("is the same in every row", "are the same in every row"),
    "identifier": ("is an identifier", "are identifiers"),
    "text": ("is of texts that hardly repeat", "are of texts that hardly repeat"),
}


def notes_of(surveyed: Sequence[Surveyed], n_copies: int, *, told: bool, sampled: bool) -> list[Note]:
    """Notes on a table, cautions first.

    Parameters
    ----------
    surveyed : sequence of Surveyed
        Its columns.
    n_copies : int
        Rows that equal an earlier one.
    told : bool
        Whether values may be named.
    sampled : bool
        Whether copies were counted among some of the rows only.

    """
    return [*_cautions(surveyed, n_copies, told=told, sampled=sampled), *_information(surveyed)]


def _cautions(surveyed: Sequence[Surveyed], n_copies: int, *, told: bool, sampled: bool) -> Iterator[Note]:
    copies = [one for one in surveyed if one.kind == "copy"]
    if copies:
        noun = "column is a copy" if len(copies) == 1 else "columns are copies"
        what = "; ".join(f"{one.name!r} {one.why}" for one in copies[:LISTED])
        yield _note("caution", f"{len(copies)} {noun}", f"left out: {what}", copies)
    if n_copies:
        noun = "row is an exact copy of another" if n_copies == 1 else "rows are exact copies of others"
        among = " among those that were looked at" if sampled else ""
        yield _note("caution", f"{n_copies:,} {noun}{among}", "kept", [])
    for one in surveyed:
        if one.caution:
            example = f" ({cell_text(one.example, 40)!r})" if told and one.example else ""
            done = {"date": "read so", "number": "taken as missing"}.get(one.kind, "kept apart")
            yield _note("caution", f"{one.name!r}: {one.caution}{example}", done, [one])
    gaps = [one for one in surveyed if one.used and one.missing > GAPS]
    if gaps:
        what = ", ".join(f"{one.name!r} {one.missing:.0%}" for one in gaps[:LISTED])
        verb = "has" if len(gaps) == 1 else "have"
        yield _note("caution", f"{counted(len(gaps), 'column')} {verb} many missing values", f"kept: {what}", gaps)


def _information(surveyed: Sequence[Surveyed]) -> Iterator[Note]:
    for kind, (one, more) in LEFT_OUT.items():
        these = [column for column in surveyed if column.kind == kind]
        if these:
            words = one if len(these) == 1 else more
            yield _note("information", f"{counted(len(these), 'column')} {words}", "left out", these)
    for used, done in ((True, "each counted as one number, in days"), (False, "the order of the file: left out")):
        dates = [column for column in surveyed if column.kind == "date" and column.used == used]
        if dates:
            yield _note("information", f"{counted(len(dates), 'column')} of dates", done, dates)
    written = [column for column in surveyed if column.used and column.written]
    if written:
        found = f"{counted(len(written), 'column')} of numbers with currencies, percent signs or commas"
        yield _note("information", found, "read as numbers", written)


def _note(level: str, found: str, done: str, columns: Sequence[Surveyed]) -> Note:
    return Note(
        level="caution" if level == "caution" else "information",
        found=found, done=done, columns=[column.name for column in columns],
    )  # fmt: skip

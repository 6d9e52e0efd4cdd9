"""What was decided of every column: plain values, so that it is stored as JSON and read back in another process."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Kind = Literal["number", "category", "date", "text", "constant"]
KINDS: tuple[str, ...] = get_args(Kind)
PARTS = ("year", "month", "day", "weekday", "hour")


N_HASHES = 8  # numbers that a text becomes


@dataclass(frozen=True, kw_only=True)
class Column:
    """What one column is, and what was learned of it from the training tables.

    Parameters
    ----------
    name : str
        As in the header.
    kind : {"number", "category", "date", "text", "constant"}
        A constant column gives no feature.
    missing : bool
        Whether missing values have a 0/1 feature of their own.
    median, low, high : float
        Of the values that were not missing; of a date in days since 1970-01-01 UTC. Unused by other kinds.
    levels : tuple of str
        Of a category, sorted.
    date_format : str
        Of a date: as of ``strptime``, or ``ISO8601``.
    parts : tuple of str
        Of a date: those of year, month, day, weekday and hour that vary.

    Raises
    ------
    TypeError, ValueError
        When the values do not fit the kind.

    """

    name: str
    kind: Kind
    missing: bool = False
    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    levels: tuple[str, ...] = ()
    date_format: str = ""
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = f"column {self.name!r}"
        if (
            not isinstance(self.name, str)
            or not isinstance(self.missing, bool)
            or not isinstance(self.date_format, str)
        ):
            raise TypeError(f"{where} should have a str as name and date_format and True or False as missing")
        if self.kind not in KINDS:
            raise ValueError(f"kind={self.kind!r} of {where} should be one of {', '.join(KINDS)}")
        for word in ("median", "low", "high"):
            value = getattr(self, word)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{word}={value!r} of {where} should be a finite number")
        if not self.low <= self.median <= self.high:
            raise ValueError(f"median={self.median} of {where} should lie between low={self.low} and high={self.high}")
        _check_names("levels", self.levels, where)
        _check_names("parts", self.parts, where)
        if not set(self.parts) <= set(PARTS):
            raise ValueError(f"parts={self.parts} of {where} should be of {', '.join(PARTS)}")
        if self.kind == "category" and not self.levels:
            raise ValueError(f"levels=() of {where} should name at least one level, as it is a category")
        if self.kind == "date" and not self.date_format:
            raise ValueError(f"date_format='' of {where} should say how dates are written, such as 'ISO8601'")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features that the column gives, in the order of the matrix."""
        names = {
            "number": [self.name],
            "category": [f"{self.name}={level}" for level in self.levels],
            "date": [*(f"{self.name}: {part}" for part in self.parts), f"{self.name}: days"],
            "text": [f"{self.name}: hash {i}" for i in range(N_HASHES)],
            "constant": [],
        }[self.kind]
        return (*names, f"{self.name} is missing") if self.missing else tuple(names)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What was decided of all columns of the tables of one kind.

    Parameters
    ----------
    columns : tuple of Column
        In the order of the first training table.
    notes : tuple of str
        Sentences that say to the user what was decided.
    ignored : tuple of str
        Columns that are left out of every table, and that a table may lack.

    Raises
    ------
    TypeError, ValueError
        When they do not fit together.

    """

    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.columns, tuple) or not all(isinstance(column, Column) for column in self.columns):
            raise TypeError(f"columns={self.columns!r} should be a tuple of Column")
        if not isinstance(self.notes, tuple) or not all(isinstance(note, str) for note in self.notes):
            raise TypeError(f"notes={self.notes!r} should be a tuple of sentences")
        _check_names("names", tuple(column.name for column in self.columns), "columns")
        _check_names("ignored", self.ignored, "columns")
        if not self.feature_names:
            raise ValueError("columns should give at least one feature; found constant columns only")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, as many as the matrix has columns, all different."""
        seen: dict[str, int] = {}
        names = []
        for name in (name for column in self.columns for name in column.feature_names):
            unused = name
            while unused in seen:
                seen[name] += 1
                unused = f"{name} ({seen[name]})"
            seen[unused] = 1
            names.append(unused)
        return tuple(names)

    def to_json(self) -> dict[str, Any]:
        """Dict of plain values that ``json.dumps`` writes and :meth:`from_json` reads."""
        return {
            "columns": [_listed(asdict(column)) for column in self.columns],
            "notes": list(self.notes),
            "ignored": list(self.ignored),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Columns":
        """Read what :meth:`to_json` gave.

        Parameters
        ----------
        stored : dict
            With the keys ``columns``, ``notes`` and ``ignored``.

        Returns
        -------
        Columns
            Equal to the one that was stored.

        Raises
        ------
        TypeError, ValueError
            When a key or a value is not as :meth:`to_json` writes it.

        """
        _check_keys("stored columns", stored, {"columns", "notes", "ignored"})
        for key, value in stored.items():
            if not isinstance(value, list):
                raise TypeError(f"{key} of stored columns should be a list; found {type(value).__name__}")
        names = {field.name for field in fields(Column)}
        for entry in stored["columns"]:
            _check_keys("a stored column", entry, names)
        return cls(
            columns=tuple(Column(**_tupled(entry)) for entry in stored["columns"]),
            notes=tuple(stored["notes"]),
            ignored=tuple(stored["ignored"]),
        )


def _check_keys(what: str, stored: Any, keys: set[str]) -> None:
    if not isinstance(stored, Mapping):
        raise TypeError(f"{what} should be a dict, as to_json gives; found {type(stored).__name__}")
    if set(stored) != keys:
        raise ValueError(
            f"{what} should have the keys {sorted(keys)}; found {sorted(map(str, stored))}; "
            "store them again with this version"
        )


def _check_names(what: str, names: Any, where: str) -> None:
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{what}={names!r} of {where} should be a tuple of str")
    if len(set(names)) != len(names):
        raise ValueError(f"{what}={names} of {where} should all be different")


def _listed(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in entry.items()}


def _tupled(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}

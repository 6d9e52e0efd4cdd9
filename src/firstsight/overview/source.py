"""Where the rows come from: a table in memory, or a Parquet file that is read in pieces."""

import io
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from firstsight.columns.fits import named_columns
from firstsight.columns.read import TEXTS, read_cells, read_table

__all__ = ["MANY", "FrameSource", "ParquetSource", "Source", "source_of", "typed"]

MANY = 100_000  # rows, above which a sample is looked at and the rest gets its answers in pieces
PIECE = 100_000


class Source(Protocol):
    """Rows of one table."""

    @property
    def name(self) -> str:
        """For titles."""
        ...

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        ...

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        ...

    def rows(self, places: "np.ndarray[Any, Any]") -> pd.DataFrame:
        """Rows by their places, which increase; numbered from 0."""
        ...

    def pieces(self) -> Iterator[pd.DataFrame]:
        """All rows in order, each piece numbered from 0."""
        ...

    def cells(self) -> Iterator[pd.DataFrame]:
        """The same pieces with every cell as it is in the file."""
        ...


@dataclass(frozen=True)
class FrameSource:
    """A table in memory.

    Parameters
    ----------
    name : str
        For titles.
    table : DataFrame of shape (n_rows, n_columns)
        Names are texts, all different.
    text : Path or None
        The text file that it was read from.

    """

    name: str
    table: pd.DataFrame
    text: Path | None = None

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        return len(self.table)

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return list(self.table.columns)

    def rows(self, places: "np.ndarray[Any, Any]") -> pd.DataFrame:
        """Rows by their places."""
        return self.table.iloc[places].reset_index(drop=True)

    def pieces(self) -> Iterator[pd.DataFrame]:
        """All rows in order."""
        for start in range(0, len(self.table), PIECE):
            yield self.table.iloc[start : start + PIECE].reset_index(drop=True)

    def cells(self) -> Iterator[pd.DataFrame]:
        """The same pieces with every cell as it is in the file."""
        table = self.table if self.text is None else read_cells(self.text)
        yield from FrameSource(self.name, table).pieces()


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file of many rows, of which a piece is in memory at a time.

    Parameters
    ----------
    name : str
        For titles.
    path : Path
        Of the file.
    n_rows : int
    names : list of str
        Of the columns.

    """

    name: str
    path: Path
    n_rows: int
    names: list[str]

    def rows(self, places: "np.ndarray[Any, Any]") -> pd.DataFrame:
        """Rows by their places."""
        kept, start = [], 0
        for piece in self.pieces():
            inside = places[(places >= start) & (places < start + len(piece))] - start
            kept.append(piece.iloc[inside])
            start += len(piece)
        return pd.concat(kept, ignore_index=True)

    def pieces(self) -> Iterator[pd.DataFrame]:
        """All rows in order."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=PIECE, columns=self.names):
                yield batch.to_pandas().reset_index(drop=True)

    def cells(self) -> Iterator[pd.DataFrame]:
        """The same pieces."""
        return self.pieces()


def source_of(data: Any, name: str | None = None) -> Source:
    """A table, an array or a file as a source of rows.

    Parameters
    ----------
    data : DataFrame, array of shape (n_rows, n_columns), str or Path
        A file is read as :func:`firstsight.columns.read.read_table` says; ``"-"`` is the standard input.
    name : str, optional
        For titles; that of the file, or "table".

    Returns
    -------
    Source

    Raises
    ------
    TypeError, ValueError, OSError
        When it is no table of rows and columns, or cannot be read.

    """
    if isinstance(data, str | Path):
        if str(data) == "-":
            return FrameSource(name or "standard input", _from_stdin())
        path = Path(data)
        text = path if path.name.lower().endswith(TEXTS) else None
        return _large_parquet(path, name) or FrameSource(name or path.name, read_table(path), text)
    if isinstance(data, pd.DataFrame):
        if not all(isinstance(column, str) for column in data.columns):
            data = data.set_axis([_named(column) for column in data.columns], axis=1)
        return FrameSource(name or "table", named_columns(data.reset_index(drop=True), "the table"))
    array = np.asarray(data)
    if array.ndim != 2 or array.dtype.kind not in "biufUO":
        raise TypeError(
            "data should be a DataFrame, a path, or an array of shape (n_rows, n_columns); "
            f"found {type(data).__name__} of shape {array.shape}"
        )
    columns = [f"x{place}" for place in range(array.shape[1])]
    return FrameSource(name or "table", named_columns(pd.DataFrame(array, columns=columns), "the table"))


def _named(column: Any) -> str:
    """The name of a column, whose levels are joined where it has several."""
    return " ".join(str(part) for part in column if str(part)) if isinstance(column, tuple) else str(column)


def _large_parquet(path: Path, name: str | None) -> ParquetSource | None:
    """The file as pieces, if it is Parquet of many rows without an index that becomes columns."""
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return None
    try:
        import pyarrow.parquet as pq
    except ImportError:
        return None  # read_table says what is wrong, here and below
    try:
        with pq.ParquetFile(path) as file:
            n_rows, schema = file.metadata.num_rows, file.schema_arrow
    except (ValueError, OSError):  # those of Arrow are ValueErrors
        return None
    stored = (schema.pandas_metadata or {}).get("index_columns", [])
    if n_rows <= MANY or any(isinstance(index, str) for index in stored):
        return None
    return ParquetSource(name or path.name, path, n_rows, [str(column) for column in schema.names])


def typed(raw: bytes) -> str:
    """The ending of a file that begins so."""
    if raw.startswith(b"PAR1"):
        return ".parquet"
    if raw.startswith(b"PK"):
        return ".npz" if b".npy" in raw[:200] else ".xlsx"
    if raw.startswith(b"\x1f\x8b"):
        return ".csv.gz"
    start = raw[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    return ".json" if start[:1] == b"{" or start[:2].strip() in (b"[{", b"[") else ".csv"


def _from_stdin() -> pd.DataFrame:
    raw = sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else io.BytesIO(sys.stdin.read().encode()).read()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"standard-input{typed(raw)}"
        path.write_bytes(raw)
        try:
            return read_table(path)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), "standard input")) from error

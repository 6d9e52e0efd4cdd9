"""Files that are whole or not there, whatever interrupts their writing."""

import gzip
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

__all__ = ["TABLES", "check_table_path", "save_pieces", "written_whole"]

TABLES = (".csv", ".csv.gz", ".parquet")


def check_table_path(path: Path) -> None:
    """Refuse the name of a table that cannot be written.

    Raises
    ------
    ValueError, NotADirectoryError, ModuleNotFoundError
        When it has another ending, no folder, or needs what is not installed.

    """
    if not path.name.lower().endswith(TABLES):
        raise ValueError(f"{path} should end in one of {', '.join(TABLES)}; pass another name for the table")
    check_folder(path)
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise ModuleNotFoundError(
                f"writing {path} needs pyarrow; install it with pip install 'firstsight[parquet]'"
            ) from error


def check_folder(path: Path) -> None:
    """Refuse a file whose folder is not there, or that is a folder.

    Raises
    ------
    NotADirectoryError
        With what to do.

    """
    if path.is_dir() or not path.parent.is_dir():
        raise NotADirectoryError(f"{path} should be a file in a folder that exists; make the folder first")


def save_pieces(path: Path, pieces: Iterator[pd.DataFrame]) -> None:
    """Write a table that comes in pieces of the same columns.

    Raises
    ------
    ValueError, NotADirectoryError, ModuleNotFoundError
        As :func:`check_table_path`.

    """
    check_table_path(path)
    if path.suffix.lower() == ".parquet":
        written_whole(path, lambda file: _write_parquet(file, pieces))
    elif path.suffix.lower() == ".gz":
        written_whole(path, lambda file: _write_zipped(file, pieces))
    else:
        written_whole(path, lambda file: _write_csv(file, pieces))


def written_whole(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file beside its place first, then under its name."""
    check_folder(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:50]}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)  # temporary files are for their owner alone
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_csv(file: IO[bytes] | gzip.GzipFile, pieces: Iterator[pd.DataFrame]) -> None:
    for number, piece in enumerate(pieces):
        file.write(piece.to_csv(index=False, header=number == 0).encode("utf-8", "replace"))


def _write_zipped(file: IO[bytes], pieces: Iterator[pd.DataFrame]) -> None:
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as zipped:
        _write_csv(zipped, pieces)


def _write_parquet(file: IO[bytes], pieces: Iterator[pd.DataFrame]) -> None:
    import pyarrow.parquet as pq

    first = _arrow(next(pieces), None)
    with pq.ParquetWriter(file, first.schema) as writer:
        writer.write_table(first)
        for piece in pieces:
            writer.write_table(_arrow(piece, first.schema))


def _arrow(piece: pd.DataFrame, schema: Any) -> Any:
    """A piece as Arrow has it; columns of cells that Arrow cannot hold together become texts."""
    import pyarrow as pa

    columns = {}
    for place, name in enumerate(piece.columns):
        kind = None if schema is None else schema.field(place).type
        column = piece.iloc[:, place]
        try:
            columns[name] = pa.Array.from_pandas(column, type=kind)
        except (pa.ArrowException, OverflowError, TypeError):
            texts = [None if np.ndim(cell) == 0 and pd.isna(cell) else str(cell) for cell in column]
            columns[name] = pa.array(texts, type=pa.string())
    return pa.table(columns, schema=schema)

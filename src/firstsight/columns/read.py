"""Tables from files: CSV in its many spellings, Parquet, Excel, JSON lines, and NumPy's npz."""

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from firstsight.columns.records import EXCEL, JSON, read_excel, read_json
from firstsight.columns.text import decoded, delimiter_of, plain_numbers, ragged_line
from firstsight.columns.values import NULLS

TEXTS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
SUFFIXES = (*TEXTS, ".parquet", *EXCEL, *JSON, ".npz")
NULL_SPELLINGS = sorted({spelling for null in NULLS for spelling in (null, null.upper(), null.title())})


def read_table(path: Path) -> pd.DataFrame:
    """Read one table.

    Text files (``.csv``, ``.tsv``, ``.txt``, and those with ``.gz``) are UTF-8, UTF-16 with its mark, or else
    Windows-1252; fields are parted by tab, semicolon, bar or comma; numbers may have a decimal comma where
    fields are not parted by commas. The first row holds the names, unless it is all numbers: then the columns
    are x0, x1, ... A first column without a name that counts the rows is left out, as is a last column
    without a name and values. Parquet needs pyarrow, Excel openpyxl. JSON holds one object a line, or a list of
    them. An npz file holds X, or one array, of shape (n_rows, n_columns); its columns are x0, x1, ..., and those
    of an array y of shape (n_rows,) are y.

    Parameters
    ----------
    path : Path
        Of the file.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        Names are texts, all different.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ModuleNotFoundError
        When a Parquet file is to be read without pyarrow, or Excel without openpyxl.
    ValueError
        When the file is not a table; the message names the file, and the line where that helps.

    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} should be a file; found {'a folder' if path.is_dir() else 'none'}")
    name = path.name.lower()
    if name.endswith(".parquet"):
        table = _read_parquet(path)
    elif name.endswith(".npz"):
        table = _read_npz(path)
    elif name.endswith((*EXCEL, *JSON)):
        table = read_excel(path) if name.endswith(EXCEL) else read_json(path)
        _check_names(path, [str(name) for name in table.columns])
    elif name.endswith(TEXTS):
        table = _read_text(path)
    else:
        raise ValueError(f"{path} should end in one of {', '.join(SUFFIXES)}; convert it to one of these")
    if table.shape[0] == 0 or table.shape[1] == 0:
        raise ValueError(f"{path} should have at least one row and one column; found shape {table.shape}; leave it out")
    return table


def list_tables(folder: Path) -> list[Path]:
    """The files of a folder that :func:`read_table` reads.

    Parameters
    ----------
    folder : Path
        Hidden files, other files and folders in it are passed over.

    Returns
    -------
    list of Path
        Sorted by name.

    Raises
    ------
    ValueError
        When it is no folder or holds no table.

    """
    folder = Path(folder)
    if folder.is_file():
        raise ValueError(f"{folder} should be a folder of tables; found a file; --group is for one file")
    if not folder.is_dir():
        raise ValueError(f"{folder} should be a folder of tables; found none of this name")
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    # Settings lie beside tables as JSON, and tables seldom do.
    tables = [path for path in files if path.name.lower().endswith(SUFFIXES) and path.suffix.lower() != ".json"]
    if not tables:
        found = f"{len(files)} other files, such as {files[0].name}" if files else "no file"
        raise ValueError(f"{folder} should hold tables, files ending in {', '.join(SUFFIXES)}; found {found}")
    return tables


def read_cells(path: Path) -> pd.DataFrame:
    """Read a text file without understanding its cells: every one is the text that the file holds.

    Parameters
    ----------
    path : Path
        Of a file that :func:`read_table` reads as text.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        The rows that :func:`read_table` gives, and all columns of the file.

    Raises
    ------
    ValueError
        As :func:`read_table`.

    """
    written = _written(Path(path))
    cells = pd.read_csv(
        io.StringIO(written.text), sep=written.delimiter, names=range(len(written.names)),
        header=None if written.headless else 0, index_col=False, dtype=str, keep_default_na=False, na_filter=False,
    )  # fmt: skip
    return cells.set_axis(written.names, axis=1)


class _Written(NamedTuple):
    """A text file: its text, what parts its fields, its names, and whether they were made up."""

    text: str
    delimiter: str
    names: list[str]
    headless: bool


def _written(path: Path) -> _Written:
    text = decoded(_unzipped(path), path)
    try:
        delimiter = delimiter_of(text)
        # Blank lines before the header would become its name.
        header = next(csv.reader(io.StringIO(text.lstrip("\n")), delimiter=delimiter, skipinitialspace=True))
        ragged = ragged_line(text, delimiter, len(header))
    except csv.Error as error:
        raise ValueError(f"{path} should have quotes in pairs; reading it failed: {error}; correct it") from error
    names = [name.strip() for name in header]
    if ragged:
        line, count = ragged
        raise ValueError(
            f"{path} should have as many fields in every line as in its first, {len(names)} parted by "
            f"{delimiter!r}; found {count} in line {line}; correct that line, or quote fields that hold {delimiter!r}"
        )
    headless = _are_numbers(names)
    if headless:
        names = [f"x{i}" for i in range(len(names))]
    _check_names(path, [name for name in names if name])
    return _Written(text, delimiter, names, headless)


def _read_text(path: Path) -> pd.DataFrame:
    text, delimiter, names, headless = _written(path)
    text, decimal = plain_numbers(text, delimiter)
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            names=range(len(names)),
            header=None if headless else 0,
            index_col=False,
            na_values=NULL_SPELLINGS,
            skipinitialspace=True,
            decimal=decimal,
            low_memory=False,
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} should be a table of text; reading it failed: {error}; export it again") from error
    if not names[0] and len(names) > 1 and table.iloc[:, 0].equals(pd.Series(range(len(table)))):
        table = table.drop(columns=0)
    if not names[-1] and len(table.columns) > 1 and table.iloc[:, -1].isna().all():
        table = table.drop(columns=len(names) - 1)
    table.columns = pd.Index([names[int(place)] or f"unnamed {place}" for place in table.columns])
    _check_names(path, list(table.columns))
    return table


def _unzipped(path: Path) -> bytes:
    if path.suffix.lower() != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} should be a gzip file; unpacking it failed: {error}; copy it again") from error


def _are_numbers(names: list[str]) -> bool:
    """Whether the first row is data: numbers, or numbers and blanks."""
    number = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")
    given = [name for name in names if name.lower() not in NULLS]
    return bool(given) and all(number.fullmatch(name) for name in given)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except ImportError as error:
        raise ModuleNotFoundError(
            f"reading {path} needs pyarrow; install it with pip install 'firstsight[parquet]'"
        ) from error
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} should be a Parquet file; reading it failed: {error}; export it again") from error
    if any(name is not None for name in table.index.names):
        table = table.reset_index()
    table.columns = pd.Index([str(name) for name in table.columns])
    _check_names(path, list(table.columns))
    return table.reset_index(drop=True)


def _read_npz(path: Path) -> pd.DataFrame:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} should be an npz file of plain arrays; reading it failed: {error}") from error
    others = [name for name in arrays if name != "y"]
    key = "X" if "X" in arrays else others[0] if len(others) == 1 else None
    if key is None or arrays[key].ndim != 2 or arrays[key].dtype.kind not in "biufU":
        found = {name: f"{array.dtype} {array.shape}" for name, array in arrays.items()}
        raise ValueError(
            f"{path} should hold an array X of numbers or texts and shape (n_rows, n_columns); found {found}; save "
            "it with numpy.savez(path, X=X)"
        )
    X = arrays[key]
    table = pd.DataFrame(X, columns=pd.Index([f"x{i}" for i in range(X.shape[1])]))
    if "y" in arrays:
        y = arrays["y"]
        if y.shape != X.shape[:1]:
            raise ValueError(f"y of {path} should have shape {X.shape[:1]}, as X has rows; found {y.shape}")
        table["y"] = y
    return table


def _check_names(path: Path, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"{path} should have columns of different names; found {twice[:8]} twice; rename them")

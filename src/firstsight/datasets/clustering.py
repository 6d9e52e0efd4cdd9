"""Tables for clustering, most with several right answers: Gagolewski's benchmark suite."""

import io
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.datasets.archives import read_bytes
from firstsight.datasets.cache import locate
from firstsight.datasets.registry import checked_name, files

FOLDER = "clustering-data-v1/"


class ClusteringTable(NamedTuple):
    """A table with one or more right partitions.

    Parameters
    ----------
    name : str
        Battery and table, such as ``fcps/lsun``.
    X : ndarray of shape (n_rows, n_features)
        float64.
    labels : list of ndarray of shape (n_rows,)
        The right answers, int64; clusters are 1 to k, and 0 is noise, which scores leave out.
    description : str
        What the publisher says of it, with its origin.

    """

    name: str
    X: NDArray[np.float64]
    labels: list[NDArray[np.int64]]
    description: str


def list_gagolewski() -> list[str]:
    """The names of the tables, such as ``fcps/lsun``, sorted."""
    ends = (file.path.removeprefix(FOLDER) for file in files("gagolewski") if file.path.endswith(".data.gz"))
    return sorted(end.removesuffix(".data.gz") for end in ends)


def load_gagolewski(name: str) -> ClusteringTable:
    """One table of the suite.

    Parameters
    ----------
    name : str
        See :func:`list_gagolewski`.

    Returns
    -------
    ClusteringTable
        Only its own files are downloaded.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        When there is no such table; see :func:`firstsight.datasets.cache.fetch`.

    Notes
    -----
    Gagolewski 2022, SoftwareX 20:101270; version 1.1.0.

    """
    stem = FOLDER + checked_name(name, list_gagolewski(), "table of gagolewski")
    mine = {file.path: file for file in files("gagolewski") if file.path.startswith(f"{stem}.")}
    X = _numbers(read_bytes(locate(mine[f"{stem}.data.gz"]))).to_numpy(np.float64)
    answers = sorted(path for path in mine if path.startswith(f"{stem}.labels"))
    labels = [_numbers(read_bytes(locate(mine[path]))).to_numpy(np.int64).ravel() for path in answers]
    for path, answer in zip(answers, labels, strict=True):
        if len(answer) != len(X):
            raise ValueError(f"{path} should have a label for each of {len(X)} rows; found {len(answer)}")
    return ClusteringTable(name, X, labels, read_bytes(locate(mine[f"{stem}.txt"])).decode())


def _numbers(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), sep=r"\s+", header=None, comment="#")

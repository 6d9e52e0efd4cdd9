"""Tables with labelled anomalies: ADBench, OddBench and OvRBench."""

from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.datasets.archives import members, open_zip, read_npz
from firstsight.datasets.cache import fetch, locate
from firstsight.datasets.registry import checked_name, files


class AnomalyTable(NamedTuple):
    """A table with some anomalous rows.

    Parameters
    ----------
    name : str
        Without the number that the file name begins with.
    X : ndarray of shape (n_rows, n_features)
        float64.
    y : ndarray of shape (n_rows,)
        1 for an anomaly, else 0; int64.

    """

    name: str
    X: NDArray[np.float64]
    y: NDArray[np.int64]


class OneClassTable(NamedTuple):
    """Normal rows to fit, and labelled rows to score.

    Parameters
    ----------
    name : str
        As the publisher calls it.
    train : ndarray of shape (n_train, n_features)
        Normal rows only, float64.
    test : ndarray of shape (n_test, n_features)
        Normal rows and anomalies, float64.
    y : ndarray of shape (n_test,)
        1 for an anomaly of ``test``, else 0; int64.

    """

    name: str
    train: NDArray[np.float64]
    test: NDArray[np.float64]
    y: NDArray[np.int64]


def list_adbench() -> list[str]:
    """The names of the 28 tables, such as ``pendigits``, sorted."""
    return sorted(_adbench_names())


def load_adbench(name: str) -> AnomalyTable:
    """One classical table of ADBench.

    Parameters
    ----------
    name : str
        See :func:`list_adbench`; ``28_pendigits``, as the file is called, is taken as well.

    Returns
    -------
    AnomalyTable
        Only its own file is downloaded.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        When there is no such table; see :func:`firstsight.datasets.cache.fetch`.

    Notes
    -----
    Han et al. 2022, arXiv:2206.09426.

    """
    paths = _adbench_names()
    numbered = {PurePosixPath(path).stem: short for short, path in paths.items()}
    short = checked_name(numbered.get(name, name), list(paths), "table of adbench")
    (file,) = (file for file in files("adbench") if file.path == paths[short])
    arrays = read_npz(locate(file))
    X, y = arrays["X"].astype(np.float64), arrays["y"].astype(np.int64)
    _check(short, X, y)
    return AnomalyTable(short, X, y)


def list_oddbench() -> list[str]:
    """The names of the 341 tables, sorted."""
    return _names("oddbench")


def load_oddbench(name: str) -> OneClassTable:
    """One table of OddBench: anomalies as they are in an application.

    Parameters
    ----------
    name : str
        See :func:`list_oddbench`.

    Returns
    -------
    OneClassTable
        See there.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        When there is no such table; see :func:`firstsight.datasets.cache.fetch`.

    Notes
    -----
    arXiv:2602.03018.

    """
    return _one_class("oddbench", name)


def list_ovrbench() -> list[str]:
    """The names of the 140 tables, sorted."""
    return _names("ovrbench")


def load_ovrbench(name: str) -> OneClassTable:
    """One table of OvRBench: one class of a classification table is normal, the others are anomalies.

    Parameters
    ----------
    name : str
        See :func:`list_ovrbench`.

    Returns
    -------
    OneClassTable
        See there.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        When there is no such table; see :func:`firstsight.datasets.cache.fetch`.

    Notes
    -----
    arXiv:2602.03018.

    """
    return _one_class("ovrbench", name)


def _adbench_names() -> dict[str, str]:
    """Short name to path."""
    return {PurePosixPath(file.path).stem.split("_", 1)[1]: file.path for file in files("adbench")}


def _names(collection: str) -> list[str]:
    (file,) = files(collection)
    return sorted(name.removesuffix(".npz") for name in file.hashes.names)


def _one_class(collection: str, name: str) -> OneClassTable:
    checked_name(name, _names(collection), f"table of {collection}")
    (path,), (file,) = fetch(collection), files(collection)
    with open_zip(path) as archive:
        arrays = read_npz(archive.read(members(archive, file.pattern)[f"{name}.npz"]), called=name)
    train, test = arrays["train"].astype(np.float64), arrays["test"].astype(np.float64)
    y = arrays["test_labels"].astype(np.int64)
    _check(name, test, y)
    if train.shape[1:] != test.shape[1:] or arrays["train_labels"].any():
        raise ValueError(f"{name} should have normal rows to fit, as wide as those to score; fetch its file again")
    return OneClassTable(name, train, test, y)


def _check(name: str, X: NDArray[Any], y: NDArray[Any]) -> None:
    if X.ndim != 2 or y.shape != X.shape[:1] or not set(np.unique(y)) <= {0, 1}:
        raise ValueError(
            f"{name} should have X of shape (n_rows, n_features) and a 0 or 1 for each row; "
            f"found shapes {X.shape} and {y.shape}; fetch its file again"
        )

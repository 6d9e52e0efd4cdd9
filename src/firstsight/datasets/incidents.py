"""One view of the tables with labelled anomalies, and on which side of meta-learning each of them is.

ADBench, all of it, and a part of OddBench are for testing alone. Collections hold the same measurements under
other names, so sides are given to groups of tables that are alike (:func:`firstsight.datasets.splits.groups`),
and a table that belongs to ADBench is in no training under any name. Fingerprinting everything takes about a
minute: ``runs/split_incidents.py`` does it once and keeps groups and sides in ``incidents.json``.

What an anomaly is differs. In ADBench and OddBench it is what an application calls one. OvRBench takes one class
of a classification table as normal and others as anomalies; of KEEL the smallest class is anomalous here. Rows of
OddBench and OvRBench are pooled: normal ones to fit come first, then the labelled ones, so shuffle the rows before
anything that could profit from their order. In some tables of OddBench nearly all anomalies are equal to a normal
row (``GameRegret``, ``SharkAttacks``) and cannot be told from it; they are kept, for users have such tables.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.datasets.anomaly import (
    list_adbench,
    list_oddbench,
    list_ovrbench,
    load_adbench,
    load_oddbench,
    load_ovrbench,
)
from firstsight.datasets.registry import checked_name
from firstsight.datasets.tables import list_keel, load_keel

SPLIT = Path(__file__).with_name("incidents.json")
COLLECTIONS = ("adbench", "oddbench", "ovrbench", "keel")
SIDES = ("train", "validate", "test", "aside")

FEWEST_ANOMALIES = 5
FEWEST_NORMALS = 30
MOST_ANOMALIES = 0.5
MOST_OF_A_CLASS = 0.4  # of the rows of a classification table: more is no anomaly but a second kind

# Alike, though fingerprints cannot tell: colours take 256 values, as many other columns do; the calls
# of one Portuguese bank were published twice with other columns, once cut into categories.
DECLARED_ALIKE = (
    ("adbench/skin", "oddbench/SkinAnomaly"),
    ("adbench/campaign", "oddbench/CustomerCampaignOutcome", "oddbench/SystemFailureMonitoring"),
)
# Alike to a table of ADBench that is not among those at hand, and may be measured on elsewhere: satimage-2.
ALIKE_TO_ABSENT = ("oddbench/SatelliteAnomaly",)


class Incidents(NamedTuple):
    """A table with labelled anomalies.

    Parameters
    ----------
    name : str
        Collection and table, such as ``adbench/pendigits`` and ``keel/imbalanced/abalone19``.
    collection : str
        One of ``adbench``, ``oddbench``, ``ovrbench`` and ``keel``.
    family : str
        Tables of one family hold the same measurements, and must not be on two sides of a split.
    X : ndarray of shape (n_rows, n_features)
        float64; categories as 0 and 1 in a column for each value, those of two values in one column. Missing
        values, which only KEEL has, are NaN, and 0 in all columns of a category.
    y : ndarray of shape (n_rows,)
        1 for an anomaly, else 0; int64.

    """

    name: str
    collection: str
    family: str
    X: NDArray[np.float64]
    y: NDArray[np.int64]

    def taken(self, rows: NDArray[np.int64]) -> "Incidents":
        """These rows alone, in this order."""
        return self._replace(X=self.X[rows], y=self.y[rows])


def list_incidents(side: str | None = None) -> list[str]:
    """The names of the tables, sorted; nothing is downloaded.

    Parameters
    ----------
    side : str, optional
        ``train``, ``validate`` or ``test``; or ``aside``: too near to a table for testing to be trained on, and
        not for testing either. All tables by default.

    Returns
    -------
    list of str
        Tables with fewer than 5 anomalies, fewer than 30 normal rows or more than half of the rows anomalous are
        not among them, and neither are tables of KEEL whose smallest class has more than 40 % of the rows.

    Raises
    ------
    ValueError
        When there is no such side.

    >>> len(list_incidents("test")), list_incidents("validate")[0]
    (95, 'oddbench/AcademicPerformance')

    """
    if side is not None:
        checked_name(side, list(SIDES), "side")
    return [name for name, (_, where) in _stored()["tables"].items() if side in (None, where)]


def incident_side(name: str) -> str:
    """Where a table may be used.

    Parameters
    ----------
    name : str
        See :func:`list_incidents`.

    Returns
    -------
    str
        One of ``train``, ``validate``, ``test`` and ``aside``.

    Raises
    ------
    ValueError
        When there is no such table, or it is left out.

    >>> incident_side("adbench/letter"), incident_side("ovrbench/letter")
    ('test', 'aside')

    """
    return _entry(name)[1]


def load_incidents(name: str) -> Incidents:
    """One table with its labelled anomalies.

    Parameters
    ----------
    name : str
        See :func:`list_incidents`.

    Returns
    -------
    Incidents
        Only its own files are downloaded.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        When there is no such table; see :func:`firstsight.datasets.cache.fetch`.

    """
    family, _ = _entry(name)
    X, y = read_candidate(name)
    return Incidents(name, name.split("/")[0], family, as_numbers(X), y)


def candidates() -> list[str]:
    """The names of all tables of the four collections, fit for use or not, in the order of the collections."""
    tables = zip(COLLECTIONS, (list_adbench(), list_oddbench(), list_ovrbench(), list_keel()), strict=True)
    return [f"{collection}/{name}" for collection, names in tables for name in names]


def read_candidate(name: str) -> tuple[NDArray[np.float64] | pd.DataFrame, NDArray[np.int64]]:
    """Rows and labels of a table as published, fit for use or not.

    Parameters
    ----------
    name : str
        See :func:`candidates`.

    Returns
    -------
    X : ndarray or DataFrame of shape (n_rows, n_features)
        Of KEEL a DataFrame of numbers and categories.
    y : ndarray of shape (n_rows,)
        1 for an anomaly, else 0. Of KEEL's classes of equal size the first by name is the smallest.

    """
    collection, _, rest = checked_name(name, candidates(), "table with anomalies").partition("/")
    if collection == "adbench":
        table = load_adbench(rest)
        return table.X, table.y
    if collection == "keel":
        classes = load_keel(rest)
        codes, names = pd.factorize(classes.y, sort=True)
        return classes.X, (codes == np.bincount(codes, minlength=len(names)).argmin()).astype(np.int64)
    parts = {"oddbench": load_oddbench, "ovrbench": load_ovrbench}[collection](rest)
    normal = np.zeros(len(parts.train), dtype=np.int64)
    return np.vstack([parts.train, parts.test]), np.concatenate([normal, parts.y])


def why_left_out(name: str, y: NDArray[np.int64]) -> str:
    """The rule that keeps a table out, with the value seen; empty for a table that is fit for use."""
    n_anomalies, share = int(y.sum()), float(y.mean())
    if n_anomalies < FEWEST_ANOMALIES:
        return f"{n_anomalies} anomalies, fewer than {FEWEST_ANOMALIES}"
    if len(y) - n_anomalies < FEWEST_NORMALS:
        return f"{len(y) - n_anomalies} normal rows, fewer than {FEWEST_NORMALS}"
    if name.startswith("keel/") and share > MOST_OF_A_CLASS:
        return f"smallest class has {share:.0%} of the rows, more than {MOST_OF_A_CLASS:.0%}"
    return f"{share:.0%} of the rows are anomalies, more than {MOST_ANOMALIES:.0%}" if share > MOST_ANOMALIES else ""


def as_numbers(X: NDArray[np.float64] | pd.DataFrame) -> NDArray[np.float64]:
    """Numbers as they are, and categories as 0 and 1; see :class:`Incidents`."""
    if not isinstance(X, pd.DataFrame):
        return X
    columns = []
    for name in X:
        column = X[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            each = pd.get_dummies(column, dtype=float).to_numpy()
            columns.append(each[:, 1:] if each.shape[1] == 2 else each)
        else:
            columns.append(column.to_numpy(np.float64)[:, None])
    return np.hstack(columns)


@cache
def _stored() -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(SPLIT.read_text(encoding="utf-8"))
    return stored


def _entry(name: str) -> tuple[str, str]:
    """Family and side."""
    if reason := _stored()["left_out"].get(name):
        raise ValueError(f"{name} is left out: {reason}; see list_incidents()")
    family, side = _stored()["tables"][checked_name(name, list(_stored()["tables"]), "table with anomalies")]
    return family, side

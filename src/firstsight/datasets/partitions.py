"""One view of the tables whose clusters or classes are known: Gagolewski's suite and KEEL.

A class is not always a cluster: KEEL's tables were made for classification, and some of the imbalanced ones
are the rows of another table with one class set against the rest. Many files are sorted by their labels:
shuffle the rows before anything that could profit from their order.
"""

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.datasets.clustering import list_gagolewski, load_gagolewski
from firstsight.datasets.registry import checked_name
from firstsight.datasets.splits import families
from firstsight.datasets.tables import keel_family, list_keel, load_keel

BATTERIES = ("fcps", "graves", "sipu", "g2mg", "h2mg", "keel")
NOISE = -1

# Tables of Gagolewski's suite that were made from one another, or by one recipe with another setting: the same
# ring with noise around it, the same centres with more spread, more centres around those of the table before.
# Those of g2mg and h2mg are all two clusters at the same two centres, at 500 and 600 in every column.
MADE_FROM_ONE = {
    r"graves/ring(_noisy|_outliers)?": "graves/ring",
    r"graves/zigzag(_noisy|_outliers)?": "graves/zigzag",
    r"sipu/a\d": "sipu/a",
    r"sipu/s\d": "sipu/s",
    r"sipu/birch\d": "sipu/birch",
    r"sipu/worms_\d+": "sipu/worms",
    r"[gh]2mg/.+": "g2mg",
}


class Partitioned(NamedTuple):
    """A table with one or more right partitions.

    Parameters
    ----------
    name : str
        Battery and table, such as ``fcps/lsun`` and ``keel/balanced/pima``.
    battery : str
        One of ``fcps``, ``graves``, ``sipu``, ``g2mg``, ``h2mg`` and ``keel``.
    family : str
        Tables of one family hold the same measurements, or were made from one another or by one recipe, and
        must not be on two sides of a split.
    X : ndarray or DataFrame of shape (n_rows, n_features)
        float64; of KEEL a DataFrame of numbers and categories, see :class:`firstsight.datasets.tables.Table`.
    truths : list of ndarray of shape (n_rows,)
        The right answers, int64; clusters are 0 to k - 1, and -1 is noise, which scores leave out.

    """

    name: str
    battery: str
    family: str
    X: NDArray[np.float64] | pd.DataFrame
    truths: list[NDArray[np.int64]]

    @property
    def n_clusters(self) -> list[int]:
        """The number of clusters of each right answer, noise not counted."""
        return [len(np.unique(truth[truth != NOISE])) for truth in self.truths]

    def taken(self, rows: NDArray[np.int64]) -> "Partitioned":
        """These rows alone, in this order; those of a DataFrame are numbered anew."""
        X = self.X.iloc[rows].reset_index(drop=True) if isinstance(self.X, pd.DataFrame) else self.X[rows]
        return self._replace(X=X, truths=[truth[rows] for truth in self.truths])


def list_partitions() -> list[str]:
    """The names of the tables, such as ``fcps/lsun`` and ``keel/balanced/pima``, in the order of the batteries."""
    names = [*list_gagolewski(), *(f"keel/{name}" for name in list_keel())]
    return sorted(names, key=lambda name: (BATTERIES.index(name.split("/")[0]), name))


def partition_family(name: str) -> str:
    """What a table was made from.

    Parameters
    ----------
    name : str
        See :func:`list_partitions`.

    Returns
    -------
    str
        The same for all tables of one family.

    >>> partition_family("graves/ring_noisy"), partition_family("keel/imbalanced/vehicle0")
    ('graves/ring', 'keel/vehicle')

    """
    if name.startswith("keel/"):
        # Some origins belong together, too: the declared families are asked, not keel_family alone.
        declared = families(f"keel/{other}" for other in list_keel())
        members = next((members for members in declared if name in members), [name])
        return f"keel/{keel_family(members[0])}"
    return next((family for pattern, family in MADE_FROM_ONE.items() if re.fullmatch(pattern, name)), name)


def load_partitions(name: str) -> Partitioned:
    """One table with its right partitions.

    Parameters
    ----------
    name : str
        See :func:`list_partitions`.

    Returns
    -------
    Partitioned
        Only its own files are downloaded.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        When there is no such table; see :func:`firstsight.datasets.cache.fetch`.

    """
    battery, _, rest = checked_name(name, list_partitions(), "table with a partition").partition("/")
    if battery == "keel":
        table = load_keel(rest)
        return Partitioned(name, battery, partition_family(name), table.X, [_coded(table.y)])
    suite = load_gagolewski(name)
    # Labels are 1 to k there, and 0 is noise.
    return Partitioned(name, battery, partition_family(name), suite.X, [labels - 1 for labels in suite.labels])


def _coded(classes: "pd.Series[Any]") -> NDArray[np.int64]:
    codes, _ = pd.factorize(classes, sort=True)
    return codes.astype(np.int64)

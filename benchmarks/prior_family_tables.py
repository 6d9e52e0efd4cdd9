"""Real tables that are alike: recorded streams and large tables, each cut into one family.

Every builder returns the tables of one family with what is known of their rows. No row is in two tables; features
that look back in time look back inside their own table alone. Large tables are cut by k-means on a random half of
their columns, standardised, and of the other half at most 16 columns are kept: what the tables differ by is then
something that was measured and is not in them, as a store, a ward or a machine is. Nothing is standardised.

Rows of a table are in the order of time where it has one, else in that of the file; shuffle them before anything
that could profit from their order.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from firstsight.datasets import (
    Series,
    load_adbench,
    load_elec2,
    load_keel,
    load_nab,
    load_oddbench,
)
from firstsight.datasets.streams import ELEC2_REPEATED

FEWEST_ROWS = 150
MOST_ROWS = 2000
MOST_COLUMNS = 16  # of a part of a large table: so that other families are wide enough to be set against it
FEWEST_ANOMALIES = 3
MOST_ANOMALIES = 0.2  # of the rows of a table cut out of a larger one
LARGEST_CLASS = 0.95  # of the rows: where there is more, there is only one class
MOST_IN_WINDOWS = 0.5  # of the rows of a stretch of a series: more is no anomaly there
FITTED = 10_000  # rows by which the centroids that cut a large table are found


class Piece(NamedTuple):
    """One table of a family.

    Parameters
    ----------
    name : str
        Unlike that of any other table of the family.
    group : str
        Tables of one group must not be on two sides of a split; groups of one moment sort in the order of time.
    table : DataFrame of shape (n_rows, n_features)
        float64.
    truth : ndarray of shape (n_rows,) or None
        The class of each row, int64.
    anomalies : ndarray of shape (n_rows,) or None
        True for an anomalous row, bool.

    """

    name: str
    group: str
    table: pd.DataFrame
    truth: NDArray[np.int64] | None = None
    anomalies: NDArray[np.bool_] | None = None


def elec2_fortnights() -> list[Piece]:
    """Fourteen days of the electricity market each, since Victoria is measured; the truth is whether prices rise."""
    X, y = _elec2()
    length = 14 * 48
    return [
        Piece(f"{X.index[first]:%Y-%m-%d}", f"{first:06d}", _plain(X.iloc[first : first + length]), y[first:][:length])
        for first in range(0, len(X) - length + 1, length)
    ]


def elec2_months() -> list[Piece]:
    """Working days, and weekends, of a month of the electricity market; the truth is whether prices rise."""
    X, y = _elec2()
    times = pd.DatetimeIndex(X.index)
    kind = np.where(times.day_of_week < 5, "work", "weekend")
    found = []
    for (month, day), places in pd.Series(range(len(X))).groupby([times.strftime("%Y-%m"), kind]):
        rows = places.to_numpy()
        if len(rows) >= FEWEST_ROWS:
            found.append(Piece(f"{month} {day}", month, _plain(X.iloc[rows]), y[rows]))
    return found


def series(wanted: str, days: int, steps: int, by: str) -> list[Piece]:
    """Stretches of series of one kind: value, change, and mean and deviation of the last measurements, and the hour.

    Parameters
    ----------
    wanted : str
        What the names of the series hold.
    days : int
        Of a stretch; stretches begin on the same days in all series.
    steps : int
        Measurements that the mean and the deviation look back; as many rows at the start of a stretch are left out.
    by : str
        ``series`` or ``time``: what one group is.

    Returns
    -------
    list of Piece
        An anomaly is a row in a window that the publisher gives. Stretches of fewer than 150 rows are left out, and
        those with more than half of their rows in windows.

    """
    found = []
    for one in _nab():
        if wanted in one.name:
            short = one.name.rsplit("/", 1)[1]
            for day, rows in _stretches(one.values.index, days):
                flags = one.anomalous[rows][steps:]
                if len(flags) >= FEWEST_ROWS and flags.mean() <= MOST_IN_WINDOWS:
                    table = _looking_back(one.values.iloc[rows], steps)
                    found.append(Piece(f"{short} {day}", day if by == "time" else short, table, None, flags))
    return found


def advertisements(days: int, steps: int) -> list[Piece]:
    """Stretches of three exchanges of advertisements: costs of a click and of a thousand views, hour by hour."""
    by_name = {one.name.rsplit("/", 1)[1]: one for one in _nab()}
    found = []
    for number in (2, 3, 4):
        click, view = (by_name[f"exchange-{number}_{kind}_results"] for kind in ("cpc", "cpm"))
        anomalous = click.anomalous | view.anomalous
        for day, rows in _stretches(click.values.index, days):
            flags = anomalous[rows][steps:]
            if len(flags) >= FEWEST_ROWS and flags.mean() <= MOST_IN_WINDOWS:
                clicks, views = (_looking_back(one.values.iloc[rows], steps) for one in (click, view))
                table = clicks.drop(columns="hour").add_prefix("click_").join(views.add_prefix("view_"))
                found.append(Piece(f"exchange {number} {day}", day, table, None, flags))
    return found


def keel_cells(name: str, columns: Sequence[str]) -> list[Piece]:
    """Rows that agree in some columns of a table of KEEL; the others are kept, and the class is the truth.

    Parts with more than 95 % of their rows in one class are left out, here and in :func:`keel_clusters`.
    """
    source = load_keel(name)
    codes = source.y.cat.codes.to_numpy(np.int64)
    found = []
    for values, rows in source.X.groupby(list(columns)).indices.items():
        if len(rows) >= FEWEST_ROWS and _mixed(codes[rows]):
            called = " ".join(f"{column}={value}" for column, value in zip(columns, values, strict=True))
            table = source.X.iloc[rows].drop(columns=list(columns))
            found.append(Piece(called, called, _plain(table), codes[rows]))
    return found


def keel_classes(name: str) -> list[Piece]:
    """The rows of one class of a table of KEEL each, all columns."""
    source = load_keel(name)
    return [
        Piece(str(label), str(label), _plain(source.X.iloc[rows]))
        for label, rows in source.X.groupby(source.y, observed=True).indices.items()
    ]


def keel_clusters(name: str, n_groups: int) -> list[Piece]:
    """A table of KEEL cut by k-means on half of its columns; the class is the truth."""
    source = load_keel(name)
    codes = source.y.cat.codes.to_numpy(np.int64)
    cut = _cut(source.X.to_numpy(float), n_groups)
    return [Piece(called, called, table, codes[rows]) for called, table, rows in cut if _mixed(codes[rows])]


def adbench_clusters(name: str, n_groups: int) -> list[Piece]:
    """A table of ADBench cut in the same way; parts with fewer than 3 anomalies, or more than a fifth, are left out."""
    source = load_adbench(name)
    return _with_anomalies(source.X, source.y == 1, n_groups)


def oddbench_clusters(name: str, n_groups: int) -> list[Piece]:
    """A table of OddBench, normal and labelled rows together, cut in the same way."""
    source = load_oddbench(name)
    anomalous = np.concatenate([np.zeros(len(source.train), bool), source.y == 1])
    return _with_anomalies(np.vstack([source.train, source.test]), anomalous, n_groups)


def _with_anomalies(X: NDArray[np.float64], anomalous: NDArray[np.bool_], n_groups: int) -> list[Piece]:
    return [
        Piece(called, called, table, None, anomalous[rows])
        for called, table, rows in _cut(X, n_groups)
        if anomalous[rows].sum() >= FEWEST_ANOMALIES and anomalous[rows].mean() <= MOST_ANOMALIES
    ]


def _mixed(codes: NDArray[np.int64]) -> bool:
    return bool(np.bincount(codes).max() <= LARGEST_CLASS * len(codes))


def _cut(X: NDArray[np.float64], n_groups: int) -> Iterator[tuple[str, pd.DataFrame, NDArray[np.int64]]]:
    """Name, columns not cut by, and rows of every part that is large enough; at most 16 and 2,000, drawn at random."""
    rng = np.random.default_rng(0)
    order = rng.permutation(X.shape[1])
    cut_by, kept = order[: X.shape[1] // 2], np.sort(order[X.shape[1] // 2 :][:MOST_COLUMNS])
    scaled = StandardScaler().fit_transform(X[:, cut_by])
    some = rng.permutation(len(X))[:FITTED]
    part = KMeans(n_groups, n_init=1, random_state=0).fit(scaled[some]).predict(scaled)
    names = [f"x{place + 1}" for place in kept]
    for number in range(n_groups):
        rows = np.sort(rng.permutation(np.flatnonzero(part == number))[:MOST_ROWS])
        if len(rows) >= FEWEST_ROWS:
            yield f"part {number}", pd.DataFrame(X[np.ix_(rows, kept)], columns=names), rows


def _elec2() -> tuple[pd.DataFrame, NDArray[np.int64]]:
    stream = load_elec2()
    return stream.X.iloc[ELEC2_REPEATED:], stream.y[ELEC2_REPEATED:]


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype(np.float64).reset_index(drop=True)


def _stretches(times: pd.Index, days: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """The first day of every stretch and its rows."""
    begin = pd.Series(range(len(times)), index=times).groupby(pd.Grouper(freq=f"{days}D", origin="epoch"))
    for day, places in begin:
        yield f"{day:%Y-%m-%d}", places.to_numpy(np.int64)


def _looking_back(values: "pd.Series[float]", steps: int) -> pd.DataFrame:
    times = pd.DatetimeIndex(values.index)
    before = values.shift(1).rolling(steps)
    table = pd.DataFrame(
        {
            "value": values.to_numpy(),
            "change": values.diff().to_numpy(),
            "mean": before.mean().to_numpy(),
            "deviation": before.std().to_numpy(),
            "hour": times.hour + times.minute / 60,
        }
    )
    return _plain(table.iloc[steps:])


@cache
def _nab() -> list[Series]:
    return load_nab()

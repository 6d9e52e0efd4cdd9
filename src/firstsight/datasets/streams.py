"""Streams: the electricity market of New South Wales, and the Numenta anomaly benchmark."""

import io
import json
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.datasets.archives import members, open_zip, read_bytes
from firstsight.datasets.cache import fetch
from firstsight.datasets.registry import files

ELEC2_COLUMNS = ("period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
ELEC2_A_DAY = 48
ELEC2_REPEATED = 363 * ELEC2_A_DAY  # the row where 4 May 1997 begins for the second time


class Stream(NamedTuple):
    """Rows in the order of time, with a class each.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
        Numbers, indexed by the time at which each row begins.
    y : ndarray of shape (n_rows,)
        Class of every row, int64, a place in ``class_names``.
    class_names : tuple of str
        What the classes are called.
    rows_a_day : int
        Rows that make a day; seven times as many make a week.

    """

    X: pd.DataFrame
    y: NDArray[np.int64]
    class_names: tuple[str, ...]
    rows_a_day: int


class Series(NamedTuple):
    """One series of numbers with the windows of its anomalies.

    Parameters
    ----------
    name : str
        Folder and file, such as ``realTraffic/speed_6005``.
    values : Series of float64
        The measurements, indexed by their times in the order of the file.
    windows : list of (Timestamp, Timestamp)
        First and last time of every anomaly window, both inside it; none for a series without.
    anomalous : ndarray of shape (n_rows,)
        Whether a measurement lies in a window, bool.

    """

    name: str
    values: "pd.Series[float]"
    windows: list[tuple[pd.Timestamp, pd.Timestamp]]
    anomalous: NDArray[np.bool_]


def load_elec2() -> Stream:
    """Elec2: the price of electricity in New South Wales, half-hour by half-hour; it drifts.

    Returns
    -------
    Stream
        X of shape (45312, 6): ``period`` (time of day), and prices, demands and the transfer between
        the states New South Wales and Victoria, all scaled to 0..1 by the publisher over the whole
        stream. Classes: ``DOWN`` and ``UP``, the price against its mean over the last 24 hours.
        One row is half an hour: 48 a day, 336 a week, without a gap from Tuesday 7 May 1996 to
        Saturday 5 December 1998, 943 days; Sunday 4 May 1997 is there twice, see the notes.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        See :func:`firstsight.datasets.cache.fetch`.

    Notes
    -----
    Harries 1999, UNSW-CSE-TR-9905. The file is CapyMOA's, which has no dates: the index is counted
    from the first day that the report names, and fits its last day, the weekends and the holidays.
    Victoria joined the market on 4 May 1997. The file has that day twice, first with the columns of
    Victoria and the transfer constant, as on all days before, then as measured: rows 17,376 to
    17,471 have 48 times between them. Classes come in runs, so that "the same as before" is a
    strong guess.

    """
    (path,) = fetch("elec2")
    table = pd.read_csv(io.BytesIO(read_bytes(path)))
    if tuple(table.columns) != (*ELEC2_COLUMNS, "class"):
        raise ValueError(f"elec2 should have columns {(*ELEC2_COLUMNS, 'class')}; found {tuple(table.columns)}")
    half_hours = np.arange(len(table))
    half_hours[half_hours >= ELEC2_REPEATED] -= ELEC2_A_DAY
    times = pd.Index(pd.Timestamp("1996-05-07") + pd.to_timedelta(half_hours * 30, unit="min"), name="time")
    X = table[list(ELEC2_COLUMNS)].astype(np.float64).set_axis(times, axis=0)
    return Stream(X, table["class"].to_numpy(np.int64), ("DOWN", "UP"), ELEC2_A_DAY)


def load_nab() -> list[Series]:
    """The Numenta anomaly benchmark: 58 series, artificial ones and measured ones.

    Returns
    -------
    list of Series
        Sorted by name. The windows are those of ``combined_windows.json``, by which the benchmark
        scores; a series without a window has no known anomaly.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        See :func:`firstsight.datasets.cache.fetch`.

    Notes
    -----
    Lavin and Ahmad 2015, arXiv:1510.03336.

    """
    (path,), (file,) = fetch("nab"), files("nab")
    found = []
    with open_zip(path) as archive:
        inside = members(archive, file.pattern)
        labels = json.loads(archive.read(inside["labels/combined_windows.json"]))
        for member in inside:
            if member.startswith("data/"):
                name = member.removeprefix("data/")
                table = pd.read_csv(io.BytesIO(archive.read(inside[member])), parse_dates=["timestamp"])
                found.append(_series(name, table, labels[name]))
    return found


def _series(name: str, table: pd.DataFrame, pairs: list[list[str]]) -> Series:
    values = table.set_index("timestamp")["value"].astype(np.float64)
    windows = [(pd.Timestamp(first), pd.Timestamp(last)) for first, last in pairs]
    times = values.index
    anomalous = np.zeros(len(values), dtype=bool)
    for first, last in windows:
        anomalous |= np.asarray((times >= first) & (times <= last))
    return Series(name.removesuffix(".csv"), values, windows, anomalous)

"""What the estimators say of a table: fitted to some of its rows, then asked about all of them, piece by piece."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.clean import cleaned
from firstsight.columns.survey import Surveyed, survey
from firstsight.estimators.anomaly_detector import AnomalyDetector
from firstsight.estimators.clusterer import Clusterer
from firstsight.estimators.embedder import Embedder
from firstsight.overview.oddities import Likeliest, likeliest
from firstsight.overview.source import MANY, Source

__all__ = ["MOST_POINTS", "Answers", "Fitted", "Points", "Rows", "answered", "fitted"]

MOST_POINTS = 3000  # of the map
LEAST_ROWS, LEAST_COLUMNS = 2, 2

Stage = Callable[[str], None]


class Fitted(NamedTuple):
    """The estimators, and the rows they were fitted to.

    Parameters
    ----------
    places : ndarray of shape (n_looked_at,)
        Places of these rows in the file.
    raw : DataFrame of shape (n_looked_at, n_columns)
        As they are in the file.
    columns : DataFrame of shape (n_looked_at, n_used)
        The columns that tell rows apart, as numbers and categories.
    surveyed : list of Surveyed
        What every column is.
    clusterer : Clusterer
    detector : AnomalyDetector

    """

    places: NDArray[np.int64]
    raw: pd.DataFrame
    columns: pd.DataFrame
    surveyed: list[Surveyed]
    clusterer: Clusterer
    detector: AnomalyDetector

    def cleaned(self, raw: pd.DataFrame) -> pd.DataFrame:
        """The columns that tell rows apart, of other rows."""
        return cleaned(self.surveyed, raw)


class Rows(NamedTuple):
    """Answers for all rows of a table, in its order.

    Parameters
    ----------
    label : ndarray of shape (n_rows,)
        Group; -1 for none.
    membership : ndarray of shape (n_rows,)
        Strength of it, from 0 to 1.
    probability : ndarray of shape (n_rows,)
        Of being an anomaly.

    """

    label: NDArray[np.int64]
    membership: NDArray[np.floating[Any]]
    probability: NDArray[np.floating[Any]]


class Points(NamedTuple):
    """The rows that are on the map: some drawn at random, and those that most likely are anomalies.

    Parameters
    ----------
    places : ndarray of shape (n_points,)
        In the file, in order.
    raw : DataFrame of shape (n_points, n_columns)
        As they are in the file.
    columns : DataFrame of shape (n_points, n_used)
        The columns that tell rows apart.
    embedder : Embedder
        Fitted to them.

    """

    places: NDArray[np.int64]
    raw: pd.DataFrame
    columns: pd.DataFrame
    embedder: Embedder


class Answers(NamedTuple):
    """A fit, what it says of all rows, the likeliest anomalies, and the map."""

    fitted: Fitted
    rows: Rows
    found: Likeliest
    points: Points


def fitted(source: Source, seed: int, n_jobs: int | None, stage: Stage) -> Fitted:
    """Survey a table and fit the estimators to at most 100,000 of its rows, drawn at random.

    Raises
    ------
    ValueError
        When it has fewer than two rows or columns, or none that tells rows apart.

    """
    if source.n_rows < LEAST_ROWS or len(source.names) < LEAST_COLUMNS:
        few = "row" if source.n_rows < LEAST_ROWS else "column"
        cure = "the delimiter may not have been found" if few == "column" else "there is nothing to compare it with"
        raise ValueError(f"{source.name} should have at least two {few}s; found one: {cure}")
    stage("columns")
    rng = np.random.default_rng(seed)
    places = np.arange(source.n_rows)
    if source.n_rows > MANY:
        places = np.sort(rng.choice(source.n_rows, MANY, replace=False))
    raw = source.rows(places)
    surveyed = survey(raw)
    if not any(one.used for one in surveyed):
        kinds = sorted({one.kind for one in surveyed})
        raise ValueError(
            f"{source.name} should have a column of numbers, dates or categories that tells rows apart; "
            f"found {' and '.join(kinds)} columns only; add such a column"
        )
    columns = cleaned(surveyed, raw)
    stage("groups")
    clusterer = Clusterer(n_jobs=n_jobs, random_state=seed).fit(columns)
    stage("anomalies")
    detector = AnomalyDetector(n_jobs=n_jobs, random_state=seed).fit(columns)
    return Fitted(places, raw, columns, surveyed, clusterer, detector)


def answered(source: Source, fit: Fitted, seed: int, n_jobs: int | None, stage: Stage) -> Answers:
    """Ask about every row, and draw the map of some."""
    stage("rows")
    parts = [_answer(fit, columns) for columns in _pieces(source, fit)]
    rows = Rows(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    found = likeliest(rows.probability, rows.label)
    stage("map")
    places = np.arange(source.n_rows)
    if source.n_rows > MOST_POINTS:
        drawn = np.random.default_rng(seed).choice(source.n_rows, MOST_POINTS, replace=False)
        places = np.union1d(drawn, found.rows)
    raw = source.rows(places)
    columns = fit.cleaned(raw)
    embedder = Embedder(n_jobs=n_jobs, random_state=seed).fit(columns)
    return Answers(fit, rows, found, Points(places, raw, columns, embedder))


def _pieces(source: Source, fit: Fitted) -> Iterator[pd.DataFrame]:
    if len(fit.places) == source.n_rows:
        yield fit.columns
        return
    for piece in source.pieces():
        yield fit.cleaned(piece)


def _answer(fit: Fitted, columns: pd.DataFrame) -> Rows:
    label, membership = fit.clusterer.assign(columns)
    return Rows(label, membership, fit.detector.anomaly_probability(columns))

"""The rows that look wrong, with reasons in the words and values of the table."""

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.estimators.anomaly_detector import AnomalyDetector
from firstsight.overview.profiles import Table, cell_text, date_text
from firstsight.report.contents import Anomaly

__all__ = ["CALLED", "Likeliest", "anomalies_of", "likeliest"]

# Probability from which a row is said to look wrong. Rows of Gaussian tables without anomalies do not reach it (3 of
# 10,000 in 3 columns do), and rows planted far off do: see benchmarks/LOG.md.
CALLED = 0.35
MOST = 50  # rows that are listed
LEAST = 5  # rows that are listed though less likely
FAINT = 0.05  # probability of such rows
SAID = 0.1  # what a side adds to the log-odds at least to be said
SIDES = 2
USUAL = 0.1  # share of the rows that have a category, above which it is no reason
NEARLY_ALL = 0.9995  # share of the rows that is said so
SHARE = re.compile(r"(above|below) (?:all|[\d.]+% of the)(?= rows)")


class Likeliest(NamedTuple):
    """The rows that most likely are anomalies, likeliest first.

    Parameters
    ----------
    rows : ndarray of shape (n_listed,)
        Places in the file.
    probability : ndarray of shape (n_listed,)
    group : ndarray of shape (n_listed,)

    """

    rows: NDArray[np.int64]
    probability: NDArray[np.floating[Any]]
    group: NDArray[np.int64]


def likeliest(probability: NDArray[np.floating[Any]], group: NDArray[np.int64]) -> Likeliest:
    """Those that look wrong, or a few, of all rows."""
    order = np.argsort(-probability, kind="stable")[:MOST]
    kept = order[(probability[order] >= CALLED) | ((np.arange(len(order)) < LEAST) & (probability[order] >= FAINT))]
    return Likeliest(kept, probability[kept], group[kept])


def anomalies_of(found: Likeliest, detector: AnomalyDetector, table: Table, rows: pd.DataFrame) -> list[Anomaly]:
    """Say why.

    Parameters
    ----------
    found : Likeliest
        Which rows.
    detector : AnomalyDetector
        Fitted.
    table : Table
        Of the rows that were looked at.
    rows : DataFrame of shape (n_listed, n_used)
        The likeliest, in the same columns.

    """
    if not len(found.rows):
        return []
    explained = detector.explain(rows)
    return [
        Anomaly(
            row=int(found.rows[place]),
            probability=float(found.probability[place]),
            group=int(found.group[place]),
            reasons=[*_sides(reason["views"], table.columns.shape[1]), *_columns(reason, rows.iloc[place], table)],
        )
        for place, reason in enumerate(explained.to_dict("records"))
    ]


def _sides(views: dict[str, float], n_columns: int) -> list[str]:
    if n_columns == 1:
        views = {side: added for side, added in views.items() if "combination" not in side}
    return [side for side, added in sorted(views.items(), key=lambda item: -item[1]) if added > SAID][:SIDES]


def _columns(reason: dict[Any, Any], row: "pd.Series[Any]", table: Table) -> list[str]:
    """A reason a column; what was made of a category or a date is said of the column itself."""
    found: dict[str, str] = {}
    words = str(reason["words"])
    features = list(reason["columns"])
    starts = [words.find(f"; {feature} = ") for feature in features]
    for feature, start, end in zip(features, starts, [*starts[1:], len(words)][: len(features)], strict=True):
        told = words[start + 2 : end]
        column = _source(feature, table)
        if column is not None and (said := _told(column, feature, told, row, table)):
            found.setdefault(column, said)
    return list(found.values())


def _source(feature: str, table: Table) -> str | None:
    """The column that a number was made of."""
    if feature in table.columns:
        return feature
    ends = ("=", " is missing", ": ")
    names = [str(name) for name in table.columns if any(feature.startswith(f"{name}{end}") for end in ends)]
    return max(names, key=len, default=None)


def _among(share: float) -> str:
    return "nearly all" if share > NEARLY_ALL else f"{share:.1%} of the"


def _told(column: str, feature: str, told: str, row: "pd.Series[Any]", table: Table) -> str:
    value = row[column]
    if pd.isna(value):
        return f"{column} has no value, as {table.columns[column].isna().mean():.1%} of the rows"
    if table.columns[column].dtype == object:
        share = float((table.columns[column] == value).mean())
        if share > USUAL:
            return ""
        said = f"{column} is {cell_text(value, 40)!r}" if table.told else f"{column} has a value that is unusual"
        return f"{said}, as in {share:.1%} of the rows"
    start = f"{feature} = "
    _, _, rest = told[len(start) :].partition(" ")
    # The detector counts among its reference rows; here are more.
    others = table.columns[column].dropna().to_numpy()
    shares = {"above": float((others < value).mean()), "below": float((others > value).mean())}
    rest = SHARE.sub(lambda match: f"{match[1]} {_among(shares[match[1]])}", rest)
    if not table.told:
        return f"{column} {rest}"
    shown = date_text(float(value)) if column in table.dates else cell_text(float(value))
    return f"{column} = {shown} {rest}"

"""Rows for the reader: each view of a row against the same view of the table's reference rows, and their consensus.

A view has units of its own. The reader gets it as a rank among the reference rows (0 to 1), and as a distance from
their median in widths of their middle half, which says how far beyond the bulk a row lies. The mean of these distances
over all views is the *consensus*; the mean of the consensus of a row's nearest neighbours tells whether it lies among
other odd rows, as anomalies of one kind do.
"""

from typing import NamedTuple

import numpy as np

from firstsight.selection.anomalies.marginals import ranks_among
from firstsight.selection.geometry import Floats, Ints
from firstsight.selection.spaces import tails

LOW, HIGH = -3.0, 8.0  # widths beyond which nothing more is told
HIGHEST = (1, 3, 8, 20)  # places among a row's views, from the most abnormal
TINY = 1e-9
MOST_COLUMNS = 200  # that facts are taken from
FEW_VALUES = 20


class Yardstick(NamedTuple):
    """What views are measured by.

    Parameters
    ----------
    names : tuple of str
        Of the views.
    ordered : ndarray of shape (n_reference, n_views)
        Each view of the reference rows, sorted.
    middle, width : ndarray of shape (n_views,)
        Median, and width from the 25th to the 75th percentile.
    consensus : ndarray of shape (n_reference,)
        Of the reference rows.
    facts : dict of str to float
        Of the table.

    """

    names: tuple[str, ...]
    ordered: Floats
    middle: Floats
    width: Floats
    consensus: Floats
    facts: dict[str, float]


def yardstick(views: dict[str, Floats], facts: dict[str, float]) -> Yardstick:
    """Learn from the views (n_reference,) of the reference rows, each seen without itself."""
    values = np.stack(list(views.values()), axis=1)
    middle = np.median(values, axis=0)
    low, high = np.quantile(values, (0.25, 0.75), axis=0)
    width = np.where(high - low > TINY * (1 + np.abs(middle)), high - low, values.std(0) + TINY)
    found = Yardstick(tuple(views), np.sort(values, axis=0), middle, width, np.zeros(len(values)), facts)
    return found._replace(consensus=distances(found, values).mean(1))


def distances(stick: Yardstick, values: Floats) -> Floats:
    """From the medians, in widths: (n_rows, n_views) both."""
    return np.asarray(np.clip((values - stick.middle) / stick.width, LOW, HIGH))


def names_of(stick: Yardstick) -> list[str]:
    """Of the values of :func:`rows_of`."""
    return [
        *(f"rank of {name}" for name in stick.names), *(f"distance of {name}" for name in stick.names),
        "consensus", "consensus of neighbors", "disagreement", *(f"highest {place}" for place in HIGHEST), *stick.facts,
    ]  # fmt: skip


def rows_of(stick: Yardstick, views: dict[str, Floats], neighbors: Ints) -> Floats:
    """Rows for the reader, float32.

    Parameters
    ----------
    stick : Yardstick
        Of the reference rows.
    views : dict of str to ndarray of shape (n_rows,)
        In the order of the yardstick.
    neighbors : ndarray of shape (n_rows, n_neighbors)
        Nearest reference rows.

    Returns
    -------
    ndarray of shape (n_rows, n_values)

    """
    values = np.stack(list(views.values()), axis=1)
    rank, distance = ranks_among(stick.ordered, values), distances(stick, values)
    ordered = np.sort(distance, axis=1)
    summary = [
        distance.mean(1), stick.consensus[neighbors].mean(1), rank.std(1),
        *(ordered[:, -place] for place in HIGHEST),
    ]  # fmt: skip
    facts = np.broadcast_to(np.array(list(stick.facts.values())), (len(values), len(stick.facts)))
    return np.concatenate([rank, distance, np.stack(summary, axis=1), facts], axis=1).astype(np.float32)


def facts_of(R: Floats) -> dict[str, float]:
    """Of the reference rows (n_reference, n_features), by which the reader may tell tables apart."""
    n_rows, d = R.shape
    R = R[:, :MOST_COLUMNS]
    spread = R.std(0)
    Z = (R - R.mean(0)) / np.where(spread > 0, spread, 1)
    variances = np.maximum(np.linalg.eigvalsh(np.cov(Z, rowvar=False).reshape(Z.shape[1], -1)), 0)
    skewness, kurtosis = tails(R)
    n_values = np.array([len(np.unique(column)) for column in R.T])
    found = {
        "log_rows": np.log(n_rows),
        "log_columns": np.log(d),
        "effective_dimensions": variances.sum() ** 2 / ((variances**2).sum() + TINY) / len(variances),
        "first_component": variances.max() / (variances.sum() + TINY),
        "few_values": (n_values <= FEW_VALUES).mean(),
        "two_values": (n_values <= 2).mean(),
        "kurtosis": np.clip(kurtosis, -3, 50).mean(),
        "kurtosis_highest": np.clip(kurtosis, -3, 50).max(),
        "skewness": np.minimum(np.abs(skewness), 20).mean(),
        "different_rows": len(np.unique(R, axis=0)) / n_rows,
    }
    return {name: float(value) for name, value in found.items()}

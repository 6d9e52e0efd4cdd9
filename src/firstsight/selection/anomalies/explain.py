"""Why a row is abnormal: from which sides it looks so, and in which columns."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from firstsight.selection.anomalies.context import Context
from firstsight.selection.anomalies.marginals import counts_beside, tails_from
from firstsight.selection.anomalies.reader import probability_of
from firstsight.selection.anomalies.views import standard
from firstsight.selection.geometry import Floats

__all__ = ["SIDES", "explained", "sides_of", "unexplained"]

EXTREME = "extreme or rare values"
# The first that begins a view's name tells its side.
SIDES = {
    "far from other rows": ("near", "kernel", "isolation", "large_cluster", "unlike"),
    "in a sparse place": ("local", "factor", "in_degree", "balls", "one_side"),
    "an odd combination of values": ("mahalanobis", "missed", "minor", "combination", "mixture"),
    EXTREME: ("rare", "tail", "deviation", "larger", "unusual"),
    "one of a small group or of copies": ("small_cluster", "copies"),
}
GENERAL = "abnormal from many sides"
MOST_COLUMNS = 3
LEAST = 2.0  # half of a squared residual below which a column is usual; so are tails of a larger share than RARE
RARE = 0.05
TINY = 1e-9


class Unusual(NamedTuple):
    """How unusual every column of some rows is.

    Parameters
    ----------
    below, above : ndarray of shape (n_rows, n_features)
        Shares of the reference rows that have a smaller, and a larger, value.
    residual : ndarray of shape (n_rows, n_features)
        From what the other columns let one expect, in deviations of the reference rows from it; 0 where there are too
        many columns to tell, or no others.
    score : ndarray of shape (n_rows, n_features)
        The larger of minus the logarithm of the rarer tail and half of the squared residual; 0 of a usual value.

    """

    below: Floats
    above: Floats
    residual: Floats
    score: Floats


def sides_of(names: list[str], reasons: Floats) -> pd.DataFrame:
    """What each side adds to the rows' log-odds, from what each value adds (n_rows, n_values)."""
    found = {side: np.zeros(len(reasons)) for side in (*SIDES, GENERAL)}
    for name, added in zip(names, reasons.T, strict=True):
        view = name.split(" of ")[-1]
        ranked = name.startswith(("rank of ", "distance of "))
        side = next((side for side, starts in SIDES.items() if ranked and view.startswith(starts)), GENERAL)
        found[side] += added
    return pd.DataFrame(found)


def unusual(context: Context, X: Floats) -> Unusual:
    """Of rows (n_rows, n_features) in numbers; constant columns are usual."""
    views = context.views
    keep = np.flatnonzero(views.scale > 0)
    Z = standard(views, X)
    shape = X.shape
    below, above, residual, score = np.full(shape, 0.5), np.full(shape, 0.5), np.zeros(shape), np.zeros(shape)
    n_reference, counts = len(views.near.R), counts_beside(views.marginals.ordered, Z)
    left, right = tails_from(*counts, n_reference)
    below[:, keep], above[:, keep] = (count / n_reference for count in counts)
    half, turn = views.bulk.half, views.bulk.turn
    if turn.shape[1] == len(keep) > 1:
        # The densest half says what to expect, and all reference rows how far from it is usual.
        usual = np.sqrt((((views.near.R - half.mean) @ half.precision) ** 2).mean(0))
        residual[:, keep] = (Z - half.mean) @ half.precision / (usual + TINY)
    tail = np.where(np.maximum(below, above)[:, keep] > 1 - RARE, np.maximum(left, right), 0)
    joint = 0.5 * np.minimum(residual[:, keep] ** 2, 200)
    score[:, keep] = np.maximum(tail, np.where(joint > LEAST, joint, 0))
    return Unusual(below, above, residual, score)


def explained(
    context: Context, X: Floats, told: Floats, columns: list[str], reasons: Floats, odds: Floats, strange: Floats,
    strange_words: Sequence[dict[str, str]],
) -> pd.DataFrame:  # fmt: skip
    """Reasons for rows.

    Parameters
    ----------
    context : Context
        Of the table.
    X : ndarray of shape (n_rows, n_features)
        In numbers.
    told : ndarray of shape (n_rows, n_features)
        Numbers as the table has them; nothing is said of a missing one (NaN).
    columns : list of str
        Their names.
    reasons : ndarray of shape (n_rows, n_values)
        What each value adds to the log-odds.
    odds, strange : ndarray of shape (n_rows,)
        Log-odds of being an anomaly as the reader has them, and those for strange values.
    strange_words : sequence of dict of str to str
        For each row the columns with strange values, and what is said of them.

    Returns
    -------
    DataFrame
        A line a row: ``anomaly_probability``, ``views`` (sides with what they add), ``columns`` (the most
        unusual ones) and ``words``.

    """
    sides = sides_of(context.names, reasons)
    both = np.logaddexp(odds, strange)
    sides[EXTREME] += both - odds
    probability = probability_of(both)
    odd = unusual(context, X)
    odd.score[np.isnan(told)] = 0
    lines = []
    for place in range(len(X)):
        added = sides.iloc[place].sort_values(ascending=False)
        leading = [f"{side} ({value:+.1f})" for side, value in added.items() if value > 0.1][:2]
        order = np.argsort(-odd.score[place], kind="stable")[:MOST_COLUMNS]
        first = strange_words[place]
        found = [column for column in order if odd.score[place, column] > 0 and columns[column] not in first]
        found = found[: max(MOST_COLUMNS - len(first), 0)]
        words = [_column(columns[column], told[place, column], odd, place, column) for column in found]
        lines.append(
            {
                "anomaly_probability": float(probability[place]),
                "views": added.round(3).to_dict(),
                "columns": [*first, *(columns[column] for column in found)],
                "words": f"{probability[place]:.0%} likely an anomaly: "
                + "; ".join([" and ".join(leading) or "nothing stands out", *first.values(), *words]),
            }
        )
    return pd.DataFrame(lines, columns=["anomaly_probability", "views", "columns", "words"])


def unexplained(why: str, probability: Floats, strange_words: Sequence[dict[str, str]]) -> pd.DataFrame:
    """Lines as of :func:`explained` for rows of a table that tells nothing but what is strange, and why it does not."""
    lines = [
        {
            "anomaly_probability": float(one), "views": {}, "columns": list(first),
            "words": f"{one:.0%} likely an anomaly: " + "; ".join([why, *first.values()]),
        }
        for one, first in zip(probability, strange_words, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=["anomaly_probability", "views", "columns", "words"])


def _column(name: str, value: float, odd: Unusual, place: int, column: int) -> str:
    below, above, residual = odd.below[place, column], odd.above[place, column], odd.residual[place, column]
    text, side = f"{name} = {value:.6g}", max(below, above)
    if side > 1 - RARE:
        share = "all" if side == 1 else f"{min(side, 0.999):.1%} of the"
        text += f" is {'above' if below > above else 'below'} {share} rows"
    if 0.5 * residual**2 > LEAST:
        joint = " and" if side > 1 - RARE else " is"
        text += f"{joint} {abs(residual):.1f} deviations {'above' if residual > 0 else 'below'} what the other columns"
        text += " let one expect"
    return text

"""A few labelled rows sharpen what the reader says of one table.

A logistic regression on the ranks of a row's views, added to the log-odds of the reader. It is held back in
two ways: all reference rows keep what was said of them, with the weight of a few labels together, and its coefficients
are shrunk. So five labels turn the reading towards the views in which these anomalies show, and none can overturn it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from firstsight.selection.anomalies.reader import probability_of
from firstsight.selection.geometry import Floats

ANCHOR = 10.0  # labels that all reference rows together count for
SHRINK = 0.1


class Hint(NamedTuple):
    """What is added to the log-odds.

    Parameters
    ----------
    weights : ndarray of shape (n_views,)
        Of the ranks.
    shift : float

    """

    weights: Floats
    shift: float

    def added(self, rows: NDArray[np.float32]) -> Floats:
        """To the log-odds of rows (n_rows, n_values), whose first values are ranks."""
        return _centred(rows, len(self.weights)) @ self.weights + self.shift

    def reasons(self, rows: NDArray[np.float32]) -> Floats:
        """What each value of rows (n_rows, n_values) adds; a part of :meth:`added`, less what all rows share."""
        found = np.zeros(rows.shape)
        found[:, : len(self.weights)] = _centred(rows, len(self.weights)) * self.weights
        return found


def hint_of(
    reference: NDArray[np.float32], said: Floats, rows: NDArray[np.float32], odds: Floats, y: NDArray[np.bool_], n: int
) -> Hint:
    """Learn from labelled rows.

    Parameters
    ----------
    reference : ndarray of shape (n_reference, n_values)
        Rows of the reference, for the reader.
    said : ndarray of shape (n_reference,)
        Their log-odds.
    rows, odds : ndarray of shape (n_labelled, n_values) and (n_labelled,)
        Likewise of the labelled rows.
    y : ndarray of shape (n_labelled,)
        Whether they are anomalies.
    n : int
        How many of the values, the first ones, are ranks.

    Returns
    -------
    Hint

    """
    A, B = _centred(reference, n), _centred(rows, n)
    target = probability_of(said)
    keep = ANCHOR / len(A)

    def loss(w: Floats) -> tuple[float, Floats]:
        kept, told = said + A @ w[:-1] + w[-1], odds + B @ w[:-1] + w[-1]
        value = keep * (np.logaddexp(0, kept) - target * kept).sum() + (np.logaddexp(0, told) - y * told).sum()
        off_kept, off_told = keep * (probability_of(kept) - target), probability_of(told) - y
        slope = np.append(A.T @ off_kept + B.T @ off_told, off_kept.sum() + off_told.sum())
        slope[:-1] += 2 * SHRINK * w[:-1]
        return float(value + SHRINK * (w[:-1] ** 2).sum()), slope

    found = minimize(loss, np.zeros(n + 1), jac=True, method="L-BFGS-B").x
    return Hint(found[:-1], float(found[-1]))


def labels_of(labels: Any, n_rows: int) -> NDArray[np.int64] | None:
    """Labels as whole numbers, one for each row, or None; refused if they are others than -1, 0 and 1."""
    if labels is None:
        return None
    known = np.asarray(labels)
    if known.shape != (n_rows,):
        raise ValueError(f"labels should have one entry for each of {n_rows} rows; found shape {known.shape}")
    # True is 1, and would be taken for normal.
    if known.dtype.kind == "b" or not all(label in (-1, 0, 1) for label in known.tolist()):
        found = sorted({str(label) for label in known.tolist()})[:5]
        raise ValueError(f"labels should be -1 (anomaly), 1 (normal) or 0 (unknown); found {found}")
    return known.astype(np.int64)


def _centred(rows: NDArray[np.float32], n: int) -> Floats:
    return rows[:, :n].astype(np.float64) - 0.5

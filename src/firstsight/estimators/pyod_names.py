"""AnomalyDetector under the names that PyOD's detectors have, for code that was written for those."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from firstsight.estimators.anomaly_detector import AnomalyDetector
from firstsight.selection.geometry import Floats


class PyODNames(BaseEstimator):  # type: ignore[misc]
    """A detector whose scores are higher for anomalies, and whose labels are 1 for them and 0 for other rows.

    Parameters
    ----------
    detector : AnomalyDetector or None
        Fitted anew; one with default settings if None.

    Attributes
    ----------
    decision_scores_ : ndarray of shape (n_rows,)
        Of the fitted rows: log-odds of being an anomaly.
    labels_ : ndarray of shape (n_rows,)
        1 for an anomaly, else 0.
    threshold_ : float
        Scores above it are anomalies.
    contamination : float
        As the detector found it.
    detector_ : AnomalyDetector

    """

    def __init__(self, detector: AnomalyDetector | None = None) -> None:
        self.detector = detector

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the detector, and score the rows X (n_rows, n_features); y is ignored."""
        self.detector_ = clone(self.detector if self.detector is not None else AnomalyDetector()).fit(X)
        self.decision_scores_ = self.decision_function(X)
        self.threshold_ = -self.detector_.offset_
        self.contamination = self.detector_.contamination_
        self.labels_ = self._called(self.decision_scores_)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Log-odds of rows to be anomalies, (n_rows,)."""
        check_is_fitted(self, "detector_")
        return np.asarray(-self.detector_.score_samples(X))

    def predict(self, X: Any) -> NDArray[np.int64]:
        """1 for anomalies, else 0, (n_rows,)."""
        return self._called(self.decision_function(X))

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """Labels of the fitted rows."""
        return np.asarray(self.fit(X).labels_)

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities of being normal and of being an anomaly, (n_rows, 2)."""
        check_is_fitted(self, "detector_")
        odd = self.detector_.anomaly_probability(X)
        return np.column_stack([1 - odd, odd])

    def _called(self, scores: Floats) -> NDArray[np.int64]:
        return np.asarray(scores > self.threshold_, np.int64)

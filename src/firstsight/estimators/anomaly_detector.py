"""Anomalies at first sight: no contamination, no detector, no threshold to set."""

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from firstsight.checks import check_choice
from firstsight.estimators.tables import check_resources, checked_table, drawn_seed, prior_of, threads
from firstsight.pretrained import detector as pretrained_reader
from firstsight.selection.anomalies.context import FEWEST_ROWS, MOST_ROWS, Context, context_of, read
from firstsight.selection.anomalies.explain import explained
from firstsight.selection.anomalies.hints import Hint, hint_of
from firstsight.selection.anomalies.reader import Reader, probability_of
from firstsight.selection.coreset import some_rows
from firstsight.selection.geometry import Floats
from firstsight.selection.matrix import learn_encoding, numbers_of, told_numbers
from firstsight.selection.spaces import variances

MODES = ("auto", "contaminated", "clean")
MANY = 100_000  # rows, beyond which half as many reference rows are taken
PLAIN_ODDS = -6.0  # of every row of a table that shows nothing
# Seconds for so many reference rows with ten thousand rows of twenty columns, on two cores.
COSTS = {2000: 3.0, 1000: 1.8, 500: 1.2, 250: 0.9}


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Score the rows of a table that it has never seen, and that may contain its anomalies.

    Sixty-four classical views of a row (distances, densities, Gaussians, tails, isolation forests) are read together
    by trees that were meta-trained on tables with known anomalies.

    Parameters
    ----------
    mode : {"auto", "contaminated", "clean"}
        Whether the rows to fit may hold anomalies or are known to be normal. The rows themselves do not tell (a model
        that was taught to has an AUROC of .58), so ``"auto"`` takes them as contaminated.
    prior : Reader, path or None
        What was learned from other tables: a reader as :meth:`meta_fit` leaves it, or the folder of a saved one;
        that of the package if None.
    time_budget : float or None
        Seconds, > 0, for ten thousand rows of twenty columns. It is turned into a number of reference rows by a
        table of usual costs before anything is fitted, so that a budget gives the same answer on every machine.
    n_jobs : int or None
        Threads; those of the machine if None.
    random_state : int, RandomState or None
        Of the reference rows and of what is random in the views.

    Attributes
    ----------
    contamination_ : float
        Share of the fitted rows that are anomalies; 0 when they are known to be normal.
    contamination_interval_ : (float, float)
        Range that holds nine in ten.
    mode_ : str
        ``"contaminated"`` or ``"clean"``.
    offset_ : float
        Scores below it are called anomalies: as large a share as ``contamination_`` says, the likeliest, one of the
        fitted rows at the least unless it equals too many others; where fitted rows are known to be normal, those
        that are more likely anomalies than not.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where columns have names.

    Notes
    -----
    Mixed columns are taken as :mod:`firstsight.columns` decides, missing values included. Of more than 2,000 rows a
    sample of 2,000 (of more than 100,000 rows 1,000) is the reference that all rows are held against. A row that equals
    a reference row is taken to be that row, and is not its own neighbour. A column that does not vary among the fitted
    rows is left out: new rows that differ there are not found.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> X[:5] = 6 * np.sign(X[:5])
    >>> found = AnomalyDetector(random_state=0).fit(X).anomaly_probability(X)
    >>> sorted(found.argsort()[-5:].tolist())
    [0, 1, 2, 3, 4]

    """

    def __init__(
        self,
        mode: str = "auto",
        *,
        prior: Any = None,
        time_budget: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.mode = mode
        self.prior = prior
        self.time_budget = time_budget
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, labels: Any = None) -> Self:
        """Learn what is usual in a table.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            Numbers, and in a DataFrame categories, dates and texts; NaN is missing, infinite values are refused.
        y : None
            Ignored.
        labels : array of shape (n_rows,), optional
            What is known of some rows: -1 for an anomaly, 1 for a normal row, 0 for unknown.

        Returns
        -------
        AnomalyDetector
            Itself.

        Raises
        ------
        TypeError, ValueError
            When a parameter, the table or the labels are not as described.

        """
        check_choice("mode", self.mode, MODES)
        check_resources(self.time_budget, self.n_jobs)
        reader = prior_of(self.prior, Reader, pretrained_reader)
        X = checked_table(self, X, reset=True)
        known = _labels(labels, len(X))
        seed = drawn_seed(self.random_state)
        with threads(self.n_jobs):
            self._fit(X, known, reader, seed)
        return self

    def score_samples(self, X: Any) -> Floats:
        """Minus the log-odds of being an anomaly: lower is more abnormal.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            Columns as in :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_rows,)

        """
        check_is_fitted(self)
        X = checked_table(self, X, reset=False)
        if self._context is None or self._encoding is None:
            return np.full(len(X), -PLAIN_ODDS)
        numbers = numbers_of(self._encoding, X)
        odds = np.empty(len(numbers))
        count = self.n_jobs or os.cpu_count() or 1
        with threads(self.n_jobs), threadpool_limits(1 if count > 1 else None):
            for part, rows in read(self._context, numbers, count):
                odds[part] = self._odds(rows, count)
        return -odds

    def decision_function(self, X: Any) -> Floats:
        """Scores less the offset: negative for anomalies, as :meth:`predict` has it."""
        return np.asarray(self.score_samples(X) - self.offset_)

    def anomaly_probability(self, X: Any) -> Floats:
        """How likely each row is an anomaly, (n_rows,); calibrated on tables that were not trained on."""
        return probability_of(-self.score_samples(X))

    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 for rows whose score is below ``offset_``, else 1, (n_rows,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain(self, X: Any) -> pd.DataFrame:
        """Why rows are abnormal.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            The rows in question.

        Returns
        -------
        DataFrame
            A line a row: ``anomaly_probability``; ``views``, what each side from which a row may be abnormal adds to
            its log-odds; ``columns``, the most unusual ones; and ``words``.

        """
        check_is_fitted(self)
        X = checked_table(self, X, reset=False)
        if self._context is None or self._encoding is None:
            probability = probability_of(np.full(len(X), PLAIN_ODDS))
            words = [f"{one:.0%} likely an anomaly: {self._plain}" for one in probability]
            return pd.DataFrame(
                {"anomaly_probability": probability, "views": [{}] * len(X), "columns": [[]] * len(X), "words": words}
            )
        numbers = numbers_of(self._encoding, X)
        rows = np.concatenate([part for _, part in read(self._context, numbers)])
        reasons = self._reader.reasons(rows, clean=self.mode_ == "clean")
        if self._hint is not None:
            reasons = reasons + self._hint.reasons(rows)
        told = told_numbers(self._encoding, X, numbers)
        return explained(self._context, numbers, told, self._columns(), reasons, probability_of(self._odds(rows, 1)))

    def meta_fit(self, tables: Sequence[Any], truths: Sequence[Any]) -> "AnomalyDetector":
        """Learn from past tables of one's own whose anomalies are known.

        Parameters
        ----------
        tables : sequence of DataFrame or array of shape (n_rows, n_features)
            At least three.
        truths : sequence of array of shape (n_rows,)
            -1 for an anomaly, 1 for a normal row, as :meth:`predict` has it.

        Returns
        -------
        AnomalyDetector
            A new one with the same parameters, whose ``prior`` has learned; for tables of that kind alone.

        """
        from firstsight.selection.anomalies.correct import corrected  # training is not needed to detect

        tables = [checked_table(clone(self), table, reset=True) for table in tables]
        reader = corrected(prior_of(self.prior, Reader, pretrained_reader), tables, truths)
        return type(self)(**(self.get_params(deep=False) | {"prior": reader}))

    def _fit(self, X: Any, known: NDArray[np.int64] | None, reader: Reader, seed: int) -> None:
        self._reader, self._plain = reader, ""
        self._context: Context | None = None
        self._hint: Hint | None = None
        self.offset_ = 0.0
        self._encoding = learn_encoding(X)
        if self._encoding is None or len(X) < FEWEST_ROWS:
            self._set_plain("no column varies" if self._encoding is None else f"{len(X)} rows are too few to tell")
            return
        numbers = numbers_of(self._encoding, X)
        kept = some_rows(numbers, _affordable(self.time_budget, len(X)), seed)
        reference = np.ascontiguousarray(numbers[kept])
        if not variances(reference).any():
            self._set_plain("no column varies by more than rounding")
            return
        context = context_of(reference, self._encoding.groups, seed)
        reader.check(context.names)
        self._context = context
        known_clean = self.mode == "clean"
        self.mode_ = "clean" if known_clean else "contaminated"
        if known is not None and known.any():
            told = np.flatnonzero(known)
            rows = np.concatenate([part for _, part in read(context, numbers[told])])
            self._hint = hint_of(
                context.rows, self._odds(context.rows, 1), rows, self._odds(rows, 1), known[told] < 0,
                len(context.stick.names),
            )  # fmt: skip
        if known_clean:
            self.contamination_, self.contamination_interval_ = 0.0, (0.0, 0.0)
            return
        odds = self._odds(context.rows, 1)
        share, *interval = reader.share_of(probability_of(odds))
        self.contamination_, self.contamination_interval_ = share, (interval[0], interval[1])
        self.offset_ = _offset(-odds, share)

    def _odds(self, rows: NDArray[np.float32], count: int) -> Floats:
        """Log-odds of rows for the reader."""
        odds = self._reader.odds(rows, clean=self.mode_ == "clean", threads=count)
        return odds if self._hint is None else odds + self._hint.added(rows)

    def _columns(self) -> list[str]:
        """Names of the numbers that the table became."""
        if self._encoding is not None and self._encoding.columns is not None:
            return list(self._encoding.columns.feature_names)
        return [str(name) for name in getattr(self, "feature_names_in_", [f"x{n}" for n in range(self.n_features_in_)])]

    def _set_plain(self, why: str) -> None:
        self._plain = why
        self.mode_ = "clean" if self.mode == "clean" else "contaminated"
        self.contamination_, self.contamination_interval_ = 0.0, (0.0, 0.0 if self.mode == "clean" else 1.0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _labels(labels: Any, n_rows: int) -> NDArray[np.int64] | None:
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


def _offset(scores: Floats, share: float) -> float:
    """Below it is the share of scores, one at the least, as nearly as equal ones allow: they are called together."""
    last = float(np.quantile(scores, share, method="lower"))
    wanted = max(share, 1 / len(scores))
    with_last, without = (scores <= last).mean(), (scores < last).mean()
    return float(np.nextafter(last, np.inf)) if with_last - wanted <= wanted - without else last


def _affordable(time_budget: float | None, n_rows: int) -> int:
    """Reference rows."""
    most = MOST_ROWS if n_rows <= MANY else MOST_ROWS // 2
    if time_budget is None:
        return most
    return min(most, next((rows for rows, seconds in COSTS.items() if seconds <= time_budget), min(COSTS)))

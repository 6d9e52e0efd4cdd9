"""Anomalies at first sight: no contamination, no detector, no threshold to set."""

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted

from firstsight.checks import check_choice
from firstsight.estimators.tables import check_resources, checked_table, drawn_seed, one_thread_each, prior_of
from firstsight.pretrained import detector as pretrained_reader
from firstsight.selection.anomalies.context import FEWEST_ROWS, Context, affordable, context_of, read
from firstsight.selection.anomalies.explain import explained, unexplained
from firstsight.selection.anomalies.hints import Hint, hint_of, labels_of
from firstsight.selection.anomalies.reader import Reader, offset_of, probability_of
from firstsight.selection.anomalies.strange import drawn, log_odds_of, strange_cells, usual_of, words_of
from firstsight.selection.coreset import some_rows
from firstsight.selection.geometry import Floats
from firstsight.selection.matrix import learn_encoding, numbers_of, told_numbers
from firstsight.selection.spaces import variances

MODES = ("auto", "contaminated", "clean")
PLAIN_ODDS = -6.0  # of every row of a table that shows nothing


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
        Share of the fitted rows that are anomalies, their mean probability; 0 when they are known to be normal. A
        guess, within a factor of 2 of the truth on about a third of tables; as many rows need not be called.
    contamination_interval_ : (float, float)
        Range that holds nine in ten; one table in twenty has less, one in twenty more.
    mode_ : str
        ``"contaminated"`` or ``"clean"``.
    offset_ : float
        Scores below it are called anomalies: the likelier part of the fitted rows, where their probabilities part best
        in two (Otsu 1979), of which only those that are likely enough; one at the least unless it equals too many
        others. Where fitted rows are known to be normal, those that are more likely anomalies than not.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where columns have names.

    Notes
    -----
    Mixed columns are taken as :mod:`firstsight.columns` decides, missing values included. Of more than 2,000 rows a
    sample of 2,000 (of more than 100,000 rows 1,000) is the reference that all rows are held against. A row that equals
    a reference row is taken to be that row, and is not its own neighbour.

    A number that is farther out than the heaviest usual tail of its column reaches makes a row a likely anomaly,
    however usual its other values; all rows are judged as if it were the outermost usual one, so that it hides nothing.
    A column that has a single value in the fitted rows, twenty at the least, tells nothing of them; a new row with any
    other value there, a category among them, is a likely anomaly. A missing value is not, there or elsewhere.

    A detector that :meth:`meta_fit` has taught says of a table unlike the past ones what it would have said without:
    the weight of what it learned falls with the distance between the tables, by their numbers of columns, of values and
    of copies of rows, and by how their columns go together.

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
        known = labels_of(labels, len(X))
        seed = drawn_seed(self.random_state)
        with one_thread_each():
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
        strange = strange_cells(self._usual, X)
        if self._context is None or self._encoding is None:
            return -np.logaddexp(PLAIN_ODDS, log_odds_of(self._usual, strange))
        numbers = numbers_of(self._encoding, drawn(self._usual, X, strange))
        odds = np.empty(len(numbers))
        count = self.n_jobs or os.cpu_count() or 1
        with one_thread_each():
            for part, rows in read(self._context, numbers, count):
                odds[part] = self._odds(rows, count)
        return -np.logaddexp(odds, log_odds_of(self._usual, strange))

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
        strange = strange_cells(self._usual, X)
        told_first = words_of(self._usual, X, strange, self._names())
        more = log_odds_of(self._usual, strange)
        if self._context is None or self._encoding is None:
            return unexplained(self._plain, probability_of(np.logaddexp(PLAIN_ODDS, more)), told_first)
        usual = drawn(self._usual, X, strange)
        numbers = numbers_of(self._encoding, usual)
        rows = np.concatenate([part for _, part in read(self._context, numbers)])
        reasons = self._reader.reasons(rows, clean=self.mode_ == "clean")
        if self._hint is not None:
            reasons = reasons + self._hint.reasons(rows)
        told = told_numbers(self._encoding, usual, numbers)
        odds = self._odds(rows, 1)
        return explained(self._context, numbers, told, self._columns(), reasons, odds, more, told_first)

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
            A new one with the same parameters, whose ``prior`` has learned. Of tables of another kind it says what it
            would have said without.

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
        self._usual = usual_of(X)
        strange = strange_cells(self._usual, X)
        X = drawn(self._usual, X, strange)
        self._encoding = learn_encoding(X)
        if self._encoding is None or len(X) < FEWEST_ROWS:
            self._set_plain("no column varies" if self._encoding is None else f"{len(X)} rows are too few to tell")
            return
        numbers = numbers_of(self._encoding, X)
        kept = some_rows(numbers, affordable(self.time_budget, len(X)), seed)
        reference = np.ascontiguousarray(numbers[kept])
        if not variances(reference).any():
            self._set_plain("no column varies by more than rounding")
            return
        context = context_of(reference, self._encoding.groups, seed, self.n_jobs or os.cpu_count() or 1)
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
        odds = np.logaddexp(self._odds(context.rows, 1), log_odds_of(self._usual, strange[kept]))
        probability = probability_of(odds)
        share, *interval = reader.share_of(probability)
        self.contamination_, self.contamination_interval_ = share, (interval[0], interval[1])
        self.offset_ = offset_of(-odds, reader.share_called(probability))

    def _odds(self, rows: NDArray[np.float32], count: int) -> Floats:
        """Log-odds of rows for the reader."""
        odds = self._reader.odds(rows, clean=self.mode_ == "clean", threads=count)
        return odds if self._hint is None else odds + self._hint.added(rows)

    def _columns(self) -> list[str]:
        """Names of the numbers that the table became."""
        if self._encoding is not None and self._encoding.columns is not None:
            return list(self._encoding.columns.feature_names)
        return self._names()

    def _names(self) -> list[str]:
        """Names of the columns of the table."""
        if self._encoding is not None and self._encoding.columns is not None:
            return [column.name for column in self._encoding.columns.columns]
        return [str(name) for name in getattr(self, "feature_names_in_", [f"x{n}" for n in range(self.n_features_in_)])]

    def _set_plain(self, why: str) -> None:
        self._plain = why
        self.mode_ = "clean" if self.mode == "clean" else "contaminated"
        self.contamination_, self.contamination_interval_ = 0.0, (0.0, 0.0 if self.mode == "clean" else 1.0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

"""Clustering at first sight: no number of clusters, no distance, no smallest size to set."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from firstsight.checks import check_flag, check_number
from firstsight.estimators.tables import check_resources, checked_table, drawn_seed, prior_of, threads
from firstsight.pretrained import clusterer as pretrained_judge
from firstsight.selection.assign import Anchors, anchors_of, assign, support
from firstsight.selection.choose import COUNTS, Choice, choose
from firstsight.selection.coreset import some_rows
from firstsight.selection.explain import explained, reasons_of
from firstsight.selection.geometry import Floats, Ints
from firstsight.selection.judge import Judge
from firstsight.selection.matrix import learn_encoding, numbers_of
from firstsight.selection.spaces import Space, apply, variances

MOST_ROWS = 1500  # that the choice is made on
FEWEST_ROWS = 6  # different ones, below which there is nothing to choose
FEW_VALUES = 20  # different rows that may be the clusters themselves
COPIES = 10  # of each, on average, for that
MOST_CLUSTERS = 50
# Seconds for so many rows, without and with the second round: upper ends of what ten columns take on two cores.
COSTS = {1500: (1.8, 3.0), 1000: (0.9, 1.5), 700: (0.6, 0.9), 400: (0.3, 0.5), 200: (0.15, 0.25)}


class Clusterer(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Cluster a table that it has never seen.

    Classical algorithms propose partitions; a judge that was meta-trained on thousands of tables with known clusters
    rates them without labels; the best is returned, or one cluster when the table has no structure.

    Parameters
    ----------
    n_clusters : "auto", int or iterable of int
        What is known of it, from 1 to 50: nothing, their number, or the numbers that are possible.
    noise : bool
        Whether rows may belong to no cluster (label -1).
    prior : Judge, path or None
        What was learned from other tables: a judge as :meth:`meta_fit` leaves it, or the folder of a saved one;
        that of the package if None.
    time_budget : float or None
        Seconds, > 0, for the choice. It is turned into a number of rows and rounds by a table of usual costs before
        anything is fitted, so that a budget gives the same answer on every machine, and is kept only about.
    n_jobs : int or None
        Threads of the numerical libraries; as they are if None.
    random_state : int, RandomState or None
        Of random starts and of the rows that the choice is made on.

    Attributes
    ----------
    labels_ : ndarray of shape (n_rows,)
        Clusters from 0, largest first; -1 is noise.
    n_clusters_ : int
    n_clusters_posterior_ : dict of int to float
        Probability of each number of clusters.
    structure_probability_ : float
        That there is more than one cluster: 1 less the posterior of 1.
    probabilities_ : ndarray of shape (n_rows,)
        Strength of membership in [0, 1]; 0 for noise.
    quality_ : float
        Expected adjusted Rand index of the answer with the truth.
    quality_interval_ : (float, float)
        Range that holds nine in ten.
    proposals_ : DataFrame
        What was proposed, rated highest first: algorithm, scaling, setting, n_clusters,
        rating, quality, reasons.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where columns have names.

    Notes
    -----
    Mixed columns are taken as :mod:`firstsight.columns` decides, missing values included. Of more than 1,500 rows a
    sample is clustered, and every row gets the cluster of its nearest neighbours there. The same rows in another
    order give the same clusters; equal rows are in one.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> X, _ = make_moons(300, noise=0.05, random_state=0)
    >>> Clusterer(random_state=0).fit(X).n_clusters_
    2

    """

    def __init__(
        self,
        n_clusters: str | int | Iterable[int] = "auto",
        *,
        noise: bool = True,
        prior: Any = None,
        time_budget: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.noise = noise
        self.prior = prior
        self.time_budget = time_budget
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the clusters of a table.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            Numbers, and in a DataFrame categories, dates and texts; NaN is missing, infinite values are refused.
        y : None
            Ignored.

        Returns
        -------
        Clusterer
            Itself.

        Raises
        ------
        TypeError, ValueError
            When a parameter or the table is not as described.

        """
        counts = _counts(self.n_clusters)
        check_flag("noise", self.noise)
        check_resources(self.time_budget, self.n_jobs)
        judge = prior_of(self.prior, Judge, pretrained_judge)
        X = checked_table(self, X, reset=True)
        seed = drawn_seed(self.random_state)
        with threads(self.n_jobs):
            self._fit(X, counts, judge, seed)
        return self

    def predict(self, X: Any) -> Ints:
        """Clusters of rows, new ones too: -1 is noise.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            Columns as in :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_rows,)

        """
        return self.assign(X)[0]

    def assign(self, X: Any) -> tuple[Ints, Floats]:
        """Clusters of rows as :meth:`predict` gives them, and the strength of their membership.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            Columns as in :meth:`fit`.

        Returns
        -------
        tuple of ndarray of shape (n_rows,) and ndarray of shape (n_rows,)
            Labels, and numbers in [0, 1] as in ``probabilities_``.

        """
        check_is_fitted(self)
        X = checked_table(self, X, reset=False)
        with threads(self.n_jobs):
            if self._anchors is None or self._encoding is None:
                return np.zeros(len(X), np.int64), np.ones(len(X))
            return assign(self._anchors, apply(self._space, numbers_of(self._encoding, X)), self.n_jobs)

    def explain(self) -> str:
        """Why this answer and not the runner-up, in words and numbers."""
        check_is_fitted(self)
        return explained(self._choice, self._judge, self.n_clusters_, self.quality_, self._plain)

    @property
    def proposals_(self) -> pd.DataFrame:
        """What was proposed, rated highest first."""
        check_is_fitted(self)
        return reasons_of(self._choice, self._judge)

    def meta_fit(self, tables: Sequence[Any], truths: Sequence[Any]) -> "Clusterer":
        """Learn from past tables of one's own whose clusters are known.

        Parameters
        ----------
        tables : sequence of DataFrame or array of shape (n_rows, n_features)
            At least three.
        truths : sequence of array of shape (n_rows,)
            Their clusters; -1 is noise.

        Returns
        -------
        Clusterer
            A new one with the same parameters, whose ``prior`` has learned. Only tables like these are judged
            differently.

        """
        from firstsight.selection.correct import corrected  # training is not needed to cluster

        judge = corrected(prior_of(self.prior, Judge, pretrained_judge), tables, truths)
        return type(self)(**(self.get_params(deep=False) | {"prior": judge}))

    def _fit(self, X: Any, counts: tuple[int, ...], judge: Judge, seed: int) -> None:
        self._judge, self._plain = judge, ""
        self._anchors: Anchors | None = None
        self._choice: Choice | None = None
        self._encoding = learn_encoding(X)
        n_rows = len(X)
        if self._encoding is None or counts == (1,):
            self._set_one(n_rows, "n_clusters=1 was asked for" if self._encoding else "no column varies")
            return
        numbers = numbers_of(self._encoding, X)
        most, second = _affordable(self.time_budget)
        rows = some_rows(numbers, most, seed)
        known = np.ascontiguousarray(numbers[rows])
        if not variances(known).any():
            self._set_one(n_rows, "no column varies by more than rounding")
            return
        different, copy_of = np.unique(known, axis=0, return_inverse=True)
        few = len(different) < FEWEST_ROWS or (len(different) <= FEW_VALUES and len(known) >= COPIES * len(different))
        if few and (1 in counts or len(different) in counts):
            self._set_copies(numbers, different, copy_of.ravel(), counts)
            return
        choice = choose(known, self._encoding.groups, judge, [k for k in counts if k > 1], seed, second=second)
        self._choice, self._space = choice, choice.space
        one = 1 in counts and choice.structured < 0.5
        labels = np.zeros(len(known), np.int64) if one else choice.seen.proposals[choice.best].labels
        self._set_choice(numbers, labels, choice, counts, one)

    def _set_choice(self, numbers: Floats, labels: Ints, choice: Choice, counts: tuple[int, ...], one: bool) -> None:
        labels = _by_size(labels)
        stray = np.clip(choice.stray, 0, 0.999) if self.noise else np.zeros(len(labels))
        strength = support(choice.scene.geometry, labels) * (1 - stray)
        marked = _marked(labels, stray > 0.5)
        anchors = anchors_of(choice.scene.X, marked, strength, noise=self.noise)
        self._anchors = anchors
        self.labels_, self.probabilities_ = assign(anchors, apply(choice.space, numbers), self.n_jobs)
        self.n_clusters_ = int(labels.max()) + 1
        said = float(choice.rated.qualities[choice.best])
        structured = choice.structured if 1 in counts else 1.0
        mean, low, high = self._judge.expected(said)
        self.structure_probability_ = structured
        scale = structured / choice.structured if choice.structured else 0.0
        posterior = {k: p * scale for k, p in choice.posterior.items() if k > 1}
        self.n_clusters_posterior_ = {1: 1 - structured} | posterior if 1 in counts else posterior
        if one:
            self.quality_ = 1 - structured
            self.quality_interval_ = (0.0 if structured > 0.05 else self.quality_, 1.0)
        else:
            self.quality_ = structured * mean
            self.quality_interval_ = (0.0 if structured < 0.95 else min(low, self.quality_), max(high, self.quality_))

    def _set_one(self, n_rows: int, why: str) -> None:
        """One cluster without a choice."""
        self.labels_, self.probabilities_ = np.zeros(n_rows, np.int64), np.ones(n_rows)
        self._set_plain(1, why)

    def _set_copies(self, numbers: Floats, different: Floats, copy_of: Ints, counts: tuple[int, ...]) -> None:
        """The different rows are the clusters, where there are many copies of each; else all are one."""
        n_found = len(different)
        if n_found in counts and len(copy_of) >= COPIES * n_found:
            kept = _by_size(copy_of)
            label = np.empty(n_found, np.int64)
            label[copy_of] = kept
            self._space = Space("plain", None, np.zeros(numbers.shape[1]), np.eye(numbers.shape[1]))
            anchors = anchors_of(different, label, np.ones(n_found), noise=False)
            self._anchors = anchors
            self.labels_, self.probabilities_ = assign(anchors, numbers, self.n_jobs)
            self._set_plain(n_found, f"the table has {n_found} different rows only, each many times")
        else:
            self._set_one(len(numbers), f"the table has {n_found} different rows only")

    def _set_plain(self, n_clusters: int, why: str) -> None:
        self._plain = why
        self.n_clusters_ = n_clusters
        self.structure_probability_ = float(n_clusters > 1)
        self.n_clusters_posterior_ = {n_clusters: 1.0}
        self.quality_, self.quality_interval_ = 1.0, (0.0, 1.0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _counts(n_clusters: Any) -> tuple[int, ...]:
    if isinstance(n_clusters, str):
        if n_clusters != "auto":
            raise ValueError(f"n_clusters={n_clusters!r} should be 'auto', a whole number or several")
        return (1, *COUNTS)
    single = isinstance(n_clusters, Integral) and not isinstance(n_clusters, bool)
    given = [n_clusters] if single else list(n_clusters) if isinstance(n_clusters, Iterable) else [n_clusters]
    if not given:
        raise ValueError("n_clusters=[] should hold at least one number")
    given = [int(number) if isinstance(number, np.integer) else number for number in given]
    for number in given:
        check_number("n_clusters", number, at_least=1, at_most=MOST_CLUSTERS, integer=True)
    return tuple(sorted({int(number) for number in given}))


def _affordable(time_budget: float | None) -> tuple[int, bool]:
    """Rows and whether there is a second round."""
    if time_budget is None:
        return MOST_ROWS, True
    for rows, (first, both) in COSTS.items():
        if both <= time_budget:
            return rows, True
        if first <= time_budget:
            return rows, False
    return min(COSTS), False


def _by_size(labels: Ints) -> Ints:
    """The same clusters numbered from the largest; equal sizes in the order of their first rows."""
    sizes = np.bincount(labels)
    rank = np.empty(len(sizes), np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    found: NDArray[np.int64] = rank[labels]
    return found


def _marked(labels: Ints, stray: NDArray[np.bool_]) -> Ints:
    """Stray rows become -1, but where they are most of their cluster."""
    share = np.bincount(labels, stray) / np.bincount(labels)
    return np.where(stray & (share[labels] <= 0.5), -1, labels)

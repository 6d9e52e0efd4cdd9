"""A map at first sight: a method and its settings chosen for the table, not fixed."""

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from firstsight.checks import check_choice, check_number
from firstsight.estimators.tables import check_resources, checked_table, drawn_seed, one_thread_each, prior_of, threads
from firstsight.pretrained import embedder as pretrained_weighing
from firstsight.selection.coreset import numbers_from_values, places_of, some_rows
from firstsight.selection.geometry import Floats
from firstsight.selection.maps.choose import Choice, Work, choose
from firstsight.selection.maps.explain import explained, table_of
from firstsight.selection.maps.layouts import METHODS
from firstsight.selection.maps.measures import map_triplets, row_faithfulness, scales_of
from firstsight.selection.maps.placing import Ground, placed
from firstsight.selection.maps.weighing import Weighing
from firstsight.selection.matrix import learn_encoding, numbers_of
from firstsight.selection.spaces import variances

MOST_COMPONENTS = 30
USUAL = Work(compared=500, laid_out=1500)
# Seconds for the choice and the map of a table of more rows than are laid out: upper ends on two cores.
COSTS = {
    USUAL: 9.0,
    Work(500, 1000): 6.0,
    Work(300, 700): 3.5,
    Work(200, 400): 1.5,
}
MOST_PAIRS = 15_000_000  # of rows and those among which their neighbours are sought


class Embedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Lay a table that it has never seen out on a map.

    PCA and t-SNE with several settings lay out a sample of the rows; measures without labels say what each map
    keeps, near and far; how these are weighed was learned from tables with classes; the map rated highest is
    laid out on more rows, and all others are placed on it.

    Parameters
    ----------
    n_components : int
        Coordinates of the map, from 1 to 30. t-SNE makes one or two: more are PCA's, unless UMAP or PaCMAP may propose.
        Coordinates that a table has no more directions for are 0.
    methods : sequence of str
        That propose: ``"pca"``, ``"tsne"``, ``"umap"``, ``"pacmap"``. The last two need
        ``pip install 'firstsight[maps]'``, and seconds to be imported and compiled.
    prior : Weighing, path or None
        How measures are weighed, or the folder of a saved one; that of the package if None.
    time_budget : float or None
        Seconds, > 0, turned by a table of usual costs into rows and proposals before anything is fitted, so that a
        budget gives the same answer on every machine, and is kept only about.
    n_jobs : int or None
        Threads; as many as there are cores if None. The map is the same for any number.
    random_state : int, RandomState or None
        Of the rows that are laid out and of what is random in UMAP and PaCMAP.

    Attributes
    ----------
    embedding_ : ndarray of shape (n_rows, n_components)
    faithfulness_ : ndarray of shape (n_rows,)
        Share of each row's 15 nearest rows that are its nearest on the map, corrected for chance: 1 is all of
        them, 0 no more than by chance. Of many rows, neighbours are sought among a sample.
    quality_ : float
        How far the map is right at large, 0 to 1: how often of two rows the one nearer to a third is nearer on the map,
        corrected for chance.
    method_ : str
        Such as ``"t-SNE, perplexity 30"``.
    proposals_ : DataFrame
        What was proposed, rated highest first: method, setting, scaling, measures, rating.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where columns have names.

    Notes
    -----
    Mixed columns are taken as :mod:`firstsight.columns` decides, missing values included. Equal rows have one place.
    The same rows in another order have the same places. Of more than 1,500 different rows a sample is laid out. New
    rows, and those beyond the sample, are put amid their nearest there; PCA places them by itself.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, _ = load_iris(return_X_y=True)
    >>> Embedder(random_state=0).fit_transform(X).shape
    (150, 2)

    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        methods: Sequence[str] = ("pca", "tsne"),
        prior: Any = None,
        time_budget: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.methods = methods
        self.prior = prior
        self.time_budget = time_budget
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Choose a map of a table and lay it out.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            Numbers, and in a DataFrame categories, dates and texts; NaN is missing, infinite values are refused.
        y : None
            Ignored.

        Returns
        -------
        Embedder
            Itself.

        Raises
        ------
        TypeError, ValueError
            When a parameter or the table is not as described.
        ImportError
            When a method is asked for whose library is not installed.

        """
        check_number("n_components", self.n_components, at_least=1, at_most=MOST_COMPONENTS, integer=True)
        methods = _methods(self.methods)
        check_resources(self.time_budget, self.n_jobs)
        weighing = prior_of(self.prior, Weighing, pretrained_weighing)
        X = checked_table(self, X, reset=True)
        seed = drawn_seed(self.random_state)
        with threads(self.n_jobs):
            self._fit(X, methods, weighing, seed)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Floats:
        """Fit, and return the places of the rows, (n_rows, n_components)."""
        return self.fit(X, y).embedding_.copy()

    def transform(self, X: Any) -> Floats:
        """Places of rows, new ones too.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            Columns as in :meth:`fit`. A row that equals a fitted one has its place.

        Returns
        -------
        ndarray of shape (n_rows, n_components)

        """
        check_is_fitted(self)
        X = checked_table(self, X, reset=False)
        if self._ground is None or self._encoding is None:
            return np.zeros((len(X), self.embedding_.shape[1]))
        with threads(self.n_jobs):
            return placed(self._ground, numbers_of(self._encoding, X), self.n_jobs)

    def explain(self) -> str:
        """What map it is, how far it is to be trusted, and what is not to be read from it."""
        check_is_fitted(self)
        return explained(self._choice, float(self.faithfulness_.mean()), self.quality_, self._plain)

    @property
    def proposals_(self) -> pd.DataFrame:
        """What was proposed, rated highest first."""
        check_is_fitted(self)
        return table_of(self._choice)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Names of the coordinates: ``map0``, ``map1`` and so on."""
        check_is_fitted(self)
        return np.array([f"map{place}" for place in range(self.embedding_.shape[1])], dtype=object)

    def _fit(self, X: Any, methods: tuple[str, ...], weighing: Weighing, seed: int) -> None:
        self._choice: Choice | None = None
        self._ground: Ground | None = None
        self._plain = "no column varies"
        self._encoding = learn_encoding(X)
        if self._encoding is None:
            self._set_plain(len(X))
            return
        numbers = numbers_of(self._encoding, X)
        # Equal rows share a place; they are known by their values, so that the order of rows changes nothing.
        known_by = numbers_from_values(numbers, 0)
        different = numbers[np.unique(known_by, return_index=True)[1]]
        work = _affordable(self.time_budget)
        rows = np.ascontiguousarray(different[some_rows(different, work.laid_out, seed)])
        if len(rows) < 2 or not variances(rows).any():
            self._plain = "no column varies by more than rounding"
            self._set_plain(len(X))
            return
        count = self.n_jobs or os.cpu_count() or 1
        # Maps are made side by side: threads inside each would wait for one another.
        with one_thread_each():
            choice = choose(rows, self._encoding.groups, weighing, work, methods, self.n_components, seed, count)
        self._choice, self._ground = choice, choice.ground
        self.method_ = choice.compared.settings[choice.best].name
        self.embedding_ = placed(choice.ground, numbers, self.n_jobs)
        scales = scales_of(rows, self._encoding.groups)
        some = slice(0, min(len(rows), max(work.compared, MOST_PAIRS // len(numbers))))
        known = rows[some] * scales
        own = places_of(choice.ground.numbers[some], known_by)
        self.faithfulness_ = row_faithfulness(numbers * scales, self.embedding_, known, choice.ground.places[some], own)
        self.quality_ = max(0.0, 2 * map_triplets(known, choice.ground.places[some], seed) - 1)

    def _set_plain(self, n_rows: int) -> None:
        """All rows in one place."""
        self.method_ = "one place"
        self.embedding_ = np.zeros((n_rows, self.n_components))
        self.faithfulness_, self.quality_ = np.ones(n_rows), 1.0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _methods(methods: Any) -> tuple[str, ...]:
    if isinstance(methods, str) or not isinstance(methods, Sequence) or not len(methods):
        raise TypeError(f"methods={methods!r} should be a tuple of methods, such as ('pca', 'tsne')")
    for method in methods:
        check_choice("methods", method, METHODS)
    return tuple(methods)


def _affordable(time_budget: float | None) -> Work:
    if time_budget is None:
        return USUAL
    return next((work for work, seconds in COSTS.items() if seconds <= time_budget), list(COSTS)[-1])

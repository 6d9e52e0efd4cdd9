"""A density at first sight: of a table of mixed columns, with nothing to set."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from firstsight.checks import check_flag, check_number
from firstsight.density.cells import decoded, encoded, learn_cells
from firstsight.density.completing import completed_table, given_row
from firstsight.density.explain import explained
from firstsight.density.queries import drawn, drawn_cells, expected, known_levels
from firstsight.density.queries import given as given_cells
from firstsight.density.stack import Density, fitted, log_density
from firstsight.estimators.tables import check_resources, checked_table, drawn_seed, threads

Floats = NDArray[np.float64]


class DensityEstimator(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Estimate how likely rows are in a table that it has never seen; draw new ones, and fill missing cells.

    Experts, which are mixtures of Gaussians and kernel densities of several sizes, in the columns as they were measured
    and brought to a normal scale, are weighed so that rows become likely that they have not seen; those with some
    weight together are the density.

    Parameters
    ----------
    prior : Prior, path or None
        What :meth:`meta_fit` learned from a family of tables, or the folder of a saved one.
    n_jobs : int or None
        Threads of the numerical libraries; as they are if None.
    random_state : int, RandomState or None
        Of the folds and starts of the fit, and of draws.

    Attributes
    ----------
    density_ : Density or None
        The weights and the experts; None when no column varies.
    experts_ : DataFrame
        What was used, heaviest first: expert, weight, components.
    familiarity_ : float
        With a prior: the share of the family's own tables that look as unlike it. Below .05 the table is foreign, and
        is learned from scratch unless its rows are likelier with the past.
    prior_weight_ : float
        With a prior: how far the density leans on the past, from 0 (from scratch) to 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where columns have names.

    Notes
    -----
    Columns are numbers, dates (as days) and categories as :mod:`firstsight.columns` decides; whole numbers with at most
    ten values, each ten times there on average, and booleans are categories. Texts and columns that do not vary are
    left out. Missing cells are integrated out, and never filled to fit. Of more than 5,000 rows a sample is learned
    from. The same rows in another order give the same density.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, _ = load_iris(return_X_y=True)
    >>> model = DensityEstimator(random_state=0).fit(X)
    >>> model.sample(2).shape
    (2, 4)
    >>> bool(model.score_samples(X[:1]) > model.score_samples(X[:1] + 3))
    True

    """

    def __init__(self, *, prior: Any = None, n_jobs: int | None = None, random_state: Any = None) -> None:
        self.prior = prior
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the density of a table.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            Numbers, and in a DataFrame categories, dates and texts; NaN is missing, infinite values are refused.
        y : None
            Ignored.

        Returns
        -------
        DensityEstimator
            Itself.

        Raises
        ------
        TypeError, ValueError
            When a parameter or the table is not as described.

        """
        check_resources(None, self.n_jobs)
        array = not isinstance(X, pd.DataFrame)
        X = checked_table(self, X, reset=True)
        seed = drawn_seed(self.random_state)
        with threads(self.n_jobs):
            if self.prior is not None and self._lean(X):
                return self
            self._cells = learn_cells(X, array=array)
            numbers, codes = encoded(self._cells, X)
            self.density_: Density | None = None
            if numbers.shape[1] + codes.shape[1]:
                n_levels, steps = self._cells.n_levels, self._cells.steps
                self.density_ = fitted(numbers, codes, seed, n_levels=n_levels, steps=steps)
        return self

    def meta_fit(self, tables: Any, groups: Any = None) -> "DensityEstimator":
        """Learn from past tables of a family, so that a new one needs few rows.

        Parameters
        ----------
        tables : sequence or mapping of DataFrame or array of shape (n_rows, n_features)
            At least three of the same columns that share no rows; three, and half of all, of 15 rows or more.
        groups : sequence of length n_tables, or mapping of table to group, optional
            Whose tables they are, where one shop, patient or speaker has several and new tables will be of others: what
            is learned is tried on groups left out, and familiarity is that of a new one.

        Returns
        -------
        DensityEstimator
            A new one with the same parameters, whose ``prior`` has learned; ``prior.save(folder)`` keeps it.

        Raises
        ------
        TypeError, ValueError
            When the tables are not as described.

        """
        from firstsight.estimators.family import learned_prior  # brings torch, which nothing else here needs

        check_resources(None, self.n_jobs)
        with threads(self.n_jobs):
            prior = learned_prior(tables, groups, drawn_seed(self.random_state))
        return type(self)(**(self.get_params(deep=False) | {"prior": prior}))

    def score_samples(self, X: Any) -> Floats:
        """Log-density of rows.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            Columns as in :meth:`fit`; missing cells are integrated out.

        Returns
        -------
        ndarray of shape (n_rows,)
            In nats; per unit of every number and day of every date, and a probability where there are categories only.

        """
        check_is_fitted(self)
        X = checked_table(self, X, reset=False)
        if self.density_ is None:
            return np.zeros(len(X))
        with threads(self.n_jobs):
            return log_density(self.density_, *encoded(self._cells, X))

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-density of the rows, in nats; see :meth:`score_samples`."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, given: Mapping[Any, Any] | None = None) -> Any:
        """Draw rows, all of them or those with some values.

        Parameters
        ----------
        n_samples : int
            How many, >= 1.
        given : mapping of column to value, optional
            By name, or in an array by place: rows are drawn from the conditional density.

        Returns
        -------
        DataFrame or ndarray of shape (n_samples, n_features)
            As the table that was fitted: names, types, steps in which values were measured. Constants are themselves,
            texts missing. With an int as ``random_state`` the same at every call.

        Raises
        ------
        ValueError
            When a column is unknown or left out, or a value is missing or a level that was not seen.

        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, at_least=1, integer=True)
        generator = np.random.default_rng(drawn_seed(self.random_state))
        row = given_row(self._cells, given or {})
        numbers, codes = np.repeat(row.numbers, n_samples, axis=0), np.repeat(row.codes, n_samples, axis=0)
        if self.density_ is not None and (np.isnan(row.numbers).any() or (row.codes < 0).any()):
            with threads(self.n_jobs):
                density = given_cells(known_levels(self.density_), row.numbers[0], row.codes[0])
                numbers[:, np.isnan(row.numbers[0])], codes[:, row.codes[0] < 0] = drawn(density, n_samples, generator)
        return decoded(self._cells, numbers, codes)

    def impute(self, X: Any, *, draw: bool = False) -> Any:
        """Fill missing cells from what else is in their rows.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_features)
            Columns as in :meth:`fit`.
        draw : bool
            Whether cells are drawn from their conditional density, all of a row together, as multiple imputation needs;
            else a number is its conditional mean and a category its likeliest level.

        Returns
        -------
        DataFrame or ndarray of shape (n_rows, n_features)
            A copy. Texts stay missing, and so do columns without any value.

        """
        check_is_fitted(self)
        check_flag("draw", draw)
        table = checked_table(self, X, reset=False)
        numbers, codes = encoded(self._cells, table)
        if self.density_ is not None and (np.isnan(numbers).any() or (codes < 0).any()):
            with threads(self.n_jobs):
                known = known_levels(self.density_)
                if draw:
                    generator = np.random.default_rng(drawn_seed(self.random_state))
                    numbers, codes = drawn_cells(known, numbers, codes, generator)
                else:
                    numbers, codes = expected(known, numbers, codes)
        index = X.index if isinstance(X, pd.DataFrame) else None
        return completed_table(self._cells, table, numbers, codes, index=index, rounded=draw)

    def _lean(self, X: Any) -> bool:
        """Take the density from the past; False where the table is foreign to it."""
        from firstsight.estimators.family import encoded_by, prior_from  # brings torch

        self._past = prior_from(self.prior)
        answer = self._past.answer(encoded_by(self._past, X))
        self.familiarity_, self.prior_weight_ = answer.familiarity, answer.weight
        self._cells, self.density_ = self._past.cells, answer.density
        return answer.density is not None

    def explain(self) -> str:
        """What the density is made of, and what it leaves out."""
        check_is_fitted(self)
        text = explained(self._cells, self.density_)
        if self.prior is None:
            return text
        from firstsight.priors.explain import leaning  # brings torch

        return f"{leaning(self._past, self.familiarity_, self.prior_weight_)} {text}"

    @property
    def experts_(self) -> pd.DataFrame:
        """What was used, heaviest first."""
        check_is_fitted(self)
        density = self.density_ or Density(np.empty(0), ())
        return pd.DataFrame(
            {
                "expert": [expert.name for expert in density.experts],
                "weight": np.exp(density.log_weights),
                "components": [len(expert.mixture.log_weights) for expert in density.experts],
            }
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

"""What the estimators of this room share: tables of mixed columns are checked, threads are limited, seeds are drawn."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from os import PathLike
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data
from threadpoolctl import ThreadpoolController, threadpool_limits

from firstsight.checks import check_number

__all__ = ["check_resources", "checked_table", "drawn_seed", "one_thread_each", "prior_of", "threads"]


class Learned(Protocol):
    """What can be read from the folder that it was saved in."""

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Self:
        """Read it."""
        ...


T = TypeVar("T", bound=Learned)


def checked_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """A table as an array of numbers, or as a DataFrame of mixed columns; rows are numbered from 0.

    Raises
    ------
    ValueError, TypeError
        When it has no rows or columns, holds infinite values, or has other columns than the one fitted.

    """
    if isinstance(X, pd.DataFrame):
        if any(np.issubdtype(kind, np.complexfloating) for kind in X.dtypes if isinstance(kind, np.dtype)):
            raise ValueError("X should hold no complex numbers; found some")
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        if not len(X) or not X.shape[1]:
            raise ValueError(f"X should have rows and columns; found array with 0 sample(s) or feature(s): {X.shape}")
        numbers = X.select_dtypes("number").to_numpy(dtype=float, na_value=np.nan)
        if np.isinf(numbers).any():
            raise ValueError("X should hold no infinite values; found some: make them missing (NaN)")
        return X.reset_index(drop=True)
    if isinstance(X, np.ndarray) and X.dtype == object and any(isinstance(value, str) for value in X.ravel()):
        validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
        return pd.DataFrame(X, columns=[f"x{place}" for place in range(X.shape[1])])
    numbers = validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
    if reset or not hasattr(estimator, "feature_names_in_"):
        return numbers
    return pd.DataFrame(numbers, columns=estimator.feature_names_in_)  # fitted on a DataFrame: scikit-learn has warned


def check_resources(time_budget: Any, n_jobs: Any) -> None:
    """Refuse a budget that is no number of seconds, and a number of threads that is none."""
    if time_budget is not None:
        check_number("time_budget", time_budget, above=0)
    if n_jobs is not None:
        check_number("n_jobs", n_jobs, at_least=1, integer=True)


def prior_of(prior: Any, kind: type[T], own: Callable[[], T]) -> T:
    """What was learned: the package's own for None, a saved one from its folder, or itself.

    Raises
    ------
    TypeError, FileNotFoundError, ValueError
        When it is none of these, and as ``kind.load`` says.

    """
    if prior is None:
        return own()
    if isinstance(prior, kind):
        return prior
    if not isinstance(prior, str | PathLike):
        raise TypeError(
            f"prior={prior!r} should be a {kind.__name__}, the folder of one, or None; found {type(prior).__name__}"
        )
    return kind.load(prior)


def drawn_seed(random_state: Any) -> int:
    """A seed from what scikit-learn calls a random state."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def threads(n_jobs: int | None) -> AbstractContextManager[Any]:
    """Limit the threads of the numerical libraries; as they are if None."""
    return nullcontext() if n_jobs is None else threadpool_limits(limits=n_jobs)


def one_thread_each() -> AbstractContextManager[Any]:
    """Leave the numerical libraries one thread: the work is spread over threads that call them."""
    limits: AbstractContextManager[Any] = _controller().limit(limits=1)
    return limits


@cache
def _controller() -> ThreadpoolController:
    """Of the libraries that are loaded; to look for them takes as long as to score hundreds of rows."""
    return ThreadpoolController()

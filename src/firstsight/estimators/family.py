"""Past tables of a family, checked, for the estimators that learn from them; and a new table in their columns."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from firstsight.columns.fits import listed
from firstsight.datasets.rows import groups_by_rows, row_hashes
from firstsight.density.cells import encoded, learn_cells
from firstsight.priors.learn import learned
from firstsight.priors.members import Encoded
from firstsight.priors.prior import Prior
from firstsight.priors.profiles import learn_profiles

__all__ = ["checked_family", "encoded_by", "learned_prior", "prior_from"]

FEWEST_TABLES = 3


def checked_family(tables: Any) -> dict[str, Any]:
    """Past tables by name, with their columns in one order; arrays or DataFrames, all of one kind.

    Parameters
    ----------
    tables : sequence or mapping of DataFrame or array of shape (n_rows, n_features)
        At least three that differ.

    Raises
    ------
    TypeError, ValueError
        When they are not a family, with the table that is not of it.

    """
    if isinstance(tables, pd.DataFrame | str) or not isinstance(tables, Mapping | Sequence | np.ndarray):
        raise TypeError(f"tables should be a list or dict of tables; found {type(tables).__name__}")
    named = dict(tables) if isinstance(tables, Mapping) else {f"table {i}": table for i, table in enumerate(tables)}
    if len(named) < FEWEST_TABLES:
        raise ValueError(
            f"tables should be at least {FEWEST_TABLES}, for what is learned from some is tried on others; "
            f"found {len(named)}"
        )
    checked = {str(name): _checked(str(name), table) for name, table in named.items()}
    (first, model), *others = checked.items()
    for name, table in others:
        if isinstance(table, pd.DataFrame) != isinstance(model, pd.DataFrame):
            raise TypeError(f"tables should all be DataFrames or all be arrays; {first} and {name} are not alike")
        if isinstance(table, pd.DataFrame):
            lacks, has = set(model.columns) - set(table.columns), set(table.columns) - set(model.columns)
            if lacks or has:
                raise ValueError(
                    f"tables should have the same columns; {name} lacks {listed(map(str, lacks)) or 'none'} of {first} "
                    f"and has {listed(map(str, has)) or 'none'} that it has not; leave it out, or rename its columns"
                )
        elif table.shape[1] != model.shape[1]:
            raise ValueError(
                f"tables should have the same columns; {first} has {model.shape[1]} and {name} {table.shape[1]}"
            )
    if isinstance(model, pd.DataFrame):
        checked = {name: table[list(model.columns)] for name, table in checked.items()}
    return checked


def learned_prior(tables: Any, groups: Any, seed: int) -> Prior:
    """A prior from past tables.

    Parameters
    ----------
    tables : sequence or mapping of DataFrame or array of shape (n_rows, n_features)
        As for :func:`checked_family`.
    groups : sequence of length n_tables, or mapping of table to group, or None
        Tables of one group are left out together, and so are those that share rows.
    seed : int
        Of all that is random.

    Raises
    ------
    TypeError, ValueError
        As :func:`checked_family`; when tables are copies of each other, when no column varies, and when all are short.

    """
    family = checked_family(tables)
    together = _together(family, groups)
    if len(set(together)) < FEWEST_TABLES:
        raise ValueError(
            f"at least {FEWEST_TABLES} tables should share no rows and no group, for what some teach is tried "
            f"on others; found {len(set(together))} among {len(together)}; pass more tables, and each of them once"
        )
    frames = [pd.DataFrame(table) for table in family.values()]
    array = not isinstance(next(iter(family.values())), pd.DataFrame)
    pooled = np.concatenate(list(family.values())) if array else pd.concat(frames, ignore_index=True)
    cells = learn_cells(pooled, array=array)
    if not cells.numbers and not cells.categories:
        raise ValueError("tables should have a column of numbers, dates or categories that varies; found none")
    generator = np.random.default_rng(seed)
    rows = []
    for table in family.values():
        numbers, codes = encoded(cells, table)
        order = np.lexsort(np.column_stack([numbers, codes]).T)
        numbers = numbers[order] + cells.steps * generator.uniform(-0.5, 0.5, numbers.shape)
        rows.append(Encoded(numbers, codes[order]))
    found = learned(rows, cells.n_levels, cells.steps, together, seed)
    profiles = learn_profiles(rows, cells.n_levels)
    return Prior(cells=cells, learned=found, profiles=profiles, names=tuple(family), seed=seed)


def _together(family: Mapping[str, Any], groups: Any) -> list[int]:
    """Numbers that are the same for tables that share rows or a group, directly or through others."""
    by_rows = groups_by_rows([row_hashes(pd.DataFrame(table)) for table in family.values()])
    if groups is None:
        return by_rows
    if isinstance(groups, Mapping):
        missing = [name for name in family if name not in groups]
        if missing:
            raise ValueError(f"groups should have one for every table; found none for {listed(missing)}")
        groups = [groups[name] for name in family]
    if isinstance(groups, str) or len(groups) != len(family):
        raise ValueError(f"groups should have one for every table, {len(family)}; found {len(groups)}")
    told = pd.factorize(pd.Series(list(groups)).astype(str))[0]
    n_tables = len(family)
    links = np.concatenate([np.asarray(by_rows), n_tables + told])
    graph = coo_matrix((np.ones(2 * n_tables), (np.tile(np.arange(n_tables), 2), links)), (n_tables, 2 * n_tables))
    return [int(label) for label in connected_components(graph @ graph.T)[1]]


def encoded_by(prior: Prior, X: Any) -> Encoded:
    """A new table in the columns of a prior.

    Parameters
    ----------
    prior : Prior
        Of its family.
    X : DataFrame or ndarray of shape (n_rows, n_features)
        As an estimator has checked it.

    Raises
    ------
    ValueError
        When it has other columns.

    """
    names = list(prior.cells.names)
    width = len(prior.cells.columns)
    if names and isinstance(X, pd.DataFrame):
        lacks = [str(name) for name in names if name not in X.columns]
        has = [str(name) for name in X.columns if name not in names]
        if lacks or has:
            raise ValueError(
                f"X should have the columns that the prior was learned from; it lacks {listed(lacks) or 'none'} and "
                f"has {listed(has) or 'none'} besides; pass a table of that kind, or prior=None"
            )
        if list(X.columns) != names:
            raise ValueError(
                "X should have the columns of the prior in their order; pass X[[...]] with " + listed(names)
            )
    elif X.shape[1] != width:
        raise ValueError(
            f"X should have the {width} columns that the prior was learned from; found {X.shape[1]}; pass a table of "
            "that kind, or prior=None"
        )
    elif names:
        X = pd.DataFrame(X, columns=names)
    elif isinstance(X, pd.DataFrame):
        X = X.to_numpy()
    return Encoded(*encoded(prior.cells, X))


def prior_from(prior: Any) -> Prior:
    """What was learned from a family: a prior, or the one in a folder.

    Raises
    ------
    TypeError, FileNotFoundError, ValueError
        When it is none of these, and as :meth:`Prior.load` says.

    """
    if isinstance(prior, Prior):
        return prior
    if not isinstance(prior, str | PathLike):
        raise TypeError(
            f"prior={prior!r} should be what meta_fit learned, its folder, or None; found {type(prior).__name__}"
        )
    return Prior.load(prior)


def _checked(name: str, table: Any) -> Any:
    if not isinstance(table, pd.DataFrame):
        table = np.asarray(table)
        if table.dtype == object and any(isinstance(value, str) for value in table.ravel()):
            table = pd.DataFrame(table, columns=[f"x{place}" for place in range(table.shape[1])])
        elif table.ndim == 2:
            table = table.astype(float)
    if table.ndim != 2 or not len(table) or not table.shape[1]:
        raise ValueError(f"{name} should be a table with rows and columns; found shape {table.shape}")
    numbers = table if isinstance(table, np.ndarray) else table.select_dtypes("number").to_numpy(float, na_value=np.nan)
    if np.isinf(numbers).any():
        raise ValueError(f"{name} should hold no infinite values; found some: make them missing (NaN)")
    return table

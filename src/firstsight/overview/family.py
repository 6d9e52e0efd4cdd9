"""A table beside the past tables of its family: how like them it is, and in which columns it is not."""

from pathlib import Path
from typing import Any

import pandas as pd

from firstsight.density.cells import Cells
from firstsight.estimators.family import encoded_by, prior_from
from firstsight.overview.profiles import cell_text, date_text
from firstsight.overview.words import counted
from firstsight.priors.explain import likeness
from firstsight.priors.prior import Prior
from firstsight.priors.profiles import Unusual, unusual_of
from firstsight.report.contents import Beside
from firstsight.report.contents import Unusual as Told

__all__ = ["beside"]

MOST_TOLD = 12


def beside(prior: Prior | str | Path, raw: pd.DataFrame, *, told: bool) -> Beside:
    """What is to be said of a table beside its family.

    Parameters
    ----------
    prior : Prior or path
        Of the family.
    raw : DataFrame of shape (n_rows, n_columns)
        The table; columns that the prior does not know are left out.
    told : bool
        Whether values of the table may be named.

    Raises
    ------
    ValueError
        When the table lacks columns of the prior.

    """
    prior = prior_from(prior)
    names = [name for name in prior.cells.names if name in raw.columns]
    table = encoded_by(prior, raw[names] if prior.cells.names else raw)
    familiarity = prior.familiarity(prior.spread(table))
    found = unusual_of(prior.profiles, table)[:MOST_TOLD]
    unusual = [
        Told(column=_name(prior.cells, one), words=_words(prior.cells, one, told=told), score=abs(one.score))
        for one in found
    ]
    columns = len({one["column"] for one in unusual})
    rest = f" {counted(columns, 'column')} {'is' if columns == 1 else 'are'} unusual." if columns else ""
    nothing = " No column is unusual." if not columns else ""
    return Beside(
        words=likeness(prior, familiarity) + rest + nothing,
        familiarity=familiarity,
        n_tables=len(prior.names),
        unusual=unusual,
    )


def _name(cells: Cells, one: Unusual) -> str:
    places = cells.numbers if one.category is None else cells.categories
    place = one.number if one.category is None else one.category
    return cells.columns[places[place or 0]].column.name


def _words(cells: Cells, one: Unusual, *, told: bool) -> str:
    if one.kind == "missing":
        return f"missing in {one.here:.0%} of the rows, in nine of ten past tables {one.low:.0%} to {one.high:.0%}"
    if one.kind == "level":
        level = cells.columns[cells.categories[one.category or 0]].values
        shown = one.level is not None and one.level < len(level)
        what = cell_text(level[one.level or 0], 40) if shown and told else "a level" if shown else "levels never seen"
        return f"{what}: {one.here:.0%} of the rows, in nine of ten past tables {one.low:.0%} to {one.high:.0%}"
    more = "higher" if one.here > one.usual else "lower"
    what = "mean" if one.kind == "mean" else "standard deviation"
    if not told:
        return f"{what} {more} than in nine of ten past tables"
    is_date = cells.columns[cells.numbers[one.number or 0]].column.kind == "date" and one.kind == "mean"
    here, low, high = (_number(value, is_date=is_date) for value in (one.here, one.low, one.high))
    return f"{what} {here}, in nine of ten past tables {low} to {high}"


def _number(value: float, *, is_date: bool) -> Any:
    return date_text(value) if is_date else cell_text(value)

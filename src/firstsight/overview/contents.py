"""From the answers to what the page says."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from firstsight.columns.clean import OTHER
from firstsight.columns.survey import Surveyed, repeated_rows
from firstsight.overview.answers import Answers, Fitted, Points
from firstsight.overview.notes import notes_of
from firstsight.overview.oddities import CALLED, anomalies_of
from firstsight.overview.profiles import Table, cell_text, date_text, groups_of, typical_rows
from firstsight.overview.source import Source
from firstsight.overview.words import anomaly_words, cautions_of, group_words, headline_of, how_clear
from firstsight.report.contents import Anomalies, Beside, Column, Contents, Group, Groups, Made, Map, Proposal, Shade
from firstsight.report.contents import Table as TableFacts

__all__ = ["contents_of"]

MOST_CELLS = 12  # columns of the rows that are shown
MOST_SHADES = 10
MOST_LEVELS = 12  # of a shade
N_PROPOSALS = 5


def contents_of(
    source: Source, answers: Answers, made: Made, *, with_rows: bool, family: Beside | None = None
) -> Contents:
    """All that the page says.

    Parameters
    ----------
    source : Source
        Of the rows that are shown.
    answers : Answers
        Of the estimators.
    made : Made
        How it was made.
    with_rows : bool
        Whether values of the table may be named.
    family : Beside, optional
        The table beside its family, where a prior was given.

    """
    fit, rows, points = answers.fitted, answers.rows, answers.points
    dates = frozenset(one.name for one in fit.surveyed if one.kind == "date")
    table = Table(fit.columns, dates, with_rows)
    sampled = len(fit.places) < source.n_rows
    profiles = _profiles(answers, table)
    groups = _groups(fit, rows.label, profiles)
    drawn = _map(answers, profiles, table)
    anomalies = _anomalies(answers, table)
    notes = notes_of(fit.surveyed, int(repeated_rows(fit.raw).sum()), told=with_rows, sampled=sampled)
    facts = TableFacts(
        name=source.name, n_rows=source.n_rows, n_columns=len(source.names),
        n_used=sum(one.used for one in fit.surveyed), n_looked_at=len(fit.places),
    )  # fmt: skip
    names = _shown_columns(fit, profiles) if with_rows else []
    return Contents(
        headline=headline_of(groups, anomalies, notes),
        table=facts,
        groups=groups,
        anomalies=anomalies,
        map=drawn,
        family=family,
        columns=[_column(one, fit, told=with_rows) for one in fit.surveyed],
        notes=notes,
        cautions=cautions_of(facts, groups, drawn, fit.surveyed),
        made=made,
        with_rows=with_rows,
        names=names,
        cells=_cells(points, names) if with_rows else {},
    )


def _profiles(answers: Answers, table: Table) -> list[Group]:
    """Groups with their typical rows, which are on the map."""
    label, points = answers.rows.label, answers.points
    labels, counts = np.unique(label, return_counts=True)
    sizes = {int(one): int(count) for one, count in zip(labels, counts, strict=True)}
    found = groups_of(table, label[answers.fitted.places], sizes)
    here = label[points.places]
    for group in found:
        rows = np.flatnonzero(here == group["label"])
        group["typical"] = points.places[typical_rows(points.columns.iloc[rows], rows)].tolist()
    return found


def _groups(fit: Fitted, label: NDArray[np.int64], profiles: list[Group]) -> Groups:
    model = fit.clusterer
    n_groups, structure, quality = model.n_clusters_, model.structure_probability_, model.quality_
    clear = how_clear(n_groups, structure, quality)
    low, high = model.quality_interval_
    return Groups(
        n_groups=n_groups,
        how_clear=clear,
        words=group_words(n_groups, clear, structure, quality, int((label < 0).sum())),
        structure_probability=float(structure),
        quality=float(quality),
        quality_low=float(low),
        quality_high=float(high),
        posterior=[(int(k), float(p)) for k, p in sorted(model.n_clusters_posterior_.items())],
        why=model.explain().splitlines(),
        proposals=_proposals(model.proposals_),
        groups=profiles if n_groups > 1 else [],
    )


def _proposals(table: pd.DataFrame) -> list[Proposal]:
    """The best of each algorithm and number of groups."""
    best = table.drop_duplicates(["algorithm", "n_clusters"]).head(N_PROPOSALS)
    return [
        Proposal(
            algorithm=str(row["algorithm"]), setting=str(row["setting"]), scaling=str(row["scaling"]),
            n_groups=int(row["n_clusters"]), rating=float(row["rating"]), quality=float(row["quality"]),
            reasons=str(row["reasons"]),
        )
        for row in best.to_dict("records")
    ]  # fmt: skip


def _anomalies(answers: Answers, table: Table) -> Anomalies:
    detector, rows, found = answers.fitted.detector, answers.rows, answers.found
    n_called = int((rows.probability >= CALLED).sum())
    low, high = detector.contamination_interval_
    asked = answers.points.columns.iloc[np.searchsorted(answers.points.places, found.rows)]
    return Anomalies(
        n_called=n_called,
        words=anomaly_words(n_called, len(rows.label), CALLED),
        share=float(detector.contamination_),
        share_low=float(low),
        share_high=float(high),
        rows=anomalies_of(found, detector, table, asked.reset_index(drop=True)),
    )


def _map(answers: Answers, profiles: list[Group], table: Table) -> Map:
    rows, points = answers.rows, answers.points
    model, places = points.embedder, points.places
    return Map(
        method=model.method_,
        words=model.explain(),
        quality=float(model.quality_),
        sampled=len(places) < len(rows.label),
        rows=places.tolist(),
        x=model.embedding_[:, 0].tolist(),
        y=model.embedding_[:, 1].tolist(),
        group=rows.label[places].tolist(),
        membership=rows.membership[places].tolist(),
        anomaly=rows.probability[places].tolist(),
        faithfulness=model.faithfulness_.tolist(),
        shades=[
            _shade(name, points.columns[name], date=name in table.dates)
            for name in _by_effect([str(name) for name in points.columns], profiles)[:MOST_SHADES]
        ]
        if table.told
        else [],
    )


def _shade(name: str, column: Any, *, date: bool) -> Shade:
    """A column as a colour."""
    if column.dtype == object:
        counts = column.value_counts()
        levels = [str(level) for level in counts.index[:MOST_LEVELS]]
        rest = [OTHER] * (len(counts) > MOST_LEVELS)
        place = {level: float(number) for number, level in enumerate(levels)}
        values = [None if pd.isna(level) else place.get(level, float(len(levels))) for level in column]
        return Shade(column=name, kind="category", values=values, levels=levels + rest, low=0.0, high=1.0)
    numbers = column.to_numpy()
    low, high = np.nanquantile(numbers, [0.02, 0.98]) if (~np.isnan(numbers)).any() else (0.0, 1.0)
    return Shade(
        column=name, kind="date" if date else "number", levels=[], low=float(low), high=float(high),
        values=[None if np.isnan(number) else float(number) for number in numbers],
    )  # fmt: skip


def _by_effect(names: Sequence[str], profiles: list[Group]) -> list[str]:
    """Columns that set groups apart first."""
    effect: dict[str, float] = {}
    for group in profiles:
        for finding in group["findings"]:
            effect[finding["column"]] = max(effect.get(finding["column"], 0.0), finding["effect"])
    return sorted(names, key=lambda name: -effect.get(name, 0.0))


def _shown_columns(fit: Fitted, profiles: list[Group]) -> list[str]:
    """Identifiers, which say what a row is, then what tells rows apart, then the rest; in the order of the file."""
    first = [one.name for one in fit.surveyed if one.kind == "identifier"]
    used = _by_effect([one.name for one in fit.surveyed if one.used], profiles)
    rest = [one.name for one in fit.surveyed if one.kind in ("text", "date") and not one.used]
    kept = set([*first[:2], *used[: MOST_CELLS - 2], *rest, *used, *first][:MOST_CELLS])
    return [one.name for one in fit.surveyed if one.name in kept]


def _cells(points: Points, names: list[str]) -> dict[str, list[str]]:
    rows = points.raw[names].astype(object).to_numpy(dtype=object)
    return {
        str(place): ["" if _is_missing(cell) else cell_text(cell) for cell in row]
        for place, row in zip(points.places.tolist(), rows, strict=True)
    }


def _is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing; lists hold something."""
    missing = pd.isna(cell)
    return bool(missing) if np.ndim(missing) == 0 else False


def _column(one: Surveyed, fit: Fitted, *, told: bool) -> Column:
    return Column(
        name=one.name, kind=one.kind, used=one.used, why=one.why, missing=one.missing, n_values=one.n_values,
        summary=_summary(one, fit.columns[one.name] if one.used else None, told=told),
    )  # fmt: skip


def _summary(one: Surveyed, column: Any, *, told: bool) -> str:
    if column is None or not told:
        return f"{one.n_values:,} different values" if one.n_values > 1 else ""
    if column.dtype == object:
        shares = column.value_counts(normalize=True)
        few = ", ".join(f"{cell_text(level, 30)} {share:.0%}" for level, share in shares.head(4).items())
        return few + (f" and {len(shares) - 4} more" if len(shares) > 4 else "")
    numbers = column.to_numpy()
    low, middle, high = (float(np.nanquantile(numbers, share)) for share in (0, 0.5, 1))
    text = date_text if one.kind == "date" else cell_text
    return f"{text(low)} to {text(high)}, median {text(middle)}"

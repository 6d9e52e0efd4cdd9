"""Families of related real tables: what did a prior learn from past tables of a family that helps with a new one?

:func:`load_family` gives the tables of a family, :func:`split` says which are past and which are new, and
:func:`foreign` gives tables with the columns of a family that are not of it, from easy to tell to hard.

Run as a script it prints, for every family, how many tables it has, their rows and columns, what is known of the
rows, and how unlike its tables are: the share of a column's variance that lies between tables, mean of the columns.

    python benchmarks/prior_families.py

Families of ADBench and OddBench hold tables that other benchmarks test on: a prior is to be learned from the past
tables of the family alone, and nothing that is shipped is to be trained on them.
"""

import argparse
import time
from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import prior_family_signals as signals
import prior_family_tables as tables
from numpy.typing import NDArray

PAST = 0.7  # of the tables of a family, or of its groups
N_OTHERS = 3  # tables of other families that foreign() gives
ROUNDS = 5  # over the other families, at most, to find as many
SHIFT = 1.5  # pooled deviations


class Family(NamedTuple):
    """Tables with the same columns that were measured in the same way.

    Parameters
    ----------
    name : str
        See :func:`families`.
    tables : list of DataFrame of shape (n_rows, n_features)
        float64, no two with the same row; in the order of time where ``in_time``.
    truths : list of ndarray of shape (n_rows,) or None
        The class of each row, int64; None where no classes are known.
    anomalies : list of ndarray of shape (n_rows,) or None
        True for an anomalous row, bool; None where no anomalies are known.
    names : list of str
        Of the tables.
    kind : str
        What one table is.
    groups : list of str
        Tables of one group must not be on two sides of a split.
    in_time : bool
        Whether groups follow each other in time, so that new tables must be later than past ones.

    """

    name: str
    tables: list[pd.DataFrame]
    truths: list[NDArray[np.int64]] | None
    anomalies: list[NDArray[np.bool_]] | None
    names: list[str]
    kind: str
    groups: list[str]
    in_time: bool


class Recipe(NamedTuple):
    """How a family is made.

    Parameters
    ----------
    build : callable
        () -> list of Piece.
    kind : str
        What one table is.
    source : str
        Families of one source hold the same measurements: neither is foreign to the other.
    in_time : bool
        Whether the groups of the pieces follow each other in time.

    """

    build: Callable[[], list[tables.Piece]]
    kind: str
    source: str
    in_time: bool = False


def _large(build: Callable[[str, int], list[tables.Piece]], name: str, n_groups: int) -> Recipe:
    return Recipe(partial(build, name, n_groups), "parts by other columns", name)


RECIPES: dict[str, Recipe] = {
    "elec2/fortnights": Recipe(tables.elec2_fortnights, "fortnights", "elec2", True),
    "elec2/months": Recipe(tables.elec2_months, "working days or weekends of a month", "elec2", True),
    "nab/cpu": Recipe(partial(tables.series, "cpu_utilization", 7, 12, "series"), "weeks of a machine", "aws"),
    "nab/tweets": Recipe(partial(tables.series, "realTweets", 14, 12, "series"), "fortnights of a company", "tweets"),
    "nab/speed": Recipe(
        partial(tables.series, "realTraffic/speed", 2, 6, "time"), "two days of a sensor", "road", True
    ),
    "nab/advertisements": Recipe(partial(tables.advertisements, 10, 6), "ten days of an exchange", "exchange", True),
    "nab/taxi": Recipe(partial(tables.series, "nyc_taxi", 14, 6, "time"), "fortnights", "taxi", True),
    "nab/machine": Recipe(partial(tables.series, "machine_temperature", 4, 12, "time"), "four days", "machine", True),
    "fsdd/frames": Recipe(signals.frames, "a speaker's frames of a digit", "fsdd"),
    "fsdd/digits": Recipe(partial(signals.recordings, "speaker", 3), "thirds of a speaker's recordings", "fsdd"),
    "fsdd/speakers": Recipe(partial(signals.recordings, "digit", 2), "halves of a digit's recordings", "fsdd"),
    "omniglot/drawings": Recipe(signals.drawings, "alphabets", "omniglot"),
    "omniglot/strokes": Recipe(signals.strokes, "characters", "omniglot"),
    "keel/marketing": Recipe(
        partial(tables.keel_cells, "balanced/marketing", ("x2", "x5")),
        "a marital status and an occupation",
        "marketing",
    ),
    "keel/letter-classes": Recipe(partial(tables.keel_classes, "balanced/letter"), "letters", "balanced/letter"),
    "keel/letter": _large(tables.keel_clusters, "balanced/letter", 25),
    "keel/magic": _large(tables.keel_clusters, "balanced/magic", 25),
    "keel/penbased": _large(tables.keel_clusters, "balanced/penbased", 20),
    "keel/texture": _large(tables.keel_clusters, "balanced/texture", 20),
    "keel/phoneme": _large(tables.keel_clusters, "balanced/phoneme", 20),
    "keel/optdigits": _large(tables.keel_clusters, "balanced/optdigits", 18),
    "adbench/cover": _large(tables.adbench_clusters, "cover", 40),
    "adbench/celeba": _large(tables.adbench_clusters, "celeba", 40),
    "adbench/campaign": _large(tables.adbench_clusters, "campaign", 40),
    "adbench/shuttle": _large(tables.adbench_clusters, "shuttle", 60),
    "adbench/ALOI": _large(tables.adbench_clusters, "ALOI", 40),
    "adbench/skin": _large(tables.adbench_clusters, "skin", 60),
    "oddbench/SoftwareIssueSeverity": _large(tables.oddbench_clusters, "SoftwareIssueSeverity", 25),
    "oddbench/BloodPressureAnomalies": _large(tables.oddbench_clusters, "BloodPressureAnomalies", 25),
    "oddbench/RestaurantViolation": _large(tables.oddbench_clusters, "RestaurantViolation", 25),
    "oddbench/SafeDriverAnalysis": _large(tables.oddbench_clusters, "SafeDriverAnalysis", 25),
    "oddbench/CourseRegistration": _large(tables.oddbench_clusters, "CourseRegistration", 60),
    "oddbench/AxieInfinityBug": _large(tables.oddbench_clusters, "AxieInfinityBug", 25),
}


def families() -> list[str]:
    """The names of the families, such as ``elec2/fortnights``."""
    return list(RECIPES)


@cache
def load_family(name: str) -> Family:
    """One family; the second time it is in memory.

    Parameters
    ----------
    name : str
        See :func:`families`.

    Returns
    -------
    Family
        Do not change its tables: they are those of the next caller, too.

    Raises
    ------
    ValueError
        When there is no such family.

    """
    if name not in RECIPES:
        raise ValueError(f"name={name!r} should be one of {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    pieces = recipe.build()
    if recipe.in_time:
        pieces = sorted(pieces, key=lambda piece: (piece.group, piece.name))
    pooled = pd.concat([piece.table for piece in pieces])
    varying = pooled.columns[pooled.nunique() > 1]
    truths = [piece.truth for piece in pieces if piece.truth is not None]
    anomalies = [piece.anomalies for piece in pieces if piece.anomalies is not None]
    return Family(
        name=name,
        tables=[piece.table[varying] for piece in pieces],
        truths=truths or None,
        anomalies=anomalies or None,
        names=[piece.name for piece in pieces],
        kind=recipe.kind,
        groups=[piece.group for piece in pieces],
        in_time=recipe.in_time,
    )


def split(family: Family, seed: int) -> tuple[list[str], list[str]]:
    """Past and new tables: 70 % of the groups and the rest.

    Parameters
    ----------
    family : Family
        See :func:`load_family`.
    seed : int
        >= 0. It has no say where ``family.in_time``: the new tables are then the latest ones.

    Returns
    -------
    past, new : list of str
        Names of tables, in the order of the family.

    """
    groups = sorted(set(family.groups))
    order = range(len(groups)) if family.in_time else np.random.default_rng(seed).permutation(len(groups))
    earlier = {groups[place] for place in list(order)[: round(PAST * len(groups))]}
    sides: tuple[list[str], list[str]] = ([], [])
    for name, group in zip(family.names, family.groups, strict=True):
        sides[group not in earlier].append(name)
    return sides


def foreign(name: str, seed: int) -> list[tuple[str, pd.DataFrame]]:
    """Tables that have the columns of a family and are not of it.

    Parameters
    ----------
    name : str
        See :func:`families`.
    seed : int
        >= 0; of the tables, columns and rows that are drawn.

    Returns
    -------
    list of (str, DataFrame)
        The kind and the table. Three times ``other`` with the family it is from (``other: nab/taxi``): columns of
        one of its tables, drawn at random and brought to the pooled mean and deviation of this family's columns, so
        that units do not tell. Then one of each, all made of the same new table of the family: ``permuted``, every
        column on its own, so that only the dependence is gone; ``swapped``, two columns exchanged, each in the units
        of its new place; ``shifted``, 1.5 pooled deviations added in all columns.

    """
    family = load_family(name)
    rng = np.random.default_rng((seed, families().index(name)))
    pooled = pd.concat(family.tables)
    mean, deviation = pooled.mean().to_numpy(), pooled.std(ddof=0).to_numpy()
    n_rows = int(np.median([len(table) for table in family.tables]))
    others = [other for other in RECIPES if RECIPES[other].source != RECIPES[name].source]
    found: list[tuple[str, NDArray[np.float64]]] = []
    # A wide family has few that are as wide: those then give more than one table.
    for place in np.tile(rng.permutation(len(others)), ROUNDS):
        other = load_family(others[place])
        table = other.tables[rng.integers(len(other.tables))]
        varying = table.columns[table.nunique() > 1].to_numpy()
        if len(varying) >= len(mean):
            drawn = table[rng.permutation(varying)[: len(mean)]].to_numpy()
            units = (drawn - drawn.mean(0)) / drawn.std(0)
            kept = np.sort(rng.permutation(len(drawn))[:n_rows])
            found.append((f"other: {other.name}", units[kept] * deviation + mean))
        if len(found) == N_OTHERS:
            break
    new = split(family, seed)[1]
    own = family.tables[family.names.index(str(rng.choice(new)))].to_numpy()
    order = np.arange(len(mean))
    first, second = rng.choice(len(mean), 2, replace=False)
    order[[first, second]] = second, first
    found.append(("permuted", rng.permuted(own, axis=0)))
    found.append(("swapped", ((own - mean) / deviation)[:, order] * deviation + mean))
    found.append(("shifted", own + SHIFT * deviation))
    return [(kind, pd.DataFrame(rows, columns=pooled.columns)) for kind, rows in found]


def between_share(family: Family) -> float:
    """The share of a column's variance that lies between tables, all tables counted alike; mean of the columns."""
    means = pd.DataFrame([table.mean() for table in family.tables])
    within = pd.DataFrame([table.var(ddof=0) for table in family.tables]).mean()
    between = means.var(ddof=0)
    return float((between / (between + within)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=families(), choices=families(), metavar="FAMILY")
    args = parser.parse_args()
    print(
        f"{'family':36}{'tables':>7}{'groups':>7}  {'rows':16}{'columns':>7}  {'classes':9}{'anomalies':12}"
        f"{'between':>7}{'split':>8}{'seconds':>8}"
    )
    for name in args.only:
        began = time.perf_counter()
        family = load_family(name)
        seconds = time.perf_counter() - began
        rows = [len(table) for table in family.tables]
        spread = f"{min(rows)}/{int(np.median(rows))}/{max(rows)}"
        classes = [len(np.unique(truth)) for truth in family.truths or []]
        shares = [float(flags.mean()) for flags in family.anomalies or []]
        past, new = split(family, 0)
        print(
            f"{name:36}{len(rows):7}{len(set(family.groups)):7}  {spread:16}{family.tables[0].shape[1]:7}  "
            f"{f'{min(classes)} to {max(classes)}' if classes else '-':9}"
            f"{f'{min(shares):.0%} to {max(shares):.0%}' if shares else '-':12}"
            f"{between_share(family):7.2f}{f'{len(past)}+{len(new)}':>8}{seconds:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

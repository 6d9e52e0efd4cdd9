"""Choose a map: proposals are laid out on some rows, measured, rated; the best is laid out on more."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from firstsight.selection.geometry import Floats, Ints
from firstsight.selection.maps.layouts import Setting, lay_out, linear_map, settings_for
from firstsight.selection.maps.measures import Truth, measured, neighbour_counts, scales_of, truth_of
from firstsight.selection.maps.placing import Ground, ground_of
from firstsight.selection.maps.weighing import Weighing, values_of
from firstsight.selection.spaces import Space, apply, learn_spaces

__all__ = ["Choice", "Compared", "Work", "choose", "compared"]

N_CONSENSUS = 15  # neighbours


class Work(NamedTuple):
    """What is done, fixed before fitting.

    Parameters
    ----------
    compared : int
        Rows that all proposals are laid out on.
    laid_out : int
        Rows that the chosen one is laid out on; others are placed among them.

    """

    compared: int
    laid_out: int


class Compared(NamedTuple):
    """Proposals for one table, with what is known of them without labels."""

    settings: list[Setting]
    maps: list[Floats]
    measures: list[dict[str, float]]


class Choice(NamedTuple):
    """A map and why.

    Parameters
    ----------
    compared : Compared
        All proposals, on some rows.
    ratings : ndarray of shape (n_proposals,)
    best : int
        The highest; the first of equal ones.
    ground : Ground
        The finished map.

    """

    compared: Compared
    ratings: Floats
    best: int
    ground: Ground


def compared(
    X: Floats, spaces: dict[str, Space], truth: Truth, settings: Sequence[Setting], n_components: int, seed: int,
    n_threads: int,
) -> Compared:  # fmt: skip
    """Lay out and measure all proposals.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Different rows, three or more.
    spaces : dict of str to Space
        Scalings of the table.
    truth : Truth
        Of the standardised rows.
    settings : sequence of Setting
        The proposals.
    n_components : int
        Of the maps.
    seed : int
        Of what is random in them.
    n_threads : int
        Maps that are made at once.

    Returns
    -------
    Compared

    """

    def made(setting: Setting) -> Floats:
        return lay_out(setting, apply(spaces[setting.space], X), n_components, seed)

    with ThreadPoolExecutor(n_threads) as pool:
        maps = list(pool.map(made, settings))
    consensus = neighbour_counts(maps, N_CONSENSUS)
    return Compared(list(settings), maps, [measured(truth, places, consensus) for places in maps])


def choose(
    rows: Floats, groups: Ints, weighing: Weighing, work: Work, methods: Sequence[str], n_components: int, seed: int,
    n_threads: int,
) -> Choice:  # fmt: skip
    """Choose a map.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Different rows in an order that was drawn, two or more; a column varies.
    groups : ndarray of shape (n_features,)
        Columns that come from one category have one number.
    weighing : Weighing
        What was learned from other tables.
    work : Work
        How much is done.
    methods : sequence of str
        That propose.
    n_components, seed, n_threads
        As of :func:`compared`.

    Returns
    -------
    Choice

    """
    spaces = learn_spaces(rows, groups)
    some = rows[: work.compared]
    settings = settings_for(len(some), n_components, list(spaces), methods)
    if spaces["standard"].matrix.shape[1] <= n_components and "pca" in methods:
        settings = [setting for setting in settings if setting.method == "pca"]  # nothing is lost on such a map
    if len(settings) == 1:
        seen = Compared(settings, [], [])
        ratings: Floats = np.zeros(1)
    else:
        truth = truth_of(some * scales_of(some, groups), seed)
        seen = compared(some, spaces, truth, settings, n_components, seed, n_threads)
        ratings = weighing.rate(values_of(seen.settings, seen.measures))
    best = int(ratings.argmax())
    setting = settings[best]
    space = spaces[setting.space]
    scaled = apply(space, rows)
    directions = linear_map(scaled, n_components) if setting.method == "pca" else None
    places = lay_out(setting, scaled, n_components, seed)
    return Choice(seen, ratings, best, ground_of(space, rows, places, directions))

"""What a table with classes teaches: its maps, measured without labels, with what each is worth.

A map is judged by three shares: how often the ten nearest rows on it tell a row's class (leave one out, a vote; of
equal votes the class of the nearest), how many of the ten nearest rows of the table it keeps, corrected for chance,
and how often of two rows the nearer stays the nearer. The judgement is half the first and a quarter of each other;
ten neighbours and these triplets are not among the measures that are weighed.
"""

from typing import NamedTuple

import numpy as np

from firstsight.selection.geometry import Floats, Ints, pairwise
from firstsight.selection.maps.choose import compared
from firstsight.selection.maps.layouts import METHODS, Setting, settings_for
from firstsight.selection.maps.measures import Truth, kept, order_of, scales_of, triplets_kept, truth_of
from firstsight.selection.maps.weighing import values_of
from firstsight.selection.spaces import learn_spaces

__all__ = ["WEIGHTS", "Judgement", "Lesson", "judged", "lesson_of"]

N_NEAREST = 10
WEIGHTS = (0.5, 0.25, 0.25)


class Judgement(NamedTuple):
    """What a map is worth, each 0 to 1: classes told by neighbours, neighbours kept, triplets kept."""

    classes: float
    neighbours: float
    triplets: float

    @property
    def total(self) -> float:
        """Their weighted mean."""
        return sum(weight * part for weight, part in zip(WEIGHTS, self, strict=True))


class Lesson(NamedTuple):
    """What one table teaches.

    Parameters
    ----------
    family : str
        Tables of one family are never on two sides of a fold.
    settings : list of Setting
        The proposals.
    values : ndarray of shape (n_proposals, n_names)
        What is weighed, see :func:`firstsight.selection.maps.weighing.values_of`.
    worth : ndarray of shape (n_proposals, 3)
        A :class:`Judgement` each.

    """

    family: str
    settings: list[Setting]
    values: Floats
    worth: Floats


def judged(truth: Truth, places: Floats, y: Ints) -> Judgement:
    """Judge a map (n_rows, n_components) of a table with classes y (n_rows,), numbered from 0."""
    distances = pairwise(places, places)
    order = order_of(distances)
    near = y[order[:, :N_NEAREST]]
    classes = np.arange(y.max() + 1)
    votes = (near[:, :, None] == classes).sum(1) + 0.5 * (near[:, :1] == classes)
    told = float((votes.argmax(1) == y).mean())
    return Judgement(told, float(kept(truth.order, order, N_NEAREST).mean()), triplets_kept(truth, distances))


def lesson_of(X: Floats, groups: Ints, y: Ints, *, family: str, seed: int) -> Lesson:
    """Lay out, measure and judge the maps of a table by all methods.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Different rows in an order that was drawn, ten or more; a column varies.
    groups : ndarray of shape (n_features,)
        Columns that come from one category have one number.
    y : ndarray of shape (n_rows,)
        Classes.
    family, seed
        As of the lesson; of what is random.

    Returns
    -------
    Lesson

    """
    spaces = learn_spaces(X, groups)
    scaled = X * scales_of(X, groups)
    settings = settings_for(len(X), 2, list(spaces), METHODS)
    seen = compared(X, spaces, truth_of(scaled, seed), settings, 2, seed, 1)
    other = truth_of(scaled, seed + 1)  # triplets that were not measured
    y = np.unique(y, return_inverse=True)[1].astype(np.int64)
    worth = np.array([judged(other, places, y) for places in seen.maps])
    return Lesson(family, settings, values_of(settings, seen.measures), worth)

"""Learn how to weigh the measures of maps: ridge regression of what maps are worth, within tables, over families."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from firstsight.checks import check_number
from firstsight.selection.geometry import Floats
from firstsight.selection.maps.lessons import WEIGHTS, Lesson
from firstsight.selection.maps.weighing import NAMES, Weighing

__all__ = ["Config", "Validation", "fit_weighing", "score"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the learning.

    Parameters
    ----------
    penalty : float
        Of squared weights, beside the mean squared error within a table, > 0.
    n_folds : int
        Of the cross-fitting, >= 2.
    methods : tuple of str
        Whose maps are chosen from when the cross-fitting is scored; all are learned from.

    """

    penalty: float = 5e-4
    n_folds: int = 5
    methods: tuple[str, ...] = ("pca", "tsne")

    def __post_init__(self) -> None:
        check_number("penalty", self.penalty, above=0)
        check_number("n_folds", self.n_folds, at_least=2, integer=True)


class Validation(NamedTuple):
    """How well weights choose, a value a lesson.

    Parameters
    ----------
    reached, possible : ndarray of shape (n_lessons,)
        Judgement of the map that is rated highest, and the best judgement.

    """

    reached: Floats
    possible: Floats


def fit_weighing(lessons: Sequence[Lesson], config: Config) -> tuple[Weighing, Validation]:
    """Learn from tables with classes.

    Parameters
    ----------
    lessons : sequence of Lesson
        Of as many families as there are folds, or more.
    config : Config
        Settings.

    Returns
    -------
    weighing : Weighing
        From all lessons.
    validation : Validation
        By cross-fitting over families.

    Raises
    ------
    ValueError
        When there are fewer families than folds.

    """
    families = sorted({lesson.family for lesson in lessons})
    if len(families) < config.n_folds:
        raise ValueError(f"lessons of {len(families)} families should be of >= n_folds={config.n_folds}; pass more")
    # Neighbours in the alphabet are of one kind: they are dealt out.
    fold = {family: place % config.n_folds for place, family in enumerate(families)}
    found: dict[int, tuple[float, float]] = {}
    for part in range(config.n_folds):
        inside = [place for place, lesson in enumerate(lessons) if fold[lesson.family] == part]
        others = [lesson for lesson in lessons if fold[lesson.family] != part]
        said = score(_learned(others, config.penalty), [lessons[place] for place in inside], config.methods)
        found |= dict(zip(inside, zip(said.reached.tolist(), said.possible.tolist(), strict=True), strict=True))
    both = np.array([found[place] for place in range(len(lessons))])
    return _learned(lessons, config.penalty), Validation(both[:, 0], both[:, 1])


def score(weighing: Weighing, lessons: Sequence[Lesson], methods: Sequence[str]) -> Validation:
    """What the maps are worth that are rated highest among those of some methods."""
    reached, possible = np.empty(len(lessons)), np.empty(len(lessons))
    for place, lesson in enumerate(lessons):
        offered = np.array([setting.method in methods for setting in lesson.settings])
        worth = np.where(offered, lesson.worth @ np.array(WEIGHTS), -np.inf)
        # Ratings have the same order whichever maps the values were centred over.
        reached[place] = worth[np.where(offered, weighing.rate(lesson.values), -np.inf).argmax()]
        possible[place] = worth.max()
    return Validation(reached, possible)


def _learned(lessons: Sequence[Lesson], penalty: float) -> Weighing:
    """Every table counts the same, however many maps it has."""
    square, product = penalty * np.eye(len(NAMES)), np.zeros(len(NAMES))
    for lesson in lessons:
        worth = lesson.worth @ np.array(WEIGHTS)
        share = 1 / (len(worth) * len(lessons))
        square += share * lesson.values.T @ lesson.values
        product += share * lesson.values.T @ (worth - worth.mean())
    return Weighing(weights=tuple(np.linalg.solve(square, product).tolist()))

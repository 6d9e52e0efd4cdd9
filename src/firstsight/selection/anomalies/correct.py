"""Correct a reader by a user's own past tables with known anomalies.

A small model learns what to add to the reader's log-odds of those tables' rows. How many of its trees are kept, none
at the least, is what serves tables best that it was not taught with. What it says of a new table counts the less, the
farther the table lies from the nearest past one: it has a weight of exp(-(distance / reach)^2 / 2), on facts of tables
in units of their spread.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from firstsight.selection.anomalies.lessons import Lesson, lesson_of
from firstsight.selection.anomalies.reader import Reader
from firstsight.selection.geometry import Floats
from firstsight.selection.matrix import learn_encoding, numbers_of

__all__ = ["corrected"]

FEWEST = 3
MOST_ROWS = 3000
N_TREES = (0, 10, 20, 40, 80)
TREES = {
    "objective": "binary", "learning_rate": 0.05, "num_leaves": 8, "feature_fraction": 0.3, "bagging_fraction": 0.7,
    "bagging_freq": 1, "min_data_in_leaf": 30, "lambda_l2": 5.0, "verbose": -1, "deterministic": True,
    "force_row_wise": True, "num_threads": 1, "seed": 0,
}  # fmt: skip


def corrected(reader: Reader, tables: Sequence[Any], truths: Sequence[Any]) -> Reader:
    """A reader that has seen a user's tables.

    Parameters
    ----------
    reader : Reader
        It is not changed.
    tables : sequence of DataFrame or ndarray of shape (n_rows, n_features)
        At least three with a column that varies, anomalies and normal rows.
    truths : sequence of array of shape (n_rows,)
        -1 for an anomaly, 1 for a normal row.

    Returns
    -------
    Reader

    Raises
    ------
    ValueError
        When numbers of tables and truths, or of rows and labels, differ, when labels are others than -1 and 1, and
        when fewer than three tables can be learned from.

    """
    if len(tables) != len(truths):
        raise ValueError(f"truths should be one for each of {len(tables)} tables; found {len(truths)}")
    lessons = []
    for place, (table, truth) in enumerate(zip(tables, truths, strict=True)):
        lesson = _lesson(place, table, np.asarray(truth))
        if lesson is not None:
            lessons.append(lesson)
    if len(lessons) < FEWEST:
        raise ValueError(
            f"tables should hold at least {FEWEST} with a column that varies, anomalies (-1) and normal rows (1); "
            f"found {len(lessons)}"
        )
    plain = replace(reader, correction="", homes=())
    said = [plain.odds(lesson.rows, clean=False) for lesson in lessons]
    errors = dict.fromkeys(N_TREES, 0.0)
    for out in range(len(lessons)):
        rest = [place for place in range(len(lessons)) if place != out]
        model = _fitted([lessons[place] for place in rest], [said[place] for place in rest], max(N_TREES))
        for count in N_TREES:
            errors[count] += _error(model, lessons[out], said[out], count)
    best = min(errors, key=lambda count: errors[count])
    if not best:
        return plain
    homes = tuple(tuple(reader.place(lesson.rows)[0].tolist()) for lesson in lessons)
    return replace(reader, correction=_fitted(lessons, said, best).model_to_string(), homes=homes)


def _lesson(place: int, table: Any, truth: NDArray[Any]) -> Lesson | None:
    if truth.shape != (len(table),):
        raise ValueError(f"truths[{place}] should have a label for each of {len(table)} rows; found {truth.shape}")
    if not np.isin(truth, (-1, 1)).all():
        raise ValueError(f"truths[{place}] should be -1 (anomaly) or 1 (normal); found {np.unique(truth)[:5]}")
    rows = np.random.default_rng(place).permutation(len(truth))[:MOST_ROWS]
    part = table.iloc[rows] if hasattr(table, "iloc") else np.asarray(table)[rows]
    y = (truth[rows] < 0).astype(np.int64)
    encoding = learn_encoding(part)
    if encoding is None or not 0 < y.sum() < len(y):
        return None
    return lesson_of(numbers_of(encoding, part), y, clean=False, family=str(place), seed=place, groups=encoding.groups)


def _fitted(lessons: Sequence[Lesson], said: Sequence[Floats], n_trees: int) -> lightgbm.Booster:
    weight = np.concatenate([lesson.weight for lesson in lessons])
    data = lightgbm.Dataset(
        np.concatenate([lesson.rows for lesson in lessons]), np.concatenate([lesson.y for lesson in lessons]),
        weight=weight * len(weight) / len(lessons), init_score=np.concatenate(said),
    )  # fmt: skip
    return lightgbm.train(TREES, data, n_trees)


def _error(model: lightgbm.Booster, lesson: Lesson, said: Floats, n_trees: int) -> float:
    """Log loss of a table, by weight."""
    added = model.predict(lesson.rows, raw_score=True, num_iteration=n_trees, num_threads=1) if n_trees else 0.0
    odds = said + np.asarray(added, np.float64)
    return float(lesson.weight @ np.logaddexp(0, np.where(lesson.y == 1, -odds, odds)))

"""Correct a judge by a user's own past tables, without touching what it says of other tables.

A small model learns, from the proposals of those tables, to order them better than the judge's ratings do. What it says
is added to the rating of a new table's proposals, weighted by how near the table is to the nearest past one: the weight
is exp(-(distance / reach)^2 / 2), on the facts of tables in units of their spread over the judge's own training.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from firstsight.selection.choose import Seen, rate
from firstsight.selection.crowd import crowd_of
from firstsight.selection.describe import Description
from firstsight.selection.judge import Judge
from firstsight.selection.learn import COMMON_TREES, ORDER_TREES, ranked
from firstsight.selection.lessons import Lesson, lesson_of
from firstsight.selection.matrix import learn_encoding, numbers_of
from firstsight.selection.portfolio import Proposal

__all__ = ["corrected"]

FEWEST = 3
MOST_ROWS = 1000
N_TREES = 80
TREES = COMMON_TREES | ORDER_TREES | {
    "learning_rate": 0.05, "num_leaves": 8, "min_data_in_leaf": 20, "feature_fraction": 0.3, "bagging_fraction": 0.7,
    "num_threads": 1, "seed": 0,
}  # fmt: skip


def corrected(judge: Judge, tables: Sequence[Any], truths: Sequence[Any]) -> Judge:
    """A judge that has seen a user's tables.

    Parameters
    ----------
    judge : Judge
        It is not changed.
    tables : sequence of DataFrame or ndarray of shape (n_rows, n_features)
        At least three that can be clustered.
    truths : sequence of array of shape (n_rows,)
        Their clusters; -1 and missing labels are noise.

    Returns
    -------
    Judge

    Raises
    ------
    ValueError
        When numbers of tables and truths, or of rows and labels, differ; when fewer than three tables have six rows
        or more, a column that varies and two clusters.

    """
    if len(tables) != len(truths):
        raise ValueError(f"truths should be one for each of {len(tables)} tables; found {len(truths)}")
    lessons = []
    for place, (table, truth) in enumerate(zip(tables, truths, strict=True)):
        codes = _codes(truth)
        if len(codes) != len(table):
            raise ValueError(f"truths[{place}] should have a label for each of {len(table)} rows; found {len(codes)}")
        rows = np.random.default_rng(place).permutation(len(codes))[:MOST_ROWS]
        part = table.iloc[rows] if hasattr(table, "iloc") else np.asarray(table)[rows]
        encoding = learn_encoding(part)
        if encoding is None or len(rows) < 6 or len(np.unique(codes[rows][codes[rows] >= 0])) < 2:
            continue
        numbers = numbers_of(encoding, part)
        lessons.append(lesson_of(numbers, encoding.groups, [codes[rows]], family=str(place), seed=place))
    if len(lessons) < FEWEST:
        raise ValueError(
            f"tables should hold at least {FEWEST} of six rows or more, with a column that varies and two clusters; "
            f"found {len(lessons)}"
        )
    rated = [rate(replace(judge, correction="", homes=()), _seen(lesson)) for lesson in lessons]
    rows_of_all = np.concatenate([r.rows for r in rated])
    reached = np.concatenate([lesson.reached for lesson in lessons])
    of = np.repeat(np.arange(len(lessons)), [len(lesson.reached) for lesson in lessons])
    said = np.concatenate([r.ratings for r in rated])
    model = lightgbm.train(TREES, ranked(rows_of_all, reached, of, rated[0].names, said), N_TREES)
    homes = tuple(tuple(judge.place(lesson.facts).tolist()) for lesson in lessons)
    return replace(judge, correction=model.model_to_string(), homes=homes)


def _seen(lesson: Lesson) -> Seen:
    proposals = [
        Proposal(algorithm, space, 0, labels.astype(np.int64))
        for (algorithm, space), labels in zip(lesson.origins, lesson.labels, strict=True)
    ]
    crowd = crowd_of([proposal.labels for proposal in proposals])
    return Seen(proposals, crowd, Description(lesson.clusters, lesson.partitions), lesson.facts)


def _codes(truth: Any) -> Any:
    """Labels as whole numbers; -1 and missing ones are -1."""
    codes, values = pd.factorize(np.asarray(truth), sort=False)
    noise = [place for place, value in enumerate(values) if isinstance(value, int | float | np.number) and value == -1]
    return np.where(np.isin(codes, noise), -1, codes).astype(np.int64)

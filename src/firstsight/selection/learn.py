"""Teach a judge from tables whose clusters are known.

Every table gives a *lesson* (:mod:`firstsight.selection.lessons`). Opinions of clusters, ratings
of proposals and calibrations are all learned by cross-fitting over families of tables: what a model says of a table
that later models or calibrations learn from, it says without having seen a table of that family.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from firstsight.checks import check_number
from firstsight.selection.crowd import outline_of
from firstsight.selection.geometry import Floats, Ints
from firstsight.selection.judge import Judge, Settings, calibrated, log_odds
from firstsight.selection.lessons import Lesson
from firstsight.selection.rows import cluster_opinions, cluster_rows, proposal_rows, table_row

__all__ = ["COMMON_TREES", "ORDER_TREES", "Config", "Validation", "fit_judge", "ranked"]

N_CLUSTERS = 200  # about so many clusters of a table are learned from
N_KNOTS = 21
N_LEVELS = 30  # steps of the index that the ranking tells apart
COMMON_TREES = {
    "objective": "regression", "bagging_freq": 1, "lambda_l2": 5.0, "verbose": -1, "deterministic": True,
    "force_row_wise": True,
}  # fmt: skip
CLUSTER_TREES = {
    "learning_rate": 0.08, "num_leaves": 32, "min_data_in_leaf": 200, "feature_fraction": 0.4, "bagging_fraction": 0.3,
}  # fmt: skip
QUALITY_TREES = {
    "learning_rate": 0.05, "num_leaves": 48, "min_data_in_leaf": 80, "feature_fraction": 0.35, "bagging_fraction": 0.6,
}  # fmt: skip
# Gains rise with the index itself; pairs count where one of them would be among the first ten.
ORDER_TREES = QUALITY_TREES | {
    "objective": "lambdarank", "label_gain": [float(level) for level in range(N_LEVELS + 1)],
    "lambdarank_truncation_level": 10,
}  # fmt: skip
TABLE_TREES = {
    "learning_rate": 0.05, "num_leaves": 16, "min_data_in_leaf": 20, "feature_fraction": 0.3, "bagging_fraction": 0.7,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the training.

    Parameters
    ----------
    n_trees_clusters, n_trees_order, n_trees_quality, n_trees_tables, n_trees_stray : int
        Trees of the models, >= 1.
    n_folds : int
        Of the cross-fitting, >= 2.
    seed : int
        >= 0.
    n_threads : int
        Of LightGBM, >= 1. Models are the same for any number.

    """

    n_trees_clusters: int = 200
    n_trees_order: int = 300
    n_trees_quality: int = 150
    n_trees_tables: int = 150
    n_trees_stray: int = 150
    n_folds: int = 3
    seed: int = 0
    n_threads: int = 2

    def __post_init__(self) -> None:
        for name in ("clusters", "order", "quality", "tables", "stray"):
            check_number(f"n_trees_{name}", getattr(self, f"n_trees_{name}"), at_least=1, integer=True)
        check_number("n_threads", self.n_threads, at_least=1, integer=True)
        check_number("n_folds", self.n_folds, at_least=2, integer=True)
        check_number("seed", self.seed, at_least=0, integer=True)


class Validation(NamedTuple):
    """What cross-fitting found, a value a lesson.

    Parameters
    ----------
    reached : ndarray of shape (n_lessons,)
        Adjusted Rand index of the proposal rated highest.
    possible : ndarray of shape (n_lessons,)
        The most that any proposal reached.
    quality : ndarray of shape (n_lessons,)
        What is said of it, not yet calibrated.
    k : ndarray of shape (n_lessons,)
        Its number of clusters.
    structured : ndarray of shape (n_lessons,)
        Calibrated probability of more than one cluster.

    """

    reached: Floats
    possible: Floats
    quality: Floats
    k: Ints
    structured: Floats


class Rows(NamedTuple):
    """Rows of many lessons, one under the other; those of a lesson have its number in ``of``."""

    names: list[str]
    values: NDArray[np.float32]
    of: Ints


def fit_judge(lessons: Sequence[Lesson], config: Config) -> tuple[Judge, Validation]:
    """Train a judge.

    Parameters
    ----------
    lessons : sequence of Lesson
        Tables with more than one cluster among them, of as many families as there are folds.
    config : Config
        Sizes of the models.

    Returns
    -------
    judge : Judge
        Trained on all lessons.
    validation : Validation
        By cross-fitting over families.

    """
    trainer = _Trainer(lessons, config)
    many = np.array([lesson.n_clusters.max() > 1 for lesson in lessons])
    weight = np.array([lesson.weight for lesson in lessons])

    clusters = _rows([cluster_rows(lesson.clusters, lesson.facts) for lesson in lessons])
    purity = np.concatenate([lesson.purity for lesson in lessons])
    recall = np.concatenate([lesson.recall for lesson in lessons])
    pure = trainer.cross(clusters, purity, weight * many, config.n_trees_clusters, CLUSTER_TREES)
    whole = trainer.cross(clusters, recall, weight * many, config.n_trees_clusters, CLUSTER_TREES)

    crowds = [outline_of(lesson.labels) for lesson in lessons]
    said = zip(lessons, crowds, _split(pure.said, clusters), _split(whole.said, clusters), strict=True)
    measures = [lesson.partitions | cluster_opinions(crowd, p, w) for lesson, crowd, p, w in said]
    proposals = _rows([proposal_rows(m, le.facts, le.origins) for m, le in zip(measures, lessons, strict=True)])
    reached = np.concatenate([lesson.reached for lesson in lessons])
    order = trainer.cross(proposals, reached, weight * many, config.n_trees_order, ORDER_TREES)
    quality = trainer.cross(proposals, reached, weight * many, config.n_trees_quality, QUALITY_TREES)

    ratings, qualities = _split(order.said, proposals), _split(quality.said, proposals)
    best = np.array([int(rating.argmax()) for rating in ratings])
    read = zip(measures, lessons, ratings, qualities, strict=True)
    tables = _rows([table_row(m, lesson.facts, r, q) for m, lesson, r, q in read])
    known = np.array([not lesson.classes for lesson in lessons])
    structure = trainer.cross(tables, many.astype(float), weight * known, config.n_trees_tables, TABLE_TREES)

    strays = _rows([(lesson.stray_names, lesson.stray_rows) for lesson in lessons])
    is_stray = np.concatenate([lesson.stray for lesson in lessons]).astype(float)
    stray = trainer.cross(strays, is_stray, weight * known, config.n_trees_stray, TABLE_TREES)

    top = np.array([said[place] for said, place in zip(qualities, best, strict=True)])
    got = np.array([lesson.reached[place] for lesson, place in zip(lessons, best, strict=True)])
    slope, shift = _calibration(structure.said[known], many[known], weight[known])
    rated, curves = _reached(top[many], got[many], weight[many])
    settings = Settings(
        cluster_rows=tuple(clusters.names), quality_rows=tuple(proposals.names), structure_rows=tuple(tables.names),
        stray_rows=tuple(strays.names), structure_slope=slope, structure_shift=shift, rated=rated, reached=curves[0],
        reached_low=curves[1], reached_high=curves[2],
        temperature=_temperature([(crowds[i].counts, ratings[i], lessons[i]) for i in np.flatnonzero(many).tolist()]),
        facts=tuple(lessons[0].facts),
        facts_middle=tuple(np.median([list(le.facts.values()) for le in lessons], axis=0).tolist()),
        facts_spread=tuple(_spread(np.array([list(le.facts.values()) for le in lessons])).tolist()),
    )  # fmt: skip
    judge = Judge(
        purity=pure.text, recall=whole.text, order=order.text, quality=quality.text, structure=structure.text,
        stray=stray.text, settings=settings,
    )  # fmt: skip
    k = np.array([crowd.counts[place] for crowd, place in zip(crowds, best, strict=True)])
    possible = np.array([lesson.reached.max() for lesson in lessons])
    return judge, Validation(got, possible, top, k, calibrated(structure.said, slope, shift))


class _Fitted(NamedTuple):
    """A model in text, and what models that did not see a row's family say of it."""

    text: str
    said: Floats


class _Trainer:
    """Cross-fitting over families.

    Parameters
    ----------
    lessons : sequence of Lesson
    config : Config

    """

    def __init__(self, lessons: Sequence[Lesson], config: Config) -> None:
        families = sorted({lesson.family for lesson in lessons})
        if len(families) < config.n_folds:
            raise ValueError(f"lessons should be of n_folds={config.n_folds} families or more; found {len(families)}")
        order = np.random.default_rng(config.seed).permutation(len(families))
        fold = {family: int(place) % config.n_folds for family, place in zip(families, order, strict=True)}
        self.fold = np.array([fold[lesson.family] for lesson in lessons])
        self.config = config

    def cross(self, rows: Rows, target: Floats, weight: Floats, n_trees: int, trees: dict[str, Any]) -> _Fitted:
        """Fit on all; and on all folds but one for each. Weights are those of the lessons, shared by their rows."""
        share = weight[rows.of] / np.bincount(rows.of, minlength=len(weight))[rows.of]
        said = np.empty(len(target))
        for fold in range(self.config.n_folds):
            inside = self.fold[rows.of] == fold
            model = self._fit(rows, target, np.where(inside, 0, share), n_trees, trees)
            said[inside] = model.predict(rows.values[inside], num_threads=self.config.n_threads)
        whole = self._fit(rows, target, share, n_trees, trees)
        return _Fitted(whole.model_to_string(importance_type="gain"), said)

    def _fit(self, rows: Rows, target: Floats, weight: Floats, n_trees: int, trees: dict[str, Any]) -> lightgbm.Booster:
        used = weight > 0
        if not used.any():
            raise ValueError("lessons should hold tables of more than one cluster in two folds or more; add some")
        if trees is CLUSTER_TREES:  # those of one table are much alike: some are enough
            rng = np.random.default_rng(self.config.seed)
            used &= rng.random(len(weight)) < (N_CLUSTERS / np.bincount(rows.of))[rows.of]
        settings = COMMON_TREES | trees | {"seed": self.config.seed, "num_threads": self.config.n_threads}
        if trees is ORDER_TREES:  # every table counts by its pairs
            return lightgbm.train(settings, ranked(rows.values[used], target[used], rows.of[used], rows.names), n_trees)
        data = lightgbm.Dataset(
            rows.values[used], target[used], weight=weight[used] / weight[used].mean(), feature_name=rows.names
        )
        return lightgbm.train(settings, data, n_trees)


def ranked(
    values: Floats, reached: Floats, of: Ints, names: list[str], start: Floats | None = None
) -> lightgbm.Dataset:
    """Rows of tables, one table after the other, for a model of their order; start is what is added to its ratings."""
    levels = np.clip(np.round(reached * N_LEVELS), 0, N_LEVELS).astype(np.int64)
    sizes = np.unique(of, return_counts=True)[1]
    return lightgbm.Dataset(values, levels, group=sizes, init_score=start, feature_name=names)


def _rows(parts: Sequence[tuple[list[str], Floats]]) -> Rows:
    values = [np.atleast_2d(part).astype(np.float32) for _, part in parts]
    return Rows(parts[0][0], np.concatenate(values), np.repeat(np.arange(len(values)), [len(part) for part in values]))


def _split(values: Floats, rows: Rows) -> list[Floats]:
    """Values of rows, lesson by lesson."""
    return np.split(values, np.cumsum(np.bincount(rows.of))[:-1])


def _calibration(said: Floats, truth: NDArray[np.bool_], weight: Floats) -> tuple[float, float]:
    """Slope and shift of the log-odds; as they are where all truths are one."""
    if truth.all() or not truth.any():
        return 1.0, 0.0
    fit = LogisticRegression(C=1e3).fit(log_odds(said)[:, None], truth, sample_weight=weight)
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def _reached(said: Floats, reached: Floats, weight: Floats) -> tuple[tuple[float, ...], list[tuple[float, ...]]]:
    """Knots of what is said, and on them the mean and the 5th and 95th percentile of what is reached, never falling."""
    order = np.argsort(said)
    said, reached, weight = said[order], reached[order], weight[order]
    mean = IsotonicRegression(out_of_bounds="clip").fit(said, reached, sample_weight=weight)
    knots = np.unique(np.quantile(said, np.linspace(0, 1, N_KNOTS)))
    width = max(20, len(said) // 10)
    low, high = [], []
    for knot in knots:
        first = int(np.clip(np.searchsorted(said, knot) - width // 2, 0, max(len(said) - width, 0)))
        window = reached[first : first + width]
        low.append(np.quantile(window, 0.05))
        high.append(np.quantile(window, 0.95))
    curves = [mean.predict(knots), np.maximum.accumulate(low), np.maximum.accumulate(high)]
    return tuple(knots.tolist()), [tuple(np.asarray(curve, float).tolist()) for curve in curves]


def _temperature(tables: Sequence[tuple[Ints, Floats, Lesson]]) -> float:
    """Of the softmax over ratings: what makes the right numbers of clusters likeliest."""

    def loss(temperature: float) -> float:
        total = 0.0
        for counts, ratings, lesson in tables:
            numbers = np.unique(counts)
            best = np.array([ratings[counts == number].max() for number in numbers])
            weight = np.exp((best - best.max()) / temperature)
            right = weight[np.isin(numbers, lesson.n_clusters)].sum() / weight.sum()
            total -= lesson.weight * np.log(max(right, 1e-3))
        return total

    return float(min(np.geomspace(0.02, 10, 25).tolist(), key=loss))


def _spread(facts: Floats) -> Floats:
    return np.maximum(np.quantile(facts, 0.9, axis=0) - np.quantile(facts, 0.1, axis=0), 1e-6)

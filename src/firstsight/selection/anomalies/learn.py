"""Teach a reader from tables whose anomalies are known.

Every table gives *lessons* (:mod:`firstsight.selection.anomalies.lessons`), all of the same weight. Calibrations are
learned by cross-fitting over families of tables: from what models say of tables of which they have seen no relative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from firstsight.checks import check_number
from firstsight.selection.anomalies.lessons import Lesson
from firstsight.selection.anomalies.reader import Reader, Settings, plain_of, probability_of
from firstsight.selection.geometry import Floats
from firstsight.selection.judge import log_odds

__all__ = ["Config", "fit_reader"]

ROW_TREES = {
    "objective": "binary", "learning_rate": 0.03, "num_leaves": 16, "feature_fraction": 0.15, "bagging_fraction": 0.5,
    "bagging_freq": 1, "min_data_in_leaf": 200, "min_sum_hessian_in_leaf": 5.0, "lambda_l2": 5.0, "verbose": -1,
    "deterministic": True, "force_row_wise": True,
}  # fmt: skip
NINE_IN_TEN = (0.05, 0.95)
CALLED = 4 / 3  # times the mean share of anomalies: what is less likely an anomaly is not called one


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the training.

    Parameters
    ----------
    n_trees : int
        Of each model, >= 1.
    n_folds : int
        Of the cross-fitting, >= 2.
    seed : int
        >= 0.
    n_threads : int
        Of LightGBM, >= 1.

    """

    n_trees: int = 400
    n_folds: int = 3
    seed: int = 0
    n_threads: int = 2

    def __post_init__(self) -> None:
        for name in ("n_trees", "n_threads"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        check_number("n_folds", self.n_folds, at_least=2, integer=True)
        check_number("seed", self.seed, at_least=0, integer=True)


class _Said(NamedTuple):
    """What was said of a lesson by models that have not seen its family: log-odds of its rows."""

    lesson: Lesson
    odds: Floats


def _fit_rows(lessons: Sequence[Lesson], config: Config) -> lightgbm.Booster:
    """A model of rows; every lesson has the same weight, and within it every row what it stands for."""
    rows = np.concatenate([lesson.rows for lesson in lessons])
    y = np.concatenate([lesson.y for lesson in lessons])
    weight = np.concatenate([lesson.weight for lesson in lessons]) * (len(y) / len(lessons))
    settings = ROW_TREES | {"seed": config.seed, "num_threads": config.n_threads}
    return lightgbm.train(settings, lightgbm.Dataset(rows, y, weight=weight), config.n_trees)


def fit_reader(lessons: Sequence[Lesson], config: Config) -> tuple[Reader, dict[str, Any]]:
    """Train a reader.

    Parameters
    ----------
    lessons : sequence of Lesson
        Of clean and of contaminated tables.
    config : Config
        Settings.

    Returns
    -------
    reader : Reader
    figures : dict of str to float
        Cross-fitted, by kind of lesson: mean AUROC and average precision, and how good the shares are.

    """
    kinds = {
        "contaminated": [lesson for lesson in lessons if not lesson.clean],
        "clean": [lesson for lesson in lessons if lesson.clean],
    }
    texts: dict[str, str] = {}
    calibration: dict[str, tuple[float, float]] = {}
    figures: dict[str, float] = {}
    for kind, mine in kinds.items():
        said = _cross_fitted(mine, config)
        if kind == "contaminated":
            plain = _equal_part(said)
            said = [one._replace(odds=one.odds + plain * plain_of(one.lesson.names, one.lesson.rows)) for one in said]
        calibration[kind] = _calibration(said)
        figures |= {f"{kind}_{name}": value for name, value in _scores(said).items()}
        texts[kind] = _fit_rows(mine, config).model_to_string()
        if kind == "contaminated":
            shares, more = _shares(said, calibration[kind])
            figures |= more
    settings = Settings(
        row_names=tuple(lessons[0].names),
        plain=plain,
        contaminated_slope=calibration["contaminated"][0],
        contaminated_shift=calibration["contaminated"][1],
        clean_slope=calibration["clean"][0],
        clean_shift=calibration["clean"][1],
        **shares,
    )
    return Reader(texts["contaminated"], texts["clean"], settings), figures


def _folds(lessons: Sequence[Lesson], config: Config) -> list[int]:
    families = sorted({lesson.family for lesson in lessons})
    dealt = np.random.default_rng(config.seed).permutation(len(families)) % config.n_folds
    fold = dict(zip(families, dealt.tolist(), strict=True))
    return [fold[lesson.family] for lesson in lessons]


def _cross_fitted(lessons: Sequence[Lesson], config: Config) -> list[_Said]:
    """Each lesson with the log-odds of models that have not seen its family."""
    fold = _folds(lessons, config)
    found: dict[int, _Said] = {}
    for out in range(config.n_folds):
        model = _fit_rows([lesson for lesson, mine in zip(lessons, fold, strict=True) if mine != out], config)
        for place, (lesson, mine) in enumerate(zip(lessons, fold, strict=True)):
            if mine == out:
                odds = model.predict(lesson.rows, raw_score=True, num_threads=config.n_threads)
                found[place] = _Said(lesson, np.asarray(odds, np.float64))
    return [found[place] for place in range(len(lessons))]


def _equal_part(said: Sequence[_Said]) -> float:
    """The weight with which the mean of six varies over rows as much as the log-odds do."""
    weight = np.concatenate([one.lesson.weight for one in said])
    both = (
        np.concatenate([one.odds for one in said]),
        np.concatenate([plain_of(one.lesson.names, one.lesson.rows) for one in said]),
    )
    odds, plain = (np.sqrt(np.cov(values, aweights=weight)) for values in both)
    return float(odds / plain)


def _calibration(said: list[_Said]) -> tuple[float, float]:
    """Slope and shift of the log-odds (Platt 1999), every lesson of one weight; of real tables, if any."""
    said = [one for one in said if not _made(one.lesson)] or said
    odds = np.concatenate([one.odds for one in said])[:, None]
    y = np.concatenate([one.lesson.y for one in said])
    weight = np.concatenate([one.lesson.weight for one in said])
    model = LogisticRegression(C=np.inf).fit(odds, y, sample_weight=weight * len(y))
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def _made(lesson: Lesson) -> bool:
    return lesson.family.startswith("synthetic/")


def _scores(said: Sequence[_Said]) -> dict[str, float]:
    """Mean AUROC and average precision, of real and of made tables."""
    found: dict[str, float] = {}
    for kind in ("real", "made"):
        mine = [one for one in said if one.lesson.y.any() and _made(one.lesson) == (kind == "made")]
        for name, score in (("auroc", roc_auc_score), ("ap", average_precision_score)):
            values = [score(one.lesson.y, one.odds, sample_weight=one.lesson.weight) for one in mine]
            found |= {f"{name}_{kind}": float(np.mean(values))} if values else {}
    return found


def _shares(said: Sequence[_Said], calibration: tuple[float, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Settings: how far the share of anomalies is from the mean probability, and what is likely enough to be called.

    Figures: how often the mean probability is within a factor of 2 of the share.
    """
    some = [one for one in said if one.lesson.y.any() and not _made(one.lesson)]
    some = some or [one for one in said if one.lesson.y.any()]
    slope, shift = calibration
    guess = np.array([one.lesson.weight @ probability_of(slope * one.odds + shift) for one in some])
    share = np.array([one.lesson.weight @ one.lesson.y for one in some])
    below, above = np.quantile(log_odds(share) - log_odds(guess), NINE_IN_TEN)
    settings = {
        "share_below": float(max(-below, 0)),
        "share_above": float(max(above, 0)),
        "least_called": float(min(CALLED * share.mean(), 1)),
    }
    return settings, {"share_within_2": float((np.abs(np.log(guess / share)) <= np.log(2)).mean())}

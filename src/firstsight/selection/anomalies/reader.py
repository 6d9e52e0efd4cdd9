"""The reader: gradient-boosted trees that say, from all views of a row at once, how likely it is an anomaly.

Two models of LightGBM (Ke et al. 2017), meta-learned over tables with known anomalies: *contaminated* reads rows of a
table that holds its anomalies, *clean* rows against reference rows that are all normal. What the first says is joined
in equal parts with the mean of six views of different kinds, which nothing was taught and which therefore has no habits
of the tables that were trained on. Log-odds are calibrated on tables that were not trained on.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from firstsight.selection.geometry import Floats
from firstsight.selection.judge import log_odds
from firstsight.selection.models import checked_model, read_models, write_models

__all__ = ["MODELS", "Reader", "Settings", "offset_of", "plain_of", "probability_of"]

MODELS = ("contaminated", "clean")
SETTINGS = "reader.json"
PLAIN = ("near_10", "isolation", "rare", "mahalanobis_whole", "deviation", "tails_skewed")  # distances of these views

# Facts by which tables of one kind are told, whatever their number of rows, with the width from the 10th to the 90th
# percentile over the training sides of real tables. Tails differ too much between two samples of one table.
FACTS = {
    "log_columns": 1.8, "effective_dimensions": 0.74, "first_component": 0.44, "few_values": 0.66, "two_values": 0.3,
    "different_rows": 0.63,
}  # fmt: skip
REACH = 0.07  # root mean square of the facts' distance at which a correction counts for six tenths


def probability_of(odds: Floats) -> Floats:
    """Of log-odds."""
    return np.asarray(1 / (1 + np.exp(-odds)))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What was set on meta-validation.

    Parameters
    ----------
    row_names : tuple of str
        Of the values of a row, in order.
    plain : float
        Weight of the mean of six beside the log-odds of *contaminated*, >= 0.
    contaminated_slope, contaminated_shift, clean_slope, clean_shift : float
        Logistic calibration of the rows' log-odds.
    share_below, share_above : float
        Nine in ten tables with anomalies have log-odds of their share at most so far below and above those of the mean
        probability, >= 0; one in twenty is lower, one in twenty higher.
    least_called : float
        What is less likely an anomaly is not called one, from 0 to 1.

    """

    row_names: tuple[str, ...]
    plain: float = 0.0
    contaminated_slope: float = 1.0
    contaminated_shift: float = 0.0
    clean_slope: float = 1.0
    clean_shift: float = 0.0
    share_below: float = 1.0
    share_above: float = 1.0
    least_called: float = 0.0


@dataclass(frozen=True)
class Reader:
    """Two models and their calibration; immutable, equal when its texts are, saved without pickle.

    Parameters
    ----------
    contaminated, clean : str
        Models in LightGBM's text format.
    settings : Settings
        Their calibration.
    correction : str
        A model that a user's own tables taught, see :mod:`firstsight.selection.anomalies.correct`; empty without.
    homes : tuple of tuple of float
        Where those tables lie, as :meth:`place` gives it; without any the correction counts for every table.

    """

    contaminated: str = field(repr=False)
    clean: str = field(repr=False)
    settings: Settings = field(repr=False)
    correction: str = field(default="", repr=False)
    homes: tuple[tuple[float, ...], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in MODELS:
            checked_model(name, getattr(self, name))
        if self.correction:
            checked_model("correction", self.correction)
        if not isinstance(self.settings, Settings):
            raise TypeError(f"settings should be Settings; found {type(self.settings).__name__}")

    @cached_property
    def _models(self) -> dict[str, lightgbm.Booster]:
        names = (*MODELS, "correction") if self.correction else MODELS
        return {name: lightgbm.Booster(model_str=getattr(self, name)) for name in names}

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in (*MODELS, "settings", "correction", "homes")}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Reader":
        return self  # immutable, so that scikit-learn's clone passes it on

    def check(self, names: list[str]) -> None:
        """Refuse rows whose values are others than the models read."""
        if tuple(names) != self.settings.row_names:
            other = sorted(set(names) ^ set(self.settings.row_names))
            raise ValueError(f"the models read other values than were described: {other[:5]}; train them again")

    def odds(self, rows: NDArray[np.float32], *, clean: bool, threads: int = 1) -> Floats:
        """Calibrated log-odds of being an anomaly, of rows (n_rows, n_values)."""
        name = "clean" if clean else "contaminated"
        raw = np.asarray(self._models[name].predict(rows, raw_score=True, num_threads=threads), np.float64)
        if not clean:
            raw += self.settings.plain * plain_of(self.settings.row_names, rows)
        slope, shift = (getattr(self.settings, f"{name}_{what}") for what in ("slope", "shift"))
        odds = slope * raw + shift
        if self.correction:
            added = np.asarray(self._models["correction"].predict(rows, raw_score=True, num_threads=threads))
            odds += self._nearness(rows) * added
        return np.asarray(odds)

    def share_of(self, probability: Floats) -> tuple[float, float, float]:
        """Share of anomalies among rows of which this is said, with the range that holds nine tables in ten."""
        middle = log_odds(np.array(probability.mean()))
        away = (0.0, -self.settings.share_below, self.settings.share_above)
        mean, low, high = (float(probability_of(middle + one)) for one in away)
        return mean, low, high

    def share_called(self, probability: Floats) -> float:
        """Share of these rows that are anomalies to the reader: the likelier part, where that is likely enough."""
        return float((probability > max(_parting(probability), self.settings.least_called)).mean())

    def reasons(self, rows: NDArray[np.float32], *, clean: bool) -> Floats:
        """What each value of a row adds to its log-odds (of the trees SHAP values), (n_rows, n_values)."""
        name = "clean" if clean else "contaminated"
        found = self._contributions(name, rows)
        if not clean:
            six = _plain_places(self.settings.row_names)
            found[:, six] += self.settings.plain * rows[:, six] / len(six)
        found *= getattr(self.settings, f"{name}_slope")
        if self.correction:
            found += self._nearness(rows)[:, None] * self._contributions("correction", rows)
        return np.asarray(found)

    def place(self, rows: NDArray[np.float32]) -> Floats:
        """Where the table of rows (n_rows, n_values) lies: facts over their spread, (1, n_facts); none of no rows."""
        places = [self.settings.row_names.index(name) for name in FACTS]
        return np.asarray(rows[:1, places].astype(np.float64) / np.array(list(FACTS.values())))

    def _nearness(self, rows: NDArray[np.float32]) -> Floats:
        """What the correction counts for the table of these rows, (1,): 1 at one of those that it learned from."""
        if not self.homes:
            return np.ones(1)
        squares = ((self.place(rows)[:, None] - np.array(self.homes)) ** 2).mean(-1)
        return np.asarray(np.exp(-0.5 * squares.min(1) / REACH**2))

    def _contributions(self, name: str, rows: NDArray[np.float32]) -> Floats:
        return np.asarray(self._models[name].predict(rows, pred_contrib=True, num_threads=1), np.float64)[:, :-1]

    def save(self, folder: str | PathLike[str]) -> None:
        """Write a text file for each model and ``reader.json`` into a folder, which is made."""
        stored = asdict(self.settings)
        if self.correction:
            stored |= {"correction": self.correction, "homes": self.homes}
        write_models(folder, {name: getattr(self, name) for name in MODELS}, SETTINGS, stored)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> "Reader":
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError, ValueError
            When a file is missing or is not what it should be.

        """
        models, stored = read_models(folder, MODELS, SETTINGS)
        correction = stored.pop("correction", "")
        homes = tuple(tuple(home) for home in stored.pop("homes", ()))
        try:
            settings = Settings(**stored)
        except TypeError as error:
            raise ValueError(f"{Path(folder) / SETTINGS} should hold a reader's settings; {error}") from None
        return cls(**models, settings=settings, correction=correction, homes=homes)


def offset_of(scores: Floats, share: float) -> float:
    """Below it is the share of scores, one at the least, as nearly as equal ones allow: they are called together."""
    last = float(np.quantile(scores, share, method="lower"))
    wanted = max(share, 1 / len(scores))
    with_last, without = (scores <= last).mean(), (scores < last).mean()
    return float(np.nextafter(last, np.inf)) if with_last - wanted <= wanted - without else last


def _parting(values: Floats) -> float:
    """The highest value of the lower part, where two parts differ most in their means (Otsu 1979)."""
    ordered = np.sort(values)
    n_low = np.arange(1, len(ordered))
    n_high, sums = len(ordered) - n_low, np.cumsum(ordered)
    gap = (sums[-1] - sums[:-1]) / n_high - sums[:-1] / n_low
    return float(ordered[(n_low * n_high * gap**2).argmax()])


def plain_of(names: Sequence[str], rows: NDArray[np.float32]) -> Floats:
    """The mean of six distances of rows (n_rows, n_values) with these names, (n_rows,)."""
    return np.asarray(rows[:, _plain_places(names)].mean(1), np.float64)


def _plain_places(names: Sequence[str]) -> list[int]:
    return [list(names).index(f"distance of {name}") for name in PLAIN]

"""The judge: gradient-boosted trees that rate proposals by what they would score against the truth.

Six models of LightGBM (Ke et al. 2017), meta-learned over tables with known clusters. *purity* and *recall* read a
cluster's row and predict which share of it is of one true cluster, and which share of that one it holds. *order* reads
a proposal's row, with these opinions in it, and rates it against the table's others (LambdaMART, Burges 2010);
*quality* reads the same and predicts the adjusted Rand index that the proposal reaches if the table has clusters at
all; *structure* reads the table's facts and its best-rated proposals and says how likely it has any; *stray* reads a
row of the table within the chosen partition and says how likely it belongs to no cluster. What they say is
calibrated on tables they were not trained on.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from firstsight.selection.geometry import Floats
from firstsight.selection.models import checked_model, read_models, write_models

__all__ = ["MODELS", "Judge", "Settings", "calibrated", "log_odds"]

MODELS = ("purity", "recall", "order", "quality", "structure", "stray")
READS = {"purity": "cluster", "recall": "cluster", "order": "quality"}
SETTINGS = "judge.json"
REACH = 0.1  # root mean square of the facts' distance at which a correction counts for six tenths
FAR = 4.0  # widths from the 10th to the 90th percentile


def log_odds(probability: Floats) -> Floats:
    """Of probabilities, which are kept a millionth away from 0 and 1."""
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def calibrated(probability: Floats, slope: float, shift: float) -> Floats:
    """Probabilities whose log-odds are stretched and shifted (Platt 1999)."""
    return np.asarray(1 / (1 + np.exp(-(slope * log_odds(probability) + shift))))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What was set on meta-validation.

    Parameters
    ----------
    cluster_rows, quality_rows, structure_rows, stray_rows : tuple of str
        Names of what the models read, in order; purity and recall read the same, and order and quality.
    temperature : float
        By which ratings are divided before their softmax over the best proposal of each k is its posterior, > 0.
    structure_slope, structure_shift : float
        Logistic calibration of the structure's log-odds.
    rated : tuple of float
        What *quality* says of chosen proposals, ascending.
    reached, reached_low, reached_high : tuple of float
        What such proposals reach: mean, 5th and 95th percentile.
    facts : tuple of str
        Facts of a table by which it is told whether the judge has seen its like.
    facts_middle, facts_spread : tuple of float
        Their median over the tables of the training, and the width from the 10th to the 90th percentile.

    """

    cluster_rows: tuple[str, ...]
    quality_rows: tuple[str, ...]
    structure_rows: tuple[str, ...]
    stray_rows: tuple[str, ...]
    temperature: float = 0.05
    structure_slope: float = 1.0
    structure_shift: float = 0.0
    rated: tuple[float, ...] = (0.0, 1.0)
    reached: tuple[float, ...] = (0.0, 1.0)
    reached_low: tuple[float, ...] = (0.0, 1.0)
    reached_high: tuple[float, ...] = (0.0, 1.0)
    facts: tuple[str, ...] = ()
    facts_middle: tuple[float, ...] = ()
    facts_spread: tuple[float, ...] = ()


@dataclass(frozen=True)
class Judge:
    """Six models and their calibration; immutable, equal when its texts are, saved without pickle.

    Parameters
    ----------
    purity, recall, order, quality, structure, stray : str
        Models in LightGBM's text format.
    settings : Settings
        Their calibration.
    correction : str
        A model that a user's own tables taught, see :mod:`firstsight.selection.correct`; empty without.
    homes : tuple of tuple of float
        Where those tables lie, as :meth:`place` gives it.

    """

    purity: str
    recall: str
    order: str
    quality: str
    structure: str
    stray: str
    settings: Settings
    correction: str = ""
    homes: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        for name in MODELS:
            checked_model(name, getattr(self, name))
        if not isinstance(self.settings, Settings):
            raise TypeError(f"settings should be Settings; found {type(self.settings).__name__}")

    @cached_property
    def _models(self) -> dict[str, lightgbm.Booster]:
        names = (*MODELS, "correction") if self.correction else MODELS
        return {name: lightgbm.Booster(model_str=getattr(self, name)) for name in names}

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in (*MODELS, "settings", "correction", "homes")}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Judge":
        return self  # immutable, so that scikit-learn's clone passes it on

    def predict(self, model: str, names: list[str], rows: Floats) -> Floats:
        """What a model says of rows (n, n_values) with these names, (n,); threads are those of the caller."""
        wanted = getattr(self.settings, f"{READS.get(model, model)}_rows")
        if tuple(names) != wanted:
            other = sorted(set(names) ^ set(wanted))
            raise ValueError(f"the {model} model reads other values than were described: {other[:5]}; train it again")
        return np.asarray(self._models[model].predict(rows, num_threads=1), np.float64)

    def rate(self, names: list[str], rows: Floats, facts: dict[str, float]) -> Floats:
        """Ratings of a table's proposals from their rows (n_proposals, n_values), corrected near home."""
        ratings = self.predict("order", names, rows)
        if not self.correction:
            return ratings
        squares = ((np.array(self.homes) - self.place(facts)) ** 2).mean(1)
        near = float(np.exp(-0.5 * squares.min() / REACH**2))
        return ratings + near * np.asarray(self._models["correction"].predict(rows, num_threads=1), np.float64)

    def place(self, facts: dict[str, float]) -> Floats:
        """Where a table lies: its facts from their median, in units of their spread, at most four."""
        settings = self.settings
        values = np.array([facts[name] for name in settings.facts])
        return np.asarray(
            np.clip((values - np.array(settings.facts_middle)) / np.array(settings.facts_spread), -FAR, FAR)
        )

    def reasons(self, names: list[str], rows: Floats) -> Floats:
        """What each value of a proposal's row adds to its rating (SHAP values of the trees), (n, n_values)."""
        found = np.asarray(self._models["order"].predict(rows, pred_contrib=True, num_threads=1), np.float64)
        return found[:, : len(names)]

    def structured(self, names: list[str], row: Floats) -> float:
        """Probability that a table has more than one cluster, from its row (n_values,)."""
        said = self.predict("structure", names, row[None])
        return float(calibrated(said, self.settings.structure_slope, self.settings.structure_shift)[0])

    def expected(self, said: float) -> tuple[float, float, float]:
        """Mean, 5th and 95th percentile, >= 0, of the index that a chosen proposal of which this is said reaches."""
        rated = self.settings.rated
        curves = (self.settings.reached, self.settings.reached_low, self.settings.reached_high)
        mean, low, high = (max(float(np.interp(said, rated, curve)), 0.0) for curve in curves)
        return mean, low, high

    def unlike(self, facts: dict[str, float]) -> list[str]:
        """Facts of a table that lie far outside those of the tables that were learned from."""
        settings = self.settings
        stored = zip(settings.facts, settings.facts_middle, settings.facts_spread, strict=True)
        return [name.replace("_", " ") for name, middle, spread in stored if abs(facts[name] - middle) > FAR * spread]

    def save(self, folder: str | PathLike[str]) -> None:
        """Write a text file for each model and ``judge.json`` into a folder, which is made."""
        stored = asdict(self.settings)
        if self.correction:
            stored |= {"correction": self.correction, "homes": self.homes}
        write_models(folder, {name: getattr(self, name) for name in MODELS}, SETTINGS, stored)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> "Judge":
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
            raise ValueError(f"{Path(folder) / SETTINGS} should hold a judge's settings; {error}") from None
        return cls(**models, settings=settings, correction=correction, homes=homes)

"""How much each measure counts: a linear rating of a table's maps, learned from tables with classes.

A rating is the expected judgement of a map, less the mean over the table's maps: half the accuracy of
nearest neighbours among classes that the map was made without, a quarter the neighbours kept, a quarter the triplets
kept (:mod:`firstsight.selection.maps.lessons`). It is linear in the measures, centred within the table, and in marks of
the method and the scaling.
"""

import json
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from firstsight.selection.geometry import Floats
from firstsight.selection.maps.layouts import METHODS, Setting
from firstsight.selection.maps.measures import MEASURES

__all__ = ["NAMES", "Weighing", "values_of"]

FILE = "weighing.json"
SCALINGS = ("normal", "common")
NAMES = (*MEASURES, *METHODS[1:], *SCALINGS)


def values_of(settings: list[Setting], measures: list[dict[str, float]]) -> Floats:
    """What is weighed of a table's maps, (n_maps, n_names): measures and marks, less their means."""
    rows = [
        [found[name] for name in MEASURES]
        + [float(setting.method == method) for method in METHODS[1:]]
        + [float(setting.space == space) for space in SCALINGS]
        for setting, found in zip(settings, measures, strict=True)
    ]
    values = np.array(rows, np.float64)
    return np.asarray(values - values.mean(0))


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """Weights of measures; immutable.

    Parameters
    ----------
    weights : tuple of float
        Of ``NAMES``, in order.

    """

    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        numbers = all(isinstance(weight, int | float) and np.isfinite(weight) for weight in self.weights)
        if not numbers or len(self.weights) != len(NAMES):
            raise ValueError(f"weights should be {len(NAMES)} finite numbers; found {self.weights!r}; train them again")

    def __deepcopy__(self, memo: dict[int, object]) -> "Weighing":
        return self  # immutable, so that scikit-learn's clone passes it on

    def rate(self, values: Floats) -> Floats:
        """Ratings of a table's maps (n_maps, n_names), (n_maps,)."""
        return np.asarray(values @ np.array(self.weights))

    def save(self, folder: str | PathLike[str]) -> None:
        """Write ``weighing.json`` into a folder, which is made."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        stored = {"names": NAMES, **asdict(self)}
        (folder / FILE).write_text(json.dumps(stored, indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> "Weighing":
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileNotFoundError, ValueError
            When the file is missing or is not what it should be.

        """
        path = Path(folder) / FILE
        if not path.is_file():
            raise FileNotFoundError(f"{folder} should hold a saved weighing; it lacks {FILE}")
        try:
            stored = json.loads(path.read_text())
            names, weights = tuple(stored["names"]), tuple(stored["weights"])
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} should hold names and weights; {error!r}") from None
        if names != NAMES:
            raise ValueError(f"{path} should weigh {NAMES}; found {names}: train it again")
        return cls(weights=weights)

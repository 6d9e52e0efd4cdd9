"""Say in words what map was chosen, how far it is right, and what is not to be read from it."""

import numpy as np
import pandas as pd

from firstsight.selection.maps.choose import Choice
from firstsight.selection.maps.layouts import NAMES
from firstsight.selection.maps.measures import MEASURES

__all__ = ["explained", "table_of"]

NEAR_ONLY = "Read neighbours and groups from it, not distances between far groups, nor how large or dense groups are."
CAUTIONS = {
    "pca": "Distances can be read from it, but rows that differ in other directions only lie on top of one another.",
    "tsne": NEAR_ONLY,
    "umap": NEAR_ONLY,
    "pacmap": "Read neighbours and groups from it, distances between far groups with care, not how dense groups are.",
}


def table_of(choice: Choice | None) -> pd.DataFrame:
    """A row for each proposal, rated highest first; without measures where there was one proposal only."""
    columns = ["method", "setting", "scaling", *MEASURES, "rating"]
    if choice is None:
        return pd.DataFrame(columns=columns)
    rows = []
    for place in np.argsort(-choice.ratings, kind="stable"):
        setting = choice.compared.settings[place]
        measures = choice.compared.measures[place] if choice.compared.measures else dict.fromkeys(MEASURES, np.nan)
        row = (NAMES[setting.method], setting.name, setting.space, *measures.values(), float(choice.ratings[place]))
        rows.append(row)
    return pd.DataFrame(rows, columns=columns)


def explained(choice: Choice | None, near: float, far: float, plain: str) -> str:
    """Plain sentences on the map: what, how faithful, what not to conclude."""
    if choice is None:
        return f"All rows are in one place: {plain}."
    settings = choice.compared.settings
    setting = settings[choice.best]
    chosen = f", rated best of {len(settings)} maps" if len(settings) > 1 else ""
    return (
        f"{setting.name}{chosen}. It keeps {near:.0%} of each row's 15 nearest rows, corrected for chance, and of two "
        f"rows the one nearer to a third is the nearer on it {(1 + far) / 2:.0%} of the time. "
        f"{CAUTIONS[setting.method]}"
    )

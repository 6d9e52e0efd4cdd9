"""A density in words."""

import numpy as np

from firstsight.columns.fits import listed
from firstsight.density.cells import Cells
from firstsight.density.stack import Density


def explained(cells: Cells, density: Density | None) -> str:
    """What the density is made of, what its columns are taken for, and what it leaves out."""
    left = _left_out(cells)
    if density is None:
        return f"No column varies, so every row is as likely as any other.{left}"
    weights = np.exp(density.log_weights)
    parts = [f"{expert.name} ({weight:.0%})" for expert, weight in zip(density.experts, weights, strict=True)]
    kinds = []
    for word, places in (("number", cells.numbers), ("category", cells.categories)):
        names = [cells.columns[place].column.name for place in places]
        if names:
            kinds.append(f"{len(names)} taken as {word} ({listed(names)})")
    what = f"a mixture of {len(parts)} experts" if len(parts) > 1 else "that of one expert"
    text = f"The density is {what}: {'; '.join(parts)}. Columns: {', '.join(kinds)}."
    if len(parts) > 1:
        text += " Weights are those that make rows likeliest that the experts had not seen."
    return text + left


def _left_out(cells: Cells) -> str:
    texts = [column.name for column in cells.left_out if column.kind == "text"]
    plain = [column.name for column in cells.left_out if column.kind != "text"]
    said = f" Left out, as they do not vary or are missing nearly everywhere: {listed(plain)}." if plain else ""
    return said + (f" Left out, as they are texts: {listed(texts)}." if texts else "")

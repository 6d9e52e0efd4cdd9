"""Numbers as people write them: with a currency, a percent sign, or commas between thousands."""

import re

import numpy as np
from numpy.typing import NDArray

__all__ = ["figures"]

LARGEST = 1e100  # as of numbers that are written plainly
SIGNS = "€$£¥₹"
WRITTEN = re.compile(
    rf"(?P<minus>[-\u2212(]?)\s*(?:[{SIGNS}]|USD|EUR|GBP|CHF)?\s*(?P<inner>[-\u2212]?)"
    rf"(?P<digits>\d{{1,3}}(?:[, '\u00a0\u202f]\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    rf"\s*(?:[{SIGNS}%]|USD|EUR|GBP|CHF)?\s*\)?"
)


def figures(labels: list[str]) -> NDArray[np.float64]:
    """What texts say as numbers, NaN where they are none; shape (n_labels,).

    ``"$1,200.50"`` is 1200.5, ``"(12 %)"`` is -12, ``"1 000 €"`` is 1000. A percent sign does not divide.

    Examples
    --------
    >>> figures(["$1,200.50", "(12 %)", "1 000 €", "12 apples"]).tolist()
    [1200.5, -12.0, 1000.0, nan]

    """
    found = np.full(len(labels), np.nan)
    for place, label in enumerate(labels):
        match = WRITTEN.fullmatch(label.strip())
        if match:
            digits = re.sub(r"[, '\u00a0\u202f]", "", match["digits"])
            number = -float(digits) if match["minus"] or match["inner"] else float(digits)
            found[place] = number if abs(number) <= LARGEST else np.nan
    return found

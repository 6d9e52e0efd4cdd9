"""Pictures, drawn by matplotlib into files; no window is opened and no global style is changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""


def new_figure(width: float, height: float) -> "Figure":
    """An empty matplotlib figure of this size in inches.

    Raises
    ------
    ModuleNotFoundError
        When matplotlib is not installed, with what to install.

    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "pictures need matplotlib; install it with: pip install 'firstsight[report]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def save_curves(
    path: Path,
    curves: Mapping[str, Sequence[tuple[float, float, float, int]]],
    *,
    x_label: str,
    y_label: str,
) -> None:
    """Draw curves over 0, 1, 2, ... with their intervals.

    Parameters
    ----------
    path : Path
        Of the PNG file.
    curves : mapping
        Name to a sequence of intervals (mean, low, high, n).
    x_label, y_label : str
        What the axes show, with units.

    """
    figure = new_figure(6.4, 4.2)
    axes = figure.add_subplot()
    for colour, (name, intervals) in zip(COLOURS, curves.items(), strict=False):
        x = range(len(intervals))
        axes.plot(x, [point[0] for point in intervals], marker="o", markersize=3, color=colour, label=name)
        axes.fill_between(
            x, [point[1] for point in intervals], [point[2] for point in intervals], color=colour, alpha=0.2, lw=0
        )
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)

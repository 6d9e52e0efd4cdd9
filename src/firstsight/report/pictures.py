"""Pictures, drawn by matplotlib into files; no window is opened and no global style is changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""

FEW = 40  # points of a line that are marked one by one


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


def save_lines(path: Path, lines: Mapping[str, Sequence[tuple[float, float]]], *, x_label: str, y_label: str) -> None:
    """Draw lines, such as learning curves.

    Parameters
    ----------
    path : Path
        Of the PNG file.
    lines : mapping
        Name to a sequence of (x, y).
    x_label, y_label : str
        What the axes show, with units.

    """
    figure = new_figure(6.4, 4.2)
    axes = figure.add_subplot()
    for colour, (name, points) in zip(COLOURS, lines.items(), strict=False):
        marker = "o" if len(points) <= FEW else ""
        axes.plot([x for x, _ in points], [y for _, y in points], marker=marker, markersize=3, color=colour, label=name)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def save_differences(
    path: Path,
    values: Mapping[str, Sequence[float]],
    intervals: Mapping[str, tuple[float, float, float, int]],
    *,
    x_label: str,
) -> None:
    """Draw paired differences: a dot for each value, and the mean with its interval.

    Parameters
    ----------
    path : Path
        Of the PNG file.
    values : mapping
        Name to the differences.
    intervals : mapping
        Name to (mean, low, high, n).
    x_label : str
        What is shown, with units.

    """
    figure = new_figure(7.2, 1.2 + 0.7 * len(values))
    axes = figure.add_subplot()
    axes.axvline(0, color="0.6", lw=1)
    for line, (name, differences) in enumerate(values.items()):
        mean, low, high, _ = intervals[name]
        # Spread by place in the row, not at random, so that the picture is the same every time.
        heights = line + 0.25 + 0.12 * np.sin(np.arange(len(differences)) * 2.4)
        axes.plot(differences, heights, "o", color=COLOURS[5], markersize=3, alpha=0.7)
        axes.plot([low, high], [line, line], color=COLOURS[0], lw=2)
        axes.plot(mean, line, "o", color=COLOURS[0])
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.4, -0.4)
    axes.set_xlabel(x_label)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def save_demo(
    path: Path,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    gains: "np.ndarray[Any, Any]",
    scores: Mapping[str, tuple[float, float, float, int]],
    learned: Sequence[Mapping[str, float]],
    start: Mapping[str, float],
) -> None:
    """Draw the demo: unseen digits before and after adapting, the scores, and what was learned.

    Parameters
    ----------
    path : Path
        Of the PNG file.
    before, after : mapping
        ``images`` of shape (n_tasks, n_rows, n_pixels), ``classes`` and ``clusters`` of shape (n_tasks,
        n_rows), ``places`` of shape (n_tasks, n_rows, n_code).
    gains : array of shape (n_tasks,)
        What the tasks gained; the one at the upper quartile is drawn.
    scores : mapping
        Name to an interval (mean, low, high, n).
    learned : sequence of mappings
        Learned numbers by name, one mapping a class split.
    start : mapping
        The same numbers before meta-training.

    """
    task = int(np.argsort(gains, kind="stable")[3 * len(gains) // 4])
    figure = new_figure(13.0, 9.0)
    figure.suptitle("Digits of classes never seen: a task at the upper quartile of gains")
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 2))
    titles = (
        "before: pixels",
        "after: adapted without labels, as other digits taught",
    )
    for place, title, content in zip((grid[0, 0], grid[0, 1]), titles, (before, after), strict=True):
        _scatter_images(
            figure.add_subplot(place),
            title,
            *(content[name][task] for name in ("images", "classes", "places", "clusters")),
        )

    axes = figure.add_subplot(grid[1, 0])
    for line, (mean, low, high, _) in enumerate(scores.values()):
        axes.plot([low, high], [line, line], color=COLOURS[0], lw=2)
        axes.plot(mean, line, "o", color=COLOURS[0])
        axes.text(mean, line - 0.18, f"{mean:.3f}", ha="center", va="bottom", fontsize=8)
    axes.set_yticks(range(len(scores)), list(scores))
    axes.invert_yaxis()
    axes.set_xlabel("adjusted Rand index on unseen classes, mean and 95 % interval over class splits")

    axes = figure.add_subplot(grid[1, 1])
    for line, name in enumerate(start):
        values = [numbers[name] for numbers in learned]
        axes.plot(
            values,
            [line] * len(values),
            "o",
            color=COLOURS[1],
            alpha=0.6,
            label="learned, one a class split" if not line else None,
        )
        axes.plot(
            start[name], line, "|", color="black", markersize=14, label="before meta-training" if not line else None
        )
    axes.set_yticks(range(len(start)), [name.replace("_", " ") for name in start])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("strength of a change, in pixels at the border, that leaves a digit what it is")
    axes.legend(frameon=False, fontsize=8)
    for axes in figure.axes[2:]:
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _scatter_images(axes: "Axes", title: str, images: Any, classes: Any, places: Any, clusters: Any) -> None:
    """Images in the plane of their two first principal components, inked in the colour of their cluster."""
    from matplotlib.colors import to_rgb
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    centred = places - places.mean(0)
    plane = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    # A cluster stands for the class that most of its images have.
    majority = {cluster: np.bincount(classes[clusters == cluster]).argmax() for cluster in np.unique(clusters)}
    wrong = np.array([majority[cluster] != label for cluster, label in zip(clusters, classes, strict=True)])
    size = round(images.shape[1] ** 0.5)
    for image, spot, cluster, is_wrong in zip(images, plane, clusters, wrong, strict=True):
        ink = np.empty((size, size, 4))
        ink[..., :3] = to_rgb(COLOURS[int(cluster) % len(COLOURS)])
        ink[..., 3] = image.reshape(size, size).clip(0, 1)
        frame = {"edgecolor": "red", "linewidth": 1.5, "facecolor": "none", "boxstyle": "square,pad=0.05"}
        picture = OffsetImage(ink, zoom=2.6, interpolation="nearest")
        axes.add_artist(AnnotationBbox(picture, tuple(spot), frameon=bool(is_wrong), bboxprops=frame))
    margin = 0.08 * np.ptp(plane, axis=0)
    axes.set_xlim(plane[:, 0].min() - margin[0], plane[:, 0].max() + margin[0])
    axes.set_ylim(plane[:, 1].min() - margin[1], plane[:, 1].max() + margin[1])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{title}\ncolour: cluster found; red: {wrong.sum()} of {len(wrong)} in the wrong one", fontsize=10)

"""The table of the zoo's comparison, from the records of its runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from zoo_problems import FIGURES

import firstsight as fs
from firstsight.engine.checkpoint import write_whole

Record = dict[str, Any]
MARK = "<!-- Written by benchmarks/zoo.py -->\n"


def number(value: float) -> str:
    """Three decimals, without the nought in front."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def with_interval(values: fs.Interval) -> str:
    """Mean and 95 % interval."""
    return f"{number(values.mean)} [{number(values.low)}, {number(values.high)}]"


def table(records: list[Record], methods: Mapping[str, Mapping[str, Any]]) -> str:
    """A table a problem: means over seeds, intervals over tasks, paired differences, seeds, time, memory."""
    return "\n\n".join(
        section(problem, [record for record in records if record["problem"] == problem], methods[problem])
        for problem in methods
        if any(record["problem"] == problem for record in records)
    )


def write_into(page: Path, text: str) -> None:
    """Put the tables behind the mark of a page, in the place of what stood there.

    Raises
    ------
    ValueError
        When the page has no mark.

    """
    head, mark, _ = page.read_text().partition(MARK)
    if not mark:
        raise ValueError(f"{page} should have a line {MARK.strip()!r}, behind which the tables go")
    write_whole(page, f"{head}{mark}\n{text}\n".encode())


def section(problem: str, records: list[Record], methods: Mapping[str, Any]) -> str:
    """One problem, best first."""
    figure, larger_is_better = FIGURES[problem]
    runs: dict[str, list[Record]] = {}
    for record in records:
        runs.setdefault(record["method"], []).append(record)
    # A value a task: the mean over seeds, which have the same tasks.
    values = {name: np.mean([record["values"] for record in found], axis=0) for name, found in runs.items()}
    scratch = [name for name in values if name not in methods]
    best_scratch = (max if larger_is_better else min)(scratch, key=lambda name: values[name].mean()) if scratch else ""
    lines = [
        f"| {problem}: {figure}, {'larger' if larger_is_better else 'smaller'} is better | mean | seeds | minus joint "
        "| minus best from scratch | training, s | adapting, ms | MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in sorted(values, key=lambda name: values[name].mean(), reverse=larger_is_better):
        found, method = runs[name], methods.get(name)
        beside = method.beside if method is not None else ""
        rivals = values.keys() - {name}
        seeds = [float(np.mean(record["values"])) for record in found]
        lines.append(
            f"| {name}{' (labels)' if method is not None and method.reads_truth else ''} "
            f"| {with_interval(fs.interval(values[name]))} "
            f"| {' '.join(number(seed) for seed in seeds) if method is not None else ''} "
            f"| {with_interval(fs.paired(values[name], values[beside])) if beside in values else ''} "
            f"| {with_interval(fs.paired(values[name], values[best_scratch])) if best_scratch in rivals else ''} "
            f"| {np.mean([record['seconds'] for record in found]):.0f} "
            f"| {np.mean([record['adapt_ms'] for record in found]):.1f} "
            f"| {np.mean([record['peak_mib'] for record in found]):.0f} |"
        )
    return "\n".join(lines)

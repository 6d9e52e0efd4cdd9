"""A run meets a new table."""

from pathlib import Path

import pandas as pd
from torch import Tensor

from firstsight import catalogue
from firstsight.columns.read import read_table
from firstsight.engine.evaluate import adapt, predict
from firstsight.family.run import Run, read_run, standardised, table_rows, theta_of
from firstsight.family.training import Say
from firstsight.seeds import generator_of

UNLIKE = 3.0  # deviations of the family by which the mean of a column may differ without a word


def adapt_run(directory: Path, path: Path, say: Say) -> pd.DataFrame:
    """A new table with what the adapted learner says of each row.

    Parameters
    ----------
    directory : Path
        The folder of a run.
    path : Path
        The new table.
    say : callable
        ``(sentence)``: told what is odd about the table.

    Returns
    -------
    DataFrame
        The table as it is, with a column ``cluster``, a column ``score`` (the larger, the odder the row), or columns
        ``code_0``, ``code_1``, ...; ``cluster_found`` and so on where the table has such a column already.

    Raises
    ------
    ValueError, FileNotFoundError
        When there is no such run, or the table is not one of its family.

    """
    run = read_run(directory)
    learner, meta, theta = theta_of(run)
    table = read_table(path)
    rows = table_rows(run, table, path.name)
    for sentence in _unlike(run, rows):
        say(f"{path.name}: {sentence}")
    X = standardised(run, rows, rows)
    noise = None if learner.noise is None else learner.noise(generator_of(run.asked.train.seed, "adapt"), len(X))
    output = predict(meta, theta, adapt(meta, theta, X, noise=noise), X).numpy()
    gives = catalogue.LEARNERS[run.asked.learner].gives
    if gives == "clusters":
        added = {"cluster": output.argmax(1)}
    elif gives == "scores":
        added = {"score": output[:, 0]}
    else:
        added = {f"code_{number}": output[:, number] for number in range(output.shape[1])}
    return table.assign(
        **{f"{name}_found" if name in table.columns else name: column for name, column in added.items()}
    )


def _unlike(run: Run, rows: Tensor) -> list[str]:
    """How a table differs from those of meta-training."""
    off = (rows.mean(0) - run.scaling.mean) / run.scaling.deviation
    return [
        f"the mean of {name} lies {float(shift):+.1f} deviations from that of the family; "
        "the table may be of another kind, or in other units"
        for name, shift in zip(run.columns.feature_names, off, strict=True)
        if abs(shift) > UNLIKE
    ]

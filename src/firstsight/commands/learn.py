"""The command that learns a prior from past tables."""

from collections.abc import Sequence
from pathlib import Path

from firstsight.estimators.density_estimator import DensityEstimator
from firstsight.family.read import Config, read_family
from firstsight.priors.prior import FILE, Prior


def learn(
    tables: Path,
    *,
    out: Path,
    group: str = "",
    ignore: Sequence[str] = (),
    seed: int = 0,
    n_jobs: int | None = None,
) -> None:
    """Learn from past tables of one kind, without labels, what a new one of few rows is like.

    Parameters
    ----------
    tables : Path
        Folder of tables (CSV, TSV, Parquet or npz) of the same columns, or one file with --group.
    out : Path
        Folder to write; ``firstsight look FILE --prior OUT`` and ``DensityEstimator(prior=OUT)`` read it.
    group : str
        Column of a single file that says which rows are one table.
    ignore : list of str
        Columns to leave out, such as identifiers and labels.
    seed : int
        Of what is random; the same tables and seed give the same prior.
    n_jobs : int
        Threads of the numerical libraries.

    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / FILE).exists())):
        raise FileExistsError(
            f"out={str(out)!r} should be a new folder, or one that holds a prior; it holds other things"
        )
    family = read_family(tables, Config(group=group, ignore=tuple(ignore), validate_share=0.0))
    frames = {name: table.drop(columns=list(ignore)) for name, table in family.items()}
    prior = DensityEstimator(random_state=seed, n_jobs=n_jobs).meta_fit(frames).prior
    prior.save(out)
    for line in _told(prior):
        print(line)
    print(f"prior in {out}; now: firstsight look NEW_TABLE --prior {out}")


def _told(prior: Prior) -> list[str]:
    """What was learned, in a few lines."""
    learned = prior.learned
    lines = [f"learned from {len(prior.names)} tables of {len(prior.cells.columns)} columns"]
    for rows, gains, shares in zip(learned.weights.rows, learned.gains, learned.weights.shares, strict=True):
        best = learned.members[int(shares.argmax())].name
        lines.append(
            f"  {rows:4.0f} rows of a table left out: log-density of its other rows {gains[-1]:.2f} nats; most weight "
            f"on {best} ({shares.max():.0%})"
        )
    return lines

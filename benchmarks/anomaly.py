"""Detectors on tables with labelled anomalies: firstsight's and others, fitted with the anomalies and without them.

    python benchmarks/anomaly.py --collections adbench oddbench --ours default=
    python benchmarks/anomaly.py --collections oddbench:validate ovrbench:train --protocol oneclass
    python benchmarks/anomaly.py --collections --folder my-tables --label broken --ours mine=prior.safetensors

Protocols: "contaminated" fits and scores the same rows; "oneclass" fits half of the normal rows, and scores the other
half and all anomalies. Of a large table rows are drawn at random that keep its share of anomalies (and at least 10 of
them where there are). Baselines get numbers in standardised columns (see anomaly_baselines.py), firstsight gets the
table as it is. Score: area under the ROC curve (AUROC), average precision (AP), and mean rank by each; a detector that
fails gets .5 and the share of anomalies. Tables of one family count as one, in means and in intervals. "Best in
hindsight" takes the best baseline of each table, which nobody can know.

Of firstsight's probabilities: expected calibration error (ECE) in 10 bins of equal width, of each table and of all
rows pooled (families weigh the same), and how often the share of anomalies that it found is within a factor of 2 of
the true one.

Results of (protocol, table, method) are kept in results.jsonl of ``--out`` and not computed again. Written there:
report.md, tables.csv (both scores of every method on every table), losses.png (where firstsight's first prior is
furthest from the baseline with the best mean).
"""

import argparse
import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anomaly_baselines as baselines
import anomaly_report
import numpy as np
import pandas as pd
from clustering_baselines import as_numbers
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from firstsight import datasets, pretrained
from firstsight.datasets.incidents import COLLECTIONS, SIDES

PROTOCOLS = {"contaminated": "contaminated", "oneclass": "clean"}  # and firstsight's word for what it is fitted to
KEY = ("protocol", "table", "method", "version", "rows", "seed")
KEPT = 10  # anomalies that a draw keeps where there are
BINS = 10
Row = dict[str, Any]


class Table(NamedTuple):
    """Rows with their truth, 1 for an anomaly; a DataFrame where it is a user's own."""

    name: str
    collection: str
    family: str
    X: np.ndarray | pd.DataFrame
    y: np.ndarray


def ours(X_fit: Any, X_score: Any, protocol: str, seed: int, prior_path: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Scores (higher is more abnormal), probabilities and the share of anomalies found by firstsight's detector.

    An empty path stands for the prior that it comes with.
    """
    from firstsight import AnomalyDetector  # the one place that knows it

    settings = {"prior": prior_path} if prior_path else {}
    model = AnomalyDetector(mode=PROTOCOLS[protocol], random_state=seed, **settings).fit(X_fit)
    scores, probability = -np.asarray(model.score_samples(X_score)), np.asarray(model.anomaly_probability(X_score))
    return scores, probability, float(model.contamination_)


def taken(X: np.ndarray | pd.DataFrame, rows: np.ndarray) -> Any:
    return X.iloc[rows].reset_index(drop=True) if isinstance(X, pd.DataFrame) else X[rows]


def generator_of(table: Table, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(table.name.encode())])


def drawn(table: Table, rows: int, seed: int) -> Table:
    """At most so many rows, shuffled, with the share of anomalies that the table has."""
    order = generator_of(table, seed).permutation(len(table.y))
    if len(order) > rows:
        n_anomalies = max(round(rows * table.y.mean()), min(KEPT, table.y.sum()))
        chosen = np.r_[order[table.y[order] == 1][:n_anomalies], order[table.y[order] == 0][: rows - n_anomalies]]
        order = order[np.isin(order, chosen)]
    return table._replace(X=taken(table.X, order), y=table.y[order])


def divided(table: Table, protocol: str) -> tuple[np.ndarray | None, np.ndarray]:
    """Rows to fit, None where all are fitted and scored, and rows to score."""
    if protocol == "contaminated":
        return None, np.arange(len(table.y))
    normal = np.flatnonzero(table.y == 0)[::2]  # they are shuffled
    return normal, np.setdiff1d(np.arange(len(table.y)), normal)


def folder_table(path: Path, label: str | None) -> Table:
    frame = pd.read_csv(path)
    name = label if label is not None else frame.columns[-1]
    if name not in frame or frame.shape[1] < 2 or set(frame[name]) != {0, 1}:
        raise ValueError(f"{path} should have columns and a label {name!r} of 1 for anomalies and 0 for other rows")
    X = frame.drop(columns=name)
    words = [column for column in X if not pd.api.types.is_numeric_dtype(X[column])]
    family = f"{path.parent.name}/{path.stem}"
    truth = frame[name].to_numpy(np.int64)
    return Table(family, path.parent.name, family, X.astype(dict.fromkeys(words, "category")), truth)


def chosen_names(args: argparse.Namespace) -> list[str | Path]:
    """Of the tables of the collections, and the files of the folder."""
    names: list[str | Path] = []
    for collection, side in args.collections:
        listed = datasets.list_incidents(None if (side or args.side) == "all" else side or args.side)
        names += [name for name in listed if name.startswith(f"{collection}/")]
    return names + (sorted(args.folder.glob("*.csv")) if args.folder else [])


def read(name: str | Path, args: argparse.Namespace) -> Table:
    table = folder_table(name, args.label) if isinstance(name, Path) else Table(*datasets.load_incidents(name))
    return drawn(table, args.rows, args.seed)


def version_of(path: str) -> str:
    """So that a prior that was trained again is measured again; all that the package brings for an empty path."""
    place = Path(path or pretrained.FOLDER)
    files = sorted(place.rglob("*.*")) if place.is_dir() else [place]
    content = b"".join(file.read_bytes() for file in files if file.is_file() and file.suffix != ".pyc")
    return hashlib.sha256(content).hexdigest()[:12]


def calibration(y: np.ndarray, probability: np.ndarray) -> Row:
    """Rows, sum of probabilities and sum of truths in each bin."""
    place = np.clip((probability * BINS).astype(int), 0, BINS - 1)
    sums = {"bin_rows": None, "bin_probabilities": probability, "bin_truths": y}
    return {name: np.bincount(place, weights, BINS).tolist() for name, weights in sums.items()}


def run_ours(
    table: Table, protocol: str, fit: np.ndarray | None, score: np.ndarray, args: argparse.Namespace, prior_path: str
) -> tuple[baselines.Answer, Row]:
    """Scores with what they cost, and what firstsight says besides; nothing of it where it failed."""
    X_score, found = taken(table.X, score), {}
    X_fit = X_score if fit is None else taken(table.X, fit)

    def detector() -> np.ndarray:
        scores, probability, contamination = ours(X_fit, X_score, protocol, args.seed, prior_path)
        found.update({"contamination": contamination} | calibration(table.y[score], probability))
        return scores

    answer = baselines.timed(detector)
    return answer, {} if answer.scores is None else found


def run_table(table: Table, protocol: str, wanted: list[str], args: argparse.Namespace) -> Iterator[Row]:
    """Results of the wanted methods on one table."""
    fit, score = divided(table, protocol)
    y, numbers = table.y[score], as_numbers(table.X)
    X_score = numbers[score]
    X_fit = X_score if fit is None else numbers[fit]
    for method in wanted:
        if method in args.ours:
            answer, extra = run_ours(table, protocol, fit, score, args, args.ours[method])
        else:
            answer, extra = baselines.run(method, X_fit, X_score, args.seed), {}
        yield (
            {"collection": table.collection, "family": table.family, "n_rows": len(y), "n_columns": table.X.shape[1]}
            | {"n_anomalies": int(y.sum()), "seconds": answer.seconds, "failure": answer.failure}
            | baselines.measures(y, answer.scores)
            | extra
        )


def named_path(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} should be NAME=PATH, or NAME= for the prior that firstsight brings")
    return name, path


def named_side(text: str) -> tuple[str, str]:
    name, colon, side = text.partition(":")
    if name not in COLLECTIONS or (colon and side not in (*SIDES, "all")):
        raise argparse.ArgumentTypeError(f"{text!r} should be one of {COLLECTIONS}, with :SIDE of {SIDES} or all")
    return name, side


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collections", nargs="*", type=named_side, default=[("adbench", ""), ("oddbench", "")])
    parser.add_argument("--side", default="test", choices=[*SIDES, "all"], help="of collections without a side")
    parser.add_argument("--folder", type=Path, help="CSV files with a truth of 0 and 1")
    parser.add_argument("--label", help="column of the truth in --folder; the last one by default")
    parser.add_argument("--protocol", nargs="+", default=["contaminated"], choices=PROTOCOLS)
    parser.add_argument("--rows", type=int, default=5000, help="at most, drawn without replacement")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=list(baselines.METHODS), choices=baselines.METHODS)
    parser.add_argument("--ours", type=named_path, action="append", default=[], metavar="NAME=PATH", help="a prior")
    parser.add_argument("--out", type=Path, default=Path("runs/out/anomaly"))
    args = parser.parse_args()
    args.ours = dict(args.ours)
    args.versions = {name: version_of(path) for name, path in args.ours.items()}
    if taken_names := set(args.ours) & set(baselines.METHODS):
        parser.error(f"--ours should have names of its own; {sorted(taken_names)} are baselines")
    return args


def kept_results(file: Path) -> dict[tuple[Any, ...], Row]:
    text = file.read_text() if file.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # a line that a stopped run left half written
        file.write_text(whole)
    return {tuple(row[name] for name in KEY): row for row in map(json.loads, whole.splitlines())}


def results_of(args: argparse.Namespace, names: list[str | Path]) -> pd.DataFrame:
    """A row a protocol, table and method; only what is not in results.jsonl is computed."""
    file, results = args.out / "results.jsonl", []
    kept, methods = kept_results(file), [*args.ours, *args.methods]
    small = np.random.default_rng(0).normal(size=(200, 3))
    for method in args.methods:  # what PyOD compiles when it is first used is in no table's seconds
        baselines.run(method, small, small, 0)
    with file.open("a") as sink:
        for name in tqdm(names, disable=None):
            label = f"{name.parent.name}/{name.stem}" if isinstance(name, Path) else name
            keys = {
                (protocol, method): (protocol, label, method, args.versions.get(method, ""), args.rows, args.seed)
                for protocol in args.protocol
                for method in methods
            }
            missing = [pair for pair, key in keys.items() if key not in kept]
            table = read(name, args) if missing else None
            for protocol in args.protocol if table else []:
                wanted = [method for where, method in missing if where == protocol]
                for method, row in zip(wanted, run_table(table, protocol, wanted, args), strict=True):
                    key = keys[protocol, method]
                    kept[key] = dict(zip(KEY, key, strict=True)) | row
                    sink.write(json.dumps(kept[key]) + "\n")
                    sink.flush()
            results += [kept[key] for key in keys.values()]
    return pd.DataFrame(results)


def main() -> None:
    args = parsed()
    if not baselines.HAS_PYOD:
        print(f"no rows of {', '.join(baselines.NEED_PYOD)}: PyOD is not installed, see anomaly_baselines.py")
    args.out.mkdir(parents=True, exist_ok=True)
    names = chosen_names(args)
    if not names:
        raise SystemExit("there should be a table; found none in these collections on this side")
    results = results_of(args, names)
    settings = f"at most {args.rows} rows, seed {args.seed}"
    anomaly_report.write(args.out, results, list(args.ours), args.methods, settings)


if __name__ == "__main__":
    threadpool_limits(1)
    main()

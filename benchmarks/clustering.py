"""Clusterers on real and made tables with known partitions: told k, not told k, and firstsight's.

    python benchmarks/clustering.py --batteries fcps graves sipu
    python benchmarks/clustering.py --folder my-tables --label class --ours default= --ours mine=prior.safetensors

Every method gets the same rows, shuffled (many files are sorted by their labels); baselines get standardised
columns and raw ones, as two methods; firstsight gets the table as it is. Score: the largest adjusted Rand index
(ARI) over the right answers of a table, and the adjusted mutual information (AMI) with the same answer; rows that
an answer calls noise are left out of it, and rows that a method calls noise are one cluster. A method that is told
k runs once for each right answer's k and is scored against that answer. k counts no noise, and is right when any
right answer has it.

Results of (method, table) are kept in results.jsonl of ``--out`` and not computed again. Written there: report.md,
tables.csv (ARI of every method on every table) and losses.png (where firstsight loses most to the method told k
with the best mean). Genie takes part where genieclust (AGPL, no dependency of firstsight) is installed.
"""

import argparse
import hashlib
import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clustering_baselines as baselines
import numpy as np
import pandas as pd
from clustering_made import made_tables
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from firstsight import datasets, pretrained
from firstsight.datasets.partitions import BATTERIES, NOISE, Partitioned
from firstsight.engine.evaluate import paired
from firstsight.report.pictures import new_figure

MADE = ("made", "made-one")
SCALINGS = {"standardised": True, "raw": False}
KEY = ("table", "method", "scaling", "version", "rows", "seed")
Row = dict[str, Any]


def ours(X: np.ndarray | pd.DataFrame, seed: int, prior_path: str) -> Row:
    """The clusterer of firstsight on a table as it is; an empty path stands for the prior that it comes with."""
    from firstsight import Clusterer  # the one place that knows it

    settings = {"prior": prior_path} if prior_path else {}
    model = Clusterer(random_state=seed, **settings).fit(X)
    return {
        "labels": np.asarray(model.labels_).tolist(),
        "n_clusters": int(model.n_clusters_),
        "quality": float(model.quality_),
        "structure_probability": float(model.structure_probability_),
    }


def drawn(table: Partitioned, rows: int, seed: int) -> Partitioned:
    """At most so many rows, shuffled: without replacement, the same for every method."""
    order = np.random.default_rng([seed, zlib.crc32(table.name.encode())]).permutation(len(table.X))[:rows]
    return table.taken(order)


def folder_tables(folder: Path, label: str | None) -> Iterator[Partitioned]:
    """CSV files with their truth in one column; rows without one are noise."""
    for path in sorted(folder.glob("*.csv")):
        frame = pd.read_csv(path)
        name = label if label is not None else frame.columns[-1]
        if name not in frame or frame.shape[1] < 2:
            raise ValueError(f"{path} should have columns and the label {name!r}; found {list(frame.columns)[:10]}")
        X = frame.drop(columns=name)
        words = [column for column in X if not pd.api.types.is_numeric_dtype(X[column])]
        codes, _ = pd.factorize(frame[name], sort=True)  # missing ones become -1
        truth = codes.astype(np.int64)
        yield Partitioned(
            f"{folder.name}/{path.stem}", folder.name, path.stem, X.astype(dict.fromkeys(words, "category")), [truth]
        )


def chosen_tables(args: argparse.Namespace) -> Iterator[Partitioned]:
    """The tables of the batteries and the folder that have few enough clusters, with their rows drawn."""
    kept = dict.fromkeys([*args.batteries, *([args.folder.name] if args.folder else [])], 0)

    def candidates() -> Iterator[Partitioned]:
        names = datasets.list_partitions()
        if args.limit:
            names = np.random.default_rng(args.seed).permutation(names).tolist()
        for battery in args.batteries:
            for name in names:
                if name.startswith(f"{battery}/") and (not args.limit or kept[battery] < args.limit):
                    yield datasets.load_partitions(name)
        for battery in [name for name in MADE if name in args.batteries]:
            yield from (table for table in made_tables(args.each, args.seed) if table.battery == battery)
        if args.folder:
            yield from folder_tables(args.folder, args.label)

    for table in candidates():
        if min(table.n_clusters) <= args.max_k:
            kept[table.battery] += 1
            yield drawn(table, args.rows, args.seed)


def fingerprint(path: str) -> str:
    """So that a prior that was trained again is measured again; that of the package for an empty path."""
    files = sorted((Path(path) if path else pretrained.FOLDER / "clusterer").glob("*.*"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def run_table(table: Partitioned, wanted: list[tuple[str, str]], args: argparse.Namespace) -> Iterator[Row]:
    """Results of the wanted (method, scaling) on one table; the scaling of firstsight's is empty."""
    benches = {
        scaling: baselines.Workbench(baselines.as_numbers(table.X, standardise=SCALINGS[scaling]), args.seed)
        for scaling in {scaling for _, scaling in wanted if scaling}
    }
    for method, scaling in wanted:
        if scaling:
            answer = baselines.answers(benches[scaling], method, table.n_clusters)
            row = {"seconds": answer.seconds, "failure": answer.failure} | baselines.scored(table.truths, answer.labels)
        else:
            began = time.perf_counter()
            found = ours(table.X, args.seed, args.ours[method])
            seconds = time.perf_counter() - began
            scores = baselines.scored(table.truths, [np.asarray(found["labels"])] * len(table.truths))
            row = {"seconds": seconds, "failure": ""} | found | scores
        yield row


def identity(table: Partitioned, method: str, scaling: str, args: argparse.Namespace) -> Row:
    """What a kept result must agree with to be used again."""
    version = "" if scaling else args.versions[method]
    return dict(zip(KEY, (table.name, method, scaling, version, args.rows, args.seed), strict=True))


def described(table: Partitioned) -> Row:
    return {
        "battery": table.battery, "family": table.family, "n_rows": len(table.X), "n_columns": table.X.shape[1],
        "true_k": table.n_clusters,
    }  # fmt: skip


def key_of(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def named_path(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} should be NAME=PATH, or NAME= for the prior that firstsight brings")
    return name, path


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batteries", nargs="*", default=["fcps", "graves", "sipu"], choices=[*BATTERIES, *MADE])
    parser.add_argument(
        "--folder", type=Path, help="CSV files with a truth; --batteries without a name for these alone"
    )
    parser.add_argument("--label", help="column of the truth in --folder; the last one by default")
    parser.add_argument("--rows", type=int, default=2000, help="at most, drawn without replacement")
    parser.add_argument("--max-k", type=int, default=12, help="tables whose every truth has more are left out")
    parser.add_argument("--limit", type=int, help="tables a battery, drawn by the seed")
    parser.add_argument("--each", type=int, default=10, help="made tables of a kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="*", default=list(baselines.METHODS), choices=baselines.METHODS)
    parser.add_argument("--ours", type=named_path, action="append", default=[], metavar="NAME=PATH", help="a prior")
    parser.add_argument("--by-family", action="store_true", help="intervals over families, not over tables")
    parser.add_argument("--out", type=Path, default=Path("runs/out/clustering"))
    args = parser.parse_args()
    args.ours = dict(args.ours)
    args.versions = {name: fingerprint(path) for name, path in args.ours.items()}
    if taken := set(args.ours) & set(baselines.METHODS):
        parser.error(f"--ours should have names of its own; {sorted(taken)} are baselines")
    return args


def markdown(frame: pd.DataFrame) -> str:
    """A table with its index as the first column."""
    head = [str(name) for name in [frame.index.name, *frame.columns]]
    lines = [head, ["---"] * len(head), *(list(map(str, row)) for row in frame.itertuples(name=None))]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def summary(results: pd.DataFrame, names: list[str], by_family: bool) -> pd.DataFrame:
    """One line a method: scores, k, seconds, and the paired difference of each of ours to it."""
    ari = results.pivot(index="table", columns="name", values="ari")
    family = results.drop_duplicates("table").set_index("table").family.loc[ari.index]
    groups = family.tolist() if by_family else None
    lines = {}
    for name, rows in results.groupby("name", sort=False):
        told = rows.method.isin(baselines.TOLD).all()
        lines[name] = {
            "mean ARI": f"{rows.ari.mean():.3f}",
            "median ARI": f"{rows.ari.median():.3f}",
            "mean AMI": f"{rows.ami.mean():.3f}",
            "k exact": "told" if told else f"{rows.k_exact.mean():.2f}",
            "k within 1": "told" if told else f"{rows.k_near.mean():.2f}",
            "seconds": f"{rows.seconds.mean():.3f}",
            "failed": int((rows.failure != "").sum()),
        } | {f"{mine} - method": str(paired(ari[mine], ari[name], groups)) if mine != name else "" for mine in names}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("method")


def draw_losses(path: Path, results: pd.DataFrame, tables: list[Partitioned], mine: str, most: int = 6) -> None:
    """The tables where ours is furthest below the method told k with the best mean, truth next to ours."""
    ari = results.pivot(index="table", columns="name", values="ari")
    told = results[results.method.isin(baselines.TOLD)]
    if told.empty:
        return
    rival = told.groupby("name").ari.mean().idxmax()
    worst = (ari[rival] - ari[mine]).sort_values(ascending=False).index[:most]
    of_name = {table.name: table for table in tables}
    figure = new_figure(5.0, 2.4 * len(worst))
    axes = figure.subplots(len(worst), 2, squeeze=False)
    for (left, right), name in zip(axes, worst, strict=True):
        table, row = of_name[name], results[(results.name == mine) & (results.table == name)].iloc[0]
        X = baselines.as_numbers(table.X)
        if X.shape[1] != 2:
            X = np.column_stack([baselines.as_numbers(table.X, standardise=True), np.zeros(len(X))])
            X = PCA(2).fit_transform(X)
        ours_title = f"{mine}: {row.ari:.2f}, k = {row.k}; {rival}: {ari.loc[name, rival]:.2f}"
        for axis, labels, title in (
            (left, table.truths[row.answer], f"{name}, truth"),
            (right, np.asarray(row.labels), ours_title),
        ):
            noise = labels == NOISE
            axis.scatter(*X[noise].T, c="0.7", s=3, marker="x", linewidths=0.5)
            axis.scatter(
                *X[~noise].T, c=(2 * labels[~noise] + labels[~noise] // 10) % 20, s=3, cmap="tab20", vmin=0, vmax=19
            )
            axis.set_title(title, fontsize=7)
            axis.set_xticks([])
            axis.set_yticks([])
    figure.savefig(path, dpi=150)


def write_report(args: argparse.Namespace, results: pd.DataFrame, tables: list[Partitioned]) -> None:
    """Print and write report.md, and write tables.csv and losses.png."""
    scaling = results.scaling.where(results.scaling == "", ", " + results.scaling)
    results = results.assign(name=results.method + scaling)
    order = list(dict.fromkeys(results.name))
    whole = summary(results, list(args.ours), args.by_family)
    means = results.pivot_table(index="name", columns="battery", values="ari", sort=False).loc[order]
    counts = results.drop_duplicates("table").battery.value_counts()
    means = means.rename(columns=lambda battery: f"{battery} ({counts[battery]})").map("{:.3f}".format)
    text = (
        f"{len(tables)} tables of {results.family.nunique()} families, at most {args.rows} rows, seed {args.seed}; "
        f"95 % intervals over {'families' if args.by_family else 'tables'}\n\n{markdown(whole)}\n"
        f"Mean ARI (tables)\n\n{markdown(means.rename_axis('method'))}"
    )
    print(text)
    (args.out / "report.md").write_text(text)
    wide = results.pivot(index="table", columns="name", values="ari")[order]
    facts = results.drop_duplicates("table").set_index("table")[["battery", "family", "n_rows", "n_columns", "true_k"]]
    facts.join(wide).round(4).to_csv(args.out / "tables.csv")
    for mine in list(args.ours)[:1]:
        draw_losses(args.out / "losses.png", results, tables, mine)


def main() -> None:
    args = parsed()
    if baselines.Genie is None:
        print(
            "no rows of Genie: genieclust is not installed (pip install --target FOLDER genieclust; PYTHONPATH=FOLDER)"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "results.jsonl"
    text = file.read_text() if file.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # a line that a stopped run left half written
        file.write_text(whole)
    kept = {key_of(row): row for row in map(json.loads, whole.splitlines())}
    methods = [(name, "") for name in args.ours] + [(name, scaling) for name in args.methods for scaling in SCALINGS]

    tables, results = list(chosen_tables(args)), []
    if not tables:
        raise SystemExit(f"there should be a table with at most {args.max_k} clusters; found none")
    with file.open("a") as sink:
        for table in tqdm(tables, disable=None):
            identities = {method: identity(table, *method, args) for method in methods}
            missing = [method for method in methods if key_of(identities[method]) not in kept]
            for method, row in zip(missing, run_table(table, missing, args), strict=True):
                kept[key_of(identities[method])] = row = identities[method] | described(table) | row
                sink.write(json.dumps(row) + "\n")
                sink.flush()
            results += [kept[key_of(identities[method])] for method in methods]
    write_report(args, pd.DataFrame(results), tables)


if __name__ == "__main__":
    threadpool_limits(1)
    main()

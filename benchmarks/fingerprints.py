"""Tables under other names: fingerprints of values and counts, against shapes of distributions.

All tables of ADBench, OddBench, OvRBench, KEEL and Gagolewski's are fingerprinted and joined both ways. Scored on
pairs that are known to be of one origin, and on KEEL's tables that were made from one another.
"""

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from firstsight import datasets
from firstsight.datasets.fingerprints import fingerprint, pairs
from firstsight.datasets.splits import families, groups

KNOWN = [
    ("adbench/Pima", "keel/balanced/pima"),
    ("adbench/Pima", "keel/imbalanced/pima"),
    ("adbench/WBC", "adbench/breastw"),
    ("adbench/breastw", "keel/balanced/wisconsin"),
    ("adbench/breastw", "keel/imbalanced/wisconsin"),
    ("adbench/magic.gamma", "keel/balanced/magic"),
    ("adbench/optdigits", "keel/balanced/optdigits"),
    ("adbench/PageBlocks", "keel/imbalanced/page-blocks0"),
    ("adbench/PageBlocks", "keel/imbalanced/page-blocks-1-3_vs_4"),
    ("adbench/SpamBase", "keel/balanced/spambase"),
    ("adbench/shuttle", "keel/imbalanced/shuttle-2_vs_5"),
    ("adbench/shuttle", "keel/imbalanced/shuttle-6_vs_2-3"),
    ("adbench/shuttle", "keel/imbalanced/shuttle-c0-vs-c4"),
    ("adbench/shuttle", "keel/imbalanced/shuttle-c2-vs-c4"),
    ("adbench/letter", "keel/balanced/letter"),
    ("ovrbench/letter", "keel/balanced/letter"),
    ("adbench/Lymphography", "keel/imbalanced/lymphography-normal-fibrosis"),
    ("adbench/pendigits", "keel/balanced/penbased"),
    ("adbench/http", "adbench/smtp"),
    ("adbench/WDBC", "adbench/breastw"),
    ("ovrbench/phoneme", "keel/balanced/phoneme"),
    ("ovrbench/abalone", "keel/imbalanced/abalone19"),
]


def read_tables() -> dict[str, NDArray[np.float64]]:
    """Every table of the five collections, without its class, as numbers."""
    tables = {f"adbench/{name}": datasets.load_adbench(name).X for name in datasets.list_adbench()}
    for collection, names, load in (
        ("oddbench", datasets.list_oddbench(), datasets.load_oddbench),
        ("ovrbench", datasets.list_ovrbench(), datasets.load_ovrbench),
    ):
        for name in names:
            table = load(name)
            tables[f"{collection}/{name}"] = np.vstack([table.train, table.test])
    for name in datasets.list_keel():
        X = datasets.load_keel(name).X
        coded = X.assign(**{c: X[c].cat.codes for c in X if X[c].dtype == "category"})
        tables[f"keel/{name}"] = coded.to_numpy(float)
    return tables | {f"gagolewski/{name}": datasets.load_gagolewski(name).X for name in datasets.list_gagolewski()}


def shape(X: NDArray[np.float64], quantiles: int = 32) -> NDArray[np.float64]:
    """Quantiles of every column that varies, robustly scaled: (n_columns, quantiles)."""
    found = []
    for column in X.T:
        column = column[np.isfinite(column)]
        if len(column) < 3 or len(np.unique(column[:5000])) < 3:
            continue
        low, middle, high = np.quantile(column, (0.1, 0.5, 0.9))
        at = np.quantile(column, (np.arange(quantiles) + 0.5) / quantiles)
        found.append((at - middle) / (high - low + 1e-9 * column.std()))
    return np.array(found).reshape(-1, quantiles)


def shape_pairs(shapes: Mapping[str, NDArray[np.float64]], tolerance: float) -> list[tuple[str, str]]:
    """Tables half of whose columns have a partner of nearly the same shape."""
    joined = []
    for (a, of_a), (b, of_b) in itertools.combinations(shapes.items(), 2):
        fewer = min(len(of_a), len(of_b))
        if fewer < 2:
            continue
        near = np.abs(of_a[:, None] - of_b[None]).max(-1) < tolerance
        if min(near.any(1).sum(), near.any(0).sum()) < max(2, fewer / 2):
            continue
        matched = near[linear_sum_assignment(near, maximize=True)].sum()
        if matched >= max(2, fewer / 2):
            joined.append((a, b))
    return joined


def report(name: str, tables: list[str], joined: list[tuple[str, str]], declared: list[tuple[str, str]]) -> None:
    """One line of recall and joins; tables joined through others count as found."""
    place = {table: number for number, table in enumerate(tables)}
    edges = np.array([[place[a], place[b]] for a, b in joined]).reshape(-1, 2).T
    graph = csr_matrix((np.ones(edges.shape[1]), edges), shape=(len(tables),) * 2)
    group = dict(zip(tables, connected_components(graph, directed=False)[1], strict=True))
    found = [sum(group[a] == group[b] for a, b in wanted) for wanted in (KNOWN, declared)]
    print(
        f"{name:14} known {found[0]} of {len(KNOWN)}, KEEL families {found[1]} of {len(declared)}, "
        f"pairs joined {len(joined)}, largest group {max(Counter(group.values()).values())}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--joins", action="store_true", help="list every pair that values join")
    args = parser.parse_args()
    tables = read_tables()
    names = list(tables)
    declared = [
        pair
        for family in families(name for name in names if name.startswith("keel"))
        for pair in itertools.combinations(family, 2)
    ]
    print(f"{len(tables)} tables, {sum(X.size for X in tables.values()) / 1e6:.1f} million cells")
    began = time.perf_counter()
    prints = {name: fingerprint(X) for name, X in tables.items()}
    between = time.perf_counter()
    alike = pairs(prints)
    ended = time.perf_counter()
    print(f"values: {between - began:.1f} s to fingerprint, {ended - between:.1f} s to compare")
    report("values", names, [(a, b) for a, b, _ in alike], declared)
    everything = groups(prints, families=families(names))
    print(f"with declared families: {len(set(everything.values()))} groups")
    shapes = {name: shape(X) for name, X in tables.items()}
    for tolerance in (0.01, 0.05):
        report(f"shapes, {tolerance}", names, shape_pairs(shapes, tolerance), declared)
    if args.joins:
        for a, b, share in alike:
            print(f"  {share:.2f}  {a} ~ {b}")


if __name__ == "__main__":
    main()

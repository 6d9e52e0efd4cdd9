"""What a few labels, and what past tables of one's own, add to ``AnomalyDetector``.

    python benchmarks/anomaly_learning.py --collections oddbench --side validate

Labels: so many anomalies of a table are made known, drawn by the seed; scored on its other rows, beside the same fit
without them. Past tables: a table of 2,000 rows or more is dealt into four, of which three are past ones with
known anomalies; scored on the fourth, with and without them, and on a fourth of the next table, to see if it hurts.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from firstsight import AnomalyDetector, datasets
from firstsight.datasets.incidents import COLLECTIONS, SIDES, Incidents
from firstsight.engine.evaluate import interval, paired

PARTS = 4
FEWEST = 2000


def taken(name: str, rows: int, seed: int) -> Incidents:
    """At most so many rows of a table, shuffled."""
    table = datasets.load_incidents(name)
    order = np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(len(table.y))[:rows]
    return table.taken(order)


def scores(y: np.ndarray, said: np.ndarray) -> tuple[float, float]:
    return float(roc_auc_score(y, said)), float(average_precision_score(y, said))


def labelled(table: Incidents, count: int, seed: int) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """AUROC and average precision of the rows without labels: without and with labels."""
    odd = np.flatnonzero(table.y == 1)
    if len(odd) < count + 5:
        return None
    labels = np.zeros(len(table.y), int)
    labels[np.random.default_rng(seed).permutation(odd)[:count]] = -1
    rest = labels == 0
    found = [
        AnomalyDetector("contaminated", random_state=seed).fit(table.X, labels=known).anomaly_probability(table.X)
        for known in (None, labels)
    ]
    return scores(table.y[rest], found[0][rest]), scores(table.y[rest], found[1][rest])


def taught(table: Incidents, other: Incidents, seed: int) -> list[tuple[float, float]] | None:
    """Of the fourth part, and of a part of another table: without and with the three past parts."""
    parts = np.array_split(np.arange(len(table.y)), PARTS)
    elsewhere = other.taken(np.arange(len(other.y) // PARTS))
    if any(not 0 < table.y[part].sum() < len(part) for part in parts) or not 0 < elsewhere.y.sum() < len(elsewhere.y):
        return None
    detector = AnomalyDetector("contaminated", random_state=seed)
    learned = detector.meta_fit(
        [table.X[part] for part in parts[:-1]], [np.where(table.y[part] == 1, -1, 1) for part in parts[:-1]]
    )
    new = table.taken(parts[-1])
    return [
        scores(one.y, model.fit(one.X).anomaly_probability(one.X))
        for one in (new, elsewhere) for model in (detector, learned)
    ]  # fmt: skip


def report(name: str, before: list[tuple[float, float]], after: list[tuple[float, float]]) -> None:
    for place, score in enumerate(("AUROC", "average precision")):
        a, b = ([one[place] for one in side] for side in (before, after))
        worst = min(y - x for x, y in zip(a, b, strict=True))
        print(f"{name}, {score}, {len(a)} tables: {interval(a)} before, {interval(b)} after")
        print(f"  difference {paired(b, a)}, worst {worst:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collections", nargs="*", default=["oddbench"], choices=COLLECTIONS)
    parser.add_argument("--side", default="validate", choices=SIDES)
    parser.add_argument("--rows", type=int, default=3000, help="of a table, at most")
    parser.add_argument("--labels", type=int, nargs="*", default=[1, 5, 20])
    parser.add_argument("--most", type=int, default=20, help="tables that past tables are tried on")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    names = [name for name in datasets.list_incidents(args.side) if Path(name).parts[0] in args.collections]
    tables = [taken(name, args.rows, args.seed) for name in tqdm(names, desc="read", disable=None)]
    for count in args.labels:
        found = [labelled(table, count, args.seed) for table in tqdm(tables, desc=f"{count} labels", disable=None)]
        pairs = [pair for pair in found if pair is not None]
        report(f"{count} anomalies known", [pair[0] for pair in pairs], [pair[1] for pair in pairs])
    large = [table for table in tables if len(table.y) >= FEWEST][: args.most + 1]
    results = [
        taught(table, other, args.seed)
        for table, other in tqdm(list(zip(large, large[1:] + large[:1], strict=True)), desc="past", disable=None)
    ]
    kept = [result for result in results if result is not None]
    report("past tables of the same kind", [one[0] for one in kept], [one[1] for one in kept])
    report("past tables of another kind", [one[2] for one in kept], [one[3] for one in kept])


if __name__ == "__main__":
    threadpool_limits(1)
    main()

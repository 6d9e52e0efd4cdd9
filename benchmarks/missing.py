"""Cells removed at random: what is lost in finding clusters and anomalies, against the whole table.

    python benchmarks/missing.py [--seeds 3]

Clusters: scikit-learn's wine, iris, breast cancer and digits, and made tables, by adjusted Rand index. Anomalies: 24
tables of the training side of the incidents (see firstsight.datasets), by AUROC and average precision.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_blobs, make_classification
from sklearn.metrics import adjusted_rand_score, average_precision_score, roc_auc_score

from firstsight import AnomalyDetector, Clusterer
from firstsight.datasets import list_incidents, load_incidents

SHARES = (0.0, 0.05, 0.3)
N_INCIDENTS = 24


def classes() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for load in (load_wine, load_iris, load_breast_cancer, load_digits):
        X, y = load(return_X_y=True)
        yield load.__name__, X[:800], y[:800]
    yield "blobs", *make_blobs(600, 6, centers=5, random_state=1)
    settings = {"n_informative": 5, "n_redundant": 1, "n_classes": 4, "n_clusters_per_class": 1, "class_sep": 2.5}
    for seed in range(3):
        yield f"classification {seed}", *make_classification(600, 8, **settings, random_state=seed)


def incidents() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    names = sorted(list_incidents("train"))
    np.random.default_rng(0).shuffle(names)
    n_found = 0
    for name in names:
        table = load_incidents(name)
        X, y = pd.DataFrame(table.X), np.asarray(table.y)
        whole = not X.isna().any().any() and not X.select_dtypes(exclude="number").shape[1]
        if not whole or len(X) > 3000 or X.shape[1] > 60 or y.sum() < 5:
            continue
        yield name, X.to_numpy(float), y
        n_found += 1
        if n_found == N_INCIDENTS:
            return


def with_gaps(X: np.ndarray, share: float, seed: int) -> pd.DataFrame:
    gone = np.random.default_rng(seed).random(X.shape) < share
    return pd.DataFrame(np.where(gone, np.nan, X)).rename(columns=str)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    n_seeds = parser.parse_args().seeds
    rows = []
    for name, X, y in classes():
        for share in SHARES:
            for seed in range(n_seeds if share else 1):
                labels = Clusterer(random_state=seed).fit(with_gaps(X, share, seed)).labels_
                rows.append({"measure": "adjusted Rand index", "share": share, "table": name,
                             "value": adjusted_rand_score(y, labels)})  # fmt: skip
    for name, X, y in incidents():
        for share in SHARES:
            for seed in range(n_seeds if share else 1):
                table = with_gaps(X, share, seed)
                found = AnomalyDetector(random_state=seed).fit(table).anomaly_probability(table)
                for measure, value in (
                    ("AUROC", roc_auc_score(y, found)),
                    ("average precision", average_precision_score(y, found)),
                ):
                    rows.append({"measure": measure, "share": share, "table": name, "value": value})
    print(pd.DataFrame(rows).pivot_table(index="measure", columns="share", values="value").round(3).to_string())


if __name__ == "__main__":
    main()

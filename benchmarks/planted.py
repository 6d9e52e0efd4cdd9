"""Gaussian tables with and without planted anomalies: how many rows are called, and how many rightly.

    python benchmarks/planted.py

A line a table: rows called by ``predict``, and rows whose probability reaches .25, .35 and .5, each with the planted
ones among them. "far" rows are at 6 or -6 in every column; "spread" rows have three more deviations in all.
"""

import numpy as np

from firstsight import AnomalyDetector

REACHED = (0.25, 0.35, 0.5)


def say(name: str, X: np.ndarray, n_planted: int) -> None:
    model = AnomalyDetector(random_state=0).fit(X)
    probability, called = model.anomaly_probability(X), model.predict(X) < 0
    planted = np.arange(len(X)) < n_planted
    reached = "  ".join(f"{p}: {(probability >= p).sum():4} {((probability >= p) & planted).sum():3}" for p in REACHED)
    print(
        f"{name:18} planted {n_planted:3}  predict {called.sum():4} {(called & planted).sum():3}  {reached}", flush=True
    )


def main() -> None:
    for n_rows in (100, 500, 3000, 10_000):
        for n_columns in (3, 10, 20):
            rng = np.random.default_rng(0)
            X = rng.normal(size=(n_rows, n_columns))
            n_planted = max(2, n_rows // 200)
            far, spread = X.copy(), X.copy()
            far[:n_planted] = 6 * np.sign(far[:n_planted])
            spread[:n_planted] += 3 * rng.normal(size=(n_planted, n_columns))
            say(f"none {n_rows}x{n_columns}", X, 0)
            say(f"far {n_rows}x{n_columns}", far, n_planted)
            say(f"spread {n_rows}x{n_columns}", spread, n_planted)


if __name__ == "__main__":
    main()

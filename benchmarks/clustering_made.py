"""Made tables that the judge was not trained on: scikit-learn's generators, and forms of one cluster of our own.

The judge's training tables come from ``firstsight.tasks.synthetic`` alone; nothing here calls it. A third of the tables
has one cluster.
"""

from collections.abc import Iterator

import numpy as np
from sklearn import datasets

from firstsight.datasets.partitions import Partitioned

Drawn = tuple[np.ndarray, np.ndarray]


def blobs(rng: np.random.Generator, n: int) -> Drawn:
    d, k = int(rng.integers(2, 16)), int(rng.integers(2, 10))
    spread = rng.uniform(0.5, 1.6) * np.sqrt(d / 2)
    return datasets.make_blobs(n, d, centers=k, cluster_std=spread, random_state=int(rng.integers(2**31)))


def unequal(rng: np.random.Generator, n: int) -> Drawn:
    k = int(rng.integers(2, 7))
    sizes = np.maximum(rng.dirichlet(np.ones(k)) * n, 8).astype(int)
    return datasets.make_blobs(
        sizes, centers=rng.uniform(-10, 10, (k, 3)), cluster_std=rng.uniform(0.3, 1.8, k), random_state=0
    )


def stretched(rng: np.random.Generator, n: int) -> Drawn:
    X, y = datasets.make_blobs(n, 2, centers=int(rng.integers(2, 5)), random_state=int(rng.integers(2**31)))
    return X @ np.array([[0.6, -0.6], [-0.4, 0.8]]), y


def moons(rng: np.random.Generator, n: int) -> Drawn:
    return datasets.make_moons(n, noise=rng.uniform(0.03, 0.12), random_state=int(rng.integers(2**31)))


def circles(rng: np.random.Generator, n: int) -> Drawn:
    factor = rng.uniform(0.3, 0.6)
    return datasets.make_circles(n, noise=rng.uniform(0.02, 0.06), factor=factor, random_state=int(rng.integers(2**31)))


def classes(rng: np.random.Generator, n: int) -> Drawn:
    d = int(rng.integers(4, 12))
    return datasets.make_classification(
        n, d, n_informative=d - 1, n_redundant=0, n_classes=int(rng.integers(2, 5)), n_clusters_per_class=1,
        class_sep=rng.uniform(1.5, 3), flip_y=0, random_state=int(rng.integers(2**31)),
    )  # fmt: skip


def digits(rng: np.random.Generator, n: int) -> Drawn:
    data = datasets.load_digits()
    chosen = rng.permutation(10)[: int(rng.integers(2, 7))]
    rows = np.flatnonzero(np.isin(data.target, chosen))
    rows = rng.permutation(rows)[:n]
    return data.data[rows], data.target[rows]


def one_gaussian(rng: np.random.Generator, n: int) -> np.ndarray:
    d = int(rng.integers(1, 20))
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d))


def one_roll(rng: np.random.Generator, n: int) -> np.ndarray:
    make = datasets.make_swiss_roll if rng.random() < 0.5 else datasets.make_s_curve
    return make(n, noise=rng.uniform(0, 0.3), random_state=int(rng.integers(2**31)))[0]


def one_box(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.uniform(size=(n, int(rng.integers(1, 10)))) * rng.uniform(0.1, 10)


def one_skewed(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.gamma(rng.uniform(0.7, 4), size=(n, int(rng.integers(2, 8))))


def one_heavy(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.standard_t(rng.uniform(3, 8), size=(n, int(rng.integers(2, 8))))


def one_regression(rng: np.random.Generator, n: int) -> np.ndarray:
    X = datasets.make_friedman1(n, n_features=6, noise=1.0, random_state=int(rng.integers(2**31)))
    return np.column_stack(X)


MANY = (blobs, unequal, stretched, moons, circles, classes, digits)
ONE = (one_gaussian, one_roll, one_box, one_skewed, one_heavy, one_regression)


def made_tables(each: int, seed: int) -> Iterator[Partitioned]:
    """So many tables of every kind, of 150 to 1,500 rows."""
    for place, make in enumerate((*MANY, *ONE)):
        for number in range(each):
            rng = np.random.default_rng([seed, place, number])
            n = int(np.exp(rng.uniform(np.log(150), np.log(1500))))
            if make in MANY:
                X, y = make(rng, n)
            else:
                X = make(rng, n)
                y = np.zeros(len(X))
            battery = "made" if make in MANY else "made-one"
            name = f"{battery}/{make.__name__}-{number}"
            codes = np.unique(y, return_inverse=True)[1].astype(np.int64)
            yield Partitioned(name, battery, f"{battery}/{make.__name__}", np.asarray(X, np.float64), [codes])

"""The four problems on which the zoo is compared: tasks to train on, to choose on, to test on, and a figure of merit.

sinusoids      regression, 10 rows seen (MAML, Finn et al. 2017)
mixtures       clustering of a family of Gaussian mixtures, 20 rows seen; k is known, labels are not
contaminated   anomalies in tables of six columns, 100 rows seen without labels, 100 others of the same table scored
omniglot       five characters, one drawing of each seen; characters of meta-test are in nobody's training
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from torch import Tensor

from firstsight import Data, Sample, Task, datasets
from firstsight.tasks import contaminated, episodes, mixtures, sinusoids

N_FEATURES, N_CLUSTERS = 4, 5  # of the mixtures
TABLE_COLUMNS, TABLE_ROWS = 6, 200  # of the contaminated tables
MIXTURES = mixtures.Config(
    n_features=(N_FEATURES,) * 2,
    n_clusters=(N_CLUSTERS,) * 2,
    n_support=20,
    n_query=70,
    within=(0.3, 0.6),
    imbalance=(1.0, 4.0),
    covariance="diagonal",
    shared=0.9,
)

FIGURES = {
    "sinusoids": ("mean squared error", False),
    "mixtures": ("adjusted Rand index", True),
    "contaminated": ("AUROC", True),
    "omniglot": ("accuracy", True),
}
"""What is measured on the query of a task, and whether larger is better."""


class Problem(NamedTuple):
    """Tasks and how an answer is judged.

    Parameters
    ----------
    train, validate, test : callable
        ``(generator, n_tasks) -> Task``, of disjoint tasks, tables or classes.
    measure : callable
        ``(prediction, query) -> float``.
    n_test : int
        Tasks of the test.
    seconds : int
        Of meta-training, one thread, for every method alike.
    chunk : int
        Tasks that are mapped at once.

    """

    train: Sample
    validate: Sample
    test: Sample
    measure: Callable[[Tensor, Data], float]
    n_test: int
    seconds: int
    chunk: int = 16


def squared_error(prediction: Tensor, query: Data) -> float:
    """Mean over the query."""
    assert query.y is not None
    return float(((prediction - query.y) ** 2).mean())


def rand_index(prediction: Tensor, query: Data) -> float:
    """Adjusted, of the likeliest clusters."""
    assert query.y is not None
    return float(adjusted_rand_score(query.y.numpy(), prediction.argmax(1).numpy()))


def auroc(prediction: Tensor, query: Data) -> float:
    """Of scores of shape (n_rows, 1): the larger, the odder."""
    assert query.y is not None
    return float(roc_auc_score(query.y.numpy(), prediction[:, 0].numpy()))


def accuracy(prediction: Tensor, query: Data) -> float:
    """Share of rows whose class is right."""
    assert query.y is not None
    return float((prediction.argmax(1) == query.y).float().mean())


def problem_of(name: str) -> Problem:
    """A problem by its name; reads or makes its data."""
    return {
        "sinusoids": _sinusoids,
        "mixtures": _mixtures,
        "contaminated": _contaminated,
        "omniglot": _omniglot,
    }[name]()


def _sinusoids() -> Problem:
    train = sinusoids.build(sinusoids.Config(n_support=10, n_query=20))
    test = sinusoids.build(sinusoids.Config(n_support=10, n_query=100))
    return Problem(train, train, test, squared_error, 500, 60)


def _mixtures() -> Problem:
    sample = mixtures.build(MIXTURES)
    return Problem(sample, sample, sample, rand_index, 500, 60)


def _contaminated() -> Problem:
    train, validate, test = (_tables(first, count) for first, count in ((0, 3000), (100_000, 300), (200_000, 400)))
    return Problem(train, validate, test, auroc, 390, 60)


def _tables(first: int, count: int) -> Sample:
    """Tables of seeds from ``first`` on, half of the rows seen; anomalies in both halves."""
    config = contaminated.Config(
        n_rows=(TABLE_ROWS, TABLE_ROWS),
        n_features=(TABLE_COLUMNS, TABLE_COLUMNS),
        contamination=(0.02, 0.2),
    )
    X, y = [], []
    for seed in range(first, first + count):
        table = contaminated.sample(seed, config)
        labels = table.y
        # A half without an anomaly has no AUROC.
        if min(labels[: TABLE_ROWS // 2].sum(), labels[TABLE_ROWS // 2 :].sum()) == 0:
            continue
        seen = table.X[: TABLE_ROWS // 2]
        spread = seen.std(0)
        scaled = (table.X - seen.mean(0)) / np.where(spread > 0, spread, 1.0)
        X.append(torch.from_numpy(np.clip(scaled, -10, 10)).float())
        y.append(torch.from_numpy(labels))
    return partial(_some_tables, X=torch.stack(X), y=torch.stack(y))


def _some_tables(generator: torch.Generator, n_tasks: int, *, X: Tensor, y: Tensor) -> Task:
    chosen = torch.randperm(len(X), generator=generator)[:n_tasks]  # no table twice in a batch
    cut = TABLE_ROWS // 2
    return Task(Data(X[chosen, :cut], y[chosen, :cut]), Data(X[chosen, cut:], y[chosen, cut:]))


def _omniglot() -> Problem:
    parts = {part: datasets.load_omniglot(part=part) for part in ("train", "validation", "test")}
    samples = [
        episodes.build(
            episodes.Config(n_way=5, n_shot=1, n_query=n_query), torch.from_numpy(part.X), torch.from_numpy(part.y)
        )
        for part, n_query in zip(parts.values(), (5, 5, 15), strict=True)
    ]
    return Problem(*samples, accuracy, 300, 120, 4)

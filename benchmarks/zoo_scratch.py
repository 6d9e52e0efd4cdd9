"""What each problem of the zoo gives to methods that learn from the support alone, without any past."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from zoo_methods import CONV5, NET, TABLE_COLUMNS
from zoo_problems import FIGURES, N_CLUSTERS, Problem

from firstsight import Data, Learner, Task, catalogue
from firstsight.seeds import generator_of
from firstsight.trees import index, leaves, tree_map, vmap_axes

Fit = Callable[[Data, Tensor], Tensor]
"""``(support, X of the query) -> prediction``, as the figure of the problem takes it."""

# Adam: steps and rate, chosen on meta-validation.
GRID = ((50, 1e-2), (200, 1e-2), (400, 3e-3))
FEW = ((20, 1e-2), (60, 1e-2), (60, 3e-3))  # for images
TUNING = 40  # tasks of meta-validation


def scratch_predictions(problem_name: str, name: str, problem: Problem, validation: Task) -> Fit:
    """A row's function; where it has settings, they are chosen on the tasks of meta-validation."""
    candidates = SCRATCH[problem_name][name]
    if len(candidates) == 1:
        return candidates[0]
    means = [_mean(problem, fit, validation) for fit in candidates]
    best = np.argmax(means) if FIGURES[problem_name][1] else np.argmin(means)
    return candidates[int(best)]


def _mean(problem: Problem, fit: Fit, tasks: Task) -> float:
    parts = [index(tasks, i) for i in range(TUNING)]
    return float(np.mean([problem.measure(fit(support, query.X), query) for support, query in parts]))


def by_adam(
    support: Data, X: Tensor, *, learner: Learner, steps: int, rate: float, answer: Callable[..., Tensor]
) -> Tensor:
    """A learner fitted to the support from a random start."""
    params = tree_map(lambda leaf: leaf.clone().requires_grad_(), learner.init(generator_of(0)))
    optimizer = torch.optim.Adam(leaves(params), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        learner.loss(params, support).backward()
        optimizer.step()
    with torch.no_grad():
        if learner.settle is not None:
            params = learner.settle(params, support)
        return answer(params, X, learner=learner)


def predicted(params: Any, X: Tensor, *, learner: Learner) -> Tensor:
    """What the learner says."""
    return learner.predict(params, X)


def row_losses(params: Any, X: Tensor, *, learner: Learner) -> Tensor:
    """The loss of every row by itself, of shape (n_rows, 1): how odd it is."""
    noise = None if learner.noise is None else learner.noise(generator_of(0), len(X))

    def loss(row: Data) -> Tensor:
        return learner.loss(params, tree_map(lambda part: part[None], row))

    rows = Data(X, noise=noise)
    return torch.func.vmap(loss, in_dims=(vmap_axes(rows),))(rows)[:, None]


def tuned(
    named: tuple[str, dict[str, Any]],
    answer: Callable[..., Tensor] = predicted,
    grid: Sequence[tuple[int, float]] = GRID,
) -> Sequence[Fit]:
    """A learner of the catalogue by Adam, with every setting of the grid."""
    name, settings = named
    entry = catalogue.LEARNERS[name]
    learner = entry.build(entry.config(**settings))
    return [partial(by_adam, learner=learner, steps=steps, rate=rate, answer=answer) for steps, rate in grid]


def gaussian_process(support: Data, X: Tensor) -> Tensor:
    """A radial kernel whose settings maximise the marginal likelihood."""
    assert support.y is not None
    kernel = ConstantKernel(4.0, (1e-2, 1e2)) * RBF(1.5, (0.3, 10.0)) + WhiteKernel(1e-4, (1e-8, 1e-2))
    model = GaussianProcessRegressor(kernel, n_restarts_optimizer=3, random_state=0)
    with np.errstate(all="ignore"):
        model.fit(support.X.numpy(), support.y.numpy().ravel())
    return torch.from_numpy(model.predict(X.numpy())).float()[:, None]


def kmeans(support: Data, X: Tensor) -> Tensor:
    """Ten starts."""
    model = KMeans(N_CLUSTERS, n_init=10, random_state=0).fit(support.X.numpy())
    return -torch.from_numpy(model.transform(X.numpy())).float()


def mixture(support: Data, *, n_clusters: int, covariance: str) -> GaussianMixture:
    """Ten starts."""
    return GaussianMixture(n_clusters, covariance_type=covariance, n_init=10, reg_covar=1e-3, random_state=0).fit(
        support.X.numpy()
    )


def mixture_clusters(support: Data, X: Tensor) -> Tensor:
    """Diagonal covariances, as the problem has."""
    model = mixture(support, n_clusters=N_CLUSTERS, covariance="diag")
    return torch.from_numpy(model.predict_proba(X.numpy())).float()


def mixture_anomalies(support: Data, X: Tensor, *, n_clusters: int) -> Tensor:
    """Minus the log-density."""
    model = mixture(support, n_clusters=n_clusters, covariance="full")
    return -torch.from_numpy(model.score_samples(X.numpy())).float()[:, None]


def principal(support: Data, X: Tensor, *, n_components: int) -> Tensor:
    """Squared distance to the plane of the first components."""
    model = PCA(n_components).fit(support.X.numpy())
    rebuilt = model.inverse_transform(model.transform(X.numpy()))
    return torch.from_numpy(((rebuilt - X.numpy()) ** 2).sum(1)).float()[:, None]


def neighbours(support: Data, X: Tensor, *, n_neighbours: int) -> Tensor:
    """Mean distance to the nearest rows of the support."""
    distances, _ = NearestNeighbors(n_neighbors=n_neighbours).fit(support.X.numpy()).kneighbors(X.numpy())
    return torch.from_numpy(distances.mean(1)).float()[:, None]


def forest(support: Data, X: Tensor) -> Tensor:
    """Isolation forest at its defaults."""
    model = IsolationForest(random_state=0).fit(support.X.numpy())
    return -torch.from_numpy(model.score_samples(X.numpy())).float()[:, None]


def nearest_drawing(support: Data, X: Tensor) -> Tensor:
    """Logits by the distance of pixels to the only example of each class."""
    assert support.y is not None
    order = support.y.argsort()
    return -torch.cdist(X.flatten(1), support.X[order].flatten(1))


def logistic(support: Data, X: Tensor) -> Tensor:
    """Of pixels."""
    assert support.y is not None
    model = LogisticRegression(max_iter=1000).fit(support.X.flatten(1).numpy(), support.y.numpy())
    return torch.from_numpy(model.predict_log_proba(X.flatten(1).numpy())).float()


SCRATCH: dict[str, dict[str, Sequence[Fit]]] = {
    "sinusoids": {"from scratch: the same net, Adam": tuned(NET), "from scratch: Gaussian process": [gaussian_process]},
    "mixtures": {"from scratch: k-means": [kmeans], "from scratch: mixture": [mixture_clusters]},
    "contaminated": {
        "from scratch: autoencoder, Adam": tuned(
            ("autoencoder", {"n_features": TABLE_COLUMNS, "hidden": (32,), "n_code": 3}), row_losses
        ),
        "from scratch: mixture": [partial(mixture_anomalies, n_clusters=k) for k in (1, 2, 3)],
        "from scratch: PCA": [partial(principal, n_components=k) for k in (1, 2, 3, 4)],
        "from scratch: neighbours": [partial(neighbours, n_neighbours=k) for k in (1, 5, 20)],
        "from scratch: isolation forest": [forest],
    },
    "omniglot": {
        "from scratch: the same net, Adam": tuned(CONV5, grid=FEW),
        "from scratch: nearest pixels": [nearest_drawing],
        "from scratch: logistic regression": [logistic],
    },
}

"""Detectors of anomalies to compare with: (rows to fit, rows to score, seed) -> scores, higher is more abnormal.

All get columns standardised by the rows to fit. The same array given twice means that the rows are fitted and scored:
a detector then says what it thinks of the rows it has seen, and no row is its own neighbour.

PyOD's detectors have its defaults. Its ECOD and COPOD rank the rows to score together with those to fit, so their
scores of new rows depend on each other; they are taken as they are. "ADEngine" is what PyOD chooses by itself:
``ADEngine.profile_data`` and ``plan_detection`` (rules by the number of rows and columns, priority "balanced", no
language model), and of the plan the first detector, which is what ``ADEngine.detect`` runs.

PyOD is imported if it is there (pip install --target FOLDER --no-deps pyod numba llvmlite; PYTHONPATH=FOLDER); it is
no dependency of firstsight.
"""

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

try:
    from pyod.models.cblof import CBLOF
    from pyod.models.copod import COPOD
    from pyod.models.ecod import ECOD
    from pyod.models.hbos import HBOS
    from pyod.models.iforest import IForest
    from pyod.models.inne import INNE
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF
    from pyod.models.mcd import MCD
    from pyod.models.ocsvm import OCSVM
    from pyod.models.pca import PCA
    from pyod.utils.ad_engine import ADEngine

    HAS_PYOD = True
except ImportError:
    HAS_PYOD = False

FAILURES = (ValueError, TypeError, RuntimeError, ArithmeticError, IndexError, MemoryError, np.linalg.LinAlgError)
Rows = NDArray[np.float64]
Scores = NDArray[np.float64]
Detector = Callable[[Rows, Rows, int], Scores]

LOWEST, HIGHEST = -3.0, 5.0  # of a score of a member of the mean of six: one member alone cannot decide
QUARTILES_OF_NORMAL = 1.349  # apart, in standard deviations


def standardised(X_fit: Rows, X_score: Rows) -> tuple[Rows, Rows]:
    """Both by the means and deviations of the first; the same array twice stays one. Constant columns become 0."""
    scaler = StandardScaler().fit(X_fit)
    fit = scaler.transform(X_fit)
    return fit, fit if X_score is X_fit else scaler.transform(X_score)


def of_pyod(X_fit: Rows, X_score: Rows, seed: int, make: Callable[[int], Any]) -> Scores:
    """Scores of the detector that ``make`` gives for a seed."""
    model = make(seed).fit(X_fit)
    return model.decision_scores_ if X_score is X_fit else model.decision_function(X_score)


def chosen_by_pyod(X_fit: Rows, X_score: Rows, seed: int) -> Scores:
    engine = ADEngine(random_state=seed)
    plan = engine.plan_detection(engine.profile_data(X_fit, data_type="tabular"))
    return of_pyod(X_fit, X_score, seed, lambda _: engine.build_detector(plan))


def distances(X_fit: Rows, X_score: Rows, most: int) -> Rows:
    """To the nearest rows to fit: (n_score, n_neighbours)."""
    others = len(X_fit) - (X_score is X_fit)
    search = NearestNeighbors(n_neighbors=min(most, others)).fit(X_fit)
    return search.kneighbors(None if X_score is X_fit else X_score)[0]


def mean_distance(X_fit: Rows, X_score: Rows, seed: int) -> Scores:
    """To the 20 nearest rows."""
    return distances(X_fit, X_score, 20).mean(axis=1)


def diffusion_time(X_fit: Rows, X_score: Rows, seed: int) -> Scores:
    """DTE-NP (Livernoche et al. 2024, arXiv:2305.18593): mean squared distance to the 5 nearest rows.

    Its posterior of the diffusion time is an inverse gamma whose mode grows with that mean: the order is the same.
    """
    return (distances(X_fit, X_score, 5) ** 2).mean(axis=1)


def mahalanobis(X_fit: Rows, X_score: Rows, seed: int) -> Scores:
    """By the covariance of all rows, its pseudo-inverse where it has none."""
    return EmpiricalCovariance().fit(X_fit).mahalanobis(X_score)


def one_gaussian(X_fit: Rows, X_score: Rows, seed: int) -> Scores:
    """Negative log likelihood under independent columns, but for a constant: they are standardised."""
    return 0.5 * (X_score**2).sum(axis=1)


def mean_of_six(X_fit: Rows, X_score: Rows, seed: int) -> Scores:
    """Scores by median and quartiles of the rows to fit, clipped, averaged; a member without spread says nothing."""
    total = np.zeros(len(X_score))
    for member in (
        mean_distance,
        DETECTORS["IForest"],
        DETECTORS["HBOS"],
        mahalanobis,
        one_gaussian,
        DETECTORS["COPOD"],
    ):
        inside = member(X_fit, X_fit, seed)
        low, middle, high = np.quantile(inside, (0.25, 0.5, 0.75))
        scale = (high - low) / QUARTILES_OF_NORMAL or inside.std()
        if scale > 0:
            scores = inside if X_score is X_fit else member(X_fit, X_score, seed)
            total += np.clip((scores - middle) / scale, LOWEST, HIGHEST)
    return total / 6


PYOD: dict[str, Callable[[int], Any]] = {
    "KNN": lambda seed: KNN(),
    "LOF": lambda seed: LOF(),
    "IForest": lambda seed: IForest(random_state=seed),
    "ECOD": lambda seed: ECOD(),
    "COPOD": lambda seed: COPOD(),
    "HBOS": lambda seed: HBOS(),
    "CBLOF": lambda seed: CBLOF(random_state=seed),
    "OCSVM": lambda seed: OCSVM(),
    "PCA": lambda seed: PCA(random_state=seed),
    "MCD": lambda seed: MCD(random_state=seed),
    "INNE": lambda seed: INNE(random_state=seed),
}
DETECTORS: dict[str, Detector] = {name: partial(of_pyod, make=make) for name, make in PYOD.items()} | {
    "ADEngine": chosen_by_pyod,
    "mean of six": mean_of_six,
    "DTE-NP": diffusion_time,
}
NEED_PYOD = (*PYOD, "ADEngine", "mean of six")
METHODS = tuple(name for name in DETECTORS if HAS_PYOD or name not in NEED_PYOD)


class Answer(NamedTuple):
    """Scores of a detector, None where it failed, with what they cost and what went wrong."""

    scores: Scores | None
    seconds: float
    failure: str


def timed(detector: Callable[[], Scores]) -> Answer:
    """What a detector says; scores that are no numbers are a failure, infinite ones are the largest numbers."""
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of convergence, singular matrices, equal rows: the score tells
            scores, failure = np.asarray(detector(), dtype=np.float64), ""
        if np.isnan(scores).any():
            scores, failure = None, "scores are not numbers"
    except FAILURES as error:
        scores, failure = None, f"{type(error).__name__}: {error}"[:200]
    seconds = time.perf_counter() - began
    return Answer(None if scores is None else np.nan_to_num(scores), seconds, failure)


def measures(y: NDArray[np.int64], scores: Scores | None) -> dict[str, float]:
    """Area under the ROC curve and average precision; those of a coin where the detector failed."""
    if scores is None:
        return {"auroc": 0.5, "ap": float(y.mean())}
    return {"auroc": float(roc_auc_score(y, scores)), "ap": float(average_precision_score(y, scores))}


def run(name: str, X_fit: Rows, X_score: Rows, seed: int) -> Answer:
    """What a detector of ``METHODS`` says of rows that are numbers, standardised here."""
    return timed(lambda: DETECTORS[name](*standardised(X_fit, X_score), seed))

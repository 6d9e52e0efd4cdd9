"""``DensityEstimator`` against kernel densities, Gaussian mixtures by BIC and Gaussian copulas, on rows held out.

    python benchmarks/density.py                      # the ten tables that nothing was chosen on
    python benchmarks/density.py --side development   # the ten that choices were made on

Of every table the columns of numbers with more than ten different values, at most 2,000 rows drawn once, without those
that have missing cells. Columns whose values tie (fewer different values than half the rows, or one value in more than
2 % of them) are spread evenly over their resolution once, for all methods alike: the smallest gap between values, at
least a hundredth of the deviation. So no method gains by spikes. 70 % of the rows are fitted to and 30 % held out, with
three seeds. *nats*: mean log-likelihood of a row held out. *AUC*: of a gradient-boosted classifier (5 folds) that tells
the rows held out from as many that are drawn; .5 is best, and |AUC - .5| is what is compared.

Intervals of a table are over its rows held out, those over tables are over tables. *Equal*: the 95 %
interval of the paired difference holds 0.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import datasets as small
from sklearn.covariance import ledoit_wolf
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.neighbors import KernelDensity

from firstsight import DensityEstimator
from firstsight.datasets.clustering import load_gagolewski
from firstsight.datasets.streams import load_elec2
from firstsight.datasets.tables import load_keel
from firstsight.engine.evaluate import interval

Floats = np.ndarray
MOST_ROWS, MOST_LEVELS, SEEDS = 2000, 10, 3


def keel(name: str) -> Callable[[], pd.DataFrame]:
    return lambda: load_keel(name).X.select_dtypes("number")


def suite(name: str) -> Callable[[], pd.DataFrame]:
    return lambda: pd.DataFrame(load_gagolewski(name).X)


def sklearns(load: Callable[..., object]) -> Callable[[], pd.DataFrame]:
    return lambda: pd.DataFrame(load().data)  # type: ignore[attr-defined]


SIDES = {
    "development": {
        "iris": sklearns(small.load_iris),
        "wine": sklearns(small.load_wine),
        "magic": keel("balanced/magic"),
        "pima": keel("balanced/pima"),
        "abalone": keel("imbalanced/abalone19"),
        "banana": keel("balanced/banana"),
        "penbased": keel("balanced/penbased"),
        # From the day on which Victoria joined the market: three columns are constant before.
        "elec2": lambda: load_elec2().X.iloc[17_472:],
        "aggregation": suite("sipu/aggregation"),
        "page-blocks": keel("imbalanced/page-blocks0"),
    },
    "test": {
        "phoneme": keel("balanced/phoneme"),
        "saheart": keel("balanced/saheart"),
        "vehicle": keel("balanced/vehicle"),
        "bupa": keel("balanced/bupa"),
        "winequality-red": keel("imbalanced/winequality-red-4"),
        "breast_cancer": sklearns(small.load_breast_cancer),
        "letter": keel("balanced/letter"),
        "shuttle": keel("imbalanced/shuttle-c0-vs-c4"),
        "diabetes": sklearns(small.load_diabetes),
        "compound": suite("sipu/compound"),
    },
}


def prepared(name: str, load: Callable[[], pd.DataFrame]) -> Floats:
    """The rows of a table that all methods get, (n_rows, d)."""
    X = load().to_numpy(float)
    generator = np.random.default_rng([0, len(name)])
    X = X[~np.isnan(X).any(1)]
    if len(X) > MOST_ROWS:
        X = X[np.sort(generator.choice(len(X), MOST_ROWS, replace=False))]
    columns = []
    for column in X.T:
        values, counts = np.unique(column, return_counts=True)
        if len(values) <= MOST_LEVELS:
            continue
        if len(values) < len(column) / 2 or counts.max() > 0.02 * len(column):
            width = max(np.diff(values).min(), 0.01 * column.std())
            column = column + generator.uniform(-width / 2, width / 2, len(column))
        columns.append(column)
    return np.column_stack(columns)


class Standardised:
    """A density of standardised rows, in the units of the rows; subclasses have ``score`` and ``draw``."""

    def __init__(self, X: Floats) -> None:
        self.mean, self.scale = X.mean(0), X.std(0)
        self.Z = (X - self.mean) / self.scale

    def score_samples(self, X: Floats) -> Floats:
        """Log-density of rows."""
        return self.score((X - self.mean) / self.scale) - np.log(self.scale).sum()

    def sample(self, n: int) -> Floats:
        """Rows at random."""
        return self.mean + self.scale * self.draw(n)


class Kernels(Standardised):
    """scikit-learn's kernel density, its bandwidth by five folds."""

    def __init__(self, X: Floats, seed: int) -> None:
        super().__init__(X)
        grid = {"bandwidth": np.geomspace(0.03, 2, 22)}
        self.model = GridSearchCV(KernelDensity(), grid, cv=5).fit(self.Z).best_estimator_
        self.score = self.model.score_samples
        self.draw = lambda n: self.model.sample(n, random_state=seed)


class Bic(Standardised):
    """scikit-learn's Gaussian mixture, size and form of covariances by BIC."""

    def __init__(self, X: Floats, seed: int) -> None:
        super().__init__(X)
        models = [
            GaussianMixture(k, covariance_type=form, reg_covar=1e-4, random_state=seed).fit(self.Z)
            for k in (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
            for form in ("full", "tied", "diag", "spherical")
            if k <= len(self.Z) / 5
        ]
        self.model = min(models, key=lambda model: model.bic(self.Z))
        self.score = self.model.score_samples
        self.draw = lambda n: self.model.sample(n)[0][np.random.default_rng(seed).permutation(n)]


class Copula(Standardised):
    """Marginals by kernels of Silverman's width, and a Gaussian copula with a shrunken correlation."""

    def __init__(self, X: Floats, seed: int) -> None:
        super().__init__(X)
        n = len(self.Z)
        spread = np.minimum(1, stats.iqr(self.Z, axis=0) / 1.34)
        self.widths = 0.9 * np.where(spread > 0, spread, 1) * n**-0.2
        scores = self._scores(self.Z)[0]
        covariance = ledoit_wolf(scores)[0]
        deviations = np.sqrt(np.diag(covariance))
        self.correlation = covariance / np.outer(deviations, deviations)
        self.generator = np.random.default_rng(seed)

    def _scores(self, Z: Floats) -> tuple[Floats, Floats]:
        """Normal scores, and the log of the marginals' densities."""
        scores, logs = np.empty_like(Z), np.empty_like(Z)
        for j, width in enumerate(self.widths):
            apart = (Z[:, j][:, None] - self.Z[:, j]) / width
            below, above = stats.norm.cdf(apart).mean(1), stats.norm.cdf(-apart).mean(1)
            scores[:, j] = np.where(below < above, stats.norm.ppf(below), -stats.norm.ppf(above))
            top = -0.5 * apart**2
            peak = top.max(1, keepdims=True)
            logs[:, j] = np.log(np.exp(top - peak).mean(1)) + peak[:, 0] - np.log(width * np.sqrt(2 * np.pi))
        return np.clip(scores, -37, 37), logs

    def score(self, Z: Floats) -> Floats:
        """Log-density of standardised rows."""
        scores, logs = self._scores(Z)
        joint = stats.multivariate_normal(np.zeros(Z.shape[1]), self.correlation).logpdf(scores)
        return np.atleast_1d(joint) - stats.norm.logpdf(scores).sum(1) + logs.sum(1)

    def draw(self, n: int) -> Floats:
        """Standardised rows at random."""
        levels = stats.norm.cdf(self.generator.multivariate_normal(np.zeros(self.Z.shape[1]), self.correlation, n))
        # A quantile of the rows with the kernel's noise is a draw from the marginal, but for ties of the copula.
        noise = self.widths * self.generator.standard_normal(levels.shape)
        return np.column_stack([np.quantile(self.Z[:, j], levels[:, j]) for j in range(levels.shape[1])]) + noise


class Ours:
    """The estimator, with nothing set."""

    def __init__(self, X: Floats, seed: int) -> None:
        self.model = DensityEstimator(random_state=seed).fit(X)
        self.score_samples, self.sample = self.model.score_samples, self.model.sample


METHODS = {"ours": Ours, "kernels": Kernels, "mixture by BIC": Bic, "copula": Copula}


def told_apart(real: Floats, drawn: Floats, seed: int) -> float:
    """The AUC of a classifier of rows that are real or drawn."""
    X = np.vstack([real, drawn])
    y = np.repeat([0, 1], [len(real), len(drawn)])
    order = np.random.default_rng(seed).permutation(len(y))
    model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.15, random_state=seed)
    said = cross_val_predict(model, X[order], y[order], cv=5, method="predict_proba")[:, 1]
    return float(roc_auc_score(y[order], said))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=list(SIDES), default="test")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    side = parser.parse_args()
    names = list(METHODS)
    gaps: dict[str, list[float]] = {name: [] for name in names[1:]}
    odds: dict[str, list[float]] = {name: [] for name in names}
    better: dict[str, list[int]] = {name: [0, 0, 0] for name in names[1:]}
    for table, load in SIDES[side.side].items():
        X = prepared(table, load)
        likely: dict[str, list[Floats]] = {name: [] for name in names}
        rows: list[int] = []
        aucs: dict[str, list[float]] = {name: [] for name in names}
        seconds = dict.fromkeys(names, 0.0)
        for seed in range(side.seeds):
            order = np.random.default_rng(seed).permutation(len(X))
            fitted, held = X[order[: int(0.7 * len(X))]], X[order[int(0.7 * len(X)) :]]
            rows += order[int(0.7 * len(X)) :].tolist()
            for name, method in METHODS.items():
                began = time.perf_counter()
                model = method(fitted, seed)
                seconds[name] += (time.perf_counter() - began) / side.seeds
                likely[name].append(model.score_samples(held))
                aucs[name].append(told_apart(held, model.sample(len(held)), seed))
        print(f"{table:16} {X.shape[0]:5} x {X.shape[1]:<3}", end="", flush=True)
        for name in names:
            mean, auc = np.concatenate(likely[name]).mean(), float(np.mean(aucs[name]))
            odds[name].append(abs(auc - 0.5))
            print(f" | {name} {mean:8.3f} nats, AUC {auc:.3f}, {seconds[name]:5.1f} s", end="")
        print()
        for name in names[1:]:
            gap = interval(np.concatenate(likely["ours"]) - np.concatenate(likely[name]), groups=rows)
            gaps[name].append(gap.mean)
            better[name][0 if gap.low > 0 else 2 if gap.high < 0 else 1] += 1
            print(f"{'':27} ours less {name:15} {gap}", flush=True)
    for name in names[1:]:
        apart = interval(np.array(odds["ours"]) - np.array(odds[name]))
        print(
            f"against {name:15} better, equal, worse on {better[name]} tables; median gain {np.median(gaps[name]):.3f} "
            f"nats; |AUC - .5| {np.mean(odds['ours']):.3f} against {np.mean(odds[name]):.3f}, difference {apart}"
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()

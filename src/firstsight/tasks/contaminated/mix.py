"""Tables with known anomalies, which are in the table that is scored: what an anomaly detector is meta-trained on.

Every table is drawn from its seed alone: where its normal rows come from (a base), how many rows are anomalies,
which one to three things happened to them (kinds), how easily they are told, and what the table is dressed with.
All of it is made up by random parameters; no benchmark is copied.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.checks import check_number, check_range
from firstsight.tasks.contaminated import anomalies, causal, classes, copulas, dressing, worlds
from firstsight.tasks.synthetic import dressing as common
from firstsight.tasks.synthetic.primitives import Array, Labels, Rng

_WORLDS = {
    "mixtures": worlds.mixtures,
    "clusters": worlds.clusters,
    "causal": causal.causal,
    "copulas": copulas.copulas,
    "series": worlds.series,
}
BASES = (*_WORLDS, "classes")
KINDS = tuple(anomalies.KINDS)
_SHARES = (
    "idle", "flawed", "bent", "rounded", "quantised", "repeated", "constant", "rotated", "rescaled",
)  # fmt: skip
# What a class table is cut from, and kinds that mean nothing in a single column.
_CUT = ("mixtures", "clusters", "causal", "copulas")
_RELATIONS = ("dependency", "subspace")


class Contaminated(NamedTuple):
    """A table and its anomalies.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,)
        1 is an anomaly, 0 is normal.
    kind : str
        Base and kinds of anomalies, such as ``"mixtures/clustered+tails"``; ``"mixtures/none"`` has none.

    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    kind: str


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the tables.

    Parameters
    ----------
    n_rows : (int, int)
        Range of the number of rows, >= 10; log-uniform.
    n_features : (int, int)
        Range of the number of columns, >= 1; log-uniform, one is rare.
    contamination : (float, float)
        Range of the share of anomalies, from 0 to .45, kept up to one row. In the default range one table of
        twenty has none, a quarter have 10 % or more, and the others most often .5 to 5 %.
    ease : (float, float)
        Range of how easily anomalies are told, from 0 (hardly) to 1 (in most tables at a glance); uniform.
    mixtures, clusters, causal, copulas, series, classes : float
        Weights of what normal rows come from, >= 0. Classes are a table of one of the first four, some
        of whose classes are the anomalies; always so where ``held_out`` has a weight.
    local, scattered, clustered, dependency, measurement, tails, subspace, shifted, larger, empty, central : float
        Weights of what happens to anomalies, >= 0. Dependency and subspace need two columns.
    held_out : float
        Weight of the anomalies that are a class of the same table, >= 0.
    mixed : float
        Share of the tables with two or three kinds of anomalies, from 0 to 1.
    idle : float
        Share of the tables with columns that say nothing, or copies of others, from 0 to 1.
    flawed : float
        Share of the tables some of whose normal rows have a value far out, from 0 to 1.
    bent : float
        Share of the tables some of whose columns are skewed or heavy-tailed, from 0 to 1.
    rounded : float
        Share of the tables of whole numbers, from 0 to 1.
    quantised : float
        Share of the tables of four or more columns one or two of which have few levels, from 0 to 1.
    repeated : float
        Share of the tables with equal rows, from 0 to 1.
    constant : float
        Share of the tables of two or more columns with one that is constant, from 0 to 1.
    rotated : float
        Share of the tables whose columns are all mixed, from 0 to 1.
    rescaled : float
        Share of the tables whose columns have units of their own, from 0 to 1.

    """

    n_rows: tuple[int, int] = (50, 3000)
    n_features: tuple[int, int] = (1, 100)
    contamination: tuple[float, float] = (0.0, 0.4)
    ease: tuple[float, float] = (0.0, 1.0)
    mixtures: float = 0.24
    clusters: float = 0.12
    causal: float = 0.2
    copulas: float = 0.2
    series: float = 0.06
    classes: float = 0.18
    local: float = 0.1
    scattered: float = 0.08
    clustered: float = 0.13
    dependency: float = 0.1
    measurement: float = 0.08
    tails: float = 0.09
    subspace: float = 0.08
    shifted: float = 0.11
    larger: float = 0.12
    empty: float = 0.06
    central: float = 0.02
    held_out: float = 0.06
    mixed: float = 0.4
    idle: float = 0.35
    flawed: float = 0.2
    bent: float = 0.3
    rounded: float = 0.08
    quantised: float = 0.12
    repeated: float = 0.1
    constant: float = 0.06
    rotated: float = 0.08
    rescaled: float = 0.4

    def __post_init__(self) -> None:
        check_range("n_rows", self.n_rows, integer=True, at_least=10)
        check_range("n_features", self.n_features, integer=True, at_least=1)
        check_range("contamination", self.contamination, at_least=0, at_most=0.45)
        check_range("ease", self.ease, at_least=0, at_most=1)
        for name in (*BASES, *KINDS):
            check_number(name, getattr(self, name), at_least=0)
        for name in ("mixed", *_SHARES):
            check_number(name, getattr(self, name), at_least=0, at_most=1)
        for names, what in ((BASES, "base"), (KINDS, "kind")):
            if not any(getattr(self, name) for name in names):
                raise ValueError(f"{', '.join(names)} should not all be 0; give a {what} a positive weight")
        if self.n_features[0] == 1 and not any(getattr(self, name) for name in KINDS if name not in _RELATIONS):
            raise ValueError(
                f"n_features={self.n_features} should begin at >= 2 for dependency and subspace alone; "
                "ask for more columns or give another kind a weight"
            )


_DEFAULT = Config()


def sample(seed: int, config: Config = _DEFAULT) -> Contaminated:
    """The table of a seed.

    Parameters
    ----------
    seed : int
        >= 0; the same seed and settings give the same table.
    config : Config
        Ranges, weights and shares.

    Returns
    -------
    table : Contaminated
        Rows in random order; at least five, and more than half, are normal.

    """
    check_number("seed", seed, at_least=0, integer=True)
    rng = np.random.default_rng(seed)
    n_rows = _log_uniform(rng, *config.n_rows)
    n_features = _n_features(rng, *config.n_features)
    n_anomalies = _n_anomalies(rng, n_rows, *config.contamination)
    base = _chosen(rng, config, BASES)[0]
    core = n_features
    if rng.random() < config.idle and n_features > 2:
        # Mild amounts are the most common: from none to three times as many as tell something.
        core = int(np.clip(round(n_features / (1 + 3 * rng.random() ** 2)), 2, n_features))
    kinds = _kinds(rng, config, base, n_anomalies, core)
    # Geometric: the step from hardly to barely told is as large as that from well to very well.
    strength = 0.45 * 12 ** rng.uniform(*config.ease)

    Z, y, finish = _rows(rng, base, n_rows, n_anomalies, core, kinds, strength)
    if rng.random() < config.flawed:
        Z = dressing.flawed(rng, Z, y)
    X = finish(Z)
    if rng.random() < config.bent:
        X = dressing.bent(rng, X)
    X = dressing.widened(rng, X, n_features, idle=rng.random() < 0.7)
    X = _dressed(rng, X, y, config)
    order = rng.permutation(n_rows)
    return Contaminated(np.ascontiguousarray(X[order], np.float64), y[order], f"{base}/{'+'.join(kinds) or 'none'}")


def _rows(
    rng: Rng, base: str, n_rows: int, n_anomalies: int, n_columns: int, kinds: list[str], strength: float
) -> tuple[Array, Labels, worlds.Finish]:
    """Inner rows (n_rows, n_columns), normal ones first, their labels, and how they are finished."""
    cut = base == "classes" or "held_out" in kinds
    draw = _WORLDS[str(rng.choice(_CUT)) if base == "classes" else base]
    world = draw(rng, 3 * n_rows if cut else n_rows, n_columns)
    if cut:
        world = classes.cut(rng, world, n_anomalies, strength)
    order = rng.permutation(len(world.Z))
    normal, spare = order[: n_rows - n_anomalies], order[n_rows - n_anomalies : n_rows]
    scene = anomalies.scene(world.Z[normal], world.groups[normal], world.Z[spare], world.groups[spare], world.broken,
                            world.held_out)  # fmt: skip
    parts = [scene.Z]
    # Each kind has one anomaly or more.
    cuts = np.sort(1 + rng.permutation(max(n_anomalies - 1, 0))[: max(len(kinds) - 1, 0)])
    for kind, own in zip(kinds, np.array_split(np.arange(n_anomalies), cuts), strict=bool(kinds)):
        part = scene._replace(seeds=scene.seeds[own], middles=scene.middles[own])
        parts.append(anomalies.KINDS[kind](rng, part, strength * np.exp(rng.normal(0, 0.25 * (len(kinds) > 1)))))
    y = (np.arange(n_rows) >= n_rows - n_anomalies).astype(np.int64)
    return np.concatenate(parts), y, world.finish


def _dressed(rng: Rng, X: Array, y: Labels, config: Config) -> Array:
    """All columns (n_rows, n_features) as a table shows them."""
    if rng.random() < config.rotated and X.shape[1] > 1:
        X = common.turned(rng, X)
    if rng.random() < config.quantised and X.shape[1] >= 4:
        X = common.quantised(rng, X)
    if rng.random() < config.repeated:
        X = dressing.repeated(rng, X, y)
    if rng.random() < config.rounded:
        X = common.rounded(rng, X, 12)
    if rng.random() < config.constant:
        X = dressing.constant(rng, X)
    if rng.random() < config.rescaled:
        X = common.rescaled(rng, X)
    return X


def _chosen(rng: Rng, config: Config, names: tuple[str, ...], n: int = 1) -> list[str]:
    """Different names, by their weights; fewer than ``n`` where there are no more with a weight."""
    weights = np.array([getattr(config, name) for name in names], float)
    some = min(n, int((weights > 0).sum()))
    return [str(name) for name in rng.choice(names, some, replace=False, p=weights / weights.sum())]


def _kinds(rng: Rng, config: Config, base: str, n_anomalies: int, n_columns: int) -> list[str]:
    """What happens to the anomalies: one to three kinds, none where there are no anomalies."""
    if n_anomalies == 0:
        return []
    n = 1 if rng.random() >= config.mixed else int(rng.choice([2, 3], p=[0.7, 0.3]))
    names = KINDS if n_columns > 1 else tuple(name for name in KINDS if name not in _RELATIONS)
    kinds = _chosen(rng, config, names, min(n, n_anomalies))
    if base == "classes" and config.held_out > 0 and "held_out" not in kinds:
        kinds[0] = "held_out"
    return kinds


def _log_uniform(rng: Rng, low: int, high: int) -> int:
    return int(np.clip(np.floor(np.exp(rng.uniform(np.log(low), np.log(high + 1)))), low, high))


def _n_features(rng: Rng, low: int, high: int) -> int:
    """Log-uniform from two up; one in a twentieth of the tables."""
    if low == 1 and (high == 1 or rng.random() < 0.05):
        return 1
    return _log_uniform(rng, max(low, 2), high)


def _n_anomalies(rng: Rng, n_rows: int, low: float, high: float) -> int:
    """None at times where that is allowed, then few or, in a quarter of the tables, many."""
    u = rng.random()
    if high == 0 or (low == 0 and u < 0.05):
        return 0
    if (u < 0.3 and high > 0.1) or low >= 0.1:
        share = rng.uniform(max(low, 0.1), high)
    else:
        # Log-uniform: three of four are below 5 %.
        bottom, top = max(low, min(0.005, high / 2)), min(high, 0.1)
        share = float(np.exp(rng.uniform(np.log(bottom), np.log(top))))
    most = max(int(high * n_rows), int(low > 0))
    return int(np.clip(round(share * n_rows), min(1, most), most))

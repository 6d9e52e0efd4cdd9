"""A self-organising map as a learner: units on a grid, near ones of which stay near each other in the data.

Kohonen 1982, "Self-organized formation of topologically correct feature maps"; the batch map of Kohonen 2013,
"Essentials of the self-organizing map". Units j lie on a rectangular grid at places g_j, and the neighbourhood of
radius r is ``h_jk = exp(-||g_j - g_k||^2 / 2 r^2)``. With b_i the best-matching unit of row i, one batch step is

    t_j = sum_i h(j, b_i) x_i / sum_i h(j, b_i),        m_j <- m_j + rate * (t_j - m_j).

The loss is the energy of Heskes 1999, "Energy functions for self-organizing maps", which has a gradient:

    L(m) = 1/n sum_i min_k sum_j H_kj ||x_i - m_j||^2,        H_kj = h_kj / sum_l h_kl,

at radius 0 the mean squared distance of a row to its best unit. With ``learned_schedule=True`` the parameters hold the
radius and the rate of the coming step and where both are going; a step moves them a share ``sigmoid(logit_pace)`` of
the way that is left (of log radius and of logit rate), so that a meta-learner gets gradients for the whole schedule.
With ``prior=True`` a step aims at

    p_j + trust_j * sum_i h(j, b_i) (x_i - p_j + s (p_j - p_(b_i))) / sum_i h(j, b_i),
    trust_j = sigmoid(log sum_i h(j, b_i) - log lambda),

with p the codebook of the prior that is passed in: lambda is what the past is worth, in rows, and s, the
stiffness from 0 to 1, how far the neighbourhood moves the sheet p as it is (1) or smooths it as well (0, as Kohonen).

Differs from the papers: the prior, and that radius and rate can be learned. A unit that no row's neighbourhood reaches
stays where it was, or goes to the prior. The batch step assigns rows to the nearest unit, as Kohonen, not to the
unit that Heskes' energy asks for; so it need not lower the loss at every step.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from firstsight.checks import check_flag, check_number, check_widths
from firstsight.core import Data, Learner, Tree
from firstsight.tensor_checks import check_rows

LEAST_RADIUS = 0.05  # units one apart then weigh exp(-200) for each other: nothing
LEAST_ROWS = 1e-12  # what the past of a unit is worth without a prior: only a unit that no row reaches stays


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a self-organising map.

    Parameters
    ----------
    n_features : int
        Number of columns, >= 1.
    grid : (int, int)
        Rows and columns of the grid, in units, >= 1 each.
    radius : float
        Of the neighbourhood at the start, in steps of the grid, >= 0; used with ``learned_schedule=True``.
    radius_end : float
        Of the neighbourhood in the end, >= 0.
    rate : float
        How far a unit goes towards its mean at the start, above 0, at most .99; used with ``learned_schedule=True``.
    rate_end : float
        How far it goes in the end, likewise.
    pace : float
        Share of the way to the ends that is left, made in one batch step, from .01 to .99.
    learned_schedule : bool
        Whether the parameters hold radius, rate and pace, which batch steps move and gradient steps cannot learn.
        Otherwise radius and rate are at their ends always.
    prior : bool
        Whether the parameters hold ``log_lambda`` and ``logit_stiffness`` and the batch step uses them.
    prior_rows : float
        lambda at the start, in rows, > 0; used with ``prior=True``.
    init_scale : float
        Standard deviation of the first codebook, in units of the data, > 0.

    """

    n_features: int = 2
    grid: tuple[int, int] = (6, 6)
    radius: float = 2.0
    radius_end: float = 0.5
    rate: float = 0.9
    rate_end: float = 0.9
    pace: float = 0.3
    learned_schedule: bool = False
    prior: bool = False
    prior_rows: float = 1.0
    init_scale: float = 1.0

    def __post_init__(self) -> None:
        check_number("n_features", self.n_features, at_least=1, integer=True)
        check_widths("grid", self.grid)
        if len(self.grid) != 2:
            raise ValueError(f"grid={self.grid} should hold the rows and the columns of the grid")
        for name in ("radius", "radius_end"):
            check_number(name, getattr(self, name), at_least=0)
        for name in ("rate", "rate_end"):
            check_number(name, getattr(self, name), above=0, at_most=0.99)
        check_number("pace", self.pace, at_least=0.01, at_most=0.99)
        check_flag("learned_schedule", self.learned_schedule)
        check_flag("prior", self.prior)
        check_number("prior_rows", self.prior_rows, above=0)
        check_number("init_scale", self.init_scale, above=0)


def init(generator: torch.Generator, *, config: Config) -> Tree:
    """A normal codebook of shape (*grid, n_features); with a schedule and a prior, their leaves of shape ()."""
    shape = (*config.grid, config.n_features)
    params = {"codebook": config.init_scale * torch.randn(shape, generator=generator)}
    numbers: dict[str, float] = {}
    if config.learned_schedule:
        numbers |= {
            "log_radius": math.log(max(config.radius, LEAST_RADIUS)),
            "log_radius_end": math.log(max(config.radius_end, LEAST_RADIUS)),
            "logit_rate": _logit(config.rate),
            "logit_rate_end": _logit(config.rate_end),
            "logit_pace": _logit(config.pace),
        }
    if config.prior:
        numbers |= {"log_lambda": math.log(config.prior_rows), "logit_stiffness": 0.0}
    return params | {name: torch.tensor(number) for name, number in numbers.items()}


def start(generator: torch.Generator, data: Data, *, config: Config) -> Tree:
    """The grid laid into the plane of the first two principal components, from minus to plus one deviation.

    The same whatever the generator.
    """
    check_rows("X", data.X, row_shape=(config.n_features,))
    mean = data.X.mean(0)
    _, lengths, directions = torch.linalg.svd(data.X - mean, full_matrices=False)
    # Either sign is as good: the largest entry is made positive, so that the answer is one.
    sign = directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()
    axes = sign * directions * lengths[:, None] / math.sqrt(len(data.X))
    axes = torch.cat([axes, torch.zeros(2, config.n_features, dtype=axes.dtype)])
    # The longer side of the grid lies along the longer axis of the rows.
    down, across = (axes[0], axes[1]) if config.grid[0] >= config.grid[1] else (axes[1], axes[0])
    down = _ticks(config.grid[0], mean)[:, None, None] * down
    across = _ticks(config.grid[1], mean)[None, :, None] * across
    return {**init(generator, config=config), "codebook": mean + down + across}


def grid_distances(codebook: Tensor) -> Tensor:
    """Squared distances on the grid between all units, of shape (n_units, n_units)."""
    places = torch.cartesian_prod(*(torch.arange(n, device=codebook.device) for n in codebook.shape[:2]))
    return ((places[:, None] - places[None]) ** 2).sum(2).to(codebook.dtype)


def squared_distances(X: Tensor, codebook: Tensor) -> Tensor:
    """Squared Euclidean distances of every row to every unit, of shape (n_rows, n_units)."""
    return ((X[:, None, :] - codebook.flatten(0, 1)[None]) ** 2).sum(-1)


def loss(params: Tree, data: Data, *, config: Config) -> Tensor:
    """Heskes' energy at the radius of the coming step, in squared units of the data."""
    codebook = params["codebook"]
    check_rows("X", data.X, row_shape=codebook.shape[2:])
    weights = (grid_distances(codebook) * _log_weight(params, config)).softmax(1)
    return (squared_distances(data.X, codebook) @ weights.T).min(1).values.mean()


def predict(params: Tree, X: Tensor) -> Tensor:
    """Scores of shape (n_rows, n_units): minus the squared distances; the argmax is the best-matching unit.

    Unit ``row * n_columns + column`` lies at (row, column) of the grid.
    """
    check_rows("X", X, row_shape=params["codebook"].shape[2:])
    return -squared_distances(X, params["codebook"])


def refine(params: Tree, data: Data, prior: Tree | None, *, config: Config) -> Tree:
    """One batch step, after which radius and rate have moved on, where they have a schedule.

    Parameters
    ----------
    params : dict
        ``codebook`` that assigns the rows, and the schedule where there is one.
    data : Data
        Rows.
    prior : dict or None
        With ``codebook``, ``log_lambda`` and ``logit_stiffness`` to hold on to; without them, or None: the plain map.
    config : Config
        Settings.

    Returns
    -------
    dict
        As ``params``.

    """
    codebook = params["codebook"]
    check_rows("X", data.X, row_shape=codebook.shape[2:])
    units = codebook.flatten(0, 1)
    best = squared_distances(data.X, codebook).argmin(1)
    # In logarithms: a unit far from all rows still has weights, and they have finite gradients.
    log_h = grid_distances(codebook)[:, best] * _log_weight(params, config)
    weights, log_rows = log_h.softmax(1), torch.logsumexp(log_h, 1)[:, None]
    if prior is not None and "log_lambda" in prior:
        past = prior["codebook"].flatten(0, 1)
        stiffness = torch.sigmoid(prior["logit_stiffness"])
        mean = weights @ (data.X - stiffness * past[best]) + stiffness * past
        trust = torch.sigmoid(log_rows - prior["log_lambda"])
        target = past + trust * (mean - past)
    else:
        target = units + torch.sigmoid(log_rows - math.log(LEAST_ROWS)) * (weights @ data.X - units)
    if not config.learned_schedule:
        return {**params, "codebook": (units + config.rate_end * (target - units)).reshape(codebook.shape)}
    pace = torch.sigmoid(params["logit_pace"])
    return {
        **params,
        "codebook": (units + torch.sigmoid(params["logit_rate"]) * (target - units)).reshape(codebook.shape),
        "log_radius": params["log_radius"] + pace * (params["log_radius_end"] - params["log_radius"]),
        "logit_rate": params["logit_rate"] + pace * (params["logit_rate_end"] - params["logit_rate"]),
    }


def quantisation_error(params: Tree, X: Tensor) -> Tensor:
    """Mean distance of a row to its best-matching unit, in units of the data."""
    check_rows("X", X, row_shape=params["codebook"].shape[2:])
    best = predict(params, X).argmax(1)
    distances: Tensor = torch.linalg.vector_norm(X - params["codebook"].flatten(0, 1)[best], dim=1)
    return distances.mean()


def topographic_error(params: Tree, X: Tensor) -> Tensor:
    """Share of rows whose two best units are no neighbours, of the eight around a unit of the grid.

    Raises
    ------
    ValueError
        When the map has one unit only.

    """
    best = predict(params, X).topk(_checked_pair(params), dim=1).indices
    apart = grid_distances(params["codebook"])[best[:, 0], best[:, 1]] > 2
    return apart.to(X.dtype).mean()


def topographic_loss(params: Tree, X: Tensor, *, temperature: float) -> Tensor:
    """The topographic error with a soft second-best unit, for an outer loop to lower.

    Parameters
    ----------
    params : dict
        With ``codebook``.
    X : Tensor of shape (n_rows, n_features)
        Rows.
    temperature : float
        How far units compete to be second, in squared units of the data, > 0; the error itself as it tends to 0.

    Returns
    -------
    Tensor of shape ()
        From 0 to 1.

    """
    scores = predict(params, X)
    best = scores.argmax(1)
    _checked_pair(params)
    to_best = grid_distances(params["codebook"])[best]
    second = torch.where(to_best == 0, -torch.inf, scores / temperature).softmax(1)
    return (second * (to_best > 2).to(X.dtype)).sum(1).mean()


def build(config: Config) -> Learner:
    """A self-organising map with these settings."""
    return Learner(
        init=partial(init, config=config),
        loss=partial(loss, config=config),
        predict=predict,
        refine=partial(refine, config=config),
        start=partial(start, config=config),
        row_shape=(config.n_features,),
    )


def _log_weight(params: Tree, config: Config) -> Tensor | float:
    """-1 / 2 r^2, the logarithm of the weight of a neighbour one step away."""
    if not config.learned_schedule:
        return -0.5 / max(config.radius_end, LEAST_RADIUS) ** 2
    log_radius: Tensor = params["log_radius"].clamp(min=math.log(LEAST_RADIUS))
    return -0.5 * torch.exp(-2 * log_radius)


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _ticks(n: int, like: Tensor) -> Tensor:
    """Numbers from -1 to 1; 0, if it is but one."""
    return torch.linspace(-1, 1, n, dtype=like.dtype) if n > 1 else torch.zeros(1, dtype=like.dtype)


def _checked_pair(params: Tree) -> int:
    """Two, where there are two units."""
    if (n_units := params["codebook"].shape[:2].numel()) < 2:
        raise ValueError(f"n_units={n_units} should be >= 2 for a topographic error; use a larger map")
    return 2

"""A Gaussian mixture as a learner: soft clusters with their shapes, EM's exact step, and a prior on all of them.

The loss is the mean negative log-likelihood of a row, in nats,

    L = -1/n sum_i log sum_j w_j N(x_i; mu_j, S_j),

and the exact step is EM (Dempster, Laird, Rubin 1977). With ``prior=True`` the parameters hold three strengths as
well, and the step is exact MAP-EM (as in Fraley and Raftery 2007), which never lowers n times minus L plus

    lambda_w sum_j w0_j log w_j                                   Dirichlet on the weights
    - lambda_m / 2 sum_j (mu_j - m0_j)' S_j^-1 (mu_j - m0_j)      normal on the means, given S_j
    - lambda_s / 2 sum_j (log |S_j| + tr(S_j^-1 S0_j))            inverse Wishart (gamma) on the covariances

with w0, m0, S0 and the lambdas from the prior that is passed in. The lambdas are in units of rows: with n_j the
responsibilities of component j, x_j the mean of its rows, A_j their covariance, and D_j = x_j - m0_j, the M step is

    w_j = t_w n_j / n + (1 - t_w) w0_j          t_w = sigmoid(log n - log lambda_w)
    mu_j = m0_j + t_m D_j                       t_m = sigmoid(log n_j - log lambda_m)
    S_j = t_s (A_j + (1 - t_m) D_j D_j' + floor I) + (1 - t_s) S0_j      t_s = sigmoid(log n_j - log lambda_s)

(tied: A and D D' averaged over components, n for n_j), which stays finite at any lambda: 0 gives EM, infinity the
prior. A covariance is kept as the regression of every column on those before it (Pourahmadi 1999),
S^-1 = (I - B)' V^-1 (I - B), B strictly lower, V = floor + exp(2 log_deviations): unconstrained, and the density needs
no matrix factorised. So no column varies by less than the floor, given those before it, whether by gradient or exact
steps: a component of one row, or a constant column, has the floor itself.

Differs from the paper: the floor is added to every covariance of an exact step (scikit-learn's ``reg_covar``), with a
few roundings of its trace. Without a prior a component whose responsibilities sum to less than a rounding stays where
it was. The normalising terms of the normal on the means count with the strength of the covariances.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from firstsight.checks import check_choice, check_flag, check_number
from firstsight.core import Data, Learner, Tree
from firstsight.starts import spread_rows
from firstsight.tensor_checks import check_rows
from firstsight.trees import cast

STRENGTHS = ("log_covariance_rows", "log_mean_rows", "log_weight_rows")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a Gaussian mixture.

    Parameters
    ----------
    n_features : int
        Number of columns, >= 1.
    n_clusters : int
        Number of components, >= 1.
    covariance : {"full", "diagonal", "tied"}
        A matrix for each component, variances for each, or one full matrix for all.
    variance_floor : float
        Least variance of a column given those before it, in squared units of the data, > 0; also what an exact
        step adds to the diagonal of every covariance.
    prior : bool
        Whether the parameters hold the strengths of a prior and the exact step uses it.
    prior_rows : float
        Each strength at the start, in rows, > 0; used with ``prior=True``.
    init_scale : float
        Standard deviation of the first means and of every first component, in units of the data, > 0.

    """

    n_features: int = 2
    n_clusters: int = 3
    covariance: Literal["full", "diagonal", "tied"] = "full"
    variance_floor: float = 1e-6
    prior: bool = False
    prior_rows: float = 1.0
    init_scale: float = 1.0

    def __post_init__(self) -> None:
        check_number("n_features", self.n_features, at_least=1, integer=True)
        check_number("n_clusters", self.n_clusters, at_least=1, integer=True)
        check_choice("covariance", self.covariance, ["full", "diagonal", "tied"])
        check_number("variance_floor", self.variance_floor, above=0)
        check_flag("prior", self.prior)
        check_number("prior_rows", self.prior_rows, above=0)
        check_number("init_scale", self.init_scale, above=0)


def init(generator: torch.Generator, *, config: Config) -> Tree:
    """Equal weights, means from a normal distribution, round components; with a prior, its strengths of shape ().

    ``log_weights`` has shape (n_clusters,), ``means`` (n_clusters, n_features), ``log_deviations``
    (n_shapes, n_features) and ``regression``, unless the covariances are diagonal, (n_shapes, n_features, n_features),
    of which the part below the diagonal is read; n_shapes is 1 for tied covariances, else n_clusters.
    """
    n_shapes = 1 if config.covariance == "tied" else config.n_clusters
    params = {
        "log_weights": torch.zeros(config.n_clusters),
        "means": config.init_scale * torch.randn(config.n_clusters, config.n_features, generator=generator),
        "log_deviations": torch.full((n_shapes, config.n_features), math.log(config.init_scale)),
    }
    if config.covariance != "diagonal":
        params["regression"] = torch.zeros(n_shapes, config.n_features, config.n_features)
    if config.prior:
        params |= {name: torch.tensor(config.prior_rows).log() for name in STRENGTHS}
    return params


def start(generator: torch.Generator, data: Data, *, config: Config) -> Tree:
    """Means at rows far from each other (k-means++), with round components as wide as rows are from the nearest.

    Parameters
    ----------
    generator : torch.Generator
        Of the choice.
    data : Data
        At least ``n_clusters`` rows.
    config : Config
        Settings.

    Returns
    -------
    dict
        As ``init`` gives.

    Raises
    ------
    ValueError
        When there are fewer rows than components.

    """
    X = data.X
    check_rows("X", X, row_shape=(config.n_features,), at_least=config.n_clusters)
    chosen, nearest = spread_rows(generator, X, config.n_clusters)
    params = cast(init(generator, config=config), X.dtype)
    variance = (nearest.mean() / config.n_features).clamp(min=config.variance_floor)
    wide = 0.5 * variance.log() + torch.zeros_like(params["log_deviations"])
    return {**params, "means": X[chosen], "log_deviations": wide}


def predict(params: Tree, X: Tensor, *, floor: float) -> Tensor:
    """Scores of shape (n_rows, n_clusters): log w_j + log N(x; mu_j, S_j), in nats.

    The argmax is the cluster, the logsumexp over the clusters the log-density of the row.
    """
    check_rows("X", X, row_shape=params["means"].shape[1:])
    deviations = X - params["means"][:, None, :]
    if "regression" in params:
        deviations = deviations - deviations @ params["regression"].tril(-1).mT
    variances = floor + (2 * params["log_deviations"]).exp()
    squared = (deviations**2 / variances[:, None, :]).sum(-1)
    log_volume = X.shape[1] * math.log(2 * math.pi) + variances.log().sum(-1, keepdim=True)
    scores: Tensor = params["log_weights"].log_softmax(0)[:, None] - 0.5 * (log_volume + squared)
    return scores.mT


def loss(params: Tree, data: Data, *, floor: float) -> Tensor:
    """Mean negative log-likelihood of a row, in nats."""
    return -predict(params, data.X, floor=floor).logsumexp(1).mean()


def covariances(params: Tree, *, floor: float) -> Tensor:
    """The covariance matrices, of shape (n_shapes, n_features, n_features); of diagonal ones the variances."""
    variances: Tensor = floor + (2 * params["log_deviations"]).exp()
    if "regression" not in params:
        return variances
    identity = torch.eye(variances.shape[1], dtype=variances.dtype, device=variances.device)
    lower = identity - params["regression"].tril(-1)
    factor: Tensor = torch.linalg.solve_triangular(
        lower, torch.diag_embed(variances.sqrt()), upper=False, unitriangular=True
    )
    return factor @ factor.mT


def from_covariances(covariances: Tensor, *, floor: float) -> Tree:
    """``log_deviations`` and, of matrices, ``regression`` with these covariances; see :func:`covariances`."""
    if covariances.ndim == 2:
        variances = covariances
        shape = {}
    else:
        diagonal = covariances.diagonal(dim1=-2, dim2=-1)
        identity = torch.eye(diagonal.shape[1], dtype=diagonal.dtype, device=diagonal.device)
        # What rounding may take from a matrix without full rank, above all in float32.
        rounding = 10 * torch.finfo(diagonal.dtype).eps * diagonal.sum(-1)[:, None, None]
        factor = torch.linalg.cholesky(covariances + rounding * identity)
        lengths = factor.diagonal(dim1=-2, dim2=-1)
        unit = factor / lengths[:, None, :]
        inverse = torch.linalg.solve_triangular(unit, identity.expand_as(unit), upper=False, unitriangular=True)
        variances, shape = lengths**2, {"regression": (identity - inverse).tril(-1)}
    return {"log_deviations": 0.5 * (variances - floor).clamp(min=1e-6 * floor).log(), **shape}


def refine(params: Tree, data: Data, prior: Tree | None, *, floor: float) -> Tree:
    """One EM step; MAP-EM where there is a prior.

    Parameters
    ----------
    params : dict
        The mixture whose responsibilities count.
    data : Data
        Rows, at least one.
    prior : dict or None
        Shaped like ``params``, to pull towards; without its strengths, or None: plain EM.
    floor : float
        ``variance_floor`` of the settings.

    Returns
    -------
    dict
        The new mixture; strengths as in ``params``.

    """
    X, full = data.X, "regression" in params
    tied = params["log_deviations"].shape[0] < params["means"].shape[0]
    log_n = math.log(X.shape[0])
    log_member = predict(params, X, floor=floor).log_softmax(1)
    log_sizes = log_member.logsumexp(0)
    # Each row's share in a component: adds up to 1 over the rows, however far away all of them are.
    share = log_member.softmax(0).mT
    means = share @ X
    log_weights = log_sizes - log_n
    scatter = _outer(X - means[:, None, :], share, full=full)

    pull = prior if prior is not None and STRENGTHS[0] in prior else None
    if pull is not None:
        trust = torch.sigmoid(log_sizes - pull["log_mean_rows"])[:, None]
        gap = means - pull["means"]
        scatter = scatter + _outer(gap[:, None, :], 1 - trust, full=full)
        means = pull["means"] + trust * gap
        odds = log_n - pull["log_weight_rows"]
        log_weights = torch.logaddexp(
            logsigmoid(odds) + log_weights, logsigmoid(-odds) + pull["log_weights"].log_softmax(0)
        )
    log_rows = log_sizes
    if tied:
        scatter = torch.tensordot((log_sizes - log_n).exp(), scatter, 1)[None]
        log_rows = torch.full_like(log_sizes[:1], log_n)
    flat = torch.ones(X.shape[1], dtype=X.dtype, device=X.device)
    fitted = scatter + floor * (flat.diag() if full else flat)
    if pull is not None:
        trust = torch.sigmoid(log_rows - pull["log_covariance_rows"]).reshape(-1, *[1] * (fitted.ndim - 1))
        fitted = trust * fitted + (1 - trust) * covariances(pull, floor=floor)
    moved = {"means": means, **from_covariances(fitted, floor=floor)}
    if pull is None:
        seen = log_sizes > math.log(torch.finfo(X.dtype).eps)
        kept = {"means"} if tied else set(moved)
        moved = {
            name: torch.where(seen.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, params[name]) if name in kept else leaf
            for name, leaf in moved.items()
        }
    return {**params, "log_weights": log_weights, **moved}


def build(config: Config) -> Learner:
    """A Gaussian mixture with these settings."""
    floor = config.variance_floor
    return Learner(
        init=partial(init, config=config),
        loss=partial(loss, floor=floor),
        predict=partial(predict, floor=floor),
        refine=partial(refine, floor=floor),
        start=partial(start, config=config),
        row_shape=(config.n_features,),
    )


def _outer(deviations: Tensor, weights: Tensor, *, full: bool) -> Tensor:
    """Weighted sums over rows of d d', or of its diagonal: (n_clusters, n_rows, n_features) by (n_clusters, n_rows)."""
    if full:
        return (weights[:, :, None] * deviations).mT @ deviations
    return (weights[:, :, None] * deviations**2).sum(1)

"""Probabilistic PCA as a learner: a density with few directions, EM's exact step, and a prior on the directions.

Rows are x = mean + W z + noise with codes z ~ N(0, I) of q = ``n_code`` numbers and noise ~ N(0, v I), so that
x ~ N(mean, C) with C = W W' + v I (Tipping and Bishop 1999). The loss is the mean negative log-likelihood of a row, in
nats, at a cost of n d q: with M = W' W + v I of shape (q, q) and z = M^-1 W' (x - mean), what ``predict`` gives,

    log |C| = (d - q) log v + log |M|         (x - mean)' C^-1 (x - mean) = ||x - mean - W z||^2 / v + ||z||^2.

The exact step puts the mean at the rows' mean, which is best whatever W and v are, and moves W and v by EM. With
``prior=True`` the parameters hold three strengths as well, and the step is exact MAP-EM, which never lowers

    sum_i log N(x_i; mean, C) - lambda_m / 2 (mean - m0)' C^-1 (mean - m0)
        - lambda_w / (2 v) ||W - W0||^2 - lambda_v d / 2 (log v + v0 / v),

m0, W0, v0 and the lambdas from the prior that is passed in, the lambdas in units of rows. With D = x_mean - m0,
t = sigmoid(log n - log lambda), each its own, S the rows' covariance + (1 - t_m) D D', K = S W M^-1 and
H = v M^-1 + M^-1 W' K, the codes' second moment,

    mean = m0 + t_m D         W_new = W0 + t_w E         E = (K - W0 H) (t_w H + (1 - t_w) I)^-1
    v_new = t_v (tr S - 2 tr(W_new' K) + tr(W_new H W_new') + t_w (1 - t_w) ||E||^2) / d + (1 - t_v) v0,

which stay finite at any lambda: 0 gives EM, infinity the prior. A prior knows W0 with its rotation, of which the
likelihood knows nothing: the prior should be where the steps begin, as it is when a meta-learner passes theta.

Differs from the paper: the noise variance has a floor, below which no step takes it (rows within n_code directions
have a likelihood without bound), and M a few roundings of its trace on the diagonal. Fewer rows than codes are fine.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from firstsight.checks import check_flag, check_number
from firstsight.core import Data, Learner, Tree
from firstsight.tensor_checks import check_rows
from firstsight.trees import cast

STRENGTHS = ("log_loading_rows", "log_mean_rows", "log_noise_rows")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of probabilistic PCA.

    Parameters
    ----------
    n_features : int
        Number of columns, >= 2.
    n_code : int
        Numbers in the code, >= 1 and below ``n_features``: a direction at least is left for the noise.
    variance_floor : float
        Least noise variance, in squared units of the data, > 0.
    prior : bool
        Whether the parameters hold the strengths of a prior and the exact step uses it.
    prior_rows : float
        Each strength at the start, in rows, > 0; used with ``prior=True``.
    init_scale : float
        Standard deviation of a column at the start, half of it in variance noise, in units of the data, > 0.

    """

    n_features: int = 3
    n_code: int = 2
    variance_floor: float = 1e-6
    prior: bool = False
    prior_rows: float = 1.0
    init_scale: float = 1.0

    def __post_init__(self) -> None:
        check_number("n_features", self.n_features, at_least=2, integer=True)
        check_number("n_code", self.n_code, at_least=1, integer=True)
        check_number("variance_floor", self.variance_floor, above=0)
        check_flag("prior", self.prior)
        check_number("prior_rows", self.prior_rows, above=0)
        check_number("init_scale", self.init_scale, above=0)
        if self.n_code >= self.n_features:
            raise ValueError(
                f"n_code={self.n_code} should be < n_features={self.n_features}, or nothing is left for the noise; "
                "take fewer codes, or a Gaussian with a full covariance"
            )


def init(generator: torch.Generator, *, config: Config) -> Tree:
    """``mean`` 0 (n_features,), ``loadings`` from a normal distribution (n_features, n_code), ``log_noise`` ().

    With a prior, its strengths of shape ().
    """
    half = config.init_scale / math.sqrt(2)
    loadings = torch.randn(config.n_features, config.n_code, generator=generator)
    params = {
        "mean": torch.zeros(config.n_features),
        "loadings": half / math.sqrt(config.n_code) * loadings,
        "log_noise": torch.tensor(2 * math.log(half)),
    }
    if config.prior:
        params |= {name: torch.tensor(config.prior_rows).log() for name in STRENGTHS}
    return params


def start(generator: torch.Generator, data: Data, *, config: Config) -> Tree:
    """The maximum of the likelihood in closed form: directions of largest variance, noise the mean of the others'.

    Parameters
    ----------
    generator : torch.Generator
        Of nothing but what ``init`` draws.
    data : Data
        Rows, at least one. Up to ``n_code`` + 1 rows leave nothing to the noise, which then is the floor.
    config : Config
        Settings.

    Returns
    -------
    dict
        As ``init`` gives.

    """
    check_rows("X", data.X, row_shape=(config.n_features,))
    mean = data.X.mean(0)
    _, lengths, directions = torch.linalg.svd((data.X - mean) / math.sqrt(len(data.X)), full_matrices=False)
    variances, n_left = lengths**2, config.n_features - config.n_code
    noise = (variances[config.n_code :].sum() / n_left).clamp(min=config.variance_floor)
    found = directions[: config.n_code].mT * (variances[: config.n_code] - noise).clamp(min=0).sqrt()
    loadings = torch.cat([found, found.new_zeros(config.n_features, config.n_code - found.shape[1])], 1)
    log_noise = _log_above(noise, config.variance_floor)
    given = cast(init(generator, config=config), mean.dtype)
    return {**given, "mean": mean, "loadings": loadings, "log_noise": log_noise}


def covariance(params: Tree, *, floor: float) -> Tensor:
    """C = W W' + v I, of shape (n_features, n_features)."""
    W = params["loadings"]
    noise = floor + params["log_noise"].exp()
    C: Tensor = W @ W.mT + noise * torch.eye(W.shape[0], dtype=W.dtype, device=W.device)
    return C


def predict(params: Tree, X: Tensor, *, floor: float) -> Tensor:
    """Codes of shape (n_rows, n_code): the mean of z given the row."""
    check_rows("X", X, row_shape=params["mean"].shape)
    return _codes(params["loadings"], X - params["mean"], _moment(params, floor=floor))


def loss(params: Tree, data: Data, *, floor: float) -> Tensor:
    """Mean negative log-likelihood of a row, in nats."""
    codes = predict(params, data.X, floor=floor)
    W, noise = params["loadings"], floor + params["log_noise"].exp()
    n_features, n_code = W.shape
    left = ((data.X - params["mean"] - codes @ W.mT) ** 2).sum(1)
    lengths = torch.linalg.cholesky(_moment(params, floor=floor)).diagonal()
    log_volume = n_features * math.log(2 * math.pi) + (n_features - n_code) * noise.log() + 2 * lengths.log().sum()
    twice: Tensor = log_volume + (left / noise + (codes**2).sum(1)).mean()
    return 0.5 * twice


def refine(params: Tree, data: Data, prior: Tree | None, *, floor: float) -> Tree:
    """One EM step; MAP-EM where there is a prior.

    Parameters
    ----------
    params : dict
        Where W and the noise variance are.
    data : Data
        Rows, at least one.
    prior : dict or None
        Shaped like ``params``, to pull towards; without its strengths, or None: plain EM.
    floor : float
        ``variance_floor`` of the settings.

    Returns
    -------
    dict
        The new parameters; strengths as in ``params``.

    """
    check_rows("X", data.X, row_shape=params["mean"].shape)
    n_rows = data.X.shape[0]
    W, noise, moment = params["loadings"], floor + params["log_noise"].exp(), _moment(params, floor=floor)
    identity = torch.eye(W.shape[1], dtype=W.dtype, device=W.device)
    # Without a prior all trust is in the rows, and what they are compared with does not matter.
    pull, trust = params, [torch.ones_like(noise)] * 3
    if prior is not None and STRENGTHS[0] in prior:
        pull, trust = prior, [torch.sigmoid(math.log(n_rows) - prior[name]) for name in STRENGTHS]
    trust_loadings, trust_mean, trust_noise = trust

    mean = data.X.mean(0)
    gap = (mean - pull["mean"])[None]
    centred = data.X - mean
    codes, gap_code = _codes(W, centred, moment), _codes(W, gap, moment)
    spread = noise * torch.linalg.solve(moment, identity)
    second = spread + codes.mT @ codes / n_rows + (1 - trust_mean) * gap_code.mT @ gap_code
    cross = centred.mT @ codes / n_rows + (1 - trust_mean) * gap.mT @ gap_code

    W0 = pull["loadings"]
    metric = _rounded(trust_loadings * second + (1 - trust_loadings) * identity)
    move = torch.linalg.solve(metric, (cross - W0 @ second).mT).mT
    loadings = W0 + trust_loadings * move
    left = (
        ((centred - codes @ loadings.mT) ** 2).sum() / n_rows
        + (1 - trust_mean) * ((gap - gap_code @ loadings.mT) ** 2).sum()
        + ((loadings @ spread) * loadings).sum()
        + trust_loadings * (1 - trust_loadings) * (move**2).sum()
    )
    moved = trust_noise * left / W.shape[0] + (1 - trust_noise) * (floor + pull["log_noise"].exp())
    return {
        **params,
        "mean": pull["mean"] + trust_mean * gap[0],
        "loadings": loadings,
        "log_noise": _log_above(moved, floor),
    }


def build(config: Config) -> Learner:
    """Probabilistic PCA with these settings."""
    floor = config.variance_floor
    return Learner(
        init=partial(init, config=config),
        loss=partial(loss, floor=floor),
        predict=partial(predict, floor=floor),
        refine=partial(refine, floor=floor),
        start=partial(start, config=config),
        row_shape=(config.n_features,),
    )


def _moment(params: Tree, *, floor: float) -> Tensor:
    """M = W' W + v I, of shape (n_code, n_code)."""
    W: Tensor = params["loadings"]
    noise = floor + params["log_noise"].exp()
    return _rounded(W.mT @ W + noise * torch.eye(W.shape[1], dtype=W.dtype, device=W.device))


def _rounded(matrix: Tensor) -> Tensor:
    """What rounding may take from a positive matrix, above all in float32, put back on its diagonal."""
    lift = 10 * torch.finfo(matrix.dtype).eps * matrix.diagonal().sum()
    return matrix + lift * torch.eye(matrix.shape[0], dtype=matrix.dtype, device=matrix.device)


def _codes(loadings: Tensor, deviations: Tensor, moment: Tensor) -> Tensor:
    codes: Tensor = torch.linalg.solve(moment, (deviations @ loadings).mT).mT
    return codes


def _log_above(variance: Tensor, floor: float) -> Tensor:
    """The logarithm of what a variance is above the floor."""
    return (variance - floor).clamp(min=1e-6 * floor).log()

"""Gaussian mixtures and probabilistic PCA against scikit-learn, scipy, and their own objectives."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from firstsight import Data, Plan, Task, TrainConfig, last, meta_train
from firstsight.engine.execute import sum_gradients
from firstsight.learners import gmm, ppca
from firstsight.meta import joint, maml, meta_sgd, reptile
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures
from firstsight.trees import cast, leaves, norm, tree_map

KINDS = {"full": "full", "diagonal": "diag", "tied": "tied"}
FLOOR = 1e-12


def rows(seed=0, n_rows=150, n_features=3):
    config = mixtures.Config(
        n_features=(n_features,) * 2, n_clusters=(3, 3), covariance="full", within=(0.3, 0.6), n_support=n_rows
    )
    return mixtures.build(config)(generator_of(seed), 1).support.X[0].double()


def mixture(covariance, *, seed=1, prior=False, floor=FLOOR, n_features=3):
    """A learner, and parameters with every number its own."""
    learner = gmm.build(
        gmm.Config(n_features=n_features, covariance=covariance, variance_floor=floor, prior=prior, prior_rows=3.0)
    )
    return learner, jittered(learner.init(generator_of(seed)), seed)


def components(n_features=4, n_code=2, *, seed=1, prior=False, floor=FLOOR):
    learner = ppca.build(
        ppca.Config(n_features=n_features, n_code=n_code, variance_floor=floor, prior=prior, prior_rows=3.0)
    )
    return learner, jittered(learner.init(generator_of(seed)), seed)


def jittered(params, seed):
    generator = generator_of(seed, "jitter")
    return tree_map(lambda leaf: leaf + 0.3 * torch.randn(leaf.shape, generator=generator), cast(params, torch.float64))


def matrices(params, n_clusters=3, floor=FLOOR):
    """Weights, means and full covariances as numpy arrays, whatever the kind of covariance."""
    found = gmm.covariances(params, floor=floor)
    full = torch.diag_embed(found) if found.ndim == 2 else found
    weights = params["log_weights"].softmax(0)
    return weights.numpy(), params["means"].numpy(), full.expand(n_clusters, -1, -1).numpy()


def scikit_mixture(params, kind, **settings):
    weights, means, full = matrices(params)
    precisions = np.linalg.inv(full)
    shaped = {"full": precisions, "diag": np.diagonal(precisions, axis1=1, axis2=2), "tied": precisions[0]}[kind]
    return GaussianMixture(
        3, covariance_type=kind, weights_init=weights, means_init=means, precisions_init=shaped, **settings
    )


@pytest.mark.parametrize("covariance", KINDS)
def test_mixture_scores_are_weighted_densities(covariance):
    learner, params = mixture(covariance)
    X = rows()
    weights, means, full = matrices(params)
    expected = np.stack(
        [
            math.log(w) + multivariate_normal(m, S).logpdf(X.numpy())
            for w, m, S in zip(weights, means, full, strict=True)
        ],
        axis=1,
    )
    np.testing.assert_allclose(learner.predict(params, X).numpy(), expected, rtol=1e-10)
    assert float(learner.loss(params, Data(X))) == pytest.approx(-np.log(np.exp(expected).sum(1)).mean(), rel=1e-10)


@pytest.mark.parametrize("covariance", KINDS)
def test_covariances_come_back_from_their_parameters(covariance):
    _, params = mixture(covariance, floor=1e-3)
    again = gmm.from_covariances(gmm.covariances(params, floor=1e-3), floor=1e-3)
    torch.testing.assert_close(again["log_deviations"], params["log_deviations"])
    if covariance != "diagonal":
        torch.testing.assert_close(again["regression"], params["regression"].tril(-1))


@pytest.mark.parametrize("covariance", KINDS)
def test_em_ends_where_scikit_learn_ends(covariance):
    learner, _ = mixture(covariance)
    X = rows(n_rows=400)
    params = learner.start(generator_of(2), Data(X))
    theirs = scikit_mixture(params, KINDS[covariance], reg_covar=0, tol=0, max_iter=200)
    with pytest.warns(match="converge"):
        theirs.fit(X.numpy())
    for _ in range(200):
        params = learner.refine(params, Data(X), None)
    weights, means, full = matrices(params)
    np.testing.assert_allclose(weights, theirs.weights_, rtol=1e-6)
    np.testing.assert_allclose(means, theirs.means_, rtol=1e-6, atol=1e-7)
    expected = {"full": lambda S: S, "diag": lambda S: [np.diag(v) for v in S], "tied": lambda S: [S] * 3}
    np.testing.assert_allclose(full, expected[KINDS[covariance]](theirs.covariances_), rtol=1e-6, atol=1e-7)
    assert float(learner.loss(params, Data(X))) == pytest.approx(-theirs.score(X.numpy()), rel=1e-9)
    assert (learner.predict(params, X).argmax(1).numpy() == theirs.predict(X.numpy())).all()


def penalised(params, data, prior, learner):
    """The log-likelihood of all rows with the logarithm of the mixture's prior, written out."""
    floor = learner.refine.keywords["floor"]

    def full(tree):
        found = gmm.covariances(tree, floor=floor)
        return torch.diag_embed(found) if found.ndim == 2 else found

    S, S0 = full(params), full(prior)
    strength = {name: prior[name].exp() for name in gmm.STRENGTHS}
    gap = params["means"] - prior["means"]
    precision = torch.linalg.inv(S)
    return (
        -len(data.X) * learner.loss(params, data)
        + strength["log_weight_rows"] * (prior["log_weights"].softmax(0) * params["log_weights"].log_softmax(0)).sum()
        - strength["log_mean_rows"] / 2 * torch.einsum("kd,kde,ke->", gap, precision.expand(3, -1, -1), gap)
        - strength["log_covariance_rows"] / 2 * (torch.logdet(S) + (precision * S0).sum((1, 2))).sum()
    )


@pytest.mark.parametrize("covariance", KINDS)
def test_map_em_climbs_to_a_summit_of_its_objective(covariance):
    """Every step raises the penalised likelihood, and where they end its gradient is zero."""
    learner, prior = mixture(covariance, prior=True)
    data, params = Data(rows(n_rows=25)), prior
    values = []
    for _ in range(40):
        values.append(float(penalised(params, data, prior, learner)))
        params = learner.refine(params, data, prior)
    for _ in range(160):
        params = learner.refine(params, data, prior)
    values.append(float(penalised(params, data, prior, learner)))
    assert all(after >= before - 1e-9 for before, after in pairwise(values))
    assert values[-1] > values[0] + 10
    slope = torch.func.grad(penalised)(params, data, prior, learner)
    assert float(norm([slope[name] for name in slope if name not in gmm.STRENGTHS])) < 1e-5


@pytest.mark.parametrize("covariance", KINDS)
def test_em_without_prior_never_raises_the_loss(covariance):
    learner, params = mixture(covariance)
    data, losses = Data(rows(seed=5)), []
    for _ in range(60):
        losses.append(float(learner.loss(params, data)))
        params = learner.refine(params, data, None)
    assert all(after <= before + 1e-10 for before, after in pairwise(losses))
    assert losses[-1] < losses[0] - 0.3


def test_map_step_of_a_known_assignment():
    """Two components so far apart that responsibilities are 0 and 1, in one column: worked out by hand."""
    learner = gmm.build(gmm.Config(n_features=1, n_clusters=2, covariance="diagonal", prior=True, variance_floor=1e-9))
    X = torch.tensor([[-10.0], [-12.0], [9.0]], dtype=torch.float64)
    prior = {
        "log_weights": torch.tensor([0.3, 0.7], dtype=torch.float64).log(),
        "means": torch.tensor([[-10.0], [10.0]], dtype=torch.float64),
        "log_deviations": torch.tensor([[0.0], [0.5 * math.log(2.0)]], dtype=torch.float64),
        "log_weight_rows": torch.tensor(5.0, dtype=torch.float64).log(),
        "log_mean_rows": torch.tensor(4.0, dtype=torch.float64).log(),
        "log_covariance_rows": torch.tensor(3.0, dtype=torch.float64).log(),
    }
    step = learner.refine(prior, Data(X), prior)
    np.testing.assert_allclose(step["log_weights"].exp(), [(2 + 5 * 0.3) / 8, (1 + 5 * 0.7) / 8])
    np.testing.assert_allclose(step["means"][:, 0], [(-22 - 40) / 6, (9 + 40) / 5])
    # Scatter about the rows' mean, then their mean's distance to the prior's with n m / (n + m) of its square.
    expected = [(2 * 1 + 2 * 4 / 6 * 1**2 + 3 * 1) / 5, (0 + 1 * 4 / 5 * 1**2 + 3 * 2) / 4]
    np.testing.assert_allclose((2 * step["log_deviations"][:, 0]).exp(), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [*KINDS, "ppca"])
def test_a_weak_prior_is_em_and_a_strong_one_the_prior(kind):
    module = ppca if kind == "ppca" else gmm
    learner, prior = components(3, 2, prior=True) if kind == "ppca" else mixture(kind, prior=True)
    data = Data(rows(n_rows=20))
    weak, strong = ({**prior, **{name: prior[name] * 0 + log for name in module.STRENGTHS}} for log in (-80.0, 80.0))
    em = learner.refine(prior, data, None)
    for name, leaf in learner.refine(prior, data, weak).items():
        torch.testing.assert_close(leaf, em[name], rtol=1e-9, atol=1e-9)
    kept = learner.refine(prior, data, strong)
    moved = {"log_weights": kept["log_weights"].softmax(0)} if module is gmm else {}
    expected = {"log_weights": prior["log_weights"].softmax(0)} if module is gmm else {}
    shape = {"regression": prior["regression"].tril(-1)} if "regression" in prior else {}
    for name, leaf in {**prior, **shape, **expected}.items():
        torch.testing.assert_close({**kept, **moved}[name], leaf, rtol=1e-9, atol=1e-9)


def test_an_empty_component_stays_and_one_of_a_row_has_the_floor():
    learner = gmm.build(gmm.Config(n_features=2, variance_floor=1e-4))
    params = cast(learner.init(generator_of(0)), torch.float64)
    params["means"] = torch.tensor([[0.0, 0.0], [50.0, 50.0], [-900.0, 0.0]], dtype=torch.float64)
    X = torch.cat([torch.randn(9, 2, generator=generator_of(1)).double(), torch.tensor([[50.0, 51.0]])])
    moved = learner.refine(params, Data(X), None)
    for name in ("means", "log_deviations", "regression"):
        torch.testing.assert_close(moved[name][2], params[name][2])
    torch.testing.assert_close(moved["means"][1], X[9])
    covariance = gmm.covariances(moved, floor=1e-4)
    torch.testing.assert_close(covariance[1], 1e-4 * torch.eye(2, dtype=torch.float64), rtol=1e-4, atol=1e-9)
    assert torch.isfinite(learner.loss(moved, Data(X)))


def test_mixture_start_takes_rows_of_every_cluster():
    centres = 20 * torch.eye(4, dtype=torch.float64)
    X = centres.repeat_interleave(15, 0) + torch.randn(60, 4, generator=generator_of(3)).double()
    learner = gmm.build(gmm.Config(n_features=4, n_clusters=4))
    for seed in range(20):
        params = learner.start(generator_of(seed), Data(X))
        assert sorted(learner.predict(params, centres).argmax(1).tolist()) == [0, 1, 2, 3]
    assert 0.5 < float(params["log_deviations"].exp().mean()) < 3
    with pytest.raises(ValueError, match="n_rows=3, should be >= 4"):
        learner.start(generator_of(0), Data(X[:3]))


@pytest.mark.parametrize("n_code", [1, 2, 3])
def test_ppca_loss_is_a_normal_density_and_codes_its_conditional_mean(n_code):
    learner, params = components(4, n_code)
    X = rows(n_features=4)
    C = ppca.covariance(params, floor=FLOOR).numpy()
    expected = -multivariate_normal(params["mean"].numpy(), C).logpdf(X.numpy()).mean()
    assert float(learner.loss(params, Data(X))) == pytest.approx(expected, rel=1e-10)
    codes = (X - params["mean"]).numpy() @ np.linalg.solve(C, params["loadings"].numpy())
    np.testing.assert_allclose(learner.predict(params, X).numpy(), codes, rtol=1e-9, atol=1e-12)


def low_rank(n_rows, n_features=6, n_code=2, seed=0):
    generator = generator_of(seed)
    W = torch.randn(n_features, n_code, generator=generator, dtype=torch.float64)
    codes = torch.randn(n_rows, n_code, generator=generator, dtype=torch.float64)
    return 3 + codes @ W.mT + 0.3 * torch.randn(n_rows, n_features, generator=generator, dtype=torch.float64)


def test_ppca_closed_form_and_em_are_scikit_learns_pca():
    X = low_rank(80)
    learner = ppca.build(ppca.Config(n_features=6, n_code=2, variance_floor=FLOOR))
    theirs = PCA(2).fit(X.numpy())
    best = learner.start(generator_of(0), Data(X))
    # scikit-learn divides scatters by n - 1.
    n_over = (len(X) - 1) / len(X)
    variances, noise = n_over * theirs.explained_variance_, n_over * theirs.noise_variance_
    C = (theirs.components_.T * (variances - noise)) @ theirs.components_ + noise * np.eye(6)
    np.testing.assert_allclose(ppca.covariance(best, floor=FLOOR).numpy(), C, rtol=1e-9, atol=1e-12)
    params, losses = cast(learner.init(generator_of(1)), torch.float64), []
    for _ in range(300):
        losses.append(float(learner.loss(params, Data(X))))
        params = learner.refine(params, Data(X), None)
    assert all(after <= before + 1e-10 for before, after in pairwise(losses))
    assert losses[-1] == pytest.approx(float(learner.loss(best, Data(X))), rel=1e-9)
    np.testing.assert_allclose(ppca.covariance(params, floor=FLOOR).numpy(), C, rtol=1e-5, atol=1e-6)
    slope = torch.func.grad(learner.loss)(best, Data(X))
    assert float(norm(leaves(slope))) < 1e-9


def penalised_ppca(params, data, prior, learner, floor=FLOOR):
    C = ppca.covariance(params, floor=floor)
    v, v0 = (floor + tree["log_noise"].exp() for tree in (params, prior))
    strength = {name: prior[name].exp() for name in ppca.STRENGTHS}
    gap = params["mean"] - prior["mean"]
    return (
        -len(data.X) * learner.loss(params, data)
        - strength["log_mean_rows"] / 2 * gap @ torch.linalg.solve(C, gap)
        - strength["log_loading_rows"] / (2 * v) * ((params["loadings"] - prior["loadings"]) ** 2).sum()
        - strength["log_noise_rows"] * C.shape[0] / 2 * (v.log() + v0 / v)
    )


@pytest.mark.parametrize("n_rows", [1, 3, 30])
def test_ppca_map_em_climbs_to_a_summit_of_its_objective(n_rows):
    learner, prior = components(6, 4, prior=True)
    data, params = Data(low_rank(n_rows)), prior
    values = []
    for _ in range(40):
        values.append(float(penalised_ppca(params, data, prior, learner)))
        params = learner.refine(params, data, prior)
    for _ in range(260):
        params = learner.refine(params, data, prior)
    values.append(float(penalised_ppca(params, data, prior, learner)))
    assert all(after >= before - 1e-9 for before, after in pairwise(values))
    assert values[-1] > values[0] + 1
    slope = torch.func.grad(penalised_ppca)(params, data, prior, learner)
    assert float(norm([slope[name] for name in ("mean", "loadings", "log_noise")])) < 1e-4


def test_ppca_map_step_maximises_its_expected_objective():
    """The loadings and noise of one step against a numerical search, the codes' distribution held fixed."""
    learner, prior = components(4, 2, prior=True)
    X = low_rank(7, n_features=4)
    step = learner.refine(prior, Data(X), prior)
    W, v = prior["loadings"].numpy(), float(prior["log_noise"].exp())
    inverse = np.linalg.inv(W.T @ W + v * np.eye(2))
    strength = {name: float(prior[name].exp()) for name in ppca.STRENGTHS}
    mean = (X.sum(0) + strength["log_mean_rows"] * prior["mean"]).numpy() / (len(X) + strength["log_mean_rows"])
    np.testing.assert_allclose(step["mean"].numpy(), mean)
    # The prior's mean is a row that came lambda_m times, but without a share in the normalising terms.
    seen = np.r_[X.numpy(), prior["mean"].numpy()[None]] - mean
    often = np.r_[np.ones(len(X)), strength["log_mean_rows"]]
    codes = seen @ W @ inverse

    def minus_expected(numbers):
        loadings, noise = numbers[:8].reshape(4, 2), np.exp(numbers[8])
        squares = often @ ((seen - codes @ loadings.T) ** 2).sum(1)
        squares += len(X) * v * np.trace(loadings @ inverse @ loadings.T)
        squares += strength["log_loading_rows"] * ((loadings - W) ** 2).sum() + strength["log_noise_rows"] * 4 * v
        return squares / (2 * noise) + (len(X) + strength["log_noise_rows"]) * 2 * np.log(noise)

    found = minimize(minus_expected, np.r_[W.ravel(), np.log(v)], method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(step["loadings"].numpy().ravel(), found.x[:8], rtol=1e-4, atol=1e-5)
    assert float(step["log_noise"]) == pytest.approx(found.x[8], rel=1e-4)


def related_tables(generator, n_tasks):
    """Tables with the same mean and directions, but for a tenth of a draw of their own; noise of variance .16."""
    shared = generator_of(0, "shared")
    W, mean = torch.randn(10, 2, generator=shared), torch.randn(10, generator=shared)
    W = W + 0.1 * torch.randn(n_tasks, 10, 2, generator=generator)
    mean = mean + 0.1 * torch.randn(n_tasks, 1, 10, generator=generator)
    codes = torch.randn(n_tasks, 60, 2, generator=generator)
    X = mean + codes @ W.mT + 0.4 * torch.randn(n_tasks, 60, 10, generator=generator)
    return Task(Data(X[:, :20]), Data(X[:, 20:]))


@pytest.mark.slow
def test_ppca_learns_that_the_past_is_worth_noise_over_deviation():
    """Means and loadings vary by .01 between tables and rows by .16 around them: 16 rows."""
    learner = ppca.build(ppca.Config(n_features=10, n_code=2, prior=True))
    meta = maml.build(maml.Config(inner="refine", inner_steps=3), learner)
    rows = Data(related_tables(generator_of(1), 32).support.X.flatten(0, 1))
    config = TrainConfig(
        steps=250, meta_batch=32, outer_lr=0.05, schedule="cosine", backend="vmap", chunk=32, threads=1, seed=2
    )
    theta = last(meta_train(meta, related_tables, config, start=learner.start(generator_of(0), rows))).theta
    assert float(theta["log_mean_rows"].exp()) == pytest.approx(16, rel=0.3)
    assert float(theta["log_loading_rows"].exp()) == pytest.approx(16, rel=0.3)


def test_ppca_of_few_rows_and_what_it_refuses():
    learner = ppca.build(ppca.Config(n_features=5, n_code=4))
    X = low_rank(2, n_features=5)
    params = learner.start(generator_of(0), Data(X))
    assert float(1e-6 + params["log_noise"].exp()) == pytest.approx(1e-6, rel=1e-4)
    assert params["loadings"].shape == (5, 4)
    assert torch.isfinite(learner.loss(learner.refine(params, Data(X), None), Data(X)))
    with pytest.raises(ValueError, match="n_code=3 should be < n_features=3"):
        ppca.Config(n_features=3, n_code=3)


DEGENERATE = {
    "equal rows": torch.ones(6, 3),
    "one row": torch.tensor([[0.3, -0.2, 4.0]]),
    "constant columns": torch.randn(8, 3, generator=generator_of(0)) * torch.tensor([1.0, 0.0, 0.0]),
    "a line": torch.randn(8, 1, generator=generator_of(0)) * torch.tensor([1.0, 2.0, -1.0]),
    "far away": 1e3 + torch.randn(8, 3, generator=generator_of(0)),
}
LEARNERS = {
    **{f"gmm {kind}": gmm.Config(n_features=3, covariance=kind, prior=True) for kind in KINDS},
    **{f"gmm {kind} without prior": gmm.Config(n_features=3, covariance=kind) for kind in KINDS},
    "ppca": ppca.Config(n_features=3, n_code=2, prior=True),
    "ppca without prior": ppca.Config(n_features=3, n_code=2),
}


def check_gradients(meta, theta, *, dtype, without=()):
    theta = tree_map(lambda leaf: leaf.clone().requires_grad_(), cast(theta, dtype))
    for what, X in DEGENERATE.items():
        if what in without:
            continue
        one = Data(X.to(dtype)[None])
        gradients, losses = sum_gradients(meta.objective, theta, Task(one, one), Plan(chunk=1))
        assert torch.isfinite(losses).all(), what
        for leaf, gradient in gradients.items():
            assert gradient is None or torch.isfinite(gradient).all(), f"{leaf} on {what}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("name", "log_rows"),
    [
        (name, log_rows)
        for name, config in LEARNERS.items()
        for log_rows in ((-60.0, 0.0, 60.0) if config.prior else (0,))
    ],
)
def test_exact_steps_have_finite_gradients_on_degenerate_rows(name, log_rows, dtype):
    config = LEARNERS[name]
    module = gmm if isinstance(config, gmm.Config) else ppca
    learner = module.build(config)
    meta = maml.build(maml.Config(inner="refine", inner_steps=4), learner)
    theta = learner.init(generator_of(1))
    if config.prior:
        theta |= {strength: torch.tensor(log_rows) for strength in module.STRENGTHS}
    check_gradients(meta, theta, dtype=dtype)


@pytest.mark.parametrize("module", [maml, meta_sgd, reptile, joint])
@pytest.mark.parametrize("name", [name for name in LEARNERS if "without" in name])
def test_gradient_steps_stay_finite_on_degenerate_rows(name, module):
    learner = (gmm if name.startswith("gmm") else ppca).build(LEARNERS[name])
    meta = module.build(module.Config(inner_lr=0.05, inner_steps=3), learner)
    # Rows a thousand deviations away are for scaling, not for steps of a fixed length.
    check_gradients(meta, meta.init(generator_of(1)), dtype=torch.float64, without=("far away",))

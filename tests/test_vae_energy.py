"""The variational autoencoder and the energy with features of the task, against numbers found another way."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from firstsight import with_noise
from firstsight.core import Data, Settled
from firstsight.learners import energy, vae
from firstsight.meta import joint, maml, meta_sgd, reptile
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures
from firstsight.trees import cast, index, leaves, tree_map

SPREAD = torch.tensor([[2.0, 0.0], [0.0, 0.5], [0.0, 1.5], [1.0, 0.0]], dtype=torch.float64)  # orthogonal columns
MEAN = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
VARIANCE = 0.3


def linear_vae(spoilt=0.0, prior="standard"):
    """x = SPREAD z + MEAN + noise of VARIANCE with the exact posterior as its encoder, or one moved by ``spoilt``."""
    config = vae.Config(n_features=4, n_code=2, hidden=(), prior=prior)
    precision = (SPREAD**2).sum(0) / VARIANCE + 1
    weight = SPREAD.T / VARIANCE / precision[:, None]
    params = {
        "encoder": {
            "0": {
                "weight": torch.cat([weight, torch.zeros_like(weight)]),
                "bias": torch.cat([-weight @ MEAN + spoilt, spoilt - precision.log()]),
            }
        },
        "decoder": {"0": {"weight": SPREAD, "bias": MEAN}},
        "log_noise": torch.tensor(VARIANCE - config.noise_floor, dtype=torch.float64).log(),
    }
    return params, vae.nets(config), vae.build(config).loss


def rows(n_rows, seed=0):
    """From the linear model."""
    generator = generator_of(seed)
    codes, noise = (torch.randn(n_rows, width, generator=generator, dtype=torch.float64) for width in (2, 4))
    return codes @ SPREAD.T + MEAN + VARIANCE**0.5 * noise


def log_likelihood(X):
    covariance = (SPREAD @ SPREAD.T).numpy() + VARIANCE * np.eye(4)
    return float(stats.multivariate_normal(MEAN.numpy(), covariance).logpdf(X.numpy()).mean())


def normal(n_rows, n_draws, n_code=2, seed=1):
    return torch.randn(n_rows, n_draws, n_code, generator=generator_of(seed), dtype=torch.float64)


def test_with_the_exact_posterior_the_bounds_are_the_likelihood_of_probabilistic_pca():
    params, nets, loss = linear_vae()
    X = rows(7)
    # Four draws with mean 0 and covariance I average a quadratic exactly.
    sigma_points = math.sqrt(2) * torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    lower = -float(loss(params, Data(X, None, sigma_points.expand(7, 4, 2))))
    assert lower == pytest.approx(log_likelihood(X), rel=1e-12)
    # All importance weights are p(x), so any draws will do.
    tighter = float(vae.importance_bound(params, Data(X, None, normal(7, 3)), nets=nets))
    assert tighter == pytest.approx(log_likelihood(X), rel=1e-12)


def test_the_importance_bound_rises_with_draws_from_the_lower_bound_to_the_likelihood():
    params, nets, loss = linear_vae(spoilt=0.4)
    X = rows(60)
    bounds = [float(vae.importance_bound(params, Data(X, None, normal(60, 4096)), nets=nets))]
    for n_draws in (64, 4, 1):
        # The same draws for all, in groups, so that the average over groups is over the same numbers.
        groups = normal(60, 4096).unflatten(1, (-1, n_draws)).flatten(0, 1)
        repeated = X.repeat_interleave(4096 // n_draws, 0)
        bounds.append(float(vae.importance_bound(params, Data(repeated, None, groups), nets=nets)))
    exact = log_likelihood(X)
    assert exact + 0.005 > bounds[0] > bounds[1] > bounds[2] > bounds[3]
    assert bounds[0] == pytest.approx(exact, abs=0.02)
    # One draw: the lower bound itself, but for the divergence, which the loss has in closed form.
    assert bounds[3] == pytest.approx(-float(loss(params, Data(X, None, normal(60, 4096)))), abs=0.02)
    assert bounds[3] < exact - 0.1


def test_a_learned_prior_is_where_the_codes_are():
    """Codes moved and stretched, with a prior and a decoder that follow, give the same bounds."""
    params, nets, loss = linear_vae(spoilt=0.2)
    other, nets_prior, loss_prior = linear_vae(spoilt=0.2, prior="learned")
    shift, scale = (torch.tensor(pair, dtype=torch.float64) for pair in ([1.0, -3.0], [0.5, 2.0]))
    first, last = other["encoder"]["0"], other["decoder"]["0"]
    stretch = torch.cat([scale, torch.ones_like(scale)])
    first["weight"] = first["weight"] * stretch[:, None]
    first["bias"] = first["bias"] * stretch + torch.cat([shift, 2 * scale.log()])
    last["bias"] = MEAN - SPREAD @ (shift / scale)
    last["weight"] = SPREAD / scale
    other["prior"] = {"means": shift, "log_variances": 2 * scale.log()}
    data = Data(rows(5), None, normal(5, 3))
    assert float(loss_prior(other, data)) == pytest.approx(float(loss(params, data)), rel=1e-12)
    ours, theirs = (float(vae.importance_bound(p, data, nets=n)) for p, n in ((other, nets_prior), (params, nets)))
    assert ours == pytest.approx(theirs, rel=1e-12)
    drawn = vae.sample(other, generator_of(3), 20_000, nets=nets_prior)
    torch.testing.assert_close(drawn.mean(0), MEAN, atol=0.06, rtol=0)
    expected = SPREAD @ SPREAD.T + VARIANCE * torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(drawn.T.cov(), expected, atol=0.15, rtol=0)


def test_the_divergence_is_that_of_torch_and_of_monte_carlo():
    means, logs, prior_means, prior_logs = normal(4, 4, 2, seed=5).unbind(1)
    ours = vae.divergence(means, logs, prior_means, prior_logs)
    q, p = (
        torch.distributions.Normal(mean, (0.5 * log).exp()) for mean, log in ((means, logs), (prior_means, prior_logs))
    )
    torch.testing.assert_close(ours, torch.distributions.kl_divergence(q, p).sum(1))
    codes = means + (0.5 * logs).exp() * torch.randn(200_000, 4, 2, generator=generator_of(0), dtype=torch.float64)
    torch.testing.assert_close(ours, (q.log_prob(codes) - p.log_prob(codes)).mean(0).sum(1), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("decoder", ["bernoulli", "gaussian"])
def test_the_likelihood_of_a_row_is_that_of_torch(decoder):
    config = vae.Config(n_features=3, hidden=(5,), decoder=decoder)
    nets, generator = vae.nets(config), generator_of(0)
    params = cast(vae.init(generator, nets=nets), torch.float64)
    X, codes = torch.rand(4, 3, generator=generator, dtype=torch.float64).round(), normal(4, 6)
    expected = vae.decode(params, codes.flatten(0, 1), nets=nets).unflatten(0, (4, 6))
    if decoder == "bernoulli":
        likelihood = torch.distributions.Bernoulli(probs=expected)
    else:
        likelihood = torch.distributions.Normal(expected, math.sqrt(1 + config.noise_floor))
    torch.testing.assert_close(
        vae.log_likelihood(params, X, codes, nets=nets), likelihood.log_prob(X[:, None].expand(4, 6, 3)).sum(2)
    )


def test_a_bernoulli_decoder_gives_shares_and_says_nan_to_other_rows():
    config = vae.Config(n_features=3, hidden=(5,), decoder="bernoulli")
    learner, nets = vae.build(config), vae.nets(config)
    params = learner.init(generator_of(0))
    drawn = vae.sample(params, generator_of(1), 50, nets=nets)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    noise = learner.noise(generator_of(2), 2)
    assert torch.isfinite(learner.loss(params, Data(torch.tensor([[0.0, 0.3, 1.0]] * 2), None, noise)))
    assert torch.isnan(learner.loss(params, Data(torch.tensor([[0.0, 0.3, 1.1]] * 2), None, noise)))


@pytest.mark.parametrize("n_rows", [1, 5])
def test_constant_columns_drive_the_noise_to_its_floor_and_no_further(n_rows):
    config = vae.Config(n_features=3, hidden=(4,), n_draws=2, noise_floor=1e-2)
    learner = vae.build(config)
    data = Data(torch.ones(n_rows, 3), None, learner.noise(generator_of(0), n_rows))
    params = tree_map(lambda leaf: leaf.requires_grad_(), learner.init(generator_of(1)))
    optimizer = torch.optim.Adam(leaves(params), lr=0.05)
    for _ in range(250):
        optimizer.zero_grad()
        learner.loss(params, data).backward()
        assert all(torch.isfinite(leaf.grad).all() for leaf in leaves(params))
        optimizer.step()
    best = 1.5 * math.log(2 * math.pi * config.noise_floor)
    assert best - 1e-6 < learner.loss(params, data).item() < best + 1.0


def test_a_variational_autoencoder_asks_for_noise():
    learner = vae.build(vae.Config())
    with pytest.raises(ValueError, match=r"found data.noise=None; wrap the tasks in with_noise"):
        learner.loss(learner.init(generator_of(0)), Data(torch.zeros(3, 2)))


CLASSES = energy.Config(n_features=3, n_outputs=4, n_task=5, hidden=(6,), activation="tanh")
VALUES = energy.Config(n_features=2, n_outputs=1, target="value", n_task=3, hidden=(6,), value_range=(-2.0, 3.0))


def answered(config, n_rows=6, seed=0):
    generator = generator_of(seed)
    X = torch.randn(n_rows, config.n_features, generator=generator, dtype=torch.float64)
    if config.target == "class":
        return Data(X, torch.randint(config.n_outputs, (n_rows,), generator=generator))
    return Data(X, torch.randn(n_rows, 1, generator=generator, dtype=torch.float64).clamp(-1.9, 2.9))


def started(config, seed=1):
    nets = energy.nets(config)
    return cast(energy.init(generator_of(seed), nets=nets), torch.float64), nets, energy.build(config)


def hand_made(points=33, curve=0.7, tilt=0.4):
    """A score |y| of slope ``curve`` on either side of 0, plus ``tilt`` x y from two rectifiers of one hidden layer."""
    config = energy.Config(
        n_features=1, n_outputs=1, target="value", n_task=1, hidden=(2,), value_range=(-1.0, 1.0), n_points=points
    )
    params, nets, learner = started(config)
    scorer = params["scorer"]
    # Columns: row, feature of the task, value. The feature moves the peak.
    scorer["0"]["weight"] = torch.tensor([[0.0, -1.0, 1.0], [0.0, 1.0, -1.0]], dtype=torch.float64)
    scorer["0"]["bias"] = torch.zeros(2, dtype=torch.float64)
    scorer["2"]["weight"] = torch.tensor([[-curve, -tilt]], dtype=torch.float64)
    scorer["2"]["bias"] = torch.tensor([5.0], dtype=torch.float64)
    return params, nets, learner, lambda y, u: np.where(y > u, -curve * (y - u), -tilt * (u - y)) + 5.0


def test_class_probabilities_are_the_softmax_of_a_net_written_out():
    params, _, learner = started(CLASSES)
    data = answered(CLASSES)
    one_hot = np.eye(4)[data.y.numpy()]

    def net(weights, rows):
        first, last = (tree_map(lambda leaf: leaf.numpy(), weights[name]) for name in ("0", "2"))
        return np.tanh(rows @ first["weight"].T + first["bias"]) @ last["weight"].T + last["bias"]

    read = net(params["reader"], np.c_[data.X.numpy(), one_hot])
    state = learner.settle(params, data)
    np.testing.assert_allclose(state.statistics.numpy(), read.mean(0), rtol=1e-12)
    X = answered(CLASSES, seed=9).X
    s = net(params["scorer"], np.c_[X.numpy(), np.tile(read.mean(0), (6, 1))])
    expected = np.exp(s) / np.exp(s).sum(1, keepdims=True)
    np.testing.assert_allclose(learner.predict(state, X).exp().numpy(), expected, rtol=1e-10)
    # The rows at hand, each without itself, in a loop.
    alone = np.stack([np.delete(read, i, 0).mean(0) for i in range(6)])
    s = net(params["scorer"], np.c_[data.X.numpy(), alone])
    of_truth = (s - np.log(np.exp(s).sum(1, keepdims=True)))[np.arange(6), data.y.numpy()]
    assert float(learner.loss(params, data)) == pytest.approx(-of_truth.mean(), rel=1e-10)


@pytest.mark.parametrize("feature", [0.0, 0.3])
def test_densities_tend_to_the_integrated_one_and_always_integrate_to_one(feature):
    for points, tolerance in ((9, 0.05), (301, 1e-4)):
        params, nets, learner, score = hand_made(points)
        state = Settled(params, torch.tensor([feature], dtype=torch.float64))
        total, _ = integrate.quad(lambda y, s=score: float(np.exp(s(y, feature))), -1, 1, points=[feature])
        mean, _ = integrate.quad(lambda y, s=score: y * float(np.exp(s(y, feature))), -1, 1, points=[feature])
        y = torch.linspace(-1, 1, 3_001, dtype=torch.float64)[:, None]
        logs = energy.log_density(state, Data(torch.zeros_like(y), y), nets=nets)
        np.testing.assert_allclose(logs.numpy(), score(y[:, 0].numpy(), feature) - math.log(total), atol=tolerance)
        assert float(torch.trapezoid(logs.exp(), y[:, 0])) == pytest.approx(1, abs=1e-6)
        found = float(learner.predict(state, torch.zeros(1, 1, dtype=torch.float64)))
        assert found == pytest.approx(mean / total, abs=tolerance)
        assert found == pytest.approx(float(torch.trapezoid(y[:, 0] * logs.exp(), y[:, 0])), abs=1e-6)


def test_a_value_outside_the_grid_is_infinitely_unlikely_and_gives_no_gradient():
    params, nets, learner = started(VALUES)
    data = Data(torch.zeros(3, 2, dtype=torch.float64), torch.tensor([[-2.0], [3.0], [3.01]], dtype=torch.float64))
    logs = energy.log_density(params, data, nets=nets)
    assert torch.isfinite(logs).tolist() == [True, True, False]
    gradients = torch.func.grad(learner.loss)(params, data)
    assert all(torch.isfinite(leaf).all() for leaf in leaves(gradients))


@pytest.mark.parametrize("config", [CLASSES, VALUES], ids=["classes", "values"])
def test_no_answer_reaches_the_prediction_of_its_own_row(config):
    params, nets, learner = started(config)
    data = answered(config)

    def scored(params, data):
        return energy.scores(params, data.X, energy.task_features(params, data, nets=nets), nets=nets)

    before, support = scored(params, data), answered(config, seed=5)
    on_query = scored(learner.settle(params, support), data)
    for i in range(6):
        y = data.y.clone()
        y[i] = (y[i] + 1) % 4 if config.target == "class" else y[i] / 2 - 0.5
        changed = (scored(params, data._replace(y=y)) - before).abs().amax(1)
        assert changed[i] < 1e-12
        assert (changed[torch.arange(6) != i] > 1e-6).all()
        # Settled on a support, no answer of the query is read at all.
        assert torch.equal(scored(learner.settle(params, support), data._replace(y=y)), on_query)


def test_leave_one_out_is_a_loop_and_nothing_for_a_row_alone():
    table = torch.randn(5, 3, generator=generator_of(0), dtype=torch.float64)
    looped = torch.stack([torch.cat([table[:i], table[i + 1 :]]).mean(0) for i in range(5)])
    torch.testing.assert_close(energy.leave_one_out(table), looped)
    assert torch.equal(energy.leave_one_out(table[:1]), torch.zeros(1, 3, dtype=torch.float64))


def test_labels_drawn_at_random_cannot_be_predicted_in_training():
    """A net that could read a row's own label would learn to repeat it."""
    _, _, learner = started(CLASSES)
    params = tree_map(lambda leaf: leaf.clone().requires_grad_(), learner.init(generator_of(2)))
    optimizer = torch.optim.Adam(leaves(params), lr=0.01)
    losses = []
    for step in range(250):
        generator = generator_of(step)
        batch = Data(
            torch.randn(16, 8, 3, generator=generator),
            torch.multinomial(torch.ones(16, 4), 8, replacement=True, generator=generator),
        )
        loss = torch.func.vmap(partial(learner.loss, params), in_dims=(Data(0, 0, None),))(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-50:]) / 50 > math.log(4) - 0.01


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "value", "n_outputs": 2}, r"n_outputs=2 should be 1 with target='value'"),
        ({"value_range": (1.0, 1.0)}, r"value_range=\(1.0, 1.0\) should have low < high"),
    ],
)
def test_settings_of_the_energy_that_fit_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        energy.Config(**settings)


def test_answers_of_the_wrong_kind_are_refused():
    params, _, learner = started(CLASSES)
    with pytest.raises(ValueError, match=r"found data.y=None; use tasks with y"):
        learner.loss(params, Data(torch.zeros(2, 3)))
    with pytest.raises(ValueError, match=r"y should be whole numbers of shape \(2,\).*found torch.float32"):
        learner.loss(params, Data(torch.zeros(2, 3), torch.zeros(2)))


DEGENERATE = {
    "equal rows": torch.ones(4, 3),
    "one row": torch.randn(1, 3, generator=generator_of(0)),
    "constant column": torch.randn(4, 3, generator=generator_of(1)) * torch.tensor([1.0, 0.0, 1.0]),
}


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("method", ["maml", "meta_sgd", "reptile", "joint"])
@pytest.mark.parametrize(
    "learner",
    [vae.build(vae.Config(n_features=3, hidden=(8,))), energy.build(CLASSES)],
    ids=["vae", "energy"],
)
def test_degenerate_tasks_give_finite_gradients(learner, method, case):
    settings = {"inner_lr": 0.05, "inner_steps": 3}
    module = {"maml": maml, "meta_sgd": meta_sgd, "reptile": reptile, "joint": joint}[method]
    meta = module.build(module.Config(**settings), learner)
    tasks = with_noise(mixtures.build(mixtures.Config(n_features=(3, 3), n_clusters=(4, 4), n_query=5)), learner.noise)(
        generator_of(0), 1
    )
    task = cast(index(tasks, 0), torch.float64)
    X = DEGENERATE[case].double()
    part = [None if leaf is None else leaf[: len(X)] for leaf in task.support]
    task = task._replace(support=Data(X, *part[1:]))
    theta = tree_map(lambda leaf: leaf.clone().requires_grad_(), cast(meta.init(generator_of(1)), torch.float64))
    objective, _ = meta.objective(theta, task)
    gradients = torch.autograd.grad(objective, leaves(theta), allow_unused=True)
    assert all(torch.isfinite(gradient).all() for gradient in gradients if gradient is not None)

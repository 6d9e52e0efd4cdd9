"""Self-organising maps and one-class descriptions: numbers worked out another way."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from firstsight import Data
from firstsight.core import Settled
from firstsight.learners import som, svdd
from firstsight.seeds import generator_of
from firstsight.trees import cast, leaves, named_leaves, tree_map

HEIGHT, WIDTH, N_FEATURES = 3, 4, 5
SHAPE = (HEIGHT, WIDTH, N_FEATURES)
PLACES = np.array([(row, column) for row in range(HEIGHT) for column in range(WIDTH)], dtype=float)


def rows(n_rows, n_features=N_FEATURES, seed=0):
    return torch.randn(n_rows, n_features, generator=generator_of(seed), dtype=torch.float64)


def a_map(**settings):
    config = som.Config(n_features=N_FEATURES, grid=(HEIGHT, WIDTH), **settings)
    return som.build(config), cast(som.build(config).init(generator_of(1)), torch.float64)


def neighbourhood(radius):
    return np.exp(-((PLACES[:, None] - PLACES[None]) ** 2).sum(2) / (2 * radius**2))


def nearest(X, units):
    return ((X[:, None] - units[None]) ** 2).sum(2).argmin(1)


def with_numbers(params, **numbers):
    return params | {name: torch.tensor(number, dtype=torch.float64) for name, number in numbers.items()}


def test_a_batch_step_is_the_neighbourhood_weighted_mean():
    learner, params = a_map(radius_end=0.8, rate_end=0.7)
    X = rows(20)
    units = params["codebook"].flatten(0, 1).numpy()
    best, h = nearest(X.numpy(), units), neighbourhood(0.8)
    means = np.array([np.average(X.numpy(), axis=0, weights=h[unit, best]) for unit in range(len(units))])
    moved = learner.refine(params, Data(X), None)["codebook"].flatten(0, 1).numpy()
    np.testing.assert_allclose(moved, units + 0.7 * (means - units), rtol=1e-6)


def test_radius_and_rate_go_a_share_of_the_way_with_every_step():
    learner, params = a_map(radius=3.0, radius_end=0.5, rate=0.9, rate_end=0.2, pace=0.25, learned_schedule=True)
    for step in range(4):
        left = 0.75**step
        assert float(params["log_radius"].exp()) == pytest.approx(0.5 * 6**left, rel=1e-6)
        odds = 0.25 * (9 / 0.25) ** left
        assert float(params["logit_rate"].sigmoid()) == pytest.approx(odds / (1 + odds), rel=1e-6)
        params = learner.refine(params, Data(rows(20)), None)


def test_a_unit_without_rows_stays_at_radius_zero_and_others_go_to_their_mean():
    learner, params = a_map(radius_end=0.0, rate_end=0.99)
    X = rows(3)
    units = params["codebook"].flatten(0, 1).numpy()
    best = nearest(X.numpy(), units)
    moved = learner.refine(params, Data(X), None)["codebook"].flatten(0, 1).numpy()
    for unit in range(len(units)):
        aim = X.numpy()[best == unit].mean(0) if (best == unit).any() else units[unit]
        np.testing.assert_allclose(moved[unit], units[unit] + 0.99 * (aim - units[unit]), rtol=1e-9, atol=1e-12)


def test_the_prior_counts_as_lambda_rows():
    learner, params = a_map(radius_end=0.0, rate_end=0.99, prior=True, prior_rows=2.5)
    X = rows(20)
    units = params["codebook"].flatten(0, 1).numpy()
    best = nearest(X.numpy(), units)
    moved = learner.refine(params, Data(X), params)["codebook"].flatten(0, 1).numpy()
    for unit in range(len(units)):
        mine = X.numpy()[best == unit]
        aim = (mine.sum(0) + 2.5 * units[unit]) / (len(mine) + 2.5)
        np.testing.assert_allclose(moved[unit], units[unit] + 0.99 * (aim - units[unit]), rtol=1e-6, atol=1e-9)


def test_a_stiff_sheet_is_moved_as_it_is_and_a_slack_one_shrinks():
    learner, params = a_map(radius_end=1000.0, rate_end=0.99, prior=True)
    X = rows(20)
    units = params["codebook"].flatten(0, 1)
    shift = (X - units[nearest(X.numpy(), units.numpy())]).mean(0)
    stiff, slack = (
        learner.refine(params, Data(X), with_numbers(params, log_lambda=-30.0, logit_stiffness=logit))["codebook"]
        for logit in (40.0, -40.0)
    )
    torch.testing.assert_close(stiff, params["codebook"] + 0.99 * shift, rtol=1e-4, atol=1e-4)
    mean = 0.01 * params["codebook"] + 0.99 * X.mean(0)
    torch.testing.assert_close(slack, mean, rtol=1e-4, atol=1e-4)


def test_the_loss_is_the_energy_of_heskes_and_quantisation_at_radius_zero():
    X = rows(15)
    for radius in (0.0, 0.9):
        learner, params = a_map(radius_end=radius)
        squared = ((X.numpy()[:, None] - params["codebook"].flatten(0, 1).numpy()[None]) ** 2).sum(2)
        h = np.eye(len(PLACES)) if radius == 0 else neighbourhood(radius)
        energies = [
            min(sum(h[unit, other] * row[other] for other in range(len(h))) / h[unit].sum() for unit in range(len(h)))
            for row in squared
        ]
        assert float(learner.loss(params, Data(X))) == pytest.approx(np.mean(energies), rel=1e-9)


def test_errors_are_those_of_minisom():
    """Written out as MiniSom defines them: the mean norm to the winner, and winners further apart than 1.42."""
    _, params = a_map()
    X = rows(200)
    distances = np.linalg.norm(X.numpy()[:, None] - params["codebook"].flatten(0, 1).numpy()[None], axis=2)
    order = distances.argsort(1)
    apart = np.linalg.norm(PLACES[order[:, 0]] - PLACES[order[:, 1]], axis=1) > 1.42
    assert 0.2 < apart.mean() < 0.9
    assert float(som.quantisation_error(params, X)) == pytest.approx(distances.min(1).mean(), rel=1e-12)
    assert float(som.topographic_error(params, X)) == pytest.approx(apart.mean(), rel=1e-12)


def test_a_folded_chain_has_topographic_errors_where_it_is_folded():
    codebook = torch.tensor([0.0, 10.0, 1.0])[None, :, None]
    X = torch.tensor([[0.1], [0.9], [9.0], [11.0]])
    assert float(som.topographic_error({"codebook": codebook}, X)) == 0.5
    assert float(som.topographic_error({"codebook": codebook.sort(1).values}, X)) == 0.0
    with pytest.raises(ValueError, match="n_units=1 should be >= 2"):
        som.topographic_error({"codebook": codebook[:, :1]}, X)


def test_the_topographic_loss_tends_to_the_error():
    _, params = a_map()
    X = rows(100)
    error = float(som.topographic_error(params, X))
    far, near = (float(som.topographic_loss(params, X, temperature=heat)) for heat in (10.0, 1e-5))
    assert near == pytest.approx(error, abs=0.02)
    assert abs(far - error) > 0.05


def test_every_leaf_has_the_gradient_of_finite_differences_through_several_steps():
    learner, params = a_map(learned_schedule=True, prior=True)
    X, held = rows(12), rows(30, seed=5)

    def outcome(params):
        fitted = params
        for _ in range(3):
            fitted = learner.refine(fitted, Data(X), params)
        return learner.loss(fitted, Data(held))

    point = tree_map(lambda leaf: leaf.clone().requires_grad_(), params)
    gradients = dict(
        zip([name for name, _ in named_leaves(point)], torch.autograd.grad(outcome(point), leaves(point)), strict=True)
    )
    scalars = [name for name, leaf in params.items() if leaf.ndim == 0]
    assert len(scalars) == 7
    for name in scalars:
        up, down = (float(outcome(params | {name: params[name] + nudge})) for nudge in (1e-5, -1e-5))
        assert float(gradients[name]) == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-9)
        assert abs(float(gradients[name])) > 1e-6


@pytest.mark.parametrize("numbers", [{}, {"log_lambda": 500.0}, {"log_lambda": -500.0}, {"log_radius": -500.0}])
@pytest.mark.parametrize("case", ["equal rows", "one row", "constant column"])
def test_gradients_of_a_map_are_finite_on_degenerate_rows(case, numbers):
    learner, params = a_map(learned_schedule=True, prior=True)
    X = {"equal rows": torch.ones(6, N_FEATURES).double(), "one row": rows(1)}.get(case, rows(8))
    if case == "constant column":
        X = torch.cat([X[:, 1:], torch.zeros(8, 1)], 1)
    point = tree_map(lambda leaf: leaf.clone().requires_grad_(), with_numbers(params, **numbers))
    fitted = learner.refine(learner.refine(point, Data(X), point), Data(X), point)
    total = learner.loss(fitted, Data(X)) + som.quantisation_error(fitted, X)
    total = total + som.topographic_loss(fitted, X, temperature=0.1)
    assert all(torch.isfinite(part).all() for part in torch.autograd.grad(total, leaves(point)))


def test_the_start_is_the_plane_of_two_principal_components():
    X = rows(50) * torch.tensor([5.0, 3.0, 1.0, 0.5, 0.2])
    config = som.Config(n_features=N_FEATURES, grid=(5, 3))
    codebook = som.build(config).start(generator_of(0), Data(X))["codebook"]
    pca = PCA(2).fit(X.numpy())
    deviation = pca.transform(X.numpy()).std(0)
    inside = pca.transform(codebook.flatten(0, 1).numpy()).reshape(5, 3, 2)
    np.testing.assert_allclose(abs(inside[:, 1, 0]), deviation[0] * abs(np.linspace(-1, 1, 5)), atol=1e-9)
    np.testing.assert_allclose(abs(inside[2, :, 1]), deviation[1] * abs(np.linspace(-1, 1, 3)), atol=1e-9)
    torch.testing.assert_close(codebook[2, 1], X.mean(0))
    one = som.build(config).start(generator_of(0), Data(X[:1]))["codebook"]
    torch.testing.assert_close(one, X[0].expand(5, 3, -1))


def test_batch_steps_unfold_a_tangled_map():
    X = torch.rand(400, 2, generator=generator_of(0), dtype=torch.float64)
    learner = som.build(som.Config(grid=(6, 6), radius=3.0, radius_end=0.5, pace=0.1, learned_schedule=True))
    params = cast(learner.init(generator_of(2)), torch.float64)
    assert float(som.topographic_error(params, X)) > 0.5
    for _ in range(40):
        params = learner.refine(params, Data(X), None)
    assert float(som.topographic_error(params, X)) < 0.1
    assert float(som.quantisation_error(params, X)) < 0.09  # 36 squares of side 1/6 have .064


def a_ring(n_rows, seed=0):
    """Normal rows on a circle, and anomalies within it and outside."""
    generator = np.random.default_rng(seed)
    angle = generator.uniform(0, 2 * np.pi, 2 * n_rows)
    usual = np.c_[np.cos(angle), np.sin(angle)] + 0.1 * generator.normal(size=(2 * n_rows, 2))
    box = generator.uniform(-1.6, 1.6, (4 * n_rows, 2))
    odd = box[abs(np.linalg.norm(box, axis=1) - 1) > 0.4][:n_rows]
    seen, others = usual[:n_rows], np.r_[usual[n_rows:], odd]
    scale = seen.std(0)
    truth = np.r_[np.zeros(n_rows), np.ones(len(odd))]
    return torch.tensor(seen / scale).float(), torch.tensor(others / scale).float(), truth


def one_class(n_features=2):
    return svdd.build(svdd.Config(n_features=n_features, hidden=(16, 16), n_code=4))


def with_draws(learner, X, seed=0):
    return Data(X, noise=learner.noise(generator_of(seed), len(X)).to(X.dtype))


def plain_loss(learner, embedded_by):
    """The published loss, with the centre that the rows at hand give."""

    def loss(params, data):
        embedded = embedded_by(params, data.X)
        return ((embedded - embedded.mean(0)) ** 2).sum(1).mean()

    return loss


def descended(loss, params, data, n_steps):
    params = tree_map(lambda leaf: leaf.clone().requires_grad_(), params)
    optimizer = torch.optim.Adam(leaves(params), lr=0.01)
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss(params, data).backward()
        optimizer.step()
    return tree_map(torch.detach, params)


def spread_of(embedded):
    return float(((embedded - embedded.mean(0)) ** 2).sum(1).mean())


def test_long_training_collapses_by_the_published_loss_and_not_by_ours():
    learner = one_class()
    seen, others, truth = a_ring(100)
    embed = learner.predict.keywords["embed"]
    data, params = with_draws(learner, seen), learner.init(generator_of(0))
    ours = descended(learner.loss, params, data, 300)
    plain = descended(plain_loss(learner, embed), params, data, 300)
    begun = spread_of(embed(params, others))
    assert spread_of(embed(plain, others)) < 1e-3 * begun
    assert spread_of(embed(ours, others)) > 0.1 * begun
    state = learner.settle(ours, data)
    scores = learner.predict(state, others)[:, 0].numpy()
    assert roc_auc_score(truth, scores) > 0.97
    assert roc_auc_score(truth, (others**2).sum(1).numpy()) < 0.8


def test_anomalies_planted_in_a_table_are_found():
    """Rows near a curved surface in six columns; anomalies have each column from another row."""
    generator = np.random.default_rng(0)
    place = generator.uniform(-1, 1, (400, 2))
    curves = np.c_[place, place[:, 0] * place[:, 1], place**2, np.sin(3 * place)]
    X = curves @ generator.normal(size=(7, 6)) + 0.1 * generator.normal(size=(400, 6))
    odd = np.stack([generator.permutation(column) for column in X[200:].T], 1)[:100]
    mean, scale = X[:200].mean(0), X[:200].std(0)
    seen, others = (torch.tensor((part - mean) / scale).float() for part in (X[:200], np.r_[X[200:], odd]))
    truth = np.r_[np.zeros(200), np.ones(100)]
    learner = one_class(6)
    data = with_draws(learner, seen)
    params = descended(learner.loss, learner.init(generator_of(0)), data, 400)
    scores = learner.predict(learner.settle(params, data), others)[:, 0].numpy()
    assert roc_auc_score(truth, scores) > 0.92
    assert roc_auc_score(truth, (others**2).sum(1).numpy()) < 0.7


def test_the_loss_of_a_description_is_free_of_scale_and_one_where_all_is_the_same():
    learner = one_class(3)
    data = with_draws(learner, rows(10, 3))
    params = cast(learner.init(generator_of(0)), torch.float64)
    larger, none = (tree_map(lambda leaf, by=by: by * leaf, params) for by in (3.0, 0.0))
    torch.testing.assert_close(learner.loss(larger, data), learner.loss(params, data), rtol=1e-6, atol=0.0)
    assert float(learner.loss(none, data)) == pytest.approx(1.0)


def test_centre_and_scale_are_those_of_the_support():
    learner = one_class(3)
    params = cast(learner.init(generator_of(0)), torch.float64)
    support, query = (with_draws(learner, rows(12, 3, seed), seed) for seed in (1, 2))
    state = learner.settle(params, support)
    embed = learner.predict.keywords["embed"]
    near, far = embed(params, support.X), embed(params, query.X)
    centre = near.mean(0)
    scale = ((near - centre) ** 2).sum(1).mean()
    assert isinstance(state, Settled)
    torch.testing.assert_close(learner.predict(state, query.X)[:, 0], ((far - centre) ** 2).sum(1) / scale)
    assert float(learner.predict(state, support.X).mean()) == pytest.approx(1.0)
    box = embed(params, (query.X.mean(0) + 2.5 * query.X.std(0, correction=0) * query.noise).flatten(0, 1))
    inner, outer = (((part - centre) ** 2).sum(1) for part in (far, box))
    unit = 0.5 * (inner.mean() + outer.mean())
    expected = (inner / (inner + unit)).mean() + (unit / (outer + unit)).mean()
    torch.testing.assert_close(learner.loss(state, query), expected)


def test_a_description_has_no_biases_and_needs_noise():
    learner = one_class(3)
    params = learner.init(generator_of(0))
    assert {name.split(".")[-1] for name, _ in named_leaves(params)} == {"weight"}
    with pytest.raises(ValueError, match="the box needs noise"):
        learner.loss(params, Data(torch.zeros(4, 3)))
    with pytest.raises(ValueError, match="activation='tanh' should be one of 'relu', 'gelu'"):
        svdd.Config(activation="tanh")


@pytest.mark.parametrize("X", [torch.ones(5, 3), torch.zeros(5, 3), torch.ones(1, 3)])
def test_gradients_of_a_description_are_finite_on_degenerate_rows(X):
    learner = one_class(3)
    data = with_draws(learner, X)
    params = tree_map(lambda leaf: leaf.clone().requires_grad_(), learner.init(generator_of(0)))
    state = learner.settle(params, data)
    total = learner.loss(params, data) + learner.loss(state, data) + learner.predict(state, X + 1e-3).mean()
    assert torch.isfinite(total)
    assert all(torch.isfinite(part).all() for part in torch.autograd.grad(total, leaves(params)))

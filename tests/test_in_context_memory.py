"""What reads the support and answers: order, rows alone, truth, densities, and what is refused."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from torch.func import grad

from firstsight import Data, Task, TrainConfig, last, losses, meta_train
from firstsight.learners import autoencoder, classifier
from firstsight.meta import answers, in_context, memory
from firstsight.nets.soft_mixture import fit_mixtures, log_memberships, maximised, spread_starts
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures
from firstsight.trees import cast, concatenate, index, leaves

LEARNER = classifier.build(classifier.Config(n_features=2, n_outputs=6, hidden=(5,), activation="tanh"))
TASKS = mixtures.build(mixtures.Config(n_support=12, n_query=7))
BUILDS = {"in_context": in_context, "memory": memory}
SMALL = {"width": 8, "n_heads": 2}


def made(kind, target, n_outputs=3, **settings):
    """A meta-learner with random theta in double precision, and a task."""
    module = BUILDS[kind]
    meta = module.build(module.Config(target=target, n_outputs=n_outputs, **SMALL, **settings), LEARNER)
    return (
        meta,
        cast(meta.init(generator_of(0)), torch.float64),
        cast(index(TASKS(generator_of(1), 1), 0), torch.float64),
    )


def drawn_of_each(generator, n_tasks, *, samples):
    return concatenate([sample(generator, n_tasks // len(samples)) for sample in samples])


def answered(meta, theta, support, X):
    return meta.predict(theta, meta.adapt(theta, support), X)


def reordered(data, order):
    return Data(data.X[order], data.y[order])


@pytest.mark.parametrize("target", ["clusters", "classes", "values", "density"])
def test_in_context_knows_no_order_of_the_support(target):
    meta, theta, task = made("in_context", target, 3 if target != "values" else 1)
    order = torch.randperm(12, generator=generator_of(2))
    first, second = (
        answered(meta, theta, support, task.query.X) for support in (task.support, reordered(task.support, order))
    )
    torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("target", ["clusters", "classes"])
def test_a_memory_knows_the_order_of_the_support(target):
    meta, theta, task = made("memory", target)
    turned = reordered(task.support, torch.arange(11, -1, -1))
    first, second = (answered(meta, theta, support, task.query.X) for support in (task.support, turned))
    assert (first - second).abs().max() > 1e-6


def test_a_memory_of_the_first_rows_is_the_beginning_of_that_of_all():
    meta, theta, task = made("memory", "classes")
    whole = meta.adapt(theta, task.support)["memory"]
    torch.testing.assert_close(meta.adapt(theta, Data(*(part[:5] for part in task.support[:2])))["memory"], whole[:5])


def test_a_memory_writes_what_the_recurrent_net_of_torch_holds():
    meta, theta, task = made("memory", "values", 1)
    net, gates = theta["net"], theta["net"]["gates"]
    theirs = torch.nn.LSTM(8, 8, dtype=torch.float64)
    with torch.no_grad():
        # Torch orders the gates input, forget, cell, output.
        weight, bias = (gates[name].unflatten(0, (4, 8))[[0, 1, 3, 2]].flatten(0, 1) for name in ("weight", "bias"))
        theirs.weight_ih_l0.copy_(weight[:, :8])
        theirs.weight_hh_l0.copy_(weight[:, 8:])
        theirs.bias_ih_l0.copy_(bias)
        theirs.bias_hh_l0.zero_()
        rows = LEARNER.predict(theta["embedding"], task.support.X) @ net["row"]["weight"].T + net["row"]["bias"]
        rows = rows + task.support.y[:, None].double() @ net["truth"]["weight"].T
        torch.testing.assert_close(meta.adapt(theta, task.support)["memory"], theirs(rows)[0])


@pytest.mark.parametrize("kind", BUILDS)
@pytest.mark.parametrize("target", ["clusters", "classes", "anomalies"])
def test_a_row_of_the_query_is_answered_alone(kind, target):
    meta, theta, task = made(kind, target, 1 if target == "anomalies" else 3)
    state = meta.adapt(theta, task.support)
    together = meta.predict(theta, state, task.query.X)
    alone = torch.cat([meta.predict(theta, state, row[None]) for row in task.query.X])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-12)
    # And answers depend on the support, or all of this would be empty.
    other = meta.adapt(theta, Data(task.support.X + 1.0, task.support.y))
    assert (meta.predict(theta, other, task.query.X) - together).abs().max() > 1e-6


@pytest.mark.parametrize("n_classes", [1, 2, 3, 5])
def test_clusters_are_trained_told_their_number_which_is_learned_beside(n_classes):
    meta, theta, task = made("in_context", "clusters", 3, count_weight=2.0)
    task = Task(task.support, task.query._replace(y=torch.arange(7) % n_classes + 1))
    loss, reported = meta.objective(theta, task)
    state = meta.adapt(theta, task.support)
    # More classes than there may be clusters count as the most.
    number = min(n_classes, 3) - 1
    told = {**state, "counts": torch.eye(3, dtype=torch.float64)[number]}
    scores, y = meta.predict(theta, told, task.query.X), task.query.y
    expected = losses.soft_adjusted_rand(scores, y) + losses.pair_cross_entropy(scores, y)
    expected = expected - 2.0 * in_context.count_probabilities(state)[number].log()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(reported, expected)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_as_many_clusters_answer_as_are_most_probable(number):
    meta, theta, task = made("in_context", "clusters", 3)
    theta["net"]["count"]["2"]["bias"] = 100.0 * torch.eye(3, dtype=torch.float64)[number]
    state = meta.adapt(theta, task.support)
    assert int(in_context.count_probabilities(state).argmax()) == number
    scores = meta.predict(theta, state, task.query.X)
    assert (scores[:, number + 1 :] < -1000).all()
    assert (scores[:, : number + 1] > -1000).all()
    assert len(set(meta.predict(theta, state, task.support.X).argmax(1).tolist())) == number + 1


def test_log_memberships_are_those_of_gaussians():
    generator, (n_clusters, n_columns) = generator_of(4), (3, 2)
    X = torch.randn(30, n_columns, generator=generator, dtype=torch.float64)
    memberships = torch.randn(1, 30, n_clusters, generator=generator, dtype=torch.float64).softmax(-1)
    strength, spread = torch.tensor([2.5, 0.3], dtype=torch.float64)
    mixtures = maximised(X, memberships, strength, spread, torch.zeros(1, n_clusters))
    found = log_memberships(X, mixtures)[0] - 0.5 * n_columns * math.log(2 * math.pi)
    for j, w in enumerate(memberships[0].T.numpy()):
        mean = w @ X.numpy() / (w.sum() + 1e-3)
        scatter = (X.numpy() * w[:, None]).T @ X.numpy() - w.sum() * np.outer(mean, mean)
        covariance = (scatter + 2.5 * 0.3 * np.eye(n_columns)) / (w.sum() + 2.5)
        expected = multivariate_normal(mean, covariance).logpdf(X.numpy()) + math.log((w.sum() + 1) / 31)
        np.testing.assert_allclose(found[:, j], expected, rtol=1e-9)


def test_mixtures_are_where_those_of_scikit_learn_are():
    """From its own starts, with hardly any prior, and far more steps than are needed."""
    generator = generator_of(6)
    centres = torch.tensor([[0.0, 0.0], [1.0, 0.3], [0.2, 1.1]], dtype=torch.float64)
    X = centres.repeat(100, 1) + 0.15 * torch.randn(300, 2, generator=generator, dtype=torch.float64)
    strength, spread = torch.tensor([1e-3, 0.05], dtype=torch.float64)
    mixtures = fit_mixtures(X, 4, strength, spread, steps=100)
    theirs = GaussianMixture(3, n_init=5, tol=1e-9, max_iter=1000, random_state=0).fit(X.numpy())
    ours, order = mixtures.means[2, :3], np.lexsort(theirs.means_.T)
    np.testing.assert_allclose(ours[np.lexsort(ours.numpy().T)], theirs.means_[order], atol=2e-3)
    told = log_memberships(X, mixtures)[2, :, :3].argmax(1)
    assert adjusted_rand_score(told, theirs.predict(X.numpy())) == 1
    # The mixture of one cluster is the Gaussian of all rows.
    covariance = torch.linalg.inv(mixtures.L[0, 0].T @ mixtures.L[0, 0])
    torch.testing.assert_close(covariance, torch.cov(X.T, correction=0), rtol=1e-3, atol=1e-3)


def test_starts_are_dense_rows_far_from_one_another():
    X = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [1.0, 0.0], [1.1, 0.0], [0.0, 1.0]], dtype=torch.float64)
    distances = np.square(X.numpy()[:, None] - X.numpy()[None]).sum(2)
    dense = np.exp(-distances / 0.05).mean(1)
    chosen = [int(dense.argmax())]
    for _ in range(2):
        chosen.append(int((distances[:, chosen].min(1) * dense).argmax()))
    assert chosen[0] == 0
    torch.testing.assert_close(spread_starts(X, 3), X[chosen])


@pytest.mark.slow
def test_the_number_of_clusters_is_learned():
    """Clusters far apart, of tasks that were not seen; before it is learned one of three in three answers is right."""
    learner = classifier.build(classifier.Config(n_features=2, n_outputs=8, hidden=(8,)))
    meta = in_context.build(in_context.Config(n_outputs=3, width=16, n_heads=2, n_blocks=1), learner)
    each = [
        mixtures.build(mixtures.Config(n_clusters=(k, k), within=(0.02, 0.05), n_support=30, n_query=20))
        for k in (1, 2, 3)
    ]
    sample = partial(drawn_of_each, samples=each)
    config = TrainConfig(steps=150, meta_batch=12, outer_lr=0.01, backend="vmap", chunk=12, threads=1)
    theta = last(meta_train(meta, sample, config)).theta
    right, indices = [], []
    for k, of_k in enumerate(each, start=1):
        tasks = of_k(generator_of(1000 + k), 20)
        for i in range(20):
            task = index(tasks, i)
            state = meta.adapt(theta, Data(task.support.X))
            right.append(int(in_context.count_probabilities(state).argmax()) + 1 == k)
            indices.append(adjusted_rand_score(task.query.y, meta.predict(theta, state, task.query.X).argmax(1)))
    assert np.mean(right) > 0.8
    assert np.mean(indices) > 0.85


@pytest.mark.parametrize("kind", BUILDS)
@pytest.mark.parametrize(
    ("target", "n_outputs", "read"),
    [("classes", 3, True), ("values", 1, True), ("clusters", 3, False), ("anomalies", 1, False)],
)
def test_truth_is_read_where_the_target_says_so(kind, target, n_outputs, read):
    meta, theta, task = made(kind, target, n_outputs)
    shuffled = task.support._replace(y=task.support.y.roll(1))
    first, second = (answered(meta, theta, support, task.query.X) for support in (task.support, shuffled))
    assert torch.equal(first, second) is not read
    if not read:
        assert torch.equal(answered(meta, theta, Data(task.support.X), task.query.X), first)


@pytest.mark.parametrize("n_features", [1, 2, 3])
def test_a_density_is_that_of_a_mixture_of_gaussians(n_features):
    generator, n_slots = generator_of(3), 4
    n_below = n_features * (n_features - 1) // 2
    mixture = torch.randn(n_slots, 1 + 2 * n_features + n_below, generator=generator, dtype=torch.float64)
    X = torch.randn(6, n_features, generator=generator, dtype=torch.float64)
    rows, columns = np.tril_indices(n_features, -1)
    parts = []
    for slot in mixture:
        factor = torch.diag(slot[1 + n_features : 1 + 2 * n_features].exp())
        factor[rows, columns] = slot[1 + 2 * n_features :]
        gaussian = torch.distributions.MultivariateNormal(slot[1 : 1 + n_features], precision_matrix=factor.T @ factor)
        parts.append(gaussian.log_prob(X))
    weights = mixture[:, 0].exp() / mixture[:, 0].exp().sum()
    expected = (torch.stack(parts).exp() * weights[:, None]).sum(0).log()
    torch.testing.assert_close(in_context.log_density(X, mixture)[:, 0], expected)


def test_a_density_integrates_to_one():
    meta, theta, task = made("in_context", "density", 4)
    side = torch.linspace(-12, 12, 481, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    mass = answered(meta, theta, task.support, grid).exp().sum() * (side[1] - side[0]) ** 2
    assert float(mass) == pytest.approx(1.0, abs=1e-3)


def test_losses_are_those_of_the_targets():
    generator = generator_of(5)
    scores, y = torch.randn(9, 3, generator=generator), torch.tensor([0, 1, 2] * 3)
    scored = {target: float(answers.score(scores, Data(scores, y), target)) for target in ("clusters", "classes")}
    assert scored == {
        "clusters": float(losses.soft_adjusted_rand(scores, y) + losses.pair_cross_entropy(scores, y)),
        "classes": float(losses.cross_entropy(scores, y)),
    }
    odd = float(answers.score(scores[:, :1], Data(scores, y), "anomalies"))
    by_hand = [math.log1p(math.exp(-s if c else s)) for s, c in zip(scores[:, 0].tolist(), y.tolist(), strict=True)]
    assert odd == pytest.approx(sum(by_hand) / 9, rel=1e-5)
    assert float(answers.score(scores, Data(scores), "density")) == pytest.approx(-float(scores.mean()))
    values = Data(scores, scores + 2.0)
    assert float(answers.score(scores, values, "values")) == pytest.approx(4.0, rel=1e-5)


def test_pairs_are_scored_by_hand():
    scores, y = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]], dtype=torch.float64), torch.tensor([0, 0, 1])
    p = scores.softmax(1)
    q = {(i, j): 0.001 + 0.998 * float(p[i] @ p[j]) for i, j in ((0, 1), (0, 2), (1, 2))}
    expected = -0.5 * (math.log(q[0, 1]) + 0.5 * (math.log(1 - q[0, 2]) + math.log(1 - q[1, 2])))
    assert float(losses.pair_cross_entropy(scores, y)) == pytest.approx(expected, rel=1e-12)
    assert float(losses.pair_cross_entropy(scores[:1], y[:1])) == 0


def test_one_class_is_learned_from_pairs_and_not_from_an_index_adjusted_for_chance():
    y, unsure = torch.zeros(4, dtype=torch.int64), torch.tensor([[1.0, 0.0]] * 3 + [[0.5, 0.0]])
    assert grad(losses.soft_adjusted_rand)(unsure, y).abs().max() == 0
    assert grad(losses.pair_cross_entropy)(unsure, y)[:, 0].max() < 0


@pytest.mark.parametrize(
    ("kind", "target"),
    [(kind, target) for kind in BUILDS for target in ("clusters", "classes", "anomalies")]
    + [("in_context", "density")],
)
@pytest.mark.parametrize("n_rows", [1, 5])
def test_equal_rows_and_one_row_are_answered(kind, target, n_rows):
    meta, theta, _ = made(kind, target, 1 if target == "anomalies" else 3)
    part = Data(torch.full((n_rows, 2), 3.0, dtype=torch.float64), torch.zeros(n_rows, dtype=torch.int64))
    gradient = grad(lambda theta: meta.objective(theta, Task(part, part))[0])(theta)
    assert all(bool(torch.isfinite(leaf).all()) for leaf in leaves(gradient))


@pytest.mark.parametrize("module", BUILDS.values(), ids=list(BUILDS))
def test_what_cannot_be_read_is_refused(module):
    meta = module.build(module.Config(target="classes", n_outputs=3, **SMALL), LEARNER)
    theta, task = meta.init(generator_of(0)), index(TASKS(generator_of(1), 1), 0)
    with pytest.raises(ValueError, match=r"target='classes' reads truth; found support.y=None"):
        meta.adapt(theta, Data(task.support.X))
    with pytest.raises(ValueError, match=r"trains on truth; found query.y=None"):
        meta.objective(theta, Task(task.support, Data(task.query.X)))
    with pytest.raises(ValueError, match=r"outer_loss should be None: target says"):
        module.build(module.Config(), LEARNER, LEARNER.loss)
    with pytest.raises(ValueError, match=r"found row_shape=None"):
        module.build(module.Config(), LEARNER._replace(row_shape=None))
    with pytest.raises(ValueError, match=r"n_outputs=5 should be 1 with target='anomalies'"):
        module.Config(target="anomalies", n_outputs=5)
    with pytest.raises(ValueError, match=r"width=10 should be a multiple of n_heads=4"):
        module.build(module.Config(width=10), LEARNER)
    values = module.build(module.Config(target="values", n_outputs=2, **SMALL), LEARNER)
    with pytest.raises(ValueError, match=r"values should have shape \(n_rows, n_outputs=2\); found \(12,\)"):
        values.adapt(values.init(generator_of(0)), task.support)


def test_a_memory_gives_no_density():
    with pytest.raises(ValueError, match=r"target='density' should be one of 'clusters', 'classes'"):
        memory.Config(target="density")


def test_codes_are_read_on_as_well_as_scores():
    learner = autoencoder.build(autoencoder.Config(n_features=2, n_code=3))
    meta = in_context.build(in_context.Config(**SMALL), learner)
    theta = meta.init(generator_of(0))
    assert theta["net"]["row"]["weight"].shape == (8, 3)

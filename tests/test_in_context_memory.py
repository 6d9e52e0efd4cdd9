"""What reads the support and answers: order, rows alone, truth, densities, and what is refused."""

import math

import numpy as np
import pytest
import torch
from torch.func import grad

from firstsight import Data, Task, losses
from firstsight.learners import autoencoder, classifier
from firstsight.meta import answers, in_context, memory
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures
from firstsight.trees import cast, index, leaves

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


def test_clusters_are_trained_by_their_index_and_by_the_vectors_of_the_rows():
    meta, theta, task = made("in_context", "clusters", 9, rows_weight=2.0)
    both, reported = meta.objective(theta, task)
    state, y = meta.adapt(theta, task.support), task.query.y
    scores = meta.predict(theta, state, task.query.X)
    torch.testing.assert_close(reported, losses.soft_adjusted_rand(scores, y) + losses.pair_cross_entropy(scores, y))
    # Nine clusters for vectors of eight columns: the directions of the vectors follow from the scores.
    directions = torch.nn.functional.normalize(state["clusters"], dim=1)
    seen = in_context.look(theta, state, task.query.X, **meta.predict.keywords)
    found = torch.linalg.lstsq(in_context.SHARPNESS * directions, scores.T).solution.T
    torch.testing.assert_close(found, torch.nn.functional.normalize(seen, dim=1))
    torch.testing.assert_close(both, reported + 2.0 * losses.prototype_cross_entropy(seen, y))


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

"""Amortised learning: what its net is given and gives, worked out another way."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from firstsight import Plan
from firstsight.core import Data, Task
from firstsight.engine.execute import map_tasks, sum_gradients
from firstsight.learners import autoencoder, classifier, kmeans
from firstsight.meta import amortized, maml
from firstsight.meta.amortized import cut, slices_of, uncut
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures, sinusoids
from firstsight.trees import cast, index, leaves, named_leaves, replace_leaves, tree_map

SMALL = {"width": 16, "n_heads": 2, "n_blocks": 2}
KMEANS = kmeans.build(kmeans.Config(n_features=2, n_clusters=4))
TASK = cast(index(mixtures.build(mixtures.Config(n_clusters=(4, 4)))(generator_of(0), 1), 0), torch.float64)


def prepared(learner, **settings):
    """A meta-learner and a theta whose net says something, in float64."""
    meta = amortized.build(amortized.Config(**(SMALL | settings)), learner)
    theta = cast(meta.init(generator_of(1)), torch.float64)
    return meta, theta | {"net": tree_map(lambda leaf: leaf + 0.1 * torch.sin(leaf * 50 + 1), theta["net"])}


def silent(theta):
    """The same theta with a net that says 0."""
    return theta | {"net": theta["net"] | {"out": tree_map(torch.zeros_like, theta["net"]["out"])}}


def lloyd(start, X, n_steps):
    """The same steps by scikit-learn, which stops early where nothing moves any more."""
    fitted = KMeans(len(start), init=start.numpy(), n_init=1, max_iter=n_steps, tol=0).fit(X.numpy())
    return torch.as_tensor(fitted.cluster_centers_)


def test_a_new_net_leaves_theta_in_nearly_as_it_is():
    meta = amortized.build(amortized.Config(inner_steps=0), KMEANS)
    theta = meta.init(generator_of(1))
    state = meta.adapt(theta, cast(TASK.support, torch.float32))
    change = (state["centroids"] - theta["start"]["centroids"][0]).abs()
    assert 0 < float(change.max()) < 0.05


@pytest.mark.parametrize("steps", [0, 3])
def test_with_a_silent_net_it_is_maml(steps):
    learner = classifier.build(classifier.Config(n_outputs=1, target="value", hidden=(5,), activation="tanh"))
    meta, theta = prepared(learner, inner_steps=steps, inner_lr=0.05, objective="after")
    task = cast(index(sinusoids.build(sinusoids.Config())(generator_of(3), 1), 0), torch.float64)
    other = maml.build(maml.Config(inner_steps=steps, inner_lr=0.05), learner)
    start = index(theta["start"], 0)
    for ours, theirs in zip(
        leaves(meta.adapt(silent(theta), task.support)), leaves(other.adapt(start, task.support)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(meta.objective(silent(theta), task)[0], other.objective(start, task)[0])


@pytest.mark.parametrize("snap", [(), ("centroids",)])
def test_with_a_silent_net_exact_steps_equal_scikit_learn(snap):
    meta, theta = prepared(KMEANS, theta_in="refine", refine_steps=4, inner_steps=0, snap=snap)
    # At rows, so that no cluster is ever empty: scikit-learn would move an empty one.
    start = TASK.support.X[:4]
    theta = silent(theta) | {"start": {"centroids": start[None] + 1e-3 * len(snap)}}
    ours = meta.adapt(theta, TASK.support)["centroids"]
    torch.testing.assert_close(ours, lloyd(start, TASK.support.X, 4))


def test_of_several_starts_the_one_with_the_least_support_loss_is_taken():
    meta, theta = prepared(KMEANS, theta_in="refine", n_starts=5, refine_steps=30, inner_steps=0)
    starts = TASK.support.X[torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15], [3, 7, 9, 19]])]
    fitted = [lloyd(start, TASK.support.X, 30) for start in starts]
    losses = [float(KMEANS.loss({"centroids": centres}, TASK.support)) for centres in fitted]
    assert max(losses) > 1.01 * min(losses)
    ours = meta.adapt(silent(theta) | {"start": {"centroids": starts}}, TASK.support)["centroids"]
    torch.testing.assert_close(ours, fitted[int(np.argmin(losses))])


@pytest.mark.parametrize("theta_in", ["start", "refine", "none"])
@pytest.mark.parametrize("standardise", [False, True])
def test_the_order_of_rows_and_of_clusters_is_nothing(theta_in, standardise):
    meta, theta = prepared(KMEANS, theta_in=theta_in, standardise=standardise, inner_lr=0.3)
    state = meta.adapt(theta, TASK.support)["centroids"]
    assert float((state - theta["start"]["centroids"][0]).abs().max()) > 0.01
    assert float(torch.pdist(state).min()) > 1e-6
    rows = torch.randperm(20, generator=generator_of(2))
    shuffled = meta.adapt(theta, Data(TASK.support.X[rows]))["centroids"]
    torch.testing.assert_close(shuffled, state, rtol=1e-10, atol=1e-10)
    clusters = torch.tensor([2, 0, 3, 1])
    renamed = theta | {"start": {"centroids": theta["start"]["centroids"][:, clusters]}}
    torch.testing.assert_close(meta.adapt(renamed, TASK.support)["centroids"], state[clusters], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("objective", ["zero", "after", "both"])
def test_the_objective_by_hand(objective):
    meta, theta = prepared(KMEANS, objective=objective, inner_lr=0.3)
    zero_shot = amortized.build(amortized.Config(**SMALL, inner_steps=0), KMEANS)
    centres = zero_shot.adapt(theta, TASK.support)["centroids"]

    def loss_of(centres, X):
        return float(((X[:, None] - centres) ** 2).sum(2).min(1).values.mean())

    X = TASK.support.X
    member = torch.eye(4, dtype=X.dtype)[((X[:, None] - centres) ** 2).sum(2).argmin(1)]
    slope = 2 * (member.sum(0)[:, None] * centres - member.T @ X) / len(X)
    zero, after = (loss_of(c, TASK.query.X) for c in (centres, centres - 0.3 * slope))
    assert abs(zero - after) > 1e-4
    trained, reported = meta.objective(theta, TASK)
    assert float(trained) == pytest.approx({"zero": zero, "after": after, "both": (zero + after) / 2}[objective])
    assert float(reported) == pytest.approx(after)


def test_the_gradient_equals_finite_differences():
    meta, theta = prepared(KMEANS, objective="both", inner_lr=0.3)
    flat = {name: leaf.clone().requires_grad_() for name, leaf in named_leaves(theta)}
    tasks = tree_map(lambda leaf: leaf[None], TASK)
    gradients, _ = sum_gradients(meta.objective, replace_leaves(theta, flat), tasks, Plan(dtype="float64"))
    for name, place in (("net.row.weight", (3, 1)), ("net.lift.0.weight", (2, 0)), ("net.out.0.bias", (1,))):
        values = []
        for nudge in (1e-5, -1e-5):
            moved = {key: leaf.detach().clone() for key, leaf in flat.items()}
            moved[name][place] += nudge
            values.append(float(meta.objective(replace_leaves(theta, moved), TASK)[0]))
        assert float(gradients[name][place]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-8)


def test_without_theta_in_what_the_net_says_is_the_whole_state():
    meta, theta = prepared(KMEANS, theta_in="none", inner_steps=0)
    assert (meta.adapt(theta, TASK.support)["centroids"] != 0).all()
    assert (meta.adapt(silent(theta), TASK.support)["centroids"] == 0).all()


def test_slices_hold_a_component_a_neuron_or_a_number():
    params = {"mean": torch.arange(6.0).reshape(3, 2), "weight": torch.arange(3.0), "noise": torch.tensor(9.0)}
    kinds = slices_of(params)
    pieces = cut(params, kinds)
    assert [piece.tolist() for piece in pieces] == [[[0, 1, 0], [2, 3, 1], [4, 5, 2]], [[9]]]
    for ours, theirs in zip(leaves(uncut(pieces, kinds, params)), leaves(params), strict=True):
        assert torch.equal(ours, theirs)
    net = autoencoder.build(autoencoder.Config(n_features=3, hidden=(4,), n_code=2)).init(generator_of(0))
    assert [(kind.n, kind.sizes) for kind in slices_of(net)] == [(4, (1, 2)), (3, (1, 4)), (4, (1, 3)), (2, (1, 4))]


def degenerate():
    X = torch.zeros(6, 2, dtype=torch.float64)
    ramp = torch.arange(6.0, dtype=torch.float64)
    yield "equal rows", X + 3
    yield "constant column", torch.stack([ramp, X[:, 0]], 1)
    yield "far away", torch.stack([ramp, ramp], 1) + 1e6
    yield "large", 1e6 * torch.stack([ramp, -ramp], 1)


@pytest.mark.parametrize(("name", "X"), list(degenerate()), ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("theta_in", ["start", "refine"])
@pytest.mark.parametrize("standardise", [False, True])
def test_gradients_are_finite_on_degenerate_rows(name, X, theta_in, standardise):
    meta, theta = prepared(KMEANS, theta_in=theta_in, n_starts=2, standardise=standardise)
    theta = tree_map(lambda leaf: leaf.clone().requires_grad_(), theta)
    gradients, losses = sum_gradients(
        meta.objective, theta, Task(Data(X[None]), Data(X[None])), Plan(dtype="float64", backend="loop")
    )
    assert torch.isfinite(losses).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


def test_one_row_is_enough_for_a_prior():
    learner = kmeans.build(kmeans.Config(n_features=2, n_clusters=4, prior=True))
    meta, theta = prepared(learner, theta_in="refine", inner="refine")
    state = meta.adapt(theta, Data(TASK.support.X[:1]))
    assert all(torch.isfinite(leaf).all() for leaf in leaves(state))


def test_starts_that_meet_at_one_solution_are_chosen_alike_by_vmap_and_loop():
    """Permuted starts end at one loss but for rounding, and their nets would speak of other clusters."""
    meta, theta = prepared(KMEANS, theta_in="refine", n_starts=6, refine_steps=20, snap=("centroids",))
    order = torch.stack([torch.randperm(4, generator=generator_of(i)) for i in range(6)])
    theta = theta | {"start": {"centroids": theta["start"]["centroids"][0][order]}}
    tasks = cast(mixtures.build(mixtures.Config(n_clusters=(4, 4)))(generator_of(5), 40), torch.float64)

    def adapted(theta, task):
        return meta.adapt(theta, task.support)["centroids"]

    results = [map_tasks(adapted, theta, tasks, Plan(backend=way, dtype="float64")) for way in ("vmap", "loop")]
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)


def test_what_it_refuses():
    with pytest.raises(ValueError, match="theta_in='refine' needs a learner with an exact step; use theta_in='start'"):
        amortized.build(amortized.Config(theta_in="refine"), autoencoder.build(autoencoder.Config()))
    with pytest.raises(ValueError, match="inner='refine' needs a learner with an exact step"):
        amortized.build(amortized.Config(inner="refine"), autoencoder.build(autoencoder.Config()))
    with pytest.raises(ValueError, match=r"row_shape=None; build the learner with a row_shape"):
        amortized.build(amortized.Config(), KMEANS._replace(row_shape=None))
    with_prior = kmeans.build(kmeans.Config(n_features=2, prior=True))
    with pytest.raises(ValueError, match=r"snap=\('log_lambda',\) should name leaves whose entries are shaped like"):
        amortized.build(amortized.Config(theta_in="refine", snap=("log_lambda",)), with_prior)
    with pytest.raises(ValueError, match="width=10 should be a multiple of n_heads=4"):
        amortized.Config(width=10)
    meta, theta = prepared(KMEANS)
    with pytest.raises(ValueError, match=r"X should have shape \(n_rows, 2\); found \(5, 3\)"):
        meta.adapt(theta, Data(torch.zeros(5, 3, dtype=torch.float64)))

"""Numbers that can be worked out by hand, or by another way of computing."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import linregress
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from firstsight import Data, Plan, Task, TrainConfig, last, losses, meta_train
from firstsight.core import Learner
from firstsight.engine.execute import sum_gradients
from firstsight.learners import autoencoder, classifier, contrastive, kmeans
from firstsight.meta import joint, maml, meta_sgd, protonet, reptile
from firstsight.seeds import generator_of
from firstsight.tasks import mixtures, sinusoids
from firstsight.trees import cast, index, leaves, replace_leaves, tree_map

LOOP = Plan(backend="loop", dtype="float64")


def doubles(tree):
    return tree_map(lambda leaf: leaf.clone().requires_grad_(), cast(tree, torch.float64))


def linear_task(seed=0, n_rows=6, n_features=3):
    generator = generator_of(seed)
    parts = [
        Data(*(torch.randn(1, n_rows, width, generator=generator, dtype=torch.float64) for width in (n_features, 1)))
        for _ in range(2)
    ]
    return Task(*parts)


def closed_form(weights, bias, task, rate, first_order):
    """MAML's gradient on least squares: (I - rate H) (H_q phi - b_q), with phi = w - rate (H w - b)."""

    def quadratic(data):
        A = np.c_[data.X[0].numpy(), np.ones(data.X.shape[1])]
        return 2 * A.T @ A / len(A), 2 * A.T @ data.y[0].numpy() / len(A)

    start = np.r_[weights.detach().numpy().ravel(), bias.detach().numpy()][:, None]
    (H, b), (H_query, b_query) = quadratic(task.support), quadratic(task.query)
    phi = start - rate * (H @ start - b)
    outer = H_query @ phi - b_query
    return outer if first_order else (np.eye(len(H)) - rate * H) @ outer


@pytest.mark.parametrize("first_order", [False, True])
def test_maml_on_linear_regression_has_its_closed_form(first_order):
    learner = classifier.build(classifier.Config(n_features=3, n_outputs=1, target="value", body="linear"))
    meta = maml.build(maml.Config(inner_lr=0.1, first_order=first_order), learner)
    theta, task = doubles(meta.init(generator_of(1))), linear_task()
    gradients, _ = sum_gradients(meta.objective, theta, task, LOOP)
    ours = np.r_[gradients["head.weight"].numpy().ravel(), gradients["head.bias"].numpy()]
    theirs = closed_form(theta["head"]["weight"], theta["head"]["bias"], task, 0.1, first_order)
    np.testing.assert_allclose(ours, theirs.ravel(), rtol=1e-10)


def test_second_order_gradient_equals_unrolled_autograd_and_finite_differences():
    learner = classifier.build(classifier.Config(n_outputs=1, target="value", hidden=(7, 5), activation="tanh"))
    meta = maml.build(maml.Config(inner_lr=0.05, inner_steps=3), learner)
    theta = doubles(meta.init(generator_of(2)))
    tasks = cast(sinusoids.build(sinusoids.Config(n_support=6))(generator_of(3), 1), torch.float64)
    task = index(tasks, 0)
    gradients, _ = sum_gradients(meta.objective, theta, tasks, LOOP)

    unrolled = theta
    for _ in range(3):
        inner = torch.autograd.grad(learner.loss(unrolled, task.support), leaves(unrolled), create_graph=True)
        steps = iter(inner)
        unrolled = tree_map(lambda leaf, steps=steps: leaf - 0.05 * next(steps), unrolled)
    expected = torch.autograd.grad(learner.loss(unrolled, task.query), leaves(theta))
    for ours, theirs in zip(gradients.values(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)

    for name, place in (("body.0.weight", (2, 0)), ("head.bias", (0,)), ("body.2.weight", (1, 3))):
        values = []
        for nudge in (1e-5, -1e-5):
            flat = {key: leaf.detach().clone() for key, leaf in zip(gradients, leaves(theta), strict=True)}
            flat[name][place] += nudge
            values.append(float(meta.objective(replace_leaves(theta, flat), task)[0]))
        assert float(gradients[name][place]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-8)


def test_reptile_gradient_is_theta_minus_phi():
    learner = kmeans.build(kmeans.Config(n_features=2, n_clusters=3))
    meta = reptile.build(reptile.Config(inner_lr=0.1, inner_steps=4), learner)
    theta = doubles(meta.init(generator_of(0)))
    tasks = cast(mixtures.build(mixtures.Config())(generator_of(1), 1), torch.float64)
    gradients, _ = sum_gradients(meta.objective, theta, tasks, LOOP)
    phi = meta.adapt(theta, index(tasks, 0).support)
    torch.testing.assert_close(gradients["centroids"], (theta["centroids"] - phi["centroids"]).detach())


def test_meta_sgd_gradient_of_the_rates_is_minus_outer_times_inner():
    learner = classifier.build(classifier.Config(n_features=3, n_outputs=1, target="value", body="linear"))
    meta = meta_sgd.build(meta_sgd.Config(inner_lr=0.1), learner)
    theta, task = doubles(meta.init(generator_of(1))), linear_task(5)
    gradients, _ = sum_gradients(meta.objective, theta, task, LOOP)
    params = theta["params"]
    inner = torch.func.grad(learner.loss)(params, index(task, 0).support)
    outer = torch.func.grad(learner.loss)(meta.adapt(theta, index(task, 0).support), index(task, 0).query)
    for leaf in ("weight", "bias"):
        expected = -(inner["head"][leaf] * outer["head"][leaf]).detach()
        torch.testing.assert_close(gradients[f"rates.head.{leaf}"], expected)


def test_joint_gradient_knows_nothing_of_adaptation():
    learner = classifier.build(classifier.Config(n_features=3, n_outputs=1, target="value", body="linear"))
    theta, tasks = doubles(learner.init(generator_of(1))), linear_task(7)
    first, _ = sum_gradients(joint.build(joint.Config(inner_lr=0.5), learner).objective, theta, tasks, LOOP)
    both = Data(*(torch.cat(parts, 1)[0] for parts in zip(tasks.support[:2], tasks.query[:2], strict=True)))
    expected = torch.func.grad(learner.loss)(theta, both)
    torch.testing.assert_close(first["head.weight"], expected["head"]["weight"].detach())


def test_only_the_adapted_leaves_move():
    learner = classifier.build(classifier.Config(n_features=3, n_outputs=4, hidden=(5,)))
    meta = maml.build(maml.Config(inner_lr=0.5, adapted=("head",)), learner)
    theta = meta.init(generator_of(0))
    state = meta.adapt(theta, index(mixtures.build(mixtures.Config(n_features=(3, 3)))(generator_of(1), 1), 0).support)
    assert torch.equal(state["body"]["0"]["weight"], theta["body"]["0"]["weight"])
    assert not torch.equal(state["head"]["weight"], theta["head"]["weight"])


@pytest.mark.parametrize("log_lambda", [-40.0, -1.0, 0.0, 3.0, 40.0])
def test_kmeans_step_with_prior_equals_its_exact_solution(log_lambda):
    learner = kmeans.build(kmeans.Config(n_features=2, n_clusters=2, prior=True))
    X = torch.tensor([[0.0, 1.0], [1.0, 0.0], [9.0, 9.0]], dtype=torch.float64)
    prior = {
        "centroids": torch.tensor([[1.0, 1.0], [8.0, 8.0]], dtype=torch.float64),
        "log_lambda": torch.tensor(log_lambda, dtype=torch.float64),
    }
    step = learner.refine(prior, Data(X), prior)
    weight = math.exp(log_lambda)
    expected = [(X[:2].sum(0) + weight * prior["centroids"][0]) / (2 + weight)]
    expected.append((X[2] + weight * prior["centroids"][1]) / (1 + weight))
    torch.testing.assert_close(step["centroids"], torch.stack(expected))


def test_empty_cluster_goes_to_the_prior_or_stays():
    learner = kmeans.build(kmeans.Config(n_features=1, n_clusters=2, prior=True))
    params = {"centroids": torch.tensor([[0.0], [100.0]]), "log_lambda": torch.tensor(0.0)}
    prior = {"centroids": torch.tensor([[2.0], [50.0]]), "log_lambda": torch.tensor(0.0)}
    X = Data(torch.tensor([[0.0], [1.0]]))
    assert learner.refine(params, X, prior)["centroids"].tolist() == [[1.0], [50.0]]
    assert learner.refine(params, X, None)["centroids"].tolist() == [[0.5], [100.0]]


def test_lloyd_steps_end_where_scikit_learn_ends():
    X = mixtures.build(mixtures.Config(n_features=(3, 3), n_clusters=(4, 4), n_support=200))(
        generator_of(0), 1
    ).support.X
    X = X[0].double()
    learner = kmeans.build(kmeans.Config(n_features=3, n_clusters=4))
    params = {"centroids": X[:4].clone()}
    theirs = KMeans(4, init=X[:4].numpy(), n_init=1, tol=0, max_iter=100).fit(X.numpy())
    for _ in range(100):
        params = learner.refine(params, Data(X), None)
    np.testing.assert_allclose(params["centroids"].numpy(), theirs.cluster_centers_, rtol=1e-6)
    assert float(learner.loss(params, Data(X))) == pytest.approx(theirs.inertia_ / len(X), rel=1e-6)
    assert (learner.predict(params, X).argmax(1).numpy() == theirs.predict(X.numpy())).all()


def test_soft_kmeans_loss_is_a_lower_bound_and_tends_to_the_hard_one():
    X = Data(torch.randn(50, 2, generator=generator_of(0), dtype=torch.float64))
    params = {"centroids": torch.randn(4, 2, generator=generator_of(1), dtype=torch.float64)}
    hard = float(kmeans.loss(params, X, temperature=0))
    soft = [float(kmeans.loss(params, X, temperature=t)) for t in (1.0, 0.1, 0.001)]
    assert soft == sorted(soft)
    assert soft[-1] <= hard + 1e-12
    assert soft[-1] == pytest.approx(hard, abs=2e-3)


def test_learned_lambda_is_within_over_between_variance():
    """The centres vary by tau^2 = .04 between tasks and the rows by sigma^2 = .16 within: lambda = 4."""
    sample = mixtures.build(
        mixtures.Config(n_features=(4, 4), n_clusters=(3, 3), shared=0.96, within=(0.4, 0.4), n_query=50)
    )
    learner = kmeans.build(kmeans.Config(n_features=4, n_clusters=3, prior=True))
    meta = maml.build(maml.Config(inner="refine", inner_steps=3), learner)
    config = TrainConfig(
        steps=300, meta_batch=64, outer_lr=0.1, schedule="cosine", backend="vmap", chunk=64, threads=1, seed=2
    )
    theta = last(meta_train(meta, sample, config)).theta
    assert float(theta["log_lambda"].exp()) == pytest.approx(4.0, rel=0.3)


def test_autoencoder_with_a_line_to_learn_finds_it():
    """Rows on a line through the origin: one number says all, so a linear code reconstructs them."""
    direction = torch.tensor([[1.0, -2.0, 0.5]])
    X = torch.linspace(-1, 1, 40)[:, None] @ direction
    learner = autoencoder.build(autoencoder.Config(n_features=3, n_code=1, hidden=()))
    params = tree_map(lambda leaf: leaf.clone().requires_grad_(), learner.init(generator_of(0)))
    optimizer = torch.optim.Adam(leaves(params), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        learner.loss(params, Data(X)).backward()
        optimizer.step()
    assert float(learner.loss(params, Data(X)).detach()) < 1e-4
    code = learner.predict(params, X).detach()[:, 0].numpy()
    assert abs(linregress(code, X[:, 0].numpy()).rvalue) > 0.999


def test_soft_adjusted_rand_of_hard_labels_equals_scikit_learn():
    generator = np.random.default_rng(0)
    for n_rows, n_clusters in ((20, 3), (7, 2), (50, 6)):
        truth, labels = generator.integers(0, n_clusters, (2, n_rows))
        scores = 1e3 * torch.eye(n_clusters, dtype=torch.float64)[labels]
        ours = 1 - float(losses.soft_adjusted_rand(scores, torch.as_tensor(truth)))
        assert ours == pytest.approx(adjusted_rand_score(truth, labels), abs=1e-9)


@pytest.mark.parametrize("truth", [[0, 0, 0, 0], [0]])
def test_soft_adjusted_rand_of_trivial_partitions_is_perfect_and_has_a_gradient(truth):
    scores = torch.zeros(len(truth), 1, requires_grad=True)
    loss = losses.soft_adjusted_rand(scores, torch.tensor(truth))
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.isfinite(scores.grad).all()


def test_prototype_cross_entropy_equals_its_plain_computation():
    generator = generator_of(0)
    embedding, classes = torch.randn(12, 3, generator=generator), torch.tensor([0, 1, 1, 2] * 3)
    means = torch.stack([embedding[classes == label].mean(0) for label in range(3)])
    variance = ((embedding - embedding.mean(0)) ** 2).sum(1).mean()
    logits = -((embedding[:, None] - means) ** 2).sum(2) / (0.2 * variance)
    expected = torch.nn.functional.cross_entropy(logits, classes)
    torch.testing.assert_close(losses.prototype_cross_entropy(embedding, classes), expected)
    torch.testing.assert_close(losses.prototype_cross_entropy(7 * embedding + 3, classes), expected)


def test_views_of_a_smooth_image_are_its_transformations():
    """A wave shifted or rotated a little, computed from its formula, equals the view by derivatives."""
    size = 32
    place = torch.linspace(-1, 1, size, dtype=torch.float64)
    x, y = place.repeat(size), place.repeat_interleave(size)

    def wave(x, y):
        # Vanishes towards the border, outside which images are zero.
        return torch.exp(-6 * (x**2 + y**2)) * torch.sin(3 * x + y)

    operators = contrastive.derivatives(size).double()
    pixel, half = 2 / (size - 1), (size - 1) / 2
    cases = {
        "shift_x": wave(x + pixel, y),
        "shift_y": wave(x, y + pixel),
        "rotation": wave(x - y / half, y + x / half),
        "scale_x": wave(x * (1 + 1 / half), y),
        "shear": wave(x + y / half, y),
    }
    for name, expected in cases.items():
        change = torch.zeros(1, 1, len(contrastive.TRANSFORMATIONS), dtype=torch.float64)
        change[..., contrastive.TRANSFORMATIONS.index(name)] = 1.0
        seen = contrastive.views(wave(x, y)[None], change, operators)[0, 0]
        moved = float((expected - wave(x, y)).norm())
        assert float((seen - expected).norm()) < 0.1 * moved, name


def test_contrastive_loss_of_rows_that_all_look_alike_is_at_chance():
    learner = contrastive.build(contrastive.Config(image_size=4))
    data = Data(torch.ones(7, 16), noise=torch.zeros(7, 2, 6))
    assert float(learner.loss(learner.init(generator_of(0)), data)) == pytest.approx(math.log(13))


def test_misclassified_cross_entropy_counts_wrong_rows_only():
    scores = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    truth = torch.tensor([0, 1, 1])
    wrong_row = float(torch.nn.functional.cross_entropy(scores[1:2], truth[1:2]))
    assert float(losses.misclassified_cross_entropy(scores, truth)) == pytest.approx(wrong_row / 3)
    assert float(losses.misclassified_cross_entropy(scores[:1], truth[:1])) == 0
    assert float(losses.cross_entropy(scores, truth)) == pytest.approx(
        float(torch.nn.functional.cross_entropy(scores, truth))
    )


def test_mixture_family_shares_what_it_says():
    """Between tasks a centre varies by 1 - shared, within a cluster rows vary by within^2 a column."""
    config = mixtures.Config(
        n_features=(3, 3), n_clusters=(2, 2), shared=0.75, within=(0.2, 0.2), n_support=100, covariance="full"
    )
    tasks = mixtures.build(config)(generator_of(0), 400)
    support = tasks.support
    first = (support.y == 0)[..., None]
    centre = (support.X * first).sum(1) / first.sum(1)
    assert float(centre.var(0).mean()) == pytest.approx(0.25, rel=0.15)
    spread = (((support.X - centre[:, None]) ** 2) * first).sum((1, 2)) / first.sum((1, 2)) / 3
    assert float(spread.mean()) == pytest.approx(0.04, rel=0.1)


def test_imbalance_is_the_ratio_of_largest_to_smallest():
    config = mixtures.Config(n_clusters=(3, 3), imbalance=(9.0, 9.0), n_support=3000)
    sizes = torch.stack([(mixtures.build(config)(generator_of(0), 4).support.y == j).sum(1) for j in range(3)])
    ratio = sizes.max(0).values / sizes.min(0).values
    assert ratio.float().mean() == pytest.approx(9.0, rel=0.2)


def test_prototypes_are_class_means_and_the_nearest_wins():
    X = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    learner = Learner(init=lambda generator: {}, loss=lambda params, data: X.sum(), predict=lambda params, X: X)
    meta = protonet.build(protonet.Config(n_way=3), learner)
    state = meta.adapt({}, Data(X, torch.tensor([0, 0, 1])))
    # The third class has no shot: the mean of all.
    torch.testing.assert_close(state["prototypes"], torch.tensor([[1.0, 0.0], [0.0, 3.0], [2 / 3, 1.0]]))
    scores = meta.predict({}, state, torch.tensor([[1.0, 1.0], [0.0, 2.0]]))
    torch.testing.assert_close(scores, -torch.tensor([[1.0, 5.0, 1 / 9], [5.0, 1.0, 13 / 9]]))
    cosine = protonet.build(protonet.Config(n_way=3, distance="cosine", temperature=0.5), learner)
    angles = cosine.predict({}, state, torch.tensor([[7.0, 0.0], [0.0, 0.1]]))
    torch.testing.assert_close(angles[:, :2], torch.tensor([[2.0, 0.0], [0.0, 2.0]]))
    with pytest.raises(ValueError, match=r"support\.y=None"):
        meta.adapt({}, Data(X))
    with pytest.raises(ValueError, match="outer_loss"):
        protonet.build(protonet.Config(), learner, learner.loss)

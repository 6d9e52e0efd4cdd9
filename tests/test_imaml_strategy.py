"""Implicit MAML and the learned strategy of the inner loop, against what can be worked out another way."""

import dataclasses
import math
import weakref

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from firstsight import Data, Plan, Task
from firstsight.core import Learner
from firstsight.engine.execute import sum_gradients
from firstsight.learners import classifier
from firstsight.meta import imaml, maml, meta_gradient
from firstsight.seeds import generator_of
from firstsight.tasks import sinusoids
from firstsight.trees import cast, index, leaves, named_leaves, replace_leaves, squared_distance, tree_map

LOOP = Plan(backend="loop", dtype="float64")
LINEAR = classifier.build(classifier.Config(n_features=3, n_outputs=1, target="value", body="linear"))
NET = classifier.build(classifier.Config(n_outputs=1, target="value", hidden=(6, 5), activation="tanh"))


def doubles(tree):
    return tree_map(lambda leaf: leaf.clone().requires_grad_(), cast(tree, torch.float64))


def linear_tasks(seed=0, n_rows=8):
    generator = generator_of(seed)
    parts = [
        Data(*(torch.randn(1, n_rows, width, generator=generator, dtype=torch.float64) for width in (3, 1)))
        for _ in range(2)
    ]
    return Task(*parts)


def wave_tasks(n_tasks=1):
    return cast(sinusoids.build(sinusoids.Config(n_support=6))(generator_of(3), n_tasks), torch.float64)


def quadratic(data):
    """The mean squared error of a linear model, weights before bias, as curvature H and slope b."""
    A = np.c_[data.X[0].numpy(), np.ones(data.X.shape[1])]
    return 2 * A.T @ A / len(A), 2 * A.T @ data.y[0].numpy()[:, 0] / len(A)


def joined(named):
    return np.r_[named["head.weight"].detach().numpy().ravel(), named["head.bias"].detach().numpy()]


def matrix(*eigenvalues):
    turned = torch.linalg.qr(torch.randn(len(eigenvalues), len(eigenvalues), generator=generator_of(5)))[0].double()
    return turned @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ turned.T


# Implicit MAML


def test_implicit_gradient_on_least_squares_has_its_closed_form():
    """phi* = (H + lambda)^-1 (b + lambda theta), and v = lambda (H + lambda)^-1 grad L'(phi*)."""
    weight = 0.7
    config = imaml.Config(inner_lr=0.25, inner_steps=150, proximal=weight, cg_steps=4)
    meta = imaml.build(config, LINEAR)
    theta, tasks = doubles(meta.init(generator_of(1))), linear_tasks()
    gradients, losses = sum_gradients(meta.objective, theta, tasks, LOOP)
    (H, b), (H_query, b_query) = quadratic(tasks.support), quadratic(tasks.query)
    near = H + weight * np.eye(4)
    phi = np.linalg.solve(near, b + weight * joined(dict(named_leaves(theta))))
    params, query = meta.adapt(theta, index(tasks, 0).support), index(tasks, 0).query
    np.testing.assert_allclose(joined(dict(named_leaves(params))), phi, rtol=1e-9)
    expected = weight * np.linalg.solve(near, H_query @ phi - b_query)
    np.testing.assert_allclose(joined(gradients), expected, rtol=1e-9)
    assert not np.allclose(expected, H_query @ phi - b_query, rtol=0.1)
    assert float(losses[0]) == pytest.approx(float(LINEAR.loss(params, query)), rel=1e-12)
    assert float(meta.objective(theta, index(tasks, 0))[0].detach()) == pytest.approx(float(losses[0]), rel=1e-12)


def test_implicit_gradient_is_the_limit_of_unrolled_steps():
    """Differentiating through 150 proximal steps of a curved net gives the same, and 3 steps do not."""
    weight, rate = 4.0, 0.05
    config = imaml.Config(inner_lr=rate, inner_steps=150, proximal=weight, cg_steps=60)
    meta = imaml.build(config, NET)
    theta, tasks = doubles(meta.init(generator_of(2))), wave_tasks()
    task = index(tasks, 0)
    ours, _ = sum_gradients(meta.objective, theta, tasks, LOOP)

    def unrolled(n_steps):
        params = theta
        for _ in range(n_steps):
            loss = NET.loss(params, task.support) + 0.5 * weight * squared_distance(params, theta)
            steps = iter(torch.autograd.grad(loss, leaves(params), create_graph=True))
            params = tree_map(lambda leaf, steps=steps: leaf - rate * next(steps), params)
        return torch.cat([g.flatten() for g in torch.autograd.grad(NET.loss(params, task.query), leaves(theta))])

    flat = torch.cat([gradient.flatten() for gradient in ours.values()])
    torch.testing.assert_close(flat, unrolled(150), rtol=1e-6, atol=1e-8)
    assert float((flat - unrolled(3)).norm()) > 0.1 * float(flat.norm())


def test_conjugate_gradients_are_exact_after_as_many_steps_as_dimensions():
    A, target = matrix(0.5, 1.0, 2.0, 7.0, 30.0), torch.arange(1.0, 6.0, dtype=torch.float64)
    solution = imaml.conjugate_gradients(lambda x: A @ x, target, 5)
    np.testing.assert_allclose(solution.numpy(), np.linalg.solve(A.numpy(), target.numpy()), rtol=1e-9)
    # Further steps, with nothing left to solve, do no harm.
    more = imaml.conjugate_gradients(lambda x: A @ x, target, 40)
    torch.testing.assert_close(more, solution, rtol=1e-9, atol=1e-12)
    assert float((imaml.conjugate_gradients(lambda x: A @ x, target, 2) - solution).norm()) > 0.01


def test_conjugate_gradients_hold_still_at_nothing_to_solve_and_at_negative_curvature():
    nothing = imaml.conjugate_gradients(lambda x: 2 * x, torch.zeros(3), 4)
    assert torch.equal(nothing, torch.zeros(3))
    target = torch.tensor([1.0, 2.0, 3.0])
    assert torch.equal(imaml.conjugate_gradients(lambda x: -x, target, 4), target)
    assert torch.equal(imaml.conjugate_gradients(lambda x: 0.05 * x, target, 4), target)
    assert torch.equal(imaml.conjugate_gradients(lambda x: 2 * x, target, 0), target)
    # The first direction curves up, the second down: the first step is what is left.
    A = torch.diag(torch.tensor([4.0, 3.0, -2.0], dtype=torch.float64))
    target = torch.tensor([1.0, 2.0, 0.3], dtype=torch.float64)
    one = imaml.conjugate_gradients(lambda x: A @ x, target, 1)
    torch.testing.assert_close(one, target * (target @ target) / (target @ A @ target))
    steps = [imaml.conjugate_gradients(lambda x: A @ x, target, n) for n in (2, 3, 9)]
    assert all(bool(torch.isfinite(step).all()) for step in steps)
    torch.testing.assert_close(steps[1], steps[2])


def test_implicit_gradient_is_finite_on_one_row_and_on_equal_rows():
    meta = imaml.build(imaml.Config(inner_steps=4, proximal=0.01, cg_steps=8), NET)
    theta = doubles(meta.init(generator_of(0)))
    for rows in (torch.zeros(1, 1, 1), torch.ones(1, 7, 1), torch.full((1, 1, 1), 1e4)):
        data = Data(rows.double(), rows.double())
        gradients, losses = sum_gradients(meta.objective, theta, Task(data, data), LOOP)
        assert all(bool(torch.isfinite(part).all()) for part in [losses, *gradients.values()])


class _Living(TorchDispatchMode):
    """The largest number of bytes alive at once of tensors made inside; a property of the program alone."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.seen = set()

    def _died(self, pointer, size):
        self.seen.discard(pointer)
        self.now -= size

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        for tensor in output if isinstance(output, tuple | list) else [output]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.seen:
                    self.seen.add(storage._cdata)
                    self.now += storage.nbytes()
                    weakref.finalize(storage, self._died, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return output


def peak_bytes(meta, n_tasks=4):
    theta, tasks = doubles(meta.init(generator_of(0))), wave_tasks(n_tasks)
    with _Living() as living:
        sum_gradients(meta.objective, theta, tasks, Plan(chunk=n_tasks, dtype="float64"))
    return living.peak


def test_memory_does_not_grow_with_the_inner_steps():
    """The bytes alive at once are the same at 2 and at 64 steps; those of second-order MAML grow."""
    implicit = [peak_bytes(imaml.build(imaml.Config(inner_steps=n), NET)) for n in (2, 64)]
    unrolled = [peak_bytes(maml.build(maml.Config(inner_steps=n), NET)) for n in (2, 64)]
    assert implicit[1] <= 1.02 * implicit[0]
    assert unrolled[1] > 10 * unrolled[0]
    assert implicit[1] < unrolled[1] / 5


# The strategy


def with_strategy(theta, **values):
    """theta with every entry of a leaf of the strategy set to a value."""
    strategy = {
        name: torch.full_like(leaf, values[name]).requires_grad_() if name in values else leaf
        for name, leaf in theta["strategy"].items()
    }
    return {**theta, "strategy": strategy}


def gradients_of_params(gradients):
    return torch.cat([part.flatten() for name, part in gradients.items() if name.startswith("params")])


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("conditioned", [False, True])
def test_a_new_strategy_is_maml(first_order, conditioned):
    shared = {"inner_lr": 0.05, "inner_steps": 4, "first_order": first_order}
    ours = meta_gradient.build(meta_gradient.Config(**shared, clip=1e5, conditioned=conditioned), NET)
    theirs = maml.build(maml.Config(**shared), NET)
    theta, tasks = doubles(ours.init(generator_of(1))), wave_tasks(3)
    gradients, losses = sum_gradients(ours.objective, theta, tasks, LOOP)
    expected, expected_losses = sum_gradients(theirs.objective, theta["params"], tasks, LOOP)
    torch.testing.assert_close(losses, expected_losses, rtol=1e-6, atol=0)
    expected = torch.cat([part.flatten() for part in expected.values()])
    torch.testing.assert_close(gradients_of_params(gradients), expected, rtol=1e-5, atol=1e-6)


def test_gradient_of_the_last_rates_is_minus_outer_times_inner():
    """By its log, so times the rate; the last step is the one nothing follows."""
    config = meta_gradient.Config(inner_lr=0.1, inner_steps=2, clip=1e6, conditioned=False)
    meta = meta_gradient.build(config, LINEAR)
    theta, tasks = with_strategy(doubles(meta.init(generator_of(1))), log_rate=math.log(0.1)), linear_tasks(5)
    task = index(tasks, 0)
    gradients, _ = sum_gradients(meta.objective, theta, tasks, LOOP)
    before = maml.build(maml.Config(inner_lr=0.1), LINEAR).adapt(theta["params"], task.support)
    inner = torch.func.grad(LINEAR.loss)(before, task.support)
    outer = torch.func.grad(LINEAR.loss)(meta.adapt(theta, task.support), task.query)
    expected = [
        -0.1 * float((one * other).sum().detach()) for one, other in zip(leaves(inner), leaves(outer), strict=True)
    ]
    np.testing.assert_allclose(gradients["strategy.log_rate"][1].numpy(), expected, rtol=1e-9)
    # A momentum of the last step adds the step before.
    first = torch.func.grad(LINEAR.loss)(theta["params"], task.support)
    expected = [
        -0.1 * float((one * other).sum().detach()) for one, other in zip(leaves(first), leaves(outer), strict=True)
    ]
    np.testing.assert_allclose(gradients["strategy.momentum"][1].numpy(), expected, rtol=1e-9)


def test_momentum_and_clip_are_those_of_torch():
    """torch.optim.SGD with momentum after clip_grad_norm_ of every leaf, far from the bend of the smooth clip."""
    momentum, rate, steps = 0.8, 0.03, 6
    for clip, tolerance in ((1e6, 1e-9), (1e-3, 1e-6)):
        meta = meta_gradient.build(meta_gradient.Config(inner_steps=steps, conditioned=False), NET)
        theta = with_strategy(
            doubles(meta.init(generator_of(4))),
            log_rate=math.log(rate),
            momentum=math.atanh(momentum),
            log_clip=math.log(clip),
        )
        support = index(wave_tasks(), 0).support
        params = tree_map(lambda leaf: leaf.detach().clone().requires_grad_(), theta["params"])
        optimizer = torch.optim.SGD(leaves(params), lr=rate, momentum=momentum)
        for _ in range(steps):
            optimizer.zero_grad()
            NET.loss(params, support).backward()
            for leaf in leaves(params):
                assert not clip / 10 < float(leaf.grad.norm()) < clip * 10
                torch.nn.utils.clip_grad_norm_([leaf], clip)
            optimizer.step()
        for ours, theirs in zip(leaves(meta.adapt(theta, support)), leaves(params), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
        assert float(squared_distance(params, theta["params"]).detach()) > 1e-9


def test_the_smooth_clip_leaves_what_it_says():
    norms = torch.tensor([0.25, 1.0, 4.0, 1e30, 0.0], dtype=torch.float64)
    left = norms * meta_gradient.clip_scale(norms.log(), torch.zeros(5, dtype=torch.float64))
    torch.testing.assert_close(left, torch.tensor([0.25, 0.8409, 1.0, 1.0, 0.0]).double(), rtol=1.2e-3, atol=0)


def test_a_conditioned_rate_can_be_polyaks_step():
    """Weights 1 on the log loss and -2 on the log gradient norm turn a rate of 1 into 2 loss / ||gradient||^2."""
    gradient, loss = {"w": torch.tensor([3.0, -4.0]).double()}, torch.tensor(300.0).double()
    seen = meta_gradient.features({"w": torch.ones(1).double()}, meta_gradient.log_norms(gradient), loss, 9)
    expected = torch.tensor([[math.log(600.0), math.log(5.0), math.log(10.0)]]).double()
    torch.testing.assert_close(seen, expected, rtol=1e-6, atol=0)
    # A hundredth of the exponents: the bound on the correction is far.
    weights = torch.zeros(1, 3, 3, dtype=torch.float64)
    weights[0, :2, 0] = torch.tensor([0.01, -0.02])
    table = torch.zeros(1, 1, dtype=torch.float64)
    strategy = {"log_rate": table, "momentum": table, "log_clip": table, "weights": weights}
    rate = meta_gradient.controls(strategy, 0, seen).rate
    torch.testing.assert_close(rate**100, torch.tensor([600.0 / 25.0]).double(), rtol=1e-3, atol=0)


def test_gradient_through_the_features_equals_finite_differences():
    meta = meta_gradient.build(meta_gradient.Config(inner_lr=0.05, inner_steps=3, clip=1.0), NET)
    theta = doubles(meta.init(generator_of(2)))
    shaken = 0.1 * torch.randn(theta["strategy"]["weights"].shape, generator=generator_of(9)).double()
    theta = tree_map(
        lambda leaf: leaf.detach().clone().requires_grad_(),
        {**theta, "strategy": {**theta["strategy"], "weights": shaken}},
    )
    tasks = wave_tasks()
    gradients, _ = sum_gradients(meta.objective, theta, tasks, LOOP)
    for name, place in (
        ("params.body.0.weight", (2, 0)),
        ("strategy.weights", (1, 1, 0)),
        ("strategy.weights", (3, 0, 1)),
        ("strategy.weights", (2, 2, 2)),
        ("strategy.log_clip", (1, 2)),
        ("strategy.momentum", (2, 4)),
    ):
        values = []
        for nudge in (1e-5, -1e-5):
            flat = {key: leaf.detach().clone() for key, leaf in named_leaves(theta)}
            flat[name][place] += nudge
            values.append(float(meta.objective(replace_leaves(theta, flat), index(tasks, 0))[0]))
        assert float(gradients[name][place]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-8)


def test_a_strategy_is_finite_at_a_zero_gradient_at_huge_losses_and_on_one_row():
    def loss(params, data):
        return ((params["w"] - data.X.mean()) ** 2).sum() + 0.0 * params["still"].sum()

    learner = Learner(
        init=lambda generator: {"w": torch.zeros(2), "still": torch.zeros(3)}, loss=loss, predict=lambda params, X: X
    )
    meta = meta_gradient.build(meta_gradient.Config(inner_steps=3), learner)
    theta = tree_map(lambda leaf: leaf.requires_grad_(), meta.init(generator_of(0)))
    shaken = torch.randn(theta["strategy"]["weights"].shape, generator=generator_of(1)).requires_grad_()
    theta = {**theta, "strategy": {**theta["strategy"], "weights": shaken}}
    for value in (0.0, 1.0, 1e12):
        data = Data(torch.full((1, 1, 1), value))
        gradients, losses = sum_gradients(
            meta.objective, theta, Task(data, data), dataclasses.replace(LOOP, dtype="float32")
        )
        assert all(bool(torch.isfinite(part).all()) for part in [losses, *gradients.values()]), value

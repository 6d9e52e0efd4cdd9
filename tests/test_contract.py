"""Every catalogue entry has every property of the contract. No entry is named here."""

import copy
import dataclasses
import inspect
import pickle

import pytest
import torch

from firstsight import Plan, TrainConfig, catalogue, last, meta_train
from firstsight.core import Learner, MetaLearner, Task
from firstsight.engine.checkpoint import read_checkpoint, write_checkpoint
from firstsight.engine.execute import map_tasks, sum_gradients
from firstsight.seeds import generator_of
from firstsight.trees import cast, detach, index, leaves, n_tasks, named_leaves, norm, replace_leaves, tree_map
from scenarios import LEARNERS, META_LEARNERS, TASKS, build_learner, build_meta, pairs, tasks_of

LOOP = Plan(backend="loop", dtype="float64")


def names_of(function):
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]


def same(first, second):
    return all(
        one.dtype == other.dtype and torch.equal(one, other)
        for one, other in zip(leaves(first), leaves(second), strict=True)
    )


def close(first, second, tolerance=1e-9):
    return float(norm([a - b for a, b in zip(first, second, strict=True)])) <= tolerance * float(1e-12 + norm(first))


def prepared(meta_name, learner_name, count=5):
    meta = build_meta(meta_name, learner_name)
    theta = tree_map(lambda leaf: leaf.clone().requires_grad_(), cast(meta.init(generator_of(3)), torch.float64))
    return meta, theta, cast(tasks_of(learner_name)(generator_of(4), count), torch.float64)


def test_scenarios_cover_the_catalogue():
    assert set(catalogue.LEARNERS.values()) <= {scenario.entry for scenario in LEARNERS.values()}
    assert set(catalogue.META_LEARNERS.values()) <= {entry for entry, _ in META_LEARNERS.values()}
    assert set(catalogue.TASKS) <= set(TASKS)
    learners_paired = {learner for _, learner in pairs()}
    assert learners_paired == set(LEARNERS)
    assert {meta for meta, _ in pairs()} == set(META_LEARNERS)


ENTRIES = {
    *catalogue.TASKS.values(),
    *(scenario.entry for scenario in LEARNERS.values()),
    *(entry for entry, _ in META_LEARNERS.values()),
}


@pytest.mark.parametrize(
    "entry", sorted(ENTRIES, key=lambda entry: entry.config.__module__), ids=lambda entry: entry.config.__module__
)
def test_entries_are_documented_frozen_and_checked(entry):
    assert entry.config.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(entry.config))
    for name in entry.config.__dataclass_fields__:
        assert f"{name} : " in entry.config.__doc__, f"{entry.config.__module__}.{name} is not documented"
        with pytest.raises((TypeError, ValueError), match=name):
            entry.config(**{name: object()})
    module = inspect.getmodule(entry.config)
    order = [module.__file__ and inspect.getsource(module).index(part) for part in ("class Config", "def build")]
    assert order == sorted(order)
    assert len(inspect.getsource(module).splitlines()) < 300


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_signatures(name):
    learner = build_learner(name)
    assert isinstance(learner, Learner)
    assert names_of(learner.init) == ["generator"]
    assert names_of(learner.loss) == ["params", "data"]
    assert names_of(learner.predict) == ["params", "X"]
    assert learner.refine is None or names_of(learner.refine) == ["params", "data", "prior"]
    assert learner.noise is None or names_of(learner.noise) == ["generator", "n_rows"]
    assert learner.settle is None or names_of(learner.settle) == ["params", "support"]
    assert learner.start is None or names_of(learner.start) == ["generator", "data"]


@pytest.mark.parametrize("name", META_LEARNERS)
def test_meta_learner_signatures(name):
    meta = build_meta(*next(pair for pair in pairs() if pair[0] == name))
    assert isinstance(meta, MetaLearner)
    assert names_of(meta.init) == ["generator"]
    assert names_of(meta.adapt) == ["theta", "support"]
    assert names_of(meta.predict) == ["theta", "state", "X"]
    assert names_of(meta.objective) == ["theta", "task"]


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_is_pure_and_deterministic(name):
    learner, data = build_learner(name), index(tasks_of(name)(generator_of(1), 2), 0).support
    before, random_state = copy.deepcopy(data), torch.get_rng_state()
    params = learner.init(generator_of(0))
    kept = tree_map(torch.clone, params)
    results = [
        (
            learner.loss(params, data),
            learner.predict(params, data.X),
            learner.refine and learner.refine(params, data, None),
        )
        for _ in range(2)
    ]
    assert same(learner.init(generator_of(0)), params)
    assert same(*results)
    assert same(params, kept)
    assert same(data, before)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert results[0][0].shape == ()
    assert results[0][1].shape[0] == len(data.X)
    assert all(leaf.is_floating_point() for leaf in leaves(params))


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_refuses_wrong_columns_and_types(name):
    learner, data = build_learner(name), index(tasks_of(name)(generator_of(1), 2), 0).support
    params = learner.init(generator_of(0))
    with pytest.raises(TypeError, match=r"X should be floating point; found torch.int64; convert"):
        learner.predict(params, data.X.long())
    with pytest.raises(TypeError, match=r"X should be a torch.Tensor; found list; convert"):
        learner.predict(params, [["a", "b"]])
    with pytest.raises(ValueError, match=r"X should have shape \(n_rows, \d.*found \(4, 99\)"):
        learner.predict(params, torch.zeros(4, 99))


@pytest.mark.parametrize("pair", pairs(), ids=" / ".join)
def test_meta_learner_is_pure_and_deterministic(pair):
    meta, theta, tasks = prepared(*pair)
    task = index(tasks, 0)
    kept, before, random_state = tree_map(torch.clone, theta), copy.deepcopy(task), torch.get_rng_state()
    results = [
        (
            meta.objective(theta, task),
            state := meta.adapt(theta, task.support),
            meta.predict(theta, state, task.query.X),
        )
        for _ in range(2)
    ]
    assert same(*results)
    assert same(theta, kept)
    assert same(task, before)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(leaf.is_floating_point() for leaf in leaves([theta, results[0][1]]))
    assert all(scalar.shape == () for scalar in results[0][0])
    assert not results[0][0][1].requires_grad
    assert same(meta.init(generator_of(7)), meta.init(generator_of(7)))


@pytest.mark.parametrize("pair", pairs(), ids=" / ".join)
def test_vmap_chunks_and_threads_equal_the_loop(pair):
    meta, theta, tasks = prepared(*pair)
    gradients, losses = sum_gradients(meta.objective, theta, tasks, LOOP)
    for plan in (
        Plan(backend="vmap", chunk=5, dtype="float64"),
        Plan(backend="vmap", chunk=2, dtype="float64"),
        Plan(backend="threads", threads=2, dtype="float64"),
    ):
        other_gradients, other_losses = sum_gradients(meta.objective, theta, tasks, plan)
        assert close([losses], [other_losses])
        assert [g is None for g in gradients.values()] == [g is None for g in other_gradients.values()]
        assert close(
            [g for g in gradients.values() if g is not None], [g for g in other_gradients.values() if g is not None]
        )

    def predicted(theta, task):
        return meta.predict(theta, meta.adapt(theta, task.support), task.query.X)

    assert close([map_tasks(predicted, theta, tasks, LOOP)], [map_tasks(predicted, theta, tasks, Plan(chunk=3))])


@pytest.mark.parametrize("pair", pairs(), ids=" / ".join)
def test_gradient_is_shaped_like_theta_and_finite(pair):
    meta, theta, tasks = prepared(*pair)
    gradients, losses = sum_gradients(meta.objective, theta, tasks, LOOP)
    assert losses.shape == (n_tasks(tasks),)
    for name, leaf in named_leaves(theta):
        assert gradients[name] is not None, f"{name} is not learned"
        assert gradients[name].shape == leaf.shape
        assert torch.isfinite(gradients[name]).all()


@pytest.mark.parametrize("pair", pairs(), ids=" / ".join)
def test_query_loss_falls(pair):
    meta, sample = build_meta(*pair), tasks_of(pair[1])
    config = TrainConfig(steps=60, meta_batch=16, outer_lr=0.03, backend="vmap", chunk=16, threads=1, seed=1)
    steps = list(meta_train(meta, sample, config))
    early = sum(step.info.loss for step in steps[:10])
    late = sum(step.info.loss for step in steps[-10:])
    assert late < 0.97 * early


@pytest.mark.parametrize("pair", pairs(), ids=" / ".join)
def test_checkpoint_round_trip_and_pickle(pair, tmp_path):
    meta, theta, tasks = prepared(*pair)
    write_checkpoint(tmp_path / "c.safetensors", dict(named_leaves(theta)), {})
    again = replace_leaves(theta, read_checkpoint(tmp_path / "c.safetensors").tensors)
    assert same(theta, again)
    twin = pickle.loads(pickle.dumps(meta))
    task = index(tasks, 0)
    # Both without gradients: torch may pick another algorithm for a convolution that will be differentiated.
    assert same(meta.objective(detach(theta), task), twin.objective(again, task))


@pytest.mark.parametrize("name", TASKS)
def test_tasks_keep_the_contract(name):
    sample = TASKS[name]
    assert names_of(sample) == ["generator", "n_tasks"]
    random_state = torch.get_rng_state()
    for count in (1, 7):
        tasks = sample(generator_of(5), count)
        assert isinstance(tasks, Task)
        assert n_tasks(tasks) == count
        assert same(tasks, sample(generator_of(5), count))
        assert not same(tasks, sample(generator_of(6), count)) or count == 0
        for part in tasks:
            assert torch.isfinite(part.X).all()
            assert part.X.shape[0] == count
            assert part.y is None or part.y.shape[:2] == part.X.shape[:2]
    assert torch.equal(torch.get_rng_state(), random_state)
    pickle.loads(pickle.dumps(sample))


@pytest.mark.parametrize("name", TASKS)
def test_support_and_query_share_no_row(name):
    tasks = TASKS[name](generator_of(8), 4)
    for i in range(4):
        support, query = (part.X[i].flatten(1) for part in tasks)
        assert (torch.cdist(support.double(), query.double()) > 0).all()


def test_meta_training_with_a_best_theta_returns_numbers(tmp_path):
    meta, sample = build_meta(*pairs()[0]), tasks_of(pairs()[0][1])
    config = TrainConfig(steps=6, meta_batch=4, validate_every=2, validate_tasks=6, backend="loop")
    step = last(meta_train(meta, sample, config, validate=sample, directory=tmp_path))
    assert step.info.best_step in (2, 4, 6)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.safetensors"}

"""Meta-training, resuming, meta-test: what the engine promises."""

import dataclasses
import math
import re
from functools import partial
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstsight import (
    Data,
    MetaLearner,
    Plan,
    Task,
    TrainConfig,
    adapt,
    draw,
    interval,
    last,
    meta_test,
    meta_train,
    paired,
    predict,
)
from firstsight.engine import execute
from firstsight.engine.checkpoint import CheckpointError, read_checkpoint
from firstsight.engine.train import CHECKPOINT
from firstsight.learners import kmeans
from firstsight.meta import maml, reptile
from firstsight.seeds import generator_of, seed_of
from firstsight.tasks import mixtures
from firstsight.trees import index, leaves
from scenarios import MIXTURES, build_learner, build_meta, tasks_of

META = build_meta("maml", "autoencoder denoising")
SAMPLE = tasks_of("autoencoder denoising")
CONFIG = TrainConfig(
    steps=12, meta_batch=6, validate_every=4, validate_tasks=10, checkpoint_every=5, backend="vmap", chunk=4, threads=1
)


def equal(first, second):
    return all(torch.equal(one, other) for one, other in zip(leaves(first), leaves(second), strict=True))


@pytest.mark.parametrize(
    "settings", [{}, {"optimizer": "SGD"}, {"schedule": "cosine"}, {"backend": "threads", "threads": 2}]
)
@pytest.mark.parametrize("stop", [1, 5, 7, 11])
def test_a_resumed_run_equals_an_unbroken_one_to_the_bit(stop, settings, tmp_path):
    config = dataclasses.replace(CONFIG, **settings)
    unbroken = list(meta_train(META, SAMPLE, config, validate=SAMPLE))
    first = list(islice(meta_train(META, SAMPLE, config, validate=SAMPLE, directory=tmp_path), stop))
    second = list(meta_train(META, SAMPLE, config, validate=SAMPLE, directory=tmp_path))
    steps = [*first, *second]
    assert [step.step for step in steps] == list(range(1, 13))
    for ours, theirs in zip(steps, unbroken, strict=True):
        assert ours.info[:3] == theirs.info[:3]
        assert ours.info.best_step == theirs.info.best_step
        assert equal(ours.theta, theirs.theta)
        assert equal(ours.info.best_theta, theirs.info.best_theta)


def test_a_finished_run_yields_its_last_step_again(tmp_path):
    first = last(meta_train(META, SAMPLE, CONFIG, validate=SAMPLE, directory=tmp_path))
    (again,) = meta_train(META, SAMPLE, CONFIG, validate=SAMPLE, directory=tmp_path)
    assert again.step == first.step == 12
    assert again.info[:3] == first.info[:3]
    assert equal(again.info.best_theta, first.info.best_theta)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"settings\.seed=0, now it is 1"),
        ({"meta_batch": 3}, "meta_batch=6, now it is 3"),
        ({"steps": 20}, "steps=12, now it is 20"),
        ({"steps": 3}, "steps=12, now it is 3"),
        ({"optimizer": "SGD"}, "optimizer='Adam', now it is 'SGD'"),
    ],
)
def test_resuming_with_other_settings_is_refused(change, message, tmp_path):
    list(islice(meta_train(META, SAMPLE, CONFIG, directory=tmp_path), 6))
    with pytest.raises(CheckpointError, match=message):
        meta_train(META, SAMPLE, dataclasses.replace(CONFIG, **change), directory=tmp_path)


def test_resuming_another_model_is_refused(tmp_path):
    last(meta_train(META, SAMPLE, CONFIG, directory=tmp_path))
    for meta in (build_meta("maml", "kmeans"), build_meta("maml first order", "autoencoder denoising")):
        with pytest.raises(CheckpointError, match=r"was made with method\..*, now it is"):
            meta_train(meta, SAMPLE, CONFIG, directory=tmp_path)
    with pytest.raises(CheckpointError, match=r"was made with tasks"):
        meta_train(META, SAMPLE, CONFIG, directory=tmp_path, validate=SAMPLE)
    with pytest.raises(CheckpointError, match=r"about\.learner=None, now it is 'kmeans'"):
        meta_train(META, SAMPLE, CONFIG, directory=tmp_path, about={"learner": "kmeans"})
    with pytest.raises(CheckpointError, match=r"optimizer"):
        meta_train(META, SAMPLE, CONFIG, directory=tmp_path, make_optimizer=partial(torch.optim.Adam, betas=(0.5, 0.9)))


def test_bad_folders_and_facts_are_refused_at_the_call(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"should be a folder that can be written; .*; pass another"):
        meta_train(META, SAMPLE, CONFIG, directory=tmp_path / "file")
    with pytest.raises(TypeError, match="about should hold what JSON can say"):
        meta_train(META, SAMPLE, CONFIG, about={"x": torch.ones(1)})
    wide = mixtures.build(mixtures.Config(n_features=(5, 5)))
    with pytest.raises(ValueError, match=r"X should have shape \(n_rows, 3\).*in the meta-validation tasks"):
        meta_train(build_meta("maml", "kmeans"), MIXTURES, CONFIG, validate=wide)


def test_rates_of_a_given_optimiser_are_its_own():
    def moved(rate):
        config = TrainConfig(steps=1, meta_batch=4, backend="loop", clip_norm=0.0)
        meta = build_meta("maml", "kmeans")
        (step,) = meta_train(meta, MIXTURES, config, make_optimizer=partial(torch.optim.SGD, lr=rate))
        return float((step.theta["centroids"] - meta.init(generator_of(0, "init"))["centroids"]).norm())

    assert moved(0.2) == pytest.approx(2 * moved(0.1), rel=1e-4)


def test_class_numbers_without_a_score_stop_the_training():
    meta = build_meta("maml", "classifier")
    few = mixtures.build(mixtures.Config(n_features=(3, 3), n_clusters=(6, 6)))
    with pytest.raises(FloatingPointError, match="check that class numbers lie from 0"):
        last(meta_train(meta, few, CONFIG))
    X = index(MIXTURES(generator_of(1), 1), 0).support.X
    theta = meta.init(generator_of(0))
    with pytest.raises(FloatingPointError, match="check the class numbers"):
        adapt(meta, theta, X, torch.full((12,), -5))
    with pytest.raises(
        ValueError, match=r"classes should be whole numbers of shape \(12,\).*found torch.int64 of shape \(12, 1\)"
    ):
        adapt(meta, theta, X, torch.zeros(12, 1).long())


def test_objectives_that_are_no_scalars_are_refused():
    meta = build_meta("maml", "kmeans")
    rows = meta._replace(
        objective=lambda theta, task: (meta.predict(theta, theta, task.query.X)[:, 0], task.query.X[0, 0])
    )
    with pytest.raises(ValueError, match=r"two scalars.*found shapes \(10,\) and \(\)"):
        meta_train(rows, MIXTURES, CONFIG)


def test_a_checkpoint_stands_before_the_first_step(tmp_path):
    meta_train(META, SAMPLE, CONFIG, directory=tmp_path)
    assert read_checkpoint(tmp_path / CHECKPOINT).facts["step"] == 0
    steps = list(meta_train(META, SAMPLE, CONFIG, directory=tmp_path))
    assert equal(steps[-1].theta, last(meta_train(META, SAMPLE, CONFIG)).theta)


def test_plan_is_kept_and_never_timed_again(tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, backend="auto", chunk=0)
    list(islice(meta_train(META, SAMPLE, config, directory=tmp_path), 3))
    stored = read_checkpoint(tmp_path / CHECKPOINT).facts["plan"]
    monkeypatch.setattr("firstsight.engine.train.choose_plan", None)
    step = last(meta_train(META, SAMPLE, config, directory=tmp_path))
    assert dataclasses.asdict(step.info.plan) == stored


def test_auto_measures_every_way_and_takes_the_fastest(monkeypatch):
    seconds = {"vmap": 3.0, "loop": 2.0, "threads": 1.0}
    seen = []

    def pretended(objective, theta, tasks, plan):
        seen.append(plan.backend)
        return seconds[plan.backend]

    monkeypatch.setattr(execute, "_seconds_per_task", pretended)
    theta = META.init(generator_of(0))
    tasks = SAMPLE(generator_of(1), 8)
    config = TrainConfig(threads=2)
    for leaf in leaves(theta):
        leaf.requires_grad_()
    assert execute.choose_plan(META.objective, theta, tasks, config).backend == "threads"
    assert set(seen) == {"vmap", "loop", "threads"}
    seconds["loop"] = 0.5
    assert execute.choose_plan(META.objective, theta, tasks, config).backend == "loop"


def test_chunks_fit_the_memory_limit():
    theta = META.init(generator_of(0))
    for leaf in leaves(theta):
        leaf.requires_grad_()
    tasks = SAMPLE(generator_of(1), 8)
    one = execute.bytes_of_task(META.objective, theta, tasks)
    limit = 3.5 * one / 2**30
    plan = execute.choose_plan(META.objective, theta, tasks, TrainConfig(backend="vmap", memory_limit_gib=limit))
    assert plan.chunk <= 3
    tiny = TrainConfig(backend="vmap", memory_limit_gib=1e-9)
    assert execute.choose_plan(META.objective, theta, tasks, tiny).chunk == 1


def test_early_stopping_keeps_the_best_theta():
    def objective(theta, task):
        # Falls for the training tasks until the leaf is 0 and rises on the validation tasks, whose X is negative.
        loss = theta["a"] * task.query.X.sign().mean()
        return loss, loss.detach()

    meta = MetaLearner(lambda generator: {"a": torch.zeros(())}, lambda theta, support: theta, None, objective)
    rows = lambda sign: partial(constant, sign=sign)  # noqa: E731
    config = TrainConfig(
        steps=50, meta_batch=2, validate_every=1, patience=3, optimizer="SGD", outer_lr=0.1, backend="loop"
    )
    steps = list(meta_train(meta, rows(1.0), config, validate=rows(-1.0)))
    assert len(steps) == 4
    assert steps[-1].info.best_step == 1
    assert float(steps[-1].info.best_theta["a"]) == pytest.approx(-0.1)
    assert float(steps[-1].theta["a"]) == pytest.approx(-0.4)


def constant(generator, n_tasks, *, sign):
    X = torch.full((n_tasks, 2, 1), sign)
    return Task(Data(X), Data(X))


def test_a_nan_stops_with_step_seed_and_cure(tmp_path):
    learner = build_learner("kmeans")
    meta = maml.build(maml.Config(inner_lr=1e30, inner_steps=3), learner)
    config = TrainConfig(steps=3, meta_batch=4, backend="vmap", chunk=4, seed=9)
    with pytest.raises(FloatingPointError) as caught:
        last(meta_train(meta, MIXTURES, config, directory=tmp_path))
    assert (
        f"query loss of task 0 is not finite at step 0; its meta-batch was drawn with seed {seed_of(9, 'train', 0)}"
        in str(caught.value)
    )
    assert "lower inner_lr" in str(caught.value)
    assert equal(draw(MIXTURES, config, "train", 0), MIXTURES(generator_of(9, "train", 0), 4))
    assert read_checkpoint(tmp_path / CHECKPOINT).facts["step"] == 0


def test_leaves_that_nothing_trains_are_refused_or_said():
    learner = build_learner("kmeans prior")
    with pytest.raises(ValueError, match=re.escape("does not depend on ['log_lambda'] of theta")):
        meta_train(maml.build(maml.Config(), learner), MIXTURES, CONFIG)
    with pytest.warns(UserWarning, match=re.escape("first gradient of ['log_lambda'] of theta is exactly 0")):
        meta_train(reptile.build(reptile.Config(inner="refine"), learner), MIXTURES, CONFIG)


def test_frozen_leaves_stay_as_they_begin_and_are_resumed(tmp_path):
    meta, sample = build_meta("maml", "classifier"), tasks_of("classifier")
    config = dataclasses.replace(CONFIG, frozen=("body",), steps=6)
    start = meta.init(generator_of(0, "init"))
    list(islice(meta_train(meta, sample, config, directory=tmp_path), 3))
    theta = last(meta_train(meta, sample, config, directory=tmp_path)).theta
    assert equal(theta["body"], start["body"])
    assert not torch.equal(theta["head"]["weight"], start["head"]["weight"])
    assert equal(theta, last(meta_train(meta, sample, config)).theta)
    with pytest.raises(ValueError, match=r"frozen=\('tail',\) should name leaves or branches"):
        meta_train(meta, sample, dataclasses.replace(config, frozen=("tail",)))
    with pytest.raises(ValueError, match="found none that is not frozen"):
        meta_train(meta, sample, dataclasses.replace(config, frozen=("body", "head")))


def test_training_starts_where_it_is_told_to():
    meta = build_meta("maml", "kmeans")
    start = {"centroids": torch.arange(12.0).reshape(4, 3)}
    config = TrainConfig(steps=1, meta_batch=4, optimizer="SGD", outer_lr=1e-9, backend="loop")
    (step,) = meta_train(meta, MIXTURES, config, start=start)
    torch.testing.assert_close(step.theta, start)
    assert not start["centroids"].requires_grad
    with pytest.raises(ValueError, match=r"leaf 'centroids' should have shape \(4, 3\); found \(2, 3\)"):
        meta_train(meta, MIXTURES, config, start={"centroids": torch.zeros(2, 3)})


def test_the_outer_gradient_is_clipped():
    config = TrainConfig(steps=1, meta_batch=4, optimizer="SGD", outer_lr=1.0, clip_norm=0.25, backend="loop")
    meta = build_meta("maml", "kmeans")
    start = meta.init(generator_of(0, "init"))
    (step,) = meta_train(meta, MIXTURES, config)
    moved = float((step.theta["centroids"] - start["centroids"]).norm())
    assert step.info.gradient_norm > 0.25
    assert moved == pytest.approx(0.25, rel=1e-5)
    (free,) = meta_train(meta, MIXTURES, dataclasses.replace(config, clip_norm=0.0))
    assert float((free.theta["centroids"] - start["centroids"]).norm()) == pytest.approx(
        free.info.gradient_norm, rel=1e-5
    )


def test_cosine_schedule_starts_at_the_rate_and_ends_near_zero():
    rates = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            super().step(closure)

    config = TrainConfig(steps=10, meta_batch=2, outer_lr=0.5, schedule="cosine", backend="loop")
    last(meta_train(build_meta("maml", "kmeans"), MIXTURES, config, make_optimizer=partial(Watched, lr=0.5)))
    assert rates == pytest.approx([0.25 * (1 + math.cos(math.pi * i / 10)) for i in range(10)])


def test_yielded_theta_does_not_change_afterwards():
    steps = list(meta_train(META, SAMPLE, CONFIG))
    assert not equal(steps[0].theta, steps[1].theta)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps=0 should be >= 1"),
        ({"meta_batch": 2.5}, "meta_batch=2.5 should be a whole number"),
        ({"outer_lr": float("nan")}, "outer_lr=nan should be > 0|finite"),
        ({"outer_lr": float("inf")}, "outer_lr=inf should be finite"),
        ({"schedule": "linear"}, "schedule='linear' should be one of 'constant', 'cosine'"),
        ({"backend": "gpu"}, "backend='gpu' should be one of"),
        ({"seed": "x"}, "seed='x' should be a whole number"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        TrainConfig(**settings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"meta": "maml"}, "meta should be a MetaLearner"),
        ({"sample": 3}, "sample should be a function"),
        ({"config": {}}, "config should be a TrainConfig"),
        ({"validate": "tasks"}, "validate should be a function"),
        ({"make_optimizer": lambda leaves: 3}, "make_optimizer should return a torch.optim.Optimizer"),
    ],
)
def test_bad_arguments_are_refused_at_the_call(arguments, message):
    with pytest.raises(TypeError, match=message):
        meta_train(**{"meta": META, "sample": SAMPLE, "config": CONFIG, **arguments})


@pytest.mark.parametrize("name", ["LBFGS", "Nonsense", "Optimizer", "Rprop"])
def test_optimisers_that_cannot_serve_are_refused(name):
    with pytest.raises(ValueError, match=f"optimizer='{name}' should name an optimiser"):
        meta_train(META, SAMPLE, dataclasses.replace(CONFIG, optimizer=name))


def broken(generator, n_tasks, *, how):
    return how(MIXTURES(generator, n_tasks))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda t: t.support, "should return a Task; found Data"),
        (lambda t: Task(t.support.X, t.query), "support should be Data; found Tensor"),
        (lambda t: Task(Data(t.support.X.numpy()), t.query), "support.X should be a torch.Tensor; found ndarray"),
        (lambda t: Task(Data(t.support.X.long()), t.query), "support.X should be floating point; found torch.int64"),
        (lambda t: Task(Data(t.support.X[:, :0]), t.query), "support.X should have shape"),
        (lambda t: Task(t.support, Data(t.query.X[:2])), r"query.X should begin with the axes \(n_tasks, n_rows\)"),
        (lambda t: Task(t.support, Data(t.query.X, t.query.y[:, :1])), "query.y should begin with the axes"),
        (lambda t: Task(Data(t.support.X / 0), t.query), "support.X should be finite; found"),
        (lambda t: Task(t.support, Data(t.query.X * float("nan"))), "query.X should be finite; found 120 NaN"),
    ],
)
def test_bad_tasks_are_refused_with_their_address(how, message):
    with pytest.raises((TypeError, ValueError), match=f"{message}.*in the meta-batch train/0 of seed 0"):
        meta_train(build_meta("maml", "kmeans"), partial(broken, how=how), dataclasses.replace(CONFIG, meta_batch=4))


def test_meta_test_gives_a_row_a_task_and_the_same_tasks_to_everyone():
    theta = META.init(generator_of(0))
    metrics = {"rows": lambda prediction, query: len(query.X), "code": lambda prediction, query: prediction.std()}
    result = meta_test(META, theta, SAMPLE, n_tasks=10, seed=3, metrics=metrics, batch=4)
    fewer = meta_test(META, theta, SAMPLE, n_tasks=5, seed=3, metrics=metrics, batch=4, plan=Plan(chunk=1))
    assert [row["task"] for row in result.rows] == list(range(10))
    assert [row["query_loss"] for row in fewer.rows] == pytest.approx([row["query_loss"] for row in result.rows[:5]])
    assert result.summary["rows"] == (10.0, 10.0, 10.0, 10)
    assert result.summary["query_loss"] == interval([row["query_loss"] for row in result.rows])
    for bad, message in [
        ({"n_tasks": 0}, "n_tasks=0 should be >= 1"),
        ({"metrics": {"task": len}}, "should not be named"),
        (
            {"metrics": {"code": lambda *_: float("nan")}},
            "metric 'code' of task 0 of seed 3 should be finite; found nan",
        ),
        ({"sample": None}, "sample should be a function"),
        ({"meta": SAMPLE}, "meta should be a MetaLearner"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            meta_test(**{"meta": META, "theta": theta, "sample": SAMPLE, "n_tasks": 2, "seed": 3, **bad})


def test_adapt_serves_one_new_table_and_refuses_what_is_none():
    learner = build_learner("kmeans prior")
    meta = maml.build(maml.Config(inner="refine"), learner)
    theta = meta.init(generator_of(0))
    X = index(MIXTURES(generator_of(1), 1), 0).support.X
    state = adapt(meta, theta, X)
    assert torch.equal(predict(meta, theta, state, X.double()), meta.predict(theta, state, X))
    with pytest.raises(ValueError, match="should be finite"):
        predict(meta, theta, state, X / 0)
    with pytest.raises(ValueError, match="36 infinite entries"):
        adapt(meta, theta, torch.full((12, 3), 1e300, dtype=torch.float64))
    assert torch.equal(adapt(meta, theta, X.double())["centroids"], state["centroids"])
    for bad, message in [
        (X.numpy(), "X should be a torch.Tensor; found ndarray; convert with torch.as_tensor"),
        ([["a"]], "found list"),
        (X.long(), "floating point"),
        (X[:, 0], r"use X\[:, None\] for a single column"),
        (X[:, :2], r"X should have shape \(n_rows, 3\); found \(12, 2\)"),
        (torch.full_like(X, float("nan")), "found 36 NaN"),
        (torch.where(X > 0, float("inf"), X), r"0 NaN and \d+ infinite entries"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            adapt(meta, theta, bad)
    with pytest.raises(ValueError, match="y should be a tensor with n_rows=12 rows"):
        adapt(meta, theta, X, torch.zeros(3))
    few = kmeans.build(kmeans.Config(n_features=3, n_clusters=4))
    exact = maml.build(maml.Config(inner="refine"), few)
    with pytest.raises(
        ValueError, match="n_rows=3 should be >= n_clusters=4; pass more rows, fewer clusters, or prior=True"
    ):
        adapt(exact, exact.init(generator_of(0)), X[:3])
    assert torch.isfinite(adapt(meta, theta, X[:1])["centroids"]).all()
    assert torch.isfinite(adapt(meta, theta, torch.ones(5, 3))["centroids"]).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_interval_holds_its_mean(values):
    result = interval(values)
    assert result.low <= result.mean <= result.high or math.isclose(result.low, result.high, rel_tol=1e-9)
    assert result.n == len(values)
    shifted = paired([value + 1 for value in values], values)
    assert shifted.mean == pytest.approx(1, abs=1e-6)


def test_interval_by_groups_speaks_of_groups():
    values = [0.0, 0.0, 0.0, 1.0]
    assert interval(values, ["a", "a", "a", "b"]) == interval([0.0, 1.0])
    assert interval([3.0]).mean == 3
    assert math.isnan(interval([3.0]).low)
    for bad in ([], [float("nan")], [[1.0]]):
        with pytest.raises(ValueError, match="finite numbers"):
            interval(bad)
    with pytest.raises(ValueError, match="one entry a value"):
        interval([1.0, 2.0], ["a"])
    assert interval([0.0, 0.0, 1.0, 1.0], torch.tensor([0, 0, 1, 1])).n == 2
    with pytest.raises(ValueError, match="found 3 and 1 of them"):
        paired([1.0, 2.0, 3.0], [1.0])


def test_95_percent_intervals_hold_the_truth_95_percent_of_the_time():
    draws = torch.randn(2000, 8, generator=generator_of(0)).numpy()
    hits = sum(interval(row).low <= 0 <= interval(row).high for row in draws)
    assert 0.93 < hits / 2000 < 0.97


def test_mixtures_draw_shapes_anew_each_call():
    sample = mixtures.build(mixtures.Config(n_features=(1, 6), n_clusters=(1, 6)))
    shapes = {sample(generator_of(i), 2).support.X.shape[2] for i in range(40)}
    assert shapes == set(range(1, 7))

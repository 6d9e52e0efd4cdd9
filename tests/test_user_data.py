"""Whatever a user passes, the answer is finite or a clear error, and nothing is changed."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from firstsight import Data, TrainConfig, adapt, catalogue
from firstsight.learners import classifier, kmeans
from firstsight.seeds import generator_of
from firstsight.tasks import episodes, mixtures, sinusoids
from firstsight.trees import leaves
from scenarios import META_LEARNERS, build_learner

CURE = r"pass|convert|use|drop|lower|build|should"

arrays = hnp.arrays(
    dtype=st.sampled_from([np.float32, np.float64, np.int64, np.bool_]),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6),
    elements=None,
    fill=st.nothing(),
)
tables = hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.just(3)), elements=st.floats(-1e3, 1e3))


@given(arrays)
def test_any_array_is_adapted_to_or_refused(array):
    learner = kmeans.build(kmeans.Config(n_features=3, n_clusters=2, prior=True))
    entry, settings = META_LEARNERS["maml exact step"]
    meta = entry.build(entry.config(**settings), learner)
    theta = meta.init(generator_of(0))
    X = torch.as_tensor(array)
    before = X.clone()
    fits = X.is_floating_point() and X.ndim == 2 and X.shape[1] == 3 and len(X) and bool(X.float().isfinite().all())
    if fits:
        assume(float(X.abs().max()) < 1e15)
        assert all(torch.isfinite(leaf).all() for leaf in leaves(adapt(meta, theta, X)))
    else:
        with pytest.raises((TypeError, ValueError), match=CURE):
            adapt(meta, theta, X)
    assert torch.equal(X, before) or X.isnan().any()


@given(tables, st.sampled_from(["kmeans", "kmeans soft", "autoencoder", "skeleton"]))
def test_learners_give_finite_numbers_on_any_finite_table(table, name):
    """Constant columns, equal rows, one row and wild scales included."""
    learner = build_learner(name)
    X = torch.as_tensor(table, dtype=torch.float32)
    params = learner.init(generator_of(0))
    assert torch.isfinite(learner.loss(params, Data(X)))
    assert torch.isfinite(learner.predict(params, X)).all()
    gradient = torch.func.grad(learner.loss)(params, Data(X))
    assert all(torch.isfinite(leaf).all() for leaf in leaves(gradient))


@given(tables, st.floats(-30, 30))
def test_kmeans_step_with_prior_stays_between_the_data_and_the_prior(table, log_lambda):
    learner = kmeans.build(kmeans.Config(n_features=3, n_clusters=2, prior=True))
    X = torch.as_tensor(table)
    prior = {
        "centroids": torch.tensor([[0.0, 0, 0], [5, 5, 5]]).double(),
        "log_lambda": torch.tensor(log_lambda).double(),
    }
    step = learner.refine(prior, Data(X), prior)["centroids"]
    low = torch.minimum(X.min(0).values, prior["centroids"].min(0).values)
    high = torch.maximum(X.max(0).values, prior["centroids"].max(0).values)
    assert ((step >= low - 1e-6) & (step <= high + 1e-6)).all()


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_episodes_hold_their_shape_or_are_refused(labels, n_way, n_shot, n_query):
    y = torch.tensor(labels)
    X = torch.arange(float(len(y)))[:, None]
    sizes = [labels.count(label) for label in set(labels)]
    config = episodes.Config(n_way=n_way, n_shot=n_shot, n_query=n_query)
    if len(sizes) < n_way or min(sizes) < n_shot + n_query:
        with pytest.raises(ValueError, match=r"pass more classes|lower n_shot or n_query"):
            episodes.build(config, X, y)
        return
    tasks = episodes.build(config, X, y)(generator_of(0), 3)
    for part, count in ((tasks.support, n_shot), (tasks.query, n_query)):
        assert part.X.shape == (3, n_way * count, 1)
        for task in range(3):
            assert torch.bincount(part.y[task]).tolist() == [count] * n_way
    rows = torch.cat([tasks.support.X, tasks.query.X], 1)[..., 0]
    assert all(len(set(task.tolist())) == len(task) for task in rows)
    # A class number of the task stands for one class of the array.
    for task in range(3):
        for part in tasks:
            for number in range(n_way):
                assert len({labels[int(row)] for row in part.X[task, part.y[task] == number, 0]}) == 1


@given(st.lists(st.integers(-5, 5), min_size=3, max_size=30), st.integers(0, 5))
def test_class_splits_are_disjoint(labels, seed):
    y = torch.tensor(labels)
    n_classes = len(set(labels))
    if n_classes < 3:
        with pytest.raises(ValueError, match="add up to at most"):
            episodes.split_classes(y, (1, 1, 1), seed=seed)
        return
    parts = episodes.split_classes(y, (n_classes - 2, 1, 1), seed=seed)
    assert sorted(label for part in parts for label in part) == sorted(set(labels))


@pytest.mark.parametrize(
    ("X", "y", "classes", "message"),
    [
        (np.zeros((4, 2)), torch.zeros(4).long(), None, "X should be a torch.Tensor; found ndarray"),
        (torch.zeros(4, 2), np.zeros(4), None, r"y should be an int64 tensor of shape \(4,\); found ndarray"),
        (torch.zeros(4, 2), torch.zeros(4), None, "y should be an int64 tensor"),
        (torch.zeros(4, 2), torch.zeros(3).long(), None, "y should be an int64 tensor"),
        (torch.full((4, 2), float("nan")), torch.zeros(4).long(), None, "found 8 NaN"),
        (torch.zeros(4, 2), torch.zeros(4).long(), [7], r"classes=\[7\] should be distinct classes of y"),
        (torch.zeros(4, 2), torch.zeros(4).long(), [0, 0], "should be distinct classes"),
    ],
)
def test_bad_arrays_are_refused_by_episodes(X, y, classes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        episodes.build(episodes.Config(n_way=1), X, y, classes)


def test_a_pool_needs_enough_rows():
    with pytest.raises(ValueError, match="n_rows=4, should be >= 6; pass more rows"):
        episodes.pool(torch.zeros(4, 2), n_support=3, n_query=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mixtures.Config(n_clusters=(3, 2)), r"n_clusters=\(3, 2\) should have low <= high; swap"),
        (lambda: mixtures.Config(n_clusters=3), r"n_clusters=3 should be a pair \(low, high\)"),
        (lambda: mixtures.Config(shared=1.5), "shared=1.5 should be <= 1"),
        (lambda: mixtures.Config(within=(0.0, 1.0)), "within=0.0 should be > 0"),
        (lambda: sinusoids.Config(n_support=0), "n_support=0 should be >= 1"),
        (lambda: kmeans.Config(n_clusters=0), "n_clusters=0 should be >= 1"),
        (lambda: kmeans.Config(n_clusters="3"), "n_clusters='3' should be a whole number, a Python int; found str"),
        (lambda: TrainConfig(steps=True), "steps=True should be a whole number, a Python int; found bool"),
        (lambda: catalogue.META_LEARNERS["maml"].config(inner_lr=0), "inner_lr=0 should be > 0"),
        (lambda: catalogue.META_LEARNERS["maml"].config(adapted="head"), "should be a tuple of names"),
        (lambda: catalogue.LEARNERS["classifier"].config(body="tree"), "body='tree' should be one of"),
        (lambda: catalogue.LEARNERS["classifier"].config(hidden=()), "hidden=.* should name at least one layer"),
    ],
)
def test_bad_settings_name_rule_value_and_cure(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_inner_loops_that_cannot_run_are_refused():
    maml = catalogue.META_LEARNERS["maml"]
    with pytest.raises(ValueError, match="needs a learner with an exact step; use inner='gradient'"):
        maml.build(maml.config(inner="refine"), build_learner("autoencoder"))
    with pytest.raises(ValueError, match=r"adapted=\('tail',\) should name leaves or branches of .*; found no 'tail'"):
        maml.build(maml.config(adapted=("tail",)), build_learner("classifier"))


def test_modules_that_are_no_pure_functions_are_refused():
    with pytest.raises(ValueError, match=r"should have no buffers; found .*running_mean.*; use GroupNorm"):
        classifier.from_module(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)))
    with pytest.raises(ValueError, match=r"should draw no random numbers; found dropout \['1'\]; remove it"):
        classifier.from_module(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout()))
    with pytest.raises(ValueError, match=r"\['in_proj_weight', .*\] belong to modules without a reset_parameters"):
        classifier.from_module(torch.nn.MultiheadAttention(2, 1))
    with pytest.raises(ValueError, match="should have parameters to learn; found none"):
        classifier.from_module(torch.nn.ReLU())

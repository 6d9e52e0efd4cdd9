"""The estimator: scikit-learn's contract, tables of every kind, and an answer that hangs on nothing it should not."""

import copy
import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from firstsight import Clusterer, pretrained
from firstsight.selection.judge import Judge

FITTED = {
    "labels_", "n_clusters_", "n_clusters_posterior_", "structure_probability_", "probabilities_", "quality_",
    "quality_interval_",
}  # fmt: skip
COLUMNS = ["algorithm", "scaling", "setting", "n_clusters", "rating", "quality", "reasons"]


def blobs(n_rows=120, n_clusters=3, seed=0):
    X, y = make_blobs(n_rows, centers=[[0, 0], [12, 0], [0, 12], [12, 12]][:n_clusters], random_state=seed)
    return X, y


def table(n_rows=90, seed=0):
    """Three clusters in columns of every kind, some values missing."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % 3
    found = pd.DataFrame(
        {
            "size": y * 8 + rng.normal(size=n_rows),
            "colour": pd.Categorical(np.array(["red", "green", "blue"])[y]),
            "word": np.array(["one", "two", "three"])[y],
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n_rows), unit="D"),
            "yes": rng.random(n_rows) < 0.5,
            "count": rng.integers(0, 9, n_rows),
        }
    )
    found.loc[::7, "size"] = np.nan
    found.loc[::11, "word"] = None
    return found, y


def check(fitted, n_rows):
    """What holds of every answer."""
    labels = fitted.labels_
    assert labels.shape == (n_rows,)
    assert labels.dtype == np.int64
    assert set(np.unique(labels[labels >= 0]).tolist()) == set(range(fitted.n_clusters_))
    assert labels.min() >= (-1 if fitted.noise else 0)
    assert fitted.probabilities_.shape == (n_rows,)
    assert ((fitted.probabilities_ >= 0) & (fitted.probabilities_ <= 1)).all()
    np.testing.assert_array_equal(fitted.probabilities_ == 0, labels == -1)
    posterior = fitted.n_clusters_posterior_
    assert sum(posterior.values()) == pytest.approx(1)
    assert all(0 <= p <= 1 and isinstance(k, int) for k, p in posterior.items())
    assert fitted.n_clusters_ in posterior
    assert fitted.structure_probability_ == pytest.approx(1 - posterior.get(1, 0))
    low, high = fitted.quality_interval_
    assert 0 <= low <= fitted.quality_ <= high <= 1
    assert {name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")} - FITTED <= {
        "n_features_in_", "feature_names_in_",
    }  # fmt: skip
    assert all(hasattr(fitted, name) for name in FITTED)
    text = fitted.explain()
    assert text.startswith(f"{fitted.n_clusters_} cluster")
    proposals = fitted.proposals_
    assert proposals.columns.tolist() == COLUMNS
    assert (np.diff(proposals["rating"]) <= 0).all()


def told(**changes):
    """The judge of the package with other settings."""
    judge = pretrained.clusterer()
    return replace(judge, settings=replace(judge.settings, **changes))


def structured(probability):
    """A judge that thinks so of every table."""
    return told(structure_slope=0.0, structure_shift=float(np.log(probability / (1 - probability))))


# --- scikit-learn ----------------------------------------------------------------------------------------------------


@parametrize_with_checks([Clusterer(random_state=0)])
def test_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_parameters_survive_a_clone():
    judge = structured(0.3)
    one = Clusterer(3, noise=False, prior=judge, time_budget=5.0, n_jobs=1, random_state=7)
    assert clone(one).get_params() == one.get_params()
    assert clone(one).prior is judge
    assert copy.deepcopy(one).prior is judge


def test_in_a_pipeline():
    X, y = blobs()
    fitted = make_pipeline(StandardScaler(), Clusterer(3, random_state=0)).fit(X)
    assert adjusted_rand_score(fitted.predict(X), y) > 0.9


def test_a_fitted_one_pickles():
    X, _ = blobs()
    fitted = Clusterer(random_state=0).fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X + 0.01), fitted.predict(X + 0.01))
    assert again.explain() == fitted.explain()


@pytest.mark.parametrize("name", ["predict", "explain", "proposals_"])
def test_nothing_before_fit(name):
    with pytest.raises(NotFittedError):
        getattr(Clusterer(), name)(*([np.zeros((2, 2))] if name == "predict" else []))


# --- easy tables -----------------------------------------------------------------------------------------------------


def test_three_far_blobs_when_told():
    X, y = blobs(300)
    assert adjusted_rand_score(Clusterer(3, random_state=0).fit_predict(X), y) > 0.9


EASY = {
    "blobs": (make_blobs(300, centers=[[0, 0], [12, 0], [0, 12]], random_state=0)[0], 3),
    "moons": (make_moons(300, noise=0.05, random_state=0)[0], 2),
    "one": (np.random.default_rng(0).normal(size=(400, 3)), 1),
}


@pytest.mark.parametrize("name", EASY)
def test_easy_tables(name):
    X, n_clusters = EASY[name]
    fitted = Clusterer(random_state=0).fit(X)
    check(fitted, len(X))
    assert fitted.n_clusters_ == n_clusters
    other = Clusterer(random_state=0).fit(X * ([1000] + [1] * (X.shape[1] - 1)))
    assert adjusted_rand_score(fitted.labels_, other.labels_) >= 0.99


# --- sameness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: blobs()[0], lambda: table()[0], lambda: EASY["one"][0]])
def test_the_rows_of_the_training_are_predicted_as_labelled(make):
    X = make()
    for noise in (True, False):
        fitted = Clusterer(noise=noise, random_state=0).fit(X)
        np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
        np.testing.assert_array_equal(fitted.predict(X[:1]), fitted.labels_[:1])
    np.testing.assert_array_equal(fitted.fit_predict(X), fitted.labels_)


def test_the_same_seed_is_the_same_answer():
    X = make_blobs(200, centers=4, cluster_std=2.5, random_state=1)[0]
    before = X.copy()
    one, two = Clusterer(random_state=3).fit(X), Clusterer(random_state=3).fit(X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(one.labels_, two.labels_)
    np.testing.assert_array_equal(one.probabilities_, two.probabilities_)
    assert one.n_clusters_posterior_ == two.n_clusters_posterior_
    assert one.explain() == two.explain()
    by_state = Clusterer(random_state=np.random.RandomState(3)).fit(X)
    np.testing.assert_array_equal(one.labels_, by_state.labels_)


@pytest.mark.parametrize("name", EASY)
def test_the_order_of_rows_changes_nothing(name):
    X, _ = EASY[name]
    order = np.random.default_rng(1).permutation(len(X))
    one, two = Clusterer(random_state=0).fit(X), Clusterer(random_state=0).fit(X[order])
    assert adjusted_rand_score(one.labels_[order], two.labels_) >= 0.99
    np.testing.assert_array_equal(one.labels_[order] < 0, two.labels_ < 0)
    np.testing.assert_allclose(one.probabilities_[order], two.probabilities_)


def test_the_order_of_mixed_rows_changes_nothing():
    X, _ = table()
    order = np.random.default_rng(1).permutation(len(X))
    one, two = Clusterer(random_state=0).fit(X), Clusterer(random_state=0).fit(X.iloc[order])
    assert adjusted_rand_score(one.labels_[order], two.labels_) >= 0.99


@pytest.mark.parametrize("n_clusters", ["auto", 3])
def test_units_change_nothing(n_clusters):
    X, _ = blobs()
    one = Clusterer(n_clusters, random_state=0).fit(X * [1000, 1])
    for units in ([1e-3, 1], [1, 1e4], [-1e6, 1e-6]):
        two = Clusterer(n_clusters, random_state=0).fit(X * units)
        assert adjusted_rand_score(one.labels_, two.labels_) >= 0.99


def test_threads_change_nothing():
    X, _ = table()
    one, two = Clusterer(random_state=0).fit(X), Clusterer(random_state=0, n_jobs=1).fit(X)
    np.testing.assert_array_equal(one.labels_, two.labels_)


@pytest.mark.parametrize("budget", [0.01, 0.4, 1.0, 100])
def test_a_budget_changes_the_work_alone(budget):
    X, y = blobs(500)
    one, two = (Clusterer(3, time_budget=budget, random_state=0).fit(X) for _ in range(2))
    check(one, 500)
    np.testing.assert_array_equal(one.labels_, two.labels_)
    np.testing.assert_array_equal(one.predict(X), one.labels_)
    assert adjusted_rand_score(one.labels_, y) > 0.9


def test_a_large_budget_is_none():
    X, _ = blobs(500)
    one, two = Clusterer(random_state=0).fit(X), Clusterer(random_state=0, time_budget=100.0).fit(X)
    np.testing.assert_array_equal(one.labels_, two.labels_)
    np.testing.assert_array_equal(one.probabilities_, two.probabilities_)


# --- the number of clusters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_clusters", [1, 2, 3, 5, 12, 30])
def test_a_number_is_kept(n_clusters):
    X, _ = blobs()
    fitted = Clusterer(n_clusters, noise=False, random_state=0).fit(X)
    check(fitted, len(X))
    assert fitted.n_clusters_ == n_clusters
    assert fitted.n_clusters_posterior_ == pytest.approx({n_clusters: 1})
    assert fitted.structure_probability_ == float(n_clusters > 1)


@pytest.mark.parametrize("n_clusters", [{2, 3}, range(2, 5), (4, 3), [2], np.array([2, 3]).tolist(), [2, 2, 3]])
def test_a_choice_is_kept(n_clusters):
    X, _ = blobs()
    fitted = Clusterer(n_clusters, random_state=0).fit(X)
    check(fitted, len(X))
    assert fitted.n_clusters_ in n_clusters
    assert set(fitted.n_clusters_posterior_) <= set(n_clusters)
    assert set(fitted.proposals_["n_clusters"]) <= set(n_clusters)


@pytest.mark.parametrize("n_clusters", [np.int64(3), np.array([2, 3]), pd.Series([2, 3])])
def test_numbers_of_numpy_are_numbers(n_clusters):
    assert Clusterer(n_clusters, random_state=0).fit(blobs()[0]).n_clusters_ in (2, 3)


@pytest.mark.parametrize("probability", [1e-4, 0.03, 0.2, 0.5, 0.7, 0.94, 0.96, 1 - 1e-4])
@pytest.mark.parametrize("n_clusters", ["auto", {1, 3}, {2, 3}])
def test_structure_decides_about_one_cluster(probability, n_clusters):
    X, _ = blobs()
    fitted = Clusterer(n_clusters, prior=structured(probability), random_state=0).fit(X)
    check(fitted, len(X))
    if n_clusters == "auto" or 1 in n_clusters:
        assert fitted.structure_probability_ == pytest.approx(probability)
        assert (fitted.n_clusters_ == 1) == (probability < 0.5)
    else:
        assert fitted.structure_probability_ == 1
        assert fitted.n_clusters_ > 1


@pytest.mark.parametrize("curve", [0.0, 0.5, 1.0])
def test_the_interval_holds_what_is_expected(curve):
    X, _ = blobs()
    flat = {"rated": (0.0, 1.0), "reached": (curve, curve)}
    for low, high in ((curve, curve), (curve, 1.0), (0.0, curve)):
        judge = told(
            **flat, reached_low=(low, low), reached_high=(high, high), structure_slope=0.0, structure_shift=3.5
        )
        check(Clusterer(prior=judge, random_state=0).fit(X), len(X))


def test_without_noise_there_is_none():
    rng = np.random.default_rng(0)
    X = np.concatenate([blobs()[0], rng.uniform(-40, 40, (30, 2))])
    fitted = Clusterer(noise=False, random_state=0).fit(X)
    check(fitted, len(X))
    assert fitted.labels_.min() == 0
    assert fitted.predict(np.array([[1e4, 1e4]])).min() >= 0


def test_clusters_are_numbered_from_the_largest():
    X, _ = make_blobs([20, 60, 100], centers=[[0, 0], [20, 0], [0, 20]], random_state=0)
    fitted = Clusterer(3, noise=False, random_state=0).fit(X)
    assert (np.diff(np.bincount(fitted.labels_)) <= 0).all()


# --- parameters that are refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("n_clusters", value) for value in ("many", 0, -2, 2.5, True, [], 99, None, object())),
        *(("n_clusters", value) for value in ([2, 0], [2.5], ["auto"])),
        *(("noise", value) for value in ("yes", 1, None)),
        *(("time_budget", value) for value in (0, -1.0, "long", True, float("nan"), float("inf"))),
        *(("prior", value) for value in (object(), 3)),
        *(("n_jobs", value) for value in ("all", 1.5, 0, True)),
        ("random_state", "seed"),
    ],
)  # fmt: skip
def test_parameters_of_another_kind_are_refused(name, wrong):
    match = "seed" if name == "random_state" else name
    with pytest.raises((TypeError, ValueError), match=match):
        Clusterer(**{name: wrong}).fit(blobs()[0])


def test_more_clusters_than_rows_are_refused():
    for n_rows, n_clusters in ((8, 10), (8, 8), (3, 5)):
        with pytest.raises(ValueError, match="n_clusters"):
            Clusterer(n_clusters).fit(np.random.default_rng(0).normal(size=(n_rows, 2)))


# --- priors ----------------------------------------------------------------------------------------------------------


def test_a_prior_is_a_judge_or_a_folder(tmp_path):
    X, _ = blobs()
    judge = structured(0.2)
    judge.save(tmp_path)
    one, two, three = (Clusterer(prior=prior, random_state=0).fit(X) for prior in (judge, tmp_path, str(tmp_path)))
    np.testing.assert_array_equal(one.labels_, two.labels_)
    np.testing.assert_array_equal(one.labels_, three.labels_)
    assert one.n_clusters_ == 1
    default, same = Clusterer(random_state=0).fit(X), Clusterer(prior=pretrained.clusterer(), random_state=0).fit(X)
    np.testing.assert_array_equal(default.labels_, same.labels_)
    with pytest.raises(FileNotFoundError, match="should hold a saved judge"):
        Clusterer(prior=tmp_path / "nowhere").fit(X)


def test_tables_of_the_past_are_learned_from(tmp_path):
    tables, truths = zip(*(blobs(60, 4, seed) for seed in range(4)), strict=True)
    truths = [truth // 2 for truth in truths]  # pairs of blobs are what this user calls a cluster
    first = Clusterer(noise=False, random_state=5)
    second = first.meta_fit(tables, truths)
    assert first.prior is None
    assert isinstance(second.prior, Judge)
    assert {key: value for key, value in second.get_params().items() if key != "prior"} == {
        key: value for key, value in first.get_params().items() if key != "prior"
    }
    X, _ = blobs(60, 4, 9)
    check(second.fit(X), 60)
    second.prior.save(tmp_path)
    assert Judge.load(tmp_path) == second.prior
    np.testing.assert_array_equal(clone(second).set_params(prior=tmp_path).fit(X).labels_, second.labels_)
    plain = clone(first).fit(X)
    two = [found.proposals_.query("n_clusters == 2")["rating"].max() for found in (second, plain)]
    four = [found.proposals_.query("n_clusters == 4")["rating"].max() for found in (second, plain)]
    assert two[0] - four[0] > two[1] - four[1]


@pytest.mark.parametrize("n_tables", [0, 1, 2])
def test_too_few_tables_are_refused(n_tables):
    X, y = blobs(60)
    with pytest.raises(ValueError, match="tables should hold at least 3"):
        Clusterer().meta_fit([X] * n_tables, [y] * n_tables)


def test_truths_that_do_not_fit_are_refused():
    X, y = blobs(60)
    with pytest.raises(ValueError, match="truths should be one for each of 3 tables; found 2"):
        Clusterer().meta_fit([X] * 3, [y] * 2)
    with pytest.raises(ValueError, match=r"truths\[1\] should have a label for each of 60 rows; found 59"):
        Clusterer().meta_fit([X] * 3, [y, y[1:], y])


# --- tables of every kind --------------------------------------------------------------------------------------------


def test_a_table_of_mixed_columns():
    X, y = table()
    fitted = Clusterer(3, random_state=0).fit(X)
    check(fitted, len(X))
    assert fitted.feature_names_in_.tolist() == X.columns.tolist()
    assert fitted.n_features_in_ == 6
    assert adjusted_rand_score(fitted.labels_, y) > 0.3
    np.testing.assert_array_equal(fitted.predict(X.iloc[10:20]), fitted.labels_[10:20])
    check(Clusterer(random_state=0).fit(X), len(X))


def test_the_index_of_a_table_changes_nothing():
    X, _ = table()
    other = X.set_index(pd.Index(np.arange(len(X))[::-1] // 2))
    np.testing.assert_array_equal(
        Clusterer(random_state=0).fit(X).labels_, Clusterer(random_state=0).fit(other).labels_
    )


def test_an_array_and_a_table_of_numbers_are_one():
    X, _ = blobs()
    one, two = Clusterer(random_state=0).fit(X), Clusterer(random_state=0).fit(pd.DataFrame(X, columns=["a", "b"]))
    assert adjusted_rand_score(one.labels_, two.labels_) >= 0.99


def test_missing_values_in_arrays():
    X, y = blobs(150)
    X[np.random.default_rng(0).random(X.shape) < 0.05] = np.nan
    fitted = Clusterer(3, random_state=0).fit(X)
    check(fitted, len(X))
    assert adjusted_rand_score(fitted.labels_, y) > 0.7
    assert fitted.predict(np.array([[np.nan, np.nan], [0.0, np.nan]])).shape == (2,)


def test_missing_values_at_predict_alone():
    X, _ = blobs()
    fitted = Clusterer(3, random_state=0).fit(X)
    found = fitted.predict(np.array([[np.nan, 12.0], [0.0, 0.0]]))
    assert found.shape == (2,)
    assert ((found >= -1) & (found < 3)).all()


def test_columns_that_are_all_missing():
    X, y = blobs()
    more = np.column_stack([np.full(len(X), np.nan), X])
    fitted = Clusterer(3, random_state=0).fit(more)
    check(fitted, len(X))
    assert adjusted_rand_score(fitted.labels_, y) > 0.9
    empty = Clusterer(random_state=0).fit(np.full((30, 2), np.nan))
    check(empty, 30)
    assert empty.n_clusters_ == 1


def test_arrays_of_objects_with_strings():
    X, y = blobs()
    mixed = np.column_stack([X.astype(object), np.array(["a", "b", "c"], dtype=object)[y]])
    fitted = Clusterer(3, random_state=0).fit(mixed)
    check(fitted, len(X))
    assert adjusted_rand_score(fitted.labels_, y) > 0.9
    np.testing.assert_array_equal(fitted.predict(mixed), fitted.labels_)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, bool, object])
def test_numbers_of_every_type(dtype):
    X = (np.abs(blobs()[0]) * 3).astype(dtype)
    check(Clusterer(random_state=0).fit(X), len(X))


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame])
def test_infinite_values_are_refused(make):
    X, _ = blobs()
    fitted = Clusterer(3, random_state=0).fit(make(X))
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match="infin"):
        Clusterer().fit(make(X))
    with pytest.raises(ValueError, match="infin"):
        fitted.predict(make(X))


@pytest.mark.parametrize("X", [np.ones((50, 3)), np.zeros((1, 2)), pd.DataFrame({"a": ["x"] * 9})])
@pytest.mark.parametrize("n_clusters", ["auto", 1])
def test_nothing_to_part(X, n_clusters):
    fitted = Clusterer(n_clusters, random_state=0).fit(X)
    check(fitted, len(X))
    assert fitted.n_clusters_ == 1
    assert fitted.labels_.tolist() == [0] * len(X)
    assert "no column varies" in fitted.explain()
    assert fitted.predict(X).tolist() == [0] * len(X)
    assert len(fitted.proposals_) == 0


def test_columns_that_vary_by_rounding_alone():
    X = np.full((50, 2), 1e9)
    X[::2] += 1.2e-7
    fitted = Clusterer(random_state=0).fit(X + np.arange(50)[:, None] % 7 * 1.2e-7)
    check(fitted, 50)
    assert fitted.n_clusters_ == 1


def test_copies_that_an_algorithm_parts():
    X = np.repeat([[0.0, 0], [0, 1], [1, 0], [0, 300], [2, -500], [3, 3], [900, 2]], [13, 10, 3, 1, 1, 1, 1], axis=0)
    for n_clusters in ("auto", 3, 4):
        check(Clusterer(n_clusters, noise=False, prior=structured(0.9), random_state=0).fit(X), len(X))


def test_rows_that_only_another_scaling_tells_apart():
    X = np.exp(np.random.default_rng(0).normal(size=(60, 1)) * 12)
    X[:20] = np.arange(20)[:, None] * 1e-12
    for n_clusters in ("auto", range(2, 9)):
        check(Clusterer(n_clusters, noise=False, prior=structured(0.9), random_state=0).fit(X), 60)


@pytest.mark.parametrize("n_rows", [2, 3, 5, 6, 7])
def test_few_rows(n_rows):
    X = np.random.default_rng(0).normal(size=(n_rows, 2))
    fitted = Clusterer(random_state=0).fit(X)
    check(fitted, n_rows)
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)


def test_few_different_rows_are_the_clusters():
    different = np.array([[0.0, 1.0], [2.0, 2.0], [5.0, 0.0]])
    y = np.repeat([0, 1, 2], [70, 50, 30])
    for X in (different[y], pd.DataFrame({"a": np.array(list("xyz"))[y], "b": y})):
        fitted = Clusterer(random_state=0).fit(X)
        check(fitted, 150)
        assert fitted.n_clusters_ == 3
        np.testing.assert_array_equal(fitted.labels_, y)
        np.testing.assert_array_equal(fitted.predict(X), y)
    fitted = Clusterer(random_state=0).fit(different[y])
    assert fitted.predict(np.array([[4.9, 0.1], [0.0, 1.1]])).tolist() == [2, 0]
    assert "3 different rows" in fitted.explain()


def test_few_different_rows_when_told_another_number():
    X = np.repeat(np.arange(8.0)[:, None], 20, axis=0)
    for n_clusters in (2, 3):
        for rows in (X, X[::20], X[:100]):
            fitted = Clusterer(n_clusters, random_state=0).fit(rows)
            check(fitted, len(rows))
            assert fitted.n_clusters_ == n_clusters


def test_equal_rows_are_in_one_cluster():
    X = np.random.default_rng(0).integers(0, 6, (200, 2)).astype(float)
    labels = pd.Series(Clusterer(random_state=0).fit_predict(X))
    assert labels.groupby([X[:, 0], X[:, 1]]).nunique().max() == 1


@pytest.mark.parametrize(
    "X", [np.zeros((0, 2)), np.zeros((3, 0)), pd.DataFrame(), pd.DataFrame({"a": []}), [], np.ones(5)]
)
def test_tables_without_rows_or_columns_are_refused(X):
    with pytest.raises(ValueError, match=r"sample|feature|array|rows"):
        Clusterer().fit(X)


def test_more_columns_than_rows():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = rng.normal(size=(40, 100)) + 3 * y[:, None]
    fitted = Clusterer(2, random_state=0).fit(X)
    check(fitted, 40)
    assert adjusted_rand_score(fitted.labels_, y) > 0.9


def test_one_column():
    X = np.concatenate([np.random.default_rng(0).normal(size=60), np.random.default_rng(1).normal(size=60) + 20])
    fitted = Clusterer(2, random_state=0).fit(X[:, None])
    check(fitted, 120)
    assert adjusted_rand_score(fitted.labels_, np.repeat([0, 1], 60)) > 0.9


@pytest.mark.parametrize("scale", [1e-100, 1e-30, 1e30, 1e150])
def test_numbers_of_any_size(scale):
    X, y = blobs()
    fitted = Clusterer(3, random_state=0).fit(X * scale)
    check(fitted, len(X))
    assert adjusted_rand_score(fitted.labels_, y) > 0.9


def test_numbers_far_from_zero():
    X, y = blobs()
    assert adjusted_rand_score(Clusterer(3, random_state=0).fit_predict(X + 1e7), y) > 0.9


def test_more_rows_than_are_looked_at():
    X, y = blobs(2500)
    fitted = Clusterer(3, random_state=0).fit(X)
    check(fitted, 2500)
    assert adjusted_rand_score(fitted.labels_, y) > 0.9
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    assert max(len(value) for value in fitted._anchors) <= 1500
    other = Clusterer(3, random_state=1).fit(X)
    assert adjusted_rand_score(fitted.labels_, other.labels_) > 0.9


def test_names_of_columns_are_remembered():
    X, _ = table()
    fitted = Clusterer(3, random_state=0).fit(X)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X.rename(columns={"size": "width"}))
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="feature"):
        fitted.predict(X.drop(columns="size"))
    numbers = Clusterer(3, random_state=0).fit(blobs()[0])
    with pytest.raises(ValueError, match="2 features"):
        numbers.predict(np.zeros((3, 5)))


def test_levels_never_seen_are_taken():
    X, _ = table()
    fitted = Clusterer(3, random_state=0).fit(X)
    new = X.head(3).assign(word="never", colour="violet")
    assert fitted.predict(new).shape == (3,)


def test_the_answer_is_explained():
    X, _ = blobs()
    fitted = Clusterer(3, random_state=0).fit(X)
    text = fitted.explain()
    assert "expected adjusted Rand index" in text
    assert "Found by" in text
    one = Clusterer(prior=structured(0.1), random_state=0).fit(X).explain()
    assert one.startswith("1 cluster;")
    assert "looks like one cluster: 90%" in one
    best = fitted.proposals_.iloc[0]
    assert f"{best['algorithm']} ({best['setting']})" in text
    several = Clusterer(range(2, 8), random_state=0).fit(X)
    assert len(several.proposals_) > 3
    assert "Runner-up:" in several.explain()


CELLS = {
    "numbers": st.one_of(st.none(), st.floats(-1e6, 1e6, width=32), st.integers(-3, 3).map(float)),
    "words": st.one_of(st.none(), st.sampled_from(["a", "b", "c", ""]), st.text("xyz 1,.-", max_size=4)),
    "flags": st.booleans(),
    "days": st.one_of(st.none(), st.dates().map(str)),
    "mixed": st.one_of(st.none(), st.integers(-2, 2), st.floats(-5, 5), st.sampled_from(["a", "b"])),
}


@st.composite
def mixed_tables(draw):
    n_rows = draw(st.integers(1, 40))
    kinds = draw(st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=4))
    return pd.DataFrame(
        {
            f"{kind} {place}": draw(st.lists(CELLS[kind], min_size=n_rows, max_size=n_rows))
            for place, kind in enumerate(kinds)
        }
    )


# A smaller counterexample takes minutes to find, and is hardly easier to read.
@settings(max_examples=40, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(mixed_tables(), st.sampled_from(["auto", 2, {1, 2, 3}]), st.booleans())
def test_any_table_has_an_answer_or_a_reason(X, n_clusters, noise):
    try:
        fitted = Clusterer(n_clusters, noise=noise, random_state=0).fit(X)
    except ValueError as error:
        assert any(word in str(error) for word in ("n_clusters", "column", "'X'", "X should"))  # noqa: PT017
        return
    check(fitted, len(X))
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)


def test_the_weights_have_a_card_and_are_small():
    folder = pretrained.FOLDER / "clusterer"
    card = json.loads((folder / "card.json").read_text())
    assert {"name", "licence", "data", "command", "seed", "cross_fitted_figures", "environment"} <= set(card)
    assert all({"what", "tables", "licence"} <= set(part) for part in card["data"])
    assert sum(file.stat().st_size for file in folder.iterdir()) < 5e6
    assert pretrained.clusterer() is pretrained.clusterer()


def test_a_table_whose_columns_are_all_left_out_is_one_cluster():
    X = np.full((11, 1), np.nan)
    X[0] = 0.0
    fitted = Clusterer().fit(X)
    assert fitted.n_clusters_ == 1
    assert (fitted.predict(X) == 0).all()

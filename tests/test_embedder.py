"""The estimator: scikit-learn's contract, tables of every kind, and a map that hangs on nothing it should not."""

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from firstsight import Embedder, pretrained
from firstsight.selection.maps.weighing import NAMES, Weighing
from test_clusterer import table


def rows_of(n_rows=60, n_columns=5, seed=0):
    return make_blobs(n_rows, n_columns, centers=3, random_state=seed)[0]


def preferring(**weights):
    return Weighing(weights=tuple(weights.get(name, 0.0) for name in NAMES))


def check(fitted, n_rows):
    """What holds of every map."""
    assert fitted.embedding_.shape == (n_rows, fitted.n_components)
    assert np.isfinite(fitted.embedding_).all()
    assert fitted.faithfulness_.shape == (n_rows,)
    assert ((fitted.faithfulness_ >= 0) & (fitted.faithfulness_ <= 1)).all()
    assert 0 <= fitted.quality_ <= 1
    assert {name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")} <= {
        "embedding_", "faithfulness_", "quality_", "method_", "n_features_in_", "feature_names_in_",
    }  # fmt: skip
    assert fitted.explain().endswith(".")
    proposals = fitted.proposals_
    assert proposals.columns[:3].tolist() == ["method", "setting", "scaling"]
    assert (np.diff(proposals["rating"]) <= 0).all()
    if len(proposals):
        assert proposals["setting"].iloc[0] == fitted.method_


# --- scikit-learn ----------------------------------------------------------------------------------------------------


@parametrize_with_checks([Embedder(random_state=0)])
def test_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_parameters_survive_a_clone():
    weighing = preferring(tsne=1.0)
    one = Embedder(3, methods=("pca",), prior=weighing, time_budget=5.0, n_jobs=1, random_state=7)
    assert clone(one).get_params() == one.get_params()
    assert clone(one).prior is weighing
    assert copy.deepcopy(one).prior is weighing


def test_in_a_pipeline_with_names():
    X = rows_of()
    fitted = make_pipeline(StandardScaler(), Embedder(random_state=0)).set_output(transform="pandas").fit(X)
    found = fitted.transform(X)
    assert found.columns.tolist() == ["map0", "map1"]
    np.testing.assert_array_equal(found, fitted[-1].embedding_)
    assert Embedder(1, random_state=0).fit(X).get_feature_names_out().tolist() == ["map0"]


def test_a_fitted_one_pickles():
    X = rows_of()
    fitted = Embedder(random_state=0).fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(X + 0.01), fitted.transform(X + 0.01))
    assert again.explain() == fitted.explain()


@pytest.mark.parametrize("name", ["transform", "explain", "proposals_", "get_feature_names_out"])
def test_nothing_before_fit(name):
    with pytest.raises(NotFittedError):
        getattr(Embedder(), name)(*([np.zeros((2, 2))] if name == "transform" else []))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"n_components": 0}, ValueError, "n_components=0 should be >= 1"),
        ({"n_components": 31}, ValueError, "n_components=31 should be <= 30"),
        ({"n_components": 2.0}, TypeError, "n_components"),
        ({"methods": "pca"}, TypeError, r"methods='pca' should be a tuple of methods, such as \('pca', 'tsne'\)"),
        ({"methods": ()}, TypeError, "methods"),
        ({"methods": ("t-sne",)}, ValueError, "methods='t-sne' should be one of 'pca', 'tsne', 'umap', 'pacmap'"),
        ({"prior": 3}, TypeError, "prior=3 should be a Weighing"),
        ({"time_budget": 0}, ValueError, "time_budget"),
        ({"n_jobs": 0}, ValueError, "n_jobs"),
    ],
)
def test_settings_that_are_refused(settings, error, words):
    with pytest.raises(error, match=words):
        Embedder(**settings).fit(rows_of())


# --- the map ---------------------------------------------------------------------------------------------------------


def test_clusters_stay_together_and_the_map_says_how_well():
    X, y = make_blobs(150, 8, centers=4, random_state=0)
    fitted = Embedder(random_state=0).fit(X)
    check(fitted, 150)
    distances = np.linalg.norm(fitted.embedding_[:, None] - fitted.embedding_, axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (y[distances.argmin(1)] == y).mean() > 0.98
    assert fitted.faithfulness_.mean() > 0.3
    assert "of two rows the one nearer to a third is the nearer on it" in fitted.explain()
    assert len(fitted.proposals_) > 3


def test_two_columns_are_a_map_already():
    X = rows_of(80, 2)
    fitted = Embedder(random_state=0).fit(X)
    check(fitted, 80)
    assert fitted.method_.startswith("PCA")
    assert fitted.quality_ > 0.95
    assert "other directions" in fitted.explain()


def test_what_is_learned_decides():
    X = rows_of()
    far = Embedder(prior=preferring(tsne=-1.0), random_state=0).fit(X)
    near = Embedder(prior=preferring(tsne=1.0), random_state=0).fit(X)
    assert far.method_.startswith("PCA")
    assert near.method_.startswith("t-SNE")
    assert "not distances between far groups" in near.explain()


def test_the_same_seed_and_other_threads_give_the_same_map():
    X = rows_of(100)
    one, two = (Embedder(random_state=3, n_jobs=n_jobs).fit_transform(X) for n_jobs in (1, 3))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, Embedder(random_state=3, n_jobs=1).fit(X).transform(X))


def test_the_order_of_rows_changes_nothing():
    X = rows_of(100)
    order = np.random.default_rng(0).permutation(100)
    one = Embedder(random_state=0).fit(X)
    two = Embedder(random_state=0).fit(X[order])
    np.testing.assert_array_equal(one.embedding_[order], two.embedding_)
    np.testing.assert_allclose(one.faithfulness_[order], two.faithfulness_)


def test_equal_rows_have_one_place():
    X = rows_of(40)
    fitted = Embedder(random_state=0).fit(np.repeat(X, 3, axis=0))
    check(fitted, 120)
    np.testing.assert_array_equal(fitted.embedding_[::3], fitted.embedding_[2::3])
    np.testing.assert_array_equal(fitted.embedding_[::3], Embedder(random_state=0).fit_transform(X))


def test_new_rows_go_among_those_they_are_like():
    X, y = make_blobs(240, 6, centers=3, cluster_std=2.0, random_state=1)
    fitted = Embedder(random_state=0).fit(X[:200])
    places = fitted.transform(X[200:])
    distances = np.linalg.norm(places[:, None] - fitted.embedding_, axis=-1)
    assert (y[distances.argmin(1)] == y[200:]).mean() > 0.9
    np.testing.assert_allclose(fitted.transform(X[200:205]), places[:5])


def test_more_rows_than_are_laid_out():
    X = rows_of(2000, 3)
    fitted = Embedder(prior=preferring(tsne=1.0), time_budget=1.0, random_state=0).fit(X)
    check(fitted, 2000)
    assert len(fitted._ground.X) == 400
    np.testing.assert_array_equal(fitted.transform(X), fitted.embedding_)
    np.testing.assert_allclose(fitted.transform(X[7:8]), fitted.embedding_[7:8])
    order = np.random.default_rng(0).permutation(2000)
    again = Embedder(prior=preferring(tsne=1.0), time_budget=1.0, random_state=0).fit(X[order])
    np.testing.assert_array_equal(fitted.embedding_[order], again.embedding_)


@pytest.mark.slow
def test_a_hundred_thousand_rows():
    X = rows_of(100_000, 20)
    fitted = Embedder(random_state=0).fit(X)
    check(fitted, 100_000)
    np.testing.assert_array_equal(fitted.transform(X[:50]), fitted.embedding_[:50])


@pytest.mark.parametrize("n_components", [1, 2, 3, 10])
def test_any_number_of_coordinates(n_components):
    X = rows_of(60, 6)
    fitted = Embedder(n_components, random_state=0).fit(X)
    check(fitted, 60)
    np.testing.assert_allclose(fitted.transform(X), fitted.embedding_)
    if n_components > 6:
        assert (fitted.embedding_[:, 6:] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["umap", "pacmap"])
def test_other_libraries_may_propose(method):
    pytest.importorskip(method)
    fitted = Embedder(methods=("pca", method), prior=preferring(**{method: 1.0}), random_state=0).fit(rows_of())
    check(fitted, 60)
    assert method in fitted.method_.lower()
    beside = Embedder(methods=("pca", "tsne", "umap", "pacmap"), n_jobs=4, random_state=0).fit(rows_of())
    assert set(beside.proposals_["method"]) == {"PCA", "t-SNE", "UMAP", "PaCMAP"}


# --- tables of every kind --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 2, 3, 4, 7, 9, 10, 12])
def test_few_rows(n_rows):
    X = rows_of(n_rows, 3)
    fitted = Embedder(random_state=0).fit(X)
    check(fitted, n_rows)
    np.testing.assert_allclose(fitted.transform(X), fitted.embedding_)
    assert np.isfinite(fitted.transform(X + 1)).all()


@pytest.mark.parametrize("n_columns", [1, 2, 200])
def test_few_and_many_columns(n_columns):
    X = rows_of(40, n_columns)
    fitted = Embedder(random_state=0).fit(X)
    check(fitted, 40)
    np.testing.assert_allclose(fitted.transform(X), fitted.embedding_)


@pytest.mark.parametrize(
    "X", [np.ones((50, 3)), np.zeros((1, 2)), pd.DataFrame({"a": ["x"] * 9}), 1e9 + np.eye(3) * 1e-7]
)
def test_nothing_that_varies_is_one_place(X):
    fitted = Embedder(random_state=0).fit(X)
    check(fitted, len(X))
    assert (fitted.embedding_ == 0).all()
    assert "no column varies" in fitted.explain()
    assert (fitted.transform(X) == 0).all()
    assert len(fitted.proposals_) == 0


def test_a_table_of_mixed_columns():
    X, _ = table()
    fitted = Embedder(random_state=0).fit(X)
    check(fitted, len(X))
    assert fitted.feature_names_in_.tolist() == X.columns.tolist()
    np.testing.assert_allclose(fitted.transform(X.iloc[10:20]), fitted.embedding_[10:20])
    new = X.head(3).assign(word="never", colour="violet")
    assert np.isfinite(fitted.transform(new)).all()


def test_missing_values():
    X = rows_of(80)
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    fitted = Embedder(random_state=0).fit(X)
    check(fitted, 80)
    np.testing.assert_allclose(fitted.transform(X), fitted.embedding_)
    assert np.isfinite(fitted.transform(np.full((1, 5), np.nan))).all()


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame])
def test_infinite_values_are_refused(make):
    X = rows_of()
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match="infin"):
        Embedder().fit(make(X))


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_numbers_of_any_size(scale):
    X = rows_of()
    fitted = Embedder(random_state=0).fit(X * scale)
    check(fitted, 60)
    assert fitted.faithfulness_.mean() > 0.3


def test_few_different_rows():
    X = np.repeat(np.arange(12.0).reshape(4, 3) ** 2, 20, axis=0)
    fitted = Embedder(random_state=0).fit(X)
    check(fitted, 80)
    assert len(np.unique(fitted.embedding_.round(9), axis=0)) == 4


def test_the_weights_have_a_card():
    folder = pretrained.FOLDER / "embedder"
    card = json.loads((folder / "card.json").read_text())
    assert {"name", "licence", "data", "command", "seed", "cross_fitted_figures", "environment"} <= set(card)
    assert all({"what", "tables", "licence"} <= set(part) for part in card["data"])
    assert pretrained.embedder() is pretrained.embedder()

"""Maps: what measures say where the answer is known, what is proposed, what is learned, where rows go."""

import sys

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from firstsight.selection.geometry import pairwise
from firstsight.selection.maps.choose import Work, choose
from firstsight.selection.maps.layouts import METHODS, Setting, lay_out, settings_for
from firstsight.selection.maps.learn import Config, fit_weighing
from firstsight.selection.maps.lessons import Lesson, judged, lesson_of
from firstsight.selection.maps.measures import (
    MEASURES,
    kept,
    map_triplets,
    measured,
    neighbour_counts,
    order_of,
    row_faithfulness,
    scales_of,
    truth_of,
)
from firstsight.selection.maps.placing import ground_of, placed
from firstsight.selection.maps.weighing import NAMES, Weighing, values_of
from firstsight.selection.spaces import apply, learn_spaces


def rows_of(n_rows=60, n_columns=5, seed=0):
    return make_blobs(n_rows, n_columns, centers=3, random_state=seed)


def only(**weights):
    return Weighing(weights=tuple(weights.get(name, 0.0) for name in NAMES))


# --- measures --------------------------------------------------------------------------------------------------------


def test_a_map_that_is_the_table_keeps_everything():
    X = np.random.default_rng(0).normal(size=(50, 2))
    found = measured(truth_of(X, 0), 3 * X[:, ::-1] + 5)
    assert set(found) == set(MEASURES)
    for name in set(MEASURES) - {"agreement"}:
        assert found[name] == pytest.approx(1, abs=1e-5), name
    assert map_triplets(X, -X, 0) == 1


def test_a_map_by_chance_keeps_nothing():
    rng = np.random.default_rng(0)
    found = measured(truth_of(rng.normal(size=(400, 4)), 0), rng.normal(size=(400, 2)))
    assert found["recall_15"] < 0.05
    assert found["triplets"] == pytest.approx(0.5, abs=0.03)
    assert found["rank_correlation"] == pytest.approx(0, abs=0.05)


def test_measures_are_those_of_the_libraries():
    X, _ = rows_of()
    places = PCA(2).fit_transform(X)
    found = measured(truth_of(X, 0), places)
    assert found["trustworthiness"] == pytest.approx(trustworthiness(X, places, n_neighbors=15), abs=1e-6)
    assert found["continuity"] == pytest.approx(trustworthiness(places, X, n_neighbors=15), abs=1e-6)
    pairs = np.triu_indices(len(X), 1)
    expected = spearmanr(pairwise(X, X)[pairs], pairwise(places, places)[pairs])[0]
    assert found["rank_correlation"] == pytest.approx(expected, abs=1e-6)


def test_neighbours_kept_are_counted_and_corrected_for_chance():
    wanted = np.array([[1, 2, 3, 4], [0, 2, 3, 4]])
    found = np.array([[2, 1, 3, 4], [0, 4, 3, 2]])
    np.testing.assert_allclose(kept(wanted, found, 2), [1, 0])
    np.testing.assert_allclose(kept(wanted[:, :1], found[:, :1], 5), [1, 1])


def test_no_row_is_its_own_neighbour():
    X, _ = rows_of()
    places = PCA(2).fit_transform(X)
    by_rows = row_faithfulness(X, places, X, places, np.arange(len(X)))
    truth = truth_of(X, 0)
    np.testing.assert_allclose(by_rows, kept(truth.order, order_of(pairwise(places, places)), 15))
    assert row_faithfulness(X[:5], places[:5], X[:2], places[:2], np.arange(5)).tolist() == [1] * 5


def test_agreement_counts_the_maps_that_have_a_neighbour():
    X, _ = rows_of()
    places = PCA(2).fit_transform(X)
    alone = neighbour_counts([places], 15)
    assert measured(truth_of(X, 0), places, alone)["agreement"] == 1
    assert alone.sum(1).tolist() == [15] * len(X)


def test_columns_of_one_category_share_a_scale():
    X = np.random.default_rng(0).normal(size=(200, 4)) * [1, 2, 3, 0]
    scales = scales_of(X, np.array([0, 1, 1, 2]))
    assert scales[1] == scales[2]
    assert scales[3] == 0
    np.testing.assert_allclose(scales[0] * X[:, 0].std(), 1)


# --- proposals -------------------------------------------------------------------------------------------------------


def test_proposals_suit_the_table():
    spaces = ["standard", "pca", "normal"]
    found = settings_for(500, 2, spaces, ("pca", "tsne"))
    assert found[0] == Setting("pca", "standard", 0)
    assert len(set(found)) == len(found)
    standard = [(one.number, one.broad) for one in found if one.method == "tsne" and one.space == "standard"]
    assert standard == [(15, False), (30, False), (15, True)]
    assert not any(setting.broad for setting in settings_for(60, 2, spaces, METHODS))
    assert all(setting.number <= 9 for setting in settings_for(30, 2, spaces, METHODS))
    assert {setting.method for setting in settings_for(500, 3, spaces, METHODS)} == {"pca", "umap", "pacmap"}
    assert {setting.method for setting in settings_for(5, 2, spaces, METHODS)} == {"pca"}
    assert settings_for(5, 2, spaces, ("tsne",)) == [Setting("pca", "standard", 0)]
    assert settings_for(500, 3, spaces, ("tsne",)) == [Setting("pca", "standard", 0)]


def test_settings_have_names():
    assert Setting("tsne", "standard", 30).name == "t-SNE, perplexity 30"
    assert Setting("tsne", "common", 15, True).name == "t-SNE, perplexity 15 and a fifth of the rows, common scaling"
    assert Setting("umap", "standard", 15).name == "UMAP, n_neighbors 15"
    assert Setting("pca", "normal", 0).name == "PCA, normal scaling"


def test_pca_is_that_of_scikit_learn():
    X, _ = rows_of()
    found = lay_out(Setting("pca", "standard", 0), X, 2, 0)
    np.testing.assert_allclose(np.abs(found), np.abs(PCA(2).fit_transform(X)), atol=1e-8)
    more = lay_out(Setting("pca", "standard", 0), X[:, :2], 4, 0)
    assert more.shape == (60, 4)
    assert (more[:, 2:] == 0).all()


@pytest.mark.parametrize("n_components", [1, 2])
@pytest.mark.parametrize("n_columns", [1, 5])
@pytest.mark.parametrize("broad", [False, True])
def test_tsne_parts_clusters_and_is_the_same_again(n_components, n_columns, broad):
    X, y = rows_of(90, n_columns, seed=3)
    X = X + 30 * y[:, None]
    places = lay_out(Setting("tsne", "standard", 10, broad), X, n_components, 0)
    assert places.shape == (90, n_components)
    assert np.isfinite(places).all()
    near = order_of(pairwise(places, places))[:, 0]
    assert (y[near] == y).mean() > 0.95
    np.testing.assert_array_equal(places, lay_out(Setting("tsne", "standard", 10, broad), X, n_components, 0))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["umap", "pacmap"])
def test_the_other_libraries(method):
    pytest.importorskip(method)
    X, y = rows_of(90)
    setting = Setting(method, "standard", 10)
    places = lay_out(setting, X, 2, 0)
    assert places.shape == (90, 2)
    near = order_of(pairwise(places, places))[:, 0]
    assert (y[near] == y).mean() > 0.9
    np.testing.assert_array_equal(places, lay_out(setting, X, 2, 0))


@pytest.mark.parametrize("method", ["umap", "pacmap"])
def test_a_library_that_is_missing_is_named(method, monkeypatch):
    monkeypatch.setitem(sys.modules, method, None)
    with pytest.raises(ImportError, match=r"install it with: pip install 'firstsight\[maps\]'"):
        lay_out(Setting(method, "standard", 10), rows_of()[0], 2, 0)


# --- weighing --------------------------------------------------------------------------------------------------------


def test_weights_are_saved_and_read(tmp_path):
    one = only(recall_15=0.5, tsne=-0.1)
    one.save(tmp_path / "new")
    assert Weighing.load(tmp_path / "new") == one


def test_weights_that_are_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="train them again"):
        Weighing(weights=(1.0,))
    with pytest.raises(FileNotFoundError, match="lacks weighing"):
        Weighing.load(tmp_path)
    (tmp_path / "weighing.json").write_text("[]")
    with pytest.raises(ValueError, match="should hold names and weights"):
        Weighing.load(tmp_path)
    (tmp_path / "weighing.json").write_text('{"names": ["a"], "weights": [1]}')
    with pytest.raises(ValueError, match="train it again"):
        Weighing.load(tmp_path)


def lessons(n, seed=0):
    """Lessons in which a map is worth half of its recall."""
    rng = np.random.default_rng(seed)
    settings = [Setting("pca", "standard", 0), *(Setting("tsne", "standard", number) for number in (10, 30, 100))]
    found = []
    for place in range(n):
        measures = [{name: float(value) for name, value in zip(MEASURES, rng.random(9), strict=True)} for _ in settings]
        worth = np.array([[measure["recall_15"], 0.3, 0.3] for measure in measures])
        found.append(Lesson(f"family {place // 2}", settings, values_of(settings, measures), worth))
    return found


def test_what_counts_is_learned():
    weighing, validation = fit_weighing(lessons(200), Config(penalty=1e-6))
    weights = dict(zip(NAMES, weighing.weights, strict=True))
    assert weights["recall_15"] == pytest.approx(0.5, abs=1e-3)
    assert all(abs(weight) < 1e-3 for name, weight in weights.items() if name != "recall_15")
    np.testing.assert_allclose(validation.reached, validation.possible)


def test_a_family_is_on_one_side():
    with pytest.raises(ValueError, match="n_folds=5"):
        fit_weighing(lessons(8), Config())
    with pytest.raises(ValueError, match="penalty"):
        Config(penalty=0)


def test_the_judgement_of_a_perfect_map():
    X, y = rows_of()
    found = judged(truth_of(X, 0), X, y)
    assert found == (1, 1, 1)
    assert found.total == 1


@pytest.mark.slow
def test_a_table_is_a_lesson():
    pytest.importorskip("umap")
    pytest.importorskip("pacmap")
    X, y = rows_of(80)
    lesson = lesson_of(X, np.arange(5), y, family="blobs", seed=0)
    assert lesson.values.shape == (len(lesson.settings), len(NAMES))
    assert lesson.worth.shape == (len(lesson.settings), 3)
    assert ((lesson.worth >= 0) & (lesson.worth <= 1)).all()
    assert {setting.method for setting in lesson.settings} == set(METHODS)


# --- the choice and the places ---------------------------------------------------------------------------------------


def test_the_map_that_is_rated_highest_is_chosen():
    X, _ = rows_of(80)
    work = Work(80, 80)
    far = choose(X, np.arange(5), only(triplets=1.0), work, ("pca", "tsne"), 2, 0, 2)
    near = choose(X, np.arange(5), only(tsne=1.0), work, ("pca", "tsne"), 2, 0, 1)
    assert far.compared.settings[far.best].method == "pca"
    assert near.compared.settings[near.best].method == "tsne"
    assert near.ratings.argmax() == near.best


def test_rows_of_a_map_have_their_places_and_others_go_between():
    X, _ = rows_of()
    space = learn_spaces(X, np.arange(5))["standard"]
    scaled = apply(space, X)
    places = np.random.default_rng(0).normal(size=(60, 2))
    ground = ground_of(space, X, places, None)
    np.testing.assert_array_equal(placed(ground, X[10:20]), places[10:20])
    moved = placed(ground, X[:1] + 1e-9)
    order = np.linalg.norm(scaled - scaled[0], axis=1).argsort()
    np.testing.assert_allclose(moved[0], np.median(places[order[:2]], axis=0))
    far = placed(ground, np.full((1, 5), 1e6))
    assert (np.abs(far) <= np.abs(places).max()).all()


def test_new_rows_of_a_linear_map_are_linear():
    X, _ = rows_of()
    space = learn_spaces(X, np.arange(5))["standard"]
    scaled = apply(space, X)
    directions = np.eye(5)[:, :2]
    ground = ground_of(space, X, (scaled - scaled.mean(0)) @ directions, directions)
    np.testing.assert_allclose(placed(ground, X), ground.places)
    np.testing.assert_allclose(placed(ground, X.mean(0)[None]), 0, atol=1e-12)

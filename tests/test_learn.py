"""Lessons score proposals as scikit-learn would, and a judge is learned from them without seeing a family twice."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from firstsight.selection.choose import COUNTS, choose
from firstsight.selection.judge import MODELS, Judge
from firstsight.selection.learn import Config, Rows, _Trainer, fit_judge
from firstsight.selection.lessons import lesson_of
from firstsight.tasks import synthetic

SMALL = Config(n_trees_clusters=5, n_trees_order=5, n_trees_quality=5, n_trees_tables=5, n_trees_stray=5, n_threads=1)
TABLES = synthetic.Config(n_rows=(40, 120), n_features=(2, 4), n_clusters=(1, 5))


def lesson(seed, **settings):
    X, y, _ = synthetic.sample(seed, TABLES)
    return lesson_of(X, np.arange(X.shape[1]), [y], family=f"family {seed}", seed=seed, **settings)


@pytest.fixture(scope="module")
def lessons():
    return [lesson(seed) for seed in range(12)]


@pytest.fixture(scope="module")
def learned(lessons):
    return fit_judge(lessons, SMALL)


@pytest.fixture(scope="module")
def table():
    X, y = make_blobs(60, centers=[[0, 0], [5, 0], [0, 5]], random_state=0)
    return X, y


def shares(labels, truth):
    """Purity and recall of every cluster, one after the other."""
    found = []
    for cluster in range(labels.max() + 1):
        mine = truth[(labels == cluster) & (truth >= 0)]
        values, counts = np.unique(mine, return_counts=True)
        if len(values):
            found.append((counts.max() / len(mine), counts.max() / (truth == values[counts.argmax()]).sum()))
        else:
            found.append((0, 0))
    return found


# --- lessons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [False, True])
def test_proposals_are_scored_as_by_scikit_learn(table, noise):
    X, y = table
    truth = np.where((np.arange(60) % 7 == 0) & noise, -1, y)
    found = lesson_of(X, np.arange(2), [truth], family="blobs", seed=0)
    keep = truth >= 0
    expected = [adjusted_rand_score(truth[keep], labels[keep]) for labels in found.labels]
    np.testing.assert_allclose(found.reached, expected, atol=1e-9)
    assert found.reached.max() == pytest.approx(1)
    assert found.reached.min() < 0.6
    by_hand = np.array([share for labels in found.labels for share in shares(labels.astype(int), truth)])
    np.testing.assert_allclose(found.purity, by_hand[:, 0], atol=1e-6)
    np.testing.assert_allclose(found.recall, by_hand[:, 1], atol=1e-6)
    assert found.n_clusters.tolist() == [3]
    assert len(found.stray) == len(found.stray_rows) == 60
    assert found.stray.sum() == (~keep).sum()
    assert found.labels.dtype == np.int16
    assert len(found.origins) == len(found.labels) == len(found.partitions["log_k"])


def test_a_proposal_is_scored_by_the_truth_that_it_fits_best(table):
    X, y = table
    coarse = lesson_of(X, np.arange(2), [y], family="blobs", seed=0).labels[0].astype(int)
    both, fine, rough = (
        lesson_of(X, np.arange(2), truths, family="blobs", seed=0) for truths in ([y, coarse], [y], [coarse])
    )
    np.testing.assert_array_equal(both.labels, fine.labels)
    np.testing.assert_allclose(both.reached, np.maximum(fine.reached, rough.reached))
    assert both.n_clusters.tolist() == [3, coarse.max() + 1]
    assert both.reached[0] == pytest.approx(1)
    counts = both.labels.max(1) + 1
    first = np.repeat(fine.reached >= rough.reached, counts)
    np.testing.assert_allclose(both.purity, np.where(first, fine.purity, rough.purity))
    assert (both.reached > fine.reached + 0.1).any()


def test_truths_may_have_any_numbers(table):
    X, y = table
    one = lesson_of(X, np.arange(2), [y], family="blobs", seed=0)
    other = lesson_of(X, np.arange(2), [np.array([7, 100, 0])[y]], family="blobs", seed=0)
    np.testing.assert_array_equal(one.reached, other.reached)
    np.testing.assert_array_equal(one.purity, other.purity)


def test_one_cluster_cannot_be_reached_by_parting_it(table):
    X, _ = table
    found = lesson_of(X, np.arange(2), [np.zeros(60, int)], family="one", seed=0)
    assert found.n_clusters.tolist() == [1]
    np.testing.assert_allclose(found.reached, 0)
    np.testing.assert_allclose(found.purity, 1)


def test_the_same_seed_is_the_same_lesson(table):
    X, y = table
    one, two = (lesson_of(X, np.arange(2), [y], family="blobs", seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.stray_rows, two.stray_rows)
    for name, values in one.partitions.items():
        np.testing.assert_array_equal(values, two.partitions[name])


@pytest.mark.parametrize("wrong", [[], [np.zeros(59, int)], [np.zeros(60, int), np.zeros(61, int)]])
def test_truths_of_another_length_are_refused(table, wrong):
    with pytest.raises(ValueError, match="truths should be one or more of 60 labels"):
        lesson_of(table[0], np.arange(2), wrong, family="blobs", seed=0)


def test_truths_of_noise_alone_are_refused(table):
    with pytest.raises(ValueError, match="truth"):
        lesson_of(table[0], np.arange(2), [np.full(60, -1)], family="blobs", seed=0)


@pytest.mark.parametrize("X", [np.ones((60, 2)), np.ones((1, 2))])
def test_tables_without_anything_to_part_are_refused(X):
    with pytest.raises(ValueError, match=r"row|column|const"):
        lesson_of(X, np.arange(2), [np.zeros(len(X), int)], family="none", seed=0)


# --- training --------------------------------------------------------------------------------------------------------


def test_a_judge_is_learned(learned, lessons):
    judge, validation = learned
    assert isinstance(judge, Judge)
    assert judge.quality.count("Tree=") == 5
    for name in MODELS:  # LightGBM stops where rows are too few to be parted
        assert 1 <= getattr(judge, name).count("Tree=") <= 5
    for name, values in validation._asdict().items():
        assert len(values) == len(lessons), name
        assert np.isfinite(values).all(), name
    np.testing.assert_array_equal(validation.possible, [lesson.reached.max() for lesson in lessons])
    assert (validation.reached <= validation.possible).all()
    assert ((validation.structured >= 0) & (validation.structured <= 1)).all()
    assert (validation.k >= 2).all()
    told = judge.settings
    assert 0 < told.temperature <= 0.5
    assert (np.diff(told.rated) > 0).all()
    for curve in (told.reached, told.reached_low, told.reached_high):
        assert len(curve) == len(told.rated)
        assert (np.diff(curve) >= 0).all()
    assert (np.array(told.reached_low) <= told.reached_high).all()
    assert len(told.facts) == len(told.facts_middle) == len(told.facts_spread)
    assert np.array(told.facts_spread).min() > 0


def test_a_judge_that_was_learned_chooses(learned, tmp_path, table):
    judge, _ = learned
    json.dumps(judge.settings.__dict__)
    judge.save(tmp_path)
    one, two = (choose(table[0], np.arange(2), told, COUNTS, 0) for told in (judge, Judge.load(tmp_path)))
    assert Judge.load(tmp_path) == judge
    np.testing.assert_array_equal(one.rated.ratings, two.rated.ratings)
    assert one.posterior == two.posterior
    assert judge.unlike(one.seen.facts) == [name for name in judge.unlike(one.seen.facts) if isinstance(name, str)]


def test_the_same_lessons_give_the_same_judge(learned, lessons):
    again, validation = fit_judge(lessons, SMALL)
    assert again == learned[0]
    np.testing.assert_array_equal(validation.quality, learned[1].quality)
    other, _ = fit_judge(lessons, replace(SMALL, seed=1))
    assert other.quality != again.quality


def test_the_number_of_threads_changes_nothing(lessons):
    values = np.random.default_rng(0).normal(size=(600, 2)).astype(np.float32)
    rows = Rows(["a", "b"], values, np.repeat(np.arange(12), 50))
    target, trees = values[:, 0] * values[:, 1], {"learning_rate": 0.5, "num_leaves": 8, "min_data_in_leaf": 5}
    one, two = (
        _Trainer(lessons, replace(SMALL, n_threads=n)).cross(rows, target.astype(float), np.ones(12), 3, trees)
        for n in (1, 2)
    )
    assert one.text.split("parameters:")[0] == two.text.split("parameters:")[0]
    np.testing.assert_array_equal(one.said, two.said)


def test_families_stay_on_one_side(lessons):
    related = [each._replace(family=f"family {place % 4}") for place, each in enumerate(lessons)]
    trainer = _Trainer(related, SMALL)
    for family in range(4):
        assert len({trainer.fold[place] for place in range(family, 12, 4)}) == 1
    assert set(trainer.fold.tolist()) == {0, 1, 2}


def test_what_is_said_of_a_family_does_not_know_its_truth(lessons):
    trainer = _Trainer(lessons, SMALL)
    rng = np.random.default_rng(0)
    rows = Rows(["a", "b"], rng.normal(size=(600, 2)).astype(np.float32), np.repeat(np.arange(12), 50))
    target = rows.values[:, 0].astype(float)
    trees = {"learning_rate": 0.5, "num_leaves": 8, "min_data_in_leaf": 5}
    one = trainer.cross(rows, target, np.ones(12), 10, trees).said
    assert np.corrcoef(one, target)[0, 1] > 0.9
    mine = rows.of == 4
    two = trainer.cross(rows, np.where(mine, 100, target), np.ones(12), 10, trees).said
    held_out = trainer.fold[rows.of] == trainer.fold[4]
    np.testing.assert_array_equal(one[held_out], two[held_out])
    assert (one[~held_out] != two[~held_out]).any()


def test_lessons_of_no_weight_teach_nothing(lessons):
    trainer = _Trainer(lessons, SMALL)
    rng = np.random.default_rng(0)
    rows = Rows(["a", "b"], rng.normal(size=(600, 2)).astype(np.float32), np.repeat(np.arange(12), 50))
    trees, weight = {"learning_rate": 0.5, "num_leaves": 8, "min_data_in_leaf": 5}, np.ones(12)
    weight[3] = 0
    target = rows.values[:, 0].astype(float)
    one = trainer.cross(rows, target, weight, 5, trees)
    two = trainer.cross(rows, np.where(rows.of == 3, -50, target), weight, 5, trees)
    assert one.text == two.text
    np.testing.assert_array_equal(one.said, two.said)


def test_classes_say_nothing_of_structure(learned, lessons):
    some = [each._replace(classes=place % 2 == 0) for place, each in enumerate(lessons)]
    judge, _ = fit_judge(some, SMALL)
    assert judge.quality == learned[0].quality
    assert judge.structure != learned[0].structure


def test_too_few_families_are_refused(lessons):
    alike = [each._replace(family="one") for each in lessons]
    with pytest.raises(ValueError, match="lessons should be of n_folds=3 families or more; found 1"):
        fit_judge(alike, SMALL)
    with pytest.raises(ValueError, match="found 0"):
        fit_judge([], SMALL)


def test_lessons_of_one_cluster_alone_are_refused(lessons):
    alone = [each._replace(n_clusters=np.array([1])) for each in lessons]
    with pytest.raises(ValueError, match="lessons"):
        fit_judge(alone, SMALL)


@pytest.mark.parametrize("name", [field.name for field in fields(Config)])
@pytest.mark.parametrize("wrong", [None, "many", 1.5, True, -1])
def test_settings_of_another_kind_are_refused(name, wrong):
    with pytest.raises((TypeError, ValueError), match=name):
        Config(**{name: wrong})


def test_one_fold_is_refused():
    with pytest.raises(ValueError, match="n_folds=1 should be >= 2"):
        Config(n_folds=1)

"""Views of rows against known answers, the reader, what it learns from, and what corrects it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from firstsight.pretrained import detector
from firstsight.selection.anomalies.bulk import RIDGE, bulk_views, densest, fit_bulk, gaussian
from firstsight.selection.anomalies.context import context_of, read
from firstsight.selection.anomalies.correct import corrected
from firstsight.selection.anomalies.explain import GENERAL, SIDES, sides_of
from firstsight.selection.anomalies.forests import fit_forests, forest, forest_views, isolation
from firstsight.selection.anomalies.hints import hint_of
from firstsight.selection.anomalies.learn import Config, fit_reader
from firstsight.selection.anomalies.lessons import lesson_of
from firstsight.selection.anomalies.marginals import fit_marginals, marginal_views, ranks_among, tail_of
from firstsight.selection.anomalies.near import distances_to, fit_near, near_views
from firstsight.selection.anomalies.reader import PLAIN, Reader
from firstsight.selection.anomalies.rows import names_of, yardstick
from firstsight.selection.anomalies.strange import drawn, strange_cells, usual_of
from firstsight.selection.anomalies.views import fit_views, views_of
from firstsight.selection.coreset import numbers_from_values, places_of
from firstsight.tasks import contaminated


@pytest.fixture(scope="module", name="X")
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))


def own(X):
    return np.arange(len(X))


def test_distances_are_those_to_other_rows(X):
    views, neighbors = near_views(fit_near(X, 0), X, own(X))
    distances, places = NearestNeighbors(n_neighbors=299).fit(X).kneighbors()
    for k in (1, 3, 10, 30):
        np.testing.assert_allclose(views[f"near_{k}"], distances[:, k - 1], rtol=1e-5)
    np.testing.assert_allclose(views["near_mean"], (distances[:, :5] ** 2).mean(1), rtol=1e-5)
    np.testing.assert_allclose(views["near_50%"], distances[:, int(0.5 * 299)], rtol=1e-5)
    np.testing.assert_array_equal(neighbors, places[:, :10])
    radius = distances[:, 19]
    reverse = [(np.delete(radius, i) >= np.delete(np.linalg.norm(X - X[i], axis=1), i)).sum() for i in range(20)]
    np.testing.assert_allclose(np.expm1(-views["in_degree"][:20]), reverse, atol=1.01)


def test_local_outlier_factors_are_those_of_scikit_learn(X):
    views, _ = near_views(fit_near(X, 0), X, own(X))
    for k in (10, 30):
        theirs = -LocalOutlierFactor(n_neighbors=k).fit(X).negative_outlier_factor_
        np.testing.assert_allclose(np.exp(views[f"factor_{k}"]), theirs, rtol=1e-4)


def test_distances_do_not_depend_on_company(X):
    together = distances_to(X, X)
    np.testing.assert_array_equal(np.concatenate([distances_to(X[i : i + 1], X) for i in range(40)]), together[:40])
    far = X + 1e7
    assert (np.diag(distances_to(far - far.mean(0), far - far.mean(0))) == 0).all()


def test_new_rows_far_out_are_higher_in_every_distance(X):
    far = np.full((1, 4), 50.0)
    usual, _ = near_views(fit_near(X, 0), X, own(X))
    odd, _ = near_views(fit_near(X, 0), far, np.array([-1]))
    for name in ("near_1", "near_50%", "kernel_wide", "balls", "one_side", "in_degree"):
        assert odd[name][0] >= usual[name].max(), name


def test_mahalanobis_distances():
    X = np.random.default_rng(0).normal(size=(1000, 3)) * [1.0, 0.7, 1.5]
    fitted = gaussian(X)
    ours = (((X - fitted.mean) @ fitted.whiten) ** 2).sum(1)
    theirs = EmpiricalCovariance().fit(X).mahalanobis(X)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert RIDGE < 0.1
    np.testing.assert_allclose(fitted.precision, fitted.whiten @ fitted.whiten.T)


def test_the_densest_half_is_not_pulled_by_a_cluster_of_anomalies(X):
    odd = np.concatenate([X, np.random.default_rng(1).normal(size=(80, 4)) * 0.1 + 12])
    assert np.linalg.norm(densest(odd).mean - X.mean(0)) < 0.5 < np.linalg.norm(gaussian(odd).mean - X.mean(0))
    views = bulk_views(fit_bulk(odd, 0), odd)
    y = np.arange(len(odd)) >= len(X)
    assert roc_auc_score(y, views["mahalanobis_half"]) > 0.99 > roc_auc_score(y, views["mahalanobis_whole"]) - 0.01


def test_a_broken_dependence_shows_in_combinations_and_not_in_tails():
    rng = np.random.default_rng(0)
    one = rng.normal(size=500)
    X = np.column_stack([one, one + 0.05 * rng.normal(size=500), rng.normal(size=500)])
    X[:10, 0] = np.linspace(0.5, 1.3, 10)
    X[:10, 1] = -X[:10, 0]
    y = np.arange(500) < 10
    assert roc_auc_score(y, bulk_views(fit_bulk(X, 0), X)["combination_half"]) > 0.9
    assert roc_auc_score(y, marginal_views(fit_marginals(X, own(X.T)), X)["tails"]) < 0.8


def test_tails_are_shares_of_rows():
    R = np.arange(100.0)[:, None]
    left, right = tail_of(fit_marginals(R, np.zeros(1, int)), np.array([[0.0], [99.0], [50.0], [-5.0], [200.0]]))
    np.testing.assert_allclose(np.exp(-left[:, 0]), np.array([1.5, 100.5, 51.5, 0.5, 100.5]) / 101)
    np.testing.assert_allclose(np.exp(-right[:, 0]), np.array([100.5, 1.5, 50.5, 100.5, 0.5]) / 101)


def test_forests_isolate_what_is_far(X):
    odd = np.concatenate([X, [[30.0] * 4]])
    views = forest_views(fit_forests(odd, 0), odd)
    assert all(values.argmax() == 300 for values in views.values())


def test_views_are_finite_and_named_once(X):
    wild = np.column_stack([X, np.zeros(300), np.exp(5 * X[:, 0]), X[:, 1] > 0, np.r_[np.zeros(299), 1e9]])
    found, neighbors = views_of(fit_views(wild, np.arange(8), 0), wild, own(wild))
    assert all(np.isfinite(values).all() and values.shape == (300,) for values in found.values())
    assert (neighbors != own(wild)[:, None]).all()


def test_ranks_are_among_the_reference(X):
    stick = yardstick({"a": X[:, 0], "b": X[:, 1]}, {"fact": 1.0})
    np.testing.assert_allclose(np.sort(ranks_among(stick.ordered, X[:, :2])[:, 0]), (np.arange(300) + 0.5) / 300)
    assert names_of(stick)[:2] == ["rank of a", "rank of b"]
    assert names_of(stick)[-1] == "fact"


def test_a_row_of_the_table_is_read_as_that_row(X):
    context = context_of(X, np.arange(4), 0)
    again = np.concatenate([rows for _, rows in read(context, X[::-1].copy())])[::-1]
    np.testing.assert_allclose(again, context.rows, atol=1e-5)
    assert context.rows.shape == (300, len(context.names))
    several = np.concatenate([rows for _, rows in read(context, np.tile(X, (30, 1)), threads=2)])
    np.testing.assert_allclose(several[:300], context.rows, atol=1e-5)


def test_places_of_values():
    X = np.array([[0.0, 1.0], [2.0, 3.0], [0.0, 1.0], [-0.0, 1.0]])
    numbers = numbers_from_values(X, 0)
    np.testing.assert_array_equal(places_of(numbers[:2], numbers), [0, 1, 0, 0])
    assert (places_of(numbers[:2], numbers_from_values(X + 1, 0)) == -1).all()


def lessons(n):
    found = []
    for seed in range(n):
        table = contaminated.sample(seed, contaminated.Config(n_rows=(80, 200), n_features=(2, 6)))
        found += [
            lesson_of(table.X, table.y, clean=clean, family=f"synthetic/{seed}", seed=seed)
            for clean in (False, True)
            if table.y.any() or not clean
        ]
    return [lesson for lesson in found if lesson is not None]


def test_a_lesson_keeps_a_tables_shares():
    table = contaminated.sample(3, contaminated.Config(n_rows=(2000, 2000), contamination=(0.1, 0.1)))
    lesson = lesson_of(table.X, table.y, clean=False, family="a", seed=0)
    assert lesson.weight.sum() == pytest.approx(1)
    assert lesson.weight[lesson.y == 1].sum() == pytest.approx(table.y.mean())
    clean = lesson_of(table.X, table.y, clean=True, family="a", seed=0)
    assert clean.weight[clean.y == 1].sum() == pytest.approx(table.y.sum() / (table.y.sum() + (table.y == 0).sum() / 2))
    assert lesson_of(np.ones((50, 2)), np.zeros(50, int), clean=False, family="a", seed=0) is None


def test_a_reader_learns_and_is_saved(tmp_path):
    config = Config(n_trees=20, n_threads=1)
    taught = lessons(24)
    reader, figures = fit_reader(taught, config)
    assert figures["contaminated_auroc_made"] > 0.6
    assert figures["clean_auroc_made"] > 0.6
    assert fit_reader(taught, config)[0] == reader
    reader.save(tmp_path)
    again = Reader.load(tmp_path)
    assert again == reader
    rows = taught[0].rows
    np.testing.assert_array_equal(again.odds(rows, clean=True), reader.odds(rows, clean=True))
    with pytest.raises(ValueError, match="train them again"):
        reader.check(["other"])
    share, low, high = reader.share_of(np.array([0.1, 0.3]))
    assert share == pytest.approx(0.2)
    assert 0 < low <= share <= high < 1
    (tmp_path / "reader.json").write_text("{}")
    with pytest.raises(ValueError, match="settings"):
        Reader.load(tmp_path)
    (tmp_path / "clean.txt").unlink()
    with pytest.raises(FileNotFoundError, match="clean"):
        Reader.load(tmp_path)
    with pytest.raises(ValueError, match="clean should be a model"):
        replace(reader, clean="no model")


def test_the_likelier_part_is_called_where_it_is_likely_enough():
    low, middle, high = np.full(90, 0.02), np.full(5, 0.1), np.full(5, 0.6)
    reader = detector()
    assert reader.share_called(np.concatenate([low, middle, high])) == pytest.approx(0.05)
    assert reader.share_called(np.concatenate([low, middle])) == 0  # parted well, but all unlikely
    assert reader.share_called(np.full(20, 0.5)) == 0  # no part is likelier


@pytest.mark.parametrize("name", ["n_trees", "n_folds", "seed", "n_threads"])
def test_settings_of_the_training_are_checked(name):
    for value in (object(), -1):
        with pytest.raises((TypeError, ValueError), match=name):
            Config(**{name: value})


def test_hints_move_the_odds_and_little_else():
    rng = np.random.default_rng(0)
    rows = rng.random((400, 5)).astype(np.float32)
    odds = norm.ppf(rows[:, 0]) - 3
    hidden = rows[:, 1] > 0.9
    told = np.flatnonzero(hidden)[:5]
    hint = hint_of(rows, odds, rows[told], odds[told], np.ones(5, bool), 5)
    added = hint.added(rows)
    assert added[hidden].mean() > added[~hidden].mean() + 0.3
    assert np.corrcoef(odds, odds + added)[0, 1] > 0.5
    none = hint_of(rows, odds, rows[:0], odds[:0], np.zeros(0, bool), 5)
    np.testing.assert_allclose(none.added(rows), 0, atol=1e-3)


def test_sides_add_up(X):
    context = context_of(X, np.arange(4), 0)
    reasons = detector().reasons(context.rows[:10], clean=False)
    sides = sides_of(context.names, reasons)
    assert list(sides) == [*SIDES, GENERAL]
    np.testing.assert_allclose(sides.sum(axis=1), reasons.sum(1))


def test_past_tables_that_are_alike_help():
    """Anomalies are the rows nearest to the middle, which no detector looks for."""

    def table(seed):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(250, 3))
        return X, np.where((X**2).sum(1) < 0.45, -1, 1)

    tables, truths = zip(*[table(seed) for seed in range(5)], strict=True)
    reader = corrected(detector(), tables, truths)
    assert reader.correction
    X, truth = table(9)
    context = context_of(X, np.arange(3), 0)
    before, after = (one.odds(context.rows, clean=False) for one in (detector(), reader))
    assert roc_auc_score(truth < 0, after) > max(0.9, roc_auc_score(truth < 0, before))


def test_what_is_said_is_joined_with_the_mean_of_six():
    config = Config(n_trees=5, n_threads=1)
    reader, _ = fit_reader(lessons(12), config)
    rows = lessons(1)[0].rows
    six = [reader.settings.row_names.index(f"distance of {name}") for name in PLAIN]
    without = replace(reader, settings=replace(reader.settings, plain=0.0))
    assert reader.settings.plain > 0
    added = reader.settings.contaminated_slope * reader.settings.plain * rows[:, six].mean(1)
    np.testing.assert_allclose(reader.odds(rows, clean=False) - without.odds(rows, clean=False), added, atol=1e-6)
    np.testing.assert_array_equal(reader.odds(rows, clean=True), without.odds(rows, clean=True))
    told = reader.odds(rows, clean=False) - reader.reasons(rows, clean=False).sum(1)
    assert np.ptp(told) < 1e-6


@pytest.mark.parametrize(("n_rows", "n_columns"), [(3, 1), (60, 4), (500, 30)])
def test_forests_are_those_of_scikit_learn(n_rows, n_columns):
    R, Q = np.split(np.random.default_rng(1).normal(size=(n_rows + 40, n_columns)), [n_rows])
    theirs = -IsolationForest(n_estimators=100, random_state=5).fit(R).score_samples(Q)
    np.testing.assert_allclose(isolation(forest(R, 5), Q), theirs, atol=1e-12)


def test_threads_and_reuse_change_nothing(X):
    one, two = (context_of(X, np.arange(4), 0, threads) for threads in (1, 2))
    np.testing.assert_array_equal(one.rows, two.rows)
    together = np.concatenate([part for _, part in read(one, np.vstack([X, X + 0.1]), 2)])
    np.testing.assert_array_equal(together[: len(X)], one.rows)
    np.testing.assert_array_equal(together[len(X) :], np.concatenate([part for _, part in read(one, X + 0.1)]))


def test_nearest_of_equally_far_rows_are_the_same_as_without_haste():
    grid = np.random.default_rng(0).integers(0, 4, (700, 3)).astype(float)
    D = distances_to(grid, grid)
    mine = fit_near(grid, 0, brief=True)
    np.fill_diagonal(D, np.inf)
    np.testing.assert_array_equal(mine.reverse, np.maximum(np.sort(D, axis=1)[:, 19], mine.radii[:, 0].min()))


@settings(max_examples=40, deadline=None)
@given(
    n_rows=st.integers(60, 300), kind=st.sampled_from(["normal", "cauchy", "lognormal", "counts"]),
    seed=st.integers(0, 10_000), sign=st.sampled_from([-1, 1]), power=st.integers(20, 300),
)  # fmt: skip
def test_absurd_numbers_are_strange_and_others_are_not(n_rows, kind, seed, sign, power):
    rng = np.random.default_rng(seed)
    X = {
        "normal": rng.normal, "cauchy": lambda size: rng.standard_cauchy(size),
        "lognormal": lambda size: rng.lognormal(0, 2, size), "counts": lambda size: rng.poisson(0.3, size),
    }[kind](size=(n_rows, 2)).astype(float)  # fmt: skip
    before = strange_cells(usual_of(X), X)
    assert before.sum() <= 1  # one table in a hundred may hold one
    odd = X.copy()
    odd[3, 1] = sign * 10.0**power
    usual = usual_of(odd)
    strange = strange_cells(usual, odd)
    assert strange[3, 1]
    assert strange.sum() <= 2
    assert np.abs(drawn(usual, odd, strange)).max() <= max(np.abs(np.delete(odd, 3, axis=0)).max(), np.abs(odd[3, 0]))
    new = X[:1].copy()
    new[0, 0] = sign * 10.0**power
    assert strange_cells(usual_of(X), new).tolist() == [[True, bool(before[0, 1])]]
    frame = pd.DataFrame(odd)
    np.testing.assert_array_equal(strange_cells(usual_of(frame), frame), strange)


def test_few_values_or_a_second_group_are_not_strange():
    rng = np.random.default_rng(0)
    few = np.r_[rng.normal(size=15), 1e9][:, None]
    assert not strange_cells(usual_of(few), few).any()
    grouped = np.r_[rng.normal(size=480), 1e9 + rng.normal(size=20)][:, None]
    assert not strange_cells(usual_of(grouped), grouped).any()
    missing = np.r_[np.zeros(50), np.nan][:, None]
    assert not strange_cells(usual_of(missing), missing).any()


def test_what_was_learned_counts_for_tables_of_that_kind():
    def table(seed, n_columns=3):
        X = np.random.default_rng(seed).normal(size=(250, n_columns))
        return X, np.where((X[:, :3] ** 2).sum(1) < 0.45, -1, 1)

    tables, truths = zip(*[table(seed) for seed in range(4)], strict=True)
    reader = corrected(detector(), tables, truths)
    alike, other = (context_of(table(9, d)[0], np.arange(d), 0).rows for d in (3, 12))
    plain = detector()
    assert np.abs(reader.odds(alike, clean=False) - plain.odds(alike, clean=False)).max() > 0.5
    np.testing.assert_allclose(reader.odds(other, clean=False), plain.odds(other, clean=False), atol=1e-3)
    np.testing.assert_allclose(reader.reasons(other, clean=False), plain.reasons(other, clean=False), atol=1e-3)
    everywhere = replace(reader, homes=())
    assert np.abs(everywhere.odds(other, clean=False) - plain.odds(other, clean=False)).max() > 0.5

"""AnomalyDetector: conventions, degenerate tables, sameness, labels, reasons, and what it finds."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from firstsight import AnomalyDetector, PyODNames
from firstsight.selection.anomalies.reader import Reader


def planted(n_rows=400, n_columns=4, n_odd=12, seed=0, far=5.0):
    """Correlated Gaussian rows, the last ones far out, shuffled; and which they are."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(n_columns, n_columns))
    X = rng.normal(size=(n_rows, n_columns))
    X[-n_odd:] = far * np.sign(X[-n_odd:]) * rng.uniform(0.8, 1.2, (n_odd, n_columns))
    order = rng.permutation(n_rows)
    return (X @ mix)[order], (np.arange(n_rows) >= n_rows - n_odd)[order]


def check(fitted, X):
    """What holds of every answer."""
    scores, probability = fitted.score_samples(X), fitted.anomaly_probability(X)
    assert scores.shape == probability.shape == (len(X),)
    assert np.isfinite(scores).all()
    assert ((probability >= 0) & (probability <= 1)).all()
    np.testing.assert_allclose(fitted.decision_function(X), scores - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(X), np.where(scores < fitted.offset_, -1, 1))
    low, high = fitted.contamination_interval_
    assert 0 <= low <= fitted.contamination_ <= high <= 1
    assert fitted.mode_ in ("contaminated", "clean")
    reasons = fitted.explain(X[:3] if not isinstance(X, pd.DataFrame) else X.iloc[:3])
    assert reasons.columns.tolist() == ["anomaly_probability", "views", "columns", "words"]
    np.testing.assert_allclose(reasons["anomaly_probability"], probability[:3], atol=1e-9)


@parametrize_with_checks([AnomalyDetector()])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.mark.parametrize("mode", ["auto", "contaminated", "clean"])
def test_planted_anomalies_are_found(mode):
    X, odd = planted()
    fitted = AnomalyDetector(mode, random_state=0).fit(X)
    check(fitted, X)
    assert roc_auc_score(odd, fitted.anomaly_probability(X)) > 0.97
    assert fitted.mode_ == mode or mode == "auto"


def test_clean_rows_then_new_ones():
    X, odd = planted(800)
    fitted = AnomalyDetector("clean", random_state=0).fit(X[~odd])
    assert fitted.contamination_ == 0
    assert fitted.contamination_interval_ == (0, 0)
    fresh, odd = planted(800, seed=0)
    assert roc_auc_score(odd, fitted.anomaly_probability(fresh)) > 0.97


def test_the_same_seed_gives_the_same_scores_and_order_changes_nothing():
    X, _ = planted(600)
    one = AnomalyDetector(random_state=3).fit(X)
    np.testing.assert_array_equal(one.score_samples(X), AnomalyDetector(random_state=3).fit(X).score_samples(X))
    order = np.random.default_rng(0).permutation(len(X))
    other = AnomalyDetector(random_state=3).fit(X[order]).score_samples(X)
    np.testing.assert_allclose(other, one.score_samples(X), atol=1e-6)


def test_rows_are_scored_alike_alone_and_together():
    X, _ = planted(300)
    fitted = AnomalyDetector(random_state=0).fit(X)
    together = fitted.score_samples(X)
    alone = np.concatenate([fitted.score_samples(X[place : place + 1]) for place in range(20)])
    np.testing.assert_allclose(alone, together[:20], atol=1e-3)


def test_equal_rows_have_equal_scores():
    X, _ = planted(200)
    X[:3] = X[0]
    scores = AnomalyDetector(random_state=0).fit(X).score_samples(X)
    assert np.ptp(scores[:3]) < 1e-9


def test_the_unit_of_a_column_changes_little():
    X, odd = planted(500)
    scaled = X * np.array([1e3, 1e-3, 1, 1])
    one = AnomalyDetector(random_state=0).fit(X).score_samples(X)
    other = AnomalyDetector(random_state=0).fit(scaled).score_samples(scaled)
    assert np.corrcoef(one, other)[0, 1] > 0.99
    assert roc_auc_score(odd, -other) > 0.97


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((50, 3)), np.ones((1, 2)), np.arange(4.0)[:, None], np.repeat([[1.0, 2.0]], 30, axis=0),
        np.eye(6), np.arange(40.0)[:, None], np.random.default_rng(0).normal(size=(12, 40)),
        np.column_stack([np.arange(30.0), np.arange(30.0), np.zeros(30)]),
    ],
    ids=["constant", "one row", "four rows", "copies", "identity", "one column", "wide", "equal columns"],
)  # fmt: skip
def test_degenerate_tables_have_decided_answers(X):
    fitted = AnomalyDetector(random_state=0).fit(X)
    check(fitted, X)


def test_a_constant_table_shows_nothing():
    fitted = AnomalyDetector().fit(np.ones((20, 2)))
    assert (fitted.predict(np.ones((5, 2))) == 1).all()
    assert "no column varies" in fitted.explain(np.ones((1, 2)))["words"][0]


def test_missing_values_and_categories_are_taken():
    X, odd = planted(400)
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["kind"] = pd.Categorical(np.where(X[:, 0] > 0, "up", "down"))
    frame.loc[::7, "b"] = np.nan
    frame["constant"] = 1
    fitted = AnomalyDetector(random_state=0).fit(frame)
    check(fitted, frame)
    assert roc_auc_score(odd, fitted.anomaly_probability(frame)) > 0.9
    array = X.copy()
    array[::5, 1] = np.nan
    check(AnomalyDetector(random_state=0).fit(array), array)


def test_reasons_name_the_column():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(500, 4)), columns=["speed", "heat", "load", "noise"])
    frame["load"] = frame["heat"] + 0.05 * rng.normal(size=500)
    frame.loc[0, "speed"] = 9.0
    frame.loc[1, ["heat", "load"]] = (1.5, -1.5)
    fitted = AnomalyDetector(random_state=0).fit(frame)
    reasons = fitted.explain(frame.iloc[:2])
    assert reasons["columns"][0][0] == "speed"
    assert "speed = 9 is above" in reasons["words"][0]
    assert set(reasons["columns"][1][:2]) == {"heat", "load"}
    assert "what the other columns let one expect" in reasons["words"][1]
    assert (fitted.anomaly_probability(frame)[:2] > 0.1).all()


def test_labels_turn_the_scores():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 5))
    X[:60] += rng.normal(size=5) / 1.2  # shifted by less than what shows
    odd = np.arange(600) < 60
    labels = np.zeros(600, int)
    labels[:5], labels[100:105] = -1, 1
    rest = labels == 0
    without = AnomalyDetector("contaminated", random_state=0).fit(X).anomaly_probability(X)
    told = AnomalyDetector("contaminated", random_state=0).fit(X, labels=labels).anomaly_probability(X)
    assert told[:5].mean() > without[:5].mean()
    assert roc_auc_score(odd[rest], told[rest]) > roc_auc_score(odd[rest], without[rest]) - 0.02
    nothing = AnomalyDetector("contaminated", random_state=0).fit(X, labels=np.zeros(600, int))
    np.testing.assert_array_equal(nothing.anomaly_probability(X), without)


@pytest.mark.parametrize("labels", [[1, 2], np.full(400, 2), np.full(399, 1), np.full(400, "odd")])
def test_wrong_labels_are_refused(labels):
    with pytest.raises(ValueError, match="labels"):
        AnomalyDetector().fit(planted()[0], labels=labels)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"mode": "dirty"}, ValueError), ({"mode": object()}, ValueError), ({"prior": object()}, TypeError),
        ({"prior": "nowhere"}, FileNotFoundError), ({"time_budget": 0}, ValueError), ({"n_jobs": 0}, ValueError),
        ({"time_budget": "1"}, TypeError), ({"n_jobs": 1.5}, TypeError),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(settings, error):
    with pytest.raises(error, match="|".join(settings) + "|nowhere"):
        AnomalyDetector(**settings).fit(planted()[0])


@pytest.mark.parametrize(
    "X", [np.zeros((0, 2)), [[np.inf, 1.0], [0.0, 1.0]], pd.DataFrame(), pd.DataFrame({"a": [np.inf, 1.0]})]
)
def test_tables_that_are_none_are_refused(X):
    with pytest.raises(ValueError, match=r"sample|inf|rows"):
        AnomalyDetector().fit(X)


def test_it_survives_clone_pickle_and_a_pipeline():
    X, odd = planted()
    fitted = AnomalyDetector(random_state=0, time_budget=1.0, n_jobs=1).fit(X)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.score_samples(X), fitted.score_samples(X))
    np.testing.assert_array_equal(clone(fitted).fit(X).score_samples(X), fitted.score_samples(X))
    piped = make_pipeline(StandardScaler(), AnomalyDetector(random_state=0)).fit(X)
    assert roc_auc_score(odd, -piped.score_samples(X)) > 0.97


def test_a_budget_takes_fewer_rows():
    X, odd = planted(3000)
    small = AnomalyDetector(random_state=0, time_budget=0.5).fit(X)
    assert len(small._context.rows) < len(AnomalyDetector(random_state=0).fit(X)._context.rows)
    assert roc_auc_score(odd, small.anomaly_probability(X)) > 0.9


def test_meta_fit_learns_and_is_saved(tmp_path):
    tables, truths = zip(*[planted(200, seed=seed, far=2.0) for seed in range(4)], strict=True)
    truths = [np.where(odd, -1, 1) for odd in truths]
    taught = AnomalyDetector(random_state=0).meta_fit(tables, truths)
    assert isinstance(taught.prior, Reader)
    taught.prior.save(tmp_path)
    X, _ = planted(seed=9)
    loaded = AnomalyDetector(random_state=0, prior=tmp_path).fit(X)
    np.testing.assert_array_equal(loaded.score_samples(X), taught.fit(X).score_samples(X))


@pytest.mark.parametrize(
    ("tables", "truths", "words"),
    [
        ([np.eye(5)], [], "one for each"), ([np.eye(5)] * 3, [np.ones(4)] * 3, "label for each"),
        ([np.eye(5)] * 3, [np.zeros(5)] * 3, "anomaly"), ([np.eye(5)] * 3, [np.ones(5)] * 3, "at least 3"),
    ],
)  # fmt: skip
def test_meta_fit_refuses_what_teaches_nothing(tables, truths, words):
    with pytest.raises(ValueError, match=words):
        AnomalyDetector().meta_fit(tables, truths)


@settings(max_examples=25, deadline=None)
@given(
    X=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 30), st.integers(1, 4)),
        elements=st.one_of(st.sampled_from([0.0, 1.0, np.nan]), st.floats(-1e6, 1e6, width=32)),
    )
)
def test_any_table_has_an_answer(X):
    check(AnomalyDetector(random_state=0).fit(X), X)


def test_names_of_pyod():
    X, odd = planted()
    fitted = PyODNames(AnomalyDetector("contaminated", random_state=0)).fit(X)
    assert roc_auc_score(odd, fitted.decision_scores_) > 0.97
    np.testing.assert_array_equal(fitted.labels_, fitted.decision_scores_ > fitted.threshold_)
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    np.testing.assert_array_equal(fitted.labels_ == 1, fitted.detector_.predict(X) == -1)
    np.testing.assert_allclose(fitted.predict_proba(X).sum(1), 1)
    np.testing.assert_array_equal(fitted.predict_proba(X)[:, 1], fitted.detector_.anomaly_probability(X))
    assert fitted.contamination == fitted.detector_.contamination_
    np.testing.assert_array_equal(
        PyODNames(AnomalyDetector("contaminated", random_state=0)).fit_predict(X), fitted.labels_
    )


@pytest.mark.parametrize("value", [1e20, 1e160, -1e300])
def test_values_of_any_size_have_answers(value):
    X, _ = planted(200)
    fitted = AnomalyDetector(random_state=0).fit(X)
    far = X[:2].copy()
    far[0, 0] = value
    assert fitted.anomaly_probability(far)[0] >= fitted.anomaly_probability(X[:1])[0]
    X[3, 1] = value
    fitted = AnomalyDetector(random_state=0).fit(X)
    check(fitted, X)
    probability = fitted.anomaly_probability(X)
    assert (probability > probability[3]).sum() < 20  # a dozen others are far out in every column


def test_rows_that_are_equal_are_called_together():
    X = np.repeat([[0.0], [1.0]], 50, axis=0)
    fitted = AnomalyDetector(random_state=0).fit(X)
    assert (fitted.predict(X) == 1).all()
    X[0] = 7.0
    assert (AnomalyDetector(random_state=0).fit(X).predict(X) == -1).sum() == 1


def test_labels_that_are_true_or_false_are_refused():
    X, odd = planted()
    with pytest.raises(ValueError, match="labels should be -1"):
        AnomalyDetector().fit(X, labels=odd)


def test_reasons_add_up_to_the_odds():
    X, odd = planted()
    labels = np.where(odd & (np.arange(len(X)) % 2 == 0), -1, 0)
    fitted = AnomalyDetector("contaminated", random_state=0).fit(X, labels=labels)
    added = pd.DataFrame(fitted.explain(X)["views"].tolist()).sum(axis=1)
    assert np.std(added + fitted.score_samples(X)) < 0.01


def test_shares_in_words_are_true():
    frame = pd.DataFrame({"a": np.r_[np.arange(199.0), 1e3], "b": np.random.default_rng(0).normal(size=200)})
    words = (
        AnomalyDetector(random_state=0).fit(frame).explain(pd.DataFrame({"a": [1e3, 197.5], "b": [0.0, 0.0]}))["words"]
    )
    assert "a = 1000 is above 99.5% of the rows" in words[0]
    assert "a = 197.5 is above 99.0% of the rows" in words[1]


def test_an_array_after_a_frame_is_taken_by_position():
    X, _ = planted(100)
    fitted = AnomalyDetector(random_state=0).fit(pd.DataFrame(X, columns=list("abcd")))
    with pytest.warns(UserWarning, match="feature names"):
        found = fitted.score_samples(X)
    np.testing.assert_array_equal(found, fitted.score_samples(pd.DataFrame(X, columns=list("abcd"))))


def test_a_detector_that_has_learned_is_shown_briefly():
    from firstsight.pretrained import detector

    assert len(repr(AnomalyDetector(prior=detector()))) < 200


@pytest.mark.parametrize("n_rows", [60, 400, 2500])
@pytest.mark.parametrize("value", [1e6, 1e20, -1e300])
def test_one_absurd_value_makes_an_anomaly_and_hides_nothing(n_rows, value):
    X, odd = planted(n_rows, n_odd=n_rows // 40)
    usual = int(np.flatnonzero(~odd)[0])
    before = AnomalyDetector(random_state=0).fit(X).anomaly_probability(X)
    X[usual, 2] = value
    fitted = AnomalyDetector(random_state=0).fit(X)
    probability = fitted.anomaly_probability(X)
    assert probability[usual] > 0.5
    assert (probability > probability[usual]).sum() <= odd.sum()
    assert fitted.predict(X)[usual] == -1
    others = np.arange(n_rows) != usual
    assert np.median(np.abs(probability - before)[others]) < 0.02
    assert roc_auc_score(odd[others], probability[others]) > 0.97
    reasons = fitted.explain(X[[usual]])
    assert reasons["columns"][0][0] == "x2"
    assert "far beyond all usual values" in reasons["words"][0]
    assert reasons["anomaly_probability"][0] == pytest.approx(probability[usual])


def test_heavy_tails_and_counts_are_not_called_wholesale():
    rng = np.random.default_rng(0)
    for X in (rng.standard_cauchy((500, 4)), rng.lognormal(0, 2, (500, 4)), rng.poisson(0.1, (500, 4)).astype(float)):
        fitted = AnomalyDetector(random_state=0).fit(X)
        assert (fitted.anomaly_probability(X) > 0.5).sum() <= 1
        assert (fitted.predict(X) < 0).mean() < 0.2


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame])
def test_a_constant_column_that_begins_to_vary_is_found(kind):
    X, _ = planted(300)
    X[:, 1] = 5.0
    fitted = AnomalyDetector(random_state=0).fit(kind(X))
    fitted = pickle.loads(pickle.dumps(fitted))
    assert (fitted.anomaly_probability(kind(X)) < 0.95).all()
    new = X[:3].copy()
    new[0, 1], new[1, 1] = 5.001, np.nan
    probability, before = fitted.anomaly_probability(kind(new)), fitted.anomaly_probability(kind(X[:3]))
    assert probability[0] > 0.9
    assert fitted.predict(kind(new))[0] == -1
    np.testing.assert_allclose(probability[1:], before[1:], atol=1e-9)
    reasons = fitted.explain(kind(new))
    assert reasons["columns"][0][0] == ("x1" if kind is np.asarray else "1")
    assert "= 5.001 where all rows have 5" in reasons["words"][0]


def test_a_category_that_was_never_seen_in_a_column_of_one_is_found():
    X, _ = planted(100)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(site="Rome")
    fitted = AnomalyDetector(random_state=0).fit(frame)
    new = frame.iloc[:3].assign(site=["Oslo", None, "Rome"])
    probability, before = fitted.anomaly_probability(new), fitted.anomaly_probability(frame.iloc[:3])
    assert probability[0] > 0.9
    np.testing.assert_allclose(probability[1:], before[1:])
    assert fitted.explain(new)["columns"][0][0] == "site"
    assert "site = Oslo where all rows have Rome" in fitted.explain(new)["words"][0]


def test_new_rows_that_differ_from_a_constant_table_are_found():
    fitted = AnomalyDetector().fit(np.ones((20, 2)))
    assert fitted.predict([[1.0, 2.0], [1.0, 1.0], [1.0, np.nan]]).tolist() == [-1, 1, 1]
    reasons = fitted.explain([[1.0, 2.0]])
    assert reasons["columns"][0] == ["x1"]
    assert "x1 = 2 where all rows have 1" in reasons["words"][0]
    few = AnomalyDetector().fit(np.ones((6, 2)))
    assert (few.predict([[1.0, 2.0]]) == 1).all()


def test_few_obvious_anomalies_are_called_alone():
    X, odd = planted()
    rare = np.concatenate([X[odd == 0], X[odd == 1][:4]])
    called = AnomalyDetector(random_state=0).fit(rare).predict(rare) < 0
    assert called[-4:].all()
    assert called.sum() < 10

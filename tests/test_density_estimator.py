"""The estimator: scikit-learn's contract, densities that are known, tables of every kind, and cells that are filled."""

import copy
import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from firstsight import DensityEstimator
from test_clusterer import table

CORRELATION = 0.8


def normal_rows(n_rows=300, seed=0):
    generator = np.random.default_rng(seed)
    return generator.multivariate_normal([10, -1], [[4, 2 * CORRELATION], [2 * CORRELATION, 1]], n_rows)


def mixed_rows(n_rows=120, seed=0):
    """Every kind of column, each with what it is written as; the group decides the number."""
    generator = np.random.default_rng(seed)
    group = generator.integers(0, 3, n_rows)
    return pd.DataFrame(
        {
            "number": 10.0 * group + generator.normal(size=n_rows),
            "group": pd.Categorical.from_codes(group, ["low", "mid", "high"], ordered=True),
            "word": np.array(["one", "two", "three"])[group],
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(generator.integers(0, 300, n_rows), unit="D"),
            "moment": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(generator.random(n_rows), unit="h"),
            "written": [f"2024-03-{day:02}" for day in generator.integers(1, 29, n_rows)],
            "length": pd.to_timedelta(generator.integers(0, 1000, n_rows), unit="s"),
            "yes": generator.random(n_rows) < 0.3,
            "count": generator.poisson(3, n_rows).clip(0, 7),
            "id": np.arange(n_rows) * 3,
            "nullable": pd.array(generator.integers(100, 900, n_rows), dtype="Int64"),
            "small": generator.normal(size=n_rows).astype(np.float32),
            "text": [f"note {place} of many" for place in range(n_rows)],
            "same": "x",
            "rounded": generator.normal(size=n_rows).round(1),
        }
    )


@functools.cache
def of_normal_rows():
    return DensityEstimator(random_state=0).fit(normal_rows(500))


@functools.cache
def of_mixed_rows():
    return DensityEstimator(random_state=0).fit(mixed_rows())


def holes_in(X, share=0.15, seed=0):
    return X.mask(np.random.default_rng(seed).random(X.shape) < share)


def check(fitted, X):
    """What holds of every density."""
    scores = fitted.score_samples(X)
    assert scores.shape == (len(X),)
    assert np.isfinite(scores).all()
    assert fitted.score(X) == pytest.approx(scores.mean())
    drawn = fitted.sample(7)
    assert type(drawn) is type(X)
    assert drawn.shape == (7, X.shape[1])
    if isinstance(X, pd.DataFrame):
        assert drawn.dtypes.equals(X.dtypes)
    assert np.isfinite(fitted.score_samples(drawn)).all()
    experts = fitted.experts_
    assert experts.columns.tolist() == ["expert", "weight", "components"]
    assert len(experts) == 0 or experts["weight"].sum() == pytest.approx(1)
    assert fitted.explain().endswith(".")


# --- scikit-learn ----------------------------------------------------------------------------------------------------


@parametrize_with_checks([DensityEstimator(random_state=0)])
def test_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_a_clone_a_copy_and_a_pickle():
    X = normal_rows(40)
    one = DensityEstimator(n_jobs=1, random_state=7)
    assert clone(one).get_params() == one.get_params()
    one.fit(X)
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one)), clone(one).fit(X)):
        np.testing.assert_array_equal(other.score_samples(X), one.score_samples(X))
        np.testing.assert_array_equal(other.sample(3), one.sample(3))
        assert other.explain() == one.explain()


@pytest.mark.parametrize("name", ["score_samples", "score", "impute", "explain", "experts_", "sample"])
def test_nothing_before_fit(name):
    with pytest.raises(NotFittedError):
        getattr(DensityEstimator(), name)(*([] if name in ("explain", "sample") else [np.zeros((2, 2))]))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"prior": 3}, TypeError, "prior=3 should be what meta_fit learned"),
        ({"n_jobs": 0}, ValueError, "n_jobs=0 should be >= 1"),
    ],
)
def test_settings_that_are_refused(settings, error, words):
    with pytest.raises(error, match=words):
        DensityEstimator(**settings).fit(normal_rows(20))


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame])
def test_infinite_values_are_refused(make):
    X = normal_rows(20)
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match="infin"):
        DensityEstimator().fit(make(X))


# --- densities that are known ----------------------------------------------------------------------------------------


def test_a_normal_table_has_nearly_its_density():
    fitted = of_normal_rows()
    new = normal_rows(2000, seed=1)
    true = stats.multivariate_normal([10, -1], [[4, 2 * CORRELATION], [2 * CORRELATION, 1]]).logpdf(new)
    assert fitted.score(new) == pytest.approx(true.mean(), abs=0.03)
    drawn = fitted.sample(5000)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(new.T), rtol=0.15)


def test_units_are_those_of_the_table():
    X = normal_rows(60)
    one, two = DensityEstimator(random_state=0).fit(X), DensityEstimator(random_state=0).fit(X * 1000)
    np.testing.assert_allclose(two.score_samples(X * 1000), one.score_samples(X) - 2 * np.log(1000), atol=1e-6)


@pytest.mark.parametrize("n_values", [4, 30])
def test_whole_numbers_have_probabilities_that_add_up_to_one(n_values):
    X = np.random.default_rng(0).binomial(n_values - 1, 0.4, (400, 1)).astype(float)
    fitted = DensityEstimator(random_state=0).fit(X)
    # A category has probabilities, a column with steps of 1 a density that is as good as one.
    everywhere = fitted.score_samples(np.arange(-20.0, 60)[:, None] if n_values > 10 else np.unique(X)[:, None])
    assert np.exp(everywhere).sum() == pytest.approx(1, abs=0.03)
    entropy = stats.binom(n_values - 1, 0.4).entropy()
    assert fitted.score(X) == pytest.approx(-entropy, abs=0.1)
    assert set(fitted.sample(50).ravel()) <= set(range(-5, 40))


def test_a_column_that_is_mostly_zero_makes_no_spike():
    generator = np.random.default_rng(0)
    X = np.where(generator.random((300, 1)) < 0.7, 0, generator.exponential(size=(300, 1)).round(2))
    fitted = DensityEstimator(random_state=0).fit(X)
    # Seven in ten within a hundredth have a density of 70 there, and no more.
    assert np.log(20) < fitted.score_samples(np.zeros((1, 1)))[0] < np.log(150)
    assert (fitted.sample(500) == 0).mean() == pytest.approx(0.7, abs=0.1)


def test_values_far_from_all_others_are_unlikely_but_finite():
    fitted = of_normal_rows()
    far = np.array([[10, -1], [20, -1], [100, -1], [1e6, -1], [1e90, -1]], dtype=float)
    scores = fitted.score_samples(far)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()


@settings(max_examples=10, deadline=None)
@given(st.floats(-100, 100))
def test_a_missing_cell_is_integrated_out(value):
    fitted = of_normal_rows()
    grid = np.linspace(-200, 220, 3001)
    joint = fitted.score_samples(np.column_stack([grid, np.full_like(grid, value)]))
    top = joint.max()
    alone = fitted.score_samples([[np.nan, value]])[0]
    assert np.log(np.trapezoid(np.exp(joint - top), grid)) + top == pytest.approx(alone, abs=1e-2, rel=1e-3)


def test_the_order_of_rows_and_threads_change_nothing():
    X = mixed_rows(60)
    order = np.random.default_rng(0).permutation(60)
    one = DensityEstimator(random_state=0, n_jobs=1).fit(X)
    two = DensityEstimator(random_state=0, n_jobs=2).fit(X.iloc[order])
    np.testing.assert_allclose(one.score_samples(X), two.score_samples(X), rtol=1e-9)


@pytest.mark.slow
def test_more_rows_than_are_learned_from():
    X = normal_rows(20_000)
    fitted = DensityEstimator(random_state=0).fit(X)
    check(fitted, X)
    assert fitted.experts_["components"].max() <= 2000


# --- tables of every kind --------------------------------------------------------------------------------------------


def test_every_kind_of_column_comes_back_as_it_was():
    X = mixed_rows()
    before = X.copy(deep=True)
    fitted = DensityEstimator(random_state=0).fit(X)
    check(fitted, X)
    pd.testing.assert_frame_equal(X, before)
    drawn = fitted.sample(300)
    assert drawn.columns.tolist() == X.columns.tolist()
    assert set(drawn["group"]) == {"low", "mid", "high"}
    assert set(drawn["count"]) <= set(X["count"])
    assert (drawn["day"] == drawn["day"].dt.normalize()).all()
    assert drawn["written"].str.fullmatch(r"20\d\d-\d\d-\d\d").all()
    assert (drawn["same"] == "x").all()
    assert drawn["text"].isna().all()
    np.testing.assert_allclose(drawn["rounded"] * 10, (drawn["rounded"] * 10).round(), atol=1e-9)
    # The group decides the number, in draws too.
    near = (drawn["number"] / 10).round().clip(0, 2)
    assert (near == drawn["group"].cat.codes).mean() > 0.8
    assert "as they do not vary or are missing nearly everywhere: 'same'" in fitted.explain()
    assert "as they are texts: 'text'" in fitted.explain()


def test_a_table_of_the_other_estimators_with_missing_cells():
    X, _ = table()
    fitted = DensityEstimator(random_state=0).fit(X)
    check(fitted, X)
    new = X.head(3).assign(colour=pd.Categorical(["violet"] * 3))
    scores = fitted.score_samples(new)
    assert np.isfinite(scores).all()
    assert (scores < fitted.score_samples(X.head(3))).all()


@pytest.mark.parametrize(
    "X",
    [
        np.ones((50, 3)),
        np.zeros((1, 2)),
        np.full((4, 2), np.nan),
        np.arange(6.0).reshape(2, 3),
        np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, 4.0]]),
        np.array([[1e300, 0], [1, 1], [2, 5], [1e-300, 7], [4, 4], [5, 5]]),
        1e9 + np.eye(3) * 1e-7,
        np.repeat(np.arange(12.0).reshape(4, 3) ** 2, 20, axis=0),
        np.random.default_rng(0).normal(size=(5, 40)),
        np.random.default_rng(0).normal(size=(30, 1)),
        1e-100 * normal_rows(30),
        1e90 * normal_rows(30),
        np.random.default_rng(0).integers(0, 2, (200, 3)).astype(float),
        normal_rows(20).astype(np.float32),
        pd.DataFrame({"a": ["x"] * 9}),
        pd.DataFrame({"a": ["x", "y"] * 6, "b": list("abc") * 4}),
        pd.DataFrame({"a": ["x", "x", "y", "y"] + [None] * 26, "b": np.arange(30.0) ** 2}),
        pd.DataFrame({"a": ["x", None] * 6, "b": [True, False, True] * 4}),
        pd.DataFrame({"text": [f"a text, the {i}th of its kind" for i in range(40)]}),
    ],
)
def test_tables_at_the_edge(X):
    before = X.copy()
    fitted = DensityEstimator(random_state=0).fit(X)
    check(fitted, X)
    for draw in (False, True):
        filled = fitted.impute(X, draw=draw)
        assert type(filled) is type(X)
        there = ~pd.isna(before)
        assert (filled[there] == before[there]).sum().sum() == there.sum().sum()
    assert before.equals(X) if isinstance(X, pd.DataFrame) else np.array_equal(before, X, equal_nan=True)


def test_an_array_of_words_and_numbers():
    X = np.array([["a", 1.5], ["b", 2.5], ["a", np.nan], ["b", 2.0]] * 10, dtype=object)
    fitted = DensityEstimator(random_state=0).fit(X)
    assert fitted.sample(3).dtype == object
    assert set(fitted.sample(30)[:, 0]) == {"a", "b"}
    assert not pd.isna(fitted.impute(X)).any()


# --- what is given, and what is missing ------------------------------------------------------------------------------


def test_what_is_given_moves_the_rest():
    fitted = of_normal_rows()
    drawn = fitted.sample(4000, given={0: 13.0})
    assert (drawn[:, 0] == 13).all()
    assert drawn[:, 1].mean() == pytest.approx(-1 + CORRELATION * 1.5, abs=0.1)
    assert drawn[:, 1].std() == pytest.approx(np.sqrt(1 - CORRELATION**2), abs=0.08)
    np.testing.assert_array_equal(fitted.sample(2, given={0: 13, 1: -1}), [[13, -1], [13, -1]])


def test_what_is_given_of_mixed_columns():
    fitted = of_mixed_rows()
    drawn = fitted.sample(200, given={"group": "high", "day": "2024-02-01"})
    assert set(drawn["group"]) == {"high"}
    assert (drawn["day"] == pd.Timestamp("2024-02-01")).all()
    assert drawn["number"].mean() == pytest.approx(20, abs=2.0)
    assert (drawn["word"] == "three").mean() > 0.9
    assert (fitted.sample(100, given={"number": -0.3})["group"] == "low").mean() > 0.9


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ({"nothing": 1}, ValueError, "should name columns; the table has 'number', 'group'"),
        ({"same": "x"}, ValueError, "this one is left out"),
        ({"text": "x"}, ValueError, "this one is left out"),
        ({"group": "unseen"}, ValueError, "should be a level that was seen: 'high', 'low', 'mid'"),
        ({"number": None}, ValueError, "found a missing one"),
        ({"number": np.inf}, ValueError, "should be finite"),
        ({"number": "many"}, ValueError, "should hold numbers"),
        (["number"], TypeError, "should be a dict"),
    ],
)
def test_what_cannot_be_given(value, error, words):
    fitted = of_mixed_rows()
    with pytest.raises(error, match=words):
        fitted.sample(2, given=value)
    with pytest.raises(ValueError, match="n_samples=0 should be >= 1"):
        fitted.sample(0)


def test_missing_numbers_are_their_conditional_means():
    fitted = of_normal_rows()
    new = np.array([[12.0, np.nan], [np.nan, 0.0], [np.nan, np.nan], [9.0, -1.0]])
    filled = fitted.impute(new)
    wanted = [[12, -1 + CORRELATION], [10 + 2 * CORRELATION, 0], [10, -1], [9, -1]]
    np.testing.assert_allclose(filled, wanted, atol=0.25)
    many = fitted.impute(np.repeat(new[:1], 4000, axis=0), draw=True)
    assert many[:, 1].mean() == pytest.approx(filled[0, 1], abs=0.05)
    assert many[:, 1].std() == pytest.approx(np.sqrt(1 - CORRELATION**2), abs=0.08)
    assert np.isnan(new).sum() == 4


def test_missing_cells_of_mixed_columns():
    X = mixed_rows(100)
    holed = holes_in(X)
    holed.index = holed.index + 50
    fitted = DensityEstimator(random_state=0).fit(holed)
    filled = fitted.impute(holed)
    assert filled.index.equals(holed.index)
    assert not filled.drop(columns="text").isna().any().any()
    there = holed.notna()
    assert (filled.astype(object)[there] == holed.astype(object)[there]).sum().sum() == there.sum().sum()
    lost = holed["group"].isna().to_numpy()
    known = lost & (holed["number"].notna() | holed["word"].notna()).to_numpy()
    assert (filled["group"].to_numpy()[known] == X["group"].to_numpy()[known]).mean() > 0.9
    numbers = holed["number"].isna().to_numpy() & (holed["group"].notna() | holed["word"].notna()).to_numpy()
    assert np.abs(filled["number"].to_numpy() - X["number"].to_numpy())[numbers].mean() < 4
    drawn = fitted.impute(holed, draw=True)
    assert not drawn.drop(columns="text").isna().any().any()
    assert drawn.dtypes.equals(filled.dtypes)


def test_gaps_at_random_cost_little():
    X = normal_rows(200)
    holed = X.copy()
    holed[np.random.default_rng(0).random(X.shape) < 0.25] = np.nan
    new = normal_rows(1000, seed=1)
    full, gaps = (DensityEstimator(random_state=0).fit(rows).score(new) for rows in (X, holed))
    assert gaps == pytest.approx(full, abs=0.1)

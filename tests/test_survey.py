"""What is said of every column of one table, and what is made of it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firstsight.columns.clean import OTHER, cleaned
from firstsight.columns.figures import figures
from firstsight.columns.survey import repeated_rows, survey

N = 200
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=N)


def one(values, name="a"):
    return survey(pd.DataFrame({name: values, "other": NUMBERS}))[0]


def words(n, per_text):
    vocabulary = np.array(["quick", "slow", "late", "kind", "broken", "small", "large", "early"])
    return [" ".join(RNG.choice(vocabulary, per_text)) + f" {place}" for place in range(n)]


KINDS = {
    "numbers": (NUMBERS * 2 + RNG.normal(size=N), "number", True),
    "whole numbers with repeats": (RNG.integers(0, 50, N), "number", True),
    "money": ([f"${value:,.2f}" for value in RNG.lognormal(8, 1, N)], "number", True),
    "numbers as text": ([f"{value:.3f}" for value in RNG.normal(size=N)], "number", True),
    "truth values": (RNG.random(N) < 0.5, "number", True),
    "counting": (np.arange(N) + 7, "identifier", False),
    "counting down by two": (2.0 * np.arange(N)[::-1], "identifier", False),
    "shuffled places": (RNG.permutation(N), "identifier", False),
    "codes": ([f"k{place:05d}" for place in RNG.permutation(N)], "identifier", False),
    "sentences": (words(N, 6), "text", False),
    "few words": (RNG.choice(["red", "green", "blue"], N), "category", True),
    "a word or none": (np.where(RNG.random(N) < 0.5, "x", None), "category", True),
    "one number": (np.full(N, 3.5), "constant", False),
    "one word": (["same"] * N, "constant", False),
    "nothing": (np.full(N, np.nan), "empty", False),
    "nearly nothing": ([1.0, 2.0] + [np.nan] * (N - 2), "empty", False),
    "dates": ([f"20{10 + place % 13}-0{1 + place % 9}-11" for place in RNG.permutation(N)], "date", True),
    "days in order": (pd.date_range("2024-01-01", periods=N, freq="D"), "date", False),
}


@pytest.mark.parametrize("case", KINDS)
def test_columns_are_what_a_person_would_call_them(case):
    values, kind, used = KINDS[case]
    found = one(values)
    assert (found.kind, found.used) == (kind, used)
    assert bool(found.why) or used


@pytest.mark.parametrize(
    ("name", "kind"),
    [("customer_id", "identifier"), ("orderId", "identifier"), ("ID", "identifier"), ("paid", "number")],
)
def test_names_tell_identifiers_where_numbers_do_not(name, kind):
    different = np.random.default_rng(1).choice(10_000, N, replace=False)
    assert one(different, name).kind == kind


def test_long_categories_keep_their_frequent_levels():
    values = RNG.choice(["a", "b", "c"], N).tolist()
    values[::5] = [f"rare {place}" for place in range(len(values[::5]))]
    found = one(values)
    assert (found.kind, found.levels) == ("category", ("a", "b", "c"))
    table = cleaned([found], pd.DataFrame({"a": values}))
    assert set(table["a"]) == {"a", "b", "c", OTHER}


def test_copies_are_named_with_what_they_copy():
    table = pd.DataFrame({
        "a": NUMBERS, "scaled": -3 * NUMBERS + 1, "bent": np.exp(NUMBERS), "near": NUMBERS + RNG.normal(size=N),
        "word": np.where(NUMBERS > 0, "yes", "no"), "other word": np.where(NUMBERS > 0, "ja", "nein"),
    })  # fmt: skip
    found = {column.name: column for column in survey(table)}
    for copy, original in (("scaled", "a"), ("bent", "a"), ("other word", "word")):
        assert found[copy].kind == "copy"
        assert repr(original) in found[copy].why
    assert [name for name, column in found.items() if column.used] == ["a", "near", "word"]


def test_numbers_that_stand_for_missing_ones_are_taken_as_missing():
    age = RNG.integers(18, 90, N).astype(float)
    age[:10] = -999
    found = one(age)
    assert (found.marker, found.example) == (-999, "-999")
    assert found.missing == pytest.approx(10 / N)
    table = cleaned([found], pd.DataFrame({"a": age}))
    assert table["a"].isna().sum() == 10
    assert table["a"].min() >= 18
    # It is a number like others where others are near it, and where it is there once.
    assert one(np.concatenate([np.arange(-1050, -950), RNG.integers(0, 9, N - 100)])).marker is None
    age[1:10] = 40
    assert one(age).marker is None


@pytest.mark.parametrize("share", [0.04, 0.3])
def test_markers_are_found_within_wide_ranges_and_beside_outliers(share):
    rng = np.random.default_rng(0)
    income = rng.normal(5000, 800, 500).round()
    income[rng.random(500) < share] = -999
    assert one_of(income).marker == -999
    income[17] = 500_000
    assert one_of(income).marker == -999
    for usual in (rng.normal(0, 900, 500).round(), rng.poisson(3, 500), rng.integers(-1, 6, 500)):
        assert one_of(usual).marker is None


def test_identifiers_with_a_gap_or_a_repeat_are_identifiers():
    numbers = np.arange(300.0) + 1000
    numbers[5] = np.nan
    assert one_of(numbers).kind == "identifier"
    shuffled = np.random.default_rng(0).permutation(300) + 1000
    shuffled[5] = shuffled[6]
    assert one_of(shuffled).kind == "identifier"
    assert one_of(np.random.default_rng(0).integers(0, 10**6, 300)).kind == "number"


def test_dates_written_as_numbers_are_dates():
    days = pd.to_datetime("2019-01-01") + pd.to_timedelta(np.random.default_rng(0).integers(0, 900, 300), unit="D")
    packed = days.strftime("%Y%m%d").astype(int)
    found = one_of(packed)
    assert (found.kind, found.used) == ("date", True)
    result = cleaned([found], pd.DataFrame({"a": packed}))["a"]
    np.testing.assert_array_equal(result, (days - pd.Timestamp("1970-01-01")).days)
    assert one_of(np.random.default_rng(0).integers(19_000_000, 21_000_000, 300)).kind == "number"


def test_values_that_are_no_dates_are_counted():
    dates = pd.date_range("2024-01-01", periods=100).strftime("%Y-%m-%d").tolist()[::-1]
    dates[3] = dates[40] = "unknown"
    found = one_of(dates)
    assert found.kind == "date"
    assert "2 values are no date" in found.caution
    assert found.example == "unknown"


def one_of(values):
    return survey(pd.DataFrame({"a": values}))[0]


def test_words_among_numbers_are_counted():
    values = [f"{value:.2f}" for value in NUMBERS]
    values[3] = "broken sensor"
    found = one(values)
    assert found.kind == "number"
    assert found.example == "broken sensor"
    assert "1 value is no number" in found.caution
    assert cleaned([found], pd.DataFrame({"a": values}))["a"].isna().sum() == 1


def test_other_rows_are_cleaned_in_the_same_way():
    table = pd.DataFrame({"price": ["$1,200", "$800", "$950"] * 20, "colour": ["red", "blue", "red"] * 20})
    found = survey(table.assign(n=np.arange(60) % 7))
    later = pd.DataFrame({"price": ["$3", None], "colour": ["green", None], "n": [1, 2]})
    result = cleaned(found, later)
    np.testing.assert_array_equal(result["price"], [3, np.nan])
    assert result["colour"].tolist() == [OTHER, None]


def test_copies_of_rows_hide_no_identifier():
    table = pd.DataFrame({"key": [f"k{place}" for place in range(60)], "n": np.arange(60) + 5, "x": NUMBERS[:60]})
    table = pd.concat([table, table.iloc[:10]], ignore_index=True)
    assert [column.kind for column in survey(table)] == ["identifier", "identifier", "number"]
    assert repeated_rows(table).sum() == 10
    assert repeated_rows(table.assign(x=np.arange(70))).sum() == 0


def test_wide_tables_are_compared_on_some_rows():
    X = np.random.default_rng(0).normal(size=(12_000, 3))
    found = survey(pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 0] * 2}))
    assert [column.kind for column in found] == ["number", "number", "copy"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1), ("-1.5", -1.5), ("$1,200.50", 1200.5), ("-$3", -3), ("$-3", -3), ("12 %", 12), ("12%", 12),
        ("(4.5)", -4.5), ("1 000 \u20ac", 1000), ("\u20ac7", 7), (".5", 0.5), ("1,234,567", 1234567), ("\u22122", -2),
        ("1,2", np.nan), ("12,34,567", np.nan), ("", np.nan), ("about 3", np.nan), ("2024-01-01", np.nan),
    ],
)  # fmt: skip
def test_figures_read_as_people_mean_them(text, number):
    np.testing.assert_equal(figures([text])[0], number)


CELLS = st.one_of(
    st.none(), st.integers(-(10**20), 10**20), st.floats(), st.booleans(), st.text(max_size=8), st.dates(),
    st.sampled_from(["", "NA", "-999", "$5", "1,000", "2024-01-01"]),
)  # fmt: skip


@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=30))
@example(rows=[[None, None, float("inf")]])
def test_any_cells_are_surveyed_and_cleaned(rows):
    table = pd.DataFrame(rows, columns=["a", "b", "c"], dtype=object)
    before = table.copy()
    found = survey(table)
    assert [column.name for column in found] == ["a", "b", "c"]
    assert all(0 <= column.missing <= 1 for column in found)
    result = cleaned(found, table)
    assert list(result) == [column.name for column in found if column.used]
    assert len(result) == len(table)
    for name in result:
        assert result[name].dtype in (np.float64, object)
    pd.testing.assert_frame_equal(table, before)

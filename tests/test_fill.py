"""Missing cells are filled from similar rows, and tell nobody apart."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from firstsight import Clusterer
from firstsight.selection.fill import Block, donors_of, filled
from firstsight.selection.matrix import learn_encoding, numbers_of

NUMBERS = [Block(0, 1, False), Block(1, 2, False)]


def test_a_missing_number_is_the_mean_of_the_five_most_similar_rows():
    first = np.concatenate([np.linspace(0, 1, 20), np.linspace(10, 11, 20)])
    X = np.column_stack([first, 5 * first])
    missing = np.zeros((40, 2), bool)
    missing[7, 1] = True
    found = filled(donors_of(X, missing, NUMBERS), X, missing)
    np.testing.assert_array_equal(np.delete(found, 7, 0), np.delete(X, 7, 0))
    # The row itself has none; two below, two above and one of the next two are the most similar.
    assert found[7, 1] in (pytest.approx(X[[5, 6, 8, 9, 4], 1].mean()), pytest.approx(X[[5, 6, 8, 9, 10], 1].mean()))
    assert found[7, 0] == X[7, 0]


def test_a_missing_category_is_that_of_the_most_similar_row():
    number = np.repeat([0.0, 10.0], 10) + np.arange(20) / 100
    levels = np.repeat([[1.0, 0.0], [0.0, 1.0]], 10, axis=0)
    X = np.column_stack([number, levels])
    missing = np.zeros((20, 2), bool)
    missing[[3, 15], 1] = True
    X[[3, 15], 1:] = 0
    blocks = [Block(0, 1, False), Block(1, 3, True)]
    found = filled(donors_of(X, missing, blocks), X, missing)
    np.testing.assert_array_equal(found[[3, 15], 1:], [[1, 0], [0, 1]])
    # And a missing number is that of rows of the same category.
    missing = np.zeros((20, 2), bool)
    missing[4, 0] = True
    X[4] = [99, 1, 0]
    assert filled(donors_of(X, missing, blocks), X, missing)[4, 0] < 1


def test_rows_in_another_order_are_filled_alike():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 4))
    table = pd.DataFrame(np.where(rng.random(X.shape) < 0.2, np.nan, X), columns=list("abcd"))
    order = rng.permutation(len(X))
    encoding, shuffled = learn_encoding(table), learn_encoding(table.iloc[order])
    np.testing.assert_allclose(numbers_of(encoding, table)[order], numbers_of(shuffled, table.iloc[order]))
    # New rows are filled by the rows that were learned from, a row at a time as together.
    some = table.iloc[:20]
    one_by_one = np.concatenate([numbers_of(encoding, some.iloc[[place]]) for place in range(20)])
    np.testing.assert_allclose(numbers_of(encoding, some), one_by_one)


def test_gaps_are_no_clusters():
    rng = np.random.default_rng(0)
    centres = np.repeat([[0.0] * 4, [9.0] * 4, [0.0, 9.0, 0.0, 9.0]], 100, axis=0)
    X = centres + rng.normal(size=centres.shape)
    gaps = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    model = Clusterer(random_state=0).fit(pd.DataFrame(gaps, columns=list("abcd")))
    assert model.n_clusters_ == 3
    one = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    gone = one.mask(rng.random(one.shape) < 0.2)
    assert Clusterer(random_state=0).fit(gone).n_clusters_ == 1


def test_a_column_of_one_value_or_none_still_tells_rows_apart():
    table = pd.DataFrame({"a": np.arange(40.0), "b": ["x", None] * 20})
    encoding = learn_encoding(table)
    assert encoding.donors is None
    assert numbers_of(encoding, table)[:4, 1:].tolist() == [[1, 0], [0, 1]] * 2


@given(
    X=arrays.arrays(np.float64, (12, 3), elements=st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))),
    words=st.lists(st.sampled_from(["a", "b", None]), min_size=12, max_size=12),
)
def test_what_is_there_stays_and_what_is_filled_lies_between(X, words):
    table = pd.DataFrame(X, columns=list("xyz")).assign(word=words)
    encoding = learn_encoding(table)
    if encoding is None:
        return
    found = numbers_of(encoding, table)
    assert np.isfinite(found).all()
    names = list(encoding.columns.feature_names)
    for name in "xyz":
        if name in names:
            column, known = found[:, names.index(name)], table[name].notna().to_numpy()
            np.testing.assert_array_equal(column[known], table[name][known])
            assert (column >= np.nanmin(table[name]) - 1e-6).all()
            assert (column <= np.nanmax(table[name]) + 1e-6).all()

"""Tables with labelled anomalies in one view: labels, what is left out, and sides that leak nothing to the tests."""

import json
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest

from firstsight import datasets
from firstsight.datasets import incidents
from firstsight.datasets.fingerprints import fingerprint
from firstsight.datasets.splits import families, groups

STORED = json.loads(incidents.SPLIT.read_text())
LEARNED_FROM = ("train", "validate")
SAME = [
    ("adbench/Pima", "keel/balanced/pima"),
    ("adbench/Pima", "keel/imbalanced/pima"),
    ("adbench/letter", "ovrbench/letter"),
    ("adbench/letter", "keel/balanced/letter"),
    ("adbench/breastw", "keel/imbalanced/wisconsin"),
    ("adbench/magic.gamma", "keel/balanced/magic"),
    ("adbench/optdigits", "keel/balanced/optdigits"),
    ("adbench/pendigits", "keel/balanced/penbased"),
    ("adbench/PageBlocks", "keel/imbalanced/page-blocks0"),
    ("adbench/SpamBase", "keel/balanced/spambase"),
    ("adbench/Lymphography", "keel/imbalanced/lymphography-normal-fibrosis"),
    ("adbench/shuttle", "oddbench/ShuttleAnomaly"),
    ("adbench/shuttle", "keel/imbalanced/shuttle-c0-vs-c4"),
    ("adbench/http", "keel/imbalanced/kddcup-land_vs_satan"),
    ("adbench/skin", "oddbench/SkinAnomaly"),
    ("adbench/campaign", "oddbench/SystemFailureMonitoring"),
]


def test_every_table_has_a_side_or_a_reason_to_be_left_out():
    listed, left_out = datasets.list_incidents(), STORED["left_out"]
    assert listed == sorted(listed)
    assert sorted([*listed, *left_out]) == sorted(incidents.candidates())
    assert sorted(name for side in incidents.SIDES for name in datasets.list_incidents(side)) == listed
    assert all(datasets.incident_side(name) in incidents.SIDES for name in listed)


def test_the_file_is_sorted():
    for part in ("left_out", "tables"):
        assert list(STORED[part]) == sorted(STORED[part])


def test_tests_are_adbench_and_a_fifth_of_oddbench():
    counts = Counter((name.split("/")[0], side) for name, (_, side) in STORED["tables"].items())
    assert counts["adbench", "test"] == len(datasets.list_adbench())
    assert {collection for collection, side in counts if side == "test"} == {"adbench", "oddbench"}
    odd = sum(counts["oddbench", side] for side in ("train", "validate", "test"))
    for side, share in (("train", 0.6), ("validate", 0.2), ("test", 0.2)):
        assert abs(counts["oddbench", side] / odd - share) < 0.03


def test_no_group_is_on_two_sides_of_a_split():
    sides = defaultdict(set)
    for family, side in STORED["tables"].values():
        sides[family].add(side)
    assert {frozenset(where) for where in sides.values()} <= {
        frozenset(where) for where in (["train"], ["validate"], ["test"], ["aside"], ["test", "aside"])
    }


@pytest.mark.parametrize(("tested", "other"), SAME)
def test_known_tables_of_adbench_are_not_learned_from_under_another_name(tested, other):
    assert datasets.incident_side(tested) == "test"
    assert datasets.incident_side(other) == "aside"
    assert STORED["tables"][tested][0] == STORED["tables"][other][0]


def test_a_table_like_an_absent_one_of_adbench_is_not_learned_from():
    assert {datasets.incident_side(name) for name in incidents.ALIKE_TO_ABSENT} == {"aside"}


@pytest.mark.slow
def test_nothing_that_is_learned_from_is_alike_to_what_is_tested(mirror):
    prints = {name: fingerprint(incidents.read_candidate(name)[0]) for name in incidents.candidates()}
    group_of = groups(prints, families=[*families(prints), *incidents.DECLARED_ALIKE])
    sides = defaultdict(set)
    for name in datasets.list_incidents():
        assert STORED["tables"][name][0] == group_of[name]
        sides[group_of[name]].add(datasets.incident_side(name))
    for group, where in sides.items():
        assert len(where & {*LEARNED_FROM, "test"}) <= 1, group
        assert not (where & set(LEARNED_FROM) and "aside" in where), group
    for name in incidents.candidates():
        reason = incidents.why_left_out(name, incidents.read_candidate(name)[1])
        assert STORED["left_out"].get(name, "") == reason


def test_adbench_is_taken_as_it_is(mirror):
    table, original = datasets.load_incidents("adbench/glass"), datasets.load_adbench("glass")
    np.testing.assert_array_equal(table.X, original.X)
    np.testing.assert_array_equal(table.y, original.y)
    assert table[:3] == ("adbench/glass", "adbench", "adbench/glass")


@pytest.mark.parametrize("name", ["oddbench/WineQuality", "ovrbench/pc4"])
def test_rows_to_fit_and_to_score_are_pooled(mirror, name):
    collection, _, rest = name.partition("/")
    load = {"oddbench": datasets.load_oddbench, "ovrbench": datasets.load_ovrbench}[collection]
    table, original = datasets.load_incidents(name), load(rest)
    np.testing.assert_array_equal(table.X, np.vstack([original.train, original.test]))
    assert table.y[: len(original.train)].sum() == 0
    np.testing.assert_array_equal(table.y[len(original.train) :], original.y)
    assert (table.X.dtype, table.y.dtype) == (np.float64, np.int64)


@pytest.mark.parametrize("name", ["balanced/splice", "imbalanced/abalone19", "imbalanced/cleveland-0_vs_4"])
def test_the_smallest_class_of_keel_is_anomalous(mirror, name):
    table, original = datasets.load_incidents(f"keel/{name}"), datasets.load_keel(name)
    (smallest,) = original.y[table.y == 1].unique()
    assert table.y.sum() == (original.y == smallest).sum() == original.y.value_counts().min()
    assert (table.X.dtype, table.y.dtype) == (np.float64, np.int64)
    assert len(table.X) == len(original.X)
    numbers = original.X.select_dtypes("number")
    assert np.isnan(table.X).sum() == numbers.isna().to_numpy().sum()


def test_categories_become_columns():
    X = pd.DataFrame(
        {
            "sex": pd.Categorical(["M", "F", "M"]),
            "age": [3, 4, None],
            "kind": pd.Categorical(["a", None, "c"], categories=["a", "b", "c"]),
        }
    )
    np.testing.assert_array_equal(
        incidents.as_numbers(X),
        [[1, 3, 1, 0, 0], [0, 4, 0, 0, 0], [1, np.nan, 0, 0, 1]],
    )


@pytest.mark.parametrize(
    ("name", "n_normals", "n_anomalies", "reason"),
    [
        ("adbench/x", 100, 4, "4 anomalies, fewer than 5"),
        ("adbench/x", 29, 5, "29 normal rows, fewer than 30"),
        ("adbench/x", 30, 31, "51% of the rows are anomalies, more than 50%"),
        ("keel/x", 59, 41, "smallest class has 41% of the rows, more than 40%"),
        ("keel/x", 60, 40, ""),
        ("adbench/x", 30, 30, ""),
    ],
)
def test_the_rule_is_said(name, n_normals, n_anomalies, reason):
    assert incidents.why_left_out(name, np.repeat([0, 1], [n_normals, n_anomalies])) == reason


def test_rows_can_be_taken():
    table = incidents.Incidents("a/b", "a", "a/b", np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]))
    part = table.taken(np.array([1, 0]))
    np.testing.assert_array_equal(part.X, [[2, 3], [0, 1]])
    np.testing.assert_array_equal(part.y, [1, 0])
    assert part[:3] == table[:3]


def test_errors_name_the_cure():
    with pytest.raises(ValueError, match="did you mean 'adbench/glass'"):
        datasets.load_incidents("adbench/glas")
    with pytest.raises(ValueError, match="is left out: 2 anomalies, fewer than 5"):
        datasets.load_incidents("ovrbench/batch-1100_part-0_i4461")
    with pytest.raises(ValueError, match="known side; did you mean 'validate'"):
        datasets.list_incidents("validation")

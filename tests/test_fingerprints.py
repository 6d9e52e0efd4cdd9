"""Fingerprints: the same measurements are found under other names, and strangers stay apart."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstsight import datasets
from firstsight.datasets import fingerprints
from firstsight.datasets.fingerprints import fingerprint, pairs, similarity
from firstsight.datasets.splits import families, groups, split_groups

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def anomaly_tables(mirror):
    """All tables with anomalies of the mirror, and KEEL's, as far as the numbers go."""
    tables = {f"adbench/{name}": datasets.load_adbench(name).X for name in datasets.list_adbench()}
    for collection, names, load in (
        ("oddbench", datasets.list_oddbench(), datasets.load_oddbench),
        ("ovrbench", datasets.list_ovrbench(), datasets.load_ovrbench),
    ):
        for name in names:
            table = load(name)
            tables[f"{collection}/{name}"] = np.vstack([table.train, table.test])
    tables |= {f"keel/{name}": datasets.load_keel(name).X for name in datasets.list_keel()}
    return {name: fingerprint(X) for name, X in tables.items()}


def continuous(generator, n_rows, n_columns):
    """Columns of several shapes, measured to four digits after the point or not rounded at all."""
    X = generator.normal(size=(n_rows, n_columns)) @ generator.normal(size=(n_columns, n_columns))
    X[:, ::2] = np.exp(X[:, ::2] / 3)
    return X if generator.random() < 0.5 else np.round(X, 4)


def grades(generator, n_rows, n_columns):
    """Small whole numbers, as in questionnaires: no value tells anything."""
    shared = generator.normal(size=(n_rows, 1))
    return np.clip(np.round(5 + 2 * shared + 2 * generator.normal(size=(n_rows, n_columns))), 0, 10)


def disguised(generator, X, *, rows=1.0, drop=0):
    """Rows shuffled and left out, columns shuffled, left out and rescaled, some turned round."""
    chosen = generator.permutation(len(X))[: int(rows * len(X))]
    columns = generator.permutation(X.shape[1])[drop:]
    scale = 10 ** generator.uniform(-2, 2, size=len(columns)) * generator.choice([-1, 1], size=len(columns))
    return X[np.ix_(chosen, columns)] * scale + generator.normal(size=len(columns))


@given(seed=SEEDS, n_rows=st.integers(200, 600), n_columns=st.integers(8, 12))
def test_half_the_rows_rescaled_and_shuffled_are_found(seed, n_rows, n_columns):
    generator = np.random.default_rng(seed)
    X = continuous(generator, n_rows, n_columns)
    tables = {"whole": X, "half": disguised(generator, X, rows=0.5), "other": continuous(generator, n_rows, n_columns)}
    assert groups(tables) == {"whole": "whole", "half": "whole", "other": "other"}


@given(seed=SEEDS, n_columns=st.integers(4, 8))
def test_columns_left_out_are_found(seed, n_columns):
    generator = np.random.default_rng(seed)
    X = continuous(generator, 300, n_columns)
    assert similarity(fingerprint(X), fingerprint(disguised(generator, X, drop=2))) == 1


@given(seed=SEEDS, n_columns=st.integers(8, 11))
def test_whole_numbers_are_found_by_their_rows_and_counts(seed, n_columns):
    generator = np.random.default_rng(seed)
    X = grades(generator, 400, n_columns)
    half = X[generator.permutation(len(X))[:200]][:, generator.permutation(n_columns)]
    rescaled = disguised(generator, X, drop=2)
    tables = {"whole": X, "half": half, "rescaled": rescaled, "other": grades(generator, 400, n_columns)}
    assert groups(tables) == {"whole": "whole", "half": "whole", "rescaled": "whole", "other": "other"}


@given(seed=SEEDS, n_columns=st.integers(2, 8), whole=st.booleans())
def test_strangers_stay_apart(seed, n_columns, whole):
    generator = np.random.default_rng(seed)
    make = grades if whole else continuous
    tables = {number: make(generator, 300, n_columns) for number in range(4)}
    assert pairs({name: fingerprint(X) for name, X in tables.items()}) == []


@given(seed=SEEDS)
def test_binary_and_constant_columns_are_no_evidence(seed):
    generator = np.random.default_rng(seed)
    X = np.c_[generator.integers(0, 2, size=(200, 6)), np.ones(200)]
    assert fingerprint(X).values == []
    assert similarity(fingerprint(X), fingerprint(X)) == 0


def test_counted_columns_are_no_evidence():
    """Numbers of rows, ages and grey levels are in many tables."""
    generator = np.random.default_rng(0)
    a, b = (np.c_[np.arange(500), generator.integers(18, 90, size=(500, 2))] for _ in range(2))
    assert similarity(fingerprint(a), fingerprint(b)) == 0


def test_categories_and_missing_values():
    generator = np.random.default_rng(0)
    words = generator.choice(list("abcde"), p=[0.4, 0.3, 0.15, 0.1, 0.05], size=(400, 3))
    table = pd.DataFrame(words, columns=["x", "y", "z"]).assign(v=generator.normal(size=400))
    table.loc[:20, "v"] = np.nan
    renamed = table.replace(dict(zip("abcde", "vwxyz", strict=True))).sample(frac=1, random_state=0)
    assert similarity(fingerprint(table), fingerprint(renamed)) == 1


def test_degenerate_tables():
    for X in (np.empty((0, 3)), np.ones((1, 3)), np.full((5, 2), np.nan), np.array([[np.inf, 1.0], [2.0, 3.0]])):
        print_ = fingerprint(X)
        assert similarity(print_, print_) == 0
    assert groups({}) == {}
    with pytest.raises(ValueError, match=r"found \(3,\)"):
        fingerprint(np.ones(3))


def test_declared_families_join():
    tables = {name: np.random.default_rng(i).normal(size=(50, 3)) for i, name in enumerate("abc")}
    assert groups(tables, families=[["a", "c", "not there"]]) == {"a": "a", "b": "b", "c": "a"}


@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 6), min_size=8, max_size=40))
def test_no_group_is_cut(seed, sizes):
    group_of = {f"{group}-{number}": str(group) for group, size in enumerate(sizes) for number in range(size)}
    sides = split_groups(group_of, seed=seed)
    assert sorted(itertools.chain(*sides)) == sorted(group_of)
    homes = [{group_of[name] for name in side} for side in sides]
    assert not homes[0] & homes[1] | homes[0] & homes[2] | homes[1] & homes[2]
    for side, share in zip(sides, (0.6, 0.2, 0.2), strict=True):
        assert abs(len(side) - share * len(group_of)) <= max(sizes)
    assert sides == split_groups(dict(reversed(group_of.items())), seed=seed)


@pytest.mark.parametrize("shares", [(0.5, 0.2, 0.2), (1.2, -0.1, -0.1), (0.5, 0.5)])
def test_bad_shares(shares):
    with pytest.raises(ValueError, match="add up to 1"):
        split_groups({"a": "a"}, shares=shares, seed=0)


KNOWN = [
    ("adbench/Pima", "keel/balanced/pima"),
    ("adbench/WBC", "adbench/breastw"),
    ("adbench/breastw", "keel/imbalanced/wisconsin"),
    ("adbench/magic.gamma", "keel/balanced/magic"),
    ("adbench/optdigits", "keel/balanced/optdigits"),
    ("adbench/PageBlocks", "keel/imbalanced/page-blocks0"),
    ("adbench/SpamBase", "keel/balanced/spambase"),
    ("adbench/shuttle", "keel/imbalanced/shuttle-2_vs_5"),
    ("adbench/shuttle", "oddbench/ShuttleAnomaly"),
    ("ovrbench/letter", "keel/balanced/letter"),
    ("keel/balanced/vehicle", "keel/imbalanced/vehicle2"),
]


@pytest.mark.slow
def test_known_pairs_are_found_and_no_split_cuts_a_likeness(anomaly_tables):
    alike = pairs(anomaly_tables)
    found = {frozenset(pair[:2]) for pair in alike}
    assert [pair for pair in KNOWN if frozenset(pair) not in found] == []
    assert len(found) < 120  # of 175,000 pairs; more would be chance
    group_of = groups(anomaly_tables, families=families(anomaly_tables))
    for seed in range(5):
        sides = split_groups(group_of, seed=seed)
        side_of = {name: number for number, side in enumerate(sides) for name in side}
        assert [pair for pair in alike if side_of[pair[0]] != side_of[pair[1]]] == []
        assert side_of["adbench/http"] == side_of["adbench/smtp"]


def test_first_look_drops_no_pair_that_a_close_look_finds():
    generator = np.random.default_rng(1)
    tables = {}
    for number in range(6):
        X = continuous(generator, 200, 5)
        tables[f"{number}"] = X
        tables[f"{number}'"] = disguised(generator, X, rows=0.6, drop=1)
    prints = {name: fingerprint(X) for name, X in tables.items()}
    close = {(a, b) for a, b in itertools.combinations(prints, 2) if similarity(prints[a], prints[b]) >= 0.5}
    assert {(a, b) for a, b, _ in pairs(prints)} == close
    assert len(close) == 6
    assert fingerprints.THRESHOLD == 0.5

"""The uniform view of tables with known partitions: labels, noise, families."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from firstsight import datasets
from firstsight.datasets.fingerprints import fingerprint, pairs
from firstsight.datasets.partitions import BATTERIES, NOISE, Partitioned
from firstsight.datasets.splits import split_groups

LARGE = 20_000  # rows of a table that is not read in every test


def test_names_are_unique_and_in_the_order_of_the_batteries():
    names = datasets.list_partitions()
    assert len(set(names)) == len(names) == len(datasets.list_gagolewski()) + len(datasets.list_keel())
    batteries = [name.split("/")[0] for name in names]
    assert list(dict.fromkeys(batteries)) == list(BATTERIES)


def test_unknown_name_is_told_a_near_one():
    with pytest.raises(ValueError, match="did you mean 'fcps/lsun'"):
        datasets.load_partitions("fcps/lsum")


def test_n_clusters_leaves_noise_out():
    truths = [np.array([0, 0, 1, NOISE]), np.array([0, 1, 2, 2])]
    assert Partitioned("a/b", "a", "a/b", np.zeros((4, 1)), truths).n_clusters == [2, 3]


@pytest.mark.parametrize("name", ["fcps/target", "graves/ring_noisy", "sipu/compound", "g2mg/g2mg_1_10"])
def test_gagolewski_labels_are_shifted_by_one(mirror, name):
    table, original = datasets.load_partitions(name), datasets.load_gagolewski(name)
    np.testing.assert_array_equal(table.X, original.X)
    for truth, labels in zip(table.truths, original.labels, strict=True):
        assert truth.dtype == np.int64
        np.testing.assert_array_equal(truth == NOISE, labels == 0)
        np.testing.assert_array_equal(np.unique(truth[truth != NOISE]), np.arange(labels.max()))
    assert table.n_clusters == [labels.max() for labels in original.labels]
    assert (table.name, table.battery) == (name, name.split("/")[0])


@pytest.mark.parametrize("name", ["balanced/crx", "imbalanced/cleveland-0_vs_4", "balanced/tae"])
def test_keel_classes_become_numbers(mirror, name):
    table, original = datasets.load_partitions(f"keel/{name}"), datasets.load_keel(name)
    assert isinstance(table.X, pd.DataFrame)
    pd.testing.assert_frame_equal(table.X, original.X)
    (truth,) = table.truths
    assert truth.dtype == np.int64
    assert table.n_clusters == [original.y.nunique()]
    assert (pd.crosstab(truth, original.y.astype(str)).to_numpy() > 0).sum() == original.y.nunique()


@pytest.mark.parametrize(
    "together",
    [
        ("graves/ring", "graves/ring_noisy", "graves/ring_outliers"),
        ("graves/zigzag", "graves/zigzag_noisy", "graves/zigzag_outliers"),
        ("sipu/a1", "sipu/a2", "sipu/a3"),
        ("sipu/s1", "sipu/s4"),
        ("sipu/birch1", "sipu/birch2"),
        ("g2mg/g2mg_1_10", "g2mg/g2mg_16_90", "h2mg/h2mg_2_50"),
        ("keel/balanced/vehicle", "keel/imbalanced/vehicle0", "keel/imbalanced/vehicle3"),
        ("keel/balanced/pima", "keel/imbalanced/pima"),
        ("keel/balanced/crx", "keel/balanced/australian"),
        ("keel/balanced/heart", "keel/imbalanced/cleveland-0_vs_4"),
        ("keel/balanced/optdigits", "keel/balanced/penbased"),
    ],
)
def test_tables_of_one_origin_share_a_family(together):
    assert len({datasets.partition_family(name) for name in together}) == 1


def test_tables_of_other_origins_do_not():
    apart = ["sipu/a1", "sipu/aggregation", "sipu/s1", "sipu/spiral", "graves/ring", "keel/balanced/ring", "fcps/lsun"]
    assert len({datasets.partition_family(name) for name in apart}) == len(apart)


def test_no_two_families_hold_the_same_measurements(mirror):
    """What fingerprints join is in one family, so that a split by families cuts nothing."""
    tables = {name: datasets.load_partitions(name) for name in datasets.list_partitions()}
    prints = {name: fingerprint(table.X) for name, table in tables.items() if len(table.X) < LARGE}
    for one, other, alike in pairs(prints):
        assert tables[one].family == tables[other].family, f"{one} ~ {other}: {alike:.2f}"
    assert all(table.family == datasets.partition_family(name) for name, table in tables.items())


def test_a_split_by_families_cuts_none():
    family_of = {name: datasets.partition_family(name) for name in datasets.list_partitions()}
    sides = defaultdict(set)
    for side, names in enumerate(split_groups(family_of, seed=0)):
        for name in names:
            sides[family_of[name]].add(side)
    assert all(len(where) == 1 for where in sides.values())

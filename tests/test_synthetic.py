"""Tables with known clusters: what every one of them keeps, and that a person would see the clusters."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstsight.tasks.synthetic import Config, Truth, sample, sample_mixed
from firstsight.tasks.synthetic.mix import KINDS
from firstsight.tasks.synthetic.mixed import CONFIG as CONFIG_MIXED
from firstsight.tasks.synthetic.primitives import counts, disagreement
from firstsight.tasks.synthetic.scenes import SCENES

SEEDS = st.integers(0, 2**32)


def only(kind, **settings):
    """Settings that draw one kind."""
    return Config(**{name: float(name == kind) for name in KINDS}, **settings)


def check(truth, config):
    X, y, kind = truth
    assert isinstance(truth, Truth)
    assert X.dtype == np.float64
    assert y.dtype == np.int64
    assert X.ndim == 2
    assert y.shape == (len(X),)
    assert config.n_rows[0] <= len(X) <= config.n_rows[1]
    assert config.n_features[0] <= X.shape[1] <= config.n_features[1]
    assert np.isfinite(X).all()
    assert (X.std(0) > 0).any()
    n_clusters = y.max() + 1
    assert config.n_clusters[0] <= n_clusters <= config.n_clusters[1]
    assert y.min() >= -1
    # Labels without gaps, and no cluster too small to be one.
    assert np.bincount(y[y >= 0], minlength=n_clusters).min() >= 5
    assert (y < 0).mean() <= 0.35
    assert kind.split("/")[0] in KINDS
    assert (n_clusters == 1) == kind.startswith("structureless/")


@given(SEEDS)
def test_every_table_keeps_the_contract(seed):
    config = Config(n_rows=(50, 600))
    check(sample(seed, config), config)


@settings(max_examples=100)
@given(SEEDS, st.data())
def test_ranges_are_kept_whatever_they_are(seed, data):
    most = data.draw(st.integers(1, 24))
    least = data.draw(st.integers(1, most))
    n_rows = data.draw(st.integers(max(20, 10 * least), 300))
    n_features = data.draw(st.integers(1, 40))
    shares = {name: data.draw(st.sampled_from([0.0, 1.0])) for name in ("noisy", "outliers", "idle", "categories")}
    more = ("rounded", "quantised", "repeated", "rotated", "rescaled")
    shares |= {name: data.draw(st.sampled_from([0.0, 1.0])) for name in more}
    config = Config(
        n_rows=(n_rows, n_rows + data.draw(st.integers(0, 50))),
        n_features=(n_features, n_features + data.draw(st.integers(0, 20))),
        n_clusters=(least, most),
        **shares,
    )
    check(sample(seed, config), config)


@given(SEEDS)
def test_a_seed_is_a_table(seed):
    config = Config(n_rows=(50, 200))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = sample(seed, config), sample(seed, config), sample(seed + 1, config)
    assert first.kind == again.kind
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.y, again.y)
    assert first.X.shape != other.X.shape or not np.array_equal(first.X, other.X)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_the_mix_is_what_was_asked_for():
    tables = [sample(seed, Config(n_rows=(50, 150))) for seed in range(300)]
    kinds = [table.kind.split("/")[0] for table in tables]
    for name in KINDS:
        assert abs(kinds.count(name) / 300 - getattr(Config(), name)) < 0.1
    forms = {table.kind for table in tables}
    assert len(forms) > 60
    n_clusters = np.array([table.y.max() + 1 for table in tables])
    assert ((n_clusters >= 2) & (n_clusters <= 6)).mean() > 0.5
    assert n_clusters.max() > 10
    assert 0.15 < np.mean([(table.y < 0).mean() > 0.01 for table in tables]) < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_alone(kind):
    config = only(kind, n_rows=(50, 300))
    for seed in range(15):
        truth = sample(seed, config)
        check(truth, config)
        assert truth.kind.startswith(kind + "/")


def neighbour_errors(config):
    """Share of rows whose nearest neighbour is of another cluster, one number a table, in equal units."""
    errors = []
    for seed in range(100):
        X, y, _ = sample(seed, config)
        X, y = X[y >= 0], y[y >= 0]
        errors.append(disagreement((X - X.mean(0)) / (X.std(0) + 1e-12), y, n_neighbours=1))
    return np.array(errors)


def test_shapes_are_seen():
    errors = neighbour_errors(only("shapes", n_rows=(50, 1000)))
    assert np.mean(errors <= 0.08) >= 0.95
    assert np.median(errors) < 0.02


@pytest.mark.parametrize("kind", ["gaussians", "warped"])
def test_clusters_overlap_and_are_clusters(kind):
    errors = neighbour_errors(only(kind, n_rows=(50, 500)))
    assert 0.01 < np.median(errors) < 0.15
    assert np.quantile(errors, 0.9) < 0.35


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("most", [False, True])
def test_scenes_have_as_many_parts_as_asked_for(name, most):
    scene, low, high, _ = SCENES[name]
    wanted = high if most else low
    right = 0
    for seed in range(10):
        parts = scene(np.random.default_rng(seed), wanted)
        right += len(parts) == wanted
        for part in parts:
            rows = part.draw(40)
            assert rows.shape in [(40, 2), (40, 3)]
            assert np.isfinite(rows).all()
            assert part.measure > 0
    assert right >= 5


@given(SEEDS, st.integers(1, 30), st.integers(0, 500))
def test_counts_are_whole_and_complete(seed, n_clusters, more):
    rng = np.random.default_rng(seed)
    each = counts(rng, 5 * n_clusters + more, rng.random(n_clusters) + 1e-9)
    assert each.sum() == 5 * n_clusters + more
    assert each.min() >= 5


@pytest.mark.parametrize("name", [field.name for field in fields(Config)])
def test_a_setting_of_another_kind_is_refused(name):
    for wrong in (object(), None, "many", -1):
        with pytest.raises((TypeError, ValueError), match=name):
            Config(**{name: wrong})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_rows": (2, 5)}, "n_rows"),
        ({"n_rows": (50, 60), "n_clusters": (6, 20)}, "n_rows"),
        ({"n_features": (0, 2)}, "n_features"),
        ({"n_clusters": (0, 3)}, "n_clusters"),
        ({"n_clusters": (5, 3)}, "n_clusters"),
        ({"noisy": 1.5}, "noisy"),
        ({"shapes": float("inf")}, "shapes"),
        ({"n_clusters": (1, 1), "structureless": 0.0}, "n_clusters"),
        ({"n_clusters": (2, 3), "shapes": 0.0, "gaussians": 0.0, "warped": 0.0}, "n_clusters"),
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        Config(**wrong)


@pytest.mark.parametrize("seed", [-1, 0.5, None, object()])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises((TypeError, ValueError), match="seed"):
        sample(seed)


@pytest.mark.parametrize("seed", range(30))
def test_mixed_tables_have_categories_in_no_order(seed):
    table = sample_mixed(seed)
    plain = sample(seed, CONFIG_MIXED)
    assert table.categorical.any()
    assert table.categorical.shape == (table.X.shape[1],)
    np.testing.assert_array_equal(table.y, plain.y)
    np.testing.assert_array_equal(table.X[:, ~table.categorical], plain.X[:, ~table.categorical])
    for column in table.X[:, table.categorical].T:
        levels = np.unique(column)
        assert len(levels) <= 8
        assert set(levels) <= set(range(8))
    np.testing.assert_array_equal(table.X, sample_mixed(seed).X)


def test_categories_of_mixed_tables_tell_their_clusters():
    config = replace(CONFIG_MIXED, n_rows=(300, 600), n_clusters=(2, 3), structureless=0, noisy=0, idle=0, shapes=0)
    tables = [sample_mixed(seed, config) for seed in range(20)]
    told = []
    for table in tables:
        known = table.y >= 0
        X, y = table.X[known][:, table.categorical], table.y[known]
        onehot = np.concatenate([(column[:, None] == np.unique(column)) for column in X.T], axis=1)
        purity = [np.bincount(y[level]).max() / level.sum() for level in onehot.T]
        told.append(max(purity) - np.bincount(y).max() / len(y))
    assert np.mean(told) > 0.15

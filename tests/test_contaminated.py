"""Tables with known anomalies: what every one of them keeps, and that each kind is what it says."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from firstsight.tasks.contaminated import Config, Contaminated, anomalies, causal, classes, copulas, sample, worlds
from firstsight.tasks.contaminated.mix import BASES, KINDS

SEEDS = st.integers(0, 2**32)
PLAIN = dict.fromkeys(
    ("idle", "flawed", "bent", "rounded", "quantised", "repeated", "constant", "rotated", "rescaled", "mixed"), 0.0
)


def only(names, name, **settings):
    """Settings that draw one base, or one kind of anomalies."""
    return Config(**{other: float(other == name) for other in names}, **settings)


def check(table, config):
    X, y, kind = table
    assert isinstance(table, Contaminated)
    assert X.dtype == np.float64
    assert y.dtype == np.int64
    assert X.ndim == 2
    assert y.shape == (len(X),)
    assert config.n_rows[0] <= len(X) <= config.n_rows[1]
    assert config.n_features[0] <= X.shape[1] <= config.n_features[1]
    assert np.isfinite(X).all()
    assert set(np.unique(y)) <= {0, 1}
    assert (y == 0).sum() >= 5
    assert y.mean() < 0.5
    low, high = config.contamination
    assert low * len(X) - 1 <= y.sum() <= high * len(X) + 1
    base, kinds = kind.split("/")
    assert base in BASES
    assert (kinds == "none") == (y.sum() == 0)
    assert y.sum() == 0 or set(kinds.split("+")) <= set(KINDS)


def neighbours(X, y):
    """AUROC of the distance to the fifth neighbour, in equal units."""
    Z = (X - X.mean(0)) / (X.std(0) + 1e-12)
    return roc_auc_score(y, np.sort(cdist(Z, Z), axis=1)[:, 5])


def mahalanobis(X, y):
    """AUROC of the Mahalanobis distance to the normal rows."""
    normal = X[y == 0]
    root = np.linalg.pinv(np.cov(normal.T) + 1e-6 * np.eye(X.shape[1]))
    centred = X - normal.mean(0)
    return roc_auc_score(y, np.einsum("ij,jk,ik->i", centred, root, centred))


@given(SEEDS)
def test_every_table_keeps_the_contract(seed):
    config = Config(n_rows=(50, 600))
    check(sample(seed, config), config)


@settings(max_examples=100)
@given(SEEDS, st.data())
def test_ranges_are_kept_whatever_they_are(seed, data):
    n_rows = data.draw(st.integers(10, 300))
    n_features = data.draw(st.integers(1, 40))
    low = data.draw(st.floats(0, 0.45))
    ease = data.draw(st.floats(0, 1))
    config = Config(
        n_rows=(n_rows, n_rows + data.draw(st.integers(0, 50))),
        n_features=(n_features, n_features + data.draw(st.integers(0, 20))),
        contamination=(low, data.draw(st.floats(low, 0.45))),
        ease=(ease, data.draw(st.floats(ease, 1))),
        **{name: data.draw(st.sampled_from([0.0, 1.0])) for name in PLAIN},
    )
    check(sample(seed, config), config)


@given(SEEDS)
@example(439_965)  # a constant column in the table after it
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
    tables = [sample(seed, Config(n_rows=(50, 300))) for seed in range(500)]
    bases = [table.kind.split("/")[0] for table in tables]
    for name in BASES:
        assert abs(bases.count(name) / 500 - getattr(Config(), name)) < 0.07
    kinds = [kind for table in tables for kind in table.kind.split("/")[1].split("+")]
    assert set(kinds) == {*KINDS, "none"}
    shares = np.array([table.y.mean() for table in tables])
    assert 0.02 < (shares == 0).mean() < 0.1
    assert 0.3 < ((shares > 0) & (shares < 0.05)).mean() < 0.65
    assert 0.15 < (shares >= 0.1).mean() < 0.35
    assert len({table.X.shape[1] for table in tables}) > 40


@pytest.mark.parametrize("base", BASES)
def test_one_base_alone(base):
    config = only(BASES, base, n_rows=(20, 300))
    for seed in range(15):
        table = sample(seed, config)
        check(table, config)
        assert table.kind.startswith(base + "/")
        assert base != "classes" or table.y.sum() == 0 or "held_out" in table.kind


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_alone(kind):
    config = only(KINDS, kind, n_rows=(20, 300), n_features=(2, 30), contamination=(0.05, 0.3))
    for seed in range(15):
        table = sample(seed, config)
        check(table, config)
        assert table.kind.split("/")[1] == kind


def test_a_difficulty_is_asked_for():
    """Anomalies of all kinds together are told by a plain detector when they are easy, and hardly otherwise."""
    means = []
    for ease in (0.0, 1.0):
        config = Config(
            n_rows=(200, 300), n_features=(2, 20), contamination=(0.03, 0.1), ease=(ease, ease), central=0.0
        )
        means.append(np.mean([neighbours(*sample(seed, config)[:2]) for seed in range(60)]))
    assert means[0] < 0.68
    assert means[1] > 0.8


@pytest.mark.parametrize("kind", ["scattered", "measurement", "local", "shifted", "larger"])
def test_easy_anomalies_are_far_from_their_neighbours(kind):
    config = only(KINDS, kind, n_rows=(300, 300), n_features=(3, 12), contamination=(0.02, 0.03), ease=(1.0, 1.0),
                  **PLAIN)  # fmt: skip
    found = [neighbours(*sample(seed, config)[:2]) for seed in range(20)]
    assert np.median(found) > 0.9


def correlated(seed=0, n=600, m=200, d=8):
    """A scene of one Gaussian whose columns are correlated, with a spare generator."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n + m, 3)) @ rng.standard_normal((3, d)) + 0.3 * rng.standard_normal((n + m, d))
    groups = np.zeros(n + m, np.int64)
    held_out = Z[:50] + 1.0
    return rng, anomalies.scene(Z[:n], groups[:n], Z[n:], groups[n:], None, held_out)


def judged(scene, rows):
    return mahalanobis(np.concatenate([scene.Z, rows]), np.repeat([0, 1], [len(scene.Z), len(rows)]))


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_leave_their_arguments_and_scale_with_strength(kind):
    found = []
    for strength in (0.3, 5.0):
        aurocs = []
        for seed in range(12):
            rng, scene = correlated(seed)
            before = [part.copy() for part in scene if isinstance(part, np.ndarray)]
            rows = anomalies.KINDS[kind](rng, scene, strength)
            assert rows.shape == scene.seeds.shape
            assert np.isfinite(rows).all()
            for part, copy in zip((part for part in scene if isinstance(part, np.ndarray)), before, strict=True):
                np.testing.assert_array_equal(part, copy)
            aurocs.append(judged(scene, rows))
        found.append(np.mean(aurocs))
    if kind == "central":
        assert found[1] < found[0] < 0.5
    else:
        assert found[1] > found[0]
        assert found[1] > 0.7


def test_local_anomalies_are_wider_than_their_cluster():
    rng, scene = correlated()
    rows = anomalies.local(rng, scene, 3.0)
    ratio = (rows - scene.middles) / (scene.seeds - scene.middles)
    np.testing.assert_allclose(ratio, ratio[0, 0])
    assert ratio[0, 0] > 1.3


def test_central_anomalies_are_nearer_to_the_middle():
    rng, scene = correlated()
    rows = anomalies.central(rng, scene, 3.0)
    assert (np.abs(rows - scene.middles) < np.abs(scene.seeds - scene.middles)).all()


def test_clustered_anomalies_lie_close_together():
    for seed in range(10):
        rng, scene = correlated(seed)
        rows = anomalies.clustered(rng, scene, 3.0)
        nearest = [np.sort(cdist(part, part), axis=1)[:, 1].mean() for part in (rows, scene.seeds)]
        assert nearest[0] < nearest[1]
        # As many clusters as there are, a few centres are near to every row.
        scaled = rows / scene.spread
        centres = [scaled[0]]
        for _ in range(2):
            centres.append(scaled[cdist(scaled, np.array(centres)).min(1).argmax()])
        assert cdist(scaled, np.array(centres)).min(1).mean() < 0.6 * np.sqrt(2 * rows.shape[1])


def test_dependency_anomalies_keep_every_column_and_break_their_company():
    for seed in range(10):
        rng, scene = correlated(seed)
        rows = anomalies.dependency(rng, scene, 4.0)
        assert max(ks_2samp(a, b).statistic for a, b in zip(rows.T, scene.Z.T, strict=True)) < 0.17
        assert judged(scene, rows) > 0.85


def test_broken_causes_keep_columns_where_arrows_are_cut():
    worst, moved = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        world = causal.causal(rng, 1500, 6)
        rows = world.broken(rng, 1500, 4.0)
        assert rows.shape == world.Z.shape
        worst.append(max(ks_2samp(a, b).statistic for a, b in zip(rows.T, world.Z.T, strict=True)))
        moved.append(np.abs(np.corrcoef(rows.T) - np.corrcoef(world.Z.T)).max())
    # Most graphs are cut; in the others arrows are reversed, which changes columns too.
    assert np.median(worst) < 0.09
    assert np.median(moved) > 0.2


def test_measurements_are_wrong_in_few_columns_of_a_row():
    rng, scene = correlated()
    changed = (anomalies.measurement(rng, scene, 2.0) != scene.seeds).sum(1)
    assert set(changed) == {1, 2, 3}


def test_tails_are_reached_in_their_columns_only():
    for seed in range(10):
        rng, scene = correlated(seed)
        rows = anomalies.tails(rng, scene, 3.0)
        changed = rows != scene.seeds
        assert 1 <= changed.sum(1).max() < rows.shape[1]
        ranks = (scene.Z[None] < rows[:, None]).mean(1)[changed]
        assert np.minimum(ranks, 1 - ranks).max() < 0.02


def test_a_subspace_is_the_same_for_all_rows():
    for seed in range(10):
        rng, scene = correlated(seed)
        changed = anomalies.subspace(rng, scene, 2.0) != scene.seeds
        assert (changed == changed[0]).all()
        assert 1 <= changed[0].sum() <= 2


def test_shifted_rows_are_all_moved_alike():
    rng, scene = correlated()
    moved = anomalies.shifted(rng, scene, 2.0) - scene.seeds
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-9)
    length = np.linalg.norm(moved[0] / scene.spread)
    assert length == pytest.approx(2.2 * scene.rank**0.25)


def test_larger_rows_are_moved_along_one_direction():
    for seed in range(10):
        rng, scene = correlated(seed)
        moved = anomalies.larger(rng, scene, 2.0) - scene.seeds
        assert np.linalg.matrix_rank(moved, tol=1e-6) == 1
        # Forwards only: no row is smaller where another is larger.
        assert (moved @ moved[0] >= -1e-9).all()


def test_empty_fields_hold_one_value_a_column():
    for seed in range(10):
        rng, scene = correlated(seed)
        rows = anomalies.empty(rng, scene, 2.0)
        changed = rows != scene.seeds
        assert changed.any(1).all()
        for column, some in zip(rows.T, changed.T, strict=True):
            assert len(np.unique(column[some])) <= 1


def test_scattered_values_fill_a_box():
    rng, scene = correlated()
    rows = anomalies.scattered(rng, scene, 5.0)
    # Uniform: a fifth of the box holds a fifth of the rows.
    places = (rows - rows.min(0)) / np.ptp(rows, 0)
    assert np.abs(np.quantile(places, [0.2, 0.5, 0.8], axis=0) - np.array([[0.2], [0.5], [0.8]])).max() < 0.12


def test_held_out_rows_are_those_of_other_classes():
    exact = 0
    for seed in range(10):
        rng, scene = correlated(seed)
        rows = anomalies.held_out(rng, scene, 1.0)
        exact += (cdist(rows, scene.held_out).min(1) == 0).all()
    assert 1 <= exact <= 9


@given(SEEDS, st.sampled_from(["mixtures", "clusters", "causal", "copulas", "series"]), st.floats(0, 0.45))
def test_a_cut_parts_the_rows(seed, base, share):
    rng = np.random.default_rng(seed)
    draw = {"causal": causal.causal, "copulas": copulas.copulas}.get(base) or getattr(worlds, base)
    world = draw(rng, 90, 4)
    n_held_out = round(30 * share)
    cut = classes.cut(rng, world, n_held_out, 1.0)
    assert len(cut.held_out) >= max(n_held_out, 1)
    assert len(cut.Z) >= 45
    assert len(cut.Z) == len(cut.groups) == len(cut.causes)
    both = np.concatenate([cut.Z, cut.held_out])
    np.testing.assert_array_equal(np.sort(both, 0), np.sort(world.Z, 0))


@pytest.mark.parametrize("law", copulas._TYPED)
def test_columns_have_their_types(law, monkeypatch):
    monkeypatch.setattr(copulas, "_TYPED", (law,))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        column = copulas._column(rng, 1.0, 6)
        assert column.law == law
        # Whatever happens to the inner column.
        X = copulas._finished(rng.normal(1, 4, (400, 1)), columns=[column])
        assert X.shape == (400, copulas._width(column))
        if law == "one_hot":
            assert set(np.unique(X)) <= {0.0, 1.0}
            assert (X.sum(1) == 1).all()
        elif law == "zeros":
            assert (X == 0).any()
        else:
            np.testing.assert_array_equal(X, np.round(X))
        assert law != "levels" or 0 <= X.min() <= X.max() <= 6


@given(SEEDS, st.integers(1, 30))
def test_copulas_have_the_columns_that_were_asked_for(seed, n_features):
    world = copulas.copulas(np.random.default_rng(seed), 40, n_features)
    assert world.finish(world.Z).shape == (40, n_features)
    assert np.isfinite(world.finish(world.Z)).all()
    assert world.Z.shape[1] >= min(2, n_features)


def test_laws_of_columns_are_known():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal(4000)
    expected = copulas._finished(scores[:, None], columns=[copulas.Column("exponential", -np.log1p(-copulas._U))])
    assert ks_2samp(expected[:, 0], rng.exponential(1, 4000)).pvalue > 0.01


def test_series_remember():
    """One row after another is nearer than any two rows are."""
    nearer = []
    for seed in range(30):
        Z = worlds.series(np.random.default_rng(seed), 300, 5).Z
        Z = (Z - Z.mean(0)) / Z.std(0)
        nearer.append(np.square(np.diff(Z, axis=0)).mean() / 2)
    assert np.median(nearer) < 0.8


@pytest.mark.parametrize("name", [field.name for field in fields(Config)])
def test_a_setting_of_another_kind_is_refused(name):
    assert name in Config.__doc__
    for wrong in (object(), None, "many", -1):
        with pytest.raises((TypeError, ValueError), match=name):
            Config(**{name: wrong})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_rows": (2, 5)}, "n_rows"),
        ({"n_rows": (60, 50)}, "n_rows"),
        ({"n_features": (0, 2)}, "n_features"),
        ({"contamination": (0.1, 0.5)}, "contamination"),
        ({"contamination": (0.3, 0.2)}, "contamination"),
        ({"ease": (0.0, 1.5)}, "ease"),
        ({"mixed": 1.5}, "mixed"),
        ({"local": float("inf")}, "local"),
        (dict.fromkeys(BASES, 0.0), "mixtures"),
        (dict.fromkeys(KINDS, 0.0), "local"),
        (dict.fromkeys(KINDS, 0.0) | {"dependency": 1.0}, "n_features"),
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        Config(**wrong)


@pytest.mark.parametrize("seed", [-1, 0.5, None, object()])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises((TypeError, ValueError), match="seed"):
        sample(seed)

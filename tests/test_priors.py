"""What is learned from a family of tables: known answers, what foreign tables get, and clear words for bad families."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from firstsight import DensityEstimator, look
from firstsight.cli import main
from firstsight.core import Data
from firstsight.density.em import Pull
from firstsight.density.mixture import Mixture, log_density
from firstsight.density.stack import stacked
from firstsight.density.warps import straight, warped
from firstsight.engine.checkpoint import write_checkpoint
from firstsight.estimators import family as estimators_family
from firstsight.learners import gmm
from firstsight.meta import maml
from firstsight.priors import store
from firstsight.priors.alignment import learn_alignment, shift_of
from firstsight.priors.familiarity import Familiarity, _unlikeness, familiarity_of, learn_familiarity
from firstsight.priors.members import LEAST_VARIANCE, STEPS, Encoded, Ground, Member, adapted, past_member
from firstsight.priors.prior import Prior
from firstsight.priors.profiles import learn_profiles, unusual_of
from firstsight.priors.trained import start_of
from firstsight.priors.weights import learn_weights, sizes_of, weights_at

N_COLUMNS = 3


def family(n_tables=9, n_rows=60, *, seed=0, shift=1.0, names=("a", "b", "c")):
    """Tables of two groups, moved each by its own amount; the third column goes with the first."""
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(n_tables):
        group = rng.integers(2, size=n_rows)[:, None]
        X = rng.normal(size=(n_rows, N_COLUMNS)) + 4 * group * np.array([1, -1, 0])
        X[:, 2] = X[:, 0] + 0.1 * rng.normal(size=n_rows)
        tables.append(pd.DataFrame(X + shift * rng.normal(size=N_COLUMNS), columns=list(names)))
    return tables


@pytest.fixture(scope="module")
def learned():
    return DensityEstimator(random_state=0).meta_fit(family())


# -- known answers


@pytest.mark.parametrize(("within", "between"), [(1.0, 0.25), (1.0, 4.0), (2.0, 0.5)])
def test_alignment_learns_within_over_between_variance(within, between):
    """lambda is sigma^2 / tau^2, and the shift is the posterior mean of a normal random effect."""
    rng = np.random.default_rng(0)
    moves = between**0.5 * rng.normal(size=(4000, 1))
    tables = [move + within**0.5 * rng.normal(size=(8, 1)) for move in moves]
    found = learn_alignment(tables)
    assert found.rows[0] == pytest.approx(within / between, rel=0.15)
    rows = tables[0]
    posterior = rows.mean() * between / (between + within / 8)
    assert shift_of(found._replace(centre=np.zeros(1), rows=np.array([within / between])), rows)[0] == pytest.approx(
        posterior
    )


def test_alignment_lives_with_gaps_and_constants():
    tables = [np.array([[1.0, np.nan], [1.0, 2.0]]), np.array([[1.0, np.nan], [1.0, np.nan]]), np.ones((3, 2))]
    found = learn_alignment(tables)
    assert np.isfinite(found.centre).all()
    assert (found.rows > 0).all()
    assert np.isfinite(shift_of(found, np.full((2, 2), np.nan))).all()


def test_a_member_adapts_as_the_learner_does_under_maml():
    """The same numbers from the numpy steps of a member and from MAML over the torch learner."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(4, 3, 3))
    centre = Mixture(
        np.log(np.full(4, 0.25)), rng.normal(size=(4, 3)), root @ root.swapaxes(1, 2) + 0.1 * np.eye(3), ()
    )
    member = Member("any", False, Pull(centre, 2.0, 1.0, 10.0, 5.0), STEPS, np.empty(0, np.int64))
    rows = rng.normal(size=(20, 3))
    floor = LEAST_VARIANCE
    ground = Ground(straight(rows, np.full(3, 1e-9)), np.full(3, floor), learn_alignment([rows, rows]))
    expert = adapted(member, ground, rows, np.empty((20, 0), np.int64))
    learner = gmm.build(gmm.Config(n_features=3, n_clusters=4, variance_floor=floor, prior=True))
    meta = maml.build(maml.Config(inner="refine", inner_steps=STEPS), learner)
    state = meta.adapt(start_of(member), Data(torch.from_numpy(rows)))
    expected = learner.predict(state, torch.from_numpy(rows)).logsumexp(1).numpy()
    np.testing.assert_allclose(log_density(expert.mixture, rows, np.empty((20, 0), np.int64)), expected, rtol=1e-6)


def test_past_tables_are_weighed_by_how_likely_they_make_the_rows():
    """With components that stay as they are, the weights are the fixed point of EM on the tables alone."""
    mixtures = [Mixture(np.zeros(1), np.full((1, 1), place), np.ones((1, 1, 1)), ()) for place in (-2.0, 0.0, 5.0)]
    rows = np.array([[-2.1], [-1.0], [0.2], [-0.4]])
    ground = Ground(straight(rows, np.ones(1)), np.zeros(1), learn_alignment([rows, rows]))
    expert = adapted(past_member(mixtures, steps=0), ground, rows, np.empty((4, 0), np.int64))
    weights = np.exp(expert.mixture.log_weights)
    assert weights.sum() == pytest.approx(1)
    likely = np.stack([multivariate_normal(m.means[0], m.covariances[0]).pdf(rows) for m in mixtures], axis=1)
    shares = (weights * likely / (likely @ weights)[:, None]).sum(0)
    np.testing.assert_allclose(weights, (shares + 0.1 / 3) / 4.1, atol=0.02)
    assert weights[2] < 0.02


def test_weights_go_to_the_member_that_makes_other_rows_likely():
    rng = np.random.default_rng(0)
    good, bad = rng.normal(size=(2, 6, 50))
    scores = {10: [np.stack([a, a - 3], axis=1) for a in good], 100: [np.stack([a - 3, a], axis=1) for a in bad]}
    weights = learn_weights(scores)
    assert weights.shares[0, 0] > 0.99
    assert weights.shares[1, 1] > 0.99
    np.testing.assert_allclose(weights.shares[0], stacked(np.concatenate(scores[10])))
    middle = weights_at(weights, round((10 * 100) ** 0.5))
    np.testing.assert_allclose(middle, [0.5, 0.5], atol=0.05)
    np.testing.assert_allclose(weights_at(weights, 1), weights.shares[0])
    np.testing.assert_allclose(weights_at(weights, 10**6), weights.shares[1])


def test_sizes_are_those_that_enough_tables_can_show():
    assert sizes_of([14] * 10) == []
    assert sizes_of([15] * 3) == [5]
    assert sizes_of([1000, 1000, 1000, 30, 30, 30, 30, 30]) == [5, 10, 20]


def test_familiarity_is_a_rank_among_past_tables():
    """A table's own rank where it is among them, and less than all of them beyond."""
    rng = np.random.default_rng(0)
    signs = rng.normal(size=(200, 4))
    held = Familiarity(np.array([20.0]), (signs,))
    worst = np.array([_unlikeness(signs[i], np.delete(signs, i, axis=0)) for i in range(200)])
    ranks = []
    for _ in range(300):
        found = _unlikeness(rng.normal(size=4), signs)
        ranks.append((1 + (worst >= found).sum()) / 201)
    assert np.mean(np.array(ranks) < 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(ranks) == pytest.approx(0.5, abs=0.06)
    assert learn_familiarity({20: list(signs)}).signs[0].shape == held.signs[0].shape


def test_unusual_columns_are_told_with_what_is_usual():
    tables = [Encoded(table.to_numpy(), np.empty((60, 0), np.int64)) for table in family(30, shift=0.2)]
    profiles = learn_profiles(tables, ())
    usual = Encoded(family(31, shift=0.2)[-1].to_numpy(), np.empty((60, 0), np.int64))
    assert unusual_of(profiles, usual) == []
    moved = usual.numbers.copy()
    moved[:, 1] += 8
    moved[:, 2] *= 20
    moved[:30, 0] = np.nan
    found = unusual_of(profiles, Encoded(moved, usual.codes))
    assert {("mean", 1), ("deviation", 2), ("missing", 0)} <= {(one.kind, one.number) for one in found}
    mean = next(one for one in found if (one.kind, one.number) == ("mean", 1))
    assert mean.low < mean.usual < mean.high < mean.here


# -- estimators


def test_twenty_rows_with_a_prior_beat_twenty_without(learned):
    gains = []
    for X in family(6, 200, seed=99):
        asked = X.iloc[20:]
        score = learned.fit(X.iloc[:20]).score(asked)
        gains.append(score - DensityEstimator(random_state=0).fit(X.iloc[:20]).score(asked))
    assert min(gains) > 0
    assert np.mean(gains) > 0.4


def test_a_foreign_table_is_learned_as_if_there_were_no_prior(learned):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)) * [9, 1, 5] + 30, columns=["a", "b", "c"])
    found = learned.fit(X)
    assert found.familiarity_ < 0.05
    assert found.prior_weight_ == 0
    plain = DensityEstimator(random_state=0).fit(X)
    np.testing.assert_array_equal(found.score_samples(X), plain.score_samples(X))
    assert "foreign" in found.explain()


def test_a_table_of_the_family_is_familiar(learned):
    shares = [learned.fit(X.iloc[:20]).familiarity_ for X in family(20, seed=5)]
    assert np.mean(np.array(shares) < 0.05) <= 0.2
    assert learned.prior_weight_ == 1
    assert "family of 9 past ones" in learned.explain()


def test_many_rows_lean_on_themselves_as_far_as_they_are_better():
    model = DensityEstimator(random_state=0).meta_fit(family(6, 40))
    rng = np.random.default_rng(0)
    X = family(1, 600, seed=3)[0]
    X["b"] = X["b"] + 1.5 * rng.uniform(-1, 1, 600) ** 3  # as no table of the family has it
    found = model.fit(X)
    assert 0 <= found.prior_weight_ <= 1
    assert found.score(X) > DensityEstimator(random_state=0).fit(X).score(X) - 0.1


def test_a_prior_survives_clone_grid_search_pipelines_and_files(learned, tmp_path):
    X = family(1, seed=8)[0]
    expected = learned.fit(X).score_samples(X)
    assert clone(learned).prior is learned.prior
    np.testing.assert_array_equal(clone(learned).fit(X).score_samples(X), expected)
    piped = make_pipeline(FunctionTransformer(), clone(learned)).fit(X)
    np.testing.assert_array_equal(piped.score_samples(X), expected)
    search = GridSearchCV(clone(learned), {"prior": [None, learned.prior]}, cv=3).fit(X)
    assert search.best_params_["prior"] is learned.prior
    learned.prior.save(tmp_path / "kept")
    again = DensityEstimator(prior=tmp_path / "kept", random_state=0).fit(X)
    np.testing.assert_array_equal(again.score_samples(X), expected)
    assert again.familiarity_ == learned.familiarity_


def test_the_order_of_rows_and_tables_as_dicts_change_nothing(learned):
    X = family(1, seed=8)[0]
    expected = learned.fit(X).score_samples(X)
    mixed = X.sample(frac=1, random_state=0)
    np.testing.assert_allclose(learned.fit(mixed).score_samples(X), expected, rtol=1e-9)
    named = {f"store {i}": table for i, table in enumerate(family())}
    same = DensityEstimator(random_state=0).meta_fit(named)
    np.testing.assert_array_equal(same.fit(X).score_samples(X), expected)
    assert same.prior.names[:2] == ("store 0", "store 1")


def test_mixed_columns_and_gaps():
    """Categories, dates and missing cells go through, and samples look like the tables."""
    rng = np.random.default_rng(0)

    def table(n_rows):
        kind = rng.choice(["x", "y"], n_rows)
        value = np.where(kind == "x", 0.0, 5.0) + rng.normal(size=n_rows)
        value[rng.random(n_rows) < 0.1] = np.nan
        day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n_rows), unit="D")
        return pd.DataFrame({"kind": kind, "value": value, "day": day, "same": 1.0})

    model = DensityEstimator(random_state=0).meta_fit([table(50) for _ in range(5)])
    X = table(20)
    found = model.fit(X)
    assert found.prior_weight_ == 1
    drawn = found.sample(200, given={"kind": "y"})
    assert list(drawn.columns) == list(X.columns)
    assert (drawn.dtypes == X.dtypes).all()
    assert drawn["value"].mean() == pytest.approx(5, abs=0.7)
    assert (drawn["same"] == 1).all()
    assert np.isfinite(found.score_samples(X)).all()
    assert not found.impute(X)["value"].isna().any()


def test_arrays_and_categories_alone():
    rng = np.random.default_rng(0)
    arrays = DensityEstimator(random_state=0).meta_fit([rng.normal(size=(40, 2)) for _ in range(4)])
    X = rng.normal(size=(20, 2))
    assert arrays.fit(X).sample(3).shape == (3, 2)
    letters = [pd.DataFrame({"c": rng.choice(list("abc"), 40, p=[0.7, 0.2, 0.1])}) for _ in range(4)]
    letters = [table.assign(d=rng.choice(["u", "v"], 40)) for table in letters]
    found = DensityEstimator(random_state=0).meta_fit(letters).fit(letters[0].iloc[:10])
    shares = np.exp(found.score_samples(pd.DataFrame({"c": list("abc"), "d": ["u", "u", "u"]})))
    assert shares[0] > shares[1] > shares[2] > 0


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 12),
    what=st.sampled_from(["usual", "constant", "equal", "huge", "gaps", "empty column"]),
)
def test_any_small_table_has_an_answer(learned, rows, what):
    X = family(1, 12, seed=4)[0].iloc[:rows].copy()
    if what == "constant":
        X["a"] = 3.0
    elif what == "equal":
        X.loc[:] = X.iloc[0].to_numpy()
    elif what == "huge":
        X.iloc[0, 0] = 1e300
    elif what == "gaps":
        X.iloc[::2, 1] = np.nan
    elif what == "empty column":
        X["b"] = np.nan
    found = learned.fit(X)
    assert 0 <= found.familiarity_ <= 1
    assert 0 <= found.prior_weight_ <= 1
    assert not np.isnan(found.score_samples(X)).any()


# -- what is refused


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (family(1), "at least 3"),
        (family(2), "at least 3"),
        ([family(1)[0]] * 5, "share no rows"),
        ([*family(3), family(1, names=("a", "b", "d"))[0]], "lacks 'c' .* and has 'd'"),
        ([table.to_numpy() for table in family(3)] + [np.ones((20, 2))], "has 3 and table 3 2"),
        ([*family(3), family(1)[0].to_numpy()], "all be DataFrames or all be arrays"),
        (family(5, 8), "15 rows or more"),
        ([pd.DataFrame({"a": [1.0] * 20}) for _ in range(4)], "share no rows|column"),
        ([*family(3), family(1)[0].iloc[:0]], "rows and columns"),
        ([*family(3), family(1)[0] * np.inf], "no infinite values"),
    ],
)
def test_families_that_are_none_are_refused(tables, message):
    with pytest.raises((TypeError, ValueError), match=message):
        DensityEstimator().meta_fit(tables)


def test_tables_of_one_group_are_left_out_together(monkeypatch):
    """The folds that members are tried on hold whole groups, and tables that share rows besides."""
    seen = []
    tables = family(7, 20)
    tables[6] = tables[0].iloc[::-1]

    def spy(rows, n_levels, steps, groups, seed):
        seen.append(groups)
        raise KeyboardInterrupt

    monkeypatch.setattr(estimators_family, "learned", spy)
    with pytest.raises(KeyboardInterrupt):
        DensityEstimator().meta_fit(tables, groups=["x", "x", "y", "y", "z", "z", "w"])
    (groups,) = seen
    assert groups[0] == groups[1] == groups[6]
    assert groups[2] == groups[3]
    assert groups[4] == groups[5]
    assert len(set(groups)) == 3
    with pytest.raises(ValueError, match="one for every table, 7; found 2"):
        DensityEstimator().meta_fit(tables, groups=["x", "y"])
    with pytest.raises(ValueError, match="found none for 'table 6'"):
        DensityEstimator().meta_fit(tables, groups={f"table {i}": i for i in range(6)})
    with pytest.raises(ValueError, match="no rows and no group"):
        DensityEstimator().meta_fit(tables, groups=[0, 0, 0, 0, 0, 0, 1])


def test_one_table_is_no_family():
    with pytest.raises(TypeError, match="list or dict of tables"):
        DensityEstimator().meta_fit(family(1)[0])


def test_other_columns_than_the_prior_knows_are_refused(learned):
    X = family(1)[0]
    with pytest.raises(ValueError, match="lacks 'c' and has 'd' besides"):
        learned.fit(X.rename(columns={"c": "d"}))
    with pytest.raises(ValueError, match="in their order"):
        learned.fit(X[["b", "a", "c"]])
    with pytest.raises(ValueError, match="3 columns that the prior"):
        learned.fit(np.ones((5, 2)))


def test_what_is_no_prior_is_refused(learned, tmp_path, monkeypatch):
    X = family(1)[0]
    with pytest.raises(TypeError, match="should be what meta_fit learned"):
        DensityEstimator(prior=3).fit(X)
    with pytest.raises(FileNotFoundError):
        DensityEstimator(prior=tmp_path / "none").fit(X)
    learned.prior.save(tmp_path)
    file = tmp_path / "prior.safetensors"
    content = file.read_bytes()
    monkeypatch.setattr(store, "LAYOUT", 0)
    with pytest.raises(ValueError, match="upgrade firstsight, or learn the prior again"):
        Prior.load(tmp_path)
    monkeypatch.undo()
    file.write_bytes(content[:200])
    with pytest.raises(ValueError, match="truncated or damaged"):
        Prior.load(tmp_path)
    write_checkpoint(file, {}, {"kind": "embedding"})
    with pytest.raises(ValueError, match="holds no prior"):
        Prior.load(tmp_path)


def test_few_rows_tell_nothing_of_familiarity(learned):
    prior = learned.prior
    table = Encoded(np.zeros((3, 3)), np.empty((3, 0), np.int64))
    ground, member = prior.learned.grounds[0], prior.learned.members[0]
    z = warped(ground.warp, table.numbers)[0]
    assert familiarity_of(prior.learned.familiarity, member, ground, z, table.codes) == 1.0


# -- commands and the page


@pytest.fixture(scope="module")
def kept(learned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prior")
    learned.prior.save(folder)
    return folder


def test_the_page_says_what_is_unusual_beside_the_family(kept):
    X = family(1, 80, seed=12)[0].assign(note=range(80))
    X["b"] = X["b"] + 12
    X.loc[:30, "a"] = np.nan
    found = look(X, name="shop", prior=kept, random_state=0)
    beside = found.contents["family"]
    assert beside is not None
    assert beside["n_tables"] == 9
    told = {(one["column"], one["words"].split()[0]) for one in beside["unusual"]}
    assert {("b", "mean"), ("a", "missing")} <= told
    assert "Beside its family" in found.to_html()
    assert "in nine of ten past tables" in found.to_markdown()
    hidden = look(X, name="shop", prior=kept, with_rows=False, random_state=0).contents["family"]
    assert hidden is not None
    mean = next(one["words"] for one in hidden["unusual"] if one["column"] == "b" and one["words"].startswith("mean"))
    assert mean == "mean higher than in nine of ten past tables"
    assert look(X, name="shop", random_state=0).contents["family"] is None


def test_a_page_of_a_table_without_the_columns_is_refused(kept):
    with pytest.raises(ValueError, match="lacks 'c'"):
        look(family(1)[0].drop(columns="c"), prior=kept)


def test_learn_and_look_by_command(tmp_path, capsys, monkeypatch):
    """Tables in one file, by a column; what was learned is said; the page is beside the family."""
    tables = family(5, 30)
    pooled = pd.concat([table.assign(shop=f"s{place}", id=range(30)) for place, table in enumerate(tables)])
    pooled.to_csv(tmp_path / "all.csv", index=False)
    family(1, 40, seed=9)[0].to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sys.argv", ["firstsight", "learn", "all.csv", "--out", "p", "--group", "shop", "--ignore", "id"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "learned from 5 tables of 3 columns" in said
    assert "prior in p" in said
    monkeypatch.setattr("sys.argv", ["firstsight", "look", "new.csv", "--prior", "p", "-o", "page.md"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "of the family of 5 past ones" in (tmp_path / "page.md").read_text()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("kept")
    monkeypatch.setattr("sys.argv", ["firstsight", "learn", "all.csv", "--out", "other", "--group", "shop"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "should be a new folder" in capsys.readouterr().err

"""The two-covariance model, its calibration, and FewShotClassifier as a user meets it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from firstsight import FewShotClassifier, datasets
from firstsight.augment import images as image_changes
from firstsight.few_shot import calibrate, plain, refine, two_covariances
from firstsight.few_shot.embedding import FILE, Embedding
from firstsight.few_shot.learn import FEWEST, settings_of
from firstsight.few_shot.prepare import IMAGES, Config


@parametrize_with_checks([FewShotClassifier()])
def test_it_keeps_scikit_learns_contract(estimator, check):
    check(estimator)


def gaussian_pool(n_classes=4000, seed=0):
    """Rows and copies of theirs, with a known scatter within classes and between them; of length about 1."""
    generator = np.random.default_rng(seed)
    d = 6
    basis = np.linalg.qr(generator.normal(size=(d, d)))[0]
    within = basis @ np.diag([1.0, 2.0, 0.5, 1.0, 3.0, 1.0]) @ basis.T * 1e-4
    between = np.diag([9.0, 4.0, 1.0, 0.5, 0.2, 6.0]) * 1e-4
    means = generator.multivariate_normal(np.zeros(d), between, n_classes)
    rows, copies = (means + generator.multivariate_normal(np.zeros(d), within, n_classes) for _ in range(2))
    return rows, copies, within, between


def test_the_scatter_of_copies_becomes_the_identity():
    rows, copies, *_ = gaussian_pool()
    lengths = np.linalg.norm(rows - rows.mean(0), axis=1).mean()
    space = two_covariances.learn(torch.tensor(rows), torch.tensor(rows), torch.tensor(copies), copies=True)
    first, second = (two_covariances.placed(space, torch.tensor(part).float()) for part in (rows, copies))
    scatter = torch.cov((first - second).T) / 2
    # The ridge of three tenths of the mean variance makes directions of little scatter smaller than 1.
    assert lengths > 0
    assert scatter.diagonal().mean() < 1
    assert (scatter - torch.diag(scatter.diagonal())).abs().max() < 0.35
    assert (space.between[:-1] >= space.between[1:]).all()
    assert space.between.min() >= two_covariances.LEAST


def test_densities_are_those_of_normal_distributions():
    generator = np.random.default_rng(1)
    between = torch.tensor([4.0, 1.0, 0.25], dtype=torch.float64)
    space = two_covariances.Space(
        torch.zeros(3),
        torch.eye(3, dtype=torch.float64),
        between,
        torch.tensor(False),
        torch.tensor(0.0),
        torch.tensor(False),
    )
    support = torch.tensor(generator.normal(size=(5, 3)))
    y = torch.tensor([0, 0, 0, 1, 1])
    queries = torch.tensor(generator.normal(size=(7, 3)))
    shots = two_covariances.shots_of(space, support, y, 2)
    found = two_covariances.log_densities(space, shots, queries).numpy()
    found = found - 1.5 * np.log(2 * np.pi)
    B, eye = np.diag(between.numpy()), np.eye(3)
    for label in (0, 1):
        own = support[y == label].numpy()
        posterior = np.linalg.inv(np.linalg.inv(B) + len(own) * eye)
        expected = multivariate_normal(posterior @ own.sum(0), posterior + eye).logpdf(queries.numpy())
        np.testing.assert_allclose(found[:, label], expected, rtol=1e-10)
    expected = multivariate_normal(np.zeros(3), B + eye).logpdf(queries.numpy())
    np.testing.assert_allclose(found[:, 2], expected, rtol=1e-10)


@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_any_rows_make_a_space(n_rows, width, seed):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n_rows, width, generator=generator)
    rows[:, 0] = torch.arange(n_rows)
    space = two_covariances.learn(rows, rows, rows, copies=True)  # copies that are equal: no scatter at all
    assert torch.isfinite(two_covariances.placed(space, rows)).all()
    assert (space.between > 0).all()


@pytest.mark.parametrize(
    ("rows", "copies", "message"),
    [
        (torch.ones(5, 3), torch.ones(5, 3), "should differ"),
        (torch.rand(5, 3), torch.rand(4, 3), "a partner for each row"),
        (torch.full((5, 3), torch.nan), torch.rand(5, 3), "finite"),
    ],
)
def test_a_space_refuses(rows, copies, message):
    with pytest.raises(ValueError, match=message):
        two_covariances.learn(rows, rows, copies, copies=True)


def true_tasks(space, means, generator, *, n_tasks=300, way=5):
    for _ in range(n_tasks):
        chosen = generator.permutation(len(means))[: 2 * way]
        shots = means[chosen[:way]] + generator.normal(size=(way, means.shape[1]))
        queries = means[chosen] + generator.normal(size=(2 * way, means.shape[1]))
        learned = two_covariances.shots_of(space, torch.tensor(shots), torch.arange(way), way)
        yield two_covariances.log_densities(space, learned, torch.tensor(queries))


def test_the_model_is_calibrated_where_it_is_true():
    generator = np.random.default_rng(0)
    between = np.array([3.0, 2.0, 1.0, 0.5])
    means = generator.normal(size=(500, 4)) * np.sqrt(between)
    space = two_covariances.Space(
        torch.zeros(4),
        torch.eye(4).double(),
        torch.tensor(between),
        torch.tensor(False),
        torch.tensor(0.0),
        torch.tensor(False),
    )
    own = calibrate.Calibration(scale=1.0, slope=1.0, offset=0.0)
    sure, right, unknown = [], [], []
    for densities in true_tasks(space, means, generator):
        shares = calibrate.log_shares(densities[:5], own).exp()
        sure += shares.max(1).values.tolist()
        right += (shares.argmax(1) == torch.arange(5)).tolist()
        unknown.append(calibrate.unknown_odds(densities, own).sigmoid())
    assert abs(np.mean(sure) - np.mean(right)) < 0.03
    assert abs(float(torch.cat(unknown).mean()) - 0.5) < 0.03


def test_a_calibration_learns_how_sure_to_be():
    """Coordinates that repeat one another say no more than one does: the scale falls with their number."""
    generator = np.random.default_rng(0)
    means = generator.normal(size=(400, 3)) * 2
    scales = []
    for repeats in (1, 4):
        rows, copies = (
            torch.tensor(np.tile(means + generator.normal(size=means.shape), (1, repeats))).float() for _ in range(2)
        )
        space = two_covariances.Space(
            torch.zeros(3 * repeats),
            torch.eye(3 * repeats),
            torch.full((3 * repeats,), 4.0),
            torch.tensor(False),
            torch.tensor(0.0),
            torch.tensor(False),
        )
        found = calibrate.calibrate(torch.Generator().manual_seed(0), space, rows, copies)
        assert found.slope > 0
        scales.append(found.scale)
    assert scales[1] < 0.5 * scales[0]


def test_queries_move_the_classes_where_that_is_asked_for():
    generator = np.random.default_rng(0)
    space = two_covariances.Space(
        torch.zeros(2), torch.eye(2), torch.full((2,), 9.0), torch.tensor(False), torch.tensor(0.0), torch.tensor(False)
    )
    queries = torch.tensor(generator.normal(size=(60, 2)) * 0.3 + [2.0, 0.0]).float()
    support, y = torch.tensor([[3.5, 0.0], [-3.0, 0.0]]), torch.tensor([0, 1])
    shots = two_covariances.shots_of(space, support, y, 2)
    sure = calibrate.Calibration(scale=1.0, slope=1.0, offset=-2.0)
    moved = refine.refined(space, shots, support, y, queries, sure)
    assert abs(float(moved.mean[0, 0]) - 2.0) < 0.1 < abs(float(shots.mean[0, 0]) - 2.0)
    assert torch.allclose(moved.mean[1], shots.mean[1], atol=0.05)


def test_vectors_without_a_prior():
    X = np.array([[0.0, 5.0, 1.0], [0.2, 5.0, -1.0], [4.0, 5.0, 1.0], [4.2, 5.0, -1.0]])
    model = FewShotClassifier().fit(X, ["a", "a", "b", "b"])
    assert model.predict([[1.0, 5.0, 0.0], [3.0, 5.0, 0.0]]).tolist() == ["a", "b"]
    assert model.transform(X).shape == (4, 3)
    space, _ = plain.learn(torch.tensor(X), torch.tensor([0, 0, 1, 1]))
    assert space.between[0] == space.between.max()


@pytest.fixture(scope="module")
def digits():
    return datasets.load_digits()


@pytest.fixture(scope="module")
def shots(digits):
    return [int(place) for label in range(10) for place in np.flatnonzero(digits.y == label)[:3]]


@pytest.fixture(scope="module")
def known(digits, shots):
    return FewShotClassifier.pretrained("omniglot").fit(digits.X[shots], digits.y[shots])


def test_digits_from_three_examples_each(known, digits, shots):
    rest = np.setdiff1d(np.arange(len(digits.y)), shots)[::5]
    pixels = digits.X.reshape(len(digits.X), -1)
    means = pixels[shots].reshape(10, 3, -1).mean(1)
    nearest = ((pixels[rest][:, None] - means) ** 2).sum(2).argmin(1)
    ours = known.score(digits.X[rest], digits.y[rest])
    assert ours > 0.8
    assert ours > (nearest == digits.y[rest]).mean()


def test_probabilities(known, digits):
    shares = known.predict_proba(digits.X[:50])
    assert shares.shape == (50, 10)
    np.testing.assert_allclose(shares.sum(1), 1)
    np.testing.assert_allclose(np.exp(known.predict_log_proba(digits.X[:50])), shares)
    assert (known.classes_[shares.argmax(1)] == known.predict(digits.X[:50])).all()


def test_what_is_of_no_class_is_said_to_be():
    digits = datasets.load_mnist()
    X, y = digits.X[:1000], digits.y[:1000]
    shown = (0, 1, 2, 3)
    rows = [int(place) for label in shown for place in np.flatnonzero(y == label)[:5]]
    model = FewShotClassifier.pretrained("omniglot").fit(X[rows], y[rows])
    unknown, known = model.unknown_proba(X), np.isin(y, shown)
    assert ((unknown >= 0) & (unknown <= 1)).all()
    assert unknown[~known].mean() > unknown[known].mean() + 0.2
    rarer = model.unknown_proba(X, share=0.1)
    assert (rarer <= unknown).all()
    assert rarer.mean() < unknown.mean()
    with pytest.raises(ValueError, match="share"):
        model.unknown_proba(X[:1], share=1)


def test_an_answer_depends_on_its_row_alone_unless_asked(known, digits):
    alone = known.predict_proba(digits.X[7:8])
    np.testing.assert_allclose(known.predict_proba(digits.X[:64])[7:8], alone, atol=1e-5)
    together = clone(known).set_params(transductive=True)
    rows = [int(np.flatnonzero(digits.y == label)[0]) for label in range(10)]
    together.fit(digits.X[rows], digits.y[rows])
    inductive = clone(known).fit(digits.X[rows], digits.y[rows])
    assert together.score(digits.X[::3], digits.y[::3]) > inductive.score(digits.X[::3], digits.y[::3])


def test_the_learned_space_clusters(known, digits):
    places = known.transform(digits.X[::4])
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1, rtol=1e-5)
    assert places.shape[1] == 32
    pixels = digits.X[::4].reshape(len(places), -1)
    found, plain_found = (
        adjusted_rand_score(digits.y[::4], KMeans(10, n_init=3, random_state=0).fit_predict(X))
        for X in (places, pixels)
    )
    assert found > plain_found - 0.15
    assert known.get_feature_names_out()[-1] == "embedding31"


@pytest.mark.parametrize("labels", [["a", "b"], [3, 7], [True, False], ["only", "only"], [1.0, 2.0]])
def test_labels_of_any_type(labels, digits):
    model = FewShotClassifier.pretrained("omniglot").fit(digits.X[:2], labels)
    assert set(model.predict(digits.X[:9])) <= set(labels)
    assert len(model.classes_) == len(set(labels))


def test_unequal_shots(digits):
    rows = [*np.flatnonzero(digits.y == 0)[:9], int(np.flatnonzero(digits.y == 1)[0])]
    model = FewShotClassifier.pretrained("omniglot").fit(digits.X[rows], digits.y[rows])
    rest = np.isin(digits.y, (0, 1))
    assert model.score(digits.X[rest], digits.y[rest]) > 0.9


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((2, 28, 28)), None, "y"),
        (np.zeros((2, 28, 28)), [1], "as many"),
        (np.zeros((2, 28, 28)), [1.5, 2.25], "continuous"),
        (np.zeros((2, 28, 28)), ["a", None], "missing"),
        (np.zeros((2, 5)), [0, 1], "shape"),
        (np.full((2, 28, 28), np.nan), [0, 1], "cannot be read"),
        ([], [], "found none"),
    ],
)
def test_shots_that_are_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        FewShotClassifier.pretrained("omniglot").fit(X, y)


def test_without_classes_nothing_is_predicted(digits):
    model = FewShotClassifier.pretrained("omniglot")
    assert model.transform(digits.X[:3]).shape == (3, 32)
    with pytest.raises(NotFittedError):
        model.predict(digits.X[:3])
    with pytest.raises(ValueError, match="pretrained"):
        FewShotClassifier().fit(digits.X[:4], [0, 1, 0, 1])
    with pytest.raises(ValueError, match="'omniglot'"):
        FewShotClassifier.pretrained("faces")


def test_what_is_saved_is_the_same_when_read(known, digits, tmp_path):
    known.save(tmp_path)
    again = FewShotClassifier.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(digits.X[:40]), known.predict_proba(digits.X[:40]))
    np.testing.assert_array_equal(again.classes_, known.classes_)
    elsewhere = FewShotClassifier(prior=str(tmp_path)).fit(digits.X[:20], digits.y[:20])
    there = clone(known).fit(digits.X[:20], digits.y[:20])
    np.testing.assert_array_equal(elsewhere.predict_proba(digits.X), there.predict_proba(digits.X))
    clone(known).save(tmp_path)  # not fitted: the classes go
    assert not hasattr(FewShotClassifier.load(tmp_path), "classes_")
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-9])
    with pytest.raises(ValueError, match="damaged"):
        FewShotClassifier.load(tmp_path)
    with pytest.raises(ValueError, match="meta_fit"):
        FewShotClassifier().save(tmp_path)


def learned(pool, **more):
    return FewShotClassifier(steps=more.pop("steps", 6), random_state=0, **more).meta_fit(pool)


def test_a_pool_of_pictures(digits):
    model = learned(digits.X[:200, 0])
    assert isinstance(model.prior, Embedding)
    assert model.prior.kind == "images"
    assert clone(model).prior is model.prior
    assert model.fit(digits.X[:10, 0], digits.y[:10]).predict(digits.X[:5, 0]).shape == (5,)
    same = learned(digits.X[:200, 0])
    for mine, theirs in zip(model.prior.encoder.parameters(), same.prior.encoder.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.slow
def test_a_training_goes_on_where_it_was_stopped(digits, tmp_path):
    whole = FewShotClassifier(steps=16, random_state=0, n_jobs=1).meta_fit(digits.X[:100], directory=tmp_path / "whole")
    script = (
        "import sys; from firstsight import FewShotClassifier, datasets\n"
        "from firstsight.pools import train\n"
        "one = train._one\n"
        "def until(run, *rest):\n"
        "    if run.step == 9: raise KeyboardInterrupt\n"
        "    return one(run, *rest)\n"
        "train._one = until\n"
        "model = FewShotClassifier(steps=16, random_state=0, n_jobs=1)\n"
        "model.meta_fit(datasets.load_digits().X[:100], directory=sys.argv[1])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "part")], capture_output=True, text=True, env={**os.environ}
    )
    assert "KeyboardInterrupt" in ended.stderr
    resumed = FewShotClassifier(steps=16, random_state=0, n_jobs=1).meta_fit(
        digits.X[:100], directory=tmp_path / "part"
    )
    for mine, theirs in zip(whole.prior.encoder.parameters(), resumed.prior.encoder.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    with pytest.raises(ValueError, match="random_state"):
        FewShotClassifier(steps=16).meta_fit(digits.X[:100], directory=tmp_path / "part")
    with pytest.raises(ValueError, match="settings"):
        FewShotClassifier(steps=17, random_state=0, n_jobs=1).meta_fit(digits.X[:100], directory=tmp_path / "part")


def drawings(folder, digits, n=40):
    for place in range(n):
        side = 20 + place % 5
        picture = Image.fromarray((255 - 255 * digits.X[place, 0]).astype(np.uint8)).resize((side, side + place % 3))
        picture.convert("RGB" if place % 2 else "L").save(folder / f"{place:03}.png")


def test_a_folder_with_broken_files(digits, tmp_path):
    drawings(tmp_path, digits)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    cut = (tmp_path / "000.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "notes.txt").write_text("not looked at")
    with pytest.warns(UserWarning, match="3 of 43 things of the pool are left out"):
        model = learned(tmp_path)
    assert sorted(os.path.basename(thing.name) for thing in model.prior.left_out) == [
        "cut.png",
        "empty.png",
        "text.jpg",
    ]
    assert model.prior.reader.bright
    files = [str(tmp_path / f"{place:03}.png") for place in range(10)]
    assert model.fit(files, digits.y[:10]).score(files, digits.y[:10]) == 1
    with pytest.raises(ValueError, match=r"empty\.png cannot be read"):
        model.predict([*files, str(tmp_path / "empty.png")])


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (np.zeros((FEWEST - 1, 8, 8)), f"at least {FEWEST}"),
        (np.zeros((20, 8, 8)), "should differ"),
        (np.full((20, 8, 8), np.nan), "none among 20"),
        (np.zeros((20, 8, 8, 7)), "1, 3 or 4 channels"),
        ([], "found none"),
        ([np.zeros((8, 8))], f"at least {FEWEST}"),
        (np.full((20, 4), np.inf), "none among 20"),
    ],
)
def test_pools_that_are_refused(pool, message):
    with pytest.raises(ValueError, match=message):
        learned(pool, steps=2)


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (3, "folder"),
        ({"a": 1}, "folder"),
        (["a", np.zeros(3)], "one kind"),
        ([np.zeros(3), np.zeros((3, 3))], "one kind"),
        (np.zeros((3, 3, 3, 3, 3)), "5 axes"),
    ],
)
def test_pools_of_no_kind(pool, message):
    with pytest.raises(TypeError, match=message):
        learned(pool)


def test_a_pool_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder"):
        learned(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="none"):
        learned(tmp_path)


def test_an_encoder_of_ones_own(digits, tmp_path):
    own = nn.Sequential(nn.Flatten(), nn.Linear(784, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 12))
    before = {name: value.clone() for name, value in own.state_dict().items()}
    model = learned(digits.X[:64], encoder=own).fit(digits.X[:10], digits.y[:10])
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    assert model.prior.space.matrix.shape == (12, 12)
    model.save(tmp_path)
    with pytest.raises(ValueError, match="pass encoder="):
        FewShotClassifier.load(tmp_path)
    again = FewShotClassifier.load(tmp_path, encoder=own)
    np.testing.assert_array_equal(again.predict_proba(digits.X[:9]), model.predict_proba(digits.X[:9]))
    with pytest.raises(ValueError, match="rows of shape"):
        learned(digits.X[:64], encoder=nn.Linear(5, 3))
    with pytest.raises(ValueError, match="features"):
        learned(digits.X[:64], encoder=nn.Identity())
    with pytest.raises(TypeError, match="encoder"):
        learned(digits.X[:64], encoder="resnet")


def test_a_pool_of_vectors():
    generator = np.random.default_rng(0)
    pool = generator.normal(size=(200, 5)) * [1, 10, 100, 0, 1]
    pool[3, 2] = np.nan
    with pytest.warns(UserWarning, match="row 3: NaN"):
        model = learned(pool)
    assert model.fit(pool[4:8], [0, 1, 0, 1]).predict(pool[4:8]).shape == (4,)
    assert model.n_features_in_ == 5
    with pytest.raises(ValueError, match="features"):
        model.predict(pool[4:8, :3])


def test_a_pool_of_texts(tmp_path):
    words = ["play", "stop", "song", "lamp", "light", "on", "off", "louder", "kitchen", "the", "a", "please"]
    generator = np.random.default_rng(0)
    pool = [" ".join(generator.choice(words, size=5)) for _ in range(80)]
    with pytest.warns(UserWarning, match="text 80: no words"):
        model = learned([*pool, "  "])
    model.fit(["play a song", "the lamp off"], ["music", "light"])
    assert model.predict(["play the song", ""]).tolist()[0] == "music"
    model.save(tmp_path)
    again = FewShotClassifier.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(pool[:5]), model.predict_proba(pool[:5]))

    def lengths(texts):
        return np.array([[len(text), text.count("a"), text.count("o")] for text in texts], dtype=float)

    own = learned(pool, vectorizer=lengths).fit(pool[:2], [0, 1])
    own.save(tmp_path)
    with pytest.raises(ValueError, match="pass vectorizer="):
        FewShotClassifier.load(tmp_path)
    again = FewShotClassifier.load(tmp_path, vectorizer=lengths)
    np.testing.assert_array_equal(again.predict_proba(pool[:5]), own.predict_proba(pool[:5]))


def test_changes_of_ones_own(digits):
    def darker(generator, X):
        return X * torch.rand(len(X), 1, 1, 1, generator=generator)

    assert learned(digits.X[:64], augment=darker).prior.about["changes"] == "a function of one's own"
    model = learned(digits.X[:64], augment=image_changes.OBJECTS)
    assert model.prior.about["changes"]["crop"] == image_changes.OBJECTS.crop
    with pytest.raises(TypeError, match="augment"):
        learned(digits.X[:64], augment=Config())


def test_the_checkpoint_of_another_pool_is_refused(digits, tmp_path):
    FewShotClassifier(steps=3, random_state=0).meta_fit(digits.X[:64], directory=tmp_path)
    FewShotClassifier(steps=3, random_state=0).meta_fit(digits.X[:64], directory=tmp_path)
    with pytest.raises(ValueError, match="pool"):
        FewShotClassifier(steps=3, random_state=0).meta_fit(digits.X[64:128], directory=tmp_path)


def test_settings_are_saved_and_a_failed_saving_loses_nothing(digits, tmp_path):
    model = FewShotClassifier.pretrained("omniglot").set_params(transductive=True, n_components=5)
    model.fit(digits.X[:10], digits.y[:10]).save(tmp_path)
    again = FewShotClassifier.load(tmp_path)
    assert (again.transductive, again.n_components) == (True, 5)
    np.testing.assert_allclose(again.predict_proba(digits.X[:30]), model.predict_proba(digits.X[:30]), atol=1e-6)
    dated = FewShotClassifier.pretrained("omniglot").fit(digits.X[:2], np.array(["2020-01-01", "2020-01-02"], "M8[D]"))
    with pytest.raises(ValueError, match="strings or numbers"):
        dated.save(tmp_path)
    assert FewShotClassifier.load(tmp_path).predict(digits.X[:3]).shape == (3,)


def test_names_of_the_learned_space_need_no_classes(digits):
    model = FewShotClassifier.pretrained("omniglot").set_output(transform="pandas")
    assert list(model.transform(digits.X[:2]).columns[:2]) == ["embedding0", "embedding1"]


def test_waveforms_of_one_length_are_sounds_where_a_rate_is_given():
    pytest.importorskip("librosa")
    waves = [np.sin(np.arange(2000) * 0.01 * (place + 1)) for place in range(20)]
    assert learned(waves, sample_rate=8000, steps=2).prior.kind == "sounds"


def test_values_of_another_scale_are_refused(digits):
    with pytest.raises(ValueError, match="from 0 to 1"):
        FewShotClassifier.pretrained("omniglot").transform(255.0 * digits.X[:3])
    vectors = np.random.default_rng(0).normal(size=(40, 3))
    model = learned(vectors).fit(vectors[:2], [0, 1])
    vectors[5] = 1e300
    with pytest.raises(ValueError, match="row 5 cannot be read"):
        model.predict(vectors)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"method": "maml"}, ValueError),
        ({"kind": "smells"}, ValueError),
        ({"steps": 0}, ValueError),
        ({"image_size": 2}, ValueError),
        ({"n_jobs": 0}, ValueError),
        ({"vectorizer": "tfidf"}, TypeError),
        ({"augment": "strong"}, TypeError),
    ],
)
def test_parameters_that_are_refused(more, error, digits):
    with pytest.raises(error, match=next(iter(more))):
        learned(digits.X[:64], **more)


def test_a_pool_of_any_size_has_settings():
    for n_rows in (FEWEST, 100, 4000, 20_000, 10**6):
        objective, training = settings_of(n_rows, Config(), IMAGES)
        assert 2 <= training.batch <= min(n_rows // 2, objective.n_queue)
        assert 1000 <= training.steps <= 5000
    plain_objective, training = settings_of(100, Config(method="contrast"), IMAGES)
    assert plain_objective.neighbours_from > training.steps


def test_the_card_of_the_weights(known):
    from firstsight import pretrained

    folder = pretrained.FOLDER / "omniglot"
    card = json.loads((folder / "card.json").read_text())
    assert card["data"][0]["licence"] == "MIT"
    assert (folder.parents[3] / card["command"]).exists()
    assert card["licence"] == "Apache-2.0"
    assert card["numbers"]["5w1s"] > 0.95
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5e6


def test_an_even_space_answers_as_the_nearest_mean():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(300, 8, generator=generator) * torch.arange(1, 9)
    near = rows + 0.3 * torch.randn(300, 8, generator=generator)
    space = two_covariances.learn_even(rows, rows, near)
    places = two_covariances.placed(space, near)
    support, y = places[:20], torch.arange(5).repeat(4)
    found = two_covariances.log_densities(space, two_covariances.shots_of(space, support, y, 5), places)[:, :5]
    unit = torch.nn.functional.normalize(near - rows.mean(0), dim=1)
    means = torch.stack([unit[:20][y == label].mean(0) for label in range(5)])
    cosines = unit @ torch.nn.functional.normalize(means, dim=1).T
    assert torch.equal(found.argmax(1), cosines.argmax(1))

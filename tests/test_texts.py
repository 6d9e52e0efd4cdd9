"""Texts: what is left out, what vectors are learned, written and read again, and what is refused."""

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from firstsight.augment import texts as changes
from firstsight.augment.texts import SENTENCES, changed
from firstsight.inputs import texts as inputs
from firstsight.seeds import generator_of

POOL = [
    f"{verb} {thing} {when}"
    for verb in ("book", "cancel", "change", "please move")
    for thing in ("my flight", "a table", "the meeting", "our hotel room")
    for when in ("today", "tomorrow", "on friday")
]
SMALL = inputs.Config(n_features=8)
ODD = ["", "   ", "\n\t", "🙂", "🙂 🙂", "\u200b", "é" * 5000, "word " * 3000, "\x00", "١٢٣", "日本語 の 文"]
LEARNED = inputs.learn(POOL, SMALL, 0)


def subsequence(part, whole):
    rest = iter(whole)
    return all(word in rest for word in part)


def test_zero_strength_keeps_every_word():
    assert changed(generator_of(0), POOL, changes.Config()) == POOL


@given(st.lists(st.text(max_size=60), max_size=8), st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_copies_are_words_of_the_text_in_their_order_and_never_empty(texts, drop, span, seed):
    config = changes.Config(drop=drop, span=span)
    copies = changed(generator_of(seed), texts, config)
    assert len(copies) == len(texts)
    for text, copy in zip(texts, copies, strict=True):
        assert bool(copy.strip()) == bool(text.strip())
        assert subsequence(copy.split(), text.split())
    assert copies == changed(generator_of(seed), texts, config)


@pytest.mark.parametrize("config", [SENTENCES, changes.Config(drop=1.0), changes.Config(span=1.0)], ids=str)
def test_odd_texts(config):
    before, state = list(ODD), torch.get_rng_state()
    copies = changed(generator_of(0), ODD, config)
    assert before == ODD
    assert torch.equal(state, torch.get_rng_state())
    assert [bool(copy.split()) for copy in copies] == [bool(text.split()) for text in ODD]


def test_shares_that_are_left_out():
    long = [" ".join(map(str, range(200)))] * 50
    dropped = changed(generator_of(0), long, changes.Config(drop=0.25))
    assert np.mean([len(copy.split()) for copy in dropped]) == pytest.approx(150, abs=3)
    runs = [[int(word) for word in copy.split()] for copy in changed(generator_of(0), long, changes.Config(span=0.4))]
    assert np.mean([len(run) for run in runs]) == pytest.approx(160, abs=12)
    for run in runs:  # one gap at most, at the ends or within
        assert len(run) >= 120
        assert sum(b - a > 1 for a, b in itertools.pairwise(run)) <= 1
    assert len(set(dropped)) == 50


def test_vectors_are_those_of_the_formula():
    X = inputs.vectors(LEARNED, POOL)
    assert X.dtype == torch.float32
    assert X.shape == (48, 8)
    torch.testing.assert_close(X.mean(0), torch.zeros(8), rtol=0, atol=1e-4)
    assert float(X.square().mean()) == pytest.approx(1, abs=1e-3)
    # A text for itself is what it is among others.
    torch.testing.assert_close(inputs.vectors(LEARNED, POOL[5:6])[0], X[5], rtol=0, atol=1e-5)
    close = torch.nn.functional.normalize(inputs.vectors(LEARNED, ["book a tables", "book a table", "move it friday"]))
    assert float(close[0] @ close[1]) > float(close[0] @ close[2])


def test_all_directions_keep_the_cosines():
    """With as many directions as texts, distances are those of TF-IDF itself."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = inputs.learn(POOL, inputs.Config(n_features=1000, fewest_texts=1), 0)
    X = inputs.vectors(vectorizer, POOL).double()
    rows = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit_transform(POOL)
    wanted = torch.cdist(*[torch.from_numpy(rows.toarray())] * 2)
    found = torch.cdist(X, X)
    scale = float(found.sum() / wanted.sum())
    torch.testing.assert_close(found / scale, wanted, rtol=0, atol=2e-3)


def test_the_same_seed_gives_the_same_vectors():
    again = inputs.learn(list(POOL), SMALL, 0)
    assert torch.equal(inputs.vectors(again, POOL), inputs.vectors(LEARNED, POOL))


def test_written_and_read_again_without_pickle():
    tensors, facts = inputs.pack(LEARNED)
    again = inputs.unpack(load(save(tensors)), json.loads(json.dumps(facts)))
    assert again.terms == LEARNED.terms
    assert torch.equal(inputs.vectors(again, POOL + ODD), inputs.vectors(LEARNED, POOL + ODD))
    with pytest.raises(ValueError, match="should have shapes"):
        inputs.unpack(tensors, {**facts, "terms": facts["terms"][1:]})


def test_unknown_and_empty_texts_are_the_mean_of_the_pool():
    assert torch.equal(inputs.vectors(LEARNED, ["", "  ", "🙂", "日本語"]), torch.zeros(4, 8))
    assert inputs.vectors(LEARNED, []).shape == (0, 8)


@given(st.lists(st.text(max_size=40), max_size=5))
@settings(max_examples=40, deadline=None)
def test_any_text_has_finite_vectors(texts):
    X = inputs.vectors(LEARNED, texts + ODD)
    assert X.shape == (len(texts) + len(ODD), 8)
    assert bool(torch.isfinite(X).all())


def test_texts_that_are_all_alike():
    vectorizer = inputs.learn(["the same"] * 5, SMALL, 0)
    torch.testing.assert_close(inputs.vectors(vectorizer, ["the same"]), torch.zeros(1, 1), rtol=0, atol=1e-4)


@pytest.mark.parametrize("give", [np.asarray, torch.as_tensor, np.ndarray.tolist], ids=["numpy", "torch", "list"])
def test_a_function_of_the_users_own(give):
    X = inputs.vectors(lambda texts: give(np.array([[len(text), 1.0] for text in texts])), ["a", "bcd"])
    assert X.dtype == torch.float32
    assert X.tolist() == [[1, 1], [3, 1]]


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda texts: np.zeros((1, 2)), ValueError, "a row for each text"),
        (lambda texts: np.zeros(len(texts)), ValueError, "n_features"),
        (lambda texts: np.array([[1.0], [np.nan]]), ValueError, r"texts\[1\]"),
        (lambda texts: texts, TypeError, "array of numbers"),
        ("name", TypeError, "found str"),
    ],
)
def test_functions_that_are_refused(function, error, words):
    with pytest.raises(error, match=words):
        inputs.vectors(function, ["a", "b"])


@pytest.mark.parametrize("bad", [["a", None], ["a", 3.0], ["a", float("nan")], ["a", b"b"]], ids=str)
def test_what_is_no_string_is_named_by_its_place(bad):
    for use in (
        lambda: inputs.learn(bad, SMALL, 0),
        lambda: inputs.vectors(LEARNED, bad),
        lambda: changed(generator_of(0), bad, SENTENCES),
    ):
        with pytest.raises(TypeError, match=r"texts\[1\] should be a string"):
            use()


@pytest.mark.parametrize("bad", ["one text", b"bytes", np.array(["a", "b"]), {"a"}, 5], ids=str)
def test_what_is_no_list_is_refused(bad):
    with pytest.raises(TypeError, match="list of strings"):
        inputs.vectors(LEARNED, bad)


def test_pools_that_are_refused():
    with pytest.raises(ValueError, match="whole pool"):
        inputs.learn(["one"], SMALL, 0)
    for texts in (["", " "], ["abc", "xyz"], ["🙂", "🙂"]):
        with pytest.raises(ValueError, match="fewest_texts"):
            inputs.learn(texts, inputs.Config(kind="words", shortest=1, longest=1), 0)


@pytest.mark.parametrize(
    "wrong", [{"kind": "letters"}, {"shortest": 0}, {"shortest": 5}, {"fewest_texts": 0}, {"n_features": 2.5}], ids=str
)
def test_settings_of_vectors_that_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
        inputs.Config(**wrong)


@pytest.mark.parametrize("wrong", [{"drop": 1.1}, {"span": -0.1}, {"drop": "much"}], ids=str)
def test_settings_of_changes_that_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
        changes.Config(**wrong)

"""Sounds: one picture a recording whatever its length and type, changes that are what they say, files that are none."""

import builtins
import dataclasses
import wave
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstsight.augment import sounds as changes
from firstsight.augment.sounds import SPEECH
from firstsight.inputs import sounds
from firstsight.inputs.sounds import Config, log_mel, read_files
from firstsight.nets.encoder import seeded
from firstsight.nets.frames import FrameEncoder
from firstsight.seeds import generator_of

needs_librosa = pytest.mark.skipif(find_spec("librosa") is None, reason="librosa is not installed")
SMALL = Config(n_mels=20, n_frames=24)
EVERYTHING = dataclasses.replace(SPEECH, crop=0.6, mix=0.5, tempo=0.05)


def tone(frequency=440.0, seconds=0.3, rate=8000):
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def word(seed=0, n_samples=3000):
    """Noise whose loudness rises and falls."""
    noise = np.random.default_rng(seed).normal(size=n_samples) * np.hanning(n_samples)
    return (noise / np.abs(noise).max()).astype(np.float32)


def pictures(n=6, height=20, width=24):
    return 0.1 + 0.9 * torch.rand(n, 1, height, width, generator=generator_of(0, "pictures"))


# Reading


@needs_librosa
@given(
    st.tuples(
        st.sampled_from(["int8", "int16", "int32", "uint8", "float16", "float32", "float64"]),
        st.integers(1, 9000),
        st.integers(0, 99),
        st.sampled_from([1e-4, 1.0, 100.0]),
    )
)
def test_every_length_and_type_gives_one_picture(drawn):
    dtype, n_samples, seed, size = drawn
    draws = np.random.default_rng(seed).normal(size=n_samples) * size
    if not dtype.startswith("float"):
        draws = draws.clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
    X = log_mel([draws.astype(dtype)], SMALL)
    assert X.shape == (1, 1, 20, 24)
    assert X.dtype == torch.float32
    assert X.min() >= 0
    # Either nothing sounds, or something is the loudest.
    assert float(X.max()) in (0.0, 1.0) or n_samples > 24 * 100


@needs_librosa
def test_a_tone_is_a_line_at_its_pitch():
    low, high = log_mel([tone(300.0), tone(2000.0)], SMALL)[:, 0, :, 12].argmax(1).tolist()
    assert low < high
    import librosa

    middles = librosa.mel_frequencies(22, fmin=SMALL.low, fmax=4000)[1:-1]
    assert [low, high] == [int(np.abs(middles - f).argmin()) for f in (300.0, 2000.0)]


@needs_librosa
def test_whole_numbers_are_read_as_shares_of_their_range():
    loud = word()
    from_float, from_int = log_mel([loud, np.round(loud * 32767).astype(np.int16)], SMALL)
    torch.testing.assert_close(from_float, from_int, rtol=0, atol=0.02)


@needs_librosa
@pytest.mark.parametrize("factor", [1e-6, 0.5, 1e30])
def test_how_loud_it_was_recorded_says_nothing(factor):
    before = word()
    same, offset = log_mel([before.astype(np.float64) * factor, before.astype(np.float64) + 3], SMALL)
    (expected,) = log_mel([before], SMALL)
    torch.testing.assert_close(same, expected, rtol=0, atol=1e-3)
    torch.testing.assert_close(offset, expected, rtol=0, atol=1e-2)


@needs_librosa
def test_full_scale_keeps_how_loud_it_was():
    config = dataclasses.replace(SMALL, reference="full", floor=-100.0)
    sine = tone(1000.0)
    loud, soft, whole, dead = log_mel([sine, 0.01 * sine, np.round(sine * 32767).astype(np.int16), 0 * sine], config)
    assert 0.9 < float(loud.max()) <= 1
    assert float(loud.max() - soft.max()) == pytest.approx(0.4, abs=1e-3)  # 40 of 100 decibels
    torch.testing.assert_close(whole.max(), loud.max(), rtol=0, atol=1e-3)
    assert torch.equal(dead, torch.zeros_like(dead))


@needs_librosa
def test_silence_and_one_sample_are_the_floor():
    silent = [np.zeros(4000, np.int16), np.full(4000, 7, np.int16), np.full(3, 0.1), np.ones(1, np.float32)]
    assert torch.equal(log_mel(silent, SMALL), torch.zeros(4, 1, 20, 24))


@needs_librosa
def test_a_short_one_is_in_the_middle_and_a_long_one_gives_its_loudest_stretch():
    config = Config(n_mels=20, n_frames=24, hop=0.0125)  # .3 s
    short, alone = log_mel([tone(seconds=0.1), tone(seconds=0.3)], config)[:, 0].amax(1)
    heard = short.nonzero().flatten()
    assert abs(float(heard.float().mean()) - 11.5) <= 1
    assert len(heard) < 14
    quiet = 0.05 * word(1, 8000)
    long = np.concatenate([quiet, word(2, 2000), quiet])
    (found,), (expected,) = log_mel([long], config), log_mel([long[7800:10200]], config)
    assert float((found - expected).abs().mean()) < 0.1
    assert float(found.max()) == 1
    assert float(alone.max()) == 1


@needs_librosa
def test_a_recording_is_read_as_if_it_were_alone(monkeypatch):
    monkeypatch.setattr(sounds, "BLOCK", 20000)
    waveforms = [word(n, length) for n, length in enumerate((100, 9000, 4000, 1, 30000, 700))]
    together = log_mel(waveforms, SMALL)
    for number, waveform in enumerate(waveforms):
        torch.testing.assert_close(together[number], log_mel([waveform], SMALL)[0], rtol=0, atol=1e-4)
    assert log_mel([], SMALL).shape == (0, 1, 20, 24)


@needs_librosa
def test_waveforms_are_not_changed():
    before = word()
    kept = before.copy()
    assert torch.equal(log_mel([before], SMALL), log_mel([before], SMALL))
    assert np.array_equal(before, kept)


@needs_librosa
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (np.array([0.0, np.nan, 1.0]), ValueError, r"waveforms\[1\] should be finite; found nan at sample 1"),
        (np.array([0.0, 1.0, np.inf]), ValueError, r"waveforms\[1\] should be finite; found inf at sample 2"),
        (np.zeros((2, 5)), ValueError, r"waveforms\[1\].*\(n_samples,\); found \(2, 5\)"),
        (np.zeros(0), ValueError, r"waveforms\[1\] should have at least one sample"),
        ([1.0, 2.0], TypeError, r"waveforms\[1\].*found list"),
        (np.array(["a"]), TypeError, r"waveforms\[1\] should be an array of real numbers"),
        (np.zeros(3, complex), TypeError, r"waveforms\[1\].*complex128"),
    ],
)
def test_what_is_no_waveform_is_named(wrong, error, message):
    with pytest.raises(error, match=message):
        log_mel([tone(), wrong], SMALL)


@needs_librosa
def test_more_bands_than_frequencies_are_refused():
    with pytest.raises(ValueError, match=r"n_mels=300 .* lower n_mels or lengthen"):
        log_mel([tone()], Config(n_mels=300))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sample_rate", 10), ("n_mels", 0), ("n_frames", 1.5), ("window", 1e-5), ("hop", 0.0), ("low", 4000.0),
        ("floor", 0.0), ("reference", "peak"), ("floor", float("nan")),
    ],
)  # fmt: skip
def test_wrong_settings_of_pictures_are_named(name, value):
    with pytest.raises((TypeError, ValueError), match=name):
        Config(**{name: value})


def test_without_librosa_the_error_says_what_to_install(monkeypatch):
    true = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "librosa":
            raise ImportError(name)
        return true(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for call in (lambda: log_mel([tone()], SMALL), lambda: read_files([], SMALL)):
        with pytest.raises(ImportError, match=r"pip install 'firstsight\[sound\]'"):
            call()


def write(path, samples, *, rate=8000, channels=1):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(np.asarray(samples) * 32767).astype("<i2").tobytes())
    return path


@needs_librosa
def test_files_of_other_rates_and_channels_are_read_and_the_others_named(tmp_path):
    good = write(tmp_path / "good.wav", tone())
    fast = write(tmp_path / "fast.wav", tone(rate=16000), rate=16000)
    two = write(tmp_path / "two.wav", np.stack([tone(), -tone()], 1).ravel(), channels=2)
    none = write(tmp_path / "none.wav", [])
    for name, content in (("empty.wav", b""), ("text.wav", b"no sound at all"), ("cut.wav", good.read_bytes()[:20])):
        (tmp_path / name).write_bytes(content)
    names = ["empty.wav", "text.wav", "cut.wav", "gone.wav"]
    paths = [good, tmp_path / names[0], str(fast), *(tmp_path / name for name in names[1:]), none, tmp_path, two]
    waveforms, failed = read_files(paths, Config())
    assert [len(waveform) for waveform in waveforms] == [2400, 2400, 2400]
    assert all(waveform.dtype == np.float32 for waveform in waveforms)
    np.testing.assert_allclose(waveforms[0], tone(), atol=1e-4)
    assert np.corrcoef(waveforms[0], waveforms[1])[0, 1] > 0.99
    np.testing.assert_allclose(waveforms[2], 0, atol=1e-4)
    reasons = {path.name: why for path, why in failed}
    assert [path for path, _ in failed] == [*(tmp_path / name for name in names), none, tmp_path]
    assert "zero bytes" in reasons["empty.wav"]
    assert reasons["text.wav"] == reasons["cut.wav"] == "it is no sound that can be read"
    assert "No such file" in reasons["gone.wav"]
    assert "no samples" in reasons["none.wav"]
    assert "directory" in reasons[tmp_path.name]


# Changes


def test_zero_strength_changes_nothing():
    X = pictures()
    assert torch.equal(changes.augment(generator_of(0), X, changes.Config()), X)
    still = changes.draw_places(generator_of(0), len(X), changes.Config())
    torch.testing.assert_close(changes.warp(X, still), X, rtol=0, atol=1e-5)
    assert torch.equal(changes.louder(X, changes.draw_gains(generator_of(0), len(X), 20, changes.Config())), X)


def test_the_seed_decides_and_the_pictures_stay():
    X, state = pictures(), torch.get_rng_state()
    kept = X.clone()
    first, again, other = (changes.augment(generator_of(seed), X, EVERYTHING) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(X, kept)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.shape == X.shape
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
    double = changes.augment(generator_of(1), X.double(), EVERYTHING)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), first, rtol=0, atol=1e-4)


@pytest.mark.parametrize("axis", [2, 3])
def test_a_mask_is_what_it_says(axis):
    X = pictures()
    bands = torch.tensor([[0.25, 0.5]] * 5 + [[0.4, 0.4]])
    masked = changes.mask(X, bands, axis)
    side = X.shape[axis]
    inside = torch.arange(side).add(0.5).div(side).sub(0.375).abs() < 0.125
    assert torch.equal((masked == 0).any(5 - axis)[:5, 0], inside.expand(5, side))
    assert torch.equal((masked == 0).all(5 - axis)[:5, 0], inside.expand(5, side))
    assert torch.equal(masked[5], X[5])


@pytest.mark.parametrize(("axis", "name"), [(2, "frequency"), (3, "time")])
def test_masks_are_drawn_up_to_their_number_and_width(axis, name):
    X = pictures(500)
    config = changes.Config(**{f"{name}_masks": 2, f"{name}_mask": 0.25})
    changed = changes.augment(generator_of(0), X, config)
    covered = (changed == 0).all(5 - axis)[:, 0].sum(1)
    assert torch.equal(changed[changed > 0], X[changed > 0])
    assert int(covered.max()) <= 2 * round(0.25 * X.shape[axis])
    assert float(covered.float().mean()) / X.shape[axis] == pytest.approx(0.25, abs=0.05)
    assert (changed == 0).any(3 if axis == 2 else 2).flatten(1).any(0).all()  # everywhere in the end


def test_a_shift_moves_in_time_alone():
    X = torch.zeros(200, 1, 20, 24)
    X[:, :, 5, 12] = 1
    moved = changes.augment(generator_of(0), X, changes.Config(shift=0.25))
    rows, columns = moved.amax(3)[:, 0], moved.amax(2)[:, 0]
    assert torch.equal(rows.nonzero()[:, 1].unique(), torch.tensor([5]))
    places = columns.argmax(1)
    assert 12 - 7 <= int(places.min()) < 12 < int(places.max()) <= 12 + 7
    lifted = changes.augment(generator_of(0), X, changes.Config(lift=0.1))
    assert torch.equal(lifted.amax(2)[:, 0].nonzero()[:, 1].unique(), torch.tensor([12]))


def test_gain_leaves_the_floor_and_noise_stays_in_range():
    X = pictures()
    X[:, :, :10] = 0
    louder = changes.augment(generator_of(0), X, changes.Config(gain=0.3, slope=0.3))
    assert torch.equal(louder[:, :, :10], X[:, :, :10])
    assert not torch.equal(louder, X)
    even = changes.augment(generator_of(0), X.clamp(max=0.4), changes.Config(gain=0.05))
    inside = (even - X.clamp(max=0.4))[:, 0, 10:]
    assert float(inside.flatten(1).std(1).max()) < 1e-6
    noisy = changes.augment(generator_of(0), X, changes.Config(noise=0.5))
    assert 0 == float(noisy.min()) < float(noisy.max()) == 1


def test_the_other_sound_of_a_mix_is_heard_only_where_it_is_louder():
    X = pictures(200)
    mixed = changes.augment(generator_of(0), X, changes.Config(mix=0.5))
    assert bool((mixed >= X).all())
    touched = (mixed > X).flatten(1).any(1).float().mean()
    assert 0.3 < float(touched) < 0.6
    assert bool((mixed <= torch.maximum(X, 0.5 * X.roll(1, 0))).all())


def test_a_row_alone_and_none_at_all():
    assert changes.augment(generator_of(0), pictures(1), EVERYTHING).shape == (1, 1, 20, 24)
    assert changes.augment(generator_of(0), pictures(2)[:0], EVERYTHING).shape == (0, 1, 20, 24)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shift", 1.5), ("stretch", 1.0), ("tempo", -0.1), ("tempo_cells", 1), ("lift", "much"), ("crop", 0.0),
        ("noise", float("nan")), ("time_masks", -1), ("frequency_masks", 0.5), ("time_mask", 1.1), ("mix", 2.0),
    ],
)  # fmt: skip
def test_wrong_settings_of_changes_are_named(name, value):
    with pytest.raises((TypeError, ValueError), match=name):
        changes.Config(**{name: value})


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match=r"\(n, channels, height, width\)"):
        changes.augment(generator_of(0), torch.zeros(3, 8, 8), SPEECH)
    with pytest.raises(TypeError, match="floating-point"):
        changes.augment(generator_of(0), torch.zeros(3, 1, 8, 8, dtype=torch.int16), SPEECH)


def frames(n=6, n_frames=24):
    X = pictures(n, 20, n_frames)
    X[:, :, :, n_frames - 4 :] = 0
    return X


def test_paper_around_a_sound_says_nothing():
    encoder = seeded(FrameEncoder(n_mels=20, n_filters=8, n_layers=1), 0)
    encoder(frames(50))
    encoder.eval()
    X = frames()
    wider = torch.cat([torch.zeros(6, 1, 20, 7), X, torch.zeros(6, 1, 20, 9)], 3)
    torch.testing.assert_close(encoder(wider), encoder(X), rtol=1e-3, atol=1e-3)
    assert encoder(X).shape == (6, encoder.n_features) == (6, 56)
    assert encoder(torch.zeros_like(X)).isfinite().all()


def test_gradients_of_silence_are_finite():
    encoder = seeded(FrameEncoder(n_mels=20, n_filters=8), 0)
    X = frames()
    X[:2] = 0
    encoder(X).square().sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in encoder.parameters())


def test_the_coefficients_are_those_of_a_cosine_transform():
    encoder = FrameEncoder(n_mels=20, n_cepstra=20)
    first = encoder.cosines[1:] @ encoder.cosines[1:].T
    torch.testing.assert_close(first, torch.eye(19), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="n_cepstra=21"):
        FrameEncoder(n_mels=20, n_cepstra=21)

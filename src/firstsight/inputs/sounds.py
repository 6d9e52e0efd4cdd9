"""Recordings as pictures of loudness over time and pitch: log-mel spectrograms of one size.

With p the power of a short-time Fourier transform summed in bands that are even on the mel scale (Davis and Mermelstein
1980), and p1 what a value of 1 stands for,

    value = 1 + 10 log10(p / p1) / -floor,    cut off at 0 and at 1:

0 is whatever lies ``floor`` decibels or more below p1, and the paper around the recording. Either p1 is the
loudest cell of the recording, so that how loud it was recorded is left out; or that of a sine at full scale, so that
it is kept. A constant offset is always left out. A recording longer than the picture gives its
loudest stretch (the most power; the earliest of equals), a shorter one is put into the middle.
"""

import io
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight.checks import check_choice, check_number
from firstsight.inputs.kinds import LeftOut, is_path

BLOCK = 1 << 21  # samples transformed at once: 100 MB of spectra


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the pictures.

    Parameters
    ----------
    sample_rate : int
        Samples a second of every waveform, in hertz, >= 100.
    n_mels : int
        Bands, the height of a picture, >= 1.
    window : float
        Length of the Hann window in seconds, at least two samples.
    hop : float
        From one frame to the next in seconds, at least one sample.
    n_frames : int
        The width of a picture, >= 1; it shows ``n_frames * hop`` seconds.
    low : float
        Where the lowest band begins, in hertz, 0 to below half the sample rate.
    reference : {"loudest", "full"}
        What a value of 1 stands for: the loudest cell of the recording, or full scale.
    floor : float
        What counts as silence, in decibels from the reference, below 0.

    """

    sample_rate: int = 8000
    n_mels: int = 40
    window: float = 0.032
    hop: float = 0.0125
    n_frames: int = 64
    low: float = 50.0
    reference: Literal["loudest", "full"] = "loudest"
    floor: float = -60.0

    def __post_init__(self) -> None:
        check_number("sample_rate", self.sample_rate, at_least=100, integer=True)
        for name in ("n_mels", "n_frames"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        check_number("window", self.window, at_least=2 / self.sample_rate)
        check_number("hop", self.hop, at_least=1 / self.sample_rate)
        check_number("low", self.low, at_least=0)
        if self.low >= self.sample_rate / 2:
            raise ValueError(f"low={self.low} should be < sample_rate / 2 = {self.sample_rate / 2}; lower it")
        check_choice("reference", self.reference, ("loudest", "full"))
        check_number("floor", self.floor)
        if self.floor >= 0:
            raise ValueError(f"floor={self.floor} should be < 0: decibels from the reference")


TELLING = Config(reference="full", floor=-100.0)
"""For telling sounds apart: how loud it was recorded, and its hiss, say who speaks and where."""


def log_mel(waveforms: Sequence[NDArray[Any]], config: Config) -> Tensor:
    """Pictures of some recordings; each depends on its own waveform alone.

    Parameters
    ----------
    waveforms : sequence of ndarray of shape (n_samples,)
        Floating point, or whole numbers, which are divided by the range of their type; at ``config.sample_rate``.
    config : Config
        Settings.

    Returns
    -------
    Tensor of shape (n_recordings, 1, n_mels, n_frames)
        float32, 0 to 1, the lowest band first. A constant waveform, silence among them, is 0 everywhere.

    Raises
    ------
    ImportError
        Without librosa.
    TypeError, ValueError
        When a waveform is no such array, is empty or not finite (the message names its place), or when ``n_mels``
        is more than the window can tell apart.

    """
    librosa, _ = _libraries()
    window, hop = round(config.window * config.sample_rate), max(1, round(config.hop * config.sample_rate))
    n_fft = 2 ** (2 * window - 1).bit_length()  # interpolated spectra, so that low bands are not empty
    bands = _bands(librosa, config, n_fft)
    read = [_waveform(row, waveform) for row, waveform in enumerate(waveforms)]
    rows, levels = [samples for samples, _ in read], [level for _, level in read]
    full = float(bands.max()) * n_fft * window * 3 / 32  # a sine of 1 under a Hann window, all in one band (Parseval)
    pictures = torch.zeros(len(rows), 1, config.n_mels, config.n_frames)
    # Like lengths together, so that little is added to make them one array.
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    while order:
        longest = max(n_fft, len(rows[order[-1]]))
        taken = order[-max(1, BLOCK // longest) :]
        del order[-len(taken) :]
        samples = np.zeros((len(taken), longest), np.float32)
        for place, row in enumerate(taken):
            samples[place, : len(rows[row])] = rows[row]
        spectra = librosa.stft(samples, n_fft=n_fft, hop_length=hop, win_length=window, pad_mode="constant")
        power = torch.from_numpy(bands @ (spectra.real**2 + spectra.imag**2))
        for place, row in enumerate(taken):
            own = power[place, :, : 1 + len(rows[row]) // hop]
            top = float(own.max()) if config.reference == "loudest" else full / levels[row] ** 2
            scaled = _scaled(own, top, config.floor)
            pictures[row, 0] = _framed(scaled, _start(own, config.n_frames), config.n_frames)
    return pictures


def read(
    reader: Config, items: Sequence[Any], *, needs_rate: bool = False
) -> tuple[Tensor, NDArray[np.int64], list[LeftOut]]:
    """Pictures of recordings, which recording each is, and what could not be read.

    Parameters
    ----------
    reader : Config
        Settings.
    items : sequence of path or of ndarray of shape (n_samples,)
        Files, or waveforms at ``reader.sample_rate``.
    needs_rate : bool
        Whether waveforms are refused, as nobody said at which rate they are.

    Raises
    ------
    ImportError
        Without librosa.
    ValueError
        When waveforms come and nobody said at which rate.

    """
    waveforms: list[NDArray[Any]] = []
    places: list[int] = []
    left_out: list[LeftOut] = []
    for place, item in enumerate(items):
        name = os.fspath(item) if is_path(item) else f"sound {place}"
        if is_path(item):
            found, failed = read_files([item], reader)
            why = failed[0][1] if failed else ""
        else:
            if needs_rate:
                raise ValueError("sample_rate=None should be a number for waveforms given as arrays; pass it, in hertz")
            found, why = [np.asarray(item)], ""
            try:
                _waveform(place, found[0])
            except (TypeError, ValueError) as error:
                why = str(error)
        if not why and found[0].min() == found[0].max():
            why = "silence"
        if why:
            left_out.append(LeftOut(place, name, why))
            continue
        waveforms += found
        places.append(place)
    return log_mel(waveforms, reader), np.array(places, np.int64), left_out


def pack(reader: Config) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts that JSON can say, from which :func:`unpack` makes the reader again."""
    return {}, asdict(reader)


def unpack(tensors: dict[str, Tensor], facts: dict[str, Any]) -> Config:
    """The settings that were packed."""
    return Config(**facts)


def read_files(paths: Iterable[Path | str], config: Config) -> tuple[list[NDArray[np.float32]], list[tuple[Path, str]]]:
    """Recordings as waveforms of one rate, their channels averaged.

    Parameters
    ----------
    paths : iterable of path
        Files of any format that libsndfile reads: wav, flac, ogg, mp3 and others.
    config : Config
        Its ``sample_rate`` is theirs afterwards.

    Returns
    -------
    waveforms : list of ndarray of shape (n_samples,)
        float32, of the files that could be read, in their order.
    failed : list of (Path, str)
        The others, and why.

    Raises
    ------
    ImportError
        Without librosa.

    """
    librosa, soundfile = _libraries()
    waveforms: list[NDArray[np.float32]] = []
    failed: list[tuple[Path, str]] = []
    for path in map(Path, paths):
        try:
            content = path.read_bytes()
            if not content:
                raise ValueError("it is empty: zero bytes")
            # Not librosa.load, which imports modules that Python has dropped.
            channels, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
            waveform = channels.mean(1)
            if not waveform.size:
                raise ValueError("it holds no samples")
            if not np.isfinite(waveform).all():
                raise ValueError("it holds samples that are not finite")
            waveform = librosa.resample(waveform, orig_sr=rate, target_sr=config.sample_rate)
        except OSError as error:
            failed.append((path, error.strerror or str(error)))
        except (RuntimeError, ValueError, EOFError) as error:
            # libsndfile's own words name the memory it read from, which says nothing.
            unread = type(error).__name__ == "LibsndfileError"
            failed.append((path, "it is no sound that can be read" if unread else str(error)))
        else:
            waveforms.append(waveform)
    return waveforms, failed


def _libraries() -> tuple[Any, Any]:
    """librosa, and soundfile, which comes with it."""
    try:
        import librosa
        import soundfile
    except ImportError as error:
        raise ImportError("reading sounds needs librosa; pip install 'firstsight[sound]'") from error
    return librosa, soundfile


def _bands(librosa: Any, config: Config, n_fft: int) -> NDArray[np.float32]:
    """The share of every frequency in every band, of shape (n_mels, 1 + n_fft // 2)."""
    fine = (np.arange(1 + n_fft // 2) * config.sample_rate / n_fft).astype(np.float64)
    edges = librosa.mel_frequencies(config.n_mels + 2, fmin=config.low, fmax=config.sample_rate / 2)
    inside = (fine > edges[:-2, None]) & (fine < edges[2:, None])
    if not inside.any(1).all():
        raise ValueError(
            f"n_mels={config.n_mels} should leave a frequency in every band; a window of {config.window} s "
            f"gives {len(fine)} frequencies; lower n_mels or lengthen the window"
        )
    bands: NDArray[np.float32] = librosa.filters.mel(
        sr=config.sample_rate, n_fft=n_fft, n_mels=config.n_mels, fmin=config.low
    )
    return bands


def _waveform(row: int, waveform: Any) -> tuple[NDArray[np.float32], float]:
    """A waveform less its mean, its largest value 1, and what that was; zeros and 1, where it is constant."""
    name = f"waveforms[{row}]"
    if not isinstance(waveform, np.ndarray) or waveform.dtype.kind not in "iuf":
        found = f"{waveform.dtype}" if isinstance(waveform, np.ndarray) else type(waveform).__name__
        raise TypeError(f"{name} should be an array of real numbers; found {found}; convert with np.asarray")
    if waveform.ndim != 1:
        raise ValueError(f"{name} should have shape (n_samples,); found {waveform.shape}; average its channels")
    if not waveform.size:
        raise ValueError(f"{name} should have at least one sample; found none; drop it")
    if waveform.dtype.kind == "f" and not np.isfinite(waveform).all():
        wrong = int(np.flatnonzero(~np.isfinite(waveform))[0])
        raise ValueError(f"{name} should be finite; found {waveform[wrong]} at sample {wrong}; drop it or mend it")
    samples = waveform.astype(np.float64)
    if waveform.dtype.kind in "iu":
        samples /= -float(np.iinfo(waveform.dtype).min) or float(np.iinfo(waveform.dtype).max)
    largest = float(np.abs(samples).max())
    if samples.min() == samples.max():
        return np.zeros(len(samples), np.float32), 1.0
    samples /= largest  # before the mean and the squares, so that neither overflows
    samples -= samples.mean()
    rest = float(np.abs(samples).max())
    return (samples / rest).astype(np.float32), largest * rest


def _scaled(power: Tensor, top: float, floor: float) -> Tensor:
    """Decibels from ``top``, 1, down to the floor, 0; all 0 where nothing sounds."""
    if not float(power.max()) > 0:
        return torch.zeros_like(power)
    return (1 + 10 * (power.double().clamp(min=1e-30).log10() - math.log10(top)) / -floor).clamp(0, 1).float()


def _start(power: Tensor, n_frames: int) -> int:
    """Where the loudest ``n_frames`` frames begin; negative where there are fewer, so that they lie in the middle."""
    n_found = power.shape[1]
    if n_found <= n_frames:
        return -((n_frames - n_found) // 2)
    sums = torch.cat([torch.zeros(1, dtype=torch.float64), power.sum(0, dtype=torch.float64).cumsum(0)])
    return int((sums[n_frames:] - sums[:-n_frames]).argmax())


def _framed(picture: Tensor, start: int, n_frames: int) -> Tensor:
    """``n_frames`` frames from ``start``, with 0 where the picture has none."""
    kept = picture[:, max(0, start) : start + n_frames]
    framed = picture.new_zeros(len(picture), n_frames)
    framed[:, max(0, -start) : max(0, -start) + kept.shape[1]] = kept
    return framed

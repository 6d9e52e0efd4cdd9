"""Sound: the Free Spoken Digit Dataset."""

import io
import re
import wave
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firstsight.datasets.archives import members, open_zip
from firstsight.datasets.cache import fetch
from firstsight.datasets.registry import files

RATE = 8000


class Sounds(NamedTuple):
    """Recordings of different lengths.

    Parameters
    ----------
    X : list of ndarray of shape (n_samples,)
        Waveforms, int16, as recorded.
    rate : int
        Samples a second, in hertz.
    y : ndarray of shape (n_recordings,)
        Class of every recording, int64, a place in ``class_names``: a digit by a speaker.
    digit, speaker : ndarray of shape (n_recordings,)
        The digit, and the speaker's place in ``speaker_names``, int64.
    class_names, speaker_names : tuple of str
        What they are called; class ``3/theo`` is the 3 of Theo.

    """

    X: list[NDArray[np.int16]]
    rate: int
    y: NDArray[np.int64]
    digit: NDArray[np.int64]
    speaker: NDArray[np.int64]
    class_names: tuple[str, ...]
    speaker_names: tuple[str, ...]


def load_fsdd() -> Sounds:
    """The Free Spoken Digit Dataset: 3,000 recordings, 10 digits by 6 speakers, 50 of each.

    Returns
    -------
    Sounds
        Sorted by digit, speaker and number of the recording; 8,000 Hz, 60 classes.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        See :func:`firstsight.datasets.cache.fetch`; also when a recording is not 8 kHz, 16 bit, mono.

    Notes
    -----
    Jackson et al. 2018, version 1.0.10.

    """
    (path,), (file,) = fetch("fsdd"), files("fsdd")
    rows = []
    with open_zip(path) as archive:
        for name, member in members(archive, file.pattern).items():
            parts = re.fullmatch(r"(\d)_([a-z]+)_(\d+)\.wav", name)
            if parts is None:
                raise ValueError(f"a recording should be named digit_speaker_number.wav; found {name!r}")
            rows.append((int(parts[1]), parts[2], int(parts[3]), read_wave(archive.read(member), called=name)))
    rows.sort(key=lambda row: row[:3])
    speaker_names = tuple(sorted({row[1] for row in rows}))
    digit = np.array([row[0] for row in rows], dtype=np.int64)
    speaker = np.array([speaker_names.index(row[1]) for row in rows], dtype=np.int64)
    class_names = tuple(f"{number}/{name}" for number in range(10) for name in speaker_names)
    y = digit * len(speaker_names) + speaker
    return Sounds([row[3] for row in rows], RATE, y, digit, speaker, class_names, speaker_names)


def read_wave(content: bytes, *, called: str) -> NDArray[np.int16]:
    """The samples of a wav file.

    Parameters
    ----------
    content : bytes
        Of the file.
    called : str
        How messages call it.

    Returns
    -------
    ndarray of shape (n_samples,)
        int16.

    Raises
    ------
    ValueError
        When it is no wav file of 8 kHz, 16 bit, one channel.

    """
    try:
        with wave.open(io.BytesIO(content)) as sound:
            found = (sound.getframerate(), 8 * sound.getsampwidth(), sound.getnchannels())
            samples = sound.readframes(sound.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{called} should be a wav file; found: {error}") from None
    if found != (RATE, 16, 1):
        raise ValueError(f"{called} should be {RATE} Hz, 16 bit, 1 channel; found {found}")
    return np.frombuffer(samples, dtype="<i2").astype(np.int16)

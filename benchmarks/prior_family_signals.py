"""Real tables that are alike: spoken digits and handwritten characters, by fixed features of their signals.

Nothing is fitted to any recording or drawing, so no table knows of another. Sounds are cut into frames of 32 ms and
described by mel-frequency cepstral coefficients (Davis and Mermelstein 1980); drawings by moments and counts of their
ink, or by the directions in it (structure tensor, Bigun and Granlund 1987).
"""

from functools import cache

import librosa
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from prior_family_tables import Piece
from scipy import fft, ndimage

from firstsight.datasets import Images, Sounds, load_fsdd, load_omniglot
from firstsight.datasets.images import DRAWERS, SIDE

N_COEFFICIENTS = 12  # mel-frequency cepstral coefficients of a frame, or the first half of them for a whole recording
FRAME, HOP, N_MELS = 256, 100, 24  # samples, samples and bands at 8 kHz: 32 ms every 12.5 ms
QUIETEST = 1e-8  # of power: what is below is silence, -80 dB

TINY = 1e-12
PIXELS = 50  # drawn from the ink of a drawing


def frames() -> list[Piece]:
    """The frames of what one speaker said of one digit: 12 mel-frequency cepstral coefficients each."""
    sounds, coefficients = _fsdd(), _coefficients()
    names = [f"c{number}" for number in range(N_COEFFICIENTS)]
    return [
        Piece(name, name, pd.DataFrame(np.vstack([coefficients[row] for row in np.flatnonzero(sounds.y == label)]),
                                       columns=names))
        for label, name in enumerate(sounds.class_names)
    ]  # fmt: skip


def recordings(by: str, n_parts: int) -> list[Piece]:
    """Recordings as means and deviations of 6 coefficients; by ``speaker`` (the truth is the digit), or by ``digit``.

    Every ``n_parts``-th recording of each speaker and digit is in the same table.
    """
    sounds = _fsdd()
    n_kept = N_COEFFICIENTS // 2
    X = np.array([np.concatenate([part[:, :n_kept].mean(0), part[:, :n_kept].std(0)]) for part in _coefficients()])
    names = [f"{what}_c{number}" for what in ("mean", "deviation") for number in range(n_kept)]
    owner, truth = (sounds.speaker, sounds.digit) if by == "speaker" else (sounds.digit, sounds.speaker)
    number = np.arange(len(X)) % n_parts  # recordings of one speaker and digit follow each other, 50 of each
    found = []
    for one in np.unique(owner):
        called = sounds.speaker_names[one] if by == "speaker" else str(one)
        for part in range(n_parts):
            rows = np.flatnonzero((owner == one) & (number == part))
            found.append(Piece(f"{called} {part}", called, pd.DataFrame(X[rows], columns=names), truth[rows]))
    return found


def drawings() -> list[Piece]:
    """The drawings of an alphabet by 13 features of their shape; the truth is the character."""
    images = _omniglot()
    alphabets = np.array([name.split("/")[0] for name in images.class_names])[images.y]
    return [
        Piece(alphabet, alphabet, _shapes(images.X[alphabets == alphabet, 0] > 0), images.y[alphabets == alphabet])
        for alphabet in np.unique(alphabets)
    ]


def strokes() -> list[Piece]:
    """Pixels from the ink of 20 drawings of an alphabet's first character: place, direction and ink nearby."""
    images = _omniglot()
    alphabets = np.array([name.split("/")[0] for name in images.class_names])
    _, first = np.unique(alphabets, return_index=True)
    rng = np.random.default_rng(0)
    found = []
    for label in first:
        ink = images.X[label * DRAWERS : (label + 1) * DRAWERS, 0].astype(np.float64)
        rows = []
        for drawing in ink:
            where = np.flatnonzero(drawing)
            rows.append(rng.permutation(where)[:PIXELS])
        table = pd.DataFrame(
            {
                name: np.concatenate([plane.ravel()[taken] for plane, taken in zip(field, rows, strict=True)])
                for name, field in _fields(ink).items()
            }
        )
        found.append(Piece(str(alphabets[label]), str(alphabets[label]), table))
    return found


@cache
def _fsdd() -> Sounds:
    return load_fsdd()


@cache
def _omniglot() -> Images:
    return load_omniglot(size=SIDE, rotations=False)


@cache
def _coefficients() -> list[NDArray[np.float64]]:
    """Frames by coefficients of every recording: a cosine transform of decibels in bands even on the mel scale."""
    bands = librosa.filters.mel(sr=_fsdd().rate, n_fft=FRAME, n_mels=N_MELS)
    window = np.hanning(FRAME)
    found = []
    for samples in _fsdd().X:
        waveform = samples / 2**15
        cut = np.lib.stride_tricks.sliding_window_view(waveform, FRAME)[::HOP]
        power = np.abs(np.fft.rfft((cut - waveform.mean()) * window)) ** 2 / (window**2).sum()
        decibels = 10 * np.log10(np.maximum(power @ bands.T, QUIETEST))
        found.append(fft.dct(decibels, norm="ortho")[:, :N_COEFFICIENTS])
    return found


def _shapes(ink: NDArray[np.bool_]) -> pd.DataFrame:
    """Moments, extents, crossings and the Euler number (components less holes) of drawings, 13 columns."""
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    place = np.arange(SIDE) / SIDE
    total = np.count_nonzero(ink, axis=(1, 2))
    columns: dict[str, NDArray[np.float64]] = {"ink": total / SIDE**2}
    centred = []
    for axis, summed in (("x", 1), ("y", 2)):
        share = np.count_nonzero(ink, axis=summed) / total[:, None]
        centre = share @ place
        off = place - centre[:, None]
        deviation = np.sqrt((share * off**2).sum(1))
        columns |= {f"centre_{axis}": centre, f"deviation_{axis}": deviation}
        columns[f"skewness_{axis}"] = (share * off**3).sum(1) / deviation**3
        columns[f"extent_{axis}"] = (share > 0).sum(1) / SIDE
        entered = padded[:, :, 1:] > padded[:, :, :-1] if axis == "x" else padded[:, 1:] > padded[:, :-1]
        # How often a line along the axis meets a stroke, mean of the lines that meet any.
        columns[f"crossings_{axis}"] = np.count_nonzero(entered, axis=(1, 2)) / ink.any(3 - summed).sum(1)
        centred.append(off.astype(np.float32))  # one kind of number: einsum is thirty times as fast
    both = np.einsum("nyx,nx,ny->n", ink.astype(np.float32), *centred, optimize=True) / total
    columns["slant"] = both / (columns["deviation_x"] * columns["deviation_y"])
    counted = padded.view(np.int8)
    n_inked = counted[:, 1:, 1:] + counted[:, 1:, :-1] + counted[:, :-1, 1:] + counted[:, :-1, :-1]
    diagonal = (n_inked == 2) & (padded[:, 1:, 1:] == padded[:, :-1, :-1])
    # Gray 1971: quads of one pixel, of three, and of two that touch at a corner.
    ones, threes, twos = (np.count_nonzero(quads, axis=(1, 2)) for quads in (n_inked == 1, n_inked == 3, diagonal))
    columns["euler"] = (ones - threes - 2 * twos) / 4
    return pd.DataFrame(columns)


def _fields(ink: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Seven numbers of every pixel, (n_drawings, 105, 105) each; directions are those of a structure tensor."""
    along_y, along_x = np.gradient(_smooth(ink, 1.5), axis=(1, 2))
    products = along_x**2, along_y**2, along_x * along_y
    xx, yy, xy = (_smooth(product, 1.5) for product in products)
    wide_xx, wide_yy, wide_xy = (_smooth(product, 5.0) for product in products)
    # Far from any ink there is no direction; such pixels are not drawn.
    total, wide_total = np.maximum(xx + yy, TINY), np.maximum(wide_xx + wide_yy, TINY)
    y, x = (np.broadcast_to(plane / SIDE, ink.shape) for plane in np.indices(ink.shape[1:]))
    return {
        "x": x,
        "y": y,
        "cosine": (xx - yy) / total,  # of twice the angle: a stroke has no head and no tail
        "sine": 2 * xy / total,
        "straight": np.hypot(wide_xx - wide_yy, 2 * wide_xy) / wide_total,
        "near": ndimage.uniform_filter(ink, (1, 9, 9)),
        "around": ndimage.uniform_filter(ink, (1, 25, 25)),
    }


def _smooth(planes: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    smoothed: NDArray[np.float64] = ndimage.gaussian_filter(planes, (0, width, width))
    return smoothed

"""Pictures to tensors: arrays of one or of mixed sizes, or files; square, 0 to 1, the ground dark.

What is decided from the pool and kept for later pictures: whether there are colours, which values are darkest and
brightest, and whether the ground is bright (more than half of the light at the border), so that it is turned dark:
what is moved into a picture when it is shifted or turned is 0.
"""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from firstsight.checks import check_flag, check_number, check_range
from firstsight.inputs.kinds import LeftOut, is_path

LOOKED_AT = 1000  # pictures from which colours and ground are learned
CHANNELS = (1, 3, 4)  # grey, red-green-blue, with opacity
BLOCK = 1024
FAR = 4.0  # times the range of values; what lies between is cut off


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How pictures become tensors.

    Parameters
    ----------
    side : int
        Pixels of height and width, >= 4; others are scaled, with antialiasing, to the square.
    n_channels : int
        1 for grey or 3 for colours.
    limits : (float, float)
        Values that become 0 and 1.
    bright : bool
        Whether the ground is bright; pictures are then turned into their negatives.

    """

    side: int = 28
    n_channels: int = 1
    limits: tuple[float, float] = (0.0, 1.0)
    bright: bool = False

    def __post_init__(self) -> None:
        check_number("side", self.side, at_least=4, integer=True)
        if self.n_channels not in (1, 3):
            raise ValueError(f"n_channels={self.n_channels!r} should be 1 or 3")
        check_range("limits", self.limits)
        check_flag("bright", self.bright)


def learn(items: Any, *, side: int) -> Reader:
    """Decide on colours, values and ground from (up to a thousand of) the pictures of a pool.

    Parameters
    ----------
    items : array of shape (n, height, width), (n, height, width, channels) or (n, channels, height, width), or a list
        Pictures, or in a list arrays of one picture each, or paths.
    side : int
        Pixels of a side.

    Raises
    ------
    TypeError, ValueError
        When the items are no pictures, or none can be read.

    """
    step = max(1, len(items) // LOOKED_AT)
    looked = list(_pictures(items[::step]))
    pictures = [picture for picture, _ in looked if picture is not None]
    if not pictures:
        why = looked[0][1]
        raise ValueError(f"the pool should hold pictures that can be read; found none among {len(items)}: {why}")
    coloured = any(picture.shape[2] == 3 and np.ptp(picture, axis=2).any() for picture in pictures)
    low = min(float(picture.min()) for picture in pictures)
    high = max(float(picture.max()) for picture in pictures)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif high <= low:
        high = low + 1
    border = np.concatenate([_border(picture).ravel() for picture in pictures])
    bright = bool(np.mean(border) > (low + high) / 2)
    return Reader(side=side, n_channels=3 if coloured else 1, limits=(low, high), bright=bright)


def read(reader: Reader, items: Any) -> tuple[Tensor, NDArray[np.int64], list[LeftOut]]:
    """Pictures as a tensor.

    Parameters
    ----------
    reader : Reader
        As learned.
    items : array or list
        As in :func:`learn`.

    Returns
    -------
    X : Tensor of shape (n_read, n_channels, side, side)
        0 to 1, the ground dark.
    places : ndarray of shape (n_read,)
        Which item each is.
    left_out : list of LeftOut
        What could not be read, and why.

    """
    X = torch.empty(len(items), reader.n_channels, reader.side, reader.side)
    places: list[int] = []
    left_out: list[LeftOut] = []
    if isinstance(items, np.ndarray):
        whole = _channels_last(items)
        for start in range(0, len(whole), BLOCK):
            block = torch.from_numpy(np.stack([_opaque(picture) for picture in whole[start : start + BLOCK]]))
            X[start : start + BLOCK] = _scaled(reader, block.movedim(3, 1))
        finite = torch.isfinite(X.flatten(1).sum(1)) if len(X) else torch.ones(0, dtype=torch.bool)
        left_out = [LeftOut(place, f"picture {place}", "NaN or infinite values") for place in _where(~finite)]
        places = _where(finite)
    else:
        for place, (picture, why) in enumerate(_pictures(items)):
            if picture is None:
                left_out.append(LeftOut(place, _called(items[place], place), why))
                continue
            X[place] = _scaled(reader, torch.from_numpy(picture).movedim(2, 0)[None])[0]
            places.append(place)
    kept = X if len(places) == len(X) else X[places]
    return kept, np.array(places, np.int64), left_out


def pack(reader: Reader) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts that JSON can say, from which :func:`unpack` makes the reader again."""
    return {}, asdict(reader)


def unpack(tensors: dict[str, Tensor], facts: dict[str, Any]) -> Reader:
    """The reader that was packed."""
    return Reader(**(facts | {"limits": tuple(facts["limits"])}))


def _where(mask: Tensor) -> list[int]:
    return [int(place) for place in mask.nonzero().flatten()]


def _called(item: Any, place: int) -> str:
    return os.fspath(item) if is_path(item) else f"picture {place}"


def _scaled(reader: Reader, pictures: Tensor) -> Tensor:
    """Pictures (n, channels, height, width) at the reader's size, channels, values and ground."""
    low, high = reader.limits
    X = (pictures.float() - low) / (high - low)
    if bool((X > FAR).any()):
        raise ValueError(
            f"pictures should have values from {low:g} to {high:g}, as those learned from; found "
            f"{float(pictures.max()):g}; scale them, or pass bytes (uint8)"
        )
    if X.shape[1] > reader.n_channels:
        X = X.mean(1, keepdim=True)
    X = X.expand(-1, reader.n_channels, -1, -1)
    if X.shape[2:] != (reader.side, reader.side):
        X = functional.interpolate(X, size=(reader.side, reader.side), mode="bilinear", antialias=True)
    X = X.clamp(0, 1)
    return 1 - X if reader.bright else X


def _pictures(items: Any) -> Iterable[tuple[NDArray[np.float32] | None, str]]:
    """Each as (height, width, 1 or 3) floating point, or None and the reason."""
    if isinstance(items, np.ndarray):
        items = list(_channels_last(items))
    for item in items:
        try:
            picture = _from_file(item) if is_path(item) else _opaque(_one(item))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
            yield None, str(error) or type(error).__name__
            continue
        if not np.isfinite(picture).all():
            yield None, "NaN or infinite values"
        elif not picture.size:
            yield None, "no pixels"
        else:
            yield picture, ""


def _from_file(path: Any) -> NDArray[np.float32]:
    """Grey or colours, of bytes or of 16 bits, to 0 to 1; on white where it is transparent."""
    if not os.path.getsize(path):
        raise ValueError("zero bytes")
    with Image.open(path) as picture:
        if picture.mode.startswith("I"):
            return np.asarray(picture, dtype=np.float32)[:, :, None] / np.float32(65535)
        plain = picture.convert("RGBA") if "A" in picture.mode or "transparency" in picture.info else picture
        if plain.mode == "RGBA":
            plain = Image.alpha_composite(Image.new("RGBA", plain.size, "white"), plain)
        grey = plain.mode in ("1", "L")
        values: NDArray[np.float32] = np.asarray(plain.convert("L" if grey else "RGB"), dtype=np.float32) / np.float32(
            255
        )
    return values[:, :, None] if grey else values


def _one(item: Any) -> NDArray[Any]:
    picture = np.asarray(item)
    if picture.dtype == object or picture.ndim not in (2, 3):
        raise ValueError(f"no picture: an array of shape {picture.shape} and type {picture.dtype}")
    one: NDArray[Any] = _channels_last(picture[None])[0]
    return one


def _channels_last(pictures: NDArray[Any]) -> NDArray[Any]:
    """Pictures with their channels on the last of four axes."""
    if pictures.ndim == 3:
        return pictures[..., None]
    if pictures.ndim != 4 or not {pictures.shape[1], pictures.shape[3]} & set(CHANNELS):
        raise ValueError(
            f"pictures should have shape (n, height, width), (n, height, width, channels) or (n, channels, height, "
            f"width) with 1, 3 or 4 channels; found {pictures.shape}; a single picture is X[None]"
        )
    return pictures if pictures.shape[3] in CHANNELS else np.moveaxis(pictures, 1, 3)


def _opaque(picture: NDArray[Any]) -> NDArray[np.float32]:
    """Bytes and whole numbers of 16 bits as 0 to 1, and what is transparent on white."""
    values = np.asarray(picture)
    if np.issubdtype(values.dtype, np.unsignedinteger):
        values = values.astype(np.float32) / np.iinfo(values.dtype).max
    elif not (np.issubdtype(values.dtype, np.number) or values.dtype == bool) or np.iscomplexobj(values):
        raise ValueError(f"no picture: values of type {values.dtype}")
    values = values.astype(np.float32)
    if values.shape[2] == 4:
        colours, opacity = values[:, :, :3], values[:, :, 3:]
        values = opacity * colours + (1 - opacity)
    return np.ascontiguousarray(values)


def _border(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])

"""Pictures: scikit-learn's digits, Omniglot, and the test files of MNIST and Fashion-MNIST."""

import io
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstsight.datasets.archives import members, open_zip, read_bytes
from firstsight.datasets.cache import fetch
from firstsight.datasets.registry import files

SIDE = 105  # pixels of an Omniglot drawing
DRAWERS = 20  # people who drew each Omniglot character
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


class Images(NamedTuple):
    """Labelled pictures.

    Parameters
    ----------
    X : ndarray of shape (n_images, 1, height, width)
        One channel, 0 to 1; ink or cloth is 1 and the ground 0.
    y : ndarray of shape (n_images,)
        Class of every picture, int64, a place in ``class_names``.
    class_names : tuple of str
        What the classes are called.

    """

    X: NDArray[Any]
    y: NDArray[np.int64]
    class_names: tuple[str, ...]


def load_digits() -> Images:
    """The digits that come with scikit-learn: 1,797 pictures of 8 x 8 pixels, 10 classes.

    Returns
    -------
    Images
        X of shape (1797, 1, 8, 8), float32, 0 to 1.

    Notes
    -----
    Alpaydin and Kaynak 1998, the test part of UCI's optical recognition of handwritten digits.

    >>> load_digits().X.shape
    (1797, 1, 8, 8)

    """
    # Imported here: scikit-learn takes a second, and the other pictures do not need it.
    from sklearn.datasets import load_digits as digits_of_sklearn

    bunch = digits_of_sklearn()
    X = (bunch.images[:, None] / 16.0).astype(np.float32)
    return Images(X, bunch.target.astype(np.int64), tuple(map(str, range(10))))


def load_omniglot(*, size: int = 28, part: str = "all", rotations: bool = True) -> Images:
    """Omniglot: handwritten characters, 20 drawings a class, with the split of Vinyals et al.

    Parameters
    ----------
    size : int
        Pixels of a side: 28, scaled down with Pillow's antialiasing Lanczos filter, or 105 as drawn.
    part : str
        ``train``, ``validation`` and ``test`` are the 1,028, 172 and 423 characters of the split in the
        files of Snell et al. 2017; ``all`` is all 1,623.
    rotations : bool
        Whether a character turned anticlockwise by 90, 180 and 270 degrees makes three more classes.

    Returns
    -------
    Images
        X is float32 of shape (n_images, 1, 28, 28), or uint8 of shape (n_images, 1, 105, 105); both are
        0 for paper and 1 for ink. Classes are sorted by name (``Greek/character07/rot090``) and follow
        each other, 20 rows each, in the order of the people who drew them. All characters with
        rotations take 407 MB at 28 pixels and 1.4 GB at 105.

    Raises
    ------
    ValueError
        When an argument is none of those named, or a file is not the known one.
    FileNotFoundError, ConnectionError
        See :func:`firstsight.datasets.cache.fetch`.

    Notes
    -----
    Lake et al. 2015, Science 350(6266); Vinyals et al. 2016, arXiv:1606.04080. The files hold
    pictures of two colours, and Pillow scales those by taking the nearest pixel, whatever filter is
    asked for: this is what the published code of prototypical networks and of MAML does. Here the
    picture is made grey first and scaled with antialiasing, as learn2learn and torchvision do, so
    that no stroke is lost; numbers to be compared to the digit should say which was used.

    """
    if size not in (28, SIDE):
        raise ValueError(f"size={size!r} should be 28 or {SIDE}; scale the pictures of size {SIDE} yourself")
    if part not in ("all", "train", "validation", "test"):
        raise ValueError(f"part={part!r} should be one of 'all', 'train', 'validation', 'test'")
    background, evaluation, *splits = fetch("omniglot")
    chosen = dict(zip(("train", "validation", "test"), splits, strict=True))
    lists = chosen.values() if part == "all" else [chosen[part]]
    names = sorted({line for path in lists for line in read_bytes(path).decode().split()})
    if not rotations:
        names = [name for name in names if name.endswith("rot000")]
    characters = sorted({name.rsplit("/", 1)[0] for name in names})
    upright = dict(zip(characters, _characters([background, evaluation], characters, size), strict=True))
    X = np.empty((len(names), DRAWERS, size, size), dtype=np.float32 if size == 28 else np.uint8)
    for row, name in enumerate(names):
        character, turn = name.rsplit("/rot", 1)
        X[row] = np.rot90(upright[character], int(turn) // 90, axes=(1, 2))
    y = np.repeat(np.arange(len(names), dtype=np.int64), DRAWERS)
    return Images(X.reshape(-1, 1, size, size), y, tuple(names))


def load_mnist() -> Images:
    """The 10,000 test digits of MNIST (LeCun et al. 1998).

    Returns
    -------
    Images
        X of shape (10000, 1, 28, 28), float32, 0 to 1.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        See :func:`firstsight.datasets.cache.fetch`.

    """
    return _idx_pictures("mnist", tuple(map(str, range(10))))


def load_fashion_mnist() -> Images:
    """The 10,000 test pictures of Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747).

    Returns
    -------
    Images
        X of shape (10000, 1, 28, 28), float32, 0 to 1.

    Raises
    ------
    ValueError, FileNotFoundError, ConnectionError
        See :func:`firstsight.datasets.cache.fetch`.

    """
    return _idx_pictures("fashion-mnist", FASHION)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An array of bytes in the idx format of MNIST, gzip-compressed or not.

    Parameters
    ----------
    path : Path
        Of the file.

    Returns
    -------
    ndarray of uint8
        Of the shape that the file states.

    Raises
    ------
    ValueError
        When the file is no idx file of bytes, or holds more or fewer of them than it states.

    """
    content = read_bytes(path)
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path} should be an idx file of bytes, which begins 00 00 08; found {content[:3].hex(' ')}")
    n_axes = content[3]
    if len(content) < 4 + 4 * n_axes:
        raise ValueError(f"{path} should state the lengths of {n_axes} axes; found {len(content)} bytes in all")
    shape = struct.unpack(f">{n_axes}I", content[4 : 4 + 4 * n_axes])
    body = content[4 + 4 * n_axes :]
    if len(body) != np.prod(shape, dtype=object):
        raise ValueError(f"{path} states shape {shape}, should hold as many bytes; found {len(body)}")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _idx_pictures(name: str, class_names: tuple[str, ...]) -> Images:
    pictures, labels = map(read_idx, fetch(name))
    if pictures.ndim != 3 or labels.shape != pictures.shape[:1]:
        raise ValueError(
            f"{name} should hold as many labels as pictures; found shapes {labels.shape} and {pictures.shape}; "
            "fetch its files again"
        )
    return Images(pictures[:, None].astype(np.float32) / 255, labels.astype(np.int64), class_names)


def _characters(archives: list[Path], characters: list[str], size: int) -> NDArray[Any]:
    """Upright drawings of shape (n_characters, 20, size, size), ink 1."""
    place = {character: row for row, character in enumerate(characters)}
    X = np.zeros((len(characters), DRAWERS, size, size), dtype=np.float32 if size == 28 else np.uint8)
    n_read = 0
    for path, file in zip(archives, files("omniglot"), strict=False):
        with open_zip(path) as archive:
            for name, member in members(archive, file.pattern).items():
                character, drawing = name.rsplit("/", 1)
                if character not in place:
                    continue
                drawer = int(drawing.removesuffix(".png").rsplit("_", 1)[1])
                X[place[character], drawer - 1] = _ink(archive.read(member), size)
                n_read += 1
    if n_read != X.shape[0] * DRAWERS:
        raise ValueError(
            f"omniglot should hold {DRAWERS} drawings of each of {X.shape[0]} characters; found {n_read} drawings; "
            "fetch its files again"
        )
    return X


def _ink(content: bytes, size: int) -> NDArray[Any]:
    with Image.open(io.BytesIO(content)) as picture:
        if size == SIDE:
            return 1 - np.asarray(picture.convert("1"), dtype=np.uint8)
        grey = picture.convert("L").resize((size, size), Image.Resampling.LANCZOS)
    return 1 - np.asarray(grey, dtype=np.float32) / 255

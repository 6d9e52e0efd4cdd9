"""What the things of a pool are: told from their types, shapes and file names, never from their values."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

KINDS = ("images", "sounds", "texts", "vectors")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au")


class LeftOut(NamedTuple):
    """A thing that could not be read.

    Parameters
    ----------
    place : int
        Its place in the pool.
    name : str
        Of its file, or what else it is called.
    why : str
        The reason.

    """

    place: int
    name: str
    why: str


def is_path(item: Any) -> bool:
    """Whether it names a file; every text may."""
    return isinstance(item, str | os.PathLike)


def listed(items: Any) -> Any:
    """A pool as an array or a list: the files of a folder and of those within it, sorted; a tensor as an array.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        When it is none of these, or holds nothing.

    """
    if is_path(items):
        items = _files(Path(items))
    elif isinstance(items, torch.Tensor):
        items = items.detach().cpu().numpy()
    elif hasattr(items, "to_numpy"):  # a DataFrame or Series
        items = items.to_numpy()
    elif not isinstance(items, np.ndarray):
        if isinstance(items, bytes | dict) or not hasattr(items, "__iter__"):
            raise TypeError(f"a pool should be an array, a list or a folder; found {type(items).__name__}")
        items = [item.detach().cpu().numpy() if isinstance(item, torch.Tensor) else item for item in items]
    if isinstance(items, np.ndarray) and items.ndim == 1:
        items = items.tolist()
    if not isinstance(items, list) and items.ndim == 0:
        raise TypeError("a pool should be an array, a list or a folder; found a single number")
    if not len(items):
        raise ValueError("there should be things to read; found none")
    return items


def kind_of(items: Any) -> str:
    """One of ``KINDS``, of what :func:`listed` gives.

    Arrays of two axes are vectors, of three or four images; lists of one-dimensional arrays are sounds where their
    lengths differ, else vectors; lists of names of files are what their endings say, other lists of strings texts.

    Raises
    ------
    TypeError
        When it cannot be told.

    """
    if isinstance(items, np.ndarray):
        if items.ndim == 2:
            return "vectors"
        if items.ndim in (3, 4):
            return "images"
        raise TypeError(f"an array of {items.ndim} axes is of no known kind; pass vectors (2 axes) or images (3 or 4)")
    if all(is_path(item) for item in items):
        return _kind_of_names(items)
    if any(is_path(item) for item in items):
        raise TypeError("a pool should hold things of one kind; found strings among others")
    axes = {np.ndim(item) for item in items}
    if axes <= {2, 3}:
        return "images"
    if axes == {1}:
        return "vectors" if len({len(item) for item in items}) == 1 else "sounds"
    raise TypeError(f"a pool should hold things of one kind; found arrays of {sorted(axes)} axes")


def _kind_of_names(names: list[Any]) -> str:
    endings = [os.path.splitext(os.fspath(name))[1].lower() for name in names]
    for kind, known in (("images", PICTURES), ("sounds", SOUNDS)):
        if all(ending in known for ending in endings):
            return kind
    if any(isinstance(name, os.PathLike) for name in names):
        odd = next(name for name, ending in zip(names, endings, strict=True) if ending not in PICTURES + SOUNDS)
        raise TypeError(f"files should be all pictures or all sounds, by their endings; found {odd}; pass kind=")
    return "texts"


def _files(folder: Path) -> list[Any]:
    if not folder.exists():
        raise FileNotFoundError(
            f"a string should name a folder or a file; there is none at {folder}; pass texts in a list"
        )
    if not folder.is_dir():
        return [folder]
    known = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PICTURES + SOUNDS and path.is_file()]
    pictures = [path for path in known if path.suffix.lower() in PICTURES]
    if pictures and len(pictures) < len(known):
        raise ValueError(
            f"{folder} holds {len(pictures)} pictures and {len(known) - len(pictures)} sounds; pass one kind"
        )
    if not known:
        raise ValueError(f"{folder} should hold pictures or sounds, by their endings; found none")
    return list(known)

"""From the name of a data set to its checked files on this machine.

Three places are looked at, in this order:

1. ``FIRSTSIGHT_DATA_MIRROR``, when it is set: a folder that holds the files under their paths, or
   the ``http(s)`` address of one;
2. the cache: ``FIRSTSIGHT_DATA``, or the user's cache folder;
3. the original source, from which the file is downloaded into the cache.

A file counts only when its sha256, or the digest of what is inside it, is known; see
:mod:`firstsight.datasets.digests`.
"""

import functools
import os
from pathlib import Path
from urllib.parse import quote

import pooch

from firstsight.datasets.digests import sha256_of
from firstsight.datasets.download import accepted, download
from firstsight.datasets.registry import File, files


def fetch(name: str) -> list[Path]:
    """Bring all files of a data set to this machine, and check them.

    Parameters
    ----------
    name : str
        A key of :data:`firstsight.datasets.registry.DATASETS`.

    Returns
    -------
    list of Path
        In the order of :func:`firstsight.datasets.registry.files`; empty for what comes with a package.

    Raises
    ------
    ValueError
        When there is no such data set, or a file is not the known one.
    FileNotFoundError
        When the mirror folder lacks a file.
    ConnectionError, PermissionError, OSError
        When a download fails; see :func:`firstsight.datasets.download.download`.

    """
    return [locate(file) for file in files(name)]


def locate(file: File) -> Path:
    """The checked place of one file; it is downloaded if it has to be. Errors as for :func:`fetch`."""
    mirror = os.environ.get("FIRSTSIGHT_DATA_MIRROR", "")
    remote = mirror.startswith(("http://", "https://"))
    folder = Path(mirror) if mirror and not remote else cache_folder()
    found = _existing(folder, file.path)
    if found is not None:
        status = found.stat()
        _check(found, status.st_mtime_ns, status.st_size, file, folder == cache_folder())
        return found
    if mirror and not remote:
        raise FileNotFoundError(
            f"the mirror folder {mirror} should hold {file.path}; found no such file; "
            "copy it there, or unset FIRSTSIGHT_DATA_MIRROR to download it"
        )
    if remote:
        return download(file, f"{mirror.rstrip('/')}/{quote(file.path)}", folder)
    return download(file, file.url, folder)


def cache_folder() -> Path:
    """Where downloads are kept: ``FIRSTSIGHT_DATA``, or the user's cache folder."""
    return Path(os.environ.get("FIRSTSIGHT_DATA") or pooch.os_cache("firstsight"))


def _existing(folder: Path, path: str) -> Path | None:
    """The file, or the original that is not compressed."""
    for candidate in (folder / path, folder / path.removesuffix(".gz")):
        if candidate.is_file():
            return candidate
    return None


# Hashing 100 MB for every call would be slow; a file that was not touched since is still good.
@functools.lru_cache(maxsize=4096)
def _check(path: Path, mtime_ns: int, size: int, file: File, cached: bool) -> None:
    if not accepted(path, file):
        cure = "delete it and fetch it again" if cached else "replace it by the original"
        raise ValueError(
            f"{path} should have sha256 {file.hashes.sha256} or contents {file.hashes.contents}; "
            f"found sha256 {sha256_of(path)}; {cure}"
        )

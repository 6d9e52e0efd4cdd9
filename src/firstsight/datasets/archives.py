"""Archives read in place, without unpacking them and without trusting them.

A member whose path leaves its folder, or which is larger than :data:`MAX_BYTES`, is refused, and
arrays are read with ``allow_pickle=False``: opening a data file never runs code.
"""

import gzip
import io
import re
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 1 << 30
"""The largest member or decompressed file that is read, in bytes: 1 GiB, about ten times the largest known one."""

# A mirror keeps zips as they are; the .npz of numpy is a zip as well.
ZIP_SUFFIXES = (".zip", ".npz")


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, decompressed when it is a gzip file.

    Parameters
    ----------
    path : Path
        A plain or gzip-compressed file; told by its first two bytes, not by its name.

    Returns
    -------
    bytes
        What is inside.

    Raises
    ------
    ValueError
        When the gzip stream is cut short or damaged, or holds more than :data:`MAX_BYTES`.

    """
    with path.open("rb") as stream:
        magic = stream.read(2)
    if magic != b"\x1f\x8b":
        return path.read_bytes()
    try:
        with gzip.open(path) as packed:
            content: bytes = packed.read(MAX_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} should be a whole gzip file; found: {error}; delete it and fetch it again") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path} should unpack to at most {MAX_BYTES} bytes; found more; it is not the known file")
    return content


def open_zip(path: Path | io.BytesIO, *, called: str = "") -> zipfile.ZipFile:
    """A zip whose member paths stay inside it and whose members are of a sane size.

    Parameters
    ----------
    path : Path or BytesIO
        The archive.
    called : str
        How messages call it; by default its path.

    Returns
    -------
    ZipFile
        Open for reading; close it.

    Raises
    ------
    ValueError
        When it is no zip, a member's path is absolute or contains ``..``, or a member is larger
        than :data:`MAX_BYTES`.

    """
    called = called or str(path)
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{called} should be a whole zip file; found: {error}; delete it and fetch it again") from None
    for member in archive.infolist():
        name = member.filename
        if name.startswith(("/", "\\")) or ":" in name.split("/")[0] or ".." in re.split(r"[/\\]", name):
            archive.close()
            raise ValueError(f"{called} should hold relative member paths; found {name!r}; do not use this archive")
        if member.file_size > MAX_BYTES:
            archive.close()
            raise ValueError(
                f"{called} should hold members of at most {MAX_BYTES} bytes; {name!r} unpacks to {member.file_size}; "
                "do not use this archive"
            )
    return archive


def members(archive: zipfile.ZipFile, pattern: str = "") -> dict[str, zipfile.ZipInfo]:
    """The members that a pattern asks for, by the name the readers know them under.

    Archives of one data set are packed under different leading folders (that of a release, that of
    a wheel, none). The pattern is searched in the path; its groups, joined by ``/``, are the name.

    Parameters
    ----------
    archive : ZipFile
        See :func:`open_zip`.
    pattern : str
        A regular expression with at least one group; the empty pattern takes every file as it is.

    Returns
    -------
    dict of str to ZipInfo
        Sorted by name.

    """
    found = {}
    for member in archive.infolist():
        if member.is_dir():
            continue
        if not pattern:
            found[member.filename] = member
        elif match := re.search(pattern, member.filename):
            found["/".join(match.groups())] = member
    return dict(sorted(found.items()))


def read_npz(source: Path | bytes, *, called: str = "") -> dict[str, NDArray[Any]]:
    """The arrays of an npz file; Python objects inside are refused, not unpickled.

    Parameters
    ----------
    source : Path or bytes
        The file or what is in it.
    called : str
        How messages call it; by default its path.

    Returns
    -------
    dict of str to ndarray
        Name to array.

    Raises
    ------
    ValueError
        When it is no npz file or holds Python objects.

    """
    called = called or (str(source) if isinstance(source, Path) else "the npz file")
    place = source if isinstance(source, Path) else io.BytesIO(source)
    open_zip(place, called=called).close()
    with np.load(place, allow_pickle=False) as arrays:
        try:
            return {str(PurePosixPath(name)): arrays[name] for name in arrays.files}
        except ValueError as error:
            raise ValueError(f"{called} should hold plain arrays; found: {error}; do not use this file") from None

"""Digests of files and of what is inside them, and the table of those that are accepted.

Zips are repacked and originals are kept compressed by those who mirror them, so the hash of a file
is not the hash of its data. A file is accepted when its own sha256 is known **or** the digest of
its contents is: of a gzip file the decompressed bytes, of a zip (an npz is one) the sorted pairs
of member name and member digest.
"""

import functools
import hashlib
import io
import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from firstsight.datasets.archives import ZIP_SUFFIXES, members, open_zip, read_bytes

TABLE = Path(__file__).with_name("hashes.json")


class Hashes(NamedTuple):
    """What is accepted of one file.

    Parameters
    ----------
    size : int
        Bytes of the mirrored file; the original may have another size.
    sha256 : str
        Of the mirrored file, hexadecimal.
    contents : str
        Of what is inside, hexadecimal; see :func:`contents_of`.
    names : tuple of str
        The members that are read, of a zip that holds many tables; empty means all that match.

    """

    size: int
    sha256: str
    contents: str
    names: tuple[str, ...] = ()


@functools.cache
def known() -> dict[str, Hashes]:
    """The accepted digests by path, read once from ``hashes.json`` beside this file."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    return {path: Hashes(**{**row, "names": tuple(row.get("names", ()))}) for path, row in table.items()}


def sha256_of(path: Path) -> str:
    """The sha256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def contents_of(path: Path, called: str, pattern: str = "", names: Collection[str] = ()) -> str:
    """The digest of what is inside a file, whatever it is packed in.

    Parameters
    ----------
    path : Path
        A zip or npz, a gzip or a plain file.
    called : str
        What it is known as; a suffix ``.zip`` or ``.npz`` says that its members count.
    pattern : str
        Which members of a zip count, and under which name; see :func:`firstsight.datasets.archives.members`.
    names : collection of str
        Of the matching members those that count; empty means all.

    Returns
    -------
    str
        Hexadecimal sha256: of the (decompressed) bytes, or of the lines ``name digest`` of a zip.

    Raises
    ------
    ValueError
        When the archive is damaged or not safe to read.

    """
    if not called.endswith(ZIP_SUFFIXES):
        return hashlib.sha256(read_bytes(path)).hexdigest()
    digest = hashlib.sha256()
    with open_zip(path) as archive:
        for name, member in members(archive, pattern).items():
            if names and name not in names:
                continue
            inside = archive.read(member)
            digest.update(f"{name} {_npz_digest(inside) if name.endswith('.npz') else _digest(inside)}\n".encode())
    return digest.hexdigest()


def write_hashes(mirror: Path, files: Iterable[tuple[str, str, bool]], table: Path = TABLE) -> None:
    """Write the table of accepted digests from a mirror folder: run by hand when data are added.

    Parameters
    ----------
    mirror : Path
        A folder of files whose origin was checked.
    files : iterable of (str, str, bool)
        Path inside the mirror, pattern of its members, whether the original holds more members
        than are known here (their names are then part of the table).
    table : Path
        The JSON file to write.

    """
    rows: dict[str, dict[str, object]] = {}
    for relative, pattern, partial in sorted(files):
        path = mirror / relative
        row: dict[str, object] = {
            "size": path.stat().st_size,
            "sha256": sha256_of(path),
            "contents": contents_of(path, relative, pattern),
        }
        if partial:
            with open_zip(path) as archive:
                row["names"] = list(members(archive, pattern))
        rows[relative] = row
    lines = ",\n".join(f"{json.dumps(path)}: {json.dumps(row)}" for path, row in rows.items())
    table.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _npz_digest(content: bytes) -> str:
    """Of an npz inside a zip the arrays count, not how they are compressed."""
    digest = hashlib.sha256()
    with open_zip(io.BytesIO(content), called="an npz member") as archive:
        for name, member in members(archive).items():
            digest.update(f"{name} {_digest(archive.read(member))}\n".encode())
    return digest.hexdigest()

"""Downloads that go on where they were cut off.

A download grows in a ``.part`` file beside its place. When it is cut off the file stays, and the
next try asks the server for the missing bytes alone (an HTTP Range request); a server that cannot
do that sends all of it again. pooch, which keeps the cache, moves the whole and checked file into
place, so that a reader never sees half of one.
"""

import errno
import shutil
import zipfile
from pathlib import Path
from urllib.parse import quote

import pooch
import requests
from tqdm import tqdm

from firstsight.datasets.digests import contents_of, sha256_of
from firstsight.datasets.registry import File

TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection, and for the next bytes."""

CHUNK = 1 << 16


def download(file: File, url: str, folder: Path) -> Path:
    """Download one file into the cache, going on where an earlier try was cut off.

    Parameters
    ----------
    file : File
        See :func:`firstsight.datasets.registry.files`.
    url : str
        Its address, or for members that the origin has singly the address of their folder, with ``/`` at the end.
    folder : Path
        The cache; it is made.

    Returns
    -------
    Path
        Below ``folder``: the file's path, without its ``.gz`` when the original is not compressed.

    Raises
    ------
    ConnectionError
        When the server is not reached, answers with an error, or the connection breaks.
    ValueError
        When what came is not the known file; it is deleted.
    PermissionError, OSError
        When the cache cannot be written to, or the disk is full.

    """
    plain = file.path.endswith(".gz") and not url.split("?")[0].endswith(".gz")
    path = file.path.removesuffix(".gz") if plain else file.path
    part = folder / f"{path}.part"

    def fill(address: str, output: str, _: pooch.Pooch) -> None:
        with requests.Session() as session, tqdm(desc=path, unit="B", unit_scale=True, disable=None) as bar:
            if address.endswith("/"):
                _members(session, address, file, part, bar)
            else:
                part.parent.mkdir(parents=True, exist_ok=True)
                _resume(session, address, part, bar)
        _check_download(part, file, address)
        part.replace(output)
        shutil.rmtree(f"{part}s", ignore_errors=True)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        keeper = pooch.create(path=folder, base_url="", registry={path: None}, urls={path: url})
        return Path(keeper.fetch(path, downloader=fill))
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else "none"
        raise ConnectionError(
            f"{url} should answer with the file; found HTTP status {status}; "
            "try again later, or set FIRSTSIGHT_DATA_MIRROR to a copy of the data"
        ) from None
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise ConnectionError(
            f"{url} should be reachable; found {type(error).__name__}; connect and fetch again (it goes on where it "
            "was cut off), or set FIRSTSIGHT_DATA_MIRROR to a copy of the data"
        ) from None
    except PermissionError as error:
        raise PermissionError(
            f"the cache {folder} should be a folder that can be written to; found: {error}; "
            "set FIRSTSIGHT_DATA to one that can"
        ) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            errno.ENOSPC,
            f"the disk of the cache {folder} should have room for {path}; found it full; "
            "free some space or set FIRSTSIGHT_DATA to a folder on another disk, and fetch again",
        ) from None


def accepted(path: Path, file: File) -> bool:
    """Whether a file is the known one: by its own sha256, or by the digest of what is inside.

    Raises
    ------
    ValueError
        When it is an archive that is damaged or not safe to read.

    """
    if path.stat().st_size == file.hashes.size and sha256_of(path) == file.hashes.sha256:
        return True
    # A .part file is named after what it becomes, and so is told apart by that name.
    return contents_of(path, file.path, file.pattern, file.hashes.names) == file.hashes.contents


def _check_download(part: Path, file: File, url: str) -> None:
    found = sha256_of(part)
    try:
        good = accepted(part, file)
    except ValueError as error:
        good, found = False, f"{found} ({error})"
    if not good:
        part.unlink()
        shutil.rmtree(f"{part}s", ignore_errors=True)
        raise ValueError(
            f"{url} should give {file.path} with sha256 {file.hashes.sha256} or contents {file.hashes.contents}; "
            f"found sha256 {found}; the download was deleted, fetch it again"
        )


def _resume(session: requests.Session, url: str, part: Path, bar: "tqdm[None]") -> None:
    """Append to ``part`` what is missing of the file at ``url``."""
    have = part.stat().st_size if part.exists() else 0
    # Bytes are counted, so they have to come as they are stored: no compression on the way.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing, or the part is of another file: its hash will tell
        answer.raise_for_status()
        goes_on = answer.status_code == requests.codes.partial_content
        if goes_on and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise requests.ConnectionError("the server sent another range than was asked for")
        done = have if goes_on else 0
        length = answer.headers.get("Content-Length")
        bar.reset(total=done + int(length) if length else None)
        bar.update(done)
        with part.open("ab" if goes_on else "wb") as stream:
            for chunk in answer.iter_content(CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))


def _members(session: requests.Session, url: str, file: File, part: Path, bar: "tqdm[None]") -> None:
    """Download the members of a zip one by one, and pack them; those that are there are not asked for again."""
    loose = Path(f"{part}s")
    for name in file.hashes.names:
        if not (loose / name).exists():
            growing = loose / f"{name}.part"
            growing.parent.mkdir(parents=True, exist_ok=True)
            _resume(session, url + quote(name), growing, bar)
            growing.replace(loose / name)
    with zipfile.ZipFile(part, "w") as archive:
        for name in file.hashes.names:
            archive.write(loose / name, name)

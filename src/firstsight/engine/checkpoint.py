"""Checkpoints: one safetensors file that is whole or not there.

Tensors go into the file by name; everything else is JSON in its header. A digest over both is kept
beside them, so that a truncated or changed file is refused and never half-read. The file is written
under a temporary name, flushed to the disk and renamed: a process killed at any moment leaves the
old checkpoint or the new one.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

FORMAT = 1
"""Version of the layout; files of a later one are refused."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, with the reason and the cure."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds.

    Parameters
    ----------
    tensors : dict of Tensor
        By name.
    facts : dict
        Anything JSON can say.

    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def write_checkpoint(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write a checkpoint that replaces the one at ``path`` in one step.

    Parameters
    ----------
    path : Path
        Of the file; its folder is made.
    tensors : dict of Tensor
        By name.
    facts : dict
        Anything JSON can say; not NaN or infinity.

    Raises
    ------
    OSError
        When the folder cannot be written; nothing half-written is left under ``path``.

    """
    tensors = {name: leaf.detach().contiguous().clone() for name, leaf in tensors.items()}
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True, allow_nan=False)
    payload = save(tensors, metadata={"facts": text, "sha256": digest(tensors, text)})
    write_whole(path, payload)


def write_whole(path: Path, payload: bytes) -> None:
    """Write a file so that a reader sees the old content or all of the new."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check that it is whole.

    Parameters
    ----------
    path : Path
        Of the file.

    Returns
    -------
    Checkpoint

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    CheckpointError
        When it is truncated, changed, of a later format, or no checkpoint of firstsight.

    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; train first, or check the path")
    cure = "restore it from a copy, or remove it and train again"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Cloned into memory of torch's alignment, on which the last bit of a convolution depends.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, UnicodeDecodeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is truncated or damaged ({error}); {cure}") from error
    if "facts" not in metadata or "sha256" not in metadata:
        raise CheckpointError(f"{path} is no checkpoint of firstsight, or its header is damaged; {cure}")
    try:
        facts = json.loads(metadata["facts"])
        later = facts["format"] > FORMAT
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged: its header cannot be read; {cure}") from error
    # Before the digest, which a later format may take over something else.
    if later:
        raise CheckpointError(
            f"{path} has format {facts['format']}, written by firstsight {facts.get('version', '?')}; "
            f"this version reads formats up to {FORMAT}; upgrade firstsight. If it was never written by a later "
            f"version, it is damaged: {cure}"
        )
    if digest(tensors, metadata["facts"]) != metadata["sha256"]:
        raise CheckpointError(f"{path} is damaged: its content does not match its digest; {cure}")
    return Checkpoint(tensors, facts)


def refuse_difference(path: Path, name: str, found: Any, wanted: Any) -> None:
    """Refuse to resume when something differs from what the checkpoint was made with.

    Parameters
    ----------
    path : Path
        Of the checkpoint, for the message.
    name : str
        What is compared.
    found, wanted : JSON value
        In the checkpoint, and asked for now. Of two dicts, the first entry that differs is named.

    Raises
    ------
    CheckpointError
        When they differ.

    """
    wanted = json.loads(json.dumps(wanted))
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            refuse_difference(path, f"{name}.{key}", found.get(key), wanted.get(key))
    elif found != wanted:
        raise CheckpointError(
            f"{path} was made with {name}={found!r}, now it is {wanted!r}; "
            "resume with the old value, or start in another folder"
        )


def digest(tensors: dict[str, Tensor], text: str = "") -> str:
    """A sha256 of tensors, their names and a text."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        leaf = tensors[name]
        found.update(f"{name}|{leaf.dtype}|{tuple(leaf.shape)}|".encode())
        found.update(leaf.reshape(-1).view(torch.uint8).numpy().tobytes() if leaf.numel() else b"")
    return found.hexdigest()

"""LightGBM's models as texts, with their settings in JSON: written to a folder and read from it, never pickled."""

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

__all__ = ["checked_model", "read_models", "write_models"]


def checked_model(name: str, text: Any) -> str:
    """A model in LightGBM's text format, or a ValueError that names it."""
    if not isinstance(text, str) or not text.startswith("tree") or "end of parameters" not in text:
        raise ValueError(f"{name} should be a model in LightGBM's text format; found {str(text)[:20]!r}")
    return text


def write_models(
    folder: str | PathLike[str], models: Mapping[str, str], file: str, settings: Mapping[str, Any]
) -> None:
    """Write ``NAME.txt`` for each model, and settings to a JSON file, into a folder, which is made."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in models.items():
        (folder / f"{name}.txt").write_text(text)
    (folder / file).write_text(json.dumps(settings, indent=1))


def read_models(folder: str | PathLike[str], names: Sequence[str], file: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Read what :func:`write_models` wrote; lists in the settings become tuples.

    Raises
    ------
    FileNotFoundError, ValueError
        When a file is missing or is not what it should be.

    """
    folder = Path(folder)
    missing = [name for name in (*(f"{name}.txt" for name in names), file) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} should hold a saved {Path(file).stem}; it lacks {missing}")
    try:
        stored = json.loads((folder / file).read_text())
        settings = {key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    except (AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder / file} should hold a {Path(file).stem}'s settings; {error}") from None
    return {name: (folder / f"{name}.txt").read_text() for name in names}, settings

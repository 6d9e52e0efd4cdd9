"""The record of a run: settings, seed, versions, machine and numbers as JSON."""

import json
import math
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from firstsight.engine.checkpoint import write_whole


def environment() -> dict[str, Any]:
    """Versions, cores and memory: what a number may depend on, and nothing that names the machine.

    Returns
    -------
    dict
        ``python``, ``packages`` (name to version), ``cores`` and ``memory_gib``.

    """
    packages = {}
    for name in ("firstsight", "torch", "numpy", "scipy", "scikit-learn"):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = "not installed"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {
        "python": platform.python_version(),
        "packages": packages,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
    }


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _said(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_said(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` and :func:`environment` as JSON, in one step.

    Parameters
    ----------
    path : Path
        Of the file; its folder is made.
    content : dict
        Anything JSON can say; NaN and infinity, such as the interval of a single value, become null.

    """
    text = json.dumps(_said({**content, "environment": environment()}), indent=2, allow_nan=False)
    write_whole(path, (text + "\n").encode())

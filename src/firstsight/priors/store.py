"""A prior as a file of tensors with a JSON header, and back.

NamedTuples are written as branches of a tree, whose leaves are arrays, texts and numbers: arrays go to tensors by their
path, all else into the header.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from firstsight import __version__
from firstsight.columns.kinds import Column
from firstsight.density.cells import Cell, Cells
from firstsight.density.em import Pull
from firstsight.density.mixture import Mixture
from firstsight.density.warps import Warp
from firstsight.engine.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from firstsight.priors.alignment import Alignment
from firstsight.priors.familiarity import Familiarity
from firstsight.priors.learn import Learned
from firstsight.priors.members import Ground, Member
from firstsight.priors.profiles import Profiles
from firstsight.priors.weights import Weights

__all__ = ["read", "write"]

LAYOUT = 1

BRANCHES = {
    kind.__name__: kind
    for kind in (Alignment, Familiarity, Ground, Learned, Member, Mixture, Profiles, Pull, Warp, Weights)
}


def write(path: Path, prior: Any) -> None:
    """Write a prior."""
    tensors: dict[str, torch.Tensor] = {}
    facts = {
        "kind": "prior",
        "layout": LAYOUT,
        "version": __version__,
        "cells": _cells_told(prior.cells),
        "names": list(prior.names),
        "seed": prior.seed,
        "profiles": _told(prior.profiles, "profiles", tensors),
        "learned": _told(prior.learned, "learned", tensors),
        "parts": {name: _told(part, f"parts.{name}", tensors) for name, part in prior.parts.items()},
    }
    write_checkpoint(path, tensors, facts)


def read(path: Path) -> dict[str, Any]:
    """What a prior is made of, by name; see :meth:`firstsight.priors.prior.Prior.load`."""
    tensors, facts = read_checkpoint(path)
    if facts.get("kind") != "prior":
        raise CheckpointError(f"{path} holds no prior; pass the folder that save() or `firstsight learn` wrote")
    if facts["layout"] > LAYOUT:
        raise CheckpointError(
            f"{path} was made by firstsight {facts['version']} in layout {facts['layout']}; this version reads up to "
            f"{LAYOUT}; upgrade firstsight, or learn the prior again"
        )
    return {
        "cells": _cells_of(facts["cells"]),
        "learned": _read(facts["learned"], tensors),
        "profiles": _read(facts["profiles"], tensors),
        "names": tuple(facts["names"]),
        "parts": {name: _read(part, tensors) for name, part in facts["parts"].items()},
        "seed": facts["seed"],
    }


def _told(value: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, np.ndarray):
        tensors[path] = torch.from_numpy(np.ascontiguousarray(value))
        return {"array": path}
    if isinstance(value, tuple):
        parts = [_told(part, f"{path}.{place}", tensors) for place, part in enumerate(value)]
        name = type(value).__name__
        return {"branch": name if name in BRANCHES else "", "parts": parts}
    return value


def _read(told: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(told, dict):
        return told
    if "array" in told:
        return tensors[told["array"]].numpy()
    parts = tuple(_read(part, tensors) for part in told["parts"])
    return BRANCHES[told["branch"]](*parts) if told["branch"] else parts


def _cells_told(cells: Cells) -> dict[str, Any]:
    return {
        "columns": [
            {
                "column": asdict(cell.column),
                "dtype": str(cell.dtype),
                "step": cell.step,
                "origin": None if np.isnan(cell.origin) else cell.origin,
                "values": [_scalar_told(value) for value in cell.values],
            }
            for cell in cells.columns
        ],
        "names": [_scalar_told(name) for name in cells.names],
        "dtype": None if cells.dtype is None else str(np.dtype(cells.dtype)),
    }


def _cells_of(told: dict[str, Any]) -> Cells:
    columns = tuple(
        Cell(
            _column_of(cell["column"]),
            pd.api.types.pandas_dtype(cell["dtype"]),
            cell["step"],
            np.nan if cell["origin"] is None else cell["origin"],
            tuple(_scalar_of(value) for value in cell["values"]),
        )
        for cell in told["columns"]
    )
    dtype = None if told["dtype"] is None else np.dtype(told["dtype"])
    return Cells(columns, tuple(_scalar_of(name) for name in told["names"]), dtype)


def _column_of(told: dict[str, Any]) -> Column:
    kept: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return Column(**kept)


def _scalar_told(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | int | float | str):
        return value
    return {"date": pd.Timestamp(value).isoformat()}


def _scalar_of(told: Any) -> Any:
    return pd.Timestamp(told["date"]) if isinstance(told, dict) else told

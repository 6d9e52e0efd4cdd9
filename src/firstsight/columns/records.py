"""Tables from files that are neither text nor columns: sheets of Excel, and JSON with one object a row."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["EXCEL", "JSON", "read_excel", "read_json"]

EXCEL = (".xlsx", ".xlsm")
JSON = (".jsonl", ".ndjson", ".json")
FULL = 0.5  # share of its cells that the row of names holds; titles above it hold fewer
WORDED = 0.5  # share of the row's cells that are words


def read_excel(path: Path) -> pd.DataFrame:
    """Read the first sheet that holds a table.

    Empty rows and columns are left out, as are titles above the row of names, which is the first that is at least half
    full and of words.

    Raises
    ------
    ModuleNotFoundError
        Without openpyxl.
    ValueError
        When it is no Excel file, or no sheet holds a table.

    """
    try:
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object)
    except ImportError as error:
        raise ModuleNotFoundError(
            f"reading {path} needs openpyxl; install it with pip install 'firstsight[excel]'"
        ) from error
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} should be an Excel file; reading it failed: {error}; save it again") from error
    for sheet in sheets.values():
        full = sheet.dropna(how="all").dropna(how="all", axis=1)
        if len(full) > 1 and full.shape[1] > 1:
            return _titled(full)
    raise ValueError(f"{path} should hold a table; found {len(sheets)} sheets with no two rows and columns of cells")


def read_json(path: Path) -> pd.DataFrame:
    """Read one object a line, or a list of objects; what is inside an object becomes columns such as ``a.b``.

    Raises
    ------
    ValueError
        When it is no JSON, or not of objects.

    """
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} should be JSON in UTF-8; reading it failed: {error}") from error
    if not text.strip():
        raise ValueError(f"{path} should be a table; found an empty file; leave it out")
    found = _whole(text) if text.lstrip()[:1] == "[" else _lines(text, path)
    if not isinstance(found, list) or not found or not all(isinstance(row, dict) for row in found):
        raise ValueError(f"{path} should hold one object a row, such as {{'a': 1, 'b': 2}}, one a line or in a list")
    return pd.json_normalize(found)


def _titled(sheet: pd.DataFrame) -> pd.DataFrame:
    """The rows below the names."""
    cells = sheet.to_numpy(dtype=object)
    for place, row in enumerate(cells[:-1]):
        given = [cell for cell in row if not pd.isna(cell)]
        worded = sum(isinstance(cell, str) for cell in given)
        if len(given) >= FULL * len(row) and worded >= WORDED * len(given):
            table = pd.DataFrame(cells[place + 1 :]).infer_objects()
            names = [f"unnamed {n}" if pd.isna(cell) else str(cell).strip() for n, cell in enumerate(row)]
            return table.set_axis(names, axis=1).dropna(how="all").reset_index(drop=True)
    table = pd.DataFrame(cells).infer_objects()
    return table.set_axis([f"x{place}" for place in range(table.shape[1])], axis=1)


def _whole(text: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None


def _lines(text: str, path: Path) -> Any:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):  # other signs that end lines may be within texts
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == 1 and (whole := _whole(text)) is not None:
                return [whole]
            raise ValueError(
                f"{path} should hold one JSON object a line; line {number} is none: {error.msg}; correct that line"
            ) from error
    return rows

"""The command that looks at tables."""

import glob
import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from firstsight.overview.files import check_folder, check_table_path
from firstsight.overview.result import PAGES, Look
from firstsight.overview.run import look

ENDING = ".firstsight.html"
BAD_INPUT = 2


def look_at(
    *files: str,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    out_table: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
    rows: bool = True,
    prior: Path | None = None,
    seed: int = 0,
    n_jobs: int | None = None,
) -> None:
    """Say what is in a table: its groups, the rows that look wrong, a map; on one page.

    The page is written beside you as FILE.firstsight.html; it is one file, opens offline, and opens no connection.
    Without a FILE, an example is looked at: 178 wines.

    Parameters
    ----------
    files : str
        CSV, TSV, Parquet, Excel, JSON lines or npz; - for the standard input; several files, or a pattern such as
        'tables/*.csv', give a page each.
    output : Path
        The page, .html or .md; for several files a folder.
    out_table : Path
        Table to write, .csv, .csv.gz or .parquet: the rows as they are, with cluster, membership, anomaly_probability,
        map_x and map_y.
    json_ : bool
        Print all that the page says as JSON, and write a page only with --output.
    rows : bool
        With --no-rows, the page holds no value of the table.
    prior : Path
        Folder that ``firstsight learn`` wrote, from past tables of the same kind: the page then says what is unusual
        about the table beside them.
    seed : int
        Of what is random; the same table and seed give the same page.
    n_jobs : int
        Threads of the numerical libraries.

    """
    named = list(dict.fromkeys(file for pattern in files for file in _files(pattern)))
    if out_table is not None:
        if len(named) > 1:
            raise ValueError(f"--out-table is for one file; found {len(named)}")
        check_table_path(out_table)
        if any(out_table.exists() and Path(file).exists() and out_table.samefile(file) for file in named):
            raise ValueError(f"--out-table {out_table} should be another file than the one that is read")
    if output is not None and len(named) <= 1:
        _check_page(output)
    elif output is not None and (output.exists() and not output.is_dir()):
        raise NotADirectoryError(f"output={str(output)!r} should be a folder, for several files; found a file")
    failed = 0
    found = []
    taken: set[Path] = set()
    asked: list[str | None] = [*named] or [None]
    for file in asked:
        try:
            looked = _look(file, with_rows=rows, prior=prior, random_state=seed, n_jobs=n_jobs)
        except (TypeError, ValueError, OSError, ArithmeticError, ModuleNotFoundError) as error:
            if len(named) < 2:  # the command line says it
                raise
            print(f"firstsight: {error}", file=sys.stderr)
            failed += 1
            continue
        page = _unused(_page_of(file, output, several=len(named) > 1), taken)
        written = output is not None or not json_
        if written:
            looked.save(page)
        if out_table is not None:
            looked.save_table(out_table)
        found.append(looked.to_dict())
        if not json_:
            _say(looked, page, out_table, first=len(found) == 1)
    if json_ and found:
        print(json.dumps(found if len(named) > 1 else found[0], ensure_ascii=True))
    if failed:
        print(f"firstsight: {failed} of {len(named)} files could not be looked at", file=sys.stderr)
        sys.exit(BAD_INPUT)


def _files(pattern: str) -> list[str]:
    """The files of a pattern that the shell has left as it is."""
    if pattern == "-" or Path(pattern).exists() or not glob.has_magic(pattern):
        return [pattern]
    found = sorted(glob.glob(pattern, recursive=True))
    if not found:
        raise FileNotFoundError(f"{pattern} should match files; found none")
    return found


def _look(file: str | None, **settings: Any) -> Look:
    if file is None:
        from firstsight.overview.example import wines

        return look(wines(), name="wines", **settings)
    return look(file, **settings)


def _check_page(page: Path) -> None:
    if page.suffix.lower() not in PAGES:
        raise ValueError(f"output={str(page)!r} should end in one of {', '.join(PAGES)}")
    check_folder(page)


def _page_of(file: str | None, output: Path | None, *, several: bool) -> Path:
    """Where the page goes: beside the caller, or as told."""
    name = {None: "wines", "-": "standard-input"}.get(file) or Path(str(file)).name
    if output is None:
        return Path(name + ENDING)
    if not several:
        return output
    output.mkdir(parents=True, exist_ok=True)
    return output / (name + ENDING)


def _unused(page: Path, taken: set[Path]) -> Path:
    """The page's name, numbered where files of several folders have one name."""
    numbered, count = page, 1
    while numbered in taken:
        count += 1
        numbered = page.with_name(f"{page.name.removesuffix(ENDING)}-{count}{ENDING}")
    taken.add(numbered)
    return numbered


def _say(looked: Look, page: Path, out_table: Path | None, *, first: bool) -> None:
    if not first:
        print()
    print(looked)
    print(f"page: {page}" + (f"; table: {out_table}" if out_table is not None else ""))

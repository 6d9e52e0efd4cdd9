"""What was found in a table, to be shown, saved, and used."""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from firstsight.estimators.anomaly_detector import AnomalyDetector
from firstsight.estimators.clusterer import Clusterer
from firstsight.estimators.embedder import Embedder
from firstsight.overview.answers import Answers
from firstsight.overview.files import save_pieces, written_whole
from firstsight.overview.source import Source
from firstsight.overview.words import counted
from firstsight.report.contents import Contents, Note
from firstsight.report.markdown import to_markdown
from firstsight.report.page import to_html

__all__ = ["ADDED", "PAGES", "Look"]

ADDED = ("cluster", "membership", "anomaly_probability", "map_x", "map_y")
PAGES = (".html", ".htm", ".md")
NOTEBOOK_HEIGHT = 800  # pixels


@dataclass(frozen=True)
class Look:
    """What is in a table.

    In a notebook it shows itself as the page; printed, as some ten lines.

    Parameters
    ----------
    contents : Contents
        All that the page says, as a plain dict.
    source : Source
        The rows.
    answers : Answers
        The fitted estimators and what they say of every row.

    """

    contents: Contents
    source: Source
    answers: Answers

    @property
    def clusters(self) -> Clusterer:
        """The fitted clusterer; the columns it knows are those of :attr:`columns`."""
        return self.answers.fitted.clusterer

    @property
    def anomalies(self) -> AnomalyDetector:
        """The fitted anomaly detector, on the same columns."""
        return self.answers.fitted.detector

    @property
    def map(self) -> Embedder:
        """The fitted map, of as many rows as the page shows."""
        return self.answers.points.embedder

    @property
    def columns(self) -> pd.DataFrame:
        """The columns that tell rows apart, as numbers and categories, of the rows that were looked at."""
        return self.answers.fitted.columns

    @property
    def quality(self) -> list[Note]:
        """What was found of the table's quality, and what was done about it."""
        return self.contents["notes"]

    @property
    def labels(self) -> "np.ndarray[Any, Any]":
        """Group of every row, (n_rows,); -1 for none."""
        return self.answers.rows.label

    @property
    def anomaly_probability(self) -> "np.ndarray[Any, Any]":
        """Of every row, (n_rows,)."""
        return self.answers.rows.probability

    @property
    def table(self) -> pd.DataFrame:
        """The rows in their order, with cluster, membership, anomaly probability and place on the map."""
        return pd.concat(list(self.pieces()), ignore_index=True)

    def pieces(self) -> Iterator[pd.DataFrame]:
        """:attr:`table` in pieces, for tables that do not fit into memory; cells are as in the file."""
        start = 0
        for piece, cells in zip(self.source.pieces(), self.source.cells(), strict=True):
            found = self._found(piece, start)
            names = [_unused(name, list(cells.columns)) for name in ADDED]
            yield pd.concat([cells, found.set_axis(names, axis=1)], axis=1)
            start += len(piece)

    def save_table(self, path: str | Path) -> Path:
        """Write :attr:`table`.

        Parameters
        ----------
        path : str or Path
            Ends in ``.csv``, ``.csv.gz`` or ``.parquet``.

        Returns
        -------
        Path
            Of the file, which is whole or not there.

        Raises
        ------
        ValueError
            When it ends otherwise.

        """
        save_pieces(Path(path), self.pieces())
        return Path(path)

    def save(self, path: str | Path) -> Path:
        """Write the page.

        Parameters
        ----------
        path : str or Path
            Ends in ``.html``, or ``.md`` for Markdown.

        Returns
        -------
        Path
            Of the file, which is whole or not there.

        Raises
        ------
        ValueError
            When it ends otherwise.

        """
        path = Path(path)
        if path.suffix.lower() not in PAGES:
            raise ValueError(f"path={str(path)!r} should end in one of {', '.join(PAGES)}; save_table writes tables")
        text = self.to_markdown() if path.suffix.lower() == ".md" else self.to_html()
        written_whole(path, lambda file: file.write(text.encode("utf-8", "replace")))
        return path

    def to_dict(self) -> Contents:
        """All that the page says, as lists, texts and numbers."""
        return self.contents

    def to_html(self) -> str:
        """The page: one file that needs no other and opens no connection."""
        return to_html(self.contents)

    def to_markdown(self) -> str:
        """The page without its map."""
        return to_markdown(self.contents)

    def _found(self, piece: pd.DataFrame, start: int) -> pd.DataFrame:
        """What was found of a piece of the rows that begins at a place."""
        fit, rows = self.answers.fitted, self.answers.rows
        part = slice(start, start + len(piece))
        places = self.map.transform(fit.cleaned(piece))
        columns = (rows.label[part], rows.membership[part], rows.probability[part], *places.T[:2])
        return pd.DataFrame(dict(zip(ADDED, columns, strict=True)))

    def _repr_html_(self) -> str:
        page = html.escape(self.to_html(), quote=True)
        return (
            f'<iframe sandbox="allow-scripts" srcdoc="{page}" style="width:100%;height:{NOTEBOOK_HEIGHT}px;border:0" '
            'title="firstsight"></iframe>'
        )

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        """Some ten lines."""
        contents = self.contents
        table, groups, anomalies = contents["table"], contents["groups"], contents["anomalies"]
        lines = [
            f"{table['name']}: {counted(table['n_rows'], 'row')}, {counted(table['n_columns'], 'column')} "
            f"({table['n_used']} tell rows apart)",
            "; ".join(contents["headline"]),
            groups["words"],
        ]
        shown = groups["groups"][:4]
        lines += [f"  {one['name']}: {counted(one['n_rows'], 'row')}, {one['summary']}" for one in shown]
        if len(groups["groups"]) > len(shown):
            lines.append(f"  and {len(groups['groups']) - len(shown)} more")
        lines.append(anomalies["words"])
        lines += [
            f"  row {one['row'] + 1}: {one['probability']:.0%}, {'; '.join(one['reasons'])}"
            for one in anomalies["rows"][:2]
        ]
        return "\n".join(lines)


def _unused(name: str, taken: list[str]) -> str:
    while name in taken:
        name = f"firstsight_{name}"
    return name

"""A page of one table: one HTML file that needs nothing else, made of :mod:`firstsight.report.contents` alone.

Texts of the table are hostile until shown otherwise. They are escaped by the templates, they reach the script as
JSON in a block that is never run, and the script writes them as text. Behind that, the page's policy lets only its
own script and style run, told by their hashes, and lets nothing open a connection. So the map is drawn by hand on a
canvas: a charting library would be ten times the page, and some read cells as markup.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from firstsight.report.contents import Contents, Group, Map, Shade

__all__ = ["count", "cut", "decimal", "percent", "printable", "seconds", "to_html"]

THIN = "\u202f"  # no line is broken at it
STYLES = ("base.css", "sections.css", "map.css")
SCRIPTS = ("draw.js", "explore.js", "page.js")
GRID = 9999  # places on the map are whole numbers up to this: a tenth of a screen's pixel
STEPS = 100  # of a shade's colours
SHAPES = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
    "M0-6.2L5.8 4.4H-5.8z",
    "M-4.5-4.5h9v9h-9z",
    "M0-6.6L5.4 0L0 6.6L-5.4 0z",
    "M2.8-5.7L5.7-2.8L2.8 0L5.7 2.8L2.8 5.7L0 2.8L-2.8 5.7L-5.7 2.8L-2.8 0L-5.7-2.8L-2.8-5.7L0-2.8z",
    "M0 6.2L5.8-4.4H-5.8z",
    "M-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
    "M0-6.8L1.7-2.3L6.5-2.1L2.7 0.9L4 5.5L0 2.8L-4 5.5L-2.7 0.9L-6.5-2.1L-1.7-2.3z",
)
"""Outlines around 0, as SVG writes them; the map and the page beside it draw the same."""
DOT = len(SHAPES)  # of rows of no group
DOT_SHAPE = "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z"
N_COLOURS = len(SHAPES)  # g0 to g7 in base.css; g8 is grey
# Control characters, halves of pairs, and marks that turn the direction of what follows: browsers drop them, or
# they make the page say something else than the file.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
JSON_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


class Style(NamedTuple):
    """How a group is told from the others: by colour and by shape."""

    name: str
    colour: int
    shape: int


def to_html(contents: Contents) -> str:
    """One page, ready to be written as UTF-8.

    Parameters
    ----------
    contents : Contents
        What it says. Where ``with_rows`` is false, neither cells nor the columns as colours are on the page.

    Returns
    -------
    str
        HTML with its style, script and data inside; at most 4 MB for a map of 5,000 rows of 12 columns.

    """
    contents = printable(contents)
    style, script = (Markup("\n".join(_file(name) for name in names)) for names in (STYLES, SCRIPTS))
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    styles = group_styles(contents["groups"]["groups"])
    points = contents["map"]
    return _environment().get_template("page.html.jinja").render(
        contents,
        policy=policy,
        style=style,
        script=script,
        styles=styles,
        kinds={column["name"]: column["kind"] for column in contents["columns"]},
        cells=contents["cells"] if contents["with_rows"] else {},
        on_map=set(points["rows"]) if points else set(),
        data=_as_json(_payload(contents, points, styles)) if points else None,
        posterior=_likeliest(contents["groups"]["posterior"]),
    )  # fmt: skip


def printable(value: Any) -> Any:
    r"""The same nested lists and dicts, with characters that cannot be shown written out.

    >>> printable(["a\x00b", {"c": "\u202egpj.exe"}, 1.5])
    ['a[U+0000]b', {'c': '[U+202E]gpj.exe'}, 1.5]
    """
    if isinstance(value, str):
        return UNPRINTABLE.sub(lambda match: f"[U+{ord(match[0]):04X}]", value)
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable(item) for item in value]
    return value


def count(value: float) -> str:
    """A whole number with thin spaces between thousands.

    >>> count(12345).split(THIN)
    ['12', '345']
    """
    return f"{round(value):,}".replace(",", THIN)


def percent(share: float) -> str:
    """A share from 0 to 1 in per cent, never rounded to none or all.

    >>> [percent(share).replace(THIN, " ") for share in (0, 0.00002, 0.0123, 0.05, 0.4123, 0.99999, 1)]
    ['0 %', '< 0.1 %', '1.2 %', '5 %', '41 %', '> 99.9 %', '100 %']
    """
    if not math.isfinite(share):
        return "unknown"
    if 0 < share < 0.001:
        return f"<{THIN}0.1{THIN}%"
    if 0.999 < share < 1:
        return f">{THIN}99.9{THIN}%"
    digits = 1 if 0 < share < 0.0995 or 0.9905 < share < 1 else 0
    return f"{100 * share:.{digits}f}".removesuffix(".0") + f"{THIN}%"


def decimal(value: float) -> str:
    """A number such as a rating, with two digits.

    >>> decimal(0.8765)
    '0.88'
    """
    return f"{value:.2f}" if math.isfinite(value) else "unknown"


def seconds(time: float) -> str:
    """A time with its unit.

    >>> seconds(0.0834), seconds(12.34)
    ('0.08 s', '12.3 s')
    """
    return f"{time:.{1 if time >= 1 else 2}f} s"


def cut(text: str, limit: int) -> str:
    """The start of a text, with an ellipsis where it was cut.

    >>> cut("a long name", 6)
    'a long…'
    """
    return text if len(text) <= limit else f"{text[:limit].rstrip()}…"


def group_styles(groups: Sequence[Group]) -> dict[int, Style]:
    """Colour and shape of each label; the first 64 groups differ in one at least, the first 8 in both."""
    styles = {}
    place = 0
    for group in groups:
        if group["label"] < 0:
            styles[group["label"]] = Style(group["name"], N_COLOURS, DOT)
        else:
            # A second round through the colours meets other shapes.
            styles[group["label"]] = Style(group["name"], place % N_COLOURS, (place + place // N_COLOURS) % N_COLOURS)
            place += 1
    return styles


def called_points(contents: Contents, points: Map) -> list[int]:
    """Places on the map of the rows that are called anomalies: the likeliest, as many as were called.

    More may be called than are listed, and a map may show some of the rows. Then as large a share of its points
    is marked as of the rows, beside those that are listed.
    """
    anomalies = contents["anomalies"]
    listed = {anomaly["row"] for anomaly in anomalies["rows"][: anomalies["n_called"]]}
    called = {place for place, row in enumerate(points["rows"]) if row in listed}
    if anomalies["n_called"] > len(anomalies["rows"]):
        share = anomalies["n_called"] / max(contents["table"]["n_rows"], 1)
        likeliest = sorted(range(len(points["rows"])), key=lambda place: -points["anomaly"][place])
        called |= set(likeliest[: round(share * len(likeliest))])
    return sorted(called)


def _payload(contents: Contents, points: Map, styles: dict[int, Style]) -> dict[str, Any]:
    """What the script draws, as small as a screen allows."""
    with_rows = contents["with_rows"]
    left, top = min(points["x"], default=0.0), max(points["y"], default=0.0)
    # One scale for both sides: distances on the map are all it has.
    extent = max(max(points["x"], default=0.0) - left, top - min(points["y"], default=0.0)) or 1.0
    labels = list(styles)
    known = {label: place for place, label in enumerate(labels)}
    shown = {str(row) for row in points["rows"]}
    return {
        "shapes": [*SHAPES, DOT_SHAPE],
        "groups": [{"label": label, **styles[label]._asdict()} for label in labels],
        "rows": points["rows"],
        "x": [round(GRID * (x - left) / extent) for x in points["x"]],
        "y": [round(GRID * (top - y) / extent) for y in points["y"]],
        "group": [known.get(label, -1) for label in points["group"]],
        "membership": [_shorter(value) for value in points["membership"]],
        "anomaly": [_shorter(value) for value in points["anomaly"]],
        "faithfulness": [round(value, 2) for value in points["faithfulness"]],
        "called": called_points(contents, points),
        # A column as colours is its cells, row by row.
        "shades": [_stepped(shade) for shade in points["shades"]] if with_rows else [],
        "names": contents["names"] if with_rows else [],
        "cells": {row: texts for row, texts in contents["cells"].items() if row in shown} if with_rows else {},
        "reasons": {str(anomaly["row"]): anomaly["reasons"] for anomaly in contents["anomalies"]["rows"]},
    }


def _shorter(share: float) -> float:
    """A share with few digits, that is none or all only where it was."""
    return share if share in (0, 1) else min(max(round(share, 3), 0.0005), 0.9995)


def _stepped(shade: Shade) -> dict[str, Any]:
    """A shade whose numbers are the steps of its colours."""
    values: list[int | None]
    if shade["kind"] == "category":
        values = [None if value is None else int(value) for value in shade["values"]]
    else:
        low, extent = shade["low"], shade["high"] - shade["low"]
        values = [
            None
            if value is None or not math.isfinite(value)
            else round(STEPS * min(max((value - low) / extent, 0.0), 1.0))
            if extent > 0
            else STEPS // 2
            for value in shade["values"]
        ]
    return {**shade, "values": values}


def _likeliest(posterior: Sequence[tuple[int, float]], most: int = 9) -> list[tuple[int, float]]:
    """The numbers of groups that are worth a bar, by number."""
    best = sorted(posterior, key=lambda entry: -entry[1])[:most]
    return sorted((number, probability) for number, probability in best if probability >= 0.001)


def _as_json(value: Any) -> Markup:
    """JSON that neither ends its block nor begins another, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(JSON_ESCAPES))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _file(name: str) -> str:
    return (files("firstsight.report") / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("firstsight.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "percent": percent, "decimal": decimal, "cut": cut, "seconds": seconds}
    environment.globals |= {"shapes": [*SHAPES, DOT_SHAPE], "grey": Style("no group", N_COLOURS, DOT)}
    return environment

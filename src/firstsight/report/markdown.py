"""The same page as Markdown: for a terminal, a notebook, an issue, or a colleague's editor.

Texts of the table stay texts: what Markdown or HTML would read as more than letters is escaped, line breaks become
spaces, and long texts are cut. The map is left out; all else of :mod:`firstsight.report.contents` is told.
"""

import re
from collections.abc import Iterable, Sequence

from firstsight.report.contents import Anomaly, Contents, Group
from firstsight.report.page import count, cut, decimal, percent, printable, seconds

__all__ = ["escaped", "to_markdown"]

LONGEST = 300  # characters of a text; what was cut is on the page
LONGEST_CELL = 60
MARKS = re.compile(r"([\\`*_\[\]|~#$])")
HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What would begin a list or a rule at the start of a line or of a list's entry.
START = re.compile(r"^([-+](?=\s|$)|-(?=-)|\d+(?=[.)](\s|$)))")
LINK = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)


def to_markdown(contents: Contents) -> str:
    """The contents as Markdown with tables as GitHub has them.

    Parameters
    ----------
    contents : Contents
        What it says. Where ``with_rows`` is false, no cells are in it.

    Returns
    -------
    str
        Ends with a line break.

    """
    contents = printable(contents)
    lines = [
        *_headline(contents),
        *_groups(contents),
        *_anomalies(contents),
        *_why(contents),
        *_family(contents),
        *_columns(contents),
        *_made(contents),
    ]
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str, limit: int = LONGEST) -> str:
    r"""A text that Markdown shows as it is, on one line.

    >>> print(escaped("**a** | <b>\n# c"))
    \*\*a\*\* \| &lt;b&gt; \# c
    >>> print(escaped("1. see https://x.org"))
    1\. see https\://x.org
    """
    text = cut(" ".join(text.split()), limit)
    text = MARKS.sub(r"\\\1", text)
    text = re.sub("[&<>]", lambda match: HTML[match[0]], text)
    text = LINK.sub(lambda match: f"\\{match[0]}", text)
    # A number is escaped behind it, other marks before.
    return START.sub(lambda match: f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}", text)


def _headline(contents: Contents) -> list[str]:
    table = contents["table"]
    size = (
        f"{_counted(table['n_rows'], 'row')}, {_counted(table['n_columns'], 'column')}, "
        f"{_counted(table['n_used'], 'column')} used for the answer"
    )
    if table["n_looked_at"] < table["n_rows"]:
        size += f", groups chosen on {_counted(table['n_looked_at'], 'row')}"
    return [f"# {escaped(table['name'])} at first sight", "", *_bullets(contents["headline"]), "", f"{size}.", ""]


def _groups(contents: Contents) -> list[str]:
    groups = contents["groups"]
    lines = ["## The groups", "", escaped(groups["words"]), ""]
    if groups["groups"]:
        lines += _table(
            ("group", "rows", "share", "what sets it apart"),
            [
                (escaped(group["name"]), count(group["n_rows"]), percent(group["share"]), escaped(group["summary"]))
                for group in groups["groups"]
            ],
        )
    for group in groups["groups"]:
        if group["findings"]:
            lines += [f"### {escaped(group['name'])}", "", *_findings(group), "", *_typical(contents, group)]
    return lines


def _findings(group: Group) -> list[str]:
    return [
        f"- {escaped(finding['column'])}: {escaped(finding['words'])} (strength {decimal(finding['effect'])})"
        for finding in group["findings"]
    ]


def _typical(contents: Contents, group: Group) -> list[str]:
    """Typical rows, in the columns that set the group apart."""
    cells, names = contents["cells"], contents["names"]
    rows = [row for row in group["typical"] if str(row) in cells]
    columns = dict.fromkeys(finding["column"] for finding in group["findings"])
    telling = [names.index(column) for column in columns if column in names]
    if not contents["with_rows"] or not rows or not telling:
        return []
    return _table(
        ("typical row", *(escaped(names[place], LONGEST_CELL) for place in telling)),
        [(str(row + 1), *(escaped(cells[str(row)][place], LONGEST_CELL) for place in telling)) for row in rows],
    )


def _anomalies(contents: Contents) -> list[str]:
    anomalies = contents["anomalies"]
    names = {group["label"]: group["name"] for group in contents["groups"]["groups"]}
    called = anomalies["rows"][: anomalies["n_called"]]
    following = anomalies["rows"][anomalies["n_called"] :]
    low, high = percent(anomalies["share_low"]), percent(anomalies["share_high"])
    like = f"Tables that look like this one hold between {low} and {high} of anomalies, whatever they are. "
    shares = like if called and anomalies["share_high"] > 0 else ""
    lines = [
        f"## {'Rows that look wrong' if anomalies['n_called'] else 'No row looks wrong'}",
        "",
        escaped(anomalies["words"]),
        "",
        f"{shares}Rows are counted from 1, without the header.",
        "",
        *_ranked(called, names),
    ]
    if following:
        lines += ["Next in line, not called:", "", *_ranked(following, names)]
    return lines


def _ranked(rows: Sequence[Anomaly], names: dict[int, str]) -> list[str]:
    if not rows:
        return []
    return _table(
        ("probability", "row", "group", "why it looks wrong"),
        [
            (
                percent(anomaly["probability"]),
                str(anomaly["row"] + 1),
                escaped(names.get(anomaly["group"], "no group")),
                "; ".join(escaped(reason) for reason in anomaly["reasons"]),
            )
            for anomaly in rows
        ],
    )


def _why(contents: Contents) -> list[str]:
    groups = contents["groups"]
    lines = [
        "## Why this answer",
        "",
        f"- There are groups at all: {percent(groups['structure_probability'])}.",
        f"- Expected agreement with the true groups (adjusted Rand index): {decimal(groups['quality'])}, likely "
        f"between {decimal(groups['quality_low'])} and {decimal(groups['quality_high'])}.",
    ]
    if groups["posterior"]:
        chances = ", ".join(f"{count(number)}: {percent(probability)}" for number, probability in groups["posterior"])
        lines += [f"- Number of groups: {chances}."]
    lines += [*_bullets(groups["why"]), ""]
    if groups["proposals"]:
        lines += _table(
            ("algorithm", "setting", "scaling", "groups", "rating", "expected quality", "why"),
            [
                (
                    escaped(proposal["algorithm"]),
                    escaped(proposal["setting"]),
                    escaped(proposal["scaling"]),
                    count(proposal["n_groups"]),
                    decimal(proposal["rating"]),
                    decimal(proposal["quality"]),
                    escaped(proposal["reasons"]),
                )
                for proposal in groups["proposals"]
            ],
        )
    return lines


def _family(contents: Contents) -> list[str]:
    family = contents["family"]
    if family is None:
        return []
    lines = ["## Beside its family", "", escaped(family["words"]), ""]
    if family["unusual"]:
        lines += _table(
            ("column", "what is unusual", "deviations"),
            [(escaped(one["column"]), escaped(one["words"]), decimal(one["score"])) for one in family["unusual"]],
        )
    return lines


def _columns(contents: Contents) -> list[str]:
    lines = ["## Columns and data quality", ""]
    for note in contents["notes"]:
        columns = f" ({', '.join(escaped(name, LONGEST_CELL) for name in note['columns'])})" if note["columns"] else ""
        lines += [f"- {note['level']}: {escaped(note['found'])} {escaped(note['done'])}{columns}"]
    if not contents["notes"]:
        lines += ["Nothing about the table's quality needs saying."]
    lines += [""]
    if contents["columns"]:
        lines += _table(
            ("column", "kind", "used", "missing", "values", "what it holds"),
            [
                (
                    escaped(column["name"]),
                    column["kind"],
                    "yes" if column["used"] else "no",
                    percent(column["missing"]),
                    count(column["n_values"]),
                    " ".join(escaped(text) for text in (column["summary"], column["why"]) if text),
                )
                for column in contents["columns"]
            ],
        )
    return lines


def _made(contents: Contents) -> list[str]:
    made = contents["made"]
    stages = ", ".join(f"{escaped(stage)} {seconds(time)}" for stage, time in made["stages"])
    return [
        "## What not to conclude",
        "",
        *(_bullets(contents["cautions"]) or ["No more than is said here: nothing has confirmed the groups."]),
        "",
        "## How it was made",
        "",
        f"- firstsight {escaped(made['version'])}, {escaped(made['date'])}, seed {made['seed']}, "
        f"{seconds(made['seconds'])}{f' ({stages})' if stages else ''}",
        *(f"- {escaped(name)}: {escaped(value)}" for name, value in made["settings"]),
        f"- {escaped(made['command'])}",
    ]


def _counted(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def _bullets(sentences: Iterable[str]) -> list[str]:
    return [f"- {escaped(sentence)}" for sentence in sentences]


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table, and the blank line that ends it; texts are escaped already."""
    lines = [names, ["---"] * len(names), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]

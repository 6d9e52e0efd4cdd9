"""Contents of pages: a plausible one, smallest ones, and hostile ones."""

import math
import random
from typing import Any

HOSTILE = (
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "\"><svg onload='window.hacked=1'>",
    "{{7*7}}{% raw %}${7*7}",
    "[click](javascript:window.hacked=1) javascript:window.hacked=1",
    "</style></title></details></table><!-- <![CDATA[ -->",
    "x" * 10_000,
    "\u202egpj.exe\u202c",
    "👩‍👩‍👧‍👦 naïve ﷽ Z̷̰͑ä̴́l̶̇g̸̈́o̷̓ 漢字",
    "null\x00byte \x1b[31m \u2028 \u2029",
    "lone \ud83d surrogate \udc00",
    "a\nb\r\n| c | `d` **e** \\ # f",
)
NAMES = ["species", "island", "bill length mm", "bill depth mm", "flipper mm", "body mass g", "sex", "sampled on"]
CENTRES = ((-30.0, 12.0), (25.0, 22.0), (18.0, -26.0), (-22.0, -24.0))
SIZES = (142, 98, 61, 26)
N_ANOMALIES = 17


def example(*, seed: int = 0) -> dict[str, Any]:
    """344 birds in four groups, seventeen of them odd."""
    draw = random.Random(seed)
    group = [label for label, size in enumerate(SIZES) for _ in range(size)]
    group += [-1] * (344 - len(group))
    draw.shuffle(group)
    rows = list(range(344))
    x, y = [], []
    for label in group:
        centre, spread = (CENTRES[label], 6.0) if label >= 0 else ((0.0, 0.0), 24.0)
        x.append(draw.gauss(centre[0], spread))
        y.append(draw.gauss(centre[1], spread * 0.8))
    odd = sorted(draw.sample([row for row in rows if group[row] >= 0], N_ANOMALIES))
    anomaly = [
        0.99995 * math.exp(-0.03 * odd.index(row)) if row in odd else round(draw.betavariate(1, 30), 4) for row in rows
    ]
    cells = {str(row): _cells(draw, group[row]) for row in rows}
    ranked = sorted(odd, key=lambda row: -anomaly[row])
    return {
        "family": {
            "words": "The table is of the family of 12 past ones: 31% of these look as unlike it or more. "
            "2 columns are unusual.",
            "familiarity": 0.31,
            "n_tables": 12,
            "unusual": [
                {"column": "body mass g", "words": "mean 5120, in nine of ten past tables 3800 to 4400", "score": 6.2},
                {
                    "column": "sex",
                    "words": "missing in 41% of the rows, in nine of ten 0% to 3%",
                    "score": 4.1,
                },
            ],
        },
        "headline": ["4 groups, clear", "17 rows look wrong", "1 column is a copy, 2 have missing values"],
        "table": {"name": "penguins.csv", "n_rows": 344, "n_columns": 11, "n_used": 8, "n_looked_at": 344},
        "groups": {
            "n_groups": 4,
            "how_clear": "clear",
            "words": "The rows fall into 4 groups, and that is clear: of tables like this one, 9 in 10 have groups "
            "this far apart. 17 rows belong to none of them.",
            "structure_probability": 0.987,
            "quality": 0.86,
            "quality_low": 0.71,
            "quality_high": 0.95,
            "posterior": [(1, 0.013), (2, 0.04), (3, 0.21), (4, 0.66), (5, 0.05)]
            + [(k, 0.02 / k) for k in range(6, 16)],
            "why": [
                "Five algorithms of different kinds found nearly the same 4 groups (agreement 0.91).",
                "Groups stayed when a fifth of the rows was left out (0.94).",
                "3 groups are the runner-up: groups 3 and 4 would then be one.",
            ],
            "proposals": [
                _proposal("Gaussian mixture", "4 components, full", "standardised", 4, 0.91, 0.86),
                _proposal("Ward linkage", "cut at 4", "robust", 4, 0.88, 0.84),
                _proposal("k-means", "k = 3", "standardised", 3, 0.74, 0.69),
                _proposal("HDBSCAN", "at least 12 rows", "standardised", 5, 0.52, 0.55),
            ],
            "groups": [_group(draw, label, group, rows) for label in (0, 1, 2, 3, -1)],
        },
        "anomalies": {
            "n_called": N_ANOMALIES,
            "words": "17 rows look wrong. Most lie between groups; four hold values that no other row comes near.",
            "share": 0.049,
            "share_low": 0.031,
            "share_high": 0.076,
            "rows": [
                {
                    "row": row,
                    "probability": anomaly[row],
                    "group": group[row],
                    "reasons": [
                        "far from its neighbours, and between two groups",
                        f"flipper mm is {cells[str(row)][4] or 'missing'}, its group has 178 to 202",
                    ],
                }
                for row in ranked
            ],
        },
        "map": {
            "method": "t-SNE, perplexity 30, on 8 columns",
            "words": "Who lies next to whom can be trusted for 9 of 10 rows. Distances between groups, and how large "
            "a group looks, mean little.",
            "quality": 0.91,
            "sampled": False,
            "rows": rows,
            "x": x,
            "y": y,
            "group": group,
            "membership": [round(draw.uniform(0.7, 1), 4) for _ in rows],
            "anomaly": anomaly,
            "faithfulness": [round(draw.betavariate(6, 1.2), 4) for _ in rows],
            "shades": _shades(cells),
        },
        "columns": _columns(),
        "notes": [
            {
                "level": "warning",
                "found": "bill depth mm holds -999 in 3 rows, which is no length.",
                "done": "The three were taken as missing.",
                "columns": ["bill depth mm"],
            },
            {
                "level": "caution",
                "found": "11 rows are missing sex, most of them in group 4.",
                "done": "Missing is a level of its own.",
                "columns": ["sex"],
            },
            {
                "level": "information",
                "found": "body mass lb says the same as body mass g.",
                "done": "One of them was used.",
                "columns": ["body mass lb", "body mass g"],
            },
        ],
        "cautions": [
            "Groups are what lies together in these 8 columns. Nothing has confirmed that they mean anything.",
            "An anomaly is a row unlike the others, not an error. Look before you leave any out.",
            "The map bends distances: two groups that touch on it may lie far apart in the table.",
            "What sets groups apart was found on the rows that made them, so it carries no p-value.",
        ],
        "made": {
            "version": "0.4.0",
            "seed": 0,
            "date": "2026-11-21 09:41",
            "seconds": 8.42,
            "stages": [("read", 0.1), ("columns", 0.4), ("groups", 5.1), ("anomalies", 1.6), ("map", 1.2)],
            "settings": [("rows to choose groups on", "all"), ("map", "t-SNE"), ("time budget", "none")],
            "command": "firstsight look penguins.csv --out penguins.html --seed 0",
        },
        "with_rows": True,
        "names": list(NAMES),
        "cells": cells,
    }


def _cells(draw: random.Random, label: int) -> list[str]:
    means = ((39, 18.3, 190, 3700), (48.8, 18.4, 196, 3730), (47.5, 15, 217, 5080), (44, 16, 205, 4300))[label]
    numbers = [f"{draw.gauss(mean, mean / 25):.{digits}f}" for mean, digits in zip(means, (1, 1, 0, 0), strict=True)]
    species = draw.choice([("Adelie",), ("Chinstrap",), ("Gentoo",), ("Adelie", "Gentoo")][label])
    island = draw.choice(("Torgersen", "Biscoe", "Dream"))
    date = f"200{draw.randint(7, 9)}-11-{draw.randint(1, 28):02d}"
    return [species, island, *numbers, draw.choice(("female", "male", "male", "")), date]


def _shades(cells: dict[str, list[str]]) -> list[dict[str, Any]]:
    shades: list[dict[str, Any]] = []
    for place in (2, 3, 4, 5):
        values = [float(texts[place]) for texts in cells.values()]
        ordered = sorted(values)
        shades.append(
            {
                "column": NAMES[place],
                "kind": "number",
                "values": values,
                "levels": [],
                "low": ordered[len(ordered) // 50],
                "high": ordered[-len(ordered) // 50],
            }
        )
    for place in (0, 1, 6):
        levels = sorted({texts[place] for texts in cells.values() if texts[place]})
        codes = [levels.index(texts[place]) if texts[place] else None for texts in cells.values()]
        shades.append(
            {"column": NAMES[place], "kind": "category", "values": codes, "levels": levels, "low": 0.0, "high": 0.0}
        )
    days = [13818.0 + 365 * (int(texts[7][3]) - 7) + int(texts[7][-2:]) for texts in cells.values()]
    shades.append({"column": "sampled on", "kind": "date", "values": days, "levels": [], "low": 13818, "high": 14570})
    return shades


def _proposal(
    algorithm: str, setting: str, scaling: str, n_groups: int, rating: float, quality: float
) -> dict[str, Any]:
    return {
        "algorithm": algorithm,
        "setting": setting,
        "scaling": scaling,
        "n_groups": n_groups,
        "rating": rating,
        "quality": quality,
        "reasons": "agrees with the others, stays when rows are left out",
    }


def _bell(centre: float, width: float, n: int = 12) -> list[float]:
    heights = [math.exp(-0.5 * ((place - centre) / width) ** 2) for place in range(n)]
    return [height / sum(heights) for height in heights]


def _finding(column: str, words: str, effect: float, centre: float) -> dict[str, Any]:
    parts = [f"{170 + 5 * place} to {175 + 5 * place}" for place in range(12)]
    return {
        "column": column,
        "words": words,
        "effect": effect,
        "higher": centre > 5,
        "distribution": {"parts": parts, "here": _bell(centre, 1.3), "elsewhere": _bell(11 - centre, 2.6)},
    }


def _group(draw: random.Random, label: int, group: list[int], rows: list[int]) -> dict[str, Any]:
    members = [row for row in rows if group[row] == label]
    species = {
        "column": "species",
        "words": f"mostly 'Adelie' (93\u202f%, elsewhere {10 + label}\u202f%)",
        "effect": 0.81,
        "higher": None,
        "distribution": {
            "parts": ["Adelie", "Chinstrap", "Gentoo", "other"],
            "here": [0.93, 0.05, 0.02, 0.0],
            "elsewhere": [0.11, 0.33, 0.54, 0.02],
        },
    }
    numbers = [
        _finding("flipper mm", "median 190, elsewhere 211", 0.97, 2.5),
        _finding("body mass g", "median 3 700, elsewhere 4 750", 0.9, 3.5),
        _finding("bill depth mm", "half within 17.6 and 19.1, elsewhere 14.2 and 18.3", 0.84, 8.5) | {"higher": None},
    ]
    return {
        "label": label,
        "name": f"group {label + 1}" if label >= 0 else "no group",
        "n_rows": len(members),
        "share": len(members) / len(rows),
        "summary": "Short flippers and light bodies; nearly all are Adelie."
        if label >= 0
        else "Rows that lie between the groups or far from all of them.",
        "findings": [numbers[0], species, *numbers[1 : 3 - label % 2]] if label >= 0 else [],
        "typical": draw.sample(members, 3) if label >= 0 else members[:2],
    }


def _columns() -> list[dict[str, Any]]:
    kinds = ["category", "category", "number", "number", "number", "number", "category", "date"]
    used = [
        {
            "name": name,
            "kind": kind,
            "used": True,
            "why": "",
            "missing": {"sex": 0.032, "bill depth mm": 0.009}.get(name, 0.0),
            "n_values": 3 if kind == "category" else 94,
            "summary": "3 levels: Adelie, Chinstrap, Gentoo" if kind == "category" else "172 to 231, median 197",
        }
        for name, kind in zip(NAMES, kinds, strict=True)
    ]
    left_out = [
        ("row id", "identifier", "Every row has its own, so it says nothing of likeness.", 344, "PAL0001 to PAL0344"),
        ("body mass lb", "copy", "A copy of body mass g.", 94, "5.9 to 13.9, median 8.9"),
        ("comments", "empty", "No row has a value.", 0, "no values"),
    ]
    return used + [
        {
            "name": name,
            "kind": kind,
            "used": False,
            "why": why,
            "missing": float(kind == "empty"),
            "n_values": n,
            "summary": summary,
        }
        for name, kind, why, n, summary in left_out
    ]


def spoiled(texts: tuple[str, ...] = HOSTILE) -> dict[str, Any]:
    """The example with all its texts replaced, but for the words that the contract fixes."""
    fixed = {"kind", "level", "how_clear"}
    place = iter(range(10**9))

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoil(item, name) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [spoil(item, key) for item in value]
        # Cells of all rows would be megabytes of the longest text.
        return texts[next(place) % len(texts)] if isinstance(value, str) and key not in fixed else value

    contents = example()
    kept = {*contents["groups"]["groups"][0]["typical"], *(odd["row"] for odd in contents["anomalies"]["rows"][:6])}
    contents["cells"] = {row: cells for row, cells in contents["cells"].items() if int(row) in {*kept, *range(12)}}
    result: dict[str, Any] = spoil(contents)
    return result


def smallest() -> dict[str, Any]:
    """One row: no map, no group, no anomaly, no note, nothing that may be left out."""
    contents = example()
    contents["headline"] = ["No groups"]
    contents["table"] = {"name": "one.csv", "n_rows": 1, "n_columns": 1, "n_used": 0, "n_looked_at": 1}
    contents["groups"] |= {"n_groups": 0, "how_clear": "none", "words": "There is nothing to group.", "posterior": []}
    contents["groups"] |= {"why": [], "proposals": [], "groups": [], "structure_probability": 0.0}
    contents["groups"] |= {"quality": 0.0, "quality_low": 0.0, "quality_high": 0.0}
    contents["anomalies"] |= {"n_called": 0, "words": "No row looks wrong.", "rows": [], "share": 0.0}
    contents["anomalies"] |= {"share_low": 0.0, "share_high": 0.0}
    contents["made"] |= {"stages": [], "settings": []}
    contents |= {"map": None, "family": None, "columns": [], "notes": [], "cautions": [], "cells": {}, "names": []}
    return contents


def without_rows() -> dict[str, Any]:
    """The example as it is shared where no cell may be."""
    contents = example()
    contents |= {"with_rows": False, "cells": {}}
    contents["map"]["shades"] = []
    for group in contents["groups"]["groups"]:
        for finding in group["findings"]:
            finding["distribution"]["parts"] = [""] * len(finding["distribution"]["parts"])
    return contents


def many_groups(n: int = 50) -> dict[str, Any]:
    """Fifty groups on one map."""
    contents = example()
    model = contents["groups"]["groups"][0]
    contents["groups"]["groups"] = [model | {"label": label, "name": f"group {label + 1}"} for label in range(n)]
    contents["groups"]["n_groups"] = n
    contents["map"]["group"] = [row % n for row in contents["map"]["rows"]]
    return contents


def large(n_rows: int = 5000, n_columns: int = 12, n_shades: int = 10) -> dict[str, Any]:
    """As much as a page may have to hold."""
    draw = random.Random(0)
    contents = example()
    rows = list(range(n_rows))
    contents["table"] |= {"n_rows": 10 * n_rows, "n_columns": n_columns, "n_looked_at": 2000}
    contents["names"] = [f"column {place}" for place in range(n_columns)]
    contents["cells"] = {str(row): [f"{draw.gauss(0, 1):.12g}" for _ in contents["names"]] for row in rows}
    label = [draw.randrange(4) for _ in rows]
    number = {"kind": "number", "levels": [], "low": -2.0, "high": 2.0}
    contents["map"] |= {
        "sampled": True,
        "rows": rows,
        "x": [draw.gauss(CENTRES[group][0], 7) for group in label],
        "y": [draw.gauss(CENTRES[group][1], 7) for group in label],
        "group": label,
        "membership": [draw.random() for _ in rows],
        "anomaly": [draw.betavariate(1, 30) for _ in rows],
        "faithfulness": [draw.random() for _ in rows],
        "shades": [
            number | {"column": f"column {place}", "values": [draw.gauss(0, 1) for _ in rows]}
            for place in range(n_shades)
        ],
    }
    return contents

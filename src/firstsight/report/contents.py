"""What a page says of one table: a plain dict of texts, numbers and lists, as JSON has them.

:mod:`firstsight.look` makes it, and pages and Markdown are made of it alone. Rows are told by their place in the
file, counted from 0; whoever shows them may count from 1. Texts are what the file holds, and never markup.
"""

from typing import Literal, TypedDict

__all__ = [
    "Anomalies", "Anomaly", "Beside", "Column", "Contents", "Distribution", "Finding", "Group", "Groups", "Made", "Map",
    "Named", "Note", "Proposal", "Shade", "Table", "Unusual",
]  # fmt: skip


class Named(TypedDict):
    """A column's name with the text of one cell."""

    name: str
    text: str


class Table(TypedDict):
    """The table that was looked at."""

    name: str  # of the file, without its folder
    n_rows: int
    n_columns: int
    n_used: int  # columns that the answer rests on
    n_looked_at: int  # rows that groups were chosen on; all rows have an answer


class Distribution(TypedDict):
    """How the values of a column are spread, in one group and in the other rows.

    Parts of a column of numbers or dates are equal steps, the first and last holding what lies beyond; those of
    a category are its most frequent levels, and the rest.
    """

    parts: list[str]
    here: list[float]  # share of the group's rows in each part
    elsewhere: list[float]  # share of the other rows


class Finding(TypedDict):
    """One column that sets a group apart."""

    column: str
    words: str  # "median 5.1, elsewhere 1.4"; "mostly 'red' (81 %, elsewhere 12 %)"
    effect: float  # total variation: share of the rows that this column alone tells apart; 1 apart entirely
    higher: bool | None  # whether values are higher here; None for categories and for values in between
    distribution: Distribution


class Group(TypedDict):
    """One group of rows."""

    label: int  # as in the table of rows; -1 holds the rows of no group
    name: str  # "group 1", "no group"
    n_rows: int
    share: float
    summary: str  # one sentence of what sets it apart
    findings: list[Finding]  # at most five, strongest first
    typical: list[int]  # rows of `cells`


class Proposal(TypedDict):
    """A partition that was weighed."""

    algorithm: str
    setting: str
    scaling: str
    n_groups: int
    rating: float
    quality: float  # expected adjusted Rand index
    reasons: str


class Groups(TypedDict):
    """The groups that were found, and how sure that is."""

    n_groups: int
    how_clear: Literal["clear", "likely", "doubtful", "none"]
    words: str  # one or two sentences of the answer and how sure it is
    structure_probability: float
    quality: float
    quality_low: float
    quality_high: float
    posterior: list[tuple[int, float]]  # numbers of groups with their probability, by number
    why: list[str]  # sentences
    proposals: list[Proposal]  # the best few that differ
    groups: list[Group]


class Anomaly(TypedDict):
    """A row that looks wrong."""

    row: int  # of `cells`
    probability: float
    group: int
    reasons: list[str]  # the sides from which it is odd, then columns with their values


class Anomalies(TypedDict):
    """The rows that look wrong."""

    n_called: int
    words: str  # one or two sentences
    share: float
    share_low: float
    share_high: float
    rows: list[Anomaly]  # likeliest first, at most some fifty


class Shade(TypedDict):
    """A column as a colour of the map's points."""

    column: str
    kind: Literal["number", "category", "date"]
    values: list[float | None]  # of each point; of categories the place in `levels`
    levels: list[str]  # of categories
    low: float  # of numbers (dates in days since 1970-01-01): 2nd and 98th percentile, between which colours run
    high: float


class Map(TypedDict):
    """A picture of the rows as points; lists have one entry a point."""

    method: str  # "t-SNE, perplexity 30"
    words: str  # what is faithful in it and what is not
    quality: float  # 0 to 1
    sampled: bool  # points are some of the rows
    rows: list[int]  # of `cells`
    x: list[float]
    y: list[float]
    group: list[int]
    membership: list[float]  # 0 to 1
    anomaly: list[float]  # probability
    faithfulness: list[float]  # 0 to 1: how far a point's neighbours are its neighbours in the data
    shades: list[Shade]


class Column(TypedDict):
    """What a column is, and what became of it."""

    name: str
    kind: Literal["number", "category", "date", "text", "identifier", "constant", "copy", "empty"]
    used: bool
    why: str  # one sentence, "" where nothing is to be said
    missing: float  # share of the rows
    n_values: int  # different ones
    summary: str  # "1.2 to 7.9, median 4.3"; "3 levels: red, green, blue"


class Note(TypedDict):
    """Something about the table's quality: what was found, and what was done about it."""

    level: Literal["information", "caution", "warning"]
    found: str
    done: str
    columns: list[str]


class Unusual(TypedDict):
    """A column that is otherwise than in past tables."""

    column: str
    words: str  # "mean 31, in nine of ten past tables 12 to 19"
    score: float  # deviations from what is usual


class Beside(TypedDict):
    """The table beside the past tables of its family."""

    words: str  # how familiar it is
    familiarity: float  # share of the family's own tables that look as unlike it
    n_tables: int
    unusual: list[Unusual]  # most unusual first


class Made(TypedDict):
    """How the page was made."""

    version: str
    seed: int
    date: str  # 2024-01-31 13:45
    seconds: float
    stages: list[tuple[str, float]]  # with their seconds
    settings: list[tuple[str, str]]
    command: str


class Contents(TypedDict):
    """All that a page says."""

    headline: list[str]  # three or four short parts: "4 groups, clear"; "17 rows look wrong"; "2 columns are copies"
    table: Table
    groups: Groups
    anomalies: Anomalies
    map: Map | None  # None when no column varies
    family: Beside | None  # None where no prior was given
    columns: list[Column]
    notes: list[Note]
    cautions: list[str]  # what not to conclude
    made: Made
    with_rows: bool  # whether cells of the table may be shown; without, `cells` is empty and texts name no value
    names: list[str]  # of the columns in `cells`
    cells: dict[str, list[str]]  # texts of the rows that are shown, by their number as text

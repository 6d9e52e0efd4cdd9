"""The answer in plain words: headline, how sure it is, and what not to conclude."""

from collections.abc import Sequence
from typing import Literal

from firstsight.columns.survey import Surveyed
from firstsight.report.contents import Anomalies, Groups, Map, Note, Table

__all__ = ["anomaly_words", "cautions_of", "counted", "group_words", "headline_of", "how_clear"]

CLEAR = (0.9, 0.7)  # least probability of structure, and least expected quality
LIKELY = (0.5, 0.4)
OPEN = 0.25  # probability of structure, above which one cloud is not said without doubt
FEW_ROWS = 100

Clear = Literal["clear", "likely", "doubtful", "none"]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 row", "17 rows"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def how_clear(n_groups: int, structure: float, quality: float) -> Clear:
    """How sure one may be of the groups."""
    if n_groups < 2:
        return "none"
    if structure >= CLEAR[0] and quality >= CLEAR[1]:
        return "clear"
    return "likely" if structure >= LIKELY[0] and quality >= LIKELY[1] else "doubtful"


def group_words(n_groups: int, clear: Clear, structure: float, quality: float, n_none: int) -> str:
    """The groups in one or two sentences."""
    if n_groups < 2 and structure > OPEN:
        return (
            f"No groups stand clearly apart; that the rows form one cloud is {1 - structure:.0%} sure. Told how many "
            "there are, the clusterer parts them."
        )
    if n_groups < 2:
        return (
            f"The rows form one cloud: no groups stand apart ({1 - structure:.0%} sure). What differs between rows "
            "differs gradually, or is too weak to be seen in so many rows."
        )
    sure = {
        "clear": "They stand clearly apart",
        "likely": "They are likely there, though their borders are not sharp",
        "doubtful": "This is doubtful, and other ways of grouping are nearly as good",
    }[clear]
    rest = f" {counted(n_none, 'row')} belong{'s' if n_none == 1 else ''} to none of them." if n_none else ""
    return (
        f"The rows fall into {n_groups} groups. {sure}: there is structure with a probability of {structure:.0%}, and "
        f"an agreement with the true groups of {quality:.2f} is expected, where 1 is perfect and 0 is chance.{rest}"
    )


def anomaly_words(n_called: int, n_rows: int, called: float) -> str:
    """The rows that look wrong in one or two sentences."""
    if not n_called:
        return (
            f"No row has a probability of {called:.0%} of being an anomaly, which rows of a table without anomalies "
            "hardly ever reach. The likeliest are listed all the same."
        )
    have = "has" if n_called == 1 else "have"
    return (
        f"{counted(n_called, 'row')} of {n_rows:,} {have} a probability of {called:.0%} or more of being an anomaly, "
        "which rows of a table without anomalies hardly ever reach."
    )


def headline_of(groups: Groups, anomalies: Anomalies, notes: Sequence[Note]) -> list[str]:
    """The page in a few short parts."""
    n_groups, clear = groups["n_groups"], groups["how_clear"]
    one = "no clear groups" if groups["structure_probability"] > OPEN else "no groups: one cloud"
    first = one if n_groups < 2 else f"{counted(n_groups, 'group')}, {clear}"
    n_called = anomalies["n_called"]
    second = (
        f"{counted(n_called, 'row')} {'looks' if n_called == 1 else 'look'} wrong" if n_called else "no row looks wrong"
    )
    worst = [note for note in notes if note["level"] != "information"]
    return [first, second, *(note["found"] for note in worst[:2])]


def cautions_of(table: Table, groups: Groups, drawn: Map | None, surveyed: Sequence[Surveyed]) -> list[str]:
    """What not to conclude."""
    left = [one.name for one in surveyed if not one.used]
    found = []
    if groups["n_groups"] > 1:
        found.append(
            "Groups are made of these columns and these rows. They are no causes, and need not be the classes that you "
            "have in mind."
        )
        if groups["structure_probability"] < CLEAR[0]:
            found.append("There may be no groups at all: see how sure the answer is.")
    found.append(
        "A row that looks wrong is unusual; whether it is an error, a fraud or a treasure, the table does not say. "
        "Probabilities are calibrated over many tables of other kinds, not on yours."
    )
    if drawn is not None:
        found.append(
            "The map shows who is near whom. How far apart groups lie in it, and how large they look, means little."
        )
    if left:
        verb = "is" if len(left) == 1 else "are"
        found.append(f"{counted(len(left), 'column')} took no part: see what each {verb} in the table of columns.")
    if table["n_looked_at"] < table["n_rows"]:
        found.append(
            f"Columns, groups and the map rest on {table['n_looked_at']:,} rows drawn at random; every row got its "
            "group and probability afterwards. Small groups may have been missed."
        )
    if table["n_rows"] < FEW_ROWS:
        found.append("So few rows show strong structure only.")
    return found

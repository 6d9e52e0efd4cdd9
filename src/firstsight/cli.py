"""The command line. No logic: commands are functions of other modules, loaded when they are called."""

import os
import sys
from typing import Any

import cyclopts

from firstsight import __version__

BAD_INPUT = 2
INTERRUPTED = 130

app = cyclopts.App(
    name="firstsight",
    version=__version__,
    version_flags=["--version"],
    help="Unsupervised learning at first sight: learns from many data sets how to learn without labels.",
    suppress_keyboard_interrupt=False,
    help_epilogue="Exit codes: 0 done, 2 bad input, 130 interrupted. FIRSTSIGHT_TRACEBACK=1 shows where errors arise.",
)
app.command(
    "firstsight.demo:run",
    name="demo",
    help="Meta-train a few-shot clusterer on handwritten digits, and cluster digits it has never seen.",
)
for name, function, summary in (
    ("look", "look:look_at", "Say what is in a table: its groups, the rows that look wrong, a map; on one page."),
    ("learn", "learn:learn", "Learn from past tables of one kind, without labels, what a new one is like."),
    ("meta-train", "family:meta_train", "Learn from a family of tables how to learn from a new one."),
    ("adapt", "family:adapt", "Adapt a run to a new table, and write the table with what was found."),
    ("test", "family:score", "Test a run on tables it has never seen, against learning each from scratch."),
    ("list", "lists:list_parts", "List the learners, meta-learners and task distributions, one line each."),
):
    # meta-train shows its own help: its flags depend on the learner and the meta-learner.
    own: dict[str, Any] = {"help_flags": [], "version_flags": []} if name == "meta-train" else {}
    app.command(f"firstsight.commands.{function}", name=name, help=summary, **own)

data = cyclopts.App(name="data", help="The data sets for training, tests and benchmarks.")
data.command("firstsight.commands.lists:list_data", name="list", help="List the data sets, one line each.")
data.command("firstsight.commands.lists:get_data", name="get", help="Fetch a data set, and say where it lies.")
app.command(data)


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 2 bad input (one sentence says what and how to cure it), 130 interrupted.
    With ``FIRSTSIGHT_TRACEBACK`` set, errors show where they come from.
    """
    asked = sys.argv[1:]
    try:
        app(_dashed(asked))
    except KeyboardInterrupt:
        rest = "nothing was written" if asked[:1] == ["look"] else "the same command goes on from the last checkpoint"
        print(f"firstsight: interrupted; {rest}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (TypeError, ValueError, OSError, ArithmeticError, ModuleNotFoundError) as error:
        if os.environ.get("FIRSTSIGHT_TRACEBACK"):
            raise
        print(f"firstsight: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)


def _dashed(asked: list[str]) -> list[str]:
    """The arguments of look with - for the standard input last: elsewhere it would be taken for a flag."""
    if asked[:1] != ["look"] or "-" not in asked or "--" in asked:
        return asked
    return [*(argument for argument in asked if argument != "-"), "--", "-"]

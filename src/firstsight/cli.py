"""The command line. No logic: commands are functions of other modules, loaded when they are called."""

import os
import sys

import cyclopts

from firstsight import __version__

BAD_INPUT = 2
INTERRUPTED = 130

app = cyclopts.App(
    name="firstsight",
    version=__version__,
    version_flags=["--version"],
    help="Unsupervised learning at first sight: learns from many data sets how to learn without labels.",
    help_epilogue="Exit codes: 0 done, 2 bad input, 130 interrupted. FIRSTSIGHT_TRACEBACK=1 shows where errors arise.",
)
app.command(
    "firstsight.demo:run",
    name="demo",
    help="Meta-train a few-shot clusterer on handwritten digits, and cluster digits it has never seen.",
)


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 2 bad input (one sentence says what and how to cure it), 130 interrupted.
    With ``FIRSTSIGHT_TRACEBACK`` set, errors show where they come from.
    """
    try:
        app()
    except KeyboardInterrupt:
        print("firstsight: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (TypeError, ValueError, OSError, ArithmeticError, ModuleNotFoundError) as error:
        if os.environ.get("FIRSTSIGHT_TRACEBACK"):
            raise
        print(f"firstsight: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)

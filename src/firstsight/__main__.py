"""``python -m firstsight`` is the command line."""

from firstsight.cli import main

main()

"""``python -m firstsight`` is the command line."""

from firstsight.cli import main

if __name__ == "__main__":
    main()

"""The commands that say what there is: methods and data sets."""

from collections.abc import Mapping

from firstsight import catalogue
from firstsight.datasets.cache import fetch
from firstsight.datasets.registry import DATASETS, describe

SHOWN = 10  # paths of a data set that are printed


def list_parts() -> None:
    """List the learners, meta-learners and task distributions, one line each."""
    parts: dict[str, Mapping[str, catalogue.Entry]] = {
        "learners": catalogue.LEARNERS,
        "meta-learners": catalogue.META_LEARNERS,
        "task distributions": catalogue.TASKS,
    }
    for title, entries in parts.items():
        print(f"{title}:")
        for name, entry in sorted(entries.items()):
            print(f"  {name:12}  {entry.summary}")


def list_data() -> None:
    """List the data sets, one line each."""
    for name, entry in sorted(DATASETS.items()):
        print(f"{name:14}  {entry.kind:10}  {entry.summary}; licence: {entry.licence}")


def get_data(name: str) -> None:
    """Fetch a data set, check it, and say where it lies.

    Parameters
    ----------
    name : str
        As in ``firstsight data list``.

    """
    entry = describe(name)
    paths = fetch(name)
    for path in paths[:SHOWN]:
        print(path)
    if len(paths) > SHOWN:
        print(f"... and {len(paths) - SHOWN} more beside them")
    size = sum(path.stat().st_size for path in paths)
    print(f"{name}: {len(paths)} files, {size / 2**20:.1f} MiB, all checked; licence: {entry.licence}")
    print(f"cite: {entry.citation}")

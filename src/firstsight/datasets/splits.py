"""Groups of tables that belong together, and splits that cut none.

Tables belong together when their fingerprints are alike, or when their publishers say that they are
of one origin, whether or not their values show it. Names of declared families are
``collection/name``, such as ``adbench/WBC`` and ``keel/balanced/wisconsin``.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from firstsight.datasets.fingerprints import THRESHOLD, Fingerprint, fingerprint, pairs
from firstsight.datasets.tables import keel_family

DECLARED: tuple[tuple[str, ...], ...] = (
    # Breast cancer in Wisconsin: the same hospital, cells measured in three ways.
    ("adbench/WBC", "adbench/breastw", "adbench/WDBC", "adbench/WPBC", "keel/family/wisconsin"),
    # Handwritten digits of the same university, as pictures and as strokes.
    ("adbench/optdigits", "adbench/pendigits", "keel/family/optdigits", "keel/family/penbased"),
    ("adbench/http", "adbench/smtp", "keel/family/kddcup"),
    ("adbench/letter", "ovrbench/letter", "keel/family/letter"),
    ("adbench/shuttle", "keel/family/shuttle"),
    ("adbench/Lymphography", "keel/family/lymphography"),
    ("adbench/annthyroid", "adbench/thyroid"),
    ("adbench/landsat", "adbench/satellite", "adbench/satimage-2"),
    ("adbench/cardio", "adbench/Cardiotocography"),
    ("ovrbench/phoneme", "keel/family/phoneme"),
    ("ovrbench/abalone", "keel/family/abalone"),
)


def families(names: Iterable[str]) -> list[list[str]]:
    """Which of these tables are declared to belong together.

    Parameters
    ----------
    names : iterable of str
        ``collection/name``; those of KEEL that were made from one table are a family.

    Returns
    -------
    list of list of str
        For :func:`groups`; only families of two or more.

    >>> families(["adbench/http", "keel/imbalanced/abalone19", "keel/imbalanced/abalone9-18", "adbench/smtp"])
    [['adbench/http', 'adbench/smtp'], ['keel/imbalanced/abalone19', 'keel/imbalanced/abalone9-18']]

    """
    by_label: dict[str, list[str]] = {}
    for name in names:
        origin = f"keel/family/{keel_family(name)}" if name.startswith("keel/") else name
        label = next((family[0] for family in DECLARED if origin in family), origin)
        by_label.setdefault(label, []).append(name)
    return [members for members in by_label.values() if len(members) > 1]


def groups(
    tables: Mapping[str, Any],
    *,
    families: Iterable[Iterable[str]] = (),
    threshold: float = THRESHOLD,
) -> dict[str, str]:
    """Which tables belong together, directly or through others.

    Parameters
    ----------
    tables : mapping of str to array, DataFrame or Fingerprint
        The tables without their classes.
    families : iterable of iterables of str
        Tables that are declared to belong together; names that are not in ``tables`` are passed over.
    threshold : float
        See :func:`firstsight.datasets.fingerprints.pairs`.

    Returns
    -------
    dict of str to str
        Each name's group, which is called after its first table.

    """
    names = list(tables)
    place = {name: number for number, name in enumerate(names)}
    prints = {name: X if isinstance(X, Fingerprint) else fingerprint(X) for name, X in tables.items()}
    edges = [(place[a], place[b]) for a, b, _ in pairs(prints, threshold=threshold)]
    for family in families:
        members = [place[name] for name in family if name in place]
        edges += list(itertools.pairwise(members))
    sources, targets = zip(*edges, strict=True) if edges else ((), ())
    graph = csr_matrix((np.ones(len(edges)), (sources, targets)), shape=(len(names), len(names)))
    _, labels = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    return {name: first.setdefault(int(label), name) for name, label in zip(names, labels, strict=True)}


def split_groups(
    group_of: Mapping[str, str], *, shares: tuple[float, float, float] = (0.6, 0.2, 0.2), seed: int
) -> tuple[list[str], list[str], list[str]]:
    """Tables for meta-training, meta-validation and meta-test; no group is cut.

    Parameters
    ----------
    group_of : mapping of str to str
        See :func:`groups`.
    shares : (float, float, float)
        Of the tables, adding up to 1; kept as nearly as the groups allow.
    seed : int
        Of the order in which groups are dealt out, >= 0.

    Returns
    -------
    tuple of three lists of str
        Sorted names.

    Raises
    ------
    ValueError
        When the shares are no three numbers >= 0 that add up to 1.

    """
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares={shares} should be three numbers >= 0 that add up to 1, such as (0.6, 0.2, 0.2)")
    members: dict[str, list[str]] = {}
    for name in sorted(group_of):
        members.setdefault(group_of[name], []).append(name)
    order = np.random.default_rng(seed).permutation(len(members))
    dealt = [sorted(members.values())[number] for number in order]
    sides: tuple[list[str], list[str], list[str]] = ([], [], [])
    # The largest groups first, each to the side that lacks most: so no side is flooded at the end.
    for group in sorted(dealt, key=len, reverse=True):
        lacking = [share * len(group_of) - len(side) for share, side in zip(shares, sides, strict=True)]
        sides[int(np.argmax(lacking))].extend(group)
    return sorted(sides[0]), sorted(sides[1]), sorted(sides[2])

"""Which tables hold the same measurements, so that no data set is on two sides of a split.

Collections share tables under other names: rows in another order or left out, columns reordered,
dropped or rescaled, the class taken away. A fingerprint keeps, in time linear in the table (but for
a sort of each column), what survives that:

- of a column with isolated values, hashes of the values after an affine change that puts one of its
  smallest and one of its largest values at 0 and 1 (several pairs are tried, for an extreme may have
  been left out), and of the raw values. A value that comes back under the same pair is a strong sign;
- of a column with few or evenly spaced values, whose values tell nothing, how often each occurs, in
  their order: the same for any monotone change of the values as long as no row is left out;
- of the rows, hashes of their sorted values, raw and counted in steps from the smallest: for tables
  of small whole numbers with rows left out.

Binary and constant columns are no evidence. Two tables are alike by the share of evidence columns of
the narrower one that have a partner of their own in the other, or of the rows of the smaller one that
are in the other, whichever is larger. Shapes of distributions are not used: unrelated columns
are too often alike in shape (see the figures in ``benchmarks/LOG.md``).
"""

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

THRESHOLD = 0.5
"""Tables at least this much alike belong together."""

ANCHORS = 5  # smallest and largest values tried as 0 and 1
SKETCH = 64  # hashes kept of one column under one pair, the smallest ones: the same values are kept everywhere
GRID = 2.0**20  # a rescaled value is known to one part in a million
ISOLATED = 3.5  # steps of empty room on both sides of a value that tells something
MIN_VALUES = 24  # isolated values for a column to be told by them
MIN_SHARED = 18  # values or rows that have to come back
CONTAINED = 0.8  # share of the values of a column that have to come back
GLANCE = 0.03  # share of all hashes of the smaller table that have to come back for a closer look
ROWS = 8192  # of a table that are compared for a first look
CROWDED = 0.02  # rows that take up more of the room they have are met by chance
COMMON = 24  # a hash in more places than this is a value that many tables have, and no sign

Hashes = NDArray[np.uint64]


class Fingerprint(NamedTuple):
    """What is kept of a table.

    Parameters
    ----------
    values : list of list of ndarray
        For each evidence column its sketches: sorted hashes, uint64; none for a column told by its counts.
    counts : ndarray of shape (n_evidence_columns,)
        Hash of how often each value occurs; 0 when that tells nothing.
    rows : list of ndarray
        Sorted hashes of rows, raw and in steps; empty arrays when rows tell nothing.

    """

    values: list[list[Hashes]]
    counts: Hashes
    rows: list[Hashes]


def fingerprint(X: ArrayLike | pd.DataFrame) -> Fingerprint:
    """What survives of a table when rows are reordered or left out and columns reordered, dropped or rescaled.

    Parameters
    ----------
    X : array or DataFrame of shape (n_rows, n_columns)
        Numbers, categories or words; missing values are left out. The class should not be in it.

    Returns
    -------
    Fingerprint
        A few kilobytes a column.

    Raises
    ------
    ValueError
        When X has not two axes.

    """
    columns = _numbers(X)
    values: list[list[Hashes]] = []
    counts, raw, steps = [], [], []
    for column in columns:
        present = column[np.isfinite(column)]
        distinct, n_each = np.unique(_rounded(present), return_counts=True)
        if len(distinct) < 3:
            continue
        gaps = np.diff(distinct)
        step = gaps.min()
        raw.append(_bits(column))
        steps.append(np.where(np.isfinite(column), np.round((column - distinct[0]) / step), -1.0))
        sketches = _sketches(distinct, _isolated(distinct, gaps, step))
        profile = _profile(n_each)
        if sketches or profile:
            values.append(sketches)
            counts.append(profile)
    rows = [_row_hashes(np.array(cells)) for cells in (raw, steps)]
    return Fingerprint(values, np.array(counts, dtype=np.uint64), rows)


def similarity(a: Fingerprint, b: Fingerprint) -> float:
    """How far two tables are the same measurements, 0 to 1.

    Parameters
    ----------
    a, b : Fingerprint
        In any order.

    Returns
    -------
    float
        See the head of this file.

    """
    return max(
        _alike_columns(a, b),
        *(_contained(x, y) for x, y in itertools.zip_longest(a.rows, b.rows, fillvalue=_NONE)),
        0.0,
    )


def pairs(prints: Mapping[str, Fingerprint], *, threshold: float = THRESHOLD) -> list[tuple[str, str, float]]:
    """All pairs of tables that are alike.

    Parameters
    ----------
    prints : mapping of str to Fingerprint
        Name to fingerprint.
    threshold : float
        The smallest similarity that counts, above 0, at most 1.

    Returns
    -------
    list of (str, str, float)
        Two names in the order of ``prints``, and their similarity.

    """
    names = list(prints)
    found = []
    for first, second in sorted(_candidates([_all_hashes(prints[name]) for name in names])):
        alike = similarity(prints[names[first]], prints[names[second]])
        if alike >= threshold:
            found.append((names[first], names[second], alike))
    return found


_NONE: Hashes = np.empty(0, dtype=np.uint64)


def _numbers(X: ArrayLike | pd.DataFrame) -> list[NDArray[np.float64]]:
    """Columns as float64; categories are counted by how frequent they are, for their order means nothing."""
    table = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X))
    if not isinstance(X, pd.DataFrame) and np.ndim(X) != 2:
        raise ValueError(f"X should have shape (n_rows, n_columns); found {np.shape(X)}")
    columns = []
    for place in range(table.shape[1]):
        column = table.iloc[:, place]  # by place: names may be there twice
        if pd.api.types.is_numeric_dtype(column):
            columns.append(column.to_numpy(np.float64, na_value=np.nan))
        else:
            ranks = {value: float(rank) for rank, value in enumerate(column.astype(str).value_counts().index)}
            columns.append(column.astype(str).map(ranks).to_numpy(np.float64))
    return columns


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values that differ by rounding alone become equal."""
    size = np.abs(values).max(initial=0.0)
    return values if size == 0 else np.round(values / size, 12) * size


def _isolated(distinct: NDArray[np.float64], gaps: NDArray[np.float64], step: float) -> NDArray[np.bool_]:
    """Values with empty steps on both sides: of 1, 2, 3 ... any two columns have the same."""
    wide: NDArray[np.bool_] = np.concatenate([[True], gaps > ISOLATED * step, [True]])
    return wide[1:] & wide[:-1]


def _mix(keys: NDArray[np.uint64]) -> Hashes:
    """Scramble 64 bits (the finalizer of splitmix64), so that the smallest hashes are a random sample."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _bits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded to seven digits, which is what text files keep."""
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = 10.0 ** (6 - np.floor(np.log10(np.abs(values))))
        rounded = np.round(values * digits) / digits
    return np.where(np.isfinite(rounded), rounded, np.where(np.isfinite(values), 0.0, -1e300))


def _sketch(keys: NDArray[np.float64], salt: int) -> Hashes:
    hashes = np.unique(_mix((keys + 0.0).view(np.uint64) + np.uint64(salt)))
    return hashes[:SKETCH]


def _sketches(distinct: NDArray[np.float64], isolated: NDArray[np.bool_]) -> list[Hashes]:
    if isolated.sum() < MIN_VALUES:
        return []
    found = [_sketch(_bits(distinct[isolated]), 1)]
    for low, high in itertools.product(range(ANCHORS), repeat=2):
        start, end = distinct[low], distinct[-1 - high]
        between = slice(low + 1, len(distinct) - 1 - high)
        inside = distinct[between][isolated[between]]
        # The distance from the middle is the same when the column is turned round.
        # Values closer than the grid, as beside a far outlier, fall on cells that any column fills.
        crowded = np.minimum(np.diff(inside, prepend=start), np.diff(inside, append=end)) * GRID < 8 * (end - start)
        places = np.abs((inside[~crowded] - start) / (end - start) - 0.5)
        found.append(_sketch(np.round(places * GRID), 2) if len(places) >= MIN_VALUES else _NONE)
    return found


def _profile(n_each: NDArray[np.int64]) -> int:
    """A hash of how often each value occurs, or 0 when all occur about as often as chance would have it."""
    if len(n_each) < 3 or n_each.max() < 5 or len(np.unique(n_each)) < 3:
        return 0
    hashes = []
    for order in (n_each, n_each[::-1]):
        places = np.arange(1, len(order) + 1, dtype=np.uint64)
        with np.errstate(over="ignore"):
            hashes.append(int(_mix(order.astype(np.uint64) * np.uint64(1 << 32) + places).sum(dtype=np.uint64)))
    return min(hashes) | 1


def _row_hashes(cells: NDArray[np.float64]) -> Hashes:
    """Sorted hashes of the distinct rows, which do not depend on the order of the columns."""
    if len(cells) < 4:  # the rows of few columns meet by chance
        return _NONE
    keys = _mix((cells + 0.0).view(np.uint64) + np.uint64(3))
    hashes = np.unique(_mix(keys.sum(axis=0, dtype=np.uint64)))
    n_levels = max(len(np.unique(column)) for column in cells)
    room = math.comb(len(cells) + n_levels - 1, len(cells))
    return hashes if MIN_SHARED <= len(hashes) <= CROWDED * room else _NONE


def _contained(a: Hashes, b: Hashes) -> float:
    """Share of the smaller set of hashes that is in the larger one."""
    if min(len(a), len(b)) == 0:
        return 0.0
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / min(len(a), len(b)) if shared >= MIN_SHARED else 0.0


def _sketch_contained(a: Hashes, b: Hashes) -> float:
    """The same, estimated from the smallest hashes of each."""
    limit = min(a[-1] if len(a) == SKETCH else ~np.uint64(0), b[-1] if len(b) == SKETCH else ~np.uint64(0))
    return _contained(a[a <= limit], b[b <= limit])


def _alike_columns(a: Fingerprint, b: Fingerprint) -> float:
    narrow = min(len(a.values), len(b.values))
    if narrow < 2:
        return 0.0
    match = (a.counts[:, None] == b.counts) & (a.counts[:, None] != 0)
    mine, yours = ([(place, s) for place, column in enumerate(t.values) for s in column] for t in (a, b))
    shared = _incidence([s for _, s in mine], [s for _, s in yours])
    for x, y in zip(*(shared >= MIN_SHARED).nonzero(), strict=True):
        (i, first), (j, second) = mine[x], yours[y]
        if not match[i, j]:
            match[i, j] = _sketch_contained(first, second) >= CONTAINED
    partners = maximum_bipartite_matching(csr_matrix(match), perm_type="column")
    n_matched = int((partners >= 0).sum())
    return n_matched / narrow if n_matched >= 2 else 0.0


def _incidence(a: list[Hashes], b: list[Hashes]) -> csr_matrix:
    """How many hashes each set of ``a`` shares with each set of ``b``."""
    everything = np.concatenate([*a, *b, _NONE])
    owners = np.repeat(np.arange(len(a) + len(b)), [len(part) for part in (*a, *b)])
    _, columns, counts = np.unique(everything, return_inverse=True, return_counts=True)
    ones = np.ones(len(owners), dtype=np.int32)
    table = csr_matrix((ones, (owners, columns)), shape=(len(a) + len(b), len(counts)))
    return table[: len(a)] @ table[len(a) :].T


def _all_hashes(print_: Fingerprint) -> tuple[Hashes, Hashes, Hashes]:
    """Of values, of a sample of the rows, and of counts."""
    parts = [sketch for column in print_.values for sketch in column]
    rows = [hashes[:ROWS] for hashes in print_.rows]
    counts = print_.counts[print_.counts != 0]
    return np.unique(np.concatenate([*parts, _NONE])), np.unique(np.concatenate([*rows, _NONE])), np.unique(counts)


def _candidates(hashes: list[tuple[Hashes, Hashes, Hashes]]) -> set[tuple[int, int]]:
    """Pairs of tables that share enough hashes, those left out that are common to many."""
    found: set[tuple[int, int]] = set()
    for kind, enough, share in ((0, MIN_SHARED, GLANCE), (1, MIN_SHARED, GLANCE / 10), (2, 2, 0.0)):
        parts = [part[kind] for part in hashes]
        everything = np.concatenate([*parts, _NONE])
        owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        _, places, counts = np.unique(everything, return_inverse=True, return_counts=True)
        keep = (counts[places] > 1) & (counts[places] <= COMMON)
        ones = np.ones(int(keep.sum()), dtype=np.int32)
        table = csr_matrix((ones, (owners[keep], places[keep])), shape=(len(parts), len(counts)))
        shared = (table @ table.T).tocoo()
        sizes = np.array([len(part) for part in parts])
        smaller = np.minimum(sizes[shared.row], sizes[shared.col])
        chosen = (shared.data >= np.maximum(enough, share * smaller)) & (shared.row < shared.col)
        found.update(zip(shared.row[chosen].tolist(), shared.col[chosen].tolist(), strict=True))
    return found

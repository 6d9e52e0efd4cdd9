"""Rows that lack some numbers, under Gaussians of full size: what is missing is masked, so that all rows go at once.

For a pattern s of 0 and 1 the covariance S is masked to S * s s' + diag(1 - s): its factor whitens what the row has and
leaves what it lacks alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

AT_ONCE = 2_000_000  # numbers of a temporary array


class Filled(NamedTuple):
    """Rows with the expected values of what they lack, component by component.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_components, d)
        What the row has is itself.
    spreads : ndarray of shape (n_patterns, n_components, d, d)
        Covariances of what is missing; 0 where something is not.
    pattern : ndarray of shape (n_rows,)
        Of each row.

    """

    values: Floats
    spreads: Floats
    pattern: Ints


def patterns_of(seen: Bools) -> tuple[Bools, Ints]:
    """The different patterns (n_patterns, d) of what rows have (n_rows, d), and which is each row's."""
    packed = np.packbits(seen, axis=1)
    _, first, place = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return seen[first], place.ravel()


def scores_of(means: Floats, covariances: Floats, numbers: Floats) -> Floats:
    """Log of each Gaussian's density at what rows have, (n_rows, n_components)."""
    found = np.empty((len(numbers), len(means)))
    for some, different, place in _chunks(numbers, len(means)):
        inverses, log_volumes = _whitened(covariances, different)
        apart = _apart(means, numbers[some])
        squared = ((inverses[place] @ apart[..., None])[..., 0] ** 2).sum(2)
        size = different.sum(1)[place, None] * np.log(2 * np.pi)
        found[some] = -0.5 * (squared + size) - log_volumes[place]
    return found


def filled(means: Floats, covariances: Floats, numbers: Floats) -> Iterator[tuple[Ints, Filled]]:
    """Some rows' places, and the rows filled: all of them, by and by."""
    for some, different, place in _chunks(numbers, len(means)):
        inverses = _whitened(covariances, different)[0]
        have, lack = different[:, None, :].astype(float), 1.0 - different[:, None, :]
        across = covariances * lack[..., :, None] * have[..., None, :]
        half = across @ inverses.swapaxes(2, 3)
        gains = half @ inverses
        spreads = covariances * lack[..., :, None] * lack[..., None, :] - half @ half.swapaxes(2, 3)
        apart = _apart(means, numbers[some])
        moved = means + (gains[place] @ apart[..., None])[..., 0]
        rows = numbers[some][:, None, :]
        yield some, Filled(np.where(np.isnan(rows), moved, rows), spreads, place)


def _chunks(numbers: Floats, n_components: int) -> Iterator[tuple[Ints, Bools, Ints]]:
    """Rows of like patterns together: places of some, their patterns, and which is each one's."""
    seen = ~np.isnan(numbers)
    order = np.argsort(patterns_of(seen)[1], kind="stable")
    step = max(1, AT_ONCE // (n_components * numbers.shape[1] ** 2))
    for start in range(0, len(order), step):
        some = order[start : start + step]
        yield some, *patterns_of(seen[some])


def _apart(means: Floats, numbers: Floats) -> Floats:
    rows = numbers[:, None, :]
    return np.where(np.isnan(rows), 0.0, rows - means)


def _whitened(covariances: Floats, seen: Bools) -> tuple[Floats, Floats]:
    """Inverse factors (n_patterns, n_components, d, d) of masked covariances, and logs of the factors' volumes."""
    have = seen[:, None, :].astype(float)
    d = seen.shape[1]
    # What rounding may take from a matrix without full rank.
    rounding = 10 * np.finfo(np.float64).eps * np.trace(covariances, axis1=1, axis2=2)[:, None]
    masked = covariances * have[..., :, None] * have[..., None, :]
    masked = masked + np.eye(d) * np.where(have > 0, rounding, 1.0)[..., None, :]
    factors = np.linalg.cholesky(masked)
    log_volumes: Floats = np.log(np.diagonal(factors, axis1=2, axis2=3)).sum(2)
    return np.asarray(np.linalg.inv(factors), np.float64), log_volumes

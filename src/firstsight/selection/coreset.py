"""A uniform sample of rows that depends on the rows and a seed, not on their order."""

import numpy as np
from numpy.typing import NDArray

from firstsight.selection.geometry import Floats, Ints

__all__ = ["numbers_from_values", "places_of", "some_rows"]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_MORE = np.uint64(0xBF58476D1CE4E5B9)


def some_rows(X: Floats, most: int, seed: int) -> Ints:
    """At most so many rows of X (n_rows, n_features), in an order that is drawn: their places.

    Every row has a number from its values, how many equal ones came before it, and the seed; the smallest numbers
    are taken. So the same table in another order gives the same rows in the same order.
    """
    with np.errstate(over="ignore"):
        number = numbers_from_values(X, seed)
        number = _stirred(number + _before(number) * _MIX)
    if len(X) > most:
        number_at = np.argpartition(number, most)[:most]
        return number_at[np.argsort(number[number_at], kind="stable")]
    return np.argsort(number, kind="stable")


def numbers_from_values(X: Floats, seed: int) -> NDArray[np.uint64]:
    """A number for every row of X (n_rows, n_features): equal rows have the same, others by chance alone."""
    with np.errstate(over="ignore"):
        number = np.full(len(X), np.uint64(seed) * _MORE + _MIX)
        for column in X.T:
            bits = (column + 0.0).astype(np.float64).view(np.uint64)  # + 0.0 makes -0.0 and 0.0 one
            number = _stirred(number ^ bits)
    return number


def places_of(known: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> Ints:
    """Where each wanted number is first among the known ones, -1 where it is not."""
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
    return np.where(known[order][place] == wanted, order[place], -1)


def _stirred(number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    number = (number ^ (number >> np.uint64(30))) * _MORE
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


def _before(number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """How many equal numbers came before each."""
    order = np.argsort(number, kind="stable")
    sorted_ = number[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_[1:] != sorted_[:-1]]))
    place = np.arange(len(number)) - np.repeat(starts, np.diff([*starts, len(number)]))
    found = np.empty(len(number), np.uint64)
    found[order] = place.astype(np.uint64)
    return found

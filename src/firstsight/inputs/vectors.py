"""Rows of numbers to tensors: every column less its mean in the pool, over its deviation there."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from firstsight.inputs.kinds import LeftOut

HUGE = 1e30  # beyond it, squares leave the range of numbers


class Reader(NamedTuple):
    """How rows become tensors.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Of the pool.
    deviation : Tensor of shape (n_features,)
        Of the pool, 1 where a column is constant.

    """

    mean: Tensor
    deviation: Tensor


def learn(items: Any) -> Reader:
    """Means and deviations of the rows that are finite.

    Raises
    ------
    TypeError, ValueError
        When the items are no rows of numbers, or none is finite.

    """
    rows = _rows(items)
    kept = rows[(np.abs(rows) < HUGE).all(1)]
    if not len(kept):
        raise ValueError(f"the pool should hold rows of finite numbers; found none among {len(rows)}")
    mean, deviation = kept.mean(0), kept.std(0)
    # A constant column's deviation is a rounding error of its mean.
    varies = deviation > 1e-7 * np.abs(mean)
    return Reader(_tensor(mean), _tensor(np.where(varies & (deviation > 0), deviation, 1.0)))


def read(reader: Reader, items: Any) -> tuple[Tensor, NDArray[np.int64], list[LeftOut]]:
    """Standardised rows (n_read, n_features), which item each is, and what was left out.

    Raises
    ------
    TypeError, ValueError
        When the items are no rows of as many numbers.

    """
    rows = _rows(items)
    if rows.shape[1] != len(reader.mean):
        raise ValueError(f"rows should have {len(reader.mean)} columns, as the pool had; found {rows.shape[1]}")
    # In single precision, in which a net computes: what is too large for it is infinite.
    X = ((torch.tensor(rows) - reader.mean.double()) / reader.deviation.double()).float()
    finite = torch.isfinite(X).all(1).numpy()
    left_out = [LeftOut(int(p), f"row {p}", "NaN, infinite or huge values") for p in np.flatnonzero(~finite)]
    return X[torch.from_numpy(finite)], np.flatnonzero(finite), left_out


def pack(reader: Reader) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts that JSON can say, from which :func:`unpack` makes the reader again."""
    return reader._asdict(), {}


def unpack(tensors: dict[str, Tensor], facts: dict[str, Any]) -> Reader:
    """The reader that was packed."""
    return Reader(**tensors)


def _rows(items: Any) -> NDArray[np.float64]:
    try:
        rows = np.asarray(items, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"vectors should be rows of as many numbers each; {error}") from None
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError(f"vectors should have shape (n_rows, n_features); found {rows.shape}")
    return rows


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.asarray(values)).float()

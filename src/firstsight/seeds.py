"""From a seed and a place in the run to a random generator.

Every random draw has an address, such as ``(seed, "train", step)``. The generator of an address
depends on nothing else: not on what was drawn before, and not on the global state of torch. So a
resumed run draws what the unbroken run draws, and any task of any step can be drawn again alone.
"""

import hashlib

import torch

from firstsight.checks import check_number


def seed_of(seed: int, *address: str | int) -> int:
    """The seed that belongs to an address, between 0 and 2**63 - 1.

    Raises
    ------
    TypeError, ValueError
        When ``seed`` is no whole number >= 0.

    >>> seed_of(0, "train", 1) == seed_of(0, "train", 1) != seed_of(0, "train", 2)
    True

    """
    check_number("seed", seed, at_least=0, integer=True)
    text = "/".join(map(str, (seed, *address)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator_of(seed: int, *address: str | int) -> torch.Generator:
    """A new CPU generator for an address; see :func:`seed_of`."""
    return torch.Generator().manual_seed(seed_of(seed, *address))


def uniform(generator: torch.Generator, shape: tuple[int, ...], limits: tuple[float, float]) -> torch.Tensor:
    """Numbers of this shape, uniform between the two limits."""
    low, high = limits
    return low + (high - low) * torch.rand(shape, generator=generator)

"""Where noise comes from: uniform integers, exactly uniform, from a source that is passed in.

Everything random in `privacy.dp` is built from one primitive, `integers_below`, so a source has one
method to get right and a simulation can put a seeded source in its place.
"""

from __future__ import annotations

import secrets
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedscore.errors import NoiseError

__all__ = ["LARGEST_BOUND", "RandomSource", "SystemRandomness", "check_request"]

LARGEST_BOUND = 2**62
"""Largest bound of one uniform integer: any number below it is an int64 with room for one addition."""

_SPARE = 16


class RandomSource(Protocol):
    """A source of independent, exactly uniform integers."""

    def integers_below(self, bound: int, size: int) -> npt.NDArray[np.int64]:
        """Draws `size` independent integers, each uniform on [0, bound), without modulo bias.

        Args:
            bound: Number of outcomes, 1 to `LARGEST_BOUND`.
            size: Number of integers, 0 or more.

        Raises:
            NoiseError: The bound or the size is outside its limits.
        """
        ...


def check_request(bound: int, size: int) -> None:
    """Refuses what no source may answer.

    Raises:
        NoiseError: `bound` is not in 1..`LARGEST_BOUND`, or `size` is negative.
    """
    if not 1 <= bound <= LARGEST_BOUND:
        raise NoiseError(
            f"uniform integers below {bound} were asked for; the bound may be 1 to 2**62: "
            "compose larger integers from smaller ones"
        )
    if size < 0:
        raise NoiseError(f"{size} uniform integers were asked for; ask for none or more")


class SystemRandomness:
    """The operating system's generator: the only source in the product.

    Guarantees: every call reads fresh bytes with `secrets.token_bytes` and keeps none of them, so there
    is no state that a forked worker, a copied virtual machine's heap or a restarted node could repeat.
    Bytes beyond those needed are dropped.
    """

    __slots__ = ()

    def integers_below(self, bound: int, size: int) -> npt.NDArray[np.int64]:
        """Draws `size` independent integers, each uniform on [0, bound).

        Words of the fewest bytes that hold the bound are masked to its bits; those at or above the
        bound are rejected (at most every other one), which leaves the rest exactly uniform.

        Args:
            bound: Number of outcomes, 1 to `LARGEST_BOUND`.
            size: Number of integers, 0 or more.

        Raises:
            NoiseError: The bound or the size is outside its limits.
        """
        check_request(bound, size)
        if bound == 1:
            return np.zeros(size, dtype=np.int64)
        mask = (1 << (bound - 1).bit_length()) - 1
        word = np.dtype(np.min_scalar_type(mask))
        drawn = np.empty(size, dtype=np.int64)
        filled = 0
        while filled < size:
            words = (size - filled) * (mask + 1) // bound + _SPARE
            candidates = np.frombuffer(secrets.token_bytes(words * word.itemsize), dtype=word)
            masked = candidates & word.type(mask)
            accepted = masked[masked < word.type(bound)] if bound <= mask else masked
            taken = accepted[: size - filled]
            drawn[filled : filled + taken.size] = taken
            filled += taken.size
        return drawn

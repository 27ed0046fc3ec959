"""Where an audit's noise comes from: the operating system, or a seed, so that results can be had again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from privacy.dp.randomness import RandomSource, SystemRandomness
from simulations.randomness import SeededRandomness

__all__ = ["SeededSource", "Source", "SystemSource"]


class Source(Protocol):
    """Gives every place of an audit (part, run, sum, party) its source of uniform integers."""

    def __call__(self, *place: int) -> RandomSource:
        """The source of one place."""
        ...


@dataclass(frozen=True, slots=True)
class SystemSource:
    """The operating system's generator everywhere, as at a node."""

    def __call__(self, *_place: int) -> RandomSource:
        """See `Source`."""
        return SystemRandomness()


@dataclass(frozen=True, slots=True)
class SeededSource:
    """A stream of its own for every place.

    Attributes:
        seed: Of all.
    """

    seed: int

    def __call__(self, *place: int) -> RandomSource:
        """See `Source`."""
        # A seed sequence does not see zeros at its end.
        return SeededRandomness([self.seed, *place, 1])

"""Noise that can be drawn twice: for simulations only."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from privacy.dp.randomness import check_request

__all__ = ["SeededRandomness"]


class SeededRandomness:
    """A seeded source of uniform integers, for simulations and tests only.

    Whoever knows the seed can subtract the noise, so no node may use it: nodes use
    `privacy.dp.randomness.SystemRandomness`. The integers come from NumPy's PCG64, seeded through a
    `SeedSequence`, and are exactly uniform as far as PCG64's words are.

    Attributes:
        seed: What the source was seeded with; equal seeds give equal draws. A sequence such as
            `(seed, round, party)` gives every party and round a stream of its own.
    """

    __slots__ = ("_generator", "seed")

    def __init__(self, seed: int | Sequence[int]) -> None:
        self.seed = seed
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))

    @property
    def position(self) -> str:
        """Where in its stream the source is, for `resume`, also in another process."""
        return json.dumps(self._generator.bit_generator.state)

    def resume(self, position: str) -> None:
        """Go on where a source of the same seed was.

        Args:
            position: The other one's `position`.
        """
        self._generator.bit_generator.state = json.loads(position)

    def integers_below(self, bound: int, size: int) -> npt.NDArray[np.int64]:
        """Draws `size` independent integers, each uniform on [0, bound).

        Args:
            bound: Number of outcomes, 1 to 2**62.
            size: Number of integers, 0 or more.

        Raises:
            NoiseError: The bound or the size is outside its limits.
        """
        check_request(bound, size)
        return self._generator.integers(0, bound, size=size, dtype=np.int64)

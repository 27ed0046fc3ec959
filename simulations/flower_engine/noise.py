"""Noise whose stream goes on in whichever process a node is asked next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simulations.randomness import SeededRandomness

__all__ = ["KeptRandomness"]


class KeptRandomness:
    """A `SeededRandomness` that keeps its place in a file: equal draws, in however many processes.

    One process draws at a time; in a node, its memory's lock sees to that.
    """

    def __init__(self, file: Path, seed: Sequence[int]) -> None:
        """Sets up a source.

        Args:
            file: Holds the place; it is made by the first draw.
            seed: As `SeededRandomness` takes it.
        """
        self._file = file
        self._seed = seed

    def integers_below(self, bound: int, size: int) -> npt.NDArray[np.int64]:
        """See `SeededRandomness.integers_below`."""
        source = SeededRandomness(self._seed)
        if self._file.exists():
            source.resume(self._file.read_text(encoding="utf-8"))
        drawn = source.integers_below(bound, size)
        self._file.write_text(source.position, encoding="utf-8")
        return drawn

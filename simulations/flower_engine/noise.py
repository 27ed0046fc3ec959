"""Noise whose stream goes on in whichever process a node is asked next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simulations.randomness import SeededRandomness

__all__ = ["KeptRandomness"]


class KeptRandomness:
    """A `SeededRandomness` that keeps its place in a file: equal draws, in however many processes."""

    def __init__(self, file: Path, seed: Sequence[int]) -> None:
        """Sets up a source.

        Args:
            file: Holds the place; it is made after the first draws.
            seed: As `SeededRandomness` takes it.
        """
        self._file = file
        self._seed = seed
        self._source: SeededRandomness | None = None

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Goes on where the last block ended, in whichever process that was; one block at a time.

        The file is written once at the end, and not with every draw, of which a sum takes many.
        """
        source = SeededRandomness(self._seed)
        if self._file.exists():
            source.resume(self._file.read_text(encoding="utf-8"))
        before = source.position
        self._source = source
        try:
            yield
        finally:
            self._source = None
            if source.position != before:
                self._keep(source.position)

    def integers_below(self, bound: int, size: int) -> npt.NDArray[np.int64]:
        """See `SeededRandomness.integers_below`; only while it is going on."""
        if self._source is None:
            raise RuntimeError("noise is drawn while no answer is made: this is a defect")
        return self._source.integers_below(bound, size)

    def _keep(self, position: str) -> None:
        self._file.write_text(position, encoding="utf-8")

"""What a node remembers on Flower's engine: a deployment's memory, and its place in the noise."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from clients.memory import FileMemory, NodeState
from simulations.flower_engine.noise import KeptRandomness

__all__ = ["NodeMemory"]


class NodeMemory:
    """A `clients.memory.Memory` that brings the noise to where it was, and keeps where it is then.

    A node locks its memory for as long as it makes an answer, and draws noise for nothing else.
    """

    def __init__(self, inner: FileMemory, randomness: KeptRandomness) -> None:
        """Sets up a memory.

        Args:
            inner: What a node of a deployment remembers.
            randomness: What the same node draws noise from.
        """
        self._inner = inner
        self._randomness = randomness

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """See `Memory.locked`."""
        with self._inner.locked(), self._randomness.going_on():
            yield

    def load(self) -> NodeState:
        """See `Memory.load`."""
        return self._inner.load()

    def store(self, state: NodeState) -> None:
        """See `Memory.store`."""
        self._inner.store(state)

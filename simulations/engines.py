"""What carries the messages of a simulated federation; whatever it is, the same sums are opened."""

from __future__ import annotations

import importlib.util
from enum import StrEnum

from fedscore.errors import MissingExtra

__all__ = ["Engine", "require_engine"]


class Engine(StrEnum):
    """What carries the messages."""

    IN_PROCESS = "in-process"
    """All nodes in one process, asked one after another: the fastest."""

    FLOWER = "flower"
    """Flower's own simulation engine: slower, and a check that nothing rests on being in one process."""


def require_engine(engine: Engine) -> None:
    """Refuses before anything is read.

    Raises:
        MissingExtra: Ray is not installed, which Flower's engine runs on.
    """
    if engine is Engine.FLOWER and importlib.util.find_spec("ray") is None:
        raise MissingExtra(
            "Flower's engine needs Ray: run pip install 'fedscore[simulations]', or simulate with "
            "--engine in-process, which opens the same sums"
        )

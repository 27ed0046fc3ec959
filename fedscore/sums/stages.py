"""Where the time of encrypted sums goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Stage", "Stages"]


class Stage(StrEnum):
    """What cryptography does in a round."""

    ENCRYPT = "encrypt"
    PROVE = "prove"
    VERIFY = "verify"
    OPEN = "open"


@dataclass(slots=True)
class Stages:
    """Adds up time per stage; one object may serve all parties of a simulation, which take turns.

    Attributes:
        seconds: Wall time, per stage.
        processor_seconds: The whole process's time on all cores meanwhile, per stage.
    """

    seconds: dict[Stage, float] = field(default_factory=lambda: dict.fromkeys(Stage, 0.0))
    processor_seconds: dict[Stage, float] = field(default_factory=lambda: dict.fromkeys(Stage, 0.0))

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Counts the block's time, also if it fails."""
        started, processor_started = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - started
            self.processor_seconds[stage] += time.process_time() - processor_started

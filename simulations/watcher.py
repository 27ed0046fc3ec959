"""Who is told how an experiment goes on."""

from __future__ import annotations

from typing import Protocol

from simulations.runner import Task

__all__ = ["Watcher"]


class Watcher(Protocol):
    """Is told how an experiment goes on."""

    def stage(self, text: str) -> None:
        """Something that takes a while has begun."""
        ...

    def started(self, jobs: int, found: int) -> None:
        """So many jobs belong to the experiment, of which so many were found done."""
        ...

    def finished(self, job: Task) -> None:
        """One more of them is done."""
        ...

    def noticed(self, what: str) -> None:
        """Something is not as it should be, and the experiment goes on."""
        ...

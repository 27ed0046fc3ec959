"""Keeps `run.json` up to date while a run goes on."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from server.record import RunRecord, RunStatus, read_record, write_record

__all__ = ["Progress"]

logger = logging.getLogger(__name__)


class Progress:
    """What the operator sees of a run; an observer of the coordinator.

    Attributes:
        record: What was noted so far; nothing is written before the first note.
    """

    def __init__(self, folder: Path, interrupted: RunRecord | None) -> None:
        """Begins, or goes on where an interrupted run was left.

        Args:
            folder: The server's own.
            interrupted: The record of the run to be resumed.
        """
        self.record = interrupted or RunRecord(run="", status=RunStatus.FAILED, contract_hash="")
        self._folder = folder
        _put_aside(folder)

    def note(self, **changes: object) -> None:
        """Changes fields of the record, and writes it."""
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]  # checked by the callers' names
        write_record(self.record, self._folder)

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        """See `server.coordinator.Observer`."""
        logger.info("%s: opened, sum %d of %d", name, number, rounds)
        self.note(rounds_opened=number, rounds=rounds)

    def noticed(self, what: str) -> None:
        """See `server.coordinator.Observer`."""
        logger.warning("%s", what)
        self.note(noticed=(*self.record.noticed, what))


def _put_aside(folder: Path) -> None:
    """What an earlier run trained must not pass for this one's; but it was paid for, and is kept."""
    earlier = read_record(folder)
    for kind in ("card", "model"):
        trained = folder / f"{kind}.json"
        if trained.exists():
            trained.replace(folder / f"{kind}-{earlier.run[:12] if earlier is not None else 'earlier'}.json")

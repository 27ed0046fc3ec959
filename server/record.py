"""What a run leaves in the server's folder: `run.json`, and `card.json` if it came to an end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from fedscore.card import Card
from fedscore.files import write_whole

__all__ = ["RunRecord", "RunStatus", "write_card", "write_record"]


class RunStatus(StrEnum):
    """How far a run has come."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What the operator may know of a run; all of it is public among the organisations.

    Attributes:
        run: 32 hexadecimal digits; empty before the run has begun.
        status: How far it has come.
        contract_hash: The contract that it follows; empty if that could not be read.
        rounds_opened: Sums opened so far; they stay spent whatever becomes of the run.
        reason: Why it failed; empty otherwise.
        values_per_party: Numbers that one party sent, sealed.
        bytes_per_party: Bytes of them.
        rounds_abandoned: Rounds that could not be opened; they stay spent too.
        liars: Committee members whose partial openings were wrong.
        noticed: What did not go as it should while the run went on.
    """

    run: str
    status: RunStatus
    contract_hash: str
    rounds_opened: int = 0
    reason: str = ""
    values_per_party: int = 0
    bytes_per_party: int = 0
    rounds_abandoned: int = 0
    liars: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()


def write_record(record: RunRecord, folder: Path) -> None:
    """Replace `run.json` in one step."""
    write_whole(folder / "run.json", json.dumps(asdict(record), indent=2) + "\n")


def write_card(card: Card, folder: Path) -> None:
    """Replace `card.json` in one step."""
    card.write(folder / "card.json")

"""What a run leaves in the server's folder: `run.json`, and what it trained if it came to an end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from fedscore.card import Card
from fedscore.card.signing import SIGNER_FILE, signed
from fedscore.files import write_whole
from fedscore.learners.program import Product
from privacy.identities import Identity

__all__ = ["RunRecord", "RunStatus", "read_record", "write_record", "write_trained"]


class RunStatus(StrEnum):
    """How far a run has come."""

    RUNNING = "running"
    """A process is at work on it; or was, and died without a word."""

    FINISHED = "finished"
    """There is a card or a model."""

    FAILED = "failed"
    """Nothing was asked for yet, or the run can never go on."""

    INTERRUPTED = "interrupted"
    """Something was asked for, and the run can be resumed."""

    STOPPED = "stopped"
    """The operator ended it for good."""

    @property
    def is_end(self) -> bool:
        """Whether a run with this status never goes on."""
        return self in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What the operator may know of a run; all of it is public among the organisations.

    Attributes:
        run: 32 hexadecimal digits; empty before the run has begun.
        status: How far it has come.
        contract_hash: The contract that it follows; empty if that could not be read.
        rounds_opened: Sums opened so far; they stay spent whatever becomes of the run.
        rounds: Sums that the run has in all; 0 before the first was opened.
        reason: Why it failed or was interrupted; empty otherwise.
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
    rounds: int = 0
    reason: str = ""
    values_per_party: int = 0
    bytes_per_party: int = 0
    rounds_abandoned: int = 0
    liars: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()


def read_record(folder: Path) -> RunRecord | None:
    """Returns what `run.json` says; none if there is no such file, or it cannot be read.

    It is for people to read, and written anew with the next run: what a run stands on is its checkpoint.
    """
    try:
        fields = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return RunRecord(
            **{
                **fields,
                "status": RunStatus(fields["status"]),
                "liars": tuple(fields["liars"]),
                "noticed": tuple(fields["noticed"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write_record(record: RunRecord, folder: Path) -> None:
    """Replace `run.json` in one step."""
    write_whole(folder / "run.json", json.dumps(asdict(record), indent=2) + "\n")


def write_trained(trained: Product, folder: Path, *, signer: Identity) -> None:
    """Replace `card.json`, `model.json` for a neural model, or `monitoring.json`, in one step.

    A card is signed, and whoever signed it is written beside it first: a card without its signer is refused.
    """
    if isinstance(trained, Card):
        write_whole(folder / SIGNER_FILE, signer.public.to_json() + "\n")
        trained = signed(trained, signer)
    write_whole(folder / trained.file_name, trained.to_json())

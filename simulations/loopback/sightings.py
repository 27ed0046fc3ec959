"""Everything that an operator ever wrote about a key's transcript, kept so that nothing of it is lost.

A server keeps the newest state alone. Whoever wants to know whether a round was ever opened twice needs all
of them: each is kept here before the server writes it, so that no kill comes between, and again once it is
written, for nothing may be built on it earlier.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedscore.files import write_whole
from fedscore.messages import Head
from fedscore.messages.transcript import read_head, submission_digests
from server.checkpoint import Checkpoint
from server.chronicle import Standing

__all__ = ["Sighting", "keep_checkpoint", "keep_standing", "read_sightings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one write of the server says.

    Attributes:
        head: The transcript's newest link.
        round: The newest round that was asked.
        stored: Whether the server has written it; else it was about to.
        run: The run at work; empty where the transcript alone was written.
        openings: Bytes of that run's opened sums so far.
        submissions: SHA-256 of the cohort's submissions of `round`, once that is to be opened; else empty.
    """

    head: Head
    round: int
    stored: bool
    run: str = ""
    openings: tuple[bytes, ...] = ()
    submissions: Mapping[str, str] = field(default_factory=dict)


def keep_standing(folder: Path, standing: Standing, *, stored: bool) -> None:
    """Keeps where the transcript stands, or is about to."""
    _keep(folder, {"head": standing.head.to_bytes().decode(), "round": standing.round, "stored": stored})


def keep_checkpoint(folder: Path, checkpoint: Checkpoint, *, stored: bool) -> None:
    """Keeps where a run stands, or is about to."""
    _keep(
        folder,
        {
            "head": checkpoint.standing.head.to_bytes().decode(),
            "round": checkpoint.round,
            "stored": stored,
            "run": checkpoint.run,
            "openings": [
                base64.b64encode(opening.astype("<i8").tobytes()).decode() for opening in checkpoint.openings
            ],
            "submissions": submission_digests(checkpoint.submissions),
        },
    )


def read_sightings(folder: Path) -> list[Sighting]:
    """Reads all that was kept, in its order."""
    found = []
    for file in sorted(folder.glob("*.json")):
        fields = json.loads(file.read_bytes())
        openings = tuple(base64.b64decode(text) for text in fields.pop("openings", ()))
        found.append(Sighting(**{**fields, "head": read_head(fields["head"].encode()), "openings": openings}))
    return found


def _keep(folder: Path, fields: Mapping[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    # One process writes at a time, and the clock of a machine under test goes forward.
    write_whole(folder / f"{time.time_ns():020}.json", json.dumps(fields))

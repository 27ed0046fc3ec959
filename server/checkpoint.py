"""Where a run stands, kept outside Flower, so that it goes on after any process died.

A checkpoint is on disk before anything is done that only makes sense with it: a round's number before
anybody is asked, a cohort before a member may open it, an opening before it is shown. So a resumed run asks
the very same round for the very same thing, which costs time and no privacy: nodes resend byte for byte, and
members help again for the same cohort alone.

It is written before the chronicle, and carries the transcript's standing: the newer of the two holds.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fedscore.errors import NodeConfigError, ProtocolError
from fedscore.files import checked_document, sync_folder, with_checksum, write_whole
from fedscore.messages.transcript import submission_digests
from fedscore.sums.series import KeySeries
from server.chronicle import Standing, standing_document, standing_from

__all__ = ["Checkpoint", "Checkpoints", "FileCheckpoints", "NoCheckpoints", "Stage", "checkpointed_run"]

_FILE = "checkpoint.json"
_DAMAGE = (OSError, ProtocolError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class Stage(StrEnum):
    """What may have been asked for, and is to be asked for again after an interruption."""

    COLLECT = "collect"
    """The round's number is taken: its vectors may have been asked for."""

    OPEN = "open"
    """The cohort is fixed: members may have opened its sum."""

    OPENED = "opened"
    """The round is closed, and the next one has no number yet."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """Where a run stands. Compared by identity, because it holds arrays.

    Attributes:
        run: 32 hexadecimal digits.
        contract_hash: The contract that it follows.
        standing: Where the key's transcript stands.
        round: The run's newest round, counted per key.
        stage: How far that round has come.
        parties: Who still belongs to the run, by name: nobody was missing from a sum that was opened, or may
            have been.
        openings: The sums opened so far, on the lattice.
        submissions: In `Stage.OPEN` the cohort's, by party; else empty.
        values: Numbers in one party's vectors so far.
        sent: Bytes of one party's submissions so far.
        abandoned: Rounds that were given up and asked again as new ones.
        liars: Committee members whose partial openings were wrong, by number.
    """

    run: str
    contract_hash: str
    standing: Standing
    round: int
    stage: Stage
    parties: frozenset[str]
    openings: tuple[npt.NDArray[np.int64], ...] = ()
    submissions: Mapping[str, bytes] = field(default_factory=dict)
    values: int = 0
    sent: int = 0
    abandoned: int = 0
    liars: tuple[int, ...] = ()


class Checkpoints(Protocol):
    """Keeps the newest checkpoint."""

    def store(self, checkpoint: Checkpoint) -> None:
        """Keeps a checkpoint; when this returns, it survives a crash as far as the store can."""
        ...


class NoCheckpoints:
    """Keeps nothing: for simulations, whose runs end with their process."""

    def store(self, checkpoint: Checkpoint) -> None:
        """See `Checkpoints.store`."""


class FileCheckpoints:
    """One small file, replaced whole and synced at each step; a cohort's submissions lie beside it.

    They are large, so they are written once, before the small file that names their hashes.
    """

    def __init__(self, folder: Path, series: KeySeries) -> None:
        """Names the files; they are made when there is something to keep.

        Args:
            folder: The server's own.
            series: The key's.
        """
        self._folder = folder
        self._series = series
        self._file = folder / _FILE

    def load(self) -> Checkpoint | None:
        """Returns the newest checkpoint, or none where no run is open.

        Raises:
            NodeConfigError: It is damaged, or of another key.
        """
        try:
            content = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise _damaged(self._file) from None
        try:
            fields = checked_document(content)
            checkpoint = Checkpoint(
                run=fields["run"],
                contract_hash=fields["contract_hash"],
                standing=standing_from(fields["standing"], self._series),
                round=fields["round"],
                stage=Stage(fields["stage"]),
                parties=frozenset(fields["parties"]),
                openings=tuple(_vector(text) for text in fields["openings"]),
                values=fields["values"],
                sent=fields["sent"],
                abandoned=fields["abandoned"],
                liars=tuple(fields["liars"]),
            )
        except _DAMAGE:
            raise _damaged(self._file) from None
        if checkpoint.stage is not Stage.OPEN:
            return checkpoint
        file = self._beside(checkpoint.round)
        try:
            submissions = {
                party: base64.b64decode(text, validate=True)
                for party, text in checked_document(file.read_text(encoding="utf-8")).items()
            }
            if submission_digests(submissions) != fields["submissions"]:
                raise ValueError
        except _DAMAGE:
            raise _damaged(file) from None
        return replace(checkpoint, submissions=submissions)

    def store(self, checkpoint: Checkpoint) -> None:
        """See `Checkpoints.store`.

        Raises:
            OSError: It cannot be written; the one before, if any, is as it was.
        """
        kept = None
        if checkpoint.submissions:
            kept = self._beside(checkpoint.round)
            sealed = {
                party: base64.b64encode(submission).decode()
                for party, submission in checkpoint.submissions.items()
            }
            write_whole(kept, with_checksum(sealed))
        write_whole(self._file, with_checksum(_document(checkpoint)))
        self._remove_beside(but=kept)

    def clear(self) -> None:
        """Forgets the run: it has ended."""
        self._file.unlink(missing_ok=True)
        sync_folder(self._folder)
        self._remove_beside(but=None)

    def _beside(self, round_number: int) -> Path:
        return self._folder / f"submissions-{round_number}.json"

    def _remove_beside(self, *, but: Path | None) -> None:
        """Removes what no checkpoint names, and drafts of a process that died while it wrote them."""
        for pattern in ("submissions-*.json", ".submissions-*", f".{_FILE}.*"):
            for file in self._folder.glob(pattern):
                if file != but:
                    file.unlink(missing_ok=True)


def checkpointed_run(folder: Path) -> str | None:
    """Returns the id of the run that a folder has a checkpoint of, as far as it can be told without the key.

    None if there is no checkpoint; empty if the checkpoint is damaged.
    """
    try:
        run: str = checked_document((folder / _FILE).read_text(encoding="utf-8"))["run"]
    except FileNotFoundError:
        return None
    except _DAMAGE:
        return ""
    return run


def _document(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "run": checkpoint.run,
        "contract_hash": checkpoint.contract_hash,
        "standing": standing_document(checkpoint.standing),
        "round": checkpoint.round,
        "stage": checkpoint.stage,
        "parties": sorted(checkpoint.parties),
        "openings": [
            base64.b64encode(opening.astype("<i8").tobytes()).decode() for opening in checkpoint.openings
        ],
        "submissions": submission_digests(checkpoint.submissions),
        "values": checkpoint.values,
        "sent": checkpoint.sent,
        "abandoned": checkpoint.abandoned,
        "liars": checkpoint.liars,
    }


def _vector(text: str) -> npt.NDArray[np.int64]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<i8").astype(np.int64)


def _damaged(file: Path) -> NodeConfigError:
    return NodeConfigError(
        f"{file.name} is damaged, or of another key: the interrupted run cannot be resumed; end it with "
        "`fedscore server stop`, what it opened stays spent"
    )

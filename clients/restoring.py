"""Going on with an older copy of the evidence: what it does not know is charged, and never answered again."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from clients.config import NodeConfig
from clients.deployment import accepted_contract, books_of, identity_of
from clients.evidence_file import EvidenceFile
from clients.file_books import EVIDENCE, LEDGER
from clients.memory import FileMemory
from clients.policy import load_policy
from fedscore.errors import NodeConfigError
from fedscore.files import exclusive, sync_folder
from fedscore.learners.agenda import Agenda
from fedscore.messages.transcript import MAXIMUM_LEAD
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.series import KeySeries
from privacy.dp.accounting import covers
from privacy.dp.events import Event
from privacy.evidence import read_evidence

__all__ = ["restore"]


def restore(config: NodeConfig, *, through_round: int, runs: int, backup: Path | None) -> None:
    """Takes an older copy of the evidence for the newest one.

    Args:
        config: The node's.
        through_round: The newest round of its key; none up to it is answered any more.
        runs: How many runs may have begun since the copy was made. Each is charged as much as the dearest one
            that is known here: this contract's, or one of those in the evidence. Where it depends on the rest
            of the history which of them is dearer, as with sampled sums, it is charged as all of these.
        backup: The copy, if there is none in its place.

    Raises:
        EvidenceDamaged: The copy is not what this organisation wrote; nothing was changed.
        NodeConfigError: There is a record in its place already, and another was named; or there is none; or
            the round is absurd. Nothing was changed.
    """
    contract = accepted_contract(config)
    series = KeySeries.of(ceremony_of(contract, config.ceremony))
    key = series.genesis.key_id
    identity, policy = identity_of(config), load_policy(config.policy)
    program = Agenda(contract, run="0" * 32).event
    memory = _memory(config, series)
    config.ledger.mkdir(mode=0o700, parents=True, exist_ok=True)
    with memory.locked() if memory is not None else nullcontext(), exclusive(config.ledger / "lock"):
        lines = _lines(config.ledger / EVIDENCE, backup)
        for _ in read_evidence(lines, signing_key=identity.public.signing_key):
            pass
        # The copy gets its place together with the line that charges what it does not know, or not at all.
        draft = config.ledger / ".restoring"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        EvidenceFile.create(draft / EVIDENCE, signing_key=identity.public.signing_key, lines=lines)
        books = books_of(config.model_copy(update={"ledger": draft}), policy, identity)
        with books.locked():
            _require_near(
                through_round, max(books.last_round(key), memory.load().last_round if memory else 0)
            )
            dearest = _dearest([program, *(run.reserved for run in books.spending().runs)])
            books.assume(key=key, through_round=through_round, events=dearest * runs)
            mark = books.mark()
        (draft / EVIDENCE).replace(config.ledger / EVIDENCE)
        sync_folder(config.ledger)
        # Only now: until here it would have told that lines are missing.
        (config.ledger / LEDGER).unlink(missing_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        if memory is not None:
            # Else the memory would go on to ask for the line that it saw last.
            memory.store(replace(memory.load(), books=mark))


def _lines(place: Path, backup: Path | None) -> bytes:
    if backup is None:
        if not place.exists():
            raise NodeConfigError(f"there is no {place}: name a copy with --backup")
        return place.read_bytes()
    if place.exists():
        raise NodeConfigError(f"{place} exists: move it away first, or leave out --backup to go on with it")
    return backup.read_bytes()


def _require_near(through_round: int, known: int) -> None:
    """A slip of the pen must not close a key for ever: no round up to it is ever answered again."""
    if through_round > known + MAXIMUM_LEAD:
        raise NodeConfigError(
            f"round {through_round} is more than {MAXIMUM_LEAD} after {known}, the newest that is known "
            "here: ask the operator again for what fedscore server status shows"
        )


def _memory(config: NodeConfig, series: KeySeries) -> FileMemory | None:
    try:
        return FileMemory(config.state, series)
    except NodeConfigError:
        # It was lost too, or is damaged: fedscore node begin tells.
        return None


def _dearest(programs: Iterable[Event]) -> tuple[Event, ...]:
    """Those of the programs that no other one covers, whatever else was spent."""
    kept: list[Event] = []
    for program in programs:
        if not any(covers(known, program) for known in kept):
            kept = [*(known for known in kept if not covers(program, known)), program]
    return tuple(kept)

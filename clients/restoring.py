"""Going on with an older copy of the evidence: what it does not know is charged, and never answered again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from clients.config import NodeConfig
from clients.deployment import accepted_contract, books_of, identity_of
from clients.evidence_file import EvidenceFile
from clients.file_books import EVIDENCE, LEDGER
from clients.memory import FileMemory
from clients.policy import load_policy
from fedscore.errors import NodeConfigError
from fedscore.files import exclusive
from fedscore.learners.agenda import Agenda
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.series import KeySeries
from privacy.dp.accounting import guarantee
from privacy.dp.events import Event
from privacy.evidence import read_evidence

__all__ = ["restore"]


def restore(config: NodeConfig, *, through_round: int, runs: int, backup: Path | None) -> None:
    """Takes an older copy of the evidence for the newest one.

    Args:
        config: The node's.
        through_round: The newest round of its key; none up to it is answered any more.
        runs: How many runs may have begun since the copy was made. Each is charged as much as the dearest one
            that is known here: this contract's, or one of those in the evidence.
        backup: The copy, if there is none in its place.

    Raises:
        EvidenceDamaged: The copy is not what this organisation wrote; nothing was changed.
        NodeConfigError: There is a record in its place already, and another was named.
    """
    contract = accepted_contract(config)
    series = KeySeries.of(ceremony_of(contract, config.ceremony))
    identity = identity_of(config)
    signing_key = identity.public.signing_key
    place = config.ledger / EVIDENCE
    config.ledger.mkdir(mode=0o700, parents=True, exist_ok=True)
    with exclusive(config.ledger / "lock"):
        if backup is not None:
            if place.exists():
                raise NodeConfigError(
                    f"{place} exists: move it away first, or leave out --backup to go on with it"
                )
            lines = backup.read_bytes()
            for _ in read_evidence(lines, signing_key=signing_key):
                pass
            EvidenceFile.create(place, signing_key=signing_key, lines=lines)
        (config.ledger / LEDGER).unlink(missing_ok=True)
    memory = _memory(config, series)
    books = books_of(config, load_policy(config.policy), identity)
    with books.locked():
        program = Agenda(contract, run="0" * 32).event
        dearest = max([program, *(run.reserved for run in books.spending().runs)], key=_mu)
        books.assume(key=series.genesis.key_id, through_round=through_round, events=(dearest,) * runs)
        if memory is not None:
            # Else the memory would go on to ask for the line that it saw last.
            memory.store(replace(memory.load(), books=books.mark()))


def _memory(config: NodeConfig, series: KeySeries) -> FileMemory | None:
    try:
        return FileMemory(config.state, series)
    except NodeConfigError:
        # It was lost too, or is damaged: fedscore node begin tells.
        return None


def _mu(event: Event) -> float:
    return guarantee(event, delta=1e-6).mu  # the delta is of no consequence to mu

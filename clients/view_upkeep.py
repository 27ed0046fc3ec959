"""Keeping the ledger in step with the evidence that it is a view of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clients.evidence_file import EvidenceFile
from clients.ledger_view import LedgerView, Tip
from fedscore.errors import EvidenceDamaged, LedgerMismatch
from privacy.evidence import Entry

__all__ = ["read_on", "tip_of", "up_to_date"]


def up_to_date(path: Path, evidence: EvidenceFile) -> LedgerView:
    """Opens the view and reads what it has not read yet; a view that cannot be read is rebuilt.

    Args:
        path: The view's.
        evidence: What it is a view of; a last line that a crash left unfinished is mended.

    Raises:
        EvidenceDamaged: A line is not what its signer wrote there.
        LedgerMismatch: The evidence ends before what the view has read, or is another.
        NodeConfigError: There is no evidence.
    """
    size = evidence.size
    view = LedgerView.open(path)
    tip = view.tip() if view is not None else None
    if view is not None and tip is not None:
        if not evidence.holds(tip.entry, ends=tip.size):
            view.close()
            raise LedgerMismatch(
                "the evidence is not the record that its ledger has read up to line "
                f"{tip.entry.sequence + 1}: an older or another copy was put back; put the newest one back, "
                "or take this one with fedscore node restore, which charges what it does not know"
            )
        if size == tip.size:
            return view
    else:
        if view is not None:
            view.close()
        view = LedgerView.empty(path)
        tip = None
    try:
        # A process that died may have written a line and not synced it: it is believed from here on.
        evidence.sync()
        evidence.mend(offset=tip.size if tip is not None else 0, after=tip.entry if tip is not None else None)
        read_on(view, evidence, tip)
        tip_of(view)
    except EvidenceDamaged:
        view.close()
        raise
    return view


def read_on(view: LedgerView, evidence: EvidenceFile, tip: Tip | None = None) -> None:
    """Lets a view read what comes after its tip."""
    view.apply(_with_sizes(evidence, tip))


def _with_sizes(evidence: EvidenceFile, tip: Tip | None) -> Iterator[tuple[Entry, int]]:
    size = tip.size if tip is not None else 0
    for entry in evidence.read(offset=size, after=tip.entry if tip is not None else None):
        size += entry.length
        yield entry, size


def tip_of(view: LedgerView) -> Tip:
    """How far a view has read.

    Raises:
        EvidenceDamaged: It has read nothing.
    """
    tip = view.tip()
    if tip is None:
        raise EvidenceDamaged("the evidence is empty: put the newest copy back")
    return tip

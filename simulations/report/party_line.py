"""What taking part is worth to one organisation in one run, as the terminal tells it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PartyLine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyLine:
    """What taking part is worth to one organisation, on its own test rows.

    Attributes:
        party: Its name.
        rows: Number of its training rows.
        local_auc: AUC of the card that it trains alone; None if it can train or measure none.
        federated_auc: AUC of the federated card; None if its test rows have only one outcome.
    """

    party: str
    rows: int
    local_auc: float | None
    federated_auc: float | None

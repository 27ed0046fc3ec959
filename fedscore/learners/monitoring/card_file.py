"""The card of a contract that watches one, from its file."""

from __future__ import annotations

from pathlib import Path

from fedscore.card import Card
from fedscore.contract import Contract
from fedscore.errors import CardError
from fedscore.learners.monitoring.program import require_watched

__all__ = ["watched_card"]


def watched_card(contract: Contract, file: Path | None) -> Card | None:
    """Reads the card; whoever signed it, its fingerprint in the contract says that it is the right one.

    Args:
        contract: What is done.
        file: The card's file, if one was named.

    Returns:
        The card; none if the contract watches none.

    Raises:
        CardError: It is missing, malformed or another one; or the contract watches none and one was named.
    """
    if file is not None:
        return require_watched(contract, Card.read(file))
    if contract.monitoring is not None:
        raise CardError(
            f"contract {contract.name} watches the card {contract.monitoring.card[:16]}…, and no file of it "
            'is named: add card = "card.json" to this configuration, before its tables'
        )
    return None

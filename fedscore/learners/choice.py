"""Which program a contract asks for."""

from __future__ import annotations

from fedscore.card import Card
from fedscore.contract import Contract, Learner, Recipe
from fedscore.learners.filtered.program import Filtered
from fedscore.learners.monitoring.program import Monitoring, require_watched
from fedscore.learners.neural.program import Neural
from fedscore.learners.program import Program
from fedscore.learners.scorecard.program import Scorecard

__all__ = ["program_of"]


def program_of(contract: Contract, card: Card | None = None) -> Program:
    """The program that every party of a contract derives.

    Args:
        contract: What is done.
        card: The finished card, if the contract watches one; left out, the program can be priced alone.

    Raises:
        CardError: It is not the card that the contract watches.
    """
    if card is not None:
        card = require_watched(contract, card)
    match contract.learner:
        case Learner.MONITORING:
            return Monitoring(contract, card)
        case Learner.NEURAL:
            return Neural(contract)
        case Learner.SCORECARD:
            return Filtered(contract) if contract.recipe is Recipe.FILTERED else Scorecard(contract)

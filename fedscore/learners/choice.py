"""Which program a contract asks for."""

from __future__ import annotations

from fedscore.contract import Contract, Learner
from fedscore.learners.neural.program import Neural
from fedscore.learners.program import Program
from fedscore.learners.scorecard.program import Scorecard

__all__ = ["program_of"]


def program_of(contract: Contract) -> Program:
    """The program that every party of a contract derives."""
    return Neural(contract) if contract.learner is Learner.NEURAL else Scorecard(contract)

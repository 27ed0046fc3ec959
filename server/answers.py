"""What came back from a node: whether it belongs to what was asked, and how the operator is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard

from fedscore.messages import Ask, Refusal, Reply
from server.transport import Silence

__all__ = ["Answer", "fits", "listed", "said"]

Answer = Reply | Refusal | Silence


def fits(answer: Answer, ask: Ask) -> TypeGuard[Reply]:
    """Whether an answer belongs to what was asked."""
    return isinstance(answer, Reply) and (answer.phase, answer.run, answer.round, answer.request_hash) == (
        ask.phase,
        ask.run,
        ask.round,
        ask.request_hash,
    )


def said(who: str, answer: Answer) -> str:
    """Says what somebody answered, with nothing of what it wrote.

    Args:
        who: A name of the contract's or the record's, or an address.
        answer: What came back.
    """
    match answer:
        case Refusal(code=code):
            return f"{who} refused ({code})"
        case Silence(reason=reason):
            return f"{who} is silent ({reason})"
        case Reply():
            return f"{who} answered something else than was asked"


def listed(problems: Iterable[str]) -> str:
    """One line for each problem, to go behind a message."""
    return "".join(f"\n  - {problem}" for problem in problems)

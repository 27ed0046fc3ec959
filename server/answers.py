"""What came back from a node: whether it belongs to what was asked, and how the operator is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard

from fedscore.messages import SOFTWARE, Ask, Refusal, RefusalCode, Reply
from server.transport import Silence

__all__ = ["Answer", "fits", "listed", "said"]

Answer = Reply | Refusal | Silence

_MEANING = {
    RefusalCode.CONTRACT: "its owner accepted another contract; compare hashes with fedscore contract check",
    RefusalCode.REQUEST: "it derived another request from the contract; both sides need the same fedscore",
    RefusalCode.DATA: "its table does not fit the contract; its owner runs fedscore node check",
    RefusalCode.ROUND: "it answered this round before, or a later one, or the run is over there: another has "
    "followed, or it began more than 30 days ago; end it with fedscore server stop",
    RefusalCode.TRANSCRIPT: "nothing proves this server's transcript to it; bring the committee's nodes back",
    RefusalCode.COHORT: "the submissions are not those of an admissible cohort",
    RefusalCode.SUBMISSION: "a submission is malformed, unsigned or unproven; its own log names the party",
    RefusalCode.BUDGET: "its owner's budget does not cover the run; agree on a cheaper program, or its owner "
    "raises policy.toml",
    RefusalCode.LEDGER: "its record of what it spent is damaged or older than the transcript; its owner "
    "restores it",
    RefusalCode.POLICY: "its owner's policy does not allow the contract; its owner runs fedscore node check",
    RefusalCode.OPERATOR: "its policy names another operator's key than this server's; compare the two",
    RefusalCode.INTERNAL: "something went wrong inside it; its own log says what",
}
"""What the operator is told of a code, and what comes next: written here, and never by a node."""


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
        case Refusal(code=RefusalCode.VERSION, version=theirs):
            return f"{who} refused ({RefusalCode.VERSION}): it runs fedscore {theirs}, this server {SOFTWARE}"
        case Refusal(code=code):
            return f"{who} refused ({code}): {_MEANING[code]}"
        case Silence(reason=reason):
            return f"{who} is silent ({reason})"
        case Reply():
            return f"{who} answered something else than was asked"


def listed(problems: Iterable[str]) -> str:
    """One line for each problem, to go behind a message."""
    return "".join(f"\n  - {problem}" for problem in problems)

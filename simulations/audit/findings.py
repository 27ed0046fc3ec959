"""What an audit says of one question, and of all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Verdict", "verdict_of"]


class Verdict(StrEnum):
    """How a question was answered."""

    PASSED = "passed"
    """Nothing was found, and something would have been."""

    NO_POWER = "no power"
    """Nothing was found, and hardly anything could have been: no reason to be content."""

    MEASURED = "measured"
    """A figure to be read, and no answer: it is counted neither for nor against the promise."""

    FAILED = "failed"
    """The promise is broken, or something very unlikely has happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One question of an audit.

    Attributes:
        name: What was looked at.
        verdict: The answer.
        told: In a sentence, with figures.
        power: What would have been found.
        p_value: Chance of what was seen, or worse, if the promise holds; none where nothing is by chance.
    """

    name: str
    verdict: Verdict
    told: str
    power: str
    p_value: float | None = None


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """The worst of all answers; without any, nothing was found and nothing would have been."""
    verdicts = {finding.verdict for finding in findings}
    for worst in (Verdict.FAILED, Verdict.NO_POWER, Verdict.PASSED):
        if worst in verdicts:
            return worst
    return Verdict.NO_POWER

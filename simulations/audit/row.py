"""What an audit found at one budget, as results hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulations.audit.findings import Finding, Verdict

__all__ = ["AuditRow", "LowerBounds", "Membership"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerBounds:
    """What many trainings with and without a worst record show of epsilon, at the promised delta.

    Attributes:
        trainings: With the record, and as many without.
        confidence: With which each bound holds.
        epsilon: A program with a smaller one would not have let the attack succeed so often; 0 shows nothing.
        most: What it would have been had the attack never erred: the largest that so many trainings can show.
        expected: What it would be, typically, if the program gave away all that it may.
        mu: Lower bound of mu, where the promise is one of Gaussian differential privacy.
        gaussian_epsilon: The same from the two error rates, where the promise is one of Gaussian differential
            privacy: what is left to tell is then one number, mu (Nasr et al. 2023).
        gaussian_most: As `most`.
        gaussian_expected: As `expected`.
        attained: Of the promised mu, the part that the worst record has where the noise is as promised.
        detectable: Noise whose deviation is so many times too small would have been found; infinite if none.
    """

    trainings: int
    confidence: float
    epsilon: float
    most: float
    expected: float
    mu: float
    gaussian_epsilon: float
    gaussian_most: float
    gaussian_expected: float
    attained: float
    detectable: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """How well membership inference tells who was trained on: an average over records, and no bound.

    Intervals are of 95 %: of the area over trainings, of the rate of hits over scores and thresholds.

    Attributes:
        of: "ordinary" or "outliers". records: How many were attacked. shadows: Trainings. auc: Of the attack
        on the private model; 0.5 is chance. auc_low: Of its interval. auc_high: Of its interval.
        auc_deviation: Standard error, from leaving out pairs of trainings. auc_allowed: No attack on one
        record can have more, by the promise. fpr: The rate of false alarms at which hits are counted, which
        is their chance level: .001, or the least
            that so few records can tell.
        tpr: Share of members that were found there.
        tpr_low: Of its interval.
        tpr_high: Of its interval.
        tpr_allowed: No attack on one record can have more, by the promise: exp(epsilon) fpr + delta.
        noiseless_auc: Of the same attack on the contract's program, its noise left out: what would have been
            seen of noise that is missing altogether.
        noiseless_auc_low: Of its interval.
        noiseless_auc_high: Of its interval.
        unprotected_auc: Of the same attack on a learner that is made for no noise: what the attack can see.
        unprotected_auc_low: Of its interval.
        unprotected_auc_high: Of its interval.
        unprotected_tpr: As `tpr`, without noise.
    """

    of: str
    records: int
    shadows: int
    auc: float
    auc_low: float
    auc_high: float
    auc_deviation: float
    auc_allowed: float
    fpr: float
    tpr: float
    tpr_low: float
    tpr_high: float
    tpr_allowed: float
    noiseless_auc: float
    noiseless_auc_low: float
    noiseless_auc_high: float
    unprotected_auc: float
    unprotected_auc_low: float
    unprotected_auc_high: float
    unprotected_tpr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """Measured beside promised, at one budget of one variation of a scenario.

    Attributes:
        variation: The sweep's coordinates.
        epsilon: Promised to a record.
        delta: Promised.
        verdict: The worst of all answers.
        findings: Question by question.
        lower: What is shown of epsilon from below; none where it was not asked for.
        membership: What membership inference reaches, kind by kind of records; empty where not asked for.
        seeded: Whether noise came from a seed, so that the row can be had again, and not from the system.
    """

    variation: Mapping[str, str] = field(default_factory=dict)
    epsilon: float
    delta: float
    verdict: Verdict
    findings: tuple[Finding, ...]
    lower: LowerBounds | None = None
    membership: tuple[Membership, ...] = ()
    seeded: bool = False

    def to_document(self) -> dict[str, Any]:
        """As JSON can hold it; a number that is infinite is null."""
        return {
            "variation": dict(self.variation),
            "epsilon": self.epsilon,
            "delta": self.delta,
            "verdict": self.verdict.value,
            "seeded": self.seeded,
            "lower": None if self.lower is None else _told(self.lower),
            "membership": [_told(one) for one in self.membership],
            "findings": [{**_told(one), "verdict": one.verdict.value} for one in self.findings],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> AuditRow:
        """Reads what `to_document` wrote."""
        lower = document["lower"]
        return cls(
            variation=dict(document["variation"]),
            epsilon=document["epsilon"],
            delta=document["delta"],
            verdict=Verdict(document["verdict"]),
            seeded=document["seeded"],
            lower=None if lower is None else LowerBounds(**_read(lower, LowerBounds)),
            membership=tuple(Membership(**_read(one, Membership)) for one in document["membership"]),
            findings=tuple(
                Finding(**{**one, "verdict": Verdict(one["verdict"])}) for one in document["findings"]
            ),
        )


def _told(one: LowerBounds | Membership | Finding) -> dict[str, Any]:
    fields = {name: getattr(one, name) for name in one.__dataclass_fields__}
    return {name: None if value == float("inf") else value for name, value in fields.items()}


def _read(document: Mapping[str, Any], kind: type[LowerBounds | Membership]) -> dict[str, Any]:
    """Numbers that were infinite are null in a document."""
    numbers = {name for name, of in kind.__annotations__.items() if of == "float"}
    return {
        name: float("inf") if value is None and name in numbers else value for name, value in document.items()
    }

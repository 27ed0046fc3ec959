"""How the sums of a scenario are added, and who opens them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from fedscore.contract import CommitteeTerms, FindingLevel
from fedscore.contract.encryption_rules import committee_problems
from simulations.federation import EncryptionMode

__all__ = ["EncryptionChoice", "require_committee"]

_TWO_OF_THREE = CommitteeTerms(members=3, threshold=2, colluding_members=1)


def require_committee(committee: CommitteeTerms | None, *, absences: bool) -> None:
    """The contract's own rules, so that no scenario asks for what no contract may say.

    Args:
        committee: Who opens sums; none opens plain ones.
        absences: Whether parties may be absent.

    Raises:
        ValueError: No contract may have this committee.
    """
    if committee is None:
        return
    problems = committee_problems((), committee, absences=absences)
    mistakes = [problem.message for problem in problems if problem.level is FindingLevel.ERROR]
    if mistakes:
        raise ValueError("; ".join(mistakes))


class EncryptionChoice(BaseModel):
    """How sums are added.

    Attributes:
        mode: Under Paillier encryption, or plainly: with one seed both open the same integers.
        key_bits: Bits of the Paillier modulus.
        committee: Who opens sums; two of three members where it is left out and sums are encrypted. It is put
            into the contract; plain sums have no use for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: EncryptionMode = EncryptionMode.PAILLIER
    key_bits: int = Field(default=3072, ge=2048, le=8192)
    committee: CommitteeTerms | None = Field(default=None, validate_default=True)

    @field_validator("committee")
    @classmethod
    def _committee_of_encrypted_sums(
        cls, committee: CommitteeTerms | None, told: ValidationInfo
    ) -> CommitteeTerms | None:
        require_committee(committee, absences=False)
        if committee is None and told.data.get("mode") is EncryptionMode.PAILLIER:
            return _TWO_OF_THREE
        return committee

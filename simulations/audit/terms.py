"""What a scenario asks of an audit: its `[audit]` section."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["AuditTerms"]

FEWEST_TRAININGS = 100
FEWEST_SHADOWS = 32


class AuditTerms(BaseModel):
    """How far an audit goes; by default a minute or two for each budget of the Taiwan scenario.

    Attributes:
        level: The chance at which an audit of right code may say "failed"; all its tests share it, and each
            budget has its own.
        runs: How often the program runs for the noise check: more runs see smaller errors.
        trainings: Trainings with the worst record, and as many without it, for the lower bound of epsilon;
            0 leaves it out.
        shadows: Trainings on random halves of a pool of records, for membership inference; 0 leaves it out.
        records: Ordinary records of the pool.
        outliers: Records of the pool that stand far from the others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float = Field(default=0.001, ge=1e-9, le=0.1)
    runs: int = Field(default=5, ge=1, le=1000)
    trainings: int = Field(default=1800, ge=0, le=10**6)
    shadows: int = Field(default=64, ge=0, le=10_000)
    records: int = Field(default=336, ge=100, le=10**6)
    outliers: int = Field(default=64, ge=10, le=10_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if 0 < self.trainings < FEWEST_TRAININGS:
            raise ValueError(
                f"trainings = {self.trainings} is too few to bound epsilon: at least {FEWEST_TRAININGS}, or "
                "0 to leave the bound out"
            )
        if 0 < self.shadows < FEWEST_SHADOWS:
            raise ValueError(
                f"shadows = {self.shadows} is too few for an attack: at least {FEWEST_SHADOWS}, or 0 to "
                "leave membership inference out"
            )
        return self

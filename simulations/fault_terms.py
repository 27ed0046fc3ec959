"""Who is absent, drops out, or cannot be heard: what a scenario says under `[faults]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DropOut", "FaultTerms"]

_Chance = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DropOut(_Section):
    """Parties that are gone from one round on.

    Attributes:
        round: The first round that they do not answer, counted from 1 as they are asked for.
        parties: How many they are.
    """

    round: int = Field(ge=1, strict=True)
    parties: int = Field(ge=1, strict=True)


class FaultTerms(_Section):
    """What goes wrong in the scenario's federated runs; which parties it befalls, the seed decides.

    A deployment's rules hold: whoever is missing from a sum that was opened stays out of the run; as many as
    `privacy.absent` may be, and the run that misses more fails. What the contract's noise pays for is not
    changed by anything here.

    Attributes:
        absent: Parties on the roster that never come.
        drop_outs: Parties that are gone from a round on.
        drop_out_chance: With which chance each party is gone from each round on, beside those.
        lost_reply_chance: With which chance a party's answer to the question for its sum is lost on the way,
            for each party and each round that is asked for: it has answered, and nobody has heard it.
    """

    absent: int = Field(default=0, ge=0, strict=True)
    drop_outs: tuple[DropOut, ...] = ()
    drop_out_chance: _Chance = 0.0
    lost_reply_chance: _Chance = 0.0

    @property
    def happen(self) -> bool:
        """Whether anything can go wrong at all."""
        return bool(self.absent or self.drop_outs or self.drop_out_chance or self.lost_reply_chance)

    def require_fit(self, parties: int) -> None:
        """Refuses faults that befall more parties than there are.

        Raises:
            ValueError: There are fewer parties.
        """
        befallen = self.absent + sum(one.parties for one in self.drop_outs)
        if befallen > parties:
            raise ValueError(
                f"faults.absent and faults.drop_outs befall {befallen} parties, and there are {parties}: "
                "lower them, or have more parties"
            )

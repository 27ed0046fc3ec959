"""Who is there and who holds which rows: what a scenario says under `[parties]`."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from fedscore.contract import Role
from simulations.partition import apportion

__all__ = ["OUTCOME", "OverlapTerms", "PartitionKind", "PartyTerms"]

OUTCOME = "outcome"
"""What `by` says where parties are to differ in their outcomes."""


class PartitionKind(StrEnum):
    """How a file's rows are dealt to parties."""

    IID = "iid"
    DIRICHLET = "dirichlet"
    SIZES = "sizes"
    COLUMN = "column"


def _number_or_share(value: object) -> int | float:
    """A whole number of parties or a share of them: in TOML, 1 and 1.0 are two things."""
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    share = isinstance(value, float) and 0 < value <= 1
    if not (whole or share):
        raise ValueError("a role has a whole number of parties, as 20, or a share of them, as 0.25")
    return value  # type: ignore[return-value]  # an int or a float, as was just seen


_Parties = Annotated[int | float, PlainValidator(_number_or_share)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OverlapTerms(_Section):
    """People whom several organisations hold at once.

    Attributes:
        share: Share of the people, above 0.
        organisations: How many hold each of them. The contract must allow as many organisations per person.
    """

    share: float = Field(gt=0, le=1)
    organisations: int = Field(default=2, ge=2, strict=True)


class PartyTerms(_Section):
    """Who holds which rows.

    Attributes:
        kind: Evenly at random, skewed by outcome or by a characteristic, in unlike sizes, or by the values of
            a column.
        count: Number of parties; with `column`, the values with most rows (the other rows are left out).
        roles: How many parties of each role, or, beside `count`, which share of them; all are platforms where
            it is left out.
        column: The column whose values are parties (`column` only).
        alpha: Concentration of a Dirichlet distribution, of each value's rows (`dirichlet`) or of all
            (`sizes`): the smaller, the more skewed.
        by: What `dirichlet` skews: "outcome", or the name of a characteristic.
        exponent: Of a power law of sizes: the share of the k-th largest party is in proportion to k to the
            power of minus this (`sizes` only, in place of `alpha`).
        overlap: People whom several parties hold; nobody's rows are at two where it is left out.
    """

    kind: PartitionKind = PartitionKind.IID
    count: int | None = Field(default=None, ge=1, le=1000)
    roles: dict[Role, _Parties] | None = None
    column: str | None = None
    alpha: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    by: str | None = Field(default=None, min_length=1)
    exponent: float | None = Field(default=None, gt=0, le=10)
    overlap: OverlapTerms | None = None

    @model_validator(mode="after")
    def _known_by_its_kind(self) -> Self:
        for key, kinds in (
            ("column", (PartitionKind.COLUMN,)),
            ("by", (PartitionKind.DIRICHLET,)),
            ("exponent", (PartitionKind.SIZES,)),
            ("alpha", (PartitionKind.DIRICHLET, PartitionKind.SIZES)),
        ):
            if getattr(self, key) is not None and self.kind not in kinds:
                belongs = " or ".join(f'kind = "{kind}"' for kind in kinds)
                raise ValueError(f'{key} belongs to {belongs}; the kind here is "{self.kind}"')
        if self.kind is PartitionKind.COLUMN and self.column is None:
            raise ValueError('kind = "column" needs column')
        if self.kind is PartitionKind.DIRICHLET and self.alpha is None:
            raise ValueError('kind = "dirichlet" needs alpha')
        if self.kind is PartitionKind.SIZES and (self.alpha is None) is (self.exponent is None):
            raise ValueError(
                'kind = "sizes" needs one of the two: alpha, for sizes from a Dirichlet distribution, or '
                "exponent, for those of a power law"
            )
        return self

    @model_validator(mode="after")
    def _roster_is_one(self) -> Self:
        if self.roles is None:
            if self.count is None:
                raise ValueError("say how many parties there are: count = 20, or roles = { platform = 20 }")
        elif all(isinstance(number, int) for number in self.roles.values()):
            total = sum(self.roles.values())
            if total < 1:
                raise ValueError("roles names no party: at least one is needed")
            if total > 1000:
                raise ValueError(f"roles adds up to {total} parties: 1000 are the most")
            if self.count is not None and total != self.count:
                raise ValueError(
                    f"count = {self.count}, but roles adds up to {total}: leave one of the two out"
                )
        else:
            self._require_shares(self.roles)
        if self.overlap is not None and self.overlap.organisations > len(self.members):
            raise ValueError(
                f"overlap.organisations = {self.overlap.organisations}, and there are {len(self.members)} "
                "parties: nobody can be at more organisations than there are"
            )
        return self

    def _require_shares(self, roles: dict[Role, int | float]) -> None:
        if not all(isinstance(share, float) for share in roles.values()):
            raise ValueError(
                "roles has numbers of parties beside shares of them: write all as 20, or all as 0.25"
            )
        if not math.isclose(sum(roles.values()), 1, abs_tol=1e-9):
            raise ValueError(f"the shares of roles add up to {sum(roles.values()):g}, and not to 1")
        if self.count is None:
            raise ValueError("roles has shares of the parties: say with count how many there are")
        if lonely := [role for role in roles if role not in self.members]:
            raise ValueError(
                f"{self.count} parties are too few for a share of {roles[lonely[0]]:g}: none would be a "
                f"{lonely[0]}; use a larger count, or numbers of parties"
            )

    @property
    def members(self) -> tuple[Role, ...]:
        """The role of each party; platforms come first."""
        if self.roles is None:
            return (Role.PLATFORM,) * (self.count or 1)
        numbers = {role: self.roles.get(role, 0) for role in Role}
        if any(isinstance(number, float) for number in numbers.values()):
            sizes = apportion(list(numbers.values()), self.count or 1).tolist()
            numbers = dict(zip(numbers, sizes, strict=True))
        return tuple(role for role, number in numbers.items() for _ in range(int(number)))

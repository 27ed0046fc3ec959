"""Debts that are handed over for collection: by the consortium's platforms, and by creditors outside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulations.synthetic.people import People
from simulations.synthetic.timeline import FIRST_DAY, MONTH_DAYS, MONTHS

__all__ = ["Cases", "draw_outside_cases"]

_Days = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]

_OUTSIDE_RATE = 0.02
"""Mean number of cases that creditors outside the consortium open per person and month."""

_RISK_WEIGHT = 2.0
_STRESS_WEIGHT = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Debts for collection: an entry per case.

    Attributes:
        person: Position among the people.
        client: Position among the creditors.
        day: Day of opening, counted from the as-of date.
        amount: What is overdue.
        days_overdue: For how long.
    """

    person: _Days
    client: _Days
    day: _Days
    amount: _Floats
    days_overdue: _Days

    def __len__(self) -> int:
        return len(self.person)

    def select(self, where: _Mask) -> Cases:
        """The cases at a mask."""
        return Cases(
            person=self.person[where],
            client=self.client[where],
            day=self.day[where],
            amount=self.amount[where],
            days_overdue=self.days_overdue[where],
        )

    @staticmethod
    def concatenate(parts: list[Cases]) -> Cases:
        """All cases of the parts."""
        return Cases(
            person=np.concatenate([part.person for part in parts]),
            client=np.concatenate([part.client for part in parts]),
            day=np.concatenate([part.day for part in parts]),
            amount=np.concatenate([part.amount for part in parts]),
            days_overdue=np.concatenate([part.days_overdue for part in parts]),
        )


def draw_outside_cases(
    people: People, *, first_client: int, clients: int, generator: np.random.Generator
) -> Cases:
    """Draws debts at creditors outside the consortium, which its agencies collect too.

    A person's expected number in a month is exp(a + risk + stress), weighted; normalised over people and
    months.
    """
    intensity = np.exp(_RISK_WEIGHT * people.risk[:, None] + _STRESS_WEIGHT * people.stress)
    mean = np.exp((_RISK_WEIGHT**2 + _STRESS_WEIGHT**2) / 2)
    number = generator.poisson(_OUTSIDE_RATE * intensity / mean)
    person, month = np.divmod(np.repeat(np.arange(number.size), number.ravel()), MONTHS)
    size = len(person)
    return Cases(
        person=person,
        client=first_client + generator.integers(0, clients, size=size),
        day=FIRST_DAY + month * MONTH_DAYS + generator.integers(0, MONTH_DAYS, size=size),
        amount=np.round(people.income[person] * np.exp(-1.8 + 0.8 * generator.standard_normal(size)), 2),
        days_overdue=generator.integers(31, 91, size=size),
    )

"""The shortest program that has a first, a middle and a last sum; each depends on the ones before."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda
from fedscore.learners.program import Steps
from fedscore.sums import Contributions, DenseContributions, PlannedSum, Query
from tests.cards import plain_card

__all__ = ["three_sums"]

_DIMENSIONS = (3, 6, 4)


class ThreeSums:
    @property
    def plan(self) -> tuple[PlannedSum, ...]:
        return tuple(
            PlannedSum(
                name=name,
                share=Fraction(1, 3),
                sensitivity_squared=Fraction(1),
                largest=Fraction(1),
                integral=False,
                dimension_limit=max(_DIMENSIONS),
            )
            for name in ("first", "middle", "last")
        )

    def steps(self) -> Steps:
        shift = 0.5
        for dimension in _DIMENSIONS:
            released = yield Shifted(dimension, shift)
            shift = float(np.abs(released.values).sum() % 1)
        return plain_card(contract_name="three sums", intercept_points=round(shift, 2))


class Shifted(Query):
    """Every record adds the same small vector, which depends on what was opened before."""

    def __init__(self, dimension: int, shift: float) -> None:
        self.dimension = dimension
        self.shift = shift

    def contributions(self, rows: Rows) -> Contributions:
        return DenseContributions(values=np.full((len(rows), self.dimension), 0.3 * self.shift))


def three_sums(contract: Contract, run: str) -> Agenda:
    return Agenda(contract, run=run, program=ThreeSums())

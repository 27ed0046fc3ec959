"""What a learner asks of every organisation's rows: a sum whose sensitivity is known beforehand.

Two kinds of query feed a private sum. A `Query` says what one record adds; each organisation's total then
gets its share of noise. An `Update` is computed at home, in steps that each carry the organisation's whole
noise, so that what enters the sum is private by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedscore.data import Rows
from fedscore.errors import AccountingError
from fedscore.sums.contributions import Contributions

__all__ = ["PlannedSum", "Query", "Released", "Side", "StepSum", "Update"]


class Side(StrEnum):
    """Whose rows a sum is over. No record is on both sides of the contract's split."""

    TRAINING = "training"
    TEST = "test"

    @property
    def part(self) -> int:
        """Number of the part of the records, for the accounting (`privacy.dp.events.on_part`)."""
        return int(self is Side.TEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSum:
    """A private sum as a program declares it before its first round, so that it can be priced.

    Attributes:
        name: What the sum is for.
        share: The part of its side's μ² that it gets; the shares of each side of a program add to one.
        sensitivity_squared: Largest squared L2 norm of one record's contribution, in units.
        largest: Largest absolute value of one coordinate of it, in units.
        integral: Whether contributions are integers as they are (counts).
        dimension_limit: The sum is at most this long.
        one_in: Each record takes part with chance 1 / one_in, by secret coins of its holder; 1 for all.
        local_steps: Steps of an `Update`, each of the same sensitivity; `largest` then bounds the update. 0
            for a `Query`.
        side: Whose rows it is over.
    """

    name: str
    share: Fraction
    sensitivity_squared: Fraction
    largest: Fraction
    integral: bool
    dimension_limit: int
    one_in: int = 1
    local_steps: int = 0
    side: Side = Side.TRAINING

    def __post_init__(self) -> None:
        if self.one_in < 1 or self.local_steps < 0:
            raise AccountingError(f"{self.name}: one_in starts at 1, local_steps at 0")
        if not 0 < self.share <= 1:
            raise AccountingError(f"{self.name}: its share of the budget must lie in (0, 1]")
        if self.sensitivity_squared <= 0 or self.largest <= 0 or self.dimension_limit < 1:
            raise AccountingError(f"{self.name}: sensitivity, largest value and dimension must be positive")


class Query(ABC):
    """One bounded function of a record, to be summed over records.

    Promise: `contributions` of a record depends on that record alone, and its squared norm is at most
    what the program planned. The promise is not trusted: the lattice total enforces it.

    Attributes:
        dimension: Length of the sum.
    """

    dimension: int

    @abstractmethod
    def contributions(self, rows: Rows) -> Contributions:
        """Returns what each of the rows adds, in units."""


class StepSum(Protocol):
    """Private sums over one organisation's own rows, each with all of its noise: the steps of an `Update`.

    A step draws its rows, adds up what they contribute, in as many parts as memory asks for, and releases the
    sum with its noise.
    """

    @property
    def sampling_probability(self) -> Fraction:
        """The chance with which a row takes part in a step."""
        ...

    @property
    def noise_multiplier(self) -> float:
        """Deviation of a step's noise in units of its sensitivity, as an accountant may count on it."""
        ...

    def sample(self) -> Rows:
        """Begins a step: draws the rows that take part, each by its own secret coin.

        Raises:
            AccountingError: The step is not paid for.
        """
        ...

    def add(self, contributions: Contributions) -> None:
        """Adds what some of those rows contribute.

        Raises:
            AccountingError: These are contributions of more rows than were drawn.
        """
        ...

    def release(self) -> Released:
        """Ends the step: the sum with its noise.

        Raises:
            AccountingError: The step was not begun.
        """
        ...


class Update(ABC):
    """What an organisation computes from noisy sums over its own rows alone.

    Promise: rows are read through `StepSum` only, at most as often as planned.

    Attributes:
        dimension: Length of the update.
    """

    dimension: int

    @abstractmethod
    def compute(self, steps: int, noisy: StepSum) -> npt.NDArray[np.float64]:
        """Returns [dimension], in units; what lies beyond the planned bound is cut to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """An opened sum, back in its units.

    Attributes:
        values: [dimension], the noisy sum.
        deviation: Standard deviation of the noise in each value; 0 without noise.
    """

    values: npt.NDArray[np.float64]
    deviation: float

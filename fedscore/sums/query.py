"""What a learner asks of every organisation's rows: a sum whose sensitivity is known beforehand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fedscore.data import Rows
from fedscore.errors import AccountingError
from fedscore.sums.contributions import Contributions

__all__ = ["PlannedSum", "Query", "Released"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSum:
    """A private sum as a program declares it before its first round, so that it can be priced.

    Attributes:
        name: What the sum is for.
        share: The part of the program's μ² that it gets; the shares of a program add to one.
        sensitivity_squared: Largest squared L2 norm of one record's contribution, in units.
        largest: Largest absolute value of one coordinate of it, in units.
        integral: Whether contributions are integers as they are (counts).
        dimension_limit: The sum is at most this long.
    """

    name: str
    share: Fraction
    sensitivity_squared: Fraction
    largest: Fraction
    integral: bool
    dimension_limit: int

    def __post_init__(self) -> None:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """An opened sum, back in its units.

    Attributes:
        values: [dimension], the noisy sum.
        deviation: Standard deviation of the noise in each value; 0 without noise.
    """

    values: npt.NDArray[np.float64]
    deviation: float

"""What a record adds to the sum that watches outcomes after a card went into use.

Formal guarantee, for a record with outcome y, the card's probability p, and x its log-odds brought to [-1,
1]:

    (y - p,  p/2,  (y - p)x/2,  1/4)

    y = 1:    5/4 (1 - p)² + p²/4 + 1/16   ≤ 21/16
    y = 0:    5/4 p² + p²/4 + 1/16         ≤ 25/16

so the squared norm is at most 25/16 and no coordinate exceeds 1. The bad rate's alarm lives on the first
answer alone; the others are weighed down, because their noise hardly enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fedscore.errors import DataError
from fedscore.estimates.bands import Total
from fedscore.estimates.strategy import SumBound, released_numbers

__all__ = ["OUTCOMES", "Leverage", "OutcomeSums", "outcome_vectors"]

_Floats = npt.NDArray[np.float64]

OUTCOMES = SumBound(sensitivity_squared=Fraction(25, 16), largest=Fraction(1), dimension_limit=4)
"""What the sum costs."""

_WEIGHTS = np.array([1.0, 0.5, 0.5, 0.25])


@dataclass(frozen=True, slots=True, kw_only=True)
class Leverage:
    """Brings a probability's log-odds to [-1, 1], cut there.

    Attributes:
        centre: Log-odds in the middle of the scores in use.
        spread: So far from it ±1 lies; positive.

    Raises:
        DataError: They are no finite numbers, or the spread is not positive.
    """

    centre: float
    spread: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.centre) and 0.0 < self.spread < np.inf):
            raise DataError("the leverage needs a finite centre and a positive spread")

    def of(self, probability: npt.ArrayLike) -> _Floats:
        """[...] in [-1, 1]."""
        safe = np.clip(np.asarray(probability, dtype=np.float64), 1e-12, 1.0 - 1e-12)
        return np.clip((np.log(safe / (1.0 - safe)) - self.centre) / self.spread, -1.0, 1.0)


def outcome_vectors(outcome: npt.ArrayLike, probability: npt.ArrayLike, leverage: Leverage) -> _Floats:
    """[records, 4], what each record adds.

    Args:
        outcome: [records] in {0, 1}; 1 is bad.
        probability: [records], of the bad outcome under the card.
        leverage: Public.
    """
    labels, predicted = np.asarray(outcome, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    surplus = labels - predicted
    columns = (surplus, predicted, surplus * leverage.of(predicted), np.ones_like(surplus))
    return np.asarray(np.column_stack(columns) * _WEIGHTS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomeSums:
    """The sum as it was released.

    Attributes:
        values: [4].
        deviation: Standard deviation of the independent noise in each.

    Raises:
        DataError: It is another sum, or not finite.
    """

    values: _Floats
    deviation: float

    def __post_init__(self) -> None:
        if self.values.shape != (len(_WEIGHTS),) or not released_numbers(self.values, self.deviation):
            raise DataError(
                "the sum over outcomes has four finite values and a deviation: pass it as released"
            )

    def _total(self, answer: int) -> Total:
        weight = float(_WEIGHTS[answer])
        return Total(value=float(self.values[answer]) / weight, deviation=self.deviation / weight)

    @property
    def surplus(self) -> Total:
        """Bad rows beyond those that were expected."""
        return self._total(0)

    @property
    def expected(self) -> Total:
        """Bad rows that the card expected."""
        return self._total(1)

    @property
    def leaning(self) -> Total:
        """The surplus, weighed by leverage: positive if risky rows do worse than safe ones."""
        return self._total(2)

    @property
    def rows(self) -> Total:
        """All rows."""
        return self._total(3)

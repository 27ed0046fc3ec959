"""From the bound of what a record adds to the private sum that a program declares."""

from __future__ import annotations

from fractions import Fraction

from fedscore.estimates.strategy import SumBound
from fedscore.sums import PlannedSum, Side

__all__ = ["planned_sum"]


def planned_sum(name: str, share: Fraction, bound: SumBound, *, side: Side = Side.TRAINING) -> PlannedSum:
    """Plans a sum of real values.

    Args:
        name: What it is for.
        share: Its part of its side's μ².
        bound: What one record adds at most, and how long the sum is.
        side: Whose rows it is over.
    """
    return PlannedSum(
        name=name,
        share=share,
        sensitivity_squared=bound.sensitivity_squared,
        largest=bound.largest,
        integral=False,
        dimension_limit=bound.dimension_limit,
        side=side,
    )

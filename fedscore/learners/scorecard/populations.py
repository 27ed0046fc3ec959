"""Who is counted by which tables: everybody, or one role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.contract import ALL_ROLES, Role
from fedscore.learners.scorecard.axes import Axes

__all__ = ["Measured", "Totals", "totals"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with the standard deviation of its noise."""

    value: float
    deviation: float

    def __add__(self, other: Measured) -> Measured:
        return Measured(self.value + other.value, float(np.hypot(self.deviation, other.deviation)))

    def __sub__(self, other: Measured) -> Measured:
        return Measured(self.value - other.value, float(np.hypot(self.deviation, other.deviation)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over populations of records.

    Attributes:
        everyone: Over all records.
        roles: Over the records of each role that has a carrier cell in some table.
    """

    everyone: Measured
    roles: Mapping[Role, Measured]


def totals(
    axes: Axes, values: npt.NDArray[np.float64], deviation: float, table_of_value: npt.NDArray[np.int64]
) -> Totals:
    """Adds up a histogram over all records and over each role's.

    Each table adds up to the sum over the records that it counts, so the same sum is measured many times;
    measurements are averaged by the inverse of their variance.

    Args:
        axes: The tables.
        values: [values], released sums by cell or by bin.
        deviation: Standard deviation of the noise in each.
        table_of_value: [values], the table that each belongs to.
    """
    sums = np.bincount(table_of_value, values, minlength=len(axes))
    lengths = np.bincount(table_of_value, minlength=len(axes))

    def mean_of(chosen: list[bool]) -> Measured:
        precision = np.where(chosen, 1.0 / lengths, 0.0)
        value = float(sums @ precision / precision.sum())
        return Measured(value, deviation / float(np.sqrt(precision.sum())))

    # A table that misses one role counts the other alone.
    alone = {
        role: mean_of(counts)
        for role in ALL_ROLES
        if any(counts := [missing is not None and missing is not role for missing in axes.missing_roles])
    }
    if any(missing is None for missing in axes.missing_roles):
        everyone = mean_of([missing is None for missing in axes.missing_roles])
    else:
        everyone = sum(alone.values(), Measured(0.0, 0.0))
    roles = {
        role: alone[role] if role in alone else everyone - next(iter(alone.values()))
        for role in ALL_ROLES
        if axes.carrier(role) is not None
    }
    return Totals(everyone=everyone, roles=roles)

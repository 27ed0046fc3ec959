"""The part of the log-odds that is a role's own: rows of platforms and of collectors have other bad rates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fedscore.contract import Role
from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import Evidence, Population
from fedscore.learners.scorecard.populations import Measured, Totals

__all__ = ["RoleOffsets"]

LEAST_SHARE = 0.01
"""A card is taken to expect at least this share of the bad records that there are, and of the good ones."""


class RoleOffsets:
    """Keeps the card right on average, for all records and for each role that the cells tell apart.

    All characteristics that a role does not hold have the same rows in their "not held" cells, so one of
    these cells carries the role's offset and the others carry nothing.
    """

    def __init__(self, axes: Axes, evidence: Evidence) -> None:
        """Reads the populations from the histogram."""
        self._axes = axes
        self._roles = evidence.roles
        # With one role told apart, the intercept belongs to everybody else.
        self._rest = evidence.everyone
        if len(self._roles) == 1:
            (only,) = self._roles.values()
            self._rest = evidence.everyone.without(only)

    @property
    def intercept(self) -> float:
        """Log-odds of the records that no offset belongs to; of all, where every role has its offset."""
        return self._rest.log_odds

    def cells(self) -> npt.NDArray[np.float64]:
        """[cells], each role's log-odds against the intercept, in the one cell that carries them."""
        return self._carried({role: part.log_odds - self.intercept for role, part in self._roles.items()})

    def shifts(self, excess: Totals) -> tuple[float, npt.NDArray[np.float64]]:
        """From what the card expects of each population to what the histogram counted.

        Args:
            excess: Sums of y - p.

        Returns:
            The shift of the intercept, and [cells] shifts of the offsets, in log-odds.
        """
        rest = excess.everyone
        if len(self._roles) == 1:
            rest = rest - next(iter(excess.roles.values()))
        intercept = _shift(self._rest, rest)
        return intercept, self._carried(
            {role: _shift(part, excess.roles[role]) - intercept for role, part in self._roles.items()}
        )

    def _carried(self, values: Mapping[Role, float]) -> npt.NDArray[np.float64]:
        offsets = np.zeros(self._axes.cells)
        for role, value in values.items():
            offsets[self._axes.carrier(role)] = value
        return offsets


def _shift(population: Population, excess: Measured) -> float:
    """Log-odds of the counted bad rate against those of the expected one."""
    rate = min(max(population.bad_rate, 1e-9), 1.0 - 1e-9)
    expected = rate - excess.value / population.records
    expected = min(max(expected, LEAST_SHARE * rate), 1.0 - LEAST_SHARE * (1.0 - rate))
    return float(np.log(rate / (1.0 - rate)) - np.log(expected / (1.0 - expected)))

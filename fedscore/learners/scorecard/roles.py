"""The part of the log-odds that is a role's own: rows of platforms and of collectors have other bad rates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fedscore.contract import Role
from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import Evidence, Population

__all__ = ["RoleOffsets"]

LEAST_SHARE = 0.01
"""A card is taken to expect at least this share of the bad records that there are, and of the good ones."""


class RoleOffsets:
    """Keeps the card right on average, for all records and for each role that the cells tell apart.

    All characteristics that a role does not hold have the same rows in their "not held" cells, so one of
    these cells carries the role's offset, and their residuals measure one number several times.
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

    def shifts(
        self, excess: float, cell_residuals: npt.NDArray[np.float64]
    ) -> tuple[float, npt.NDArray[np.float64]]:
        """From what the card expects of each population to what the histogram counted.

        Args:
            excess: Sum of y - p over all records.
            cell_residuals: [cells], sums of y - p; only those of not-held cells are read.

        Returns:
            The shift of the intercept, and [cells] shifts of the offsets, in log-odds.
        """
        of_role = {
            role: float(cell_residuals[self._axes.not_held_cells(role)].mean()) for role in self._roles
        }
        rest = excess - sum(of_role.values()) if len(of_role) == 1 else excess
        intercept = _shift(self._rest, rest)
        return intercept, self._carried(
            {role: _shift(part, of_role[role]) - intercept for role, part in self._roles.items()}
        )

    def _carried(self, values: Mapping[Role, float]) -> npt.NDArray[np.float64]:
        offsets = np.zeros(self._axes.cells)
        for role, value in values.items():
            offsets[self._axes.not_held_cells(role)[0]] = value
        return offsets


def _shift(population: Population, excess: float) -> float:
    """Log-odds of the counted bad rate against those of the expected one."""
    rate = population.bad / population.records
    expected = rate - excess / population.records
    expected = min(max(expected, LEAST_SHARE * rate), 1.0 - LEAST_SHARE * (1.0 - rate))
    return float(np.log(rate / (1.0 - rate)) - np.log(expected / (1.0 - expected)))

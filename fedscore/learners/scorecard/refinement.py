"""Bins moved by what the card still gets wrong: damped Jacobi-Newton steps on residual histograms."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.contract import CellKind
from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import Evidence
from fedscore.learners.scorecard.populations import totals
from fedscore.learners.scorecard.regression import Preconditioner
from fedscore.learners.scorecard.roles import RoleOffsets
from fedscore.learners.scorecard.settings import Settings
from fedscore.sums import NOT_COUNTED

__all__ = ["Refinement", "bin_curvature"]

LARGEST_MOVE = 1.0
"""No cell moves by more log-odds than this in one round, whatever the noise says."""


class Refinement:
    """Turns residual histograms into a shift of the intercept and a move of every cell.

    The residuals of each table add up to the same number, how many more records are bad than the card
    expects. That part moves the intercept and the roles' offsets; what is left in a table moves its bins
    and leaves the mean alone. So the card stays calibrated in the large, whatever the number of tables.

    Attributes:
        table_of_bin: [bins], the number of each bin's table.
        curvature: [bins], the information in each bin.
        shares: [bins], what part each has of its table's; 0 for rows that do not hold it.
    """

    def __init__(
        self, axes: Axes, evidence: Evidence, preconditioner: Preconditioner, settings: Settings
    ) -> None:
        """Takes the curvature from sums that are already released.

        Args:
            axes: The tables.
            evidence: Bins and noisy counts.
            preconditioner: Its largest eigenvalue keeps correlated tables from overshooting together.
            settings: Public constants.
        """
        self._axes = axes
        self._bin_of_cell = evidence.bin_of_cell
        bins = int(evidence.bin_of_cell.max()) + 1
        first_cells = np.unique(evidence.bin_of_cell, return_index=True)[1]
        self.table_of_bin = np.searchsorted(axes.offsets, first_cells, side="right") - 1
        self._offsets = RoleOffsets(axes, evidence)
        self._damping = settings.refinement_damping
        self._moving = np.ones(bins, dtype=np.bool_)
        self._moving[evidence.bin_of_cell[axes.absent_cells[axes.absent_cells != NOT_COUNTED]]] = False
        self.curvature = bin_curvature(evidence, bins)
        moving = np.where(self._moving, self.curvature, 0.0)
        self.shares = moving / np.bincount(self.table_of_bin, moving)[self.table_of_bin]
        together = _likely_together(axes, evidence, settings)[first_cells]
        self._step = settings.refinement_step / np.maximum(preconditioner.largest_eigenvalue, together)

    def step(
        self, residuals: npt.NDArray[np.float64], deviation: float
    ) -> tuple[float, npt.NDArray[np.float64]]:
        """Returns the shift of the intercept, and [cells] the moves, in log-odds.

        Args:
            residuals: [bins], the released sums of y - p.
            deviation: Standard deviation of the noise in each.
        """
        excess = totals(self._axes, residuals, deviation, self.table_of_bin)
        intercept, offsets = self._offsets.shifts(excess)
        moving = np.where(self._moving, residuals, 0.0)
        own = moving - self.shares * np.bincount(self.table_of_bin, moving)[self.table_of_bin]
        moves = np.clip(own * self.gain(deviation), -LARGEST_MOVE, LARGEST_MOVE)
        return intercept, moves[self._bin_of_cell] + offsets

    def gain(self, deviation: float) -> npt.NDArray[np.float64]:
        """[bins], by how much log-odds a bin moves for each unit of its residual, so noisy a one.

        Args:
            deviation: Standard deviation of the noise in a residual.
        """
        return np.asarray(self._step / (self.curvature + self._damping * deviation + 1.0))


def bin_curvature(evidence: Evidence, bins: int) -> npt.NDArray[np.float64]:
    """[bins], the sum of p(1 - p) at each bin's own bad rate, drawn a little toward that of all records."""
    of_bin = evidence.bin_of_cell
    records = evidence.everyone.records
    base_rate = evidence.everyone.bad_rate
    counts = np.bincount(of_bin, np.maximum(evidence.bad + evidence.good, 0.0), minlength=bins)
    bad = np.maximum(np.bincount(of_bin, evidence.bad, minlength=bins), 0.0)
    rate = (bad + 20.0 * base_rate) / (np.maximum(counts, bad) + 20.0)
    rate = np.clip(rate, 0.3 * base_rate, 0.97)
    return np.asarray(np.maximum(counts, 0.002 * records) * rate * (1.0 - rate))


def _likely_together(axes: Axes, evidence: Evidence, settings: Settings) -> npt.NDArray[np.float64]:
    """[cells], how many tables may move for the same rows at once; 1 for values.

    Rows that miss one characteristic, or have a special code in it, often do in others too: their cells
    would then all move for the same residual. As many as hold such rows bounds how many can.
    """
    counts = evidence.bad + evidence.good
    floor = max(0.1 * settings.smallest_bin * evidence.everyone.records, 2.0 * evidence.deviation)
    together = np.ones(axes.cells)
    for kind in (CellKind.MISSING, CellKind.SPECIAL, CellKind.OTHER):
        cells = np.array(
            [
                cells.start + cell
                for table, cells in axes.slices()
                if not table.parents
                for cell in range(table.size)
                if table.cells[cell].kind is kind
            ],
            dtype=np.int64,
        )
        together[cells] = max(int(np.count_nonzero(counts[cells] > floor)), 1)
    return together

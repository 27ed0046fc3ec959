"""From the filter's last state to points per bin, with their standard errors. Post-processing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.learners.filtered.layout import Layout
from fedscore.learners.filtered.marginals import Marginals
from fedscore.learners.filtered.smoothing import in_one_direction
from fedscore.learners.program import settled

__all__ = ["Points", "points_of"]

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """What a card is built from.

    Attributes:
        log_odds: [cells], equal in a bin.
        bin_of_cell: [cells], numbers of the bins, counted over all tables.
        errors: [cells], standard errors, equal in a bin; NaN in the cells of rows that do not hold a table.
    """

    log_odds: _Floats
    bin_of_cell: npt.NDArray[np.int64]
    errors: _Floats


def points_of(cells: _Floats, covariance: _Floats, layout: Layout, marginals: Marginals) -> Points:
    """Projects monotone characteristics, and joins neighbouring cells that add the same.

    Args:
        cells: [cells], what each adds to the log-odds.
        covariance: [cells, cells], of their errors.
        layout: The tables.
        marginals: Counts weigh the cells.
    """
    axes = layout.axes
    log_odds = cells.copy()
    bins = np.arange(axes.cells)
    errors = np.full(axes.cells, np.nan)
    for number, (table, own) in enumerate(axes.slices()):
        weights = marginals.counts[own] + marginals.deviations[own] + 1.0
        log_odds[own] = settled(in_one_direction(log_odds[own], weights, table))
        for cell in range(own.start + 1, own.start + table.ordered):
            if log_odds[cell] == log_odds[cell - 1]:
                bins[cell] = bins[cell - 1]
        counted = layout.counted_cells(number)
        masses = marginals.counts[counted] + 1e-6
        means = masses / masses.sum()
        for one in np.unique(bins[counted]).tolist():
            inside = bins[counted] == one
            # What all cells of a table have in common is the intercept's, and no error of a bin.
            combination = np.where(inside, masses / masses[inside].sum(), 0.0) - means
            variance = float(combination @ covariance[np.ix_(counted, counted)] @ combination)
            errors[counted[inside]] = np.sqrt(max(variance, 0.0))
    return Points(
        log_odds=log_odds, bin_of_cell=np.unique(bins, return_inverse=True)[1].astype(np.int64), errors=errors
    )

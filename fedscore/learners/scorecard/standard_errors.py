"""How exact are a card's points? Noise and the choice of customers, as standard errors. Post-processing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import Evidence
from fedscore.learners.scorecard.refinement import bin_curvature
from fedscore.learners.scorecard.settings import Settings
from fedscore.sums import NOT_COUNTED

__all__ = ["log_odds_errors"]


def log_odds_errors(
    axes: Axes, evidence: Evidence, residual_deviation: float, settings: Settings
) -> npt.NDArray[np.float64]:
    """Standard error of what each cell adds to the log-odds.

    A bin with b bad and g good records has information I = n p(1 - p) about its log-odds: another sample of
    customers would move them by 1/√I. Noise enters twice, through the histogram, with variance
    s²(1/b² + 1/g²) by the delta method, and through R residual histograms, with variance r²/(R I²); the two
    are joined by their precision. The prior that shrinks a bin bounds the whole. What moves all bins of a
    table together (the slope) is left out: it has all records to learn from.

    Args:
        axes: The tables.
        evidence: Bins and noisy counts.
        residual_deviation: Standard deviation of the noise in each residual of a bin; infinite if there was
            no refinement.
        settings: Public constants.

    Returns:
        [cells], 0 in the cells of rows that do not hold a table, whose points are nobody's estimate.
    """
    of_bin = evidence.bin_of_cell
    bins = int(of_bin.max()) + 1
    information = bin_curvature(evidence, bins)
    cells = np.bincount(of_bin, minlength=bins)
    floor = 1.0 + 0.5 * evidence.deviation
    bad = np.maximum(np.bincount(of_bin, evidence.bad, minlength=bins), floor)
    good = np.maximum(np.bincount(of_bin, evidence.good, minlength=bins), floor)
    from_histogram = cells * evidence.deviation**2 * (1.0 / bad**2 + 1.0 / good**2)
    from_residuals = residual_deviation**2 / (max(settings.refinement_rounds, 1) * information**2)
    noise = 1.0 / (1.0 / np.maximum(from_histogram, 1e-12) + 1.0 / np.maximum(from_residuals, 1e-12))
    variance = 1.0 / information + noise
    errors = np.sqrt(1.0 / (1.0 / variance + 1.0 / settings.plain_variance))[of_bin]
    errors[axes.absent_cells[axes.absent_cells != NOT_COUNTED]] = 0.0
    return np.asarray(errors)

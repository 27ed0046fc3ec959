"""How exact are a card's points? Noise and the choice of customers, as standard errors. Post-processing.

They say how much points would differ if a card were trained again, on as many other customers of the same
kind and with other noise. They do not say how far points are from the truth: what shrinks them toward a line,
or stops before the last refinement, makes them steady and biased.

Let ε be the errors of the bins' own log-odds. Sampling has variance 1/I, where I = n p(1 - p) is a bin's
information; to the first estimate alone, the histogram's noise adds s²(1/b² + 1/g²) (delta method). That
estimate is m A ε: A is how weights of evidence were shrunk, m the slope that the regression gave to a table.
Each of R refinements moves a bin a share t = gain · I of the way to where its residual vanishes, so that of
the first estimate q = (1 - t)^R is left, and the rest is ε of the sample; the residuals' noise enters with
every one of them. So, with C for taking off the mean of a table,

    error = C (q m A + (1 - q)) · sampling  +  C q m A · histogram  +  C · Σ_k (1 - t)^k gain · residuals.

The slope itself moves all bins of a table together, each in proportion to its standardised weight: it has
the variance of a regression on all records, and of the noise of the gradients, of which two are averaged.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import Evidence
from fedscore.learners.scorecard.queries import LinearModel
from fedscore.learners.scorecard.refinement import Refinement
from fedscore.learners.scorecard.regression import Preconditioner
from fedscore.learners.scorecard.settings import Settings
from fedscore.sums import NOT_COUNTED

__all__ = ["log_odds_errors", "slope_variances"]

_Floats = npt.NDArray[np.float64]


def slope_variances(
    preconditioner: Preconditioner, evidence: Evidence, gradient_deviation: float, settings: Settings
) -> _Floats:
    """[tables], of the regression's slopes, from sampling and from the noise of the gradients.

    Args:
        preconditioner: About the inverse of the information of one record.
        evidence: Counts the records.
        gradient_deviation: Standard deviation of the noise in each value of a gradient.
        settings: Public constants.
    """
    records = evidence.everyone.records
    inverse = preconditioner.inverse
    averaged = settings.gradient_rounds - settings.gradient_rounds // 2
    noise = (gradient_deviation / records) ** 2 * np.square(inverse).sum(axis=1) / averaged
    return np.asarray((np.diag(inverse) / records + noise)[1:])


def log_odds_errors(
    axes: Axes,
    evidence: Evidence,
    refinement: Refinement,
    *,
    model: LinearModel,
    tilts: _Floats,
    variances: _Floats,
    residual_deviation: float,
    rounds: int,
) -> _Floats:
    """Standard error of what each cell adds to the log-odds.

    Args:
        axes: The tables.
        evidence: Bins, their noisy counts, and how weights were shrunk.
        refinement: Its gains.
        model: The standardised weights.
        tilts: [tables], log-odds for each unit of weight of evidence.
        variances: [tables], of the slopes on the standardised weights.
        residual_deviation: Standard deviation of the noise in each residual of a bin.
        rounds: Of the refinement.

    Returns:
        [cells]; NaN in the cells of rows that do not hold a table. Their points are their role's odds, shared
        out over the tables that it does not hold, and no measurement of one bin: nothing is told of them.
    """
    of_bin, tables = evidence.bin_of_cell, refinement.table_of_bin
    bins = len(tables)
    information, gain = refinement.curvature, refinement.gain(residual_deviation)
    pace = np.minimum(gain * information, 1.0)
    left = (1.0 - pace) ** rounds
    same_table = tables[:, None] == tables[None, :]
    centred = np.eye(bins) - same_table * refinement.shares[None, :]

    first = (left * tilts[tables])[:, None] * evidence.response
    sampling = np.square(centred @ (first + np.diag(1.0 - left))) @ (1.0 / information)
    histogram = np.square(centred @ first) @ _noise_of_log_odds(evidence, bins)
    each = (1.0 - pace) ** (2 * np.arange(rounds)[:, None])
    residuals = np.square(centred) @ ((gain * residual_deviation) ** 2 * each.sum(axis=0))
    first_cells = np.unique(of_bin, return_index=True)[1]
    slopes = (left * model.columns[first_cells]) ** 2 * variances[tables]

    errors = np.sqrt(sampling + histogram + residuals + slopes)[of_bin]
    errors[axes.absent_cells[axes.absent_cells != NOT_COUNTED]] = np.nan
    return np.asarray(errors)


def _noise_of_log_odds(evidence: Evidence, bins: int) -> _Floats:
    """[bins], the variance that the histogram's noise gives to their log-odds."""
    floor = 1.0 + 0.5 * evidence.deviation
    cells = np.bincount(evidence.bin_of_cell, minlength=bins)
    bad, good = (
        np.maximum(np.bincount(evidence.bin_of_cell, counts, minlength=bins), floor)
        for counts in (evidence.bad, evidence.good)
    )
    return np.asarray(cells * evidence.deviation**2 * (1.0 / bad**2 + 1.0 / good**2))

"""Logistic regression on weights of evidence by a few preconditioned, noisy gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.learners.scorecard.axes import Axes
from fedscore.learners.scorecard.evidence import Evidence
from fedscore.learners.scorecard.queries import LinearModel
from fedscore.learners.scorecard.settings import Settings
from fedscore.sums import NOT_COUNTED

__all__ = ["Preconditioner", "first_slopes", "precondition", "standardise", "step"]


def standardise(
    axes: Axes, evidence: Evidence, settings: Settings
) -> tuple[LinearModel, npt.NDArray[np.float64]]:
    """Centres and scales each table's weights of evidence over the rows that hold it.

    Rows that do not hold a table have 0 in its column.

    Returns:
        The linear model, and [tables] the standard deviations that were divided by.
    """
    counts = np.maximum(evidence.bad + evidence.good, 0.0)
    absent = axes.absent_cells[axes.absent_cells != NOT_COUNTED]
    counts[absent] = 0.0
    constant = 1.0 / np.sqrt(len(axes) + 1)
    columns = np.zeros(axes.cells)
    spreads = np.zeros(len(axes))
    for table, (_, cells) in enumerate(axes.slices()):
        share = counts[cells] / max(float(counts[cells].sum()), 1.0)
        mean = float(share @ evidence.weights[cells])
        centred = evidence.weights[cells] - mean
        spreads[table] = max(float(np.sqrt(share @ centred**2)), settings.smallest_spread)
        columns[cells] = np.clip(centred / spreads[table], -settings.largest_score, settings.largest_score)
    columns[absent] = 0.0
    return LinearModel(axes=axes, columns=columns * constant, constant=float(constant)), spreads


def first_slopes(
    model: LinearModel,
    spreads: npt.NDArray[np.float64],
    preconditioner: Preconditioner,
    intercept: float,
    settings: Settings,
) -> npt.NDArray[np.float64]:
    """The start, which is also the weak prior: every weight of evidence with the same slope.

    Weights of evidence that say the same thing must share it: the slope is the one at which their sum has
    the variance that they would have if they were independent.
    """
    together = spreads @ preconditioner.correlations @ spreads
    apart = spreads @ spreads
    slope = settings.first_slope * min(float(apart) / max(float(together), 1e-9), 1.0)
    return np.concatenate(([intercept], slope * spreads)) / model.constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Preconditioner:
    """Approximate inverse curvature of the mean log-likelihood.

    Attributes:
        inverse: [d+1, d+1].
        curvature: The p(1 - p) that it was built with.
        correlations: [d, d], of the weights of evidence, with the covariance sum's noise.
        largest_eigenvalue: Of the correlations; at least 1.
    """

    inverse: npt.NDArray[np.float64]
    curvature: float
    correlations: npt.NDArray[np.float64]
    largest_eigenvalue: float


def precondition(
    second_moments: npt.NDArray[np.float64], deviation: float, evidence: Evidence, settings: Settings
) -> Preconditioner:
    """Inverts the noisy second moments, with a ridge as large as their noise.

    Args:
        second_moments: [d+1, d+1], the released sum of outer products.
        deviation: Standard deviation of the noise in each element.
        evidence: For the number of records and the base rate.
        settings: Public constants.
    """
    columns = len(second_moments)
    records = evidence.everyone.records
    mean = second_moments / records
    eigenvalues, vectors = np.linalg.eigh(mean)
    bad_rate = evidence.everyone.bad_rate
    curvature = max(bad_rate * (1.0 - bad_rate), settings.least_curvature)
    noise = deviation / records * np.sqrt(columns)
    damped = curvature * (np.maximum(eigenvalues, 0.0) + noise + settings.ridge)
    correlations = columns * mean[1:, 1:]
    return Preconditioner(
        inverse=(vectors / damped) @ vectors.T,
        curvature=curvature,
        correlations=correlations,
        largest_eigenvalue=max(1.0, float(np.linalg.eigvalsh(correlations)[-1])),
    )


def step(
    slopes: npt.NDArray[np.float64],
    gradient: npt.NDArray[np.float64],
    start: npt.NDArray[np.float64],
    preconditioner: Preconditioner,
    settings: Settings,
) -> npt.NDArray[np.float64]:
    """One damped Newton-like step; slopes on weights of evidence stay at or above 0.

    Args:
        slopes: [d+1], where the gradient was taken.
        gradient: [d+1], of the mean log-likelihood.
        start: [d+1], the prior.
        preconditioner: From the covariance sum.
        settings: Public constants.
    """
    pull = settings.ridge * preconditioner.curvature * (slopes - start)
    moved = slopes + preconditioner.inverse @ (gradient - pull)
    moved[1:] = np.maximum(moved[1:], 0.0)
    return np.asarray(moved)

"""Log-odds of every cell from a noisy histogram: penalised likelihood, table by table. Post-processing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedscore.contract import Direction, Table
from fedscore.learners.filtered.settings import Settings
from fedscore.learners.scorecard.monotone import isotonic

__all__ = ["chain_precision", "in_one_direction", "smooth_log_odds", "smoothing_precision"]

_Floats = npt.NDArray[np.float64]

_STEPS = 6
_LARGEST_STEP = 1.0


def chain_precision(length: int, level: float, step: float) -> _Floats:
    """Precision of values in a row: each is near 0, and near its neighbours.

    Args:
        length: How many there are.
        level: Deviation of each.
        step: Deviation of the difference of two neighbours.
    """
    precision = np.eye(length) / level**2
    if length > 1:
        differences = np.diff(np.eye(length), axis=0)
        precision += differences.T @ differences / step**2
    return np.asarray(precision)


def smoothing_precision(table: Table, settings: Settings) -> _Floats:
    """Prior precision of a table's log-odds: ordered cells hang together, the others stand alone."""
    precision = np.eye(table.size) / settings.smooth_single**2
    ordered = table.ordered
    precision[:ordered, :ordered] = chain_precision(ordered, settings.smooth_level, settings.smooth_step)
    return precision


def smooth_log_odds(
    bad: _Floats, good: _Floats, deviation: float, precision: _Floats, base: float, limit: float
) -> tuple[_Floats, _Floats]:
    """Estimates each cell's log-odds against `base`.

    With p the present estimate of a cell's bad rate, t = (1 - p) bad - p good has the mean 0 at the true rate
    and the slope J = N p(1 - p); its variance, of noise and sampling together, is known. Each step is a
    Gauss-Newton step on the likelihood of t under the Gaussian prior.

    Args:
        bad: [cells], noisy counts.
        good: [cells], noisy counts.
        deviation: Standard deviation of the noise in each count.
        precision: [cells, cells], of the prior around 0.
        base: Log-odds of all records that hold the table.
        limit: Estimates are clipped to ± this.

    Returns:
        [cells] the estimates, and [cells, cells] how they move with each cell's own log-odds.
    """
    counts = np.maximum(bad + good, 1e-3)
    estimate = np.zeros(len(bad))
    information = np.zeros(len(bad))
    posterior = np.linalg.inv(precision)
    for _ in range(_STEPS):
        rate = 1.0 / (1.0 + np.exp(-(base + estimate)))
        statistic = bad - rate * (bad + good)
        slope = counts * rate * (1.0 - rate)
        variance = deviation**2 * ((1.0 - rate) ** 2 + rate**2) + slope + 1.0
        information = slope**2 / variance
        posterior = np.linalg.inv(np.diag(information) + precision)
        target = posterior @ (information * estimate + slope * statistic / variance)
        move = np.clip(target - estimate, -_LARGEST_STEP, _LARGEST_STEP)
        estimate = np.clip(estimate + move, -limit, limit)
    return np.asarray(estimate), np.asarray(posterior * information)


def in_one_direction(log_odds: _Floats, weights: _Floats, table: Table) -> _Floats:
    """Projects the ordered cells of a monotone table onto its direction; others stay as they are.

    Args:
        log_odds: [cells of the table].
        weights: [cells of the table], positive: how much a cell's own value counts.
        table: Says the direction.
    """
    if table.monotone is None:
        return log_odds
    sign = 1.0 if table.monotone is Direction.INCREASING else -1.0
    ordered = slice(0, table.ordered)
    projected = log_odds.copy()
    projected[ordered] = sign * isotonic(sign * log_odds[ordered], weights[ordered], np.arange(table.ordered))
    return projected

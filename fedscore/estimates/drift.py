"""Do the card's probabilities still fit? Calibration in the large, and the slope.

The model is log-odds = card's log-odds + a + b·x with x the leverage in [-1, 1]: a is the shift of all
log-odds, and risky rows are a further 2b apart from safe ones. (a, b) solves the two equations of logistic
regression,

    Σ_k n m_k (L(l_k + a + b x_k) - L(l_k)) (1, x_k) = (Σ(y - p), Σ(y - p)x)

with L the logistic function. The right sides are released; the left sides need only where scores lie (m_k,
the masses of public bands). Errors are the sandwich I⁻¹(N + I)I⁻¹, with I the information of sampling and N
the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.estimates.interval import LEVEL, Estimate
from fedscore.estimates.outcomes import Leverage, OutcomeSums
from fedscore.estimates.plan import Reference

__all__ = ["CalibrationDrift", "calibration_drift"]

_Floats = npt.NDArray[np.float64]

_FARTHEST = 10.0
"""Changes of the log-odds beyond this are not told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationDrift:
    """How outcomes depart from the card's probabilities; both are 0 and 1 for a card that still fits.

    Attributes:
        in_the_large: Log-odds that all rows have moved by, at the centre of the scores; 0 is no drift.
        slope: Slope of the outcome's log-odds on the card's; 1 is no drift, below 1 the card claims too much.
    """

    in_the_large: Estimate
    slope: Estimate


def calibration_drift(
    sums: OutcomeSums, reference: Reference, leverage: Leverage, *, level: float = LEVEL
) -> CalibrationDrift:
    """Fits shift and slope.

    Args:
        sums: The released sum.
        reference: Where the current scores lie.
        leverage: As it was in the sum's vectors.
        level: Of the intervals.
    """
    solved = None
    if sums.rows.clear and sums.expected.clear:
        solved = _solve(sums, reference.shares, reference.probabilities, leverage)
    if solved is None:
        return CalibrationDrift(
            in_the_large=Estimate.unknown(level=level, least=-_FARTHEST, greatest=_FARTHEST),
            slope=Estimate.unknown(level=level, least=-_FARTHEST, greatest=_FARTHEST),
        )
    change, noise, sampling = solved
    in_the_large, slope = (
        Estimate.around(
            float(change[i]),
            noise=float(noise[i]),
            sampling=float(sampling[i]),
            level=level,
            least=-_FARTHEST * leverage.spread if i else -_FARTHEST,
            greatest=_FARTHEST * leverage.spread if i else _FARTHEST,
        )
        for i in range(2)
    )
    return CalibrationDrift(
        in_the_large=in_the_large,
        slope=slope.scaled(1.0 / leverage.spread, 1.0, least=-_FARTHEST, greatest=_FARTHEST),
    )


def _solve(
    sums: OutcomeSums, masses: _Floats, probabilities: _Floats, leverage: Leverage
) -> tuple[_Floats, _Floats, _Floats] | None:
    """(a, b) by damped Newton steps, their noise and their sampling error; None without a solution."""
    safe = np.clip(probabilities, 1e-9, 1.0 - 1e-9)
    log_odds = np.log(safe / (1.0 - safe))
    design = np.column_stack([np.ones_like(safe), leverage.of(safe)])
    weights = masses * sums.rows.value
    target = np.array([sums.surplus.value, sums.leaning.value])
    change = np.zeros(2)
    for _ in range(60):
        moved = 1.0 / (1.0 + np.exp(-(log_odds + design @ change)))
        missing = target - design.T @ (weights * (moved - safe))
        information = design.T @ (design * (weights * moved * (1.0 - moved))[:, None])
        if not np.linalg.cond(information) < 1e8:
            return None
        step = np.linalg.solve(information, missing)
        change = np.clip(change + step / max(1.0, float(np.abs(step).max())), -_FARTHEST, _FARTHEST)
    if float(np.abs(missing).max()) > 1e-6 * (1.0 + float(np.abs(target).max())):
        return None
    inverse = np.linalg.inv(information)
    of_noise = np.diag([sums.surplus.deviation**2, sums.leaning.deviation**2])
    return (
        change,
        np.sqrt(np.diag(inverse @ of_noise @ inverse)),
        np.sqrt(np.diag(inverse)),
    )

"""Calibration: the line between the card's log-odds and those that were counted. Post-processing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.card import Bin, Card, CardTable
from fedscore.learners.program import settled
from fedscore.learners.scorecard.scores import ScoreCounts

__all__ = ["Calibration", "calibrate", "calibrated"]

PRIOR_SHIFT = 0.3
"""Prior standard deviation of the shift, in log-odds: the card is right on average already."""

PRIOR_SLOPE = 0.3
"""Prior standard deviation of the slope around 1."""

LEAST_SLOPE, LARGEST_SLOPE = 0.5, 1.5
LARGEST_SHIFT = 1.0
_STEPS = 3

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A card's log-odds x of the bad outcome become `shift` + `slope` · x.

    Attributes:
        shift: In log-odds.
        slope: Positive.
    """

    shift: float
    slope: float


def calibrate(card: Card, counts: ScoreCounts) -> Calibration:
    """Fits the line to the noisy counts.

    With x a cell's log-odds around their mean and p the fitted probability, the likelihood's gradient in
    (shift, slope) is Σ (bad - n p)(1, x): a linear function of the counts, so it is unbiased whatever the
    noise, whose covariance N is known. With I = Σ n p(1-p)(1, x)(1, x)ᵀ the gradient measures I times the
    distance from the true line with covariance I + N; that and the prior around the identity are joined by
    their precisions. Where noise hides everything, the card stays as it is.

    Args:
        card: Its scale turns points into log-odds.
        counts: Over its scores.
    """
    log_odds = (card.scale.offset - counts.middles) / card.scale.factor
    numbers = np.diff(counts.below())
    total = float(numbers.sum())
    if total <= 0.0:
        return Calibration(shift=0.0, slope=1.0)
    mean = float(numbers @ log_odds) / total
    design = np.stack([np.ones_like(log_odds), log_odds - mean])
    prior = np.diag([PRIOR_SHIFT**-2, PRIOR_SLOPE**-2])
    identity = np.array([mean, 1.0])
    line = identity
    for _ in range(_STEPS):
        probability = 1.0 / (1.0 + np.exp(-np.clip(line @ design, -30.0, 30.0)))
        gradient = design @ (counts.bad - (counts.bad + counts.good) * probability)
        information = (design * (numbers * probability * (1.0 - probability))) @ design.T
        spread = np.concatenate([design * (1.0 - probability), -design * probability], axis=1)
        noise = spread @ counts.measured.strategy.decoder * counts.measured.deviation
        covariance = information + noise @ noise.T + 1e-9 * np.eye(2)
        weight = information @ np.linalg.inv(covariance)
        # The measurement is of where the line stands now plus what the gradient says.
        normal = weight @ information + prior
        line = np.linalg.solve(normal, weight @ (gradient + information @ line) + prior @ identity)
        line[1] = np.clip(line[1], LEAST_SLOPE, LARGEST_SLOPE)
        line[0] = np.clip(line[0], mean - LARGEST_SHIFT, mean + LARGEST_SHIFT)
    shift, slope = settled(np.array([line[0] - line[1] * mean, line[1]])).tolist()
    return Calibration(shift=shift, slope=slope)


def calibrated(card: Card, counts: ScoreCounts, calibration: Calibration) -> tuple[Card, ScoreCounts]:
    """Moves the points so that the card's own scale gives the calibrated probability.

    Returns:
        The card, and the counts over its new scores.
    """
    slope, scale = calibration.slope, card.scale
    shift = scale.offset * (1.0 - slope) - scale.factor * calibration.shift
    moved = card.model_copy(
        update={
            "intercept_points": _rounded(card.intercept_points * slope + shift),
            "characteristics": tuple(_table(table, slope) for table in card.characteristics),
            "interactions": tuple(_table(table, slope) for table in card.interactions),
        }
    )
    # A copy would keep what was derived from the old points.
    return Card.model_validate(moved.model_dump()), counts.moved(slope, shift)


def _table(table: CardTable, slope: float) -> CardTable:
    return table.model_copy(update={"bins": tuple(_bin(one, slope) for one in table.bins)})


def _bin(one: Bin, slope: float) -> Bin:
    error = one.standard_error
    return one.model_copy(
        update={
            "points": _rounded(one.points * slope),
            "standard_error": None if error is None else _rounded(error * slope),
        }
    )


def _rounded(points: float) -> float:
    # + 0.0 turns the negative zero of rounding into zero
    return round(points, 2) + 0.0

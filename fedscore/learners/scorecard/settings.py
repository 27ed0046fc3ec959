"""Hyper-parameters of the scorecard: fixed in advance, the same for every consortium."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Public constants of the program; none of them is fitted to the consortium's data.

    Attributes:
        histogram_share: Part of μ² for the histogram.
        covariance_share: Part of μ² for the covariance.
        gradients_share: Part of μ² for all gradients together; the rest goes to the refinements.
        gradient_rounds: Full-batch gradients of the logistic regression.
        refinement_rounds: Residual histograms.
        smallest_bin: Least share of the records in a bin of an ordered characteristic.
        noise_floor: A bin's count must reach this many standard deviations of its noise.
        smooth_variance: Prior variance of a bin's log-odds around the line through its characteristic.
        plain_variance: Prior variance of the log-odds of a cell that has no neighbours.
        largest_evidence: Weights of evidence are clipped to ± this.
        largest_log_odds: A cell adds at most ± this to the log-odds of the card.
        smallest_spread: A characteristic is standardised by at least this standard deviation.
        largest_score: Standardised columns are clipped to ± this.
        covariance_radius: Rows are clipped to this norm before their outer product.
        ridge: Pull of the slopes toward their start, relative to the curvature.
        first_slope: Slope on every weight of evidence before the first gradient, if they were independent.
        least_curvature: Lower bound of p(1 - p) in the preconditioner.
        refinement_step: Step of a refinement, divided by the largest eigenvalue of the correlations.
        refinement_damping: How strongly the noise of a bin's residual slows its step.
    """

    histogram_share: Fraction = Fraction(30, 100)
    covariance_share: Fraction = Fraction(5, 100)
    gradients_share: Fraction = Fraction(15, 100)
    gradient_rounds: int = 4
    refinement_rounds: int = 3
    smallest_bin: float = 0.015
    noise_floor: float = 1.0
    smooth_variance: float = 0.1
    plain_variance: float = 0.5
    largest_evidence: float = 3.0
    largest_log_odds: float = 4.0
    smallest_spread: float = 0.05
    largest_score: float = 4.0
    covariance_radius: Fraction = Fraction(3, 2)
    ridge: float = 0.02
    first_slope: float = 0.85
    least_curvature: float = 0.05
    refinement_step: float = 1.2
    refinement_damping: float = 7.0

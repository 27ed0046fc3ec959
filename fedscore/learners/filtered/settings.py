"""Hyper-parameters of the filtered card: fixed in advance, the same for every consortium."""

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
        curvature_share: Part of μ² for the curvature of the columns; the rest goes to the rounds, evenly.
        level_share: Part of μ² for the last sum, which makes the card right on average.
        rounds: Gradients that the filter takes.
        few_rounds: As many where ε is below `small_epsilon`: few exact measurements are then worth more.
        small_epsilon: Of the contract.
        column_share: Part of a round's squared norm for the few columns; the rest is for the many cells.
        characteristic_weight: With how much more weight a record counts in a characteristic than in an
            interaction.
        column_weight: How much an interaction's column weighs beside a characteristic's.
        smooth_level: Prior deviation of a cell's log-odds against all records.
        smooth_step: Prior deviation between neighbouring cells' log-odds, beside the level's.
        smooth_single: Prior deviation of the log-odds of a cell without neighbours.
        largest_evidence: Log-odds of cells are clipped to ± this.
        largest_score: Standardised columns are clipped to ± this.
        least_spread: A characteristic is standardised by at least this deviation of its log-odds.
        radius: Rows are clipped to this times √characteristics before an outer product.
        usual_correlation: Expected correlation of two characteristics' columns.
        correlation_variance: How far correlations are expected to lie from that, squared.
        first_slope: Slope on every weight of evidence before the first round, if they were independent.
        curvature_deviation: How far the curvature is expected to lie from what the covariance says, in parts.
        curvature_bound: A record's part in the curvature is clipped to this times the usual squared norm of
            its columns.
        shape_damping: Curvature along what a characteristic's column does not explain is multiplied by this
            times the largest eigenvalue of the columns' correlations, and at least by 1.
        intercept_deviation: Prior deviation of the intercept, and of a role's offset.
        cell_deviation: Prior deviation of a cell around the start.
        cell_step: Prior deviation between neighbouring cells' deviations.
        slope_deviation: Prior deviation of a characteristic's slope, for six characteristics.
        interaction_slope: Prior deviation of the slope on an interaction's column.
        interaction_deviation: Prior deviation of an interaction's cells.
        forget: How much of what earlier rounds said is kept when a new one comes.
        largest_move: A round changes scores by at most this deviation.
        largest_log_odds: A cell adds at most ± this to the log-odds of the card.
    """

    histogram_share: Fraction = Fraction(30, 100)
    covariance_share: Fraction = Fraction(2, 100)
    curvature_share: Fraction = Fraction(3, 100)
    level_share: Fraction = Fraction(1, 100)
    rounds: int = 5
    few_rounds: int = 3
    small_epsilon: float = 0.25
    column_share: Fraction = Fraction(1, 2)
    characteristic_weight: int = 2
    column_weight: Fraction = Fraction(3, 5)
    smooth_level: float = 1.2
    smooth_step: float = 0.35
    smooth_single: float = 0.7
    largest_evidence: float = 3.5
    largest_score: float = 3.5
    least_spread: float = 0.05
    radius: Fraction = Fraction(3, 2)
    usual_correlation: float = 0.25
    correlation_variance: float = 0.06
    first_slope: float = 0.85
    curvature_deviation: float = 0.25
    curvature_bound: Fraction = Fraction(1, 2)
    shape_damping: float = 0.5
    intercept_deviation: float = 0.5
    cell_deviation: float = 0.2
    cell_step: float = 0.06
    slope_deviation: float = 0.2
    interaction_slope: float = 0.04
    interaction_deviation: float = 0.05
    forget: float = 0.9
    largest_move: float = 0.7
    largest_log_odds: float = 4.0

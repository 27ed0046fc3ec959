"""What private sums say about a score: each number with what noise and sampling leave open.

Evaluation: an `EvaluationPlan` names two sums over test rows; `Bands` hold what they said, and metrics are
functions of them. Monitoring: `stability` of a table, and what outcomes say: `bad_rate_alarm`,
`calibration_drift`.
"""

from fedscore.estimates.alarm import Alarm, AlarmReading, Baseline, bad_rate_alarm
from fedscore.estimates.bands import Bands, Total
from fedscore.estimates.calibration import (
    CalibrationPart,
    Grade,
    brier,
    calibration_curve,
    calibration_error,
    grades,
)
from fedscore.estimates.drift import CalibrationDrift, calibration_drift
from fedscore.estimates.interval import LEVEL, Estimate
from fedscore.estimates.outcomes import OUTCOMES, Leverage, OutcomeSums, outcome_vectors
from fedscore.estimates.plan import EvaluationPlan, PointsToOdds, Reference, ScoreGrid
from fedscore.estimates.ranking import auc, gini, ks, recall_at
from fedscore.estimates.stability import NoisyCounts, Shift, Stability, stability
from fedscore.estimates.strategy import Measured, Strategy, SumBound

__all__ = [
    "LEVEL",
    "OUTCOMES",
    "Alarm",
    "AlarmReading",
    "Bands",
    "Baseline",
    "CalibrationDrift",
    "CalibrationPart",
    "Estimate",
    "EvaluationPlan",
    "Grade",
    "Leverage",
    "Measured",
    "NoisyCounts",
    "OutcomeSums",
    "PointsToOdds",
    "Reference",
    "ScoreGrid",
    "Shift",
    "Stability",
    "Strategy",
    "SumBound",
    "Total",
    "auc",
    "bad_rate_alarm",
    "brier",
    "calibration_curve",
    "calibration_drift",
    "calibration_error",
    "gini",
    "grades",
    "ks",
    "outcome_vectors",
    "recall_at",
    "stability",
]

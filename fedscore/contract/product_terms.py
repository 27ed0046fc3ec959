"""What a contract says of the finished score: grades, reasons, evaluation, monitoring."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fedscore.contract.values import Hex64, Term, Text

__all__ = ["EvaluationTerms", "GradeTerms", "MonitoringTerms"]

_Rate = Annotated[float, Field(strict=True, gt=0.0, lt=1.0)]


class GradeTerms(Term):
    """Grades of the score, and its calibration, both from one private sum over the training rows."""

    names: Annotated[tuple[Text, ...], Field(min_length=2, max_length=26)] = ("A", "B", "C", "D")
    """The grades, best first."""

    largest_bad_rates: tuple[_Rate, ...] = ()
    """The bad rate that each grade but the last may have, best first; a grade ends before it exceeds it."""

    shares: tuple[_Rate, ...] = ()
    """Instead of bad rates: the share of the records that each grade but the last takes, best first."""

    budget_share: Annotated[float, Field(strict=True, ge=0.001, le=0.5)] = 0.05
    """The part of the training's budget, in mu squared, that the sum of scores gets: from 0.001 to 0.5."""


class EvaluationTerms(Term):
    """Metrics of the score from private sums over the test rows, which the same epsilon pays for once more.

    No record is on both sides of the split, so training and evaluation together cost a record no more than
    the dearer of the two.
    """

    alert_rates: Annotated[tuple[_Rate, ...], Field(max_length=10)] = (0.05,)
    """Shares of the records that an alert may be raised for; recall is measured at each."""


class MonitoringTerms(Term):
    """Which finished card is watched on present rows; belongs to learner = "monitoring"."""

    card: Hex64
    """The fingerprint of the card, from `fedscore card show`."""

    outcomes: Annotated[bool, Field(strict=True)] = True
    """Whether the rows' outcomes are known by now; with false no column of outcomes is read, and
    distributions alone are compared."""

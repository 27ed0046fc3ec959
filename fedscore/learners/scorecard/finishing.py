"""What follows a trained card, whatever trained it: grades with calibration, and evaluation."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from fractions import Fraction

from fedscore.card import Card
from fedscore.contract import Contract, GradeTerms
from fedscore.learners.planning import planned_sum
from fedscore.learners.scorecard.calibration import calibrate, calibrated
from fedscore.learners.scorecard.evaluation import evaluated, evaluation_plan
from fedscore.learners.scorecard.grading import grades_of, score_bands
from fedscore.learners.scorecard.scores import ScoreCounts, ScoreSum, score_sum_bound
from fedscore.sums import PlannedSum, Query, Released, Update

__all__ = ["finished", "finishing_plan"]


def finishing_plan(contract: Contract, of_training: Iterable[PlannedSum]) -> tuple[PlannedSum, ...]:
    """The sums of training with a share less for grades, the sum for grades, and the test side's sums.

    Args:
        contract: Says whether there are grades and an evaluation.
        of_training: With shares that add up to one.
    """
    planned = tuple(of_training)
    if contract.grades is not None:
        share = Fraction(contract.grades.budget_share).limit_denominator(10**6)
        planned = (
            *(replace(one, share=one.share * (1 - share)) for one in planned),
            planned_sum("scores", share, score_sum_bound()),
        )
    return (*planned, *evaluation_plan(contract))


def finished(card: Card, contract: Contract) -> Generator[Query | Update, Released, Card]:
    """Asks for the sums, and adds what they say to the card.

    Args:
        card: Trained.
        contract: Says what it still needs.
    """
    if contract.grades is not None:
        scores = ScoreSum(card)
        released = yield scores
        card = _graded(card, ScoreCounts.of(scores, released), contract.grades)
    return (yield from evaluated(card, contract))


def _graded(card: Card, counts: ScoreCounts, terms: GradeTerms) -> Card:
    """Calibrates, then cuts into grades."""
    card, counts = calibrated(card, counts, calibrate(card, counts))
    return card.model_copy(update={"grades": grades_of(card, counts, terms), "bands": score_bands(counts)})

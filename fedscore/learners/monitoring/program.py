"""The program that watches a finished card: two private sums of where rows lie, and two of outcomes.

1. Histogram of every table, in the card's bins: which characteristics have shifted.
2. Scores, in cells that the card's bands and grades are made of: has the population shifted?
3. Outcomes: the bad-rate alarm, and drift of the calibration.
4. Outcomes by grade.

The last two are left out where outcomes are not known yet (`monitoring.outcomes = false`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from fedscore.card import Card
from fedscore.contract import Contract
from fedscore.errors import CardError
from fedscore.estimates import OUTCOMES, OutcomeSums
from fedscore.learners.monitoring.queries import GradeOutcomes, Histogram, Outcomes, Scores
from fedscore.learners.planning import planned_sum
from fedscore.learners.program import Steps
from fedscore.learners.scorecard.axes import Axes
from fedscore.monitoring import Counts, KnownOutcomes, Layout, Past, monitoring_report
from fedscore.monitoring.counts import grade_sum_bound
from fedscore.monitoring.layout import MOST_GRADES, MOST_SCORE_CELLS
from fedscore.sums import PlannedSum

__all__ = ["Monitoring", "require_watched"]

OUTCOMES_SHARE = Fraction(2, 5)
"""Part of μ² for outcomes: what decides how small a consortium an alarm can be raised in."""

GRADES_SHARE = Fraction(1, 10)

SCORES_SHARE = Fraction(1, 5)
"""Part of what is left, after outcomes, for scores; the histogram, of many tables, gets the rest."""


@dataclass(frozen=True, slots=True)
class Monitoring:
    """The program for one contract.

    What it costs follows from the contract alone; what it asks, from the card.

    Attributes:
        contract: With its terms of monitoring.
        card: The card that they name, checked by `require_watched`; none only to price the program.
    """

    contract: Contract
    card: Card | None

    @property
    def plan(self) -> tuple[PlannedSum, ...]:
        """The private sums, all over the training side, which all rows are on."""
        axes = Axes.of(self.contract)
        with_outcomes = self.contract.reads_outcomes
        left = 1 - OUTCOMES_SHARE - GRADES_SHARE if with_outcomes else Fraction(1)
        of_rows = (
            PlannedSum(
                name="histogram",
                share=left * (1 - SCORES_SHARE),
                sensitivity_squared=Fraction(axes.tables_of_a_record),
                largest=Fraction(1),
                integral=True,
                dimension_limit=axes.cells,
            ),
            PlannedSum(
                name="scores",
                share=left * SCORES_SHARE,
                sensitivity_squared=Fraction(1),
                largest=Fraction(1),
                integral=True,
                dimension_limit=MOST_SCORE_CELLS,
            ),
        )
        if not with_outcomes:
            return of_rows
        return (
            *of_rows,
            planned_sum("outcomes", OUTCOMES_SHARE, OUTCOMES),
            planned_sum("outcomes by grade", GRADES_SHARE, grade_sum_bound(MOST_GRADES)),
        )

    def steps(self) -> Steps:
        """Runs the program; see the module's docstring.

        Raises:
            CardError: The card is missing.
        """
        if self.card is None:
            raise CardError(
                f"contract {self.contract.name} watches a card, and it is not here: name its file as card"
            )
        layout = Layout(self.card)
        bins = yield Histogram(layout)
        scores = yield Scores(layout)
        known = None
        if self.contract.reads_outcomes:
            outcomes = yield Outcomes(layout)
            grades = yield GradeOutcomes(layout)
            known = KnownOutcomes.of_sums(
                OutcomeSums(values=outcomes.values, deviation=outcomes.deviation),
                grades.values,
                grades.deviation,
                scores.values,
                scores.deviation,
            )
        counts = Counts(
            bins=bins.values,
            bins_deviation=bins.deviation,
            scores=scores.values,
            scores_deviation=scores.deviation,
            outcomes=known,
        )
        return monitoring_report(layout, counts, Past.of_card(layout), contract=self.contract)


def require_watched(contract: Contract, card: Card) -> Card:
    """Refuses a card that the contract does not watch.

    Args:
        contract: With its terms of monitoring.
        card: As it was read.

    Returns:
        The card.

    Raises:
        CardError: It is another card; or the contract bins rows otherwise or speaks of another outcome, so
            that nothing could be compared; or the card tells nothing of its training scores.
    """
    if contract.monitoring is None:
        raise CardError(f"contract {contract.name} trains, and watches no card: leave card out")
    expected, found = contract.monitoring.card, card.fingerprint
    if found != expected:
        raise CardError(
            f"contract {contract.name} watches the card {expected[:16]}…, and this one is {found[:16]}…: "
            "take the card that the organisations agreed to watch, or agree on a contract for this one"
        )
    if contract.grid != card.grid:
        raise CardError(
            f"contract {contract.name} has other characteristics, grids or interactions than the card that "
            "it watches, so present rows would be binned otherwise than training rows: copy these sections "
            "from the contract that the card was trained under"
        )
    of_contract, of_card = (
        (outcome.definition, outcome.bucket, outcome.horizon_days)
        for outcome in (contract.outcome, card.outcome)
    )
    if of_contract != of_card:
        raise CardError(
            f"contract {contract.name} speaks of another outcome than the card that it watches: copy "
            "[outcome] from the contract that the card was trained under"
        )
    Layout(card)
    return card

"""Metrics of a finished card: private sums over the test rows, which no sum of training has seen.

Formal guarantees, for one test record, are those of `fedscore.estimates.plan`, and of `GroupSum` below. The
test side has a budget of its own, as large as the training's: no record is on both sides (ADR 12).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction

import numpy as np

from fedscore.card import Card, Evaluation, Measure
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.estimates.bands import Bands
from fedscore.estimates.calibration import brier, calibration_curve, calibration_error, grades
from fedscore.estimates.interval import LEVEL
from fedscore.estimates.plan import EvaluationPlan, PointsToOdds, Reference, ScoreGrid
from fedscore.estimates.ranking import auc, gini, ks, recall_at
from fedscore.estimates.strategy import Measured, Strategy
from fedscore.learners.planning import planned_sum
from fedscore.learners.scorecard.groups import GroupSum, group_measures, group_sum_bound
from fedscore.learners.scorecard.measures import as_measure
from fedscore.sums import Patterns, PlannedSum, Query, Released, Side, TabulatedContributions, Update

__all__ = ["evaluated", "evaluation_plan", "recall_name"]

DISTRIBUTION_SHARE = Fraction(1, 10)
"""Part of the test side's μ² for where scores lie; the rest says how outcomes lie."""

GROUPS_SHARE = Fraction(1, 4)
"""Part of the test side's μ² for groups, if the contract names any."""

_BANDS = 256


def recall_name(alert_rate: float) -> str:
    """What the recall at an alert rate is called, as "recall at 5 %"."""
    return f"recall at {100 * alert_rate:.6g} %"


def evaluation_plan(contract: Contract) -> tuple[PlannedSum, ...]:
    """The sums over test rows, with their shares of the test side's budget; none without an evaluation."""
    if contract.evaluation is None:
        return ()
    # What they cost does not depend on where scores and cut-offs will lie, only on how many there are.
    most = len(contract.grades.names) - 1 if contract.grades is not None else 0
    anywhere = EvaluationPlan(
        low=0.0,
        high=1.0,
        points=PointsToOdds(offset=0.0, factor=1.0),
        cut_offs=tuple(float(cut) for cut in np.linspace(0.0, 1.0, most + 2)[1:-1]),
        bands=_BANDS,
    )
    for_groups = GROUPS_SHARE if contract.groups else Fraction(0)
    sums = [
        ("score distribution", DISTRIBUTION_SHARE, anywhere.distribution),
        ("outcomes by score", 1 - DISTRIBUTION_SHARE - for_groups, anywhere.outcomes),
    ]
    if contract.groups:
        sums.append(("groups", for_groups, group_sum_bound(contract)))
    return tuple(planned_sum(name, share, bound, side=Side.TEST) for name, share, bound in sums)


def evaluated(card: Card, contract: Contract) -> Generator[Query | Update, Released, Card]:
    """Asks for the sums, and adds what they say to the card.

    Args:
        card: Finished: with its grades, if it has any.
        contract: With an evaluation.

    Returns:
        The card with its `evaluation`.
    """
    if contract.evaluation is None:
        return card
    low, greatest = card.score_range
    # A card without any spread still has a grid, and a grade may begin at the greatest score.
    high = max(greatest + 0.01, low + 1.0)
    begins = {grade.lowest_score for grade in card.grades if grade.lowest_score is not None}
    plan = EvaluationPlan(
        low=low,
        high=high,
        points=PointsToOdds(offset=card.scale.offset, factor=card.scale.factor),
        cut_offs=tuple(sorted(cut for cut in begins if low < cut < high)),
        bands=_BANDS,
    )
    distribution = _Scores(card, plan.grid)
    released = yield distribution
    reference = plan.reference(_measured(distribution.strategy, released))
    outcomes = _Outcomes(card, reference)
    released = yield outcomes
    bands = Bands(reference=reference, measured=_measured(outcomes.strategy, released))
    of_groups: Released | None = None
    if contract.groups:
        of_groups = yield GroupSum(card, contract)
    evaluation = _described(card, bands, contract.evaluation.alert_rates)
    if of_groups is not None:
        evaluation = evaluation.model_copy(update={"groups": group_measures(card, contract, of_groups)})
    return card.model_copy(update={"evaluation": evaluation})


class _Scores(Query):
    """Where the scores of test rows lie; outcomes are not looked at."""

    def __init__(self, card: Card, grid: ScoreGrid) -> None:
        self._card = card
        self._grid = grid
        self.strategy = grid.strategy
        self._patterns = Patterns(self.strategy.patterns)
        self.dimension = self.strategy.dimension

    def contributions(self, rows: Rows) -> TabulatedContributions:
        """The pattern of each record's cell."""
        return TabulatedContributions(
            patterns=self._patterns, cells=self._grid.cell_of(self._card.score(rows.cells))
        )


class _Outcomes(Query):
    """How many bad and good test rows lie in each band."""

    def __init__(self, card: Card, reference: Reference) -> None:
        self._card = card
        self._reference = reference
        self.strategy = reference.strategy
        self._patterns = Patterns(self.strategy.patterns)
        self.dimension = self.strategy.dimension

    def contributions(self, rows: Rows) -> TabulatedContributions:
        """The pattern of each record's band and outcome."""
        return TabulatedContributions(
            patterns=self._patterns,
            cells=self._reference.cell_of(self._card.score(rows.cells), rows.outcome),
        )


def _measured(strategy: Strategy, released: Released) -> Measured:
    return Measured(strategy=strategy, values=released.values, deviation=released.deviation)


def _described(card: Card, bands: Bands, alert_rates: Iterable[float]) -> Evaluation:
    named = {
        "auc": auc(bands),
        "gini": gini(bands),
        "ks": ks(bands),
        **{recall_name(rate): recall_at(bands, rate) for rate in alert_rates},
        "brier": brier(bands),
        "calibration error": calibration_error(bands),
        "bad rate": bands.bad_rate(),
    }
    curve = [part for part in calibration_curve(bands) if part.observed.value is not None]
    return Evaluation(
        level=LEVEL,
        records=round(bands.rows.value, 1),
        measures=tuple(measure for name, one in named.items() if (measure := as_measure(name, one))),
        not_measured=tuple(name for name, one in named.items() if one.value is None),
        calibration=tuple(
            measure
            for part in curve
            if (measure := as_measure(_span(part.low, part.high), part.observed)) is not None
        ),
        predicted=tuple(round(part.predicted.value or 0.0, 6) for part in curve),
        grades=tuple(_bad_rates_of_grades(card, bands)),
    )


def _bad_rates_of_grades(card: Card, bands: Bands) -> Iterator[Measure]:
    """One for each grade that a score can have, and that has enough rows; none where there are no grades."""
    if not card.grades:
        return
    low, high = card.score_range
    names: dict[float | None, str] = {}
    for grade in card.grades:
        begins = grade.lowest_score
        # From the least score on, a grade takes all the rest; above the greatest, or where a better one
        # begins, it is empty.
        if begins is None or begins <= high:
            names.setdefault(begins if begins is not None and begins > low else None, grade.name)
    cut_offs = tuple(sorted(begins for begins in names if begins is not None))
    for part in grades(bands, cut_offs):
        measure = as_measure(names[part.low], part.bad_rate)
        if measure is not None:
            yield measure


def _span(low: float | None, high: float | None) -> str:
    if low is None:
        return f"below {high:.2f}"
    return f"from {low:.2f}" if high is None else f"{low:.2f} to {high:.2f}"

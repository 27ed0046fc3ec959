"""What was counted of present rows: exactly at one organisation, or over all parties with noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fedscore.estimates import OutcomeSums, outcome_vectors
from fedscore.estimates.strategy import SumBound
from fedscore.monitoring.layout import NOWHERE, Layout

__all__ = ["Counts", "ExactCounts", "KnownOutcomes", "grade_sum_bound", "grade_vectors"]

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_Cells = npt.NDArray[np.integer[Any]]

EXPECTED_WEIGHT = 0.5
"""Weight of the expected number of bad rows in the sum over grades: its noise hardly enters."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownOutcomes:
    """Counts of the rows whose outcome is known.

    Attributes:
        sums: Over all of them.
        scores: [score cells], their numbers.
        scores_deviation: Standard deviation of the noise in each.
        surplus: [grades], bad rows beyond those that the card expects.
        expected: [grades], bad rows that it expects.
        surplus_deviation: Standard deviation of the noise in each surplus.
        expected_deviation: Likewise in each expected number.
    """

    sums: OutcomeSums
    scores: _Floats
    scores_deviation: float
    surplus: _Floats
    expected: _Floats
    surplus_deviation: float
    expected_deviation: float

    @classmethod
    def of_sums(
        cls, sums: OutcomeSums, grades: _Floats, grades_deviation: float, scores: _Floats, deviation: float
    ) -> KnownOutcomes:
        """Reads sums of `fedscore.estimates.outcome_vectors`, of `grade_vectors`, and of scores."""
        surplus, expected = grades.reshape(2, -1)
        return cls(
            sums=sums,
            scores=scores,
            scores_deviation=deviation,
            surplus=surplus,
            expected=expected / EXPECTED_WEIGHT,
            surplus_deviation=grades_deviation,
            expected_deviation=grades_deviation / EXPECTED_WEIGHT,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """Counts of present rows.

    Attributes:
        bins: [bins over all tables], rows in each bin.
        bins_deviation: Standard deviation of the noise in each.
        scores: [score cells], rows in each cell of the score.
        scores_deviation: Standard deviation of the noise in each.
        outcomes: Of the rows whose outcome is known; none if none is.
    """

    bins: _Floats
    bins_deviation: float
    scores: _Floats
    scores_deviation: float
    outcomes: KnownOutcomes | None


def grade_sum_bound(grades: int) -> SumBound:
    """What the sum of `grade_vectors` costs.

    A record with outcome y and probability p adds y - p and p/2 at its grade's places: squared norm ≤ max(1,
    p² + p²/4) ≤ 5/4.
    """
    return SumBound(sensitivity_squared=Fraction(5, 4), largest=Fraction(1), dimension_limit=2 * grades)


def grade_vectors(
    outcome: npt.NDArray[np.int8], probability: _Floats, grade: _Integers, *, grades: int
) -> _Floats:
    """[records, 2 · grades]: y - p at the record's grade, then p/2 at the same place of the second half.

    Args:
        outcome: [records] in {0, 1}; 1 is bad.
        probability: [records], of the bad outcome under the card.
        grade: [records], places in the card's grades.
        grades: How many there are.
    """
    vectors = np.zeros((len(grade), 2 * grades))
    records = np.arange(len(grade))
    vectors[records, grade] = outcome - probability
    vectors[records, grades + grade] = EXPECTED_WEIGHT * probability
    return vectors


@dataclass(kw_only=True, eq=False)
class ExactCounts:
    """Counts one organisation's own rows, batch by batch.

    Attributes:
        layout: What is counted.
    """

    layout: Layout
    _bins: _Integers = field(init=False)
    _scores: _Integers = field(init=False)
    _known: _Integers = field(init=False)
    _sums: _Floats = field(init=False)
    _grades: _Floats = field(init=False)

    def __post_init__(self) -> None:
        cells = self.layout.score_cells
        self._bins = np.zeros(self.layout.bins, dtype=np.int64)
        self._scores, self._known = np.zeros(cells, dtype=np.int64), np.zeros(cells, dtype=np.int64)
        self._sums, self._grades = np.zeros(4), np.zeros(2 * len(self.layout.card.grades))

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return int(self._scores.sum())

    @property
    def known(self) -> int:
        """Of how many of them the outcome is known."""
        return int(self._known.sum())

    def add(self, cells: _Cells, outcome: _Floats | None) -> None:
        """Counts some rows.

        Args:
            cells: [records, tables], as the card's grid has them.
            outcome: [records], 1 bad, 0 good, NaN where it is not known yet; none if it is known of no row.
        """
        layout, card = self.layout, self.layout.card
        total = card.hundredths(cells)
        bins = layout.bins_of(cells)
        self._bins += np.bincount(bins[bins != NOWHERE], minlength=layout.bins)
        places = layout.score_cells_of(total)
        self._scores += np.bincount(places, minlength=layout.score_cells)
        if outcome is None:
            return
        known = ~np.isnan(outcome)
        labels, probability = outcome[known].astype(np.int8), card.probability_of(total[known] / 100.0)
        self._known += np.bincount(places[known], minlength=layout.score_cells)
        self._sums += outcome_vectors(labels, probability, layout.leverage).sum(axis=0)
        self._grades += grade_vectors(
            labels, probability, card.grade_places(total[known]), grades=len(card.grades)
        ).sum(axis=0)

    @property
    def counts(self) -> Counts:
        """What was counted so far."""
        return Counts(
            bins=self._bins.astype(np.float64),
            bins_deviation=0.0,
            scores=self._scores.astype(np.float64),
            scores_deviation=0.0,
            outcomes=KnownOutcomes.of_sums(
                OutcomeSums(values=self._sums.copy(), deviation=0.0),
                self._grades,
                0.0,
                self._known.astype(np.float64),
                0.0,
            )
            if self.known
            else None,
        )

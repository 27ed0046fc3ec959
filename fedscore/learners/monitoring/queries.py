"""The four bounded functions of a record that watching a card sums.

Formal guarantees, for a record whose role holds d tables at most, y its outcome, p the card's probability:

    histogram     one count in each table that its role holds: squared norm ≤ d
    scores        one count at its score: squared norm ≤ 1
    outcomes      (y - p, p/2, (y - p)x/2, 1/4): squared norm ≤ 25/16 (`fedscore.estimates.outcomes`)
    grades        y - p and p/2 at its grade: squared norm ≤ 5/4 (`fedscore.monitoring.counts`)
"""

from __future__ import annotations

import numpy as np

from fedscore.data import Rows
from fedscore.estimates import OUTCOMES, outcome_vectors
from fedscore.monitoring.counts import grade_vectors
from fedscore.monitoring.layout import NOWHERE, Layout
from fedscore.sums import NOT_COUNTED, CellContributions, DenseContributions, Query

__all__ = ["GradeOutcomes", "Histogram", "Outcomes", "Scores"]


class Histogram(Query):
    """Records in every bin of every table; outcomes are not looked at."""

    def __init__(self, layout: Layout) -> None:
        """Takes what the card lays out."""
        self._layout = layout
        self.dimension = layout.bins

    def contributions(self, rows: Rows) -> CellContributions:
        """One count in each table that counts the record."""
        bins = self._layout.bins_of(rows.cells)
        return CellContributions(
            cells=np.where(bins == NOWHERE, NOT_COUNTED, bins), values=np.ones(len(rows))
        )


class Scores(Query):
    """Records in every cell of the score; outcomes are not looked at."""

    def __init__(self, layout: Layout) -> None:
        """Takes what the card lays out."""
        self._layout = layout
        self.dimension = layout.score_cells

    def contributions(self, rows: Rows) -> CellContributions:
        """One count."""
        places = self._layout.score_cells_of(self._layout.card.hundredths(rows.cells))
        return CellContributions(cells=places[:, None], values=np.ones(len(rows)))


class Outcomes(Query):
    """What outcomes say of the card's probabilities."""

    def __init__(self, layout: Layout) -> None:
        """Takes what the card lays out."""
        self._layout = layout
        self.dimension = OUTCOMES.dimension_limit

    def contributions(self, rows: Rows) -> DenseContributions:
        """Four numbers."""
        probability = self._layout.card.probability(rows.cells)
        return DenseContributions(values=outcome_vectors(rows.outcome, probability, self._layout.leverage))


class GradeOutcomes(Query):
    """Likewise within each grade."""

    def __init__(self, layout: Layout) -> None:
        """Takes what the card lays out."""
        self._layout = layout
        self.dimension = 2 * len(layout.card.grades)

    def contributions(self, rows: Rows) -> DenseContributions:
        """Two numbers at the record's grade."""
        card = self._layout.card
        total = card.hundredths(rows.cells)
        return DenseContributions(
            values=grade_vectors(
                rows.outcome,
                card.probability_of(total / 100.0),
                card.grade_places(total),
                grades=len(card.grades),
            )
        )

"""The score of a single record, at once: the same as the scorer of many gives it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedscore.card.parts import hundredths
from fedscore.card.reasons import NO_REASON
from fedscore.card.scoring import Scorer
from fedscore.data.single import RecordBinner

__all__ = ["ScoredRecord", "SingleScorer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRecord:
    """A record with its score.

    Attributes:
        hundredths: The score in whole hundredths of points.
        score: In points.
        probability: Of the outcome.
        grade: Its place in the card's grades; `NO_REASON` where the card has none.
        reasons: Places of the scorer's `reason_names`, the largest loss first.
        losses: What each of them costs, `reasons.LOSS_UNITS` to a point.
    """

    hundredths: int
    score: float
    probability: float
    grade: int
    reasons: tuple[int, ...]
    losses: tuple[int, ...]


class SingleScorer:
    """A scorer of many, taken apart so that one record needs no arrays."""

    def __init__(self, scorer: Scorer) -> None:
        """Takes a scorer's card, role and number of reasons."""
        card = scorer.card
        self._card = card
        self._count = scorer.reasons
        self._binner = RecordBinner(card.grid, role=scorer.role)
        self._intercept = hundredths(card.intercept_points)
        self._points = [table.hundredths_of_cells().tolist() for table in card.tables]
        self._losses = [(column, places, losses.tolist()) for column, places, losses in scorer.losses.tables]
        self._characteristics = len(scorer.reason_names)
        # A score has the first grade that begins at or below it.
        self._begins = sorted(
            hundredths(grade.lowest_score) for grade in card.grades if grade.lowest_score is not None
        )

    def score(self, numbers: Mapping[str, float], categories: Mapping[str, str | None]) -> ScoredRecord:
        """Scores a record.

        Args:
            numbers: By name of the characteristic, NaN where missing; of all that the role holds.
            categories: By name of the characteristic, none where missing; likewise.
        """
        cells = self._binner.cells(numbers, categories)
        total = self._intercept
        for points, cell in zip(self._points, cells, strict=True):
            total += points[cell]
        score = total / 100.0
        reasons, losses = self._largest(cells)
        return ScoredRecord(
            hundredths=total,
            score=score,
            # The exponential of arrays, which need not be the mathematical library's.
            probability=float(self._card.probability_of(np.array([score]))[0]),
            grade=len(self._begins) - bisect_right(self._begins, total) if self._card.grades else NO_REASON,
            reasons=reasons,
            losses=losses,
        )

    def _largest(self, cells: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        lost = [0] * self._characteristics
        for column, places, of_cells in self._losses:
            loss = of_cells[cells[column]]
            for place in places:
                lost[place] += loss
        # Sorting is stable: of equal ones the first.
        ranked = sorted(
            (place for place, loss in enumerate(lost) if loss > 0), key=lambda place: -lost[place]
        )
        told = ranked[: self._count]
        return tuple(told), tuple(lost[place] for place in told)

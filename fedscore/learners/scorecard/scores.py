"""One private sum of scores: how bad and good training records lie over a fine grid of points.

Formal guarantee: a record in grid cell k adds r_(j-k) to answer j ≥ k of the bad, or of the good, records
(`fedscore.estimates.strategy`), and 1 to their number: squared norm ≤ Σ r_i² over the grid's cells + 1, known
before any row is read. With an answer of its own the number of bad records has three fifths of the noise: it
is what a calibrated card can be wrong by on the whole, and what the bad-rate alarm rests on later.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import numpy.typing as npt

from fedscore.card import Card
from fedscore.data import Rows
from fedscore.estimates.plan import ScoreGrid
from fedscore.estimates.strategy import Measured, Strategy, SumBound, running_counts
from fedscore.sums import Patterns, Query, Released, TabulatedContributions

__all__ = ["GRID_CELLS", "ScoreCounts", "ScoreSum", "score_strategy", "score_sum_bound"]

GRID_CELLS = 256
"""Cells of the grid over the scores that a card can give."""

_Floats = npt.NDArray[np.float64]


@cache
def score_strategy() -> Strategy:
    """Running counts of bad records and their number, then of good ones."""
    counts = np.hstack([running_counts(GRID_CELLS).patterns, np.ones((GRID_CELLS, 1))])
    nothing = np.zeros_like(counts)
    return Strategy(patterns=np.block([[counts, nothing], [nothing, counts]]))


@cache
def score_sum_bound() -> SumBound:
    """What the sum costs: the same for every card."""
    return score_strategy().bound


@cache
def _patterns() -> Patterns:
    return Patterns(score_strategy().patterns)


class ScoreSum(Query):
    """Bad and good records over a grid between the least and the greatest score of a card."""

    def __init__(self, card: Card) -> None:
        """Lays the grid.

        Args:
            card: Public; scores each record.
        """
        self.card = card
        self.grid = score_grid(card)
        self.dimension = score_strategy().dimension

    def contributions(self, rows: Rows) -> TabulatedContributions:
        """The pattern of each record's cell."""
        cells = self.grid.cell_of(self.card.score(rows.cells))
        return TabulatedContributions(
            patterns=_patterns(), cells=np.where(rows.outcome == 1, cells, GRID_CELLS + cells)
        )


def score_grid(card: Card) -> ScoreGrid:
    """Cells of equal width over all scores that a card can give."""
    low, high = card.score_range
    return ScoreGrid(low=low, high=max(high, low + 1.0), cells=GRID_CELLS)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreCounts:
    """What the sum says.

    Attributes:
        edges: [cells + 1], ascending points.
        measured: The sum, with the noise in it.
    """

    edges: _Floats
    measured: Measured

    @classmethod
    def of(cls, query: ScoreSum, released: Released) -> Self:
        """Reads the opened sum."""
        measured = Measured(strategy=score_strategy(), values=released.values, deviation=released.deviation)
        return cls(edges=query.grid.edges, measured=measured)

    def moved(self, factor: float, shift: float) -> Self:
        """The same counts over scores that were multiplied by a positive factor, and shifted."""
        return type(self)(edges=self.edges * factor + shift, measured=self.measured)

    @property
    def middles(self) -> _Floats:
        """[cells], the points in the middle of each."""
        return np.asarray((self.edges[1:] + self.edges[:-1]) / 2)

    @property
    def bad(self) -> _Floats:
        """[cells], unbiased counts of bad records; may be negative."""
        return self.measured.counts[:GRID_CELLS]

    @property
    def good(self) -> _Floats:
        """[cells], unbiased counts of good records; may be negative."""
        return self.measured.counts[GRID_CELLS:]

    def below(self) -> _Floats:
        """[cells + 1], how many records score below each edge: never negative, never falling."""
        running = np.concatenate([[0.0], np.cumsum(self.bad + self.good)])
        # Between the two envelopes no noise is taken for records, or records for noise, more than once.
        rising = np.maximum.accumulate(running)
        falling = np.minimum.accumulate(running[::-1])[::-1]
        monotone = np.maximum((rising + falling) / 2, 0.0)
        return np.asarray(np.maximum.accumulate(monotone))

    def deviation(self, bad_weights: _Floats, good_weights: _Floats) -> float:
        """Standard deviation of the noise in a weighted sum of counts."""
        return float(self.measured.deviations(np.concatenate([bad_weights, good_weights])))

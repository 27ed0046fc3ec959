"""The two private sums of an evaluation, and what is public between them.

    1. Where do scores lie?       A fine grid of points, outcomes not looked at. Gives bands of equal mass.
    2. How do outcomes lie?       Bad and good rows by band, as `Strategy` asks for them.

Formal guarantees, for one record with K ≤ `bands` bands and r_i as in `strategy`:

    1. grid cell k:               r_(j-k) in answer j ≥ k;      squared norm ≤ Σ_{i<cells} r_i²
    2. bad, in band k:            r_(j-k) in answer j ≥ k of the bad rows,
                                  a(φ_k - 1/2) in the bad rows' ranking answer,
                                  c in their number; zeros among the answers of the good rows
       good, in band k:           the mirror image, with ψ_k instead of φ_k;
                                  squared norm ≤ Σ_{i<K} r_i² + a²/4 + c²

where a = 2, c = 1; φ_k is the share of good rows that score safer than band k, plus half of the band, under
the public reference, and ψ_k the share of bad rows that score riskier, plus half. The ranking answers are
the linear part of the AUC (Hájek): with A(P, Q) the probability that a bad row of P scores below a good row
of Q (ties count half), which is linear in both,

    A(F, G) = A(F, G₀) + A(F₀, G) - A(F₀, G₀) + A(F - F₀, G - G₀)

for *any* reference (F₀, G₀): the first two terms are means of φ over bad and of ψ over good rows, the third
is public, and the last is small of second order. The bands tell the last one, so nothing is neglected: what
is estimated is the AUC of the bands, and least squares finds how to weigh the answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fedscore.errors import DataError
from fedscore.estimates.strategy import Measured, Strategy, SumBound, running_counts, settled_patterns

__all__ = ["EvaluationPlan", "PointsToOdds", "Reference", "ScoreGrid", "outcome_strategy"]

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]

_RANKING_WEIGHT = 2
"""Of the ranking answers. `python -m benchmarks.private_estimates` prints what other choices cost."""

_NUMBER_WEIGHT = 1
"""Of the answers that count all bad and all good rows."""

_POINT_STEPS = 1024
"""Edges are multiples of 1 / this of a point: the same on every machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsToOdds:
    """How a score becomes a probability.

    Attributes:
        offset: Points at odds 1 : 1.
        factor: Points per unit of log-odds, positive: more points are safer.

    Raises:
        DataError: They are no finite numbers, or the factor is not positive.
    """

    offset: float
    factor: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.offset) and 0.0 < self.factor < np.inf):
            raise DataError("points become odds by a finite offset and a positive factor")

    def probability(self, points: npt.ArrayLike) -> _Floats:
        """Probability of the bad outcome at so many points."""
        log_odds = (np.asarray(points, dtype=np.float64) - self.offset) / self.factor
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(log_odds, -700.0, 700.0))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreGrid:
    """Cells of equal width over the points that a card can give.

    Attributes:
        low: The least score that is possible.
        high: The greatest.
        cells: How many.

    Raises:
        DataError: There is nothing between low and high.
    """

    low: float
    high: float
    cells: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise DataError(f"scores from {self.low} to {self.high}: the greatest must exceed the least")
        if self.cells < 1:
            raise DataError(f"a grid of {self.cells} cells: at least one is needed")

    @property
    def edges(self) -> _Floats:
        """[cells + 1], from the least score to the greatest."""
        return np.linspace(self.low, self.high, self.cells + 1)

    @property
    def strategy(self) -> Strategy:
        """What a record adds to the first sum."""
        return running_counts(self.cells)

    def cell_of(self, scores: npt.ArrayLike) -> _Integers:
        """[records], each score's cell; what lies outside belongs to the nearest."""
        return np.searchsorted(self.edges[1:-1], _finite(scores), side="right").astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """What is public once the first sum is opened: bands, and what to expect in them.

    Bands are numbered from the riskiest. A score on an edge belongs to the safer band.

    Attributes:
        edges: [bands - 1], ascending points.
        shares: [bands], share of all rows as the first sum tells it; positive, adds to 1.
        probabilities: [bands], of the bad outcome at the middle of the band.
        least_probabilities: [bands], at its safer end.
        greatest_probabilities: [bands], at its riskier end.
    """

    edges: _Floats
    shares: _Floats
    probabilities: _Floats
    least_probabilities: _Floats
    greatest_probabilities: _Floats

    @property
    def bands(self) -> int:
        """How many."""
        return len(self.shares)

    def band_of(self, scores: npt.ArrayLike) -> _Integers:
        """[records], each score's band."""
        return np.searchsorted(self.edges, _finite(scores), side="right").astype(np.int64)

    def cell_of(self, scores: npt.ArrayLike, outcome: npt.ArrayLike) -> _Integers:
        """[records], each record's row of the strategy: its band if bad, bands + its band if good."""
        bad = np.asarray(outcome) == 1
        return np.where(bad, 0, self.bands) + self.band_of(scores)

    @property
    def strategy(self) -> Strategy:
        """What a record adds to the second sum: bad rows' answers, then good rows'."""
        return outcome_strategy(
            self.shares * self.probabilities,
            self.shares * (1.0 - self.probabilities),
            ranking_weight=_RANKING_WEIGHT,
            number_weight=_NUMBER_WEIGHT,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """An evaluation as it is known before any test row was read.

    Attributes:
        low: The least score that the card can give.
        high: The greatest.
        points: How scores become probabilities.
        cut_offs: Scores at which grades change; they become edges of bands.
        bands: At most so many, besides those that cut-offs add.
        grid_cells: Of the first sum.

    Raises:
        DataError: A cut-off is outside the scores that are possible, or there are fewer than two bands.
    """

    low: float
    high: float
    points: PointsToOdds
    cut_offs: tuple[float, ...] = ()
    bands: int = 256
    grid_cells: int = 512

    def __post_init__(self) -> None:
        outside = [cut for cut in self.cut_offs if not self.low < cut < self.high]
        if outside:
            raise DataError(f"cut-offs {outside} are outside the possible scores, {self.low} to {self.high}")
        if self.bands < 2:
            raise DataError(f"{self.bands} bands rank nothing: ask for at least 2")

    @property
    def grid(self) -> ScoreGrid:
        """The first sum's cells."""
        return ScoreGrid(low=self.low, high=self.high, cells=self.grid_cells)

    @property
    def distribution(self) -> SumBound:
        """What the first sum costs."""
        return self.grid.strategy.bound

    @property
    def outcomes(self) -> SumBound:
        """What the second sum costs at most, wherever its bands will lie."""
        bands = self.bands + len(self.cut_offs)
        counts = running_counts(bands).bound
        ranking = Fraction(_RANKING_WEIGHT, 2)
        return SumBound(
            sensitivity_squared=counts.sensitivity_squared + ranking**2 + _NUMBER_WEIGHT**2,
            largest=max(counts.largest, ranking, Fraction(_NUMBER_WEIGHT)),
            dimension_limit=2 * (bands + 2),
        )

    def reference(self, measured: Measured) -> Reference:
        """Lays bands of equal mass over the scores.

        Args:
            measured: The first sum.

        Returns:
            The bands; of equal width if the sum tells nothing.

        Raises:
            DataError: It is a sum over another grid.
        """
        grid_edges = self.grid.edges
        if measured.strategy.cells != self.grid_cells:
            raise DataError(f"a sum over {measured.strategy.cells} cells, {self.grid_cells} were asked for")
        below = np.clip(np.concatenate([[0.0], _increasing(np.cumsum(measured.counts))]), 0.0, None)
        if below[-1] <= 5.0 * float(measured.deviations(np.ones(self.grid_cells))):
            below = np.arange(self.grid_cells + 1.0)
        # A slight slope lets every share of the rows have one score, also where nobody is.
        below = 0.999 * below / below[-1] + 0.001 * np.linspace(0.0, 1.0, self.grid_cells + 1)
        wanted = np.interp(np.arange(1, self.bands) / self.bands, below, grid_edges)
        wanted = np.round(wanted * _POINT_STEPS) / _POINT_STEPS
        edges = np.unique(np.concatenate([wanted, self.cut_offs]))
        edges = edges[(edges > self.low) & (edges < self.high)]
        ends = np.concatenate([[self.low], edges, [self.high]])
        at_ends = np.interp(ends, grid_edges, below)
        middles = np.interp((at_ends[1:] + at_ends[:-1]) / 2, below, grid_edges)
        probability_at_ends = self.points.probability(ends)
        return Reference(
            edges=edges,
            shares=_masses(np.diff(at_ends)),
            probabilities=self.points.probability(middles),
            least_probabilities=probability_at_ends[1:],
            greatest_probabilities=probability_at_ends[:-1],
        )


def outcome_strategy(bad: _Floats, good: _Floats, *, ranking_weight: float, number_weight: float) -> Strategy:
    """The matrix of the second sum.

    Args:
        bad: [bands], where bad rows are expected; any scale.
        good: [bands], where good rows are expected; any scale.
        ranking_weight: Of the ranking answers; a in the module's docstring.
        number_weight: Of the numbers of rows; c there.
    """
    bad, good = _masses(bad), _masses(good)
    safer_good = 1.0 - np.cumsum(good) + good / 2
    riskier_bad = np.cumsum(bad) - bad / 2
    counts = running_counts(len(bad)).patterns
    number = np.full((len(bad), 1), number_weight)
    first, second = (
        np.hstack([counts, settled_patterns(ranking_weight * (ranks[:, None] - 0.5)), number])
        for ranks in (np.clip(safer_good, 0.0, 1.0), np.clip(riskier_bad, 0.0, 1.0))
    )
    nothing = np.zeros_like(first)
    return Strategy(patterns=np.block([[first, nothing], [nothing, second]]))


def _finite(scores: npt.ArrayLike) -> _Floats:
    values = np.asarray(scores, dtype=np.float64)
    if not np.all(np.isfinite(values)):
        raise DataError(
            f"{int(np.sum(~np.isfinite(values)))} scores are missing or infinite: score every row"
        )
    return values


def _masses(weights: _Floats) -> _Floats:
    floored = np.maximum(weights, 1e-12)
    return np.asarray(floored / floored.sum())


def _increasing(values: _Floats) -> _Floats:
    """The nearest increasing sequence (pool adjacent violators)."""
    means: list[float] = []
    lengths: list[int] = []
    for value in values.tolist():
        mean, length = value, 1
        while means and means[-1] > mean:
            total = length + lengths[-1]
            mean = (mean * length + means.pop() * lengths.pop()) / total
            length = total
        means.append(mean)
        lengths.append(length)
    return np.repeat(means, lengths)

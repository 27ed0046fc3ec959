"""Which vector a record adds, so that every count that is asked for later comes out with little noise.

A record falls into one of finitely many public cells (score band, outcome) and adds that cell's row of a
public matrix. All released counts are linear in the cells' counts, and so is everything that is estimated
from them: the matrix mechanism (Li, Miklau, Hay, McGregor and Rastogi 2015). What matters is the matrix.

One count per cell is the worst of them for scores: sums over many bands (how many bad rows score below a
cut-off?) add up the noise of all those bands. `running_counts` asks for half-summed counts instead. Let r_i
= C(2i, i) / 4^i, the coefficients of (1 - x)^(-1/2). A record in cell k adds r_(j-k) to answer j for every j
≥ k. The matrix of running counts is the square of that Toeplitz matrix, because (1 - x)^(-1/2) squared is
1/(1 - x). So

    squared sensitivity     S = Σ_{i<K} r_i²  ≈  (ln K + 3.35) / π        (2.83 for K = 256)
    variance of any running count, in units of the noise of one answer    ≤ S
    variance of one cell's count                                          ≤ 4/π

against 1, K and 1 with one count per cell (Fichtenberger, Henzinger and Upadhyay 2023, "Constant matters").
256 bands cost as much noise as 20 separate ones, and leave almost nothing to discretisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from fedscore.errors import DataError

__all__ = ["Measured", "Strategy", "SumBound", "released_numbers", "running_counts", "settled_patterns"]

_Floats = npt.NDArray[np.float64]

_STEPS = 2**20
"""Entries are multiples of 1 / this: the same on every machine, and their squares are exact integers."""

_LARGEST = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class SumBound:
    """What a private sum costs at most, known before any row was read.

    Attributes:
        sensitivity_squared: Largest squared L2 norm of what one record adds.
        largest: Largest absolute value of one coordinate of it.
        dimension_limit: The sum is at most this long.
    """

    sensitivity_squared: Fraction
    largest: Fraction
    dimension_limit: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Strategy:
    """The public matrix of a private sum: row k is what a record in cell k adds.

    Attributes:
        patterns: [cells, answers], multiples of 2⁻²⁰ of at most 16 in size, of full row rank.

    Raises:
        DataError: The patterns are no such matrix.
    """

    patterns: _Floats

    def __post_init__(self) -> None:
        if self.patterns.ndim != 2 or not 0 < self.patterns.shape[0] <= self.patterns.shape[1]:
            raise DataError(
                f"a strategy of shape {self.patterns.shape}: at least one cell, and as many answers as cells"
            )
        # Then no sum of squares in steps of 2⁻²⁰ leaves 63 bits.
        if not np.all(np.abs(self.patterns) <= 16.0) or self.dimension > 2**14:  # also for NaN
            raise DataError("a strategy with entries beyond 16, or over 16,384 answers: scale it down")

    @property
    def cells(self) -> int:
        """Into so many cells records are sorted."""
        return len(self.patterns)

    @property
    def dimension(self) -> int:
        """Length of the sum."""
        return int(self.patterns.shape[1])

    @property
    def bound(self) -> SumBound:
        """The exact sensitivity of this matrix."""
        steps = np.rint(self.patterns * _STEPS).astype(np.int64)
        squares = int(np.square(steps).sum(axis=1).max())
        return SumBound(
            sensitivity_squared=Fraction(squares, _STEPS**2),
            largest=Fraction(int(np.abs(steps).max()), _STEPS),
            dimension_limit=self.dimension,
        )

    @cached_property
    def decoder(self) -> _Floats:
        """[cells, answers], least squares: turns answers into cells' counts with the least variance."""
        return np.asarray(np.linalg.solve(self.patterns @ self.patterns.T, self.patterns))


def settled_patterns(patterns: _Floats) -> _Floats:
    """Rounds toward zero to multiples of 2⁻²⁰, which lengthens no row."""
    # + 0.0 turns the negative zero of rounding into zero
    return np.asarray(np.trunc(patterns * _STEPS) / _STEPS + 0.0)


@cache
def running_counts(cells: int) -> Strategy:
    """The strategy of the module's docstring: good for every count of a run of neighbouring cells.

    Args:
        cells: How many, in order.

    Raises:
        DataError: There is no cell.
    """
    if cells < 1:
        raise DataError(f"running counts over {cells} cells: at least one is needed")
    steps = np.arange(1, cells)
    coefficients = np.concatenate([[1.0], np.cumprod((2.0 * steps - 1.0) / (2.0 * steps))])
    distance = np.subtract.outer(np.arange(cells), np.arange(cells)).T
    patterns = np.where(distance >= 0, coefficients[np.abs(distance)], 0.0)
    return Strategy(patterns=settled_patterns(patterns))


def released_numbers(values: _Floats, deviation: float) -> bool:
    """Whether a sum over records can have released these: finite, and no more than there are people."""
    return bool(np.all(np.abs(values) <= _LARGEST)) and 0.0 <= deviation <= _LARGEST


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """A released sum together with the matrix that was asked for.

    Attributes:
        strategy: What each record added.
        values: [answers], as released, in units.
        deviation: Standard deviation of the independent noise in each value.

    Raises:
        DataError: The values do not belong to the strategy, or are not finite.
    """

    strategy: Strategy
    values: _Floats
    deviation: float

    def __post_init__(self) -> None:
        if self.values.shape != (self.strategy.dimension,):
            raise DataError(
                f"{self.values.shape} values for a strategy of {self.strategy.dimension} answers: "
                "pass the sum as it was released"
            )
        if not released_numbers(self.values, self.deviation):
            raise DataError("released values and the deviation of their noise must be finite, at most 1e12")

    @property
    def counts(self) -> _Floats:
        """[cells], the best unbiased estimate of the records in each cell; may be negative."""
        return np.asarray(self.strategy.decoder @ self.values)

    def covariance(self, weights: _Floats) -> _Floats:
        """Of the noise in weighted sums of the counts.

        Args:
            weights: [sums, cells].

        Returns:
            [sums, sums].
        """
        spread = self.deviation * (weights @ self.strategy.decoder)
        return np.asarray(spread @ spread.T)

    def deviations(self, weights: npt.ArrayLike) -> _Floats:
        """Standard deviation of the noise in weighted sums of the counts.

        Args:
            weights: [..., cells].

        Returns:
            [...], one for each row of weights.
        """
        spread = np.asarray(weights, dtype=np.float64) @ self.strategy.decoder
        return np.asarray(self.deviation * np.sqrt(np.square(spread).sum(axis=-1)))

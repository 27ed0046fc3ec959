"""The four bounded functions of a record that the scorecard sums.

Formal guarantees, for a record whose role holds d tables at most, y its outcome, z its standardised row,
p its probability:

    histogram     one count in each table that its role holds: squared norm ≤ d
    covariance    upper triangle of zzᵀ with ‖z‖ ≤ R: squared norm ≤ ‖z‖⁴ ≤ R⁴
    gradient      (y - p)z, clipped to norm 1: squared norm ≤ 1
    residuals     y - p in one bin of each table that its role holds, |y - p| ≤ 1: squared norm ≤ d
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.data import Rows
from fedscore.learners.scorecard.axes import Axes
from fedscore.sums import NOT_COUNTED, CellContributions, DenseContributions, Query

__all__ = ["Covariance", "Gradient", "Histogram", "LinearModel", "Residuals", "probability"]


def probability(log_odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The logistic function, without overflow."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0))))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearModel:
    """Standardised columns, one per table, and a constant.

    Attributes:
        axes: The tables.
        columns: [cells], the standardised weight of evidence of each cell, divided by √(d+1).
        constant: The constant column's value, 1/√(d+1).
    """

    axes: Axes
    columns: npt.NDArray[np.float64]
    constant: float

    def design(self, rows: Rows) -> npt.NDArray[np.float64]:
        """[records, d+1], the constant first."""
        lookups = [self.axes.lookup(self.columns, rows.cells, table) for table in range(len(self.axes))]
        return np.column_stack([np.full(len(rows), self.constant), *lookups])

    def cell_log_odds(self, slopes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """[cells], each cell's part of the log-odds under `slopes` (constant left out)."""
        return np.asarray(self.columns * np.repeat(slopes[1:], self.axes.sizes))


def _norms(design: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Row norms, each summed in a fixed order."""
    squared = np.zeros(len(design))
    for column in range(design.shape[1]):
        squared += design[:, column] ** 2
    return np.sqrt(squared)


@dataclass(frozen=True, slots=True)
class Histogram(Query):
    """Bad and good records in every cell: first all bad counts, then all good ones."""

    axes: Axes

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the axes
        """Twice the number of cells."""
        return 2 * self.axes.cells

    def contributions(self, rows: Rows) -> CellContributions:
        """One count per table."""
        good = np.where(rows.outcome == 1, 0, self.axes.cells)[:, None]
        cells = self.axes.counted(rows.cells)
        return CellContributions(
            cells=np.where(cells == NOT_COUNTED, NOT_COUNTED, cells + good), values=np.ones(len(rows))
        )


@dataclass(frozen=True, slots=True)
class Covariance(Query):
    """Upper triangle of Σzzᵀ, row by row."""

    model: LinearModel
    radius: float

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the axes
        """(d+1)(d+2)/2."""
        columns = len(self.model.axes) + 1
        return columns * (columns + 1) // 2

    def contributions(self, rows: Rows) -> DenseContributions:
        """Outer products of rows clipped to the radius."""
        design = self.model.design(rows)
        factor = np.minimum(1.0, self.radius / np.maximum(_norms(design), 1e-12))
        design = design * factor[:, None]
        first, second = np.triu_indices(design.shape[1])
        return DenseContributions(values=design[:, first] * design[:, second])

    def matrix(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Turns a released upper triangle back into the symmetric matrix."""
        columns = len(self.model.axes) + 1
        full = np.zeros((columns, columns))
        full[np.triu_indices(columns)] = values
        return np.asarray(full + np.triu(full, 1).T)


@dataclass(frozen=True, slots=True)
class Gradient(Query):
    """Gradient of the log-likelihood at `slopes`, every record clipped to norm 1.

    `offsets` [cells] are added to the log-odds and stay as they are.
    """

    model: LinearModel
    slopes: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the axes
        """D + 1."""
        return len(self.model.axes) + 1

    def contributions(self, rows: Rows) -> DenseContributions:
        """Clipped (y - p)z."""
        design = self.model.design(rows)
        log_odds = self.model.axes.score(
            self.model.cell_log_odds(self.slopes) + self.offsets,
            rows.cells,
            intercept=float(self.slopes[0] * self.model.constant),
        )
        residual = rows.outcome - probability(log_odds)
        factor = np.minimum(1.0, 1.0 / np.maximum(np.abs(residual) * _norms(design), 1e-12))
        return DenseContributions(values=design * (residual * factor)[:, None])


@dataclass(frozen=True, slots=True)
class Residuals(Query):
    """Σ(y - p) in every bin of every table, at the card so far."""

    axes: Axes
    bin_of_cell: npt.NDArray[np.int64]
    cell_log_odds: npt.NDArray[np.float64]
    intercept: float

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the bins
        """Number of bins over all tables."""
        return int(self.bin_of_cell.max()) + 1

    def contributions(self, rows: Rows) -> CellContributions:
        """The residual of each record, once per table."""
        cells = self.axes.counted(rows.cells)
        log_odds = self.axes.score(self.cell_log_odds, rows.cells, intercept=self.intercept)
        return CellContributions(
            cells=np.where(cells == NOT_COUNTED, NOT_COUNTED, self.bin_of_cell[cells]),
            values=rows.outcome - probability(log_odds),
        )

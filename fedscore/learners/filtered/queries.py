"""The bounded functions of a record that the filtered card sums.

Formal guarantees. A record's role holds tables of weights w (a whole number for characteristics, 1 for
interactions), d of them characteristics; W is the largest Σw² of any role. Let y be its outcome, p its
probability, z its columns, u their usual squared norm, a the part of a round that is the columns':

    histogram     w in one cell of each table that its role holds: squared norm Σw² ≤ W
    covariance    upper triangle of zzᵀ of the characteristics, ‖z‖ ≤ R: squared norm ≤ ‖z‖⁴ ≤ R⁴
    curvature     upper triangle of c zzᵀ with c ‖z‖² ≤ B: squared norm ≤ (c ‖z‖²)² ≤ B²
    gradient      g √(a/u) z in the columns, g √((1-a)/W) w in one cell of each table that its role
                  holds; with t² = a ‖z‖²/u + (1-a) Σw²/W and |g| ≤ 1/t: squared norm g² t² ≤ 1

The upper triangle of zzᵀ has at most the squared norm of the whole, which is ‖z‖⁴.

residual y - p of a good record at p = .1 is a ninth of that of a bad one. Divided by max(p, 1-p), the rarer
residual y - p of a good record at p = .1 is a ninth of that of a bad one. Divided by max(p, 1 - p), the rarer
outcome always adds 1, and the other one the odds of the rarer. The expectation still vanishes where p is
right, and the sum changes with the log-odds by min(p, 1-p) instead of p(1-p): up to twice as much for the
same noise. No function of y and p bounded by 1 whose expectation vanishes at the right p changes faster
(ADR 14). Divided by t as well, rows with long columns add no more than others; since t does not depend on y,
that biases nothing, as clipping would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.data import Cells, Rows
from fedscore.learners.filtered.contributions import MixedContributions, WeightedCells
from fedscore.learners.filtered.layout import Layout
from fedscore.sums import NOT_COUNTED, DenseContributions, Query

__all__ = ["Columns", "Curvature", "Gradient", "Histogram", "Model", "Moments"]

_Floats = npt.NDArray[np.float64]

_INSIDE = 1.0 - 1e-8
"""Keeps contributions of full length from being shortened once more on the lattice."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A constant, an indicator of each role that does not hold everything, and a column for each table.

    Attributes:
        layout: The tables.
        values: [cells], what a record in a cell has in its table's column.
    """

    layout: Layout
    values: _Floats

    @property
    def count(self) -> int:
        """How many there are."""
        return 1 + len(self.layout.carriers) + len(self.layout.axes)

    def design(self, cells: Cells) -> _Floats:
        """[records, columns]."""
        axes = self.layout.axes
        tables = [axes.lookup(self.values, cells, table) for table in range(len(axes))]
        return np.column_stack([self.anchors(cells), *tables])

    def anchors(self, cells: Cells) -> _Floats:
        """[records, 1 + roles], the constant and the indicators."""
        indicators = [_is_at(cell, self.layout, cells) for cell in self.layout.carriers.values()]
        return np.column_stack([np.ones(len(cells)), *indicators])

    @property
    def mapping(self) -> _Floats:
        """[columns, 1 + cells], of which parameters' gradients each column's is the sum."""
        axes = self.layout.axes
        anchors = 1 + len(self.layout.carriers)
        mapping = np.zeros((self.count, 1 + axes.cells))
        mapping[0, 0] = 1.0
        for number, cell in enumerate(self.layout.carriers.values(), start=1):
            mapping[number, 1 + cell] = 1.0
        for number, (_, cells) in enumerate(axes.slices()):
            mapping[anchors + number, 1 + cells.start : 1 + cells.stop] = self.values[cells]
        return mapping


def _is_at(cell: int, layout: Layout, cells: Cells) -> _Floats:
    table = int(np.searchsorted(layout.axes.offsets, cell, side="right")) - 1
    return np.asarray(cells[:, table] == cell - layout.axes.offsets[table], dtype=np.float64)


def _squared_norms(design: _Floats) -> _Floats:
    """Of rows, each summed in a fixed order."""
    squared = np.zeros(len(design))
    for column in range(design.shape[1]):
        squared += design[:, column] ** 2
    return squared


def _triangles(design: _Floats, weights: _Floats) -> DenseContributions:
    """Upper triangles of weighted outer products of rows."""
    first, second = np.triu_indices(design.shape[1])
    return DenseContributions(values=design[:, first] * (design * weights[:, None])[:, second])


def _matrix(triangle: _Floats, count: int) -> _Floats:
    full = np.zeros((count, count))
    full[np.triu_indices(count)] = triangle
    return np.asarray(full + np.triu(full, 1).T)


@dataclass(frozen=True, slots=True, eq=False)
class Histogram(Query):
    """Bad and good records in every cell, times their tables' weights: first all bad, then all good ones."""

    layout: Layout

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the tables
        """Twice the number of cells."""
        return 2 * self.layout.axes.cells

    def contributions(self, rows: Rows) -> WeightedCells:
        """One count per table."""
        good = np.where(rows.outcome == 1, 0, self.layout.axes.cells)[:, None]
        cells = self.layout.axes.counted(rows.cells)
        return WeightedCells(
            cells=np.where(cells == NOT_COUNTED, NOT_COUNTED, cells + good),
            values=np.ones(len(rows)),
            weights=self.layout.weights,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Moments(Query):
    """Upper triangle of Σzzᵀ over the characteristics' columns, row by row.

    Attributes:
        columns: Whose products are summed.
        radius: Rows are clipped to this norm.
    """

    columns: Columns
    radius: float

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the tables
        """d(d+1)/2."""
        count = len(self.columns.layout.singles)
        return count * (count + 1) // 2

    def contributions(self, rows: Rows) -> DenseContributions:
        """Outer products of clipped rows."""
        singles = self.columns.layout.singles
        design = np.column_stack(
            [singles.lookup(self.columns.values, rows.cells, table) for table in range(len(singles))]
        )
        squared = np.maximum(_squared_norms(design), 1e-12)
        return _triangles(design, np.minimum(1.0, self.radius**2 / squared))

    def matrix(self, values: _Floats) -> _Floats:
        """Turns a released upper triangle back into the symmetric matrix."""
        return _matrix(values, len(self.columns.layout.singles))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A card on its way, and what the records' contributions at it are measured by.

    Attributes:
        columns: The few columns.
        intercept: Log-odds that every record starts from.
        cells: [cells], what each cell adds.
        column_share: The part a of a contribution's squared norm that is the columns'.
        usual_norm: The usual squared norm u of a record's columns.
    """

    columns: Columns
    intercept: float
    cells: _Floats
    column_share: float
    usual_norm: float

    def log_odds(self, cells: Cells) -> _Floats:
        """[records]."""
        return self.columns.layout.axes.score(self.cells, cells, intercept=self.intercept)

    def lengths(self, design: _Floats, counted: npt.NDArray[np.int64]) -> _Floats:
        """[records], the norm t of what a record would add to a gradient with a residual of 1.

        Args:
            design: [records, columns].
            counted: [records, tables], cells over all tables, or `NOT_COUNTED`.
        """
        layout = self.columns.layout
        weights = np.square(np.array(layout.weights, dtype=np.int64))
        squared_weights = (counted != NOT_COUNTED) @ weights
        of_columns = self.column_share * _squared_norms(design) / self.usual_norm
        of_cells = (1.0 - self.column_share) * squared_weights / layout.squared_weight
        return np.asarray(np.sqrt(np.maximum(of_columns + of_cells, 1e-12)))


def _rarer_by_other(log_odds: _Floats) -> _Floats:
    """Odds of the outcome that is the rarer one at these log-odds: at most 1."""
    return np.asarray(np.exp(-np.minimum(np.abs(log_odds), 30.0)))


@dataclass(frozen=True, slots=True, eq=False)
class Curvature(Query):
    """How the columns' gradient changes with their slopes: upper triangle of Σ min(p, 1-p)/t zzᵀ.

    Attributes:
        model: Where.
        bound: No record's part is longer.
    """

    model: Model
    bound: float

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the tables
        """Half a square."""
        count = self.model.columns.count
        return count * (count + 1) // 2

    def contributions(self, rows: Rows) -> DenseContributions:
        """Bounded outer products."""
        model = self.model
        design = model.columns.design(rows.cells)
        odds = _rarer_by_other(model.log_odds(rows.cells))
        lengths = model.lengths(design, model.columns.layout.axes.counted(rows.cells))
        squared = np.maximum(_squared_norms(design), 1e-12)
        return _triangles(design, np.minimum(odds / (1.0 + odds) / lengths, self.bound / squared))

    def matrix(self, values: _Floats) -> _Floats:
        """Turns a released upper triangle back into the symmetric matrix."""
        return _matrix(values, self.model.columns.count)


@dataclass(frozen=True, slots=True, eq=False)
class Gradient(Query):
    """Residuals in the columns and in every cell, at the card so far.

    Attributes:
        model: The card so far.
    """

    model: Model

    @property
    def dimension(self) -> int:  # type: ignore[override]  # fixed by the tables
        """Columns and cells."""
        return self.model.columns.count + self.model.columns.layout.axes.cells

    @property
    def factors(self) -> _Floats:
        """[dimension], by what each value of the gradient is multiplied in the sum."""
        columns, cells = self._factors
        weights = self.model.columns.layout.weight_of_cell
        return np.concatenate([np.full(self.model.columns.count, columns), cells * weights])

    @property
    def _factors(self) -> tuple[float, float]:
        model = self.model
        return (
            float(np.sqrt(model.column_share / model.usual_norm)),
            float(np.sqrt((1.0 - model.column_share) / model.columns.layout.squared_weight)),
        )

    def contributions(self, rows: Rows) -> MixedContributions:
        """Contributions of length 1 where the rarer outcome happened, and shorter ones elsewhere."""
        model = self.model
        layout = model.columns.layout
        design = model.columns.design(rows.cells)
        counted = layout.axes.counted(rows.cells)
        log_odds = model.log_odds(rows.cells)
        is_bad = rows.outcome == 1
        is_rarer = is_bad == (log_odds <= 0.0)
        size = np.where(is_rarer, 1.0, _rarer_by_other(log_odds))
        residual = np.where(is_bad, size, -size) * _INSIDE / model.lengths(design, counted)
        of_columns, of_cells = self._factors
        return MixedContributions(
            columns=design * (residual * of_columns)[:, None],
            cells=WeightedCells(cells=counted, values=residual * of_cells, weights=layout.weights),
        )

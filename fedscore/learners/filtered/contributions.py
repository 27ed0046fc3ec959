"""Contributions that count in cells with a weight for every table, and in a few dense columns beside them.

Formal guarantee: as in `fedscore.sums.contributions`: after `lattice_total` every record has added an integer
vector within the limit. A record in tables of weights w with the step s adds Σw² · s² from its cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.errors import AccountingError
from fedscore.sums import NOT_COUNTED

__all__ = ["MixedContributions", "WeightedCells"]

_MARGIN = 1e-9
"""Larger than any error of a float sum of squares, in parts of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightedCells:
    """One value per record, added to one coordinate of each table that counts it, times the table's weight.

    Attributes:
        cells: [records, tables], distinct coordinates within a row; `NOT_COUNTED` where a table leaves the
            record out.
        values: [records].
        weights: [tables], positive whole numbers.
    """

    cells: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    weights: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.values)

    def lattice_total(self, *, scale: int, limit_squared: int, dimension: int) -> npt.NDArray[np.int64]:
        """Sums after truncation; a value above the limit is cut to it.

        Raises:
            AccountingError: A value is not finite, or leaves the lattice.
        """
        steps = _steps(self.values, scale).astype(np.int64)
        squared = (self.cells != NOT_COUNTED) @ np.square(np.array(self.weights, dtype=np.int64))
        largest_at = {int(total): math.isqrt(limit_squared // max(int(total), 1)) for total in set(squared)}
        largest = np.array([largest_at[int(total)] for total in squared], dtype=np.int64)
        total = np.zeros(dimension, dtype=np.int64)
        _add_up(total, self.cells, np.clip(steps, -largest, largest), self.weights)
        return total


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedContributions:
    """A dense vector and weighted cells, one behind the other.

    Attributes:
        columns: [records, columns], the dense part.
        cells: The rest of the sum.
    """

    columns: npt.NDArray[np.float64]
    cells: WeightedCells

    def __len__(self) -> int:
        return len(self.cells)

    def lattice_total(self, *, scale: int, limit_squared: int, dimension: int) -> npt.NDArray[np.int64]:
        """Sums after truncation; a record above the limit, or next to it, is moved toward zero.

        A step is a whole number below 2⁵², so a float holds it exactly, and a float sum of m squares is wrong
        by less than m · 2⁻⁵² of itself: what is compared with the limit less 10⁻⁹ of it needs no integers.
        """
        dense, per_cell = _steps(self.columns, scale), _steps(self.cells.values, scale)
        weights = np.array(self.cells.weights, dtype=np.int64)
        squared_weights = (self.cells.cells != NOT_COUNTED) @ np.square(weights)
        squared = np.square(dense).sum(axis=1) + squared_weights * np.square(per_cell)
        outside = squared > limit_squared * (1.0 - _MARGIN)
        if outside.any():
            factor = np.sqrt(limit_squared / squared[outside]) * (1.0 - _MARGIN)
            dense[outside] = np.trunc(dense[outside] * factor[:, None])
            per_cell[outside] = np.trunc(per_cell[outside] * factor)
        columns = self.columns.shape[1]
        total = np.zeros(dimension, dtype=np.int64)
        total[:columns] = dense.astype(np.int64).sum(axis=0)
        _add_up(total[columns:], self.cells.cells, per_cell.astype(np.int64), self.cells.weights)
        return total


def _steps(values: npt.NDArray[np.float64], scale: int) -> npt.NDArray[np.float64]:
    """Truncates toward zero, which never lengthens a vector; whole numbers, kept as floats."""
    scaled = values * float(scale)
    if not np.all(np.abs(scaled) < 2.0**52):  # also false for NaN
        raise AccountingError(
            "a record's contribution is not finite, or leaves the lattice: this is a defect of the learner; "
            "nothing was sent"
        )
    return np.asarray(np.trunc(scaled))


def _add_up(
    total: npt.NDArray[np.int64],
    cells: npt.NDArray[np.int64],
    steps: npt.NDArray[np.int64],
    weights: tuple[int, ...],
) -> None:
    for table, weight in enumerate(weights):
        here = cells[:, table] != NOT_COUNTED
        np.add.at(total, cells[here, table], weight * steps[here])

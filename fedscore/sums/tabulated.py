"""Contributions that depend on a record's cell alone: each cell adds one row of a public matrix.

Formal guarantee: as in `fedscore.sums.contributions`. Every row of the matrix is truncated and bounded by
itself, in integers, so whichever cell a record is in, it adds a vector within the limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.errors import AccountingError
from fedscore.sums.contributions import DenseContributions

__all__ = ["Patterns", "TabulatedContributions"]


class Patterns:
    """A public matrix, and its rows on the lattice, computed once for each lattice."""

    def __init__(self, values: npt.NDArray[np.float64]) -> None:
        """Takes the matrix.

        Args:
            values: [cells, dimension], in units.
        """
        self.values = values
        self._on_lattice: dict[tuple[int, int], npt.NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self.values)

    def on_lattice(self, *, scale: int, limit_squared: int) -> npt.NDArray[np.int64]:
        """[cells, dimension], each row truncated, and moved toward zero until it is inside the limit."""
        key = (scale, limit_squared)
        if key not in self._on_lattice:
            dimension = self.values.shape[1]
            self._on_lattice[key] = np.stack(
                [
                    DenseContributions(values=row[None, :]).lattice_total(
                        scale=scale, limit_squared=limit_squared, dimension=dimension
                    )
                    for row in self.values
                ]
            )
        return self._on_lattice[key]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TabulatedContributions:
    """One row of a public matrix per record.

    Attributes:
        patterns: The matrix.
        cells: [records], the row that each record adds.
    """

    patterns: Patterns
    cells: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cells)

    def lattice_total(self, *, scale: int, limit_squared: int, dimension: int) -> npt.NDArray[np.int64]:
        """Sums the rows of the matrix; see `Contributions.lattice_total`.

        Raises:
            AccountingError: A cell has no row, or the matrix is of another dimension.
        """
        if self.patterns.values.shape[1:] != (dimension,):
            raise AccountingError(
                f"patterns of length {self.patterns.values.shape[1]} for a sum of {dimension}"
            )
        if len(self.cells) and not 0 <= int(self.cells.min()) <= int(self.cells.max()) < len(self.patterns):
            raise AccountingError("a record's cell has no row in the matrix: nothing was sent")
        counts = np.bincount(self.cells, minlength=len(self.patterns)).astype(np.int64)
        steps = self.patterns.on_lattice(scale=scale, limit_squared=limit_squared)
        return np.asarray(counts @ steps, dtype=np.int64)

"""What single records add to a sum, brought onto the integer lattice with a checked bound.

Formal guarantee: after `lattice_total` every record has added an integer vector k with
Σk² ≤ ⌊(scale · Δ)²⌋, so that the total has exactly that squared L2 sensitivity when a record is added
or removed. The bound is checked in integers, record by record; floating point only proposes a vector
(Casacuberta et al. 2022 show what happens when it decides).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedscore.errors import AccountingError

__all__ = ["NOT_COUNTED", "CellContributions", "Contributions", "DenseContributions"]

_CACHED_VALUES = 2**16
"""Values that are worked on at once: they stay in the processor's cache, which makes sums fast."""

NOT_COUNTED = -1
"""Stands for the coordinate of a table that leaves a record out."""


class Contributions(Protocol):
    """Vectors of single records, still in their own units."""

    def __len__(self) -> int:
        """Number of records."""
        ...

    def lattice_total(self, *, scale: int, limit_squared: int, dimension: int) -> npt.NDArray[np.int64]:
        """Sums the records' integer vectors.

        Args:
            scale: Lattice steps per unit.
            limit_squared: Largest squared L2 norm of one record, in lattice steps squared.
            dimension: Length of the sum.
        """
        ...


def _truncated(values: npt.NDArray[np.float64], scale: int) -> npt.NDArray[np.int64]:
    """Truncates toward zero, which never lengthens a vector."""
    scaled = values * float(scale)
    if not np.all(np.abs(scaled) < 2.0**62):  # also false for NaN
        raise AccountingError(
            "a record's contribution is not finite, or leaves the lattice: this is a defect of the learner; "
            "nothing was sent"
        )
    return np.trunc(scaled).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseContributions:
    """One real vector per record.

    Attributes:
        values: [records, dimension], each row clipped by the query to its norm bound.
    """

    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def lattice_total(self, *, scale: int, limit_squared: int, dimension: int) -> npt.NDArray[np.int64]:
        """Sums after truncation; a row above the limit is moved toward zero until it is inside."""
        if self.values.shape[1:] != (dimension,):
            raise AccountingError(f"contributions of length {self.values.shape[1]} for a sum of {dimension}")
        total = np.zeros(dimension, dtype=np.int64)
        at_once = max(1, _CACHED_VALUES // dimension)
        for start in range(0, len(self.values), at_once):
            total += _bounded_total(self.values[start : start + at_once], scale, limit_squared)
        return total


def _bounded_total(values: npt.NDArray[np.float64], scale: int, limit_squared: int) -> npt.NDArray[np.int64]:
    # Rows in one piece are each added up alone; columns in one piece would be added up together.
    steps = np.ascontiguousarray(_truncated(values, scale))
    # A coordinate above the limit would overflow its square: bring those in first.
    largest = math.isqrt(limit_squared)
    np.clip(steps, -largest, largest, out=steps)
    outside = _norms_outside(steps, limit_squared)
    if outside.any():
        lengths = np.sqrt(np.square(steps[outside].astype(np.float64)).sum(axis=1))
        factor = np.minimum(1.0, math.sqrt(limit_squared) / lengths)
        steps[outside] = np.trunc(steps[outside] * factor[:, None]).astype(np.int64)
    while (outside := _norms_outside(steps, limit_squared)).any():  # a rounding or two at most
        steps[outside] -= np.sign(steps[outside])
    return np.asarray(steps.sum(axis=0, dtype=np.int64))


def _norms_outside(steps: npt.NDArray[np.int64], limit_squared: int) -> npt.NDArray[np.bool_]:
    """Compares Σk² with the limit, exactly, without a square ever overflowing.

    Floats decide only where they are far from the limit; in between, Python's integers do.
    """
    approximate = np.square(steps.astype(np.float64)).sum(axis=1)
    outside: npt.NDArray[np.bool_] = approximate > limit_squared * (1 + 1e-9)
    close = np.flatnonzero(~outside & (approximate > limit_squared * (1 - 1e-9)))
    for row in close:
        outside[row] = sum(int(step) ** 2 for step in steps[row]) > limit_squared
    return outside


@dataclass(frozen=True, slots=True, kw_only=True)
class CellContributions:
    """One value per record, added to one coordinate of each table that counts the record.

    Attributes:
        cells: [records, tables], distinct coordinates within a row; `NOT_COUNTED` where a table leaves the
            record out.
        values: [records], in [-1, 1].
    """

    cells: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def lattice_total(self, *, scale: int, limit_squared: int, dimension: int) -> npt.NDArray[np.int64]:
        """Sums after truncation; a value above the limit is cut to it."""
        counted = self.cells != NOT_COUNTED
        largest_in = np.array(
            [math.isqrt(limit_squared // max(tables, 1)) for tables in range(self.cells.shape[1] + 1)]
        )
        largest = largest_in[counted.sum(axis=1)]
        steps = np.clip(_truncated(self.values, scale), -largest, largest)
        total = np.zeros(dimension, dtype=np.int64)
        for table in range(self.cells.shape[1]):
            here = counted[:, table]
            np.add.at(total, self.cells[here, table], steps[here])
        return total

"""What a neural model sees of a row: numbers that follow from its cells alone, by public tables.

Each input belongs to one table of the contract and has one value per cell of it. Whoever has the table knows
the inputs of any row; nothing is standardised by data that were not paid for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.contract import CellKind, Encoding, Table
from fedscore.data import Cells
from fedscore.errors import ContractError, DataError
from fedscore.learners.neural.fixed_point import LARGEST_WIDTH, rounded_inputs

__all__ = ["Inputs", "evidence_inputs", "grid_inputs"]

_UNKNOWN = (CellKind.MISSING, CellKind.NOT_HELD)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """The inputs, in order.

    Attributes:
        names: [inputs], the table's name and what the input says of it.
        tables: [inputs], the place of each one's table; ascending.
        values: [inputs], the value of each at every cell of its table; multiples of the fixed-point step.
        sizes: [tables of the contract], cells of each.
    """

    names: tuple[str, ...]
    tables: tuple[int, ...]
    values: tuple[npt.NDArray[np.float64], ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= LARGEST_WIDTH:
            raise ContractError(
                f"a neural model would see {len(self.names)} inputs; 1 to {LARGEST_WIDTH} are possible: "
                'use encoding = "standardised", or coarser grids'
            )

    def __len__(self) -> int:
        return len(self.names)

    def of(self, cells: Cells) -> npt.NDArray[np.float64]:
        """Returns [records, inputs].

        Args:
            cells: [records, tables], each record's cell in each table.

        Raises:
            DataError: Cells are not of these tables.
        """
        fits = cells.shape[1:] == (len(self.sizes),)
        if not fits or bool(((cells < 0) | (cells >= np.array(self.sizes))).any()):
            raise DataError("rows have cells that the model's tables do not have: bin them by its contract")
        columns = [values[cells[:, table]] for table, values in zip(self.tables, self.values, strict=True)]
        return np.column_stack(columns) if len(cells) else np.zeros((0, len(self)))


def grid_inputs(tables: Sequence[Table], encoding: Encoding) -> Inputs:
    """Inputs that follow from the contract's public grids.

    Standardised, an ordered characteristic is one input: the place of its cell along the grid, with mean 0
    and variance 1 as if rows were spread evenly; every other cell has an indicator. One-hot, every cell has
    one. Interactions are left to the model. Inputs are divided by the root of the number of
    characteristics, so that a row's norm is about 1.
    """
    single = [(place, table) for place, table in enumerate(tables) if not table.parents]
    scale = 1.0 / math.sqrt(max(len(single), 1))
    named: list[tuple[int, str, npt.NDArray[np.float64]]] = []
    for place, table in single:
        along = table.ordered if encoding is Encoding.STANDARDISED and table.ordered > 1 else 0
        if along:
            named.append((place, "place along the grid", _places(table.size, along)))
        named.extend(_indicators(place, table, range(along, table.size)))
    return _inputs(named, tables, scale=scale)


def evidence_inputs(tables: Sequence[Table], evidence: npt.NDArray[np.float64]) -> Inputs:
    """Inputs from a released histogram: standardised weights of evidence, and indicators of what is unknown.

    Args:
        tables: Of the contract; interactions take part.
        evidence: [cells over all tables], standardised.
    """
    named: list[tuple[int, str, npt.NDArray[np.float64]]] = []
    start = 0
    for place, table in enumerate(tables):
        named.append((place, "weight of evidence", evidence[start : start + table.size]))
        if not table.parents:
            unknown = [cell for cell in range(table.size) if table.cells[cell].kind in _UNKNOWN]
            named.extend(_indicators(place, table, unknown))
        start += table.size
    return _inputs(named, tables, scale=1.0 / math.sqrt(max(len(tables), 1)))


def _places(size: int, ordered: int) -> npt.NDArray[np.float64]:
    """Evenly spaced places of variance 1; 0 for the cells that have none."""
    places = np.zeros(size)
    spread = math.sqrt((ordered**2 - 1) / 12.0)  # of the discrete uniform distribution
    places[:ordered] = (np.arange(ordered) - (ordered - 1) / 2.0) / spread
    return places


def _indicators(
    place: int, table: Table, cells: Sequence[int]
) -> list[tuple[int, str, npt.NDArray[np.float64]]]:
    return [(place, table.cells[cell].label, np.eye(1, table.size, cell)[0]) for cell in cells]


def _inputs(
    named: Sequence[tuple[int, str, npt.NDArray[np.float64]]], tables: Sequence[Table], *, scale: float
) -> Inputs:
    return Inputs(
        names=tuple(f"{tables[place].name}: {what}" for place, what, _ in named),
        tables=tuple(place for place, _, _ in named),
        values=tuple(rounded_inputs(values * scale) for _, _, values in named),
        sizes=tuple(table.size for table in tables),
    )

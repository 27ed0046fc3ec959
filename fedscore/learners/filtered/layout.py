"""How the filtered card counts a contract's tables: characteristics fully, interactions with less weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.contract import ALL_ROLES, CellKind, Contract, Interaction, InteractionSide, Role, Table
from fedscore.learners.scorecard.axes import Axes
from fedscore.sums import NOT_COUNTED

__all__ = ["Layout"]

_Cells = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Axes over all tables, and how much a record weighs in each.

    Attributes:
        axes: All tables, characteristics first.
        singles: The characteristics alone; their cells come first in `axes`.
        weights: [tables], whole numbers: of a characteristic, and of an interaction, which is 1.
        interactions: Of the contract, in their order.
    """

    axes: Axes
    singles: Axes
    weights: tuple[int, ...]
    interactions: tuple[Interaction, ...]

    @classmethod
    def of(cls, contract: Contract, *, characteristic_weight: int) -> Layout:
        """Lays out the tables of a contract.

        Args:
            contract: With at least one characteristic that has cells.
            characteristic_weight: Of a characteristic, beside an interaction's 1; without interactions it
                says nothing, and is 1.
        """
        axes = Axes.of(contract)
        count = sum(not table.parents for table in axes.tables)
        singles = Axes(axes.tables[:count], axes.missing_roles[:count])
        crossed = len(axes) - count
        full = characteristic_weight if crossed else 1
        return cls(axes, singles, (full,) * count + (1,) * crossed, contract.interactions)

    @property
    def squared_weight(self) -> int:
        """The largest sum, over the tables that one record is counted in, of squared weights."""
        return max(
            sum(
                weight**2
                for weight, missing in zip(self.weights, self.axes.missing_roles, strict=True)
                if missing is not role
            )
            for role in ALL_ROLES
        )

    @property
    def weight_of_cell(self) -> npt.NDArray[np.float64]:
        """[cells], the weight of each cell's table."""
        return np.repeat(np.array(self.weights, dtype=np.float64), self.axes.sizes)

    @property
    def carriers(self) -> dict[Role, int]:
        """For each role that does not hold everything, a cell into which exactly its rows fall."""
        found = {role: self.axes.carrier(role) for role in ALL_ROLES}
        return {role: cell for role, cell in found.items() if cell is not None}

    def counted_cells(self, table: int) -> _Cells:
        """The cells of a table that records are counted in: all but the one of roles that do not hold it."""
        first = int(self.axes.offsets[table])
        cells = np.arange(first, first + self.axes.sizes[table])
        absent = int(self.axes.absent_cells[table])
        return cells if absent == NOT_COUNTED else cells[cells != absent]

    def sides(self, interaction: int) -> tuple[tuple[int | None, _Cells], tuple[int | None, _Cells]]:
        """How the two characteristics' cells fall onto the coarser cells of an interaction.

        Returns:
            For each side the characteristic's number, none if it has no cells of its own, and [its cells] the
            cell of the side; what is no value falls into the last one.
        """
        both = self.interactions[interaction]
        return self._side(both.first), self._side(both.second)

    def _side(self, side: InteractionSide) -> tuple[int | None, _Cells]:
        names = [table.name for table in self.singles.tables]
        if side.of not in names:
            return None, np.zeros(0, dtype=np.int64)
        number = names.index(side.of)
        return number, _places(self.singles.tables[number], side)


def _places(table: Table, side: InteractionSide) -> _Cells:
    places = np.full(table.size, side.value_cells, dtype=np.int64)
    if side.levels:
        for cell, told in enumerate(table.cells):
            if told.kind is CellKind.VALUE and told.label in side.levels:
                places[cell] = side.levels.index(told.label)
        return places
    edges = np.array(table.edges, dtype=np.float64)
    if not len(edges):
        return places
    # A cell that a coarse edge divides belongs where its middle is; outer cells where their one edge is.
    inner = (edges[1:] + edges[:-1]) / 2
    middles = np.concatenate([np.nextafter(edges[:1], -np.inf), inner, edges[-1:]])
    places[: table.ordered] = np.searchsorted(np.array(side.edges), middles, side="right")
    return places

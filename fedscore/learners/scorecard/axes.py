"""The cells of all tables in one row: where each table starts, which cells say that a role holds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fedscore.contract import ALL_ROLES, CellKind, Contract, Role, Table
from fedscore.data import Cells
from fedscore.errors import DataError
from fedscore.sums import NOT_COUNTED

__all__ = ["Axes"]


@dataclass(frozen=True)  # no slots: every record's sum asks where tables start, which is found out once
class Axes:
    """The tables of a contract, laid end to end.

    A table that one role does not hold has an absent cell, into which all rows of that role fall: "not
    held", or, for an interaction, the cell in which both sides are unknown.

    Attributes:
        tables: Characteristics first, then interactions.
        missing_roles: [tables], the role that does not hold the table; none if all do.
    """

    tables: tuple[Table, ...]
    missing_roles: tuple[Role | None, ...]

    @classmethod
    def of(cls, contract: Contract) -> Axes:
        """Lays out the tables of a contract."""
        return cls(contract.tables, tuple(_missing_role(table, contract) for table in contract.tables))

    def __len__(self) -> int:
        return len(self.tables)

    @property
    def cells(self) -> int:
        """Number of cells over all tables."""
        return sum(table.size for table in self.tables)

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """[tables], the number of cells of each; read-only."""
        return _kept(np.array([table.size for table in self.tables], dtype=np.int64))

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """[tables], the first cell of each table; read-only."""
        return _kept(np.concatenate(([0], np.cumsum(self.sizes)[:-1])).astype(np.int64))

    @cached_property
    def absent_cells(self) -> npt.NDArray[np.int64]:
        """[tables], the cell that rows of the missing role fall into, or `NOT_COUNTED`; read-only."""
        last = np.cumsum(self.sizes) - 1
        return _kept(np.where([role is not None for role in self.missing_roles], last, NOT_COUNTED))

    @property
    def tables_of_a_record(self) -> int:
        """The largest number of tables that one record is counted in: those that its role holds."""
        return max(sum(missing is not role for missing in self.missing_roles) for role in ALL_ROLES)

    def carrier(self, role: Role) -> int | None:
        """A cell into which exactly the rows of `role` fall, or none if it holds every characteristic."""
        for cell, table, missing in zip(
            self.absent_cells.tolist(), self.tables, self.missing_roles, strict=True
        ):
            if missing is role and not table.parents:
                return int(cell)
        return None

    def counted(self, cells: Cells) -> npt.NDArray[np.int64]:
        """Numbers each record's cells over all tables; tables that its role does not hold do not count it.

        Nothing is lost by that: who holds which characteristics is public, and it leaves the sums with
        the sensitivity of one role's tables instead of all.

        Raises:
            DataError: A cell lies outside its table: the rows were binned by another contract.
        """
        outside = int(np.count_nonzero((cells >= self.sizes).any(axis=1)))
        if outside:
            raise DataError(
                f"{outside} rows have cells that their tables do not have: bin them by this contract"
            )
        numbered = cells + self.offsets
        return np.where(numbered == self.absent_cells, NOT_COUNTED, numbered)

    def slices(self) -> Iterator[tuple[Table, slice]]:
        """Goes over the tables with the range of their cells."""
        for table, offset in zip(self.tables, self.offsets.tolist(), strict=True):
            yield table, slice(offset, offset + table.size)

    def lookup(self, values: npt.NDArray[np.float64], cells: Cells, table: int) -> npt.NDArray[np.float64]:
        """Returns `values` (one per cell over all tables) at each record's cell of one table."""
        return np.asarray(values[self.offsets[table] + cells[:, table]])

    def score(
        self, values: npt.NDArray[np.float64], cells: Cells, *, intercept: float
    ) -> npt.NDArray[np.float64]:
        """Adds up each record's values, table by table.

        The order is fixed and every record is computed alone, so a record's score does not depend on
        which rows stand beside it: that makes a sum independent of how rows are spread over parties.
        """
        total = np.full(len(cells), intercept)
        for table in range(len(self.tables)):
            total += self.lookup(values, cells, table)
        return total


def _kept(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """An array that all who ask share, so that none may write into it."""
    cells.setflags(write=False)
    return cells


def _missing_role(table: Table, contract: Contract) -> Role | None:
    """A table is held where all its parents are; with two roles at most one can be missing."""
    names = table.parents or (table.name,)
    held = frozenset.intersection(*(contract.holders[name] for name in names))
    missing = [role for role in ALL_ROLES if role not in held]
    if missing and not table.parents and table.cells[-1].kind is not CellKind.NOT_HELD:
        raise AssertionError(f"{table.name} is not held by all roles and has no cell for that")
    return missing[0] if missing else None

"""What does a learner see of the data? Cells, outcomes and ids: never raw values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fedscore.contract import Table
from fedscore.data.identity import DIGEST
from fedscore.errors import DataError

__all__ = ["Cells", "Identifiers", "Rows", "Texts", "smallest_cells"]

Texts = npt.NDArray[np.object_] | npt.NDArray[np.str_]
"""[n] of `str`."""

Identifiers = npt.NDArray[Any]
"""[n] texts, or digests of them (`fedscore.data.identity.Digests`)."""

Cells = npt.NDArray[np.integer[Any]]
"""[n, t] indices of cells, of an unsigned type, or int32."""

_CELL_TYPES = tuple(np.dtype(kind) for kind in (np.uint8, np.uint16, np.uint32, np.int32))
_SAME_AS_IDS: npt.NDArray[np.object_] = np.empty(0, dtype=object)
_NO_GROUPS: npt.NDArray[np.int32] = np.empty((0, 0), dtype=np.int32)
_NOT_LATE: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Rows:
    """Rows of one organisation, binned by the contract's public grids; they never leave the node.

    `repr` shows sizes alone. Rows are compared by identity: compare their arrays where contents matter.

    Attributes:
        cells: [n, t] index of the row's cell within each of the contract's t tables, in the contract's order,
            of the smallest type that holds them all: what is counted with them must be of a wider one.
        outcome: [n] in {0, 1}; 1 is bad.
        ids: [n] the rows' ids as text, unique within a file; or their digests, where rows were read for sums.
        persons: [n] the persons' ids likewise, where the contract names their column. Left out, every row is
            a person of its own and `persons` is `ids`.
        groups: [n, g] index of the row's cell within each of the contract's g groups; none if left out.
        late: [n] whether the row's date is the contract's `test_from` or later; no row is late if left out,
            or if the contract splits persons instead.

    Raises:
        DataError: Shapes do not agree, a type is another, a cell is negative, or an outcome is outside {0,
            1}.
    """

    cells: Cells
    outcome: npt.NDArray[np.int8]
    ids: Identifiers
    persons: Identifiers = field(default_factory=lambda: _SAME_AS_IDS)
    groups: npt.NDArray[np.int32] = field(default_factory=lambda: _NO_GROUPS)
    late: npt.NDArray[np.bool_] = field(default_factory=lambda: _NOT_LATE)

    def __post_init__(self) -> None:
        if self.persons is _SAME_AS_IDS:
            object.__setattr__(self, "persons", self.ids)
        if self.groups is _NO_GROUPS:
            object.__setattr__(self, "groups", np.empty((len(self.ids), 0), dtype=np.int32))
        if self.late is _NOT_LATE:
            object.__setattr__(self, "late", np.zeros(len(self.ids), dtype=np.bool_))
        _check_array("late", self.late, dtypes=(np.dtype(np.bool_),), shape=(len(self.ids),))
        _check_array("groups", self.groups, dtypes=(np.dtype(np.int32),), shape=(len(self.ids), None))
        _check_array("cells", self.cells, dtypes=_CELL_TYPES, shape=(len(self.ids), None))
        _check_array("outcome", self.outcome, dtypes=(np.dtype(np.int8),), shape=(len(self.ids),))
        for name, texts in (("ids", self.ids), ("persons", self.persons)):
            _check_array(
                name, texts, dtypes=(np.dtype(object), np.dtype(str), DIGEST), shape=(len(self.ids),)
            )
        negative = int(np.count_nonzero(self.cells < 0)) if self.cells.dtype.kind == "i" else 0
        if negative:
            raise DataError(f"{negative} cells of rows are negative: a cell is an index within its table")
        strange = int(np.count_nonzero((self.outcome != 0) & (self.outcome != 1)))
        if strange:
            raise DataError(f"{strange} outcomes of rows are outside {{0, 1}}: 1 is bad, 0 is good")

    def __len__(self) -> int:
        return len(self.outcome)

    def __repr__(self) -> str:
        return f"Rows({len(self)} rows, {self.cells.shape[1]} tables)"

    def select(self, index: npt.NDArray[np.bool_] | npt.NDArray[np.integer[Any]] | slice) -> Rows:
        """The rows at an index, in its order.

        Args:
            index: A mask [n], positions, or a slice.

        Returns:
            Rows of their own, without the others.
        """
        ids = self.ids[index]
        return Rows(
            cells=self.cells[index],
            outcome=self.outcome[index],
            ids=ids,
            persons=ids if self.persons is self.ids else self.persons[index],
            groups=self.groups[index],
            late=self.late[index],
        )

    @staticmethod
    def concatenate(parts: Sequence[Rows]) -> Rows:
        """All rows of the parts, in their order.

        Args:
            parts: At least one, all with the same number of tables.

        Returns:
            One `Rows`. Ids may repeat if they do over the parts.

        Raises:
            DataError: There is no part, or parts differ in their number of tables.
        """
        widths = {(part.cells.shape[1], part.groups.shape[1]) for part in parts}
        if len(widths) != 1:
            raise DataError(
                f"rows with {sorted(widths)} tables and groups cannot be joined: "
                "pass one part or more, all of one contract"
            )
        ids = np.concatenate([part.ids for part in parts])
        own = all(part.persons is part.ids for part in parts)
        return Rows(
            cells=np.concatenate([part.cells for part in parts]),
            outcome=np.concatenate([part.outcome for part in parts]),
            ids=ids,
            persons=ids if own else np.concatenate([part.persons for part in parts]),
            groups=np.concatenate([part.groups for part in parts]),
            late=np.concatenate([part.late for part in parts]),
        )


def smallest_cells(tables: Sequence[Table]) -> np.dtype[Any]:
    """The smallest unsigned type that holds the cells of all tables."""
    return np.min_scalar_type(max((table.size - 1 for table in tables), default=0))


def _check_array(
    name: str,
    array: npt.NDArray[Any],
    *,
    dtypes: tuple[np.dtype[Any], ...],
    shape: tuple[int | None, ...],
) -> None:
    fits = len(array.shape) == len(shape) and all(
        wanted is None or found == wanted for found, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted_shape = ", ".join("tables" if size is None else str(size) for size in shape)
        raise DataError(
            f"{name} of rows has shape {array.shape}: it must be [{wanted_shape}], one entry per id"
        )
    # Texts have as many types as lengths.
    if array.dtype not in dtypes and not (array.dtype.kind == "U" and np.dtype(str) in dtypes):
        names = " or ".join(dtype.name for dtype in dtypes)
        raise DataError(f"{name} of rows has type {array.dtype}: it must be {names}")

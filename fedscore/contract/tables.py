"""Which cells the histogram of a contract has, in which order, and what they are called."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from fedscore.contract.characteristics import (
    ALL_ROLES,
    Characteristic,
    Derived,
    Direction,
    Interaction,
    InteractionSide,
    Role,
    ValueType,
)

__all__ = ["Cell", "CellKind", "Table", "build_group_tables", "build_tables", "interval_labels"]

_TO = " \N{EN DASH} "
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_TIMES = " \N{MULTIPLICATION SIGN} "
_AT_MOST = "\N{LESS-THAN OR EQUAL TO} "
_AT_LEAST = "\N{GREATER-THAN OR EQUAL TO} "


class CellKind(StrEnum):
    """What puts a record into a cell."""

    VALUE = "value"
    OTHER = "other"
    SPECIAL = "special"
    MISSING = "missing"
    NOT_HELD = "not held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table.

    Attributes:
        label: What a reader of the card sees, as "20,000 to 50,000" with a dash, or "missing".
        kind: What puts a record into it.
    """

    label: str
    kind: CellKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One axis of the histogram: a characteristic or an interaction. Every record is in exactly one cell.

    Attributes:
        name: Name of the characteristic, or both names of an interaction.
        cells: The cells in their order.
        ordered: The first `ordered` cells are value cells in the order of the value; 0 if there is no order.
        monotone: Where the bad rate must go over the ordered cells, or None.
        parents: The two names of an interaction; empty for a characteristic.
        edges: The grid of the ordered cells.
        whole: Whether its values are whole numbers.
    """

    name: str
    cells: tuple[Cell, ...]
    ordered: int
    monotone: Direction | None
    parents: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    whole: bool = False

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.cells)

    def label_of(self, first: int, last: int) -> str:
        """Label neighbouring cells as one.

        Args:
            first: The first cell.
            last: The last cell; both are ordered cells, or they are the same.
        """
        if first == last or not self.edges:
            names = dict.fromkeys((self.cells[first].label, self.cells[last].label))
            return f" {_ELLIPSIS} ".join(names)
        # A run of cells is a cell of the grid that has the run's outer edges alone.
        lower = self.edges[first - 1 : first] if first else ()
        outer = (*lower, *self.edges[last : last + 1])
        return interval_labels(outer, whole=self.whole)[1 if first else 0]


def build_tables(
    characteristics: Sequence[Characteristic],
    derived: Sequence[Derived],
    interactions: Sequence[Interaction],
    holders: Mapping[str, frozenset[Role]],
) -> tuple[Table, ...]:
    """Build the tables of a contract.

    Args:
        characteristics: In the contract's order; those that are `input_only` get no table.
        derived: Likewise.
        interactions: In the contract's order.
        holders: The roles that hold each characteristic and derived characteristic.

    Returns:
        Characteristics, then derived characteristics, then interactions.
    """
    items: tuple[Characteristic | Derived, ...] = (*characteristics, *derived)
    single = [
        _table_of(item, held_by_all=holders[item.name] == frozenset(ALL_ROLES))
        for item in items
        if not item.input_only
    ]
    whole = {item.name: item.whole for item in items}
    return (*single, *(_crossed(interaction, whole) for interaction in interactions))


def build_group_tables(
    groups: Sequence[InteractionSide], items: Mapping[str, Characteristic | Derived]
) -> tuple[Table, ...]:
    """Build the tables of a contract's groups: the cells of each side, the last one being everybody else."""
    whole = {name: item.whole for name, item in items.items()}
    return tuple(
        Table(name=group.of, cells=_side_cells(group, whole), ordered=0, monotone=None) for group in groups
    )


def interval_labels(edges: Sequence[float], *, whole: bool) -> tuple[str, ...]:
    """Label the cells of a grid.

    Args:
        edges: Strictly increasing.
        whole: Whether values are whole numbers; cells are then called by the numbers in them.

    Returns:
        One label for each of the `len(edges) + 1` cells.

    Examples:
        >>> interval_labels([20000, 50000], whole=False)[0]
        '< 20,000'
        >>> interval_labels([0.5, 1.5, 2.5], whole=True)[1:3]
        ('1', '2')
    """
    if not edges:
        return ("any value",)
    starts = [math.ceil(edge) for edge in edges]
    if whole and len(set(starts)) == len(starts):  # else a cell would have no number in it
        inner = [_count_label(low, high - 1) for low, high in pairwise(starts)]
        return (f"{_AT_MOST}{starts[0] - 1:,}", *inner, f"{_AT_LEAST}{starts[-1]:,}")
    inner = [f"{_number(low)}{_TO}{_number(high)}" for low, high in pairwise(edges)]
    return (f"< {_number(edges[0])}", *inner, f"{_AT_LEAST}{_number(edges[-1])}")


def _count_label(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}{_TO}{high:,}"


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,}"


def _table_of(item: Characteristic | Derived, *, held_by_all: bool) -> Table:
    is_category = isinstance(item, Characteristic) and item.type is ValueType.CATEGORY
    labels = (
        item.levels
        if isinstance(item, Characteristic) and is_category
        else interval_labels(item.edges, whole=item.whole)
    )
    cells = [Cell(label=label, kind=CellKind.VALUE) for label in labels]
    if is_category:
        cells.append(Cell(label="other", kind=CellKind.OTHER))
    if isinstance(item, Characteristic):
        cells.extend(Cell(label=special.meaning, kind=CellKind.SPECIAL) for special in item.special)
    cells.append(Cell(label="missing", kind=CellKind.MISSING))
    if not held_by_all:
        cells.append(Cell(label="not held", kind=CellKind.NOT_HELD))
    return Table(
        name=item.name,
        cells=tuple(cells),
        ordered=0 if is_category else len(labels),
        monotone=item.monotone,
        edges=item.edges,
        whole=item.whole,
    )


def _side_cells(side: InteractionSide, whole: Mapping[str, bool]) -> tuple[Cell, ...]:
    labels = side.levels or interval_labels(side.edges, whole=whole[side.of])
    values = tuple(Cell(label=label, kind=CellKind.VALUE) for label in labels)
    return (*values, Cell(label="other", kind=CellKind.OTHER))


def _crossed(interaction: Interaction, whole: Mapping[str, bool]) -> Table:
    cells = tuple(
        Cell(
            label=f"{first.label}{_TIMES}{second.label}",
            kind=CellKind.VALUE if first.kind is second.kind is CellKind.VALUE else CellKind.OTHER,
        )
        for first in _side_cells(interaction.first, whole)
        for second in _side_cells(interaction.second, whole)
    )
    return Table(
        name=interaction.name,
        cells=cells,
        ordered=0,
        monotone=None,
        parents=(interaction.first.of, interaction.second.of),
    )

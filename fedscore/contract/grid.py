"""Where a record falls: characteristics, derived ones and interactions, as the tables that they make."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Protocol

from fedscore.contract.characteristics import Characteristic, Derived, Interaction, Role
from fedscore.contract.tables import Table, build_tables
from fedscore.contract.values import Term

__all__ = ["Grid", "Gridded"]


class Gridded(Protocol):
    """What it takes to bin records: a `Grid`, or a contract, which has one."""

    @property
    def by_name(self) -> Mapping[str, Characteristic | Derived]:
        """See `Grid.by_name`."""
        ...

    @property
    def holders(self) -> Mapping[str, frozenset[Role]]:
        """See `Grid.holders`."""
        ...

    @property
    def tables(self) -> tuple[Table, ...]:
        """See `Grid.tables`."""
        ...

    @property
    def characteristics(self) -> tuple[Characteristic, ...]:
        """See `Grid.characteristics`."""
        ...

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """See `Grid.interactions`."""
        ...


class Grid(Term):
    """All that turns an organisation's columns into cells; public, and the same at all organisations."""

    characteristics: tuple[Characteristic, ...]
    """The columns that are used, and their grids."""

    derived: tuple[Derived, ...] = ()
    """Characteristics computed from others."""

    interactions: tuple[Interaction, ...] = ()
    """Pairs of characteristics on coarser grids."""

    @cached_property
    def by_name(self) -> Mapping[str, Characteristic | Derived]:
        """Characteristics, then derived ones, by name, in their order."""
        items: tuple[Characteristic | Derived, ...] = (*self.characteristics, *self.derived)
        return MappingProxyType({item.name: item for item in items})

    @cached_property
    def holders(self) -> Mapping[str, frozenset[Role]]:
        """The roles that hold each characteristic; a derived one is held where all its inputs are."""
        held = {item.name: frozenset(item.roles) for item in self.characteristics}
        for item in self.derived:
            held[item.name] = frozenset.intersection(*(held[name] for name in item.of))
        return MappingProxyType(held)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The axes of the histogram: characteristics, derived characteristics, interactions."""
        return build_tables(self.characteristics, self.derived, self.interactions, self.holders)

    def source_columns(self, role: Role) -> tuple[str, ...]:
        """Columns that an organisation of a role must supply; identifiers and the outcome are not among them.

        Args:
            role: The organisation's role.

        Returns:
            Distinct column names, in the grid's order.
        """
        return tuple(dict.fromkeys(item.column for item in self.characteristics if role in item.roles))

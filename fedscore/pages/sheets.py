"""A card's tables as they are shown: strongest first, values apart from what is no value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedscore.card import Card, CardTable
from fedscore.contract import ALL_ROLES, CellKind, Characteristic, Derived, Direction, Table

__all__ = ["BinLine", "Sheet", "characteristic_sheets", "interaction_sheets"]

_NO_VALUES = frozenset({CellKind.SPECIAL, CellKind.MISSING, CellKind.NOT_HELD})


@dataclass(frozen=True, slots=True, kw_only=True)
class BinLine:
    """A bin.

    Attributes:
        label: In words.
        kind: What puts a record into it.
        points: What it gives.
        standard_error: Of the points; none where nothing was measured.
        share: Of the training records that hold the table.
        bad_rate: Of these; none where noise hides it.
    """

    label: str
    kind: CellKind
    points: float
    standard_error: float | None
    share: float
    bad_rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table of the card.

    Attributes:
        name: Of the characteristic, or of the interaction.
        description: What it says about a customer; empty if the contract does not say.
        unit: Of its values.
        source: Where it comes from, in words.
        held_by: The roles that hold it.
        monotone: Where the bad rate must go as the value grows.
        mean_points: Over the training records that hold it: what its reasons are told against.
        spread: Standard deviation of the points over these records.
        values: Bins of values.
        apart: Bins of special codes, *missing* and *not held*.
    """

    name: str
    description: str
    unit: str
    source: str
    held_by: str
    monotone: Direction | None
    mean_points: float
    spread: float
    values: tuple[BinLine, ...]
    apart: tuple[BinLine, ...]

    @property
    def lines(self) -> tuple[BinLine, ...]:
        """All bins."""
        return self.values + self.apart

    @property
    def about(self) -> str:
        """What stands below its name."""
        parts = [self.description.rstrip("."), f"in {self.unit}" if self.unit else "", self.source]
        parts.append(f"held by {self.held_by}" if self.held_by != _EVERYBODY else "")
        parts.append(f"bad rate {self.monotone} by contract" if self.monotone is not None else "")
        return " · ".join(part for part in parts if part)


def characteristic_sheets(card: Card) -> tuple[Sheet, ...]:
    """Characteristics and derived ones, strongest first."""
    return _sheets(card, interactions=False)


def interaction_sheets(card: Card) -> tuple[Sheet, ...]:
    """Interactions, strongest first."""
    return _sheets(card, interactions=True)


def _sheets(card: Card, *, interactions: bool) -> tuple[Sheet, ...]:
    sheets = [
        _sheet(card, entry, table)
        for entry, table in zip(card.tables, card.grid.tables, strict=True)
        if bool(entry.parents) is interactions
    ]
    return tuple(sorted(sheets, key=lambda sheet: sheet.spread, reverse=True))


def _sheet(card: Card, entry: CardTable, table: Table) -> Sheet:
    item = card.grid.by_name.get(entry.name)
    lines = [
        BinLine(
            label=bin_.label,
            kind=table.cells[bin_.cells[0]].kind,
            points=bin_.points,
            standard_error=bin_.standard_error,
            share=bin_.share,
            bad_rate=bin_.bad_rate,
        )
        for bin_ in entry.bins
    ]
    holders = frozenset.intersection(*(card.grid.holders[name] for name in entry.parents or (entry.name,)))
    return Sheet(
        name=entry.name,
        description=item.description if item is not None else "",
        unit=item.unit if item is not None else "",
        source=_source(item),
        held_by=_EVERYBODY
        if holders == frozenset(ALL_ROLES)
        else ", ".join(f"{role}s" for role in ALL_ROLES if role in holders),
        monotone=entry.monotone,
        mean_points=_mean_of_held(lines),
        spread=entry.spread,
        values=tuple(line for line in lines if line.kind not in _NO_VALUES),
        apart=tuple(line for line in lines if line.kind in _NO_VALUES),
    )


_EVERYBODY = "all"


def _mean_of_held(lines: Sequence[BinLine]) -> float:
    """The reference of reasons, which `fedscore.card.reasons` rounds to hundredths."""
    held = [line for line in lines if line.kind is not CellKind.NOT_HELD]
    total = sum(line.share for line in held)
    return sum(line.share * line.points for line in held) / total if total > 0 else 0.0


def _source(item: Characteristic | Derived | None) -> str:
    if isinstance(item, Derived):
        return f"{item.formula} of {', '.join(item.of)}"
    if isinstance(item, Characteristic) and item.column != item.name:
        return f"column {item.column}"
    return ""

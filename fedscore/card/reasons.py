"""Why did a score not come out higher? What cost the most points, in the contract's words.

The reference of a table is the mean of its points over the training records that hold it: what an average
customer gets. A record's loss by a characteristic is the reference less its own points there, and half of the
same of every interaction that the characteristic is a side of. The reasons are the characteristics with the
largest losses above 0, equal ones in the card's order. References are rounded to hundredths of points once,
and losses are whole halves of hundredths, so the ranking is the same whatever computes it. What an
organisation's role does not hold is never a reason: nobody's behaviour put it there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fedscore.card.model import Card
from fedscore.card.parts import CardTable
from fedscore.contract import CellKind, Grid, Role, Table

__all__ = ["LOSS_UNITS", "NO_REASON", "Losses", "reason_text"]

NO_REASON = -1
"""Stands where a record has fewer reasons than were asked for."""

LOSS_UNITS = 200
"""Units of a loss in a point."""

_Integers = npt.NDArray[np.int64]


class Losses:
    """What each characteristic costs the records of one role, against its reference.

    Attributes:
        names: [characteristics], those with a table, then sides of interactions that have none.
        tables: By table that is held: its column among the cells, the places of the characteristics that it
            weighs on, and the loss of each of its cells.
    """

    def __init__(self, card: Card, *, role: Role) -> None:
        """Computes references and losses of every cell once.

        Args:
            card: Whose points are explained.
            role: Whose records they are.
        """
        sides = [name for entry in card.interactions for name in entry.parents]
        self.names = tuple(dict.fromkeys([*(entry.name for entry in card.characteristics), *sides]))
        place = {name: number for number, name in enumerate(self.names)}
        self.tables: list[tuple[int, list[int], npt.NDArray[np.int32]]] = []
        for column, (entry, table) in enumerate(zip(card.tables, card.grid.tables, strict=True)):
            if _is_held(table, card.grid, role):
                weight = 1 if table.parents else 2
                losses = (weight * _losses_of_cells(entry, table)).astype(np.int32)
                names = table.parents or (table.name,)
                self.tables.append((column, [place[name] for name in names], losses))

    def of(self, cells: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
        """Adds up losses.

        Args:
            cells: [records, tables], as the card's grid has them.

        Returns:
            [records, characteristics], 0 or more, `LOSS_UNITS` to a point.
        """
        losses = np.zeros((len(self.names), len(cells)), dtype=np.int32)
        for column, places, of_cells in self.tables:
            lost = of_cells[cells[:, column]]
            for place in places:
                losses[place] += lost
        return np.maximum(losses, 0).T

    def largest(self, cells: npt.NDArray[np.integer[Any]], count: int) -> tuple[_Integers, _Integers]:
        """Ranks the losses.

        Args:
            cells: [records, tables], as the card's grid has them.
            count: How many reasons, at most.

        Returns:
            [records, count] places of `names`, `NO_REASON` where there is none; their losses.
        """
        left = self.of(cells)
        places = np.full((len(left), count), NO_REASON, dtype=np.int64)
        amounts = np.zeros((len(left), count), dtype=np.int64)
        records = np.arange(len(left))
        for rank in range(min(count, left.shape[1])):
            place = np.argmax(left, axis=1)  # of equal ones the first
            amount = left[records, place]
            places[:, rank] = np.where(amount > 0, place, NO_REASON)
            amounts[:, rank] = amount
            left[records, place] = 0
        return places, amounts


def reason_text(grid: Grid, name: str, language: str) -> str:
    """What a customer is told of a characteristic.

    Args:
        grid: With the contract's words.
        name: Of the characteristic.
        language: A tag as "zh-Hans".

    Returns:
        The contract's sentence in that language; failing that in a language of the same first part, in
        English, the description, or the name.
    """
    item = grid.by_name[name]
    family = language.partition("-")[0]
    related = [tag for tag in sorted(item.reasons) if tag.partition("-")[0] == family]
    for tag in (language, family, *related, "en"):
        if tag in item.reasons:
            return item.reasons[tag]
    return item.description or item.name


def _losses_of_cells(entry: CardTable, table: Table) -> _Integers:
    """[cells], the reference less the points, in hundredths; 0 where the table is not held."""
    points = entry.hundredths_of_cells()
    held = [
        bin_
        for bin_ in entry.bins
        if table.cells[bin_.cells[0]].kind is not CellKind.NOT_HELD and bin_.share > 0
    ]
    total = sum(bin_.share for bin_ in held)
    mean = sum(bin_.share * int(points[bin_.cells[0]]) for bin_ in held) / total if total > 0 else 0.0
    losses = round(mean) - points
    losses[[place for place, cell in enumerate(table.cells) if cell.kind is CellKind.NOT_HELD]] = 0
    return np.asarray(losses)


def _is_held(table: Table, grid: Grid, role: Role) -> bool:
    return all(role in grid.holders[name] for name in table.parents or (table.name,))

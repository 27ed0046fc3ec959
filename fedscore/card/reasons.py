"""Why did a score not come out higher? The characteristics that cost the most points, in the contract's words.

The reference of a characteristic is the mean of its points over the training records that hold it: what an
average customer gets. A record's loss is the reference less its own points; the reasons are the largest
losses above 0, equal ones in the card's order. References are rounded to hundredths of points once, and losses
are whole hundredths, so the ranking is the same whatever computes it. What an organisation's role does not hold
is never a reason: nobody's behaviour put it there.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fedscore.card.model import Card
from fedscore.card.parts import CardTable
from fedscore.contract import CellKind, Grid, Role, Table

__all__ = ["NO_REASON", "Losses", "reason_text"]

NO_REASON = -1
"""Stands where a record has fewer reasons than were asked for."""

_Integers = npt.NDArray[np.int64]


class Losses:
    """What each table costs the records of one role, against its reference.

    Attributes:
        references: [tables], mean points in hundredths.
    """

    def __init__(self, card: Card, *, role: Role) -> None:
        """Computes the references once.

        Args:
            card: Whose points are explained.
            role: Whose records they are.
        """
        pairs = list(zip(card.tables, card.grid.tables, strict=True))
        self.references = tuple(_reference(entry, table) for entry, table in pairs)
        held = [_is_held(table, card.grid, role) for _, table in pairs]
        # By cell, so that a record's losses are looked up as its points are.
        self._of_cells = tuple(
            np.maximum(reference - entry.hundredths_of_cells(), 0).astype(np.int32)
            if is_held
            else np.zeros(entry.size, dtype=np.int32)
            for (entry, _), reference, is_held in zip(pairs, self.references, held, strict=True)
        )
        for (_, table), losses in zip(pairs, self._of_cells, strict=True):
            for place, cell in enumerate(table.cells):
                if cell.kind is CellKind.NOT_HELD:
                    losses[place] = 0

    def of(self, cells: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Looks up [records, tables] losses in hundredths, 0 or more, for cells that belong to the card."""
        losses = np.empty(cells.shape, dtype=np.int32)
        for column, of_cells in enumerate(self._of_cells):
            losses[:, column] = of_cells[cells[:, column]]
        return losses

    def largest(self, cells: npt.NDArray[np.int32], count: int) -> tuple[_Integers, _Integers]:
        """Ranks the losses.

        Args:
            cells: [records, tables], as the card's grid has them.
            count: How many reasons, at most.

        Returns:
            [records, count] places of tables, `NO_REASON` where there is none, and their losses in hundredths.
        """
        left = self.of(cells)
        records = np.arange(len(left))
        places = np.full((len(left), count), NO_REASON, dtype=np.int64)
        amounts = np.zeros((len(left), count), dtype=np.int64)
        for rank in range(min(count, left.shape[1])):
            place = np.argmax(left, axis=1)  # of equal ones the first
            amount = left[records, place]
            found = amount > 0
            places[found, rank] = place[found]
            amounts[:, rank] = amount
            left[records, place] = 0
        return places, amounts


def reason_text(card: Card, place: int, language: str) -> str:
    """What a customer is told.

    Args:
        card: With the contract's words.
        place: Of the table among the card's.
        language: A tag as "zh-Hans".

    Returns:
        The contract's sentence in that language; failing that in a language of the same first part, in
        English, the description, or the name. An interaction says the sentences of both.
    """
    table = card.tables[place]
    return " / ".join(_texts(card.grid, table.parents or (table.name,), language))


def _texts(grid: Grid, names: tuple[str, ...], language: str) -> Iterator[str]:
    for name in names:
        item = grid.by_name[name]
        family = language.partition("-")[0]
        related = [tag for tag in sorted(item.reasons) if tag.partition("-")[0] == family]
        for tag in (language, family, *related, "en"):
            if tag in item.reasons:
                yield item.reasons[tag]
                break
        else:
            yield item.description or item.name


def _reference(entry: CardTable, table: Table) -> int:
    """Mean points over the training records that hold the table, in hundredths."""
    points = entry.hundredths_of_cells()
    held = [
        bin_
        for bin_ in entry.bins
        if table.cells[bin_.cells[0]].kind is not CellKind.NOT_HELD and bin_.share > 0
    ]
    total = sum(bin_.share for bin_ in held)
    if total <= 0:
        return 0
    return round(sum(bin_.share * int(points[bin_.cells[0]]) for bin_ in held) / total)


def _is_held(table: Table, grid: Grid, role: Role) -> bool:
    return all(role in grid.holders[name] for name in table.parents or (table.name,))

"""Into which cell of each table does a row fall? The contract's public grids, applied to whole columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedscore.contract import (
    CellKind,
    Characteristic,
    Contract,
    Derived,
    Gridded,
    InteractionSide,
    Role,
    Table,
    ValueType,
)
from fedscore.data.formulas import evaluate
from fedscore.data.rows import Cells, smallest_cells

__all__ = ["Values", "cells_of", "code_text", "group_cells_of", "level_places"]

_Floats = npt.NDArray[np.float64]
_Column = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Values:
    """Raw values of the characteristics that a role holds, for n rows.

    Attributes:
        size: n.
        numbers: By name of the characteristic: [n], NaN where missing; special codes stand as they are.
        categories: By name of the characteristic: [n] texts, null where missing.
    """

    size: int
    numbers: Mapping[str, _Floats]
    categories: Mapping[str, pa.StringArray]


def cells_of(values: Values, contract: Gridded, *, role: Role) -> Cells:
    """The cell of every row in every table of the contract.

    A special code goes to its own cell before any grid is looked at; a missing value to *missing*; a level
    that the contract does not name to *other*; everything to *not held* where the role does not hold the
    characteristic, or an input of the derived one.

    Args:
        values: Values of every characteristic that the role holds.
        contract: Grids, levels, formulas: a contract, or the grid of a card.
        role: Whose rows these are.

    Returns:
        [n, t] indices, in the order of `contract.tables`, of the smallest unsigned type that holds them.
    """
    clean = _clean_numbers(values, contract, role)
    kind = smallest_cells(contract.tables)
    result = np.empty((values.size, len(contract.tables)), dtype=kind)
    modelled = [item for item in contract.by_name.values() if not item.input_only]
    for place, item in enumerate(modelled):
        table = contract.tables[place]
        if role not in contract.holders[item.name]:
            result[:, place] = _first(table, CellKind.NOT_HELD)
        elif isinstance(item, Characteristic) and item.type is ValueType.CATEGORY:
            result[:, place] = _category_cells(item, values.categories[item.name], table)
        else:
            result[:, place] = _grid_cells(
                item.edges, clean[item.name], beyond=_first(table, CellKind.MISSING)
            )
            for code, cell in _special_cells(item, table):
                result[values.numbers[item.name] == code, place] = cell
    for place, interaction in enumerate(contract.interactions, start=len(modelled)):
        sides = (interaction.first, interaction.second)
        if not all(role in contract.holders[side.of] for side in sides):
            # Who holds a part of it only would otherwise be counted among those who hold it.
            result[:, place] = contract.tables[place].size - 1
            continue
        first, second = (_side_cells(side, clean, values) for side in sides)
        result[:, place] = first * (interaction.second.value_cells + 1) + second
    return result


def group_cells_of(values: Values, contract: Contract, *, role: Role) -> _Column:
    """The cell of every row in every group that the contract compares.

    Args:
        values: Values of every characteristic that the role holds.
        contract: Names the groups.
        role: Whose rows these are.

    Returns:
        [n, g] indices, in the order of `contract.groups`; the last cell holds everybody else, and all rows of
        a role that does not hold the characteristic.
    """
    clean = _clean_numbers(values, contract, role) if contract.groups else {}
    result = np.empty((values.size, len(contract.groups)), dtype=np.int32)
    for place, group in enumerate(contract.groups):
        result[:, place] = _side_cells(group, clean, values)
    return result


def code_text(code: float | str) -> str:
    """A special code as it stands in a category: 98.0 as "98".

    Args:
        code: As the contract holds it.

    Returns:
        Its text.
    """
    return code if isinstance(code, str) else str(int(code)) if code.is_integer() else str(code)


def _clean_numbers(values: Values, contract: Gridded, role: Role) -> dict[str, _Floats]:
    """Numbers and derived values by name, special codes being NaN, of all that the role holds."""
    clean: dict[str, _Floats] = {}
    raw: dict[str, _Floats] = {}
    for item in contract.by_name.values():
        if role not in contract.holders[item.name]:
            continue
        if isinstance(item, Derived):
            source = raw if item.specials_as_values else clean
            raw[item.name] = clean[item.name] = evaluate(item, [source[name] for name in item.of])
        elif item.type is ValueType.NUMBER:
            raw[item.name] = values.numbers[item.name]
            special = np.isin(raw[item.name], [one.code for one in item.special])
            clean[item.name] = np.where(special, np.nan, raw[item.name])
    return clean


def _category_cells(item: Characteristic, texts: pa.StringArray, table: Table) -> _Column:
    level = level_places(texts, item.levels)
    cells = np.where(level >= 0, level, np.int32(_first(table, CellKind.OTHER)))
    for code, cell in _special_cells(item, table):
        cells[level_places(texts, [code_text(code)]) == 0] = cell
    cells[texts.is_null().to_numpy(zero_copy_only=False)] = _first(table, CellKind.MISSING)
    return cells


def _side_cells(side: InteractionSide, clean: Mapping[str, _Floats], values: Values) -> _Column:
    other = side.value_cells
    if side.of in clean:
        return _grid_cells(side.edges, clean[side.of], beyond=other)
    if side.of in values.categories:
        level = level_places(values.categories[side.of], side.levels)
        return np.where(level >= 0, level, np.int32(other))
    return np.full(values.size, other, dtype=np.int32)


def _grid_cells(edges: Sequence[float], numbers: _Floats, *, beyond: int) -> _Column:
    """Cell i is [edge i-1, edge i); what is no number goes to the cell `beyond` the grid."""
    cells = np.searchsorted(edges, numbers, side="right")
    return np.where(np.isnan(numbers), beyond, cells).astype(np.int32)


def _special_cells(item: Characteristic | Derived, table: Table) -> list[tuple[float | str, int]]:
    """Special codes of a characteristic, each with its cell."""
    codes = [special.code for special in item.special] if isinstance(item, Characteristic) else []
    cells = [index for index, cell in enumerate(table.cells) if cell.kind is CellKind.SPECIAL]
    return list(zip(codes, cells, strict=True))


def level_places(texts: pa.StringArray, known: Sequence[str]) -> _Column:
    """Place of each text among the known ones, -1 if it is none of them or null."""
    places = pc.index_in(texts, value_set=pa.array(known, pa.string()), skip_nulls=True)
    found: _Column = pc.fill_null(places, -1).to_numpy(zero_copy_only=False)
    return found


def _first(table: Table, kind: CellKind) -> int:
    return next(index for index, cell in enumerate(table.cells) if cell.kind is kind)

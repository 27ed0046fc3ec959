"""The cells of a single record, without arrays: tens of microseconds, where columns of one take hundreds.

`RecordBinner.cells` gives what `cells_of` gives for a column of one. Every formula is computed in the same
order, in the same doubles, so results are equal to the last bit; a property test holds both side by side.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

from fedscore.contract import (
    CellKind,
    Characteristic,
    Derived,
    Formula,
    Gridded,
    InteractionSide,
    Role,
    Table,
    ValueType,
)
from fedscore.data.cells import code_text

__all__ = ["RecordBinner"]

_Numbers: TypeAlias = Mapping[str, float]
_Texts: TypeAlias = Mapping[str, str | None]
_Find: TypeAlias = Callable[[_Numbers, _Numbers, _Texts], int]
"""From raw numbers, clean numbers and categories, by name, to a cell."""


class RecordBinner:
    """Finds the cells of one record at a time, for one role."""

    def __init__(self, grid: Gridded, *, role: Role) -> None:
        """Looks everything up that does not depend on records.

        Args:
            grid: A contract, or the grid of a card.
            role: Whose records these are.
        """
        held = [item for item in grid.by_name.values() if role in grid.holders[item.name]]
        self._codes = {
            item.name: frozenset(one.code for one in item.special)
            for item in held
            if isinstance(item, Characteristic) and item.type is ValueType.NUMBER
        }
        self._derived = [item for item in held if isinstance(item, Derived)]
        modelled = [item for item in grid.by_name.values() if not item.input_only]
        tables = grid.tables
        self._finders = [
            _finder(item, table, is_held=role in grid.holders[item.name])
            for item, table in zip(modelled, tables, strict=False)
        ]
        numeric = {*self._codes, *(item.name for item in self._derived)}
        for table, interaction in zip(tables[len(modelled) :], grid.interactions, strict=True):
            sides = (interaction.first, interaction.second)
            if all(role in grid.holders[side.of] for side in sides):
                self._finders.append(_crossed(*sides, numeric=numeric))
            else:
                self._finders.append(_always(table.size - 1))

    def cells(self, numbers: _Numbers, categories: _Texts) -> list[int]:
        """Bins a record.

        Args:
            numbers: By name of the characteristic, NaN where missing; of all that the role holds.
            categories: By name of the characteristic, none where missing; likewise.

        Returns:
            A cell for each table of the grid.
        """
        raw = dict(numbers)
        clean = {
            name: math.nan if numbers[name] in codes else numbers[name] for name, codes in self._codes.items()
        }
        for item in self._derived:
            source = raw if item.specials_as_values else clean
            raw[item.name] = clean[item.name] = _evaluate(item, [source[name] for name in item.of])
        return [find(raw, clean, categories) for find in self._finders]


def _finder(item: Characteristic | Derived, table: Table, *, is_held: bool) -> _Find:
    if not is_held:
        return _always(_first(table, CellKind.NOT_HELD))
    missing = _first(table, CellKind.MISSING)
    codes = [one.code for one in item.special] if isinstance(item, Characteristic) else []
    special = [place for place, cell in enumerate(table.cells) if cell.kind is CellKind.SPECIAL]
    if isinstance(item, Characteristic) and item.type is ValueType.CATEGORY:
        places: dict[str | None, int] = {level: place for place, level in enumerate(item.levels)}
        places |= {code_text(code): cell for code, cell in zip(codes, special, strict=True)}
        places[None] = missing
        return _level(item.name, places, other=_first(table, CellKind.OTHER))
    return _number(item.name, item.edges, dict(zip(codes, special, strict=True)), missing=missing)


def _number(name: str, edges: Sequence[float], special: Mapping[float | str, int], *, missing: int) -> _Find:
    def find(raw: _Numbers, clean: _Numbers, _texts: _Texts) -> int:
        number = clean[name]
        if number == number:  # noqa: PLR0124 - all but NaN
            return bisect_right(edges, number)
        return special.get(raw[name], missing)

    return find


def _level(name: str, places: Mapping[str | None, int], *, other: int) -> _Find:
    def find(_raw: _Numbers, _clean: _Numbers, texts: _Texts) -> int:
        return places.get(texts[name], other)

    return find


def _always(cell: int) -> _Find:
    def find(_raw: _Numbers, _clean: _Numbers, _texts: _Texts) -> int:
        return cell

    return find


def _crossed(first: InteractionSide, second: InteractionSide, *, numeric: set[str]) -> _Find:
    one, other = (_side(side, is_number=side.of in numeric) for side in (first, second))
    width = second.value_cells + 1

    def find(raw: _Numbers, clean: _Numbers, texts: _Texts) -> int:
        return one(raw, clean, texts) * width + other(raw, clean, texts)

    return find


def _side(side: InteractionSide, *, is_number: bool) -> _Find:
    if is_number:
        # Here a special code is as good as missing.
        return _number(side.of, side.edges, {}, missing=side.value_cells)
    places: dict[str | None, int] = {level: place for place, level in enumerate(side.levels)}
    return _level(side.of, places, other=side.value_cells)


def _first(table: Table, kind: CellKind) -> int:
    return next(place for place, cell in enumerate(table.cells) if cell.kind is kind)


def _evaluate(derived: Derived, inputs: Sequence[float]) -> float:
    """As `fedscore.data.formulas.evaluate` for a column of one."""
    if any(map(math.isnan, inputs)):
        return math.nan
    bounded = list(inputs)
    if derived.floor is not None:
        floor = derived.floor
        bounded = [max(number, floor) for number in bounded]
    if derived.cap is not None:
        cap = derived.cap
        bounded = [min(number, cap) for number in bounded]
    return _FORMULAS[derived.formula](derived, bounded)


def _ratio(derived: Derived, inputs: Sequence[float]) -> float:
    numerator, denominator = inputs
    if derived.denominator_floor is not None:
        denominator = max(denominator, derived.denominator_floor)
    return math.nan if denominator == 0 else numerator / denominator


def _sum(derived: Derived, inputs: Sequence[float]) -> float:
    return _weighted(derived.weights or (1.0,) * len(inputs), inputs)


def _mean(_derived: Derived, inputs: Sequence[float]) -> float:
    return _weighted((1.0,) * len(inputs), inputs) / len(inputs)


def _trend(_derived: Derived, inputs: Sequence[float]) -> float:
    steps = [(len(inputs) - 1) / 2 - place for place in range(len(inputs))]
    return _weighted(steps, inputs) / sum(step * step for step in steps)


def _count_above(derived: Derived, inputs: Sequence[float]) -> float:
    threshold = cast("float", derived.threshold)
    return float(sum(number > threshold for number in inputs))


def _months_since(derived: Derived, inputs: Sequence[float]) -> float:
    threshold = cast("float", derived.threshold)
    return float(next((place for place, number in enumerate(inputs) if number > threshold), len(inputs)))


def _weighted(weights: Sequence[float], inputs: Sequence[float]) -> float:
    # Python's own sum() compensates for rounding, and would differ from a column's.
    total = weights[0] * inputs[0]
    for weight, number in zip(weights[1:], inputs[1:], strict=True):
        total += weight * number
    return total


_FORMULAS: Mapping[Formula, Callable[[Derived, Sequence[float]], float]] = {
    Formula.RATIO: _ratio,
    Formula.MAX: lambda _derived, inputs: max(inputs),
    Formula.MIN: lambda _derived, inputs: min(inputs),
    Formula.SUM: _sum,
    Formula.MEAN: _mean,
    Formula.TREND: _trend,
    Formula.COUNT_ABOVE: _count_above,
    Formula.MONTHS_SINCE: _months_since,
}

"""Cards of every kind that a contract allows, and rows that look for their edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from fedscore.card import Bin, Card, CardTable, Grade, Scale
from fedscore.contract import (
    Characteristic,
    Derived,
    Formula,
    Grid,
    Interaction,
    InteractionSide,
    Role,
    Special,
    Table,
    ValueType,
)
from tests.cards import OUTCOME

__all__ = ["Drawn", "cards_with_rows", "table_of"]

_AWKWARD = (
    -2.0,
    -1.0,
    0.0,
    0.1,
    0.3,
    0.1 + 0.2,
    1 / 3,
    0.5,
    1.0,
    2.0,
    98.0,
    1e-300,
    1e22,
    123456789.123456789,
)
_COLUMNS = (
    "plain",
    'with "quotes"',
    "with 'apostrophe'",
    "select",
    "größe",
    "x;--",
    "a.b",
    "%s :p ?",
    "UPPER",
)
_LEVELS = ("a", "A", "it's", '"', "1", "1.0", "2", "é", "x--y", "a ", "100000000000000", "-3", "true")

Row = dict[str, float | str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A card, the role that scores with it, and rows by column."""

    card: Card
    role: Role
    rows: tuple[Row, ...]


numbers = st.sampled_from(_AWKWARD) | st.floats(-1e6, 1e6) | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def cards_with_rows(draw: st.DrawFn) -> Drawn:
    role = draw(st.sampled_from(list(Role)))
    columns = draw(st.permutations(_COLUMNS))
    characteristics = _characteristics(draw, columns, role)
    derived = _derived(draw, characteristics)
    interactions = _interactions(draw, characteristics, derived)
    grid = Grid(characteristics=characteristics, derived=derived, interactions=interactions)
    tables = [_points(draw, table) for table in grid.tables]
    cut_offs = sorted(draw(st.lists(st.integers(400_00, 600_00), unique=True, max_size=3)), reverse=True)
    names = ("A", "it's B", "C", "rest")[-len(cut_offs) - 1 :]
    lowest = [*(cut_off / 100 for cut_off in cut_offs), None]
    card = Card(
        software_version="0",
        contract_hash="0" * 64,
        contract_name="random",
        purpose="tests",
        outcome=OUTCOME,
        parties=(),
        scale=Scale(points_to_double_odds=draw(st.sampled_from([20.0, 7.3, 0.5]))),
        grid=grid,
        intercept_points=draw(st.integers(300_00, 700_00)) / 100,
        characteristics=tuple(table for table in tables if not table.parents),
        interactions=tuple(table for table in tables if table.parents),
        grades=tuple(
            Grade(name=name, lowest_score=cut_off, share=0.1, bad_rate=0.1, standard_error=0.1)
            for name, cut_off in zip(names, lowest, strict=True)
        )
        if draw(st.booleans())
        else (),
    )
    rows = draw(st.lists(_row(grid, role), min_size=1, max_size=12))
    return Drawn(card=card, role=role, rows=tuple(rows))


def table_of(drawn: Drawn) -> pa.Table:
    """The rows as typed columns, with an `id` that counts from 1."""
    kinds = {
        item.column: pa.float64() if item.type is ValueType.NUMBER else pa.string()
        for item in drawn.card.grid.characteristics
        if drawn.role in item.roles
    }
    columns = {name: pa.array([row[name] for row in drawn.rows], kind) for name, kind in kinds.items()}
    return pa.table({"id": pa.array(range(1, len(drawn.rows) + 1), pa.int64()), **columns})


def _characteristics(draw: st.DrawFn, columns: Sequence[str], role: Role) -> tuple[Characteristic, ...]:
    found = []
    for place in range(draw(st.integers(1, 5))):
        is_number = place == 0 or draw(st.booleans())
        roles = (role,) if place == 0 else draw(st.sampled_from([tuple(Role), *((one,) for one in Role)]))
        codes: list[float | str]
        edges: tuple[float, ...] = ()
        levels: tuple[str, ...] = ()
        if is_number:
            edges = _edges(draw, most=5)
            codes = list(draw(st.lists(numbers.map(lambda one: one + 0.0), unique=True, max_size=2)))
        else:
            chosen = draw(st.lists(st.sampled_from(_LEVELS), unique=True, min_size=1, max_size=6))
            levels, codes = tuple(chosen[:4]), list(chosen[4:])
        found.append(
            Characteristic(
                name=f"char.{place}",
                column=columns[place],
                type=ValueType.NUMBER if is_number else ValueType.CATEGORY,
                roles=tuple(sorted(roles, key=list(Role).index)),
                edges=edges,
                levels=levels,
                special=tuple(Special(code=code, meaning=f"code {code}") for code in codes),
                input_only=place > 0 and draw(st.integers(0, 3)) == 0,
                description=f"what {place} says",
            )
        )
    return tuple(found)


def _derived(draw: st.DrawFn, characteristics: Sequence[Characteristic]) -> tuple[Derived, ...]:
    inputs = [item.name for item in characteristics if item.type is ValueType.NUMBER]
    found: list[Derived] = []
    for place in range(draw(st.integers(0, 4))):
        formula = draw(st.sampled_from(list(Formula)))
        of = draw(st.permutations(inputs))[: draw(st.integers(1, 4))]
        if formula in (Formula.RATIO, Formula.TREND) and len(of) < 2:
            continue
        if formula is Formula.RATIO:
            of = of[:2]
        bounds = sorted(draw(st.lists(numbers, unique=True, min_size=2, max_size=2)))
        found.append(
            Derived(
                name=f"derived-{place}",
                formula=formula,
                of=tuple(of),
                edges=_edges(draw, most=4),
                floor=bounds[0] if draw(st.booleans()) else None,
                cap=bounds[1] if draw(st.booleans()) else None,
                weights=tuple(draw(numbers) for _ in of)
                if formula is Formula.SUM and draw(st.booleans())
                else (),
                threshold=draw(numbers) if formula in (Formula.COUNT_ABOVE, Formula.MONTHS_SINCE) else None,
                denominator_floor=draw(st.sampled_from([None, 1e-3, 1.0]))
                if formula is Formula.RATIO
                else None,
                specials_as_values=draw(st.booleans()),
            )
        )
        inputs.append(found[-1].name)
    return tuple(found)


def _interactions(
    draw: st.DrawFn, characteristics: Sequence[Characteristic], derived: Sequence[Derived]
) -> tuple[Interaction, ...]:
    items: list[Characteristic | Derived] = [*characteristics, *derived]
    if len(items) < 2:
        return ()
    pairs = st.lists(st.sampled_from(items), min_size=2, max_size=2, unique_by=lambda item: item.name)
    chosen = draw(st.lists(pairs, max_size=2, unique_by=lambda pair: frozenset(item.name for item in pair)))
    return tuple(
        Interaction(first=_side(draw, first), second=_side(draw, second)) for first, second in chosen
    )


def _side(draw: st.DrawFn, item: Characteristic | Derived) -> InteractionSide:
    if isinstance(item, Characteristic) and item.type is ValueType.CATEGORY:
        return InteractionSide(of=item.name, levels=item.levels[: draw(st.integers(1, len(item.levels)))])
    return InteractionSide(of=item.name, edges=_edges(draw, most=2, least=1))


def _edges(draw: st.DrawFn, *, most: int, least: int = 0) -> tuple[float, ...]:
    return tuple(sorted(draw(st.lists(numbers, min_size=least, max_size=most, unique=True))))


def _points(draw: st.DrawFn, table: Table) -> CardTable:
    owners = draw(st.lists(st.integers(0, 5), min_size=table.size, max_size=table.size))
    groups: dict[int, list[int]] = {}
    for cell, owner in enumerate(owners):
        groups.setdefault(owner, []).append(cell)
    bins = tuple(
        Bin(
            label=str(owner),
            cells=tuple(cells),
            points=draw(st.integers(-30_00, 30_00)) / 100,
            share=draw(st.sampled_from([0.0, 0.1, 1 / 3])),
            bad_rate=None,
        )
        for owner, cells in groups.items()
    )
    return CardTable(name=table.name, parents=table.parents, monotone=None, bins=bins)


def _row(grid: Grid, role: Role) -> st.SearchStrategy[Row]:
    values: dict[str, Any] = {}
    for item in grid.characteristics:
        if role in item.roles:
            values[item.column] = _number(item, grid) if item.type is ValueType.NUMBER else _level(item)
    return st.fixed_dictionaries(values)


def _number(item: Characteristic, grid: Grid) -> st.SearchStrategy[float | None]:
    sides = [side for pair in grid.interactions for side in (pair.first, pair.second)]
    near = [*item.edges, *(edge for side in sides if side.of == item.name for edge in side.edges), 1.0]
    near += [special.code for special in item.special if not isinstance(special.code, str)]
    around = [
        one
        for edge in near
        for one in (edge, math.nextafter(edge, -math.inf), math.nextafter(edge, math.inf))
    ]
    finite = [float(one) for one in around if math.isfinite(one)]
    # An infinity now and then: such a row has no score.
    rare = st.sampled_from([None, math.nan, None, math.nan, math.inf, -math.inf])
    return st.one_of(st.sampled_from(finite), st.sampled_from(finite), st.sampled_from(finite), numbers, rare)


def _level(item: Characteristic) -> st.SearchStrategy[str | None]:
    codes = [str(special.code) for special in item.special]
    return st.sampled_from([*item.levels, *codes, *item.levels, None, "", "elsewhere", "1", "b"])

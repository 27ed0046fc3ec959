"""A card as one SELECT, for organisations whose customers live in a database.

Plain SQL that SQLite and PostgreSQL read alike. Points are added as whole hundredths, so the score is the
Python score exactly, and so is the grade; the probability is one exponential of it. A row that Python would
leave out, because a number is an infinity or no number, has NULL for a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedscore.card.model import Card
from fedscore.card.parts import CardTable, hundredths
from fedscore.card.sql_columns import Columns, number_codes, select
from fedscore.card.sql_words import identifier, number, remark, spellings, table_name, text
from fedscore.contract import (
    CellKind,
    Characteristic,
    Derived,
    Grid,
    Interaction,
    InteractionSide,
    Role,
    Table,
    ValueType,
)
from fedscore.data.cells import code_text

__all__ = ["score_query"]

_LARGEST_LOG_ODDS = 700.0


@dataclass(frozen=True, slots=True)
class _Choice:
    """A condition and the cell that it leads to.

    Attributes:
        condition: None for the last choice: whatever is left.
        cell: Within the table.
        is_below: Whether it asks for a value below an edge, so that the next such condition holds as well.
    """

    condition: str | None
    cell: int
    is_below: bool = False


def score_query(card: Card, *, role: Role, table: str, id_column: str) -> str:
    """Writes the query.

    Args:
        card: A card whose signature was checked.
        role: Whose columns the table has.
        table: Its name, perhaps with a schema before a dot.
        id_column: The column that tells rows apart; it is handed through.

    Returns:
        A SELECT of the identifier, score, probability and grade of every row, without a semicolon.

    Raises:
        CardError: A name or level of the card cannot stand in a database.
    """
    columns = Columns.of(card.grid, role)
    # What is used often below is computed once: databases would otherwise put expressions into expressions.
    stages = [
        f"card_columns AS (\n  {columns.read(identifier(id_column), table_name(table))}\n)",
        f"card_numbers AS MATERIALIZED (\n  {columns.parse('card_columns')}\n)",
    ]
    last = "card_numbers"
    if columns.cleaned:
        stages.append(f"card_values AS (\n  {columns.clean(last)}\n)")
        last = "card_values"
    for step, items in enumerate(columns.steps(), start=1):
        stages.append(f"card_derived_{step} AS MATERIALIZED (\n  {columns.derive(items, last)}\n)")
        last = f"card_derived_{step}"
    points = _points(card, columns, role)
    stages.append(
        "card_totals AS MATERIALIZED (\n  "
        + select(["id", f"CASE WHEN fit = 1 THEN{points}\n    END AS hundredths"], last)
        + "\n)"
    )
    name = remark(card.contract_name)
    head = [
        f"-- The score of {name} for a {role}: the higher, the safer. Card {card.fingerprint}.",
        "-- A row with a number that is none, or is infinite, has NULL for a score.",
    ]
    return "\n".join([*head, "WITH " + ",\n".join(stages), *_results(card, identifier(id_column))])


def _points(card: Card, columns: Columns, role: Role) -> str:
    """The sum of all points of a record, in hundredths."""
    # A sum of 32 bits could overflow.
    lines = [f"\n    CAST({hundredths(card.intercept_points)} AS BIGINT)"]
    modelled = [item for item in card.grid.by_name.values() if not item.input_only]
    singles = zip(modelled, card.grid.tables, card.tables, strict=False)
    for item, table, entry in singles:
        points = entry.hundredths_of_cells().tolist()
        if item.name not in columns.value:
            lines.append(f"{points[_first(table, CellKind.NOT_HELD)]} -- {table.name}, not held")
        else:
            choices = _choices(item, table, columns)
            lines.append(f"{_case(choices, [str(one) for one in points])} -- {table.name}")
    for interaction, entry in zip(card.grid.interactions, card.interactions, strict=True):
        lines.append(f"{_crossed(interaction, entry, card.grid, columns, role)} -- {entry.name}")
    return "\n    + ".join(lines)


def _choices(item: Characteristic | Derived, table: Table, columns: Columns) -> list[_Choice]:
    """What puts a record into the cells of a characteristic."""
    raw, value = columns.raw[item.name], columns.value[item.name]
    missing = _Choice(f"{value} IS NULL", _first(table, CellKind.MISSING))
    if isinstance(item, Characteristic) and item.type is ValueType.CATEGORY:
        known = _known(item)
        special_cells = _cells(table, CellKind.SPECIAL)
        codes = [code_text(special.code) for special in item.special]
        special = [
            _Choice(_is(value, code, known), cell) for code, cell in zip(codes, special_cells, strict=True)
        ]
        levels = [_Choice(_is(value, level, known), cell) for cell, level in enumerate(item.levels)]
        return [*special, missing, *levels, _Choice(None, _first(table, CellKind.OTHER))]
    coded = number_codes(item) if isinstance(item, Characteristic) else []
    cells = _cells(table, CellKind.SPECIAL)
    special = [_Choice(f"{raw} = {number(code)}", cells[place]) for code, place in coded]
    return [*special, missing, *_grid(item.edges, value)]


def _crossed(interaction: Interaction, entry: CardTable, grid: Grid, columns: Columns, role: Role) -> str:
    """The points of an interaction."""
    points = [str(one) for one in entry.hundredths_of_cells().tolist()]
    first, second = interaction.first, interaction.second
    if not all(role in grid.holders[side.of] for side in (first, second)):
        return points[-1]
    width = second.value_cells + 1
    inner = _side_choices(second, grid, columns)
    rows = [_case(inner, points[start : start + width]) for start in range(0, len(points), width)]
    return _case(_side_choices(first, grid, columns), rows)


def _side_choices(side: InteractionSide, grid: Grid, columns: Columns) -> list[_Choice]:
    item, value = grid.by_name[side.of], columns.value[side.of]
    if isinstance(item, Characteristic) and item.type is ValueType.CATEGORY:
        known = _known(item)
        return [
            *(_Choice(_is(value, level, known), cell) for cell, level in enumerate(side.levels)),
            _Choice(None, side.value_cells),
        ]
    return [_Choice(f"{value} IS NULL", side.value_cells), *_grid(side.edges, value)]


def _grid(edges: Sequence[float], value: str) -> list[_Choice]:
    inner = [_Choice(f"{value} < {number(edge)}", cell, is_below=True) for cell, edge in enumerate(edges)]
    return [*inner, _Choice(None, len(edges))]


def _case(choices: Sequence[_Choice], results: Sequence[str]) -> str:
    """Chooses a result; a condition that leads where the next ones lead anyway is left out."""
    last = results[choices[-1].cell]
    whens: list[str] = []
    following: _Choice | None = None
    for choice in reversed(choices[:-1]):
        result = results[choice.cell]
        is_said = choice.is_below and following is not None and result == results[following.cell]
        if (whens or result != last) and not is_said:
            whens.append(f"WHEN {choice.condition} THEN {result}")
            following = choice if choice.is_below else None
    return " ".join(["CASE", *reversed(whens), f"ELSE {last} END"]) if whens else last


def _results(card: Card, id_column: str) -> list[str]:
    score = "CAST(hundredths AS DOUBLE PRECISION) / 100.0"
    log_odds = f"({score} - {number(card.scale.offset)}) / {number(card.scale.factor)}"
    least, greatest = (abs(points - card.scale.offset) / card.scale.factor for points in card.score_range)
    if max(least, greatest) >= _LARGEST_LOG_ODDS:
        bound = number(_LARGEST_LOG_ODDS)
        log_odds = (
            f"CASE WHEN {log_odds} > {bound} THEN {bound} WHEN {log_odds} < -{bound} THEN -{bound} "
            f"ELSE {log_odds} END"
        )
    grades = [
        (f"hundredths >= {hundredths(grade.lowest_score)}", place)
        for place, grade in enumerate(card.grades)
        if grade.lowest_score is not None
    ]
    names = [text(grade.name) for grade in card.grades]
    grade = "CAST(NULL AS TEXT)"
    if names:
        whens = " ".join(f"WHEN {condition} THEN {names[place]}" for condition, place in grades)
        grade = f"CASE WHEN hundredths IS NULL THEN NULL {whens} ELSE {names[-1]} END"
    return [
        f"SELECT id AS {id_column},",
        f"  {score} AS score,",
        f"  1.0 / (1.0 + EXP({log_odds})) AS probability,",
        f"  {grade} AS grade",
        "FROM card_totals",
    ]


def _is(value: str, level: str, known: frozenset[str]) -> str:
    spelt = [text(one) for one in spellings(level, known)]
    return f"{value} = {spelt[0]}" if len(spelt) == 1 else f"{value} IN ({', '.join(spelt)})"


def _known(item: Characteristic) -> frozenset[str]:
    return frozenset(item.levels) | {code_text(special.code) for special in item.special}


def _cells(table: Table, kind: CellKind) -> list[int]:
    return [place for place, cell in enumerate(table.cells) if cell.kind is kind]


def _first(table: Table, kind: CellKind) -> int:
    return _cells(table, kind)[0]

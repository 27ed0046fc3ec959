"""Where do the values of a record stand in a query, and how do they get there?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedscore.card.sql_values import derived_value
from fedscore.card.sql_words import identifier, number
from fedscore.contract import Characteristic, Derived, Grid, Role, ValueType

__all__ = ["Columns", "number_codes", "select"]

_SIGNS_OF_NUMBERS = "'0123456789+-.e'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where the values of a role's characteristics stand.

    Attributes:
        numbers: Column of the table by column of the query, for numbers.
        texts: Likewise, for categories.
        raw: Column of the query by characteristic, special codes standing as they are.
        value: Likewise, special codes being NULL.
        cleaned: Characteristics with special codes.
        derived: What is computed, in the order of the grid.
    """

    numbers: Mapping[str, str]
    texts: Mapping[str, str]
    raw: Mapping[str, str]
    value: Mapping[str, str]
    cleaned: tuple[Characteristic, ...]
    derived: tuple[Derived, ...]

    @classmethod
    def of(cls, grid: Grid, role: Role) -> Columns:
        """Gives every value of a role a column."""
        numbers: dict[str, str] = {}
        texts: dict[str, str] = {}
        raw: dict[str, str] = {}
        value: dict[str, str] = {}
        cleaned: list[Characteristic] = []
        for place, item in enumerate(grid.characteristics):
            if role not in item.roles:
                continue
            is_number = item.type is ValueType.NUMBER
            raw[item.name] = value[item.name] = column = f"{'n' if is_number else 't'}{place}"
            (numbers if is_number else texts)[column] = item.column
            if is_number and number_codes(item):
                value[item.name] = f"c{place}"
                cleaned.append(item)
        derived = tuple(item for item in grid.derived if role in grid.holders[item.name])
        for place, computed in enumerate(derived):
            raw[computed.name] = value[computed.name] = f"d{place}"
        return cls(
            numbers=numbers, texts=texts, raw=raw, value=value, cleaned=tuple(cleaned), derived=derived
        )

    def read(self, id_column: str, table: str) -> str:
        """Takes the columns out of the table."""
        # Without the name of the source SQLite would take a column that is not there for a text.
        taken = [f"source.{id_column} AS id"]
        for column, name in self.numbers.items():
            source = f"source.{identifier(name)}"
            taken += [f"{source} AS {column}", f"LOWER(TRIM(CAST({source} AS TEXT))) AS s{column}"]
        # What is joined has no collation of its own, so levels are compared sign by sign.
        taken += [
            f"NULLIF(CAST(source.{identifier(name)} AS TEXT) || '', '') AS {column}"
            for column, name in self.texts.items()
        ]
        return select(taken, f"{table} AS source")

    def parse(self, stage: str) -> str:
        """Makes numbers, and notes whether every one of them is there or missing."""
        taken = ["id", *self.texts]
        taken += [
            f"CASE WHEN s{column} <> '' AND TRIM(s{column}, {_SIGNS_OF_NUMBERS}) = '' "
            f"THEN CAST({column} AS DOUBLE PRECISION) END AS {column}"
            for column in self.numbers
        ]
        unfit = [
            f"TRIM(s{column}, {_SIGNS_OF_NUMBERS}) <> '' AND s{column} <> 'nan'" for column in self.numbers
        ]
        broken = " OR ".join(f"({one})" for one in unfit)
        taken.append(f"CASE WHEN {broken} THEN 0 ELSE 1 END AS fit" if unfit else "1 AS fit")
        return select(taken, stage)

    def clean(self, stage: str) -> str:
        """Takes special codes out."""
        taken = ["*"]
        for item in self.cleaned:
            codes = ", ".join(number(code) for code, _ in number_codes(item))
            raw = self.raw[item.name]
            taken.append(f"CASE WHEN {raw} IN ({codes}) THEN NULL ELSE {raw} END AS {self.value[item.name]}")
        return select(taken, stage)

    def steps(self) -> list[list[Derived]]:
        """Derived characteristics, those of a step being computed from earlier steps alone."""
        steps: list[list[Derived]] = []
        done: dict[str, int] = {}
        for item in self.derived:
            done[item.name] = place = max((done.get(name, -1) + 1 for name in item.of), default=0)
            steps += [[]] * (place == len(steps))
            steps[place] = [*steps[place], item]
        return steps

    def derive(self, items: Sequence[Derived], stage: str) -> str:
        """Adds derived characteristics."""
        taken = ["*"]
        for item in items:
            source = self.raw if item.specials_as_values else self.value
            value = derived_value(item, [source[name] for name in item.of])
            taken.append(f"{value} AS {self.value[item.name]}")
        return select(taken, stage)


def number_codes(item: Characteristic) -> list[tuple[float, int]]:
    """Special codes of a number, each with its place among them; a text is never equal to a number."""
    codes = enumerate(special.code for special in item.special)
    return [(code, place) for place, code in codes if not isinstance(code, str)]


def select(expressions: Sequence[str], source: str) -> str:
    """A SELECT without conditions; names and texts in it are quoted already."""
    listed = ",\n    ".join(expressions)
    return f"SELECT {listed}\n  FROM {source}"  # noqa: S608 - see above

"""From records of a request to values, each judged by itself: faults are codes, and never show a value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fedscore.card.scoring import Scorer
from fedscore.data import Values
from fedscore.serving.score_pb2 import (
    FAULT_ABSENT_COLUMN,
    FAULT_INFINITE,
    FAULT_NOT_A_LEVEL,
    FAULT_NOT_A_NUMBER,
    FAULT_UNKNOWN_COLUMN,
    Fault,
    FaultCode,
    Record,
    Value,
)

__all__ = ["Columns", "Read"]

_LARGEST_EXACT_INTEGER = 2.0**53
_MOST_FAULTS = 20
_MOST_LETTERS = 64
"""Of the name of a column that the card does not know: anybody may write anything there."""


class _Unfit(Exception):  # noqa: N818 - what happened to the value
    """A value that its column cannot hold.

    Attributes:
        code: What is wrong with it.
    """

    def __init__(self, code: FaultCode) -> None:
        super().__init__()
        self.code = code


@dataclass(frozen=True, slots=True)
class Read:
    """A record's values, or why there are none.

    Attributes:
        numbers: By column, NaN where missing.
        categories: By column, none where missing.
        faults: At most 20; without any the record can be scored.
    """

    numbers: dict[str, float]
    categories: dict[str, str | None]
    faults: tuple[Fault, ...]


class Columns:
    """Reads records by what a card needs of them."""

    def __init__(self, scorer: Scorer) -> None:
        """Looks up the columns of the scorer's role."""
        self._numbers = scorer.numbers
        self._categories = scorer.categories
        self.numeric = tuple(dict.fromkeys(scorer.numbers.values()))
        self.textual = tuple(dict.fromkeys(scorer.categories.values()))
        self._known = frozenset((*self.numeric, *self.textual))

    def read(self, record: Record) -> Read:
        """Reads a record."""
        given: Mapping[str, Value] = record.columns
        faults: list[Fault] = []
        numbers: dict[str, float] = {}
        categories: dict[str, str | None] = {}
        if len(given) != len(self._known) or not self._known.issuperset(given):
            faults += [
                Fault(column=name[:_MOST_LETTERS], code=FAULT_UNKNOWN_COLUMN)
                for name in sorted(set(given) - self._known)
            ]
            faults += [
                Fault(column=name, code=FAULT_ABSENT_COLUMN) for name in sorted(self._known - set(given))
            ]
        for name in self.numeric:
            # Looking up an absent key of a map would add it.
            if name in given:
                try:
                    numbers[name] = _number(given[name])
                except _Unfit as unfit:
                    faults.append(Fault(column=name, code=unfit.code))
        for name in self.textual:
            if name in given:
                try:
                    categories[name] = _category(given[name])
                except _Unfit as unfit:
                    faults.append(Fault(column=name, code=unfit.code))
        return Read(numbers=numbers, categories=categories, faults=tuple(faults[:_MOST_FAULTS]))

    def by_characteristic(self, read: Read) -> tuple[dict[str, float], dict[str, str | None]]:
        """Names the values of a record that has no faults as the contract does, instead of its columns."""
        return (
            {name: read.numbers[column] for name, column in self._numbers.items()},
            {name: read.categories[column] for name, column in self._categories.items()},
        )

    def values(self, reads: Sequence[Read]) -> Values:
        """Puts records that have no faults side by side."""
        numbers = {
            column: np.array([read.numbers[column] for read in reads], dtype=np.float64)
            for column in self.numeric
        }
        categories = {
            column: pa.array([read.categories[column] for read in reads], pa.string())
            for column in self.textual
        }
        return Values(
            size=len(reads),
            numbers={name: numbers[column] for name, column in self._numbers.items()},
            categories={name: categories[column] for name, column in self._categories.items()},
        )


def _number(value: Value) -> float:
    kind = value.WhichOneof("kind")
    if kind is None:
        return math.nan
    if kind != "number":
        raise _Unfit(FAULT_NOT_A_NUMBER)
    number = value.number
    if math.isinf(number):
        raise _Unfit(FAULT_INFINITE)
    return number


def _category(value: Value) -> str | None:
    """As `ColumnReader.categories` reads a typed file: whole numbers as decimal text, empty is missing."""
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "text":
        return value.text or None
    if kind == "flag":
        return "true" if value.flag else "false"
    number = value.number
    if math.isnan(number):
        return None
    if not (abs(number) <= _LARGEST_EXACT_INTEGER and number == math.trunc(number)):
        raise _Unfit(FAULT_NOT_A_LEVEL)
    return str(int(number))

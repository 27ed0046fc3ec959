"""Which columns of a file could a score use, which not, and why? By their names and types alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fedscore.contract.column_hints import Column, ColumnKind, Use, is_shared, use_of
from fedscore.contract.denylist import REFUSED, subjects_in

__all__ = ["LeftOut", "SortedColumns", "sorted_out"]

_LONGEST_COLUMN = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A column that is no characteristic.

    Attributes:
        column: Its name.
        reason: Why not.
    """

    column: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedColumns:
    """What the columns of a file are for.

    Attributes:
        characteristics: What a score could use, in the file's order.
        left_out: What it could not.
        identifier: What tells rows apart, if that is plain.
        identifiers: All that might.
        outcome: What is predicted, if that is plain.
        outcomes: All that might be.
        dates: Columns of dates.
    """

    characteristics: list[Column]
    left_out: list[LeftOut]
    identifier: str | None
    identifiers: list[str]
    outcome: str | None
    outcomes: list[str]
    dates: list[str]


def sorted_out(columns: Sequence[Column], outcome: str | None, identifier: str | None) -> SortedColumns:
    """Tell what each column is for, by its name and its type.

    Args:
        columns: Of an organisation's file.
        outcome: The column with the outcome, if it is known.
        identifier: The column that tells rows apart, if it is known.
    """
    times = Counter(column.name for column in columns)
    readable = [
        column for column in columns if times[column.name] == 1 and 0 < len(column.name) <= _LONGEST_COLUMN
    ]
    uses = {column.name: use_of(column) for column in readable}
    identifiers = [name for name, use in uses.items() if use is Use.IDENTIFIER and name != outcome]
    outcomes = [name for name, use in uses.items() if use is Use.OUTCOME and name != identifier]
    found = SortedColumns(
        characteristics=[],
        left_out=[
            LeftOut(column=name, reason="there more than once: keep the right one")
            for name, count in times.items()
            if count > 1
        ],
        identifier=identifier or _chosen_identifier(identifiers),
        identifiers=identifiers,
        # Which of several is the outcome nobody can tell from names.
        outcome=outcome or (outcomes[0] if len(outcomes) == 1 else None),
        outcomes=outcomes,
        dates=[name for name, use in uses.items() if use is Use.DATE and name not in (outcome, identifier)],
    )
    for column in columns:
        if times[column.name] == 1 and column.name not in (found.outcome, found.identifier):
            reason = _reason_against(column, uses.get(column.name))
            if reason is None:
                found.characteristics.append(column)
            else:
                found.left_out.append(LeftOut(column=column.name, reason=reason))
    return found


def _chosen_identifier(identifiers: Sequence[str]) -> str | None:
    """`id` where there is one; otherwise the only one."""
    plain = [name for name in identifiers if name.lower() == "id"]
    if plain:
        return plain[0]
    return identifiers[0] if len(identifiers) == 1 and not is_shared(identifiers[0]) else None


def _reason_against(column: Column, use: Use | None) -> str | None:
    if use is None:
        return f"its name is empty or longer than {_LONGEST_COLUMN} characters: rename it"
    refused = subjects_in(REFUSED, names=(column.name,), description="")
    if refused:
        subject, phrase = refused[0]
        return f'seems to be about {subject.name} ("{phrase}"), which a score must not use'
    match use:
        case Use.IDENTIFIER:
            return (
                "seems to be an identifier; what is a public list, as of shops, may be a category with levels"
            )
        case Use.OUTCOME:
            return "seems to be an outcome: as a characteristic it would tell what is to be predicted"
        case Use.DATE:
            return "is a date: add what it says of a customer, as days or months until the date of the row"
        case Use.CHARACTERISTIC:
            return "has no single value in a row" if column.kind is ColumnKind.NESTED else None

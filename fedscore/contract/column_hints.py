"""What a column may be for, by its name and its type alone: nobody has looked into it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from fedscore.contract.denylist import words_of

__all__ = [
    "Column",
    "ColumnKind",
    "GridHint",
    "Use",
    "grid_hint",
    "is_coded",
    "is_of_a_person",
    "is_shared",
    "use_of",
]


class ColumnKind(StrEnum):
    """What a file says that a column holds."""

    NUMBER = "number"
    WHOLE = "whole number"
    TRUTH = "true or false"
    TEXT = "text"
    MOMENT = "date or time"
    NESTED = "no single value"
    UNKNOWN = "unknown"
    """A CSV file does not say; its values would, and they are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a file, without its values.

    Attributes:
        name: As the file has it.
        kind: What it holds.
    """

    name: str
    kind: ColumnKind


class Use(StrEnum):
    """What a column seems to be for."""

    CHARACTERISTIC = "characteristic"
    IDENTIFIER = "identifier"
    OUTCOME = "outcome"
    DATE = "date"


@dataclass(frozen=True, slots=True, kw_only=True)
class GridHint:
    """An example of a public grid, from what quantities of a name usually are.

    Attributes:
        quantity: What it is, as "an amount".
        edges: Round numbers, written as in TOML.
        unit: Of the values; empty if the name does not tell.
    """

    quantity: str
    edges: str
    unit: str = ""


_PERSONS = ("person", "customer", "client", "user", "member", "borrower", "applicant", "cardholder", "debtor")
_THINGS = ("account", "loan", "case", "order", "application", "contract", "row", "record", "card", "system")
_SHARED_THINGS = ("shop", "store", "party", "product", "branch")
_IDENTIFIERS = frozenset({"id", "ids", "uuid", "guid", "key", "pk", "ssn"})
_OUTCOMES = frozenset(
    {"y", "target", "label", "outcome", "bad", "default", "defaulted", "delinquent", "dlqin"}
)
_PLAIN_OUTCOMES = frozenset({"outcome", "defaulted", "dlqin"})
_DATES = frozenset({"date", "timestamp", "datetime", "at"})
_WRITTEN_AS_ONE = re.compile(rf"(?:{'|'.join((*_PERSONS, *_THINGS, *_SHARED_THINGS))})+(?:id|key|no)")

_CODED = frozenset({"code", "cod", "type", "kind", "class", "category", "status", "flag", "is", "has"})
_PERHAPS_CODED = frozenset(
    {"sex", "gender", "education", "marriage", "marital", "channel", "method", "segment", "profession"}
    | {"occupation", "residence", "reason", "purpose", "grade", "region", "shop", "store"}
)

_RATIO = GridHint(quantity="a ratio", edges="[0.1, 0.25, 0.5, 0.75, 1.0]")
_COUNT = GridHint(quantity="a count", edges="[1, 2, 3, 5, 8]")
_AGE = GridHint(quantity="an age", edges="[21, 25, 30, 35, 40, 50, 60]", unit="years")
_MONTHS = GridHint(quantity="a number of months", edges="[1, 3, 6, 12, 24, 36, 60, 120]", unit="months")
_DAYS = GridHint(quantity="a number of days", edges="[1, 4, 8, 15, 31, 61, 91, 181]", unit="days")
_YEARS = GridHint(quantity="a number of years", edges="[1, 2, 3, 5, 10, 20]", unit="years")
_SCORE = GridHint(quantity="another score", edges="[500, 550, 600, 650, 700]", unit="points")
_AMOUNT = GridHint(quantity="an amount", edges="[1, 100, 250, 500, 1_000, 2_500, 5_000, 10_000]")

_RATIOS = frozenset(
    {"ratio", "rate", "share", "utilisation", "utilization", "percent", "percentage", "pct", "fraction"}
)
_COUNTS = frozenset({"count", "counts", "number", "num", "quant", "quantity", "qty", "cnt", "times"})
_TIMES = {
    **dict.fromkeys(("age", "ages"), _AGE),
    **dict.fromkeys(("month", "months", "tenure"), _MONTHS),
    **dict.fromkeys(("day", "days", "dpd", "overdue"), _DAYS),
    **dict.fromkeys(("year", "years"), _YEARS),
}
_OTHERS = {
    **dict.fromkeys(("score", "rating"), _SCORE),
    **dict.fromkeys(
        ("amount", "amounts", "amt", "balance", "bal", "income", "salary", "limit", "debt"), _AMOUNT
    ),
    **dict.fromkeys(("sum", "spend", "spent", "bill", "pay", "paid", "payment", "price", "value"), _AMOUNT),
    **dict.fromkeys(("credit", "outstanding", "turnover", "revenue", "refund", "refunded", "loan"), _AMOUNT),
    **dict.fromkeys(("cards", "orders", "logins", "accounts", "inquiries", "instalments"), _COUNT),
    **dict.fromkeys(("dependents", "cases", "promises", "lines", "visits"), _COUNT),
}


def use_of(column: Column) -> Use:
    """What a column seems to be for, by its name; a date also by its type.

    Examples:
        >>> use_of(Column(name="customer_id", kind=ColumnKind.TEXT))
        <Use.IDENTIFIER: 'identifier'>
        >>> use_of(Column(name="default.payment.next.month", kind=ColumnKind.WHOLE))
        <Use.OUTCOME: 'outcome'>
        >>> use_of(Column(name="days_past_due", kind=ColumnKind.WHOLE))
        <Use.CHARACTERISTIC: 'characteristic'>
    """
    words = words_of(column.name)
    if column.kind is ColumnKind.MOMENT or (
        words and words[-1] in _DATES and column.kind is not ColumnKind.NUMBER
    ):
        return Use.DATE
    if not _IDENTIFIERS.isdisjoint(words) or any(_WRITTEN_AS_ONE.fullmatch(word) for word in words):
        return Use.IDENTIFIER
    if words and (words[0] in _OUTCOMES or words[-1] in _OUTCOMES or not _PLAIN_OUTCOMES.isdisjoint(words)):
        return Use.OUTCOME
    return Use.CHARACTERISTIC


def is_of_a_person(name: str) -> bool:
    """Whether an identifier seems to tell persons apart, rather than rows or accounts."""
    return any(word.startswith(_PERSONS) for word in words_of(name))


def is_shared(name: str) -> bool:
    """Whether many rows are likely to share an identifier: a shop has many customers."""
    return any(word.startswith(_SHARED_THINGS) for word in words_of(name))


def is_coded(column: Column) -> bool:
    """Whether the numbers of a column seem to be codes, which have no order."""
    words = words_of(column.name)
    if not _CODED.isdisjoint(words):
        return True
    return not _PERHAPS_CODED.isdisjoint(words) and grid_hint(column.name) is None


def grid_hint(name: str) -> GridHint | None:
    """An example of a grid for a number of a name, if the name tells what is counted.

    Examples:
        >>> [hint.quantity for hint in map(grid_hint, ["income_ratio", "NumberOfTime30-59Days"]) if hint]
        ['a ratio', 'a count']
        >>> [hint.quantity for hint in map(grid_hint, ["PAYMENT_DAY", "loan_amount"]) if hint]
        ['a number of days', 'an amount']
    """
    words = words_of(name)
    if not _RATIOS.isdisjoint(words):
        return _RATIO
    if words and words[0] in _COUNTS:
        return _COUNT
    for known in (_TIMES, dict.fromkeys(_COUNTS, _COUNT), _OTHERS):
        for word in words:
            if word in known:
                return known[word]
    return None

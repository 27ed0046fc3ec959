"""Superlender's past loans and people, as its files have them: dates, amounts, banks."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fedscore.errors import DataError, ScenarioError

__all__ = ["HISTORY", "PEOPLE", "Loan", "Person", "find_folder", "read_loans", "read_people"]

HISTORY = "superlender_history.parquet"
PEOPLE = "superlender_people.parquet"

_INSTALMENT_DAYS = 30

_LOAN_COLUMNS = (
    *("systemloanid", "customerid", "approveddate", "firstduedate", "closeddate"),
    *("loanamount", "totaldue", "termdays"),
)
_PERSON_COLUMNS = ("customerid", "bank_name_clients", "age")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """A loan that was repaid in the end: the file has no others.

    Attributes:
        loan_id: Unique.
        customer: Who borrowed.
        approved: When it was approved: everything that a score may use was known before.
        first_due: Day of the first instalment; agreed at approval.
        closed: When it was repaid in full.
        amount: Naira lent.
        total_due: Naira to be paid back.
        term_days: 15, 30, 60 or 90.
    """

    loan_id: str
    customer: str
    approved: dt.datetime
    first_due: dt.date
    closed: dt.datetime
    amount: float
    total_due: float
    term_days: int

    @property
    def due(self) -> dt.date:
        """The day on which all of it was due: longer loans are paid in instalments of thirty days."""
        return self.first_due + dt.timedelta(days=max(0, self.term_days - _INSTALMENT_DAYS))

    @property
    def days_late(self) -> int:
        """Days from the due date to the day on which it was closed; negative if that was earlier."""
        return (self.closed.date() - self.due).days

    def event_day(self, horizon_days: int) -> dt.date:
        """The day on which it is that many days late, if it is not closed before."""
        return self.due + dt.timedelta(days=horizon_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What is on record about a borrower; the file does not say since when.

    Attributes:
        bank: Name of the bank, or None.
        age: In years, or None.
    """

    bank: str | None
    age: int | None


def find_folder(data: Path | None, environment: Mapping[str, str] | None = None) -> Path:
    """The folder that holds both files.

    Args:
        data: The folder; where it is left out, `$FEDSCORE_DATA` and `../shared/data` are looked through.
        environment: The environment's variables; those of the process where left out.

    Raises:
        ScenarioError: Neither folder holds them.
    """
    named = (os.environ if environment is None else environment).get("FEDSCORE_DATA")
    places = (
        [data] if data is not None else [*([Path(named)] if named else []), Path("..") / "shared" / "data"]
    )
    for place in places:
        if all((place / name).is_file() for name in (HISTORY, PEOPLE)):
            return place
    looked = "\n".join(f"  - {place}" for place in places)
    raise ScenarioError(
        f"{HISTORY} and {PEOPLE} were not found. Looked in:\n{looked}\nPass --data FOLDER, or set "
        "FEDSCORE_DATA to the folder that holds them"
    )


def read_loans(path: Path) -> tuple[Loan, ...]:
    """Read past loans, in the file's order.

    Raises:
        DataError: The file cannot be read, a column is missing, or a loan has no date or amount.
    """
    rows = _rows(path, _LOAN_COLUMNS)
    incomplete = sum(any(row[name] is None for name in _LOAN_COLUMNS) for row in rows)
    if incomplete:
        raise DataError(
            f"{path.name}: {incomplete} loans lack a date, an amount or an id: only closed loans with all of "
            "them can be labelled; leave the others out"
        )
    return tuple(
        Loan(
            loan_id=str(row["systemloanid"]),
            customer=str(row["customerid"]),
            approved=row["approveddate"],
            first_due=row["firstduedate"].date(),
            closed=row["closeddate"],
            amount=float(row["loanamount"]),
            total_due=float(row["totaldue"]),
            term_days=int(row["termdays"]),
        )
        for row in rows
    )


def read_people(path: Path) -> dict[str, Person]:
    """Read what is on record about borrowers, by customer; of several lines the first one counts.

    Raises:
        DataError: The file cannot be read, or a column is missing.
    """
    people: dict[str, Person] = {}
    for row in _rows(path, _PERSON_COLUMNS):
        person = Person(
            bank=row["bank_name_clients"],
            age=row["age"],
        )
        people.setdefault(str(row["customerid"]), person)
    return people


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    try:
        table: pa.Table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid):
        raise DataError(f"{path.name} cannot be read: it must be a Parquet file") from None
    if missing := [name for name in columns if name not in table.column_names]:
        raise DataError(f"{path.name} lacks the columns {', '.join(missing)}: is it Superlender's file?")
    rows: list[dict[str, Any]] = table.select(list(columns)).to_pylist()
    return rows

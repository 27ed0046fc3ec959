"""An agency's rows as of a date: one per person in its books; what was known, and what happened after.

What belongs to which side of the as-of date D, with a horizon of H days:

- A case belongs to the day on which it was opened, with its amount and its days overdue; its closing belongs
  to `closed_on`. A contact, a promise and a repayment belong to their day; a promise's due date is part of
  what was promised.
- Characteristics see what happened strictly before D. A case that is closed on D or later is, as of D, open.
  A promise counts once its due date and three days are over before D; it was kept if what was repaid on its
  case from the day it was made to three days after its due date is at least what was promised.
- The outcome is whether a new case of the person is opened in [D, D + H): what the agency sees of a payment
  that became seriously overdue at one of its clients. Nothing before D and nothing on or after D + H has a
  part in it.

A person has a row if the agency opened a case of theirs before D. The row's id is the person's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clients.aggregates import count, day_number, days, highest, owners, total, values, within, word
from clients.collector.schema import REACHED, TABLES
from clients.operational import Tables, check_tables
from fedscore.errors import ContractError

__all__ = ["COLUMNS", "PROMISE_GRACE_DAYS", "characteristics_as_of", "rows_as_of"]

PROMISE_GRACE_DAYS = 3
"""A payment counts for a promise until so many days after its due date."""

_DAYS_PER_MONTH = 365.25 / 12
_TWO_YEARS = 730
_HALF_A_CENT = 0.005

COLUMNS: Mapping[str, str] = {
    "id": "the person",
    "person_id": "the person",
    "months_known": "months since the person's first case was opened",
    "cases_24m": "cases opened in the last 730 days",
    "cases_90": "cases opened in the last 90 days",
    "open_cases": "cases that are open",
    "creditors_24m": "different clients of the cases opened in the last 730 days",
    "days_since_case": "days since the last case was opened",
    "worst_days_overdue": "most days overdue, until closing or the date, of those cases",
    "owed_open": "overdue amount of the open cases, less what was repaid on them",
    "owed_24m": "overdue amount of the cases opened in the last 730 days",
    "repaid_24m": "of that, the amount repaid",
    "repaid_90": "amount repaid in the last 90 days",
    "days_since_repayment": "days since the last repayment; empty if there was none",
    "contacts_180": "attempts to reach the person in the last 180 days",
    "reached_180": "of those, how many reached the person",
    "promises_24m": "promises to pay that were to be kept in the last 730 days",
    "kept_24m": "of those, how many were kept",
}
"""The columns of `characteristics_as_of`, with what each says; a contract takes those that it wants."""

_Days = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Books:
    """Cases as of a day: an entry per case, of which only the known ones were opened before that day."""

    persons: pa.Array
    known: _Mask
    person: _Days
    opened: _Days
    closed: _Days
    amount: _Floats

    @property
    def size(self) -> int:
        """How many persons there are."""
        return len(self.persons)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repayments:
    """The table of repayments: an entry per payment."""

    case: _Days
    day: _Days
    amount: _Floats


def rows_as_of(tables: Tables, *, as_of: dt.date, horizon_days: int) -> pa.Table:
    """The contract's rows of an agency: `characteristics_as_of` and the outcome `y` within the horizon.

    The tables must be complete up to the end of the horizon: a case that is not recorded was not opened.

    Args:
        tables: The operational tables of `TABLES`, by name.
        as_of: The date that divides what is known from what is to be predicted.
        horizon_days: How far the outcome looks, in days; at least one.

    Returns:
        One row per person, in the order of their first known case in the table: the columns of `COLUMNS`, and
        `y` (int8, 1 is bad).

    Raises:
        DataError: A table does not fit its schema.
        ContractError: The horizon is empty.
    """
    if horizon_days < 1:
        raise ContractError(f"a horizon of {horizon_days} days sees nothing: agree on at least 1")
    checked = check_tables(tables, TABLES)
    today = day_number(as_of)
    books = _books(checked["cases"], today)
    opened = (books.opened >= today) & (books.opened < today + horizon_days) & (books.person >= 0)
    outcome = (count(books.person, books.size, where=opened) > 0).astype(np.int8)
    return _characteristics(checked, books, today).append_column("y", pa.array(outcome))


def characteristics_as_of(tables: Tables, *, as_of: dt.date) -> pa.Table:
    """What `rows_as_of` returns, without the outcome: what a score needs today.

    Raises:
        DataError: A table does not fit its schema.
    """
    checked = check_tables(tables, TABLES)
    today = day_number(as_of)
    return _characteristics(checked, _books(checked["cases"], today), today)


def _books(cases: pa.Table, today: int) -> _Books:
    opened = days(cases["opened_on"])
    known = opened < today
    names = cases["person_id"].cast(pa.string())
    persons = pc.unique(names.filter(pa.array(known)))
    return _Books(
        persons=persons,
        known=known,
        person=np.asarray(pc.fill_null(pc.index_in(names, value_set=persons), -1).to_numpy(), dtype=np.int64),
        opened=opened,
        closed=days(cases["closed_on"]),
        amount=values(cases["overdue_amount"]),
    )


def _characteristics(tables: Tables, books: _Books, today: int) -> pa.Table:
    keys, table = tables["cases"]["case_id"], tables["repayments"]
    repayments = _Repayments(
        case=owners(table["case_id"], keys, where="repayments.case_id"),
        day=days(table["paid_on"]),
        amount=values(table["amount"]),
    )
    columns = {
        "id": books.persons,
        "person_id": books.persons,
        **_cases(tables["cases"], books, today),
        **_money(books, repayments, today),
        **_contacts(tables, books, today),
        **_promises(tables, books, repayments, today),
    }
    return pa.table({name: columns[name] for name in COLUMNS})


def _cases(cases: pa.Table, books: _Books, today: int) -> dict[str, _Floats]:
    person, size, opened = books.person, books.size, books.opened
    recent = within(opened, _TWO_YEARS, today=today)
    ended = np.minimum(books.closed, today)
    overdue = values(cases["days_overdue"]) + ended - opened
    age = today - opened
    return {
        "months_known": highest(person, size, age, where=books.known, nothing=0) / _DAYS_PER_MONTH,
        "cases_24m": count(person, size, where=recent),
        "cases_90": count(person, size, where=within(opened, 90, today=today)),
        "open_cases": count(person, size, where=books.known & (books.closed >= today)),
        "creditors_24m": _different(person, size, cases["client"], where=recent),
        "days_since_case": -highest(person, size, -age, where=books.known, nothing=-np.inf),
        "worst_days_overdue": highest(person, size, overdue, where=recent, nothing=0),
    }


def _different(person: _Days, size: int, clients: pa.ChunkedArray, *, where: _Mask) -> _Floats:
    """How many different clients each person has, among the cases in question."""
    codes = pc.unique(clients.cast(pa.string()))
    client = np.asarray(pc.index_in(clients.cast(pa.string()), value_set=codes).to_numpy(), dtype=np.int64)
    width = max(len(codes), 1)
    pairs = np.unique(person[where] * width + client[where])
    return np.bincount(pairs // width, minlength=size).astype(np.float64)


def _money(books: _Books, repayments: _Repayments, today: int) -> dict[str, pa.Array | _Floats]:
    size = books.size
    person = books.person[repayments.case]
    arrived = (repayments.day < today) & books.known[repayments.case]
    recent_case = within(books.opened, _TWO_YEARS, today=today)
    is_open = books.known & (books.closed >= today)
    repaid = total(repayments.case, len(books.opened), repayments.amount, where=arrived)
    still_owed = np.maximum(books.amount - repaid, 0.0)
    latest = highest(person, size, repayments.day, where=arrived, nothing=-1)
    return {
        "owed_open": total(books.person, size, still_owed, where=is_open),
        "owed_24m": total(books.person, size, books.amount, where=recent_case),
        "repaid_24m": total(books.person, size, repaid, where=recent_case),
        "repaid_90": total(
            person, size, repayments.amount, where=arrived & within(repayments.day, 90, today=today)
        ),
        "days_since_repayment": pa.array(today - latest, mask=latest < 0),
    }


def _contacts(tables: Tables, books: _Books, today: int) -> dict[str, _Floats]:
    contacts = tables["contacts"]
    case = owners(contacts["case_id"], tables["cases"]["case_id"], where="contacts.case_id")
    recent = within(days(contacts["at"]), 180, today=today) & books.known[case]
    person = books.person[case]
    return {
        "contacts_180": count(person, books.size, where=recent),
        "reached_180": count(person, books.size, where=recent & word(contacts["outcome"], REACHED)),
    }


def _promises(tables: Tables, books: _Books, repayments: _Repayments, today: int) -> dict[str, _Floats]:
    promises = tables["promises"]
    case = owners(promises["case_id"], tables["cases"]["case_id"], where="promises.case_id")
    made, last = days(promises["made_on"]), days(promises["due_on"]) + PROMISE_GRACE_DAYS
    judged = (made < today) & within(last, _TWO_YEARS, today=today) & books.known[case]
    repaid = _repaid_by(repayments, case, last) - _repaid_by(repayments, case, made - 1)
    kept = judged & (repaid >= values(promises["amount"]) - _HALF_A_CENT)
    person = books.person[case]
    return {
        "promises_24m": count(person, books.size, where=judged),
        "kept_24m": count(person, books.size, where=kept),
    }


def _repaid_by(repayments: _Repayments, case: _Days, day: _Days) -> _Floats:
    """What was repaid in all, over the cases up to `case` and on that one until the end of `day`.

    Only a difference of two such sums for one case means something: it is what was repaid between the two
    days. In whole cents, so that later payments cannot change a difference by a rounding error.
    """
    span = 1 << 32
    moment = repayments.case * span + repayments.day
    order = np.argsort(moment, kind="stable")
    cents = np.concatenate(([0], np.cumsum(np.rint(repayments.amount[order] * 100).astype(np.int64))))
    return np.asarray(cents[np.searchsorted(moment[order], case * span + day, side="right")] / 100.0)

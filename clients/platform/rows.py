"""A platform's rows as of a date: one per account, what was known before it, and what happened after.

What belongs to which side of the as-of date D, with a horizon of H days:

- An order, refund or login belongs to its day. A payment belongs to `paid_on`, an instalment's falling due to
  `due_on`, an account to `opened_on`.
- Characteristics see what happened strictly before D. An instalment that was paid on D or later is, as of D,
  unpaid; one that falls due on D or later is not overdue. Money paid before D on an instalment that is not
  yet due lowers what is outstanding.
- The outcome sees the instalments due in [D, D + H - 7), and whether each is settled seven days after its due
  date: that is known by D + H. No instalment due before D and nothing that happens on or after D + H has a
  part in it. One thing before D has: a payment in advance, after which such an instalment is settled.

An account has a row if it was opened at least 30 days before D and is not in default as of D (an instalment
more than 30 days overdue): what happens to an account in default is no prediction any more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clients.aggregates import (
    NEVER,
    count,
    day_number,
    days,
    flags,
    highest,
    owners,
    total,
    values,
    within,
    word,
)
from clients.operational import Tables, check_tables
from clients.platform.schema import CREDIT, TABLES
from fedscore.errors import ContractError

__all__ = ["COLUMNS", "GRACE_DAYS", "MONTHS", "characteristics_as_of", "rows_as_of"]

GRACE_DAYS = 7
"""An instalment unpaid for longer is a delinquency."""

MONTHS = 6
"""Months of 30 days, before the as-of date, of the monthly series; month 1 is the latest."""

_MONTH = 30
_DAYS_PER_MONTH = 365.25 / 12
_HISTORY_DAYS = 30
_DEFAULT_DAYS = 30
_HALF_A_CENT = 0.005

COLUMNS: Mapping[str, str] = {
    "id": "the account",
    "person_id": "the person",
    "months_known": "months since the account was opened",
    "credit_limit": "limit granted when the account was opened",
    "orders_90": "orders in the last 90 days",
    "orders_365": "orders in the last 365 days",
    "days_since_order": "days since the last order; empty if there was none",
    "spend_365": "amount ordered in the last 365 days",
    "credit_spend_365": "amount ordered on credit in the last 365 days",
    "refunded_365": "amount given back in the last 365 days",
    "logins_30": "logins in the last 30 days",
    "logins_90": "logins in the last 90 days",
    "new_devices_90": "logins from a new device in the last 90 days",
    "outstanding": "ordered on credit, less what was given back to credit and paid",
    "instalments_365": "instalments that fell due in the last 365 days",
    "late_365": "of those, how many were paid after their due date or not yet",
    "due_365": "amount that fell due in the last 365 days",
    "paid_of_due_365": "of that, the amount paid",
    "overdue_now": "days that the oldest unpaid instalment is overdue; 0 if none is",
    **{f"spend_m{k}": f"amount ordered in month {k} before the date" for k in range(1, MONTHS + 1)},
    **{
        f"overdue_m{k}": f"most days overdue, until the date, of the instalments due in month {k} before it"
        for k in range(1, MONTHS + 1)
    },
}
"""The columns of `characteristics_as_of`, with what each says; a contract takes those that it wants."""

_Days = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instalments:
    """The table of repayments: an entry per instalment."""

    account: _Days
    due: _Days
    amount_due: _Floats
    paid: _Days
    amount_paid: _Floats

    @property
    def settled(self) -> _Days:
        """The day on which each was paid in full; NEVER if it wasn't."""
        return np.where(self.amount_paid >= self.amount_due - _HALF_A_CENT, self.paid, NEVER)


def rows_as_of(tables: Tables, *, as_of: dt.date, horizon_days: int) -> pa.Table:
    """The contract's rows of a platform: `characteristics_as_of` and the outcome `y` within the horizon.

    The tables must be complete up to the end of the horizon: what is not recorded counts as not paid.

    Args:
        tables: The operational tables of `TABLES`, by name.
        as_of: The date that divides what is known from what is to be predicted.
        horizon_days: How far the outcome looks, in days; more than seven.

    Returns:
        One row per account in the order of `accounts`: the columns of `COLUMNS`, and `y` (int8, 1 is bad).

    Raises:
        DataError: A table does not fit its schema.
        ContractError: The horizon is too short to see an instalment become a delinquency.
    """
    checked = check_tables(tables, TABLES)
    instalments = _instalments(checked)
    kept = _eligible(checked, instalments, day_number(as_of))
    outcome = _outcome(instalments, checked["accounts"].num_rows, day_number(as_of), horizon_days)
    table = _characteristics(checked, instalments, day_number(as_of)).append_column("y", pa.array(outcome))
    return table.filter(pa.array(kept))


def characteristics_as_of(tables: Tables, *, as_of: dt.date) -> pa.Table:
    """What `rows_as_of` returns, without the outcome: what a score needs today.

    Raises:
        DataError: A table does not fit its schema.
    """
    checked = check_tables(tables, TABLES)
    instalments = _instalments(checked)
    kept = _eligible(checked, instalments, day_number(as_of))
    return _characteristics(checked, instalments, day_number(as_of)).filter(pa.array(kept))


def _instalments(tables: Tables) -> _Instalments:
    table = tables["repayments"]
    return _Instalments(
        account=owners(table["account_id"], tables["accounts"]["account_id"], where="repayments.account_id"),
        due=days(table["due_on"]),
        amount_due=values(table["amount_due"]),
        paid=days(table["paid_on"]),
        amount_paid=values(table["amount_paid"]),
    )


def _eligible(tables: Tables, instalments: _Instalments, today: int) -> npt.NDArray[np.bool_]:
    opened = days(tables["accounts"]["opened_on"])
    return (opened <= today - _HISTORY_DAYS) & (
        _overdue_now(instalments, len(opened), today) <= _DEFAULT_DAYS
    )


def _overdue_now(instalments: _Instalments, size: int, today: int) -> _Floats:
    unpaid = (instalments.due < today) & (instalments.settled >= today)
    return highest(instalments.account, size, today - instalments.due, where=unpaid, nothing=0)


def _outcome(instalments: _Instalments, size: int, today: int, horizon_days: int) -> npt.NDArray[np.int8]:
    if horizon_days <= GRACE_DAYS:
        raise ContractError(
            f"a horizon of {horizon_days} days sees no delinquency: agree on more than {GRACE_DAYS}"
        )
    due = instalments.due
    seen = (due >= today) & (due < today + horizon_days - GRACE_DAYS)
    bad = seen & (instalments.settled > due + GRACE_DAYS)
    return (count(instalments.account, size, where=bad) > 0).astype(np.int8)


def _characteristics(tables: Tables, instalments: _Instalments, today: int) -> pa.Table:
    accounts = tables["accounts"]
    columns = {
        "id": accounts["account_id"].cast(pa.string()),
        "person_id": accounts["person_id"].cast(pa.string()),
        "months_known": (today - days(accounts["opened_on"])) / _DAYS_PER_MONTH,
        "credit_limit": values(accounts["credit_limit"]),
        **_shopping(tables, today),
        **_logins(tables, today),
        **_repayment(tables, instalments, today),
    }
    return pa.table({name: columns[name] for name in COLUMNS}).replace_schema_metadata(None)


def _shopping(tables: Tables, today: int) -> dict[str, pa.Array | _Floats]:
    keys, orders, refunds = tables["accounts"]["account_id"], tables["orders"], tables["refunds"]
    size = len(keys)
    account = owners(orders["account_id"], keys, where="orders.account_id")
    day, amount = days(orders["ordered_at"]), values(orders["amount"])
    on_credit = word(orders["paid_by"], CREDIT)
    latest = highest(account, size, day, where=day < today, nothing=-1)
    given_back = owners(refunds["account_id"], keys, where="refunds.account_id")
    back_on = days(refunds["refunded_at"])
    return {
        "orders_90": count(account, size, where=within(day, 90, today=today)),
        "orders_365": count(account, size, where=within(day, 365, today=today)),
        "days_since_order": pa.array(today - latest, mask=latest < 0),
        "spend_365": total(account, size, amount, where=within(day, 365, today=today)),
        "credit_spend_365": total(account, size, amount, where=within(day, 365, today=today) & on_credit),
        "refunded_365": total(
            given_back, size, values(refunds["amount"]), where=within(back_on, 365, today=today)
        ),
        **{
            f"spend_m{k}": total(account, size, amount, where=_in_month(day, k, today))
            for k in range(1, MONTHS + 1)
        },
    }


def _logins(tables: Tables, today: int) -> dict[str, _Floats]:
    keys, logins = tables["accounts"]["account_id"], tables["logins"]
    account = owners(logins["account_id"], keys, where="logins.account_id")
    day = days(logins["at"])
    recent = within(day, 90, today=today)
    return {
        "logins_30": count(account, len(keys), where=within(day, 30, today=today)),
        "logins_90": count(account, len(keys), where=recent),
        "new_devices_90": count(account, len(keys), where=recent & flags(logins["new_device"])),
    }


def _repayment(tables: Tables, instalments: _Instalments, today: int) -> dict[str, _Floats]:
    size = tables["accounts"].num_rows
    account, due = instalments.account, instalments.due
    was_paid = instalments.paid < today
    recent = within(due, 365, today=today)
    overdue = np.maximum(np.minimum(instalments.settled, today) - due, 0)
    return {
        "outstanding": _outstanding(tables, instalments, today),
        "instalments_365": count(account, size, where=recent),
        "late_365": count(account, size, where=recent & (overdue > 0)),
        "due_365": total(account, size, instalments.amount_due, where=recent),
        "paid_of_due_365": total(account, size, instalments.amount_paid, where=recent & was_paid),
        "overdue_now": _overdue_now(instalments, size, today),
        **{
            f"overdue_m{k}": highest(account, size, overdue, where=_in_month(due, k, today), nothing=0)
            for k in range(1, MONTHS + 1)
        },
    }


def _outstanding(tables: Tables, instalments: _Instalments, today: int) -> _Floats:
    keys, orders, refunds = tables["accounts"]["account_id"], tables["orders"], tables["refunds"]
    size = len(keys)
    ordered = total(
        owners(orders["account_id"], keys, where="orders.account_id"),
        size,
        values(orders["amount"]),
        where=(days(orders["ordered_at"]) < today) & word(orders["paid_by"], CREDIT),
    )
    given_back = total(
        owners(refunds["account_id"], keys, where="refunds.account_id"),
        size,
        values(refunds["amount"]),
        where=(days(refunds["refunded_at"]) < today) & word(refunds["returned_to"], CREDIT),
    )
    paid = total(instalments.account, size, instalments.amount_paid, where=instalments.paid < today)
    return np.maximum(np.round(ordered - given_back - paid, 2), 0.0)


def _in_month(day: _Days, month: int, today: int) -> npt.NDArray[np.bool_]:
    """Events of the month-th 30 days before today; month 1 ends yesterday."""
    return (day >= today - month * _MONTH) & (day < today - (month - 1) * _MONTH)

"""The operational tables of a platform that sells with pay-later credit.

Tables must reach back to where the oldest credit that is still open began, and at least a year: a
characteristic over a year counts what the tables hold. Rows after the as-of date may be there; they change no
characteristic.
"""

from __future__ import annotations

from clients.operational import Column, Kind, Owner, TableSchema

__all__ = ["CREDIT", "OTHER", "OWNER", "TABLES"]

CREDIT = "credit"
OTHER = "other"

_ACCOUNT = Column(name="account_id", kind=Kind.KEY, meaning="the account, as in accounts")

TABLES: tuple[TableSchema, ...] = (
    TableSchema(
        name="accounts",
        row="one credit account",
        columns=(
            Column(
                name="account_id", kind=Kind.KEY, meaning="this platform's name of the account", unique=True
            ),
            Column(
                name="person_id",
                kind=Kind.KEY,
                meaning="the person, as all organisations of the contract call it",
            ),
            Column(name="opened_on", kind=Kind.DAY, meaning="day from which the account could buy on credit"),
            Column(
                name="credit_limit", kind=Kind.AMOUNT, meaning="limit granted when the account was opened"
            ),
        ),
    ),
    TableSchema(
        name="orders",
        row="one order",
        columns=(
            _ACCOUNT,
            Column(name="ordered_at", kind=Kind.DAY, meaning="when it was placed"),
            Column(name="amount", kind=Kind.AMOUNT, meaning="what it cost"),
            Column(name="paid_by", kind=Kind.CODE, meaning="how it is paid", codes=(CREDIT, OTHER)),
            Column(
                name="instalments", kind=Kind.COUNT, meaning="into how many instalments; 0 if not on credit"
            ),
        ),
    ),
    TableSchema(
        name="refunds",
        row="one amount given back",
        columns=(
            _ACCOUNT,
            Column(name="refunded_at", kind=Kind.DAY, meaning="when it was given back"),
            Column(name="amount", kind=Kind.AMOUNT, meaning="how much"),
            Column(
                name="returned_to", kind=Kind.CODE, meaning="what it was given back to", codes=(CREDIT, OTHER)
            ),
        ),
    ),
    TableSchema(
        name="logins",
        row="one login",
        columns=(
            _ACCOUNT,
            Column(name="at", kind=Kind.DAY, meaning="when"),
            Column(name="new_device", kind=Kind.FLAG, meaning="whether the device was new to the account"),
        ),
    ),
    TableSchema(
        name="repayments",
        row="one instalment and what was paid on it",
        columns=(
            _ACCOUNT,
            Column(name="due_on", kind=Kind.DAY, meaning="the last day on which paying it is on time"),
            Column(name="amount_due", kind=Kind.AMOUNT, meaning="what is to be paid"),
            Column(
                name="paid_on",
                kind=Kind.DAY,
                meaning="the day of its last payment; empty if none",
                nullable=True,
            ),
            Column(
                name="amount_paid", kind=Kind.AMOUNT, meaning="what was paid on it by that day", nullable=True
            ),
        ),
    ),
)

OWNER = Owner(table="accounts", key="account_id", identifiers={"id": "account_id", "person_id": "person_id"})
"""Consent and withdrawals are looked for in accounts: the orders and payments of an account that is left out
are left out with it."""

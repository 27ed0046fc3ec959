"""The operational tables of a collection agency.

Of a contact only its result is asked for: what was said, and with whom, is no part of a score. Tables should
reach back two years. Rows after the as-of date may be there; they change no characteristic.
"""

from __future__ import annotations

from clients.operational import Column, Kind, Owner, TableSchema

__all__ = ["NOT_REACHED", "OWNER", "REACHED", "TABLES", "THIRD_PARTY", "WRONG_NUMBER"]

REACHED = "reached"
NOT_REACHED = "not reached"
THIRD_PARTY = "third party"
WRONG_NUMBER = "wrong number"

_CASE = Column(name="case_id", kind=Kind.KEY, meaning="the case, as in cases")

TABLES: tuple[TableSchema, ...] = (
    TableSchema(
        name="cases",
        row="one overdue debt that a client handed over",
        columns=(
            Column(name="case_id", kind=Kind.KEY, meaning="this agency's name of the case", unique=True),
            Column(
                name="person_id",
                kind=Kind.KEY,
                meaning="the person, as all organisations of the contract call it",
            ),
            Column(
                name="client", kind=Kind.KEY, meaning="a code for the creditor; only how many differ is used"
            ),
            Column(name="opened_on", kind=Kind.DAY, meaning="the day on which the case was taken on"),
            Column(
                name="closed_on",
                kind=Kind.DAY,
                meaning="the day on which it was settled or given back; empty while open",
                nullable=True,
            ),
            Column(name="overdue_amount", kind=Kind.AMOUNT, meaning="what was overdue when it was opened"),
            Column(name="days_overdue", kind=Kind.COUNT, meaning="for how many days, when it was opened"),
        ),
    ),
    TableSchema(
        name="contacts",
        row="one attempt to reach the debtor",
        columns=(
            _CASE,
            Column(name="at", kind=Kind.DAY, meaning="when"),
            Column(
                name="outcome",
                kind=Kind.CODE,
                meaning="whether the debtor was reached",
                codes=(REACHED, NOT_REACHED, THIRD_PARTY, WRONG_NUMBER),
            ),
        ),
    ),
    TableSchema(
        name="promises",
        row="one promise to pay; whether it was kept follows from the repayments",
        columns=(
            _CASE,
            Column(name="made_on", kind=Kind.DAY, meaning="the day on which it was made"),
            Column(name="due_on", kind=Kind.DAY, meaning="the day by which it promises a payment"),
            Column(name="amount", kind=Kind.AMOUNT, meaning="how much it promises"),
        ),
    ),
    TableSchema(
        name="repayments",
        row="one payment on a case",
        columns=(
            _CASE,
            Column(name="paid_on", kind=Kind.DAY, meaning="the day on which it arrived"),
            Column(name="amount", kind=Kind.AMOUNT, meaning="how much arrived"),
        ),
    ),
)

OWNER = Owner(table="cases", key="case_id", identifiers={"id": "person_id", "person_id": "person_id"})
"""Consent and withdrawals are looked for in cases: the contacts and payments of a case that is left out are
left out with it, and a person without any other case has no row."""

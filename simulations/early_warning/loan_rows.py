"""A loan's row as of its approval: what was known the moment before, and nothing that happened after.

Of the loan itself only the offer is used: amount, charge, term. Of the customer's other loans, one that was
closed before the approval is known with its whole course; of one that was approved before and not yet closed
the approval alone is known; one that was approved later is not known at all. When the person's age was
recorded the file does not say: it is taken as known.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from simulations.early_warning.loans import Loan, Person

__all__ = ["LoanRow", "loan_rows", "row_as_of_approval", "rows_table"]

_DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanRow:
    """What a score may see of a loan: the names are those of the contract's columns; None is missing."""

    loan_id: str
    customer_id: str
    loan_amount: float
    total_due: float
    term_days: int
    loans_before: int
    late_before: int
    months_known: float | None
    days_since_closed: int | None
    last_days_late: int | None
    worst_days_late: int | None
    age: int | None


def row_as_of_approval(loan: Loan, others: Iterable[Loan], person: Person | None) -> LoanRow:
    """The row of one loan.

    Args:
        loan: The loan; of it only what was agreed at approval is used.
        others: All other loans of the customer, of whatever date.
        person: What is on record about the customer.
    """
    earlier = [one for one in others if one.approved < loan.approved]
    # The order must not hang on what came later: closing times before the approval, then ids.
    known = sorted(
        (one for one in earlier if one.closed < loan.approved), key=lambda one: (one.closed, one.loan_id)
    )
    late = [one.days_late for one in known]
    return LoanRow(
        loan_id=loan.loan_id,
        customer_id=loan.customer,
        loan_amount=loan.amount,
        total_due=loan.total_due,
        term_days=loan.term_days,
        loans_before=len(known),
        late_before=sum(days > 0 for days in late),
        months_known=_days(min(one.approved for one in earlier), loan.approved) / _DAYS_PER_MONTH
        if earlier
        else None,
        days_since_closed=int(_days(known[-1].closed, loan.approved)) if known else None,
        last_days_late=late[-1] if late else None,
        worst_days_late=max(late) if late else None,
        age=None if person is None else person.age,
    )


def _days(start: dt.datetime, end: dt.datetime) -> float:
    return (end - start).total_seconds() / 86_400


def loan_rows(loans: Sequence[Loan], people: Mapping[str, Person]) -> tuple[LoanRow, ...]:
    """The rows of all loans, each as of its own approval, in the order of `loans`.

    Args:
        loans: All loans of everybody.
        people: What is on record, by customer; may lack some.
    """
    of_customer: defaultdict[str, list[Loan]] = defaultdict(list)
    for loan in loans:
        of_customer[loan.customer].append(loan)
    return tuple(
        row_as_of_approval(
            loan,
            (one for one in of_customer[loan.customer] if one.loan_id != loan.loan_id),
            people.get(loan.customer),
        )
        for loan in loans
    )


def rows_table(rows: Sequence[LoanRow], outcome: Sequence[bool]) -> pa.Table:
    """Rows with their outcomes, as the contract reads them.

    Args:
        rows: Rows.
        outcome: Whether each turned bad, in the same order.
    """
    names = LoanRow.__slots__
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return pa.table({**columns, "y": pa.array([int(one) for one in outcome], type=pa.int8())}, schema=_SCHEMA)


_TEXTS = ("loan_id", "customer_id")
_SCHEMA = pa.schema(
    [
        *((name, pa.string() if name in _TEXTS else pa.float64()) for name in LoanRow.__slots__),
        ("y", pa.int8()),
    ]
)

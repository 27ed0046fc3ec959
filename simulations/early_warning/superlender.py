"""The questions of Superlender's history: past loans, by the borrower's bank, before and after one day.

What a horizon of H days asks is whether a loan will be closed H days or more after it was due; the day of the
event is the due date plus H. A card is trained as of the first day of 2017 on loans whose outcome was certain
by then: due, with H days more, before that day, whether they were late or not. It is measured on loans that
were approved from that day on and whose outcome was certain a month before the file ends.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedscore.contract import Contract, Role, load_contract
from fedscore.data import Rows, rows_from_table, training_rows
from fedscore.errors import DataError
from simulations.early_warning.loan_rows import LoanRow, loan_rows, rows_table
from simulations.early_warning.loans import Loan, Person
from simulations.early_warning.questions import HORIZONS, Question, with_outcome

__all__ = [
    "BROADEST",
    "LAST_DAY",
    "NO_BANK",
    "TEST_FROM",
    "measures_on",
    "party_of",
    "superlender_contract",
    "superlender_questions",
    "trains_on",
]

TEST_FROM = dt.date(2017, 1, 1)
"""Loans approved from this day on are measured; those whose outcome was certain before it are trained on."""

LAST_DAY = dt.date(2017, 7, 1)
"""By this day a measured loan's outcome is certain. The file ends in the month that begins then."""

NO_BANK = "no-bank-on-record"
"""The party of borrowers whose bank is on no record: a quarter of all. They are the lender's customers like
the others, and leaving them out would hide that their age is missing."""

BROADEST = 7
"""Whatever is later than this is also this late: it has the most events to learn from."""

_CONTRACT = Path(__file__).parents[1] / "contracts" / "superlender.toml"
_LONGEST_TERM_DAYS = 90


def superlender_contract(horizon_days: int) -> Contract:
    """Superlender's contract about one horizon."""
    return with_outcome(
        load_contract(_CONTRACT),
        definition=f"The loan is closed {horizon_days} days or more after all of it was due.",
        bucket=f"{horizon_days}+",
        horizon_days=_LONGEST_TERM_DAYS + horizon_days,
    )


def trains_on(loan: Loan, horizon_days: int) -> bool:
    """Whether the loan's outcome was certain before the first day of the test, however late it was closed."""
    return loan.event_day(horizon_days) < TEST_FROM


def measures_on(loan: Loan, horizon_days: int) -> bool:
    """Whether the loan was approved in the test's time and its outcome is certain within the file's."""
    return loan.approved.date() >= TEST_FROM and loan.event_day(horizon_days) <= LAST_DAY


def party_of(person: Person | None, contract: Contract) -> str:
    """The party that holds a borrower's loans: the bank.

    Raises:
        DataError: The bank is not on the roster.
    """
    if person is None or person.bank is None:
        return NO_BANK
    name = "-".join(person.bank.lower().split())
    if name not in contract.parties_by_name:
        raise DataError(
            "a bank in the table of people is not on the roster of simulations/contracts/superlender.toml: "
            "add it there, or leave its customers out"
        )
    return name


def superlender_questions(loans: Sequence[Loan], people: Mapping[str, Person]) -> tuple[Question, ...]:
    """One question per horizon.

    Args:
        loans: All loans of everybody.
        people: What is on record, by customer.

    Raises:
        DataError: A bank is not on the roster.
    """
    rows = loan_rows(loans, people)
    questions = []
    for horizon in HORIZONS:
        contract = superlender_contract(horizon)
        held = np.array([party_of(people.get(loan.customer), contract) for loan in loans], dtype=np.str_)
        training, test = (
            _by_party(loans, rows, held, contract, horizon, side=side) for side in (trains_on, measures_on)
        )
        lead = {
            loan.loan_id: (loan.event_day(horizon) - loan.approved.date()).days
            for loan in loans
            if loan.days_late >= horizon
        }
        questions.append(
            Question(
                horizon_days=horizon,
                contract=contract,
                training={party: training_rows(mine, contract) for party, mine in training.items()},
                test=test,
                lead_days={
                    party: np.array([lead.get(str(one), np.nan) for one in mine.ids], dtype=np.float64)
                    for party, mine in test.items()
                },
            )
        )
    return tuple(questions)


def _by_party(
    loans: Sequence[Loan],
    rows: Sequence[LoanRow],
    held: npt.NDArray[np.str_],
    contract: Contract,
    horizon: int,
    *,
    side: Callable[[Loan, int], bool],
) -> dict[str, Rows]:
    chosen = [place for place, loan in enumerate(loans) if side(loan, horizon)]
    table = rows_table(
        [rows[place] for place in chosen], [loans[place].days_late >= horizon for place in chosen]
    )
    binned = rows_from_table(table, contract, role=Role.PLATFORM)
    return {party: binned.select(held[chosen] == party) for party in contract.parties_by_name}

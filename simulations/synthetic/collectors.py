"""What an agency records of its cases: cases, contacts, promises, repayments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clients.collector.schema import NOT_REACHED, REACHED, THIRD_PARTY, WRONG_NUMBER
from simulations.synthetic.cases import Cases
from simulations.synthetic.people import People, logistic
from simulations.synthetic.timeline import LAST_DAY, dates, keys, month_of

__all__ = ["draw_collector"]

_Days = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

_RETURN_DAYS = 360
_WORDS = (REACHED, NOT_REACHED, THIRD_PARTY, WRONG_NUMBER)


def draw_collector(
    people: People, cases: Cases, *, name: str, clients: pa.Array, generator: np.random.Generator
) -> dict[str, pa.Table]:
    """Draws one agency's operational tables.

    Args:
        people: Everybody.
        cases: The debts that this agency collects.
        name: The agency's name, from which its cases take theirs.
        clients: The creditors' codes.
        generator: The source of all draws.

    Returns:
        The tables of `clients.collector.TABLES`.
    """
    names = pa.array([f"{name}-{number:06d}" for number in range(len(cases))])
    strain = 0.6 * people.risk[cases.person] + 0.6 * people.stress[cases.person, month_of(cases.day)]
    duration = np.ceil(generator.exponential(70.0 * np.exp(0.55 * strain))).astype(np.int64)
    settled = duration < _RETURN_DAYS
    end = cases.day + np.minimum(duration, _RETURN_DAYS)
    contact_case, contact_day, contact_word = _contacts(cases, strain, end, generator)
    promises = _promises(cases, contact_case, contact_day, contact_word, generator)
    promise_case, promise_made, promise_due, promise_amount = promises
    kept = generator.random(len(promise_case)) < logistic(0.5 - 0.9 * strain[promise_case])
    kept_day = np.minimum(promise_due - generator.integers(0, 6, size=len(kept)), end[promise_case])
    kept_day = np.maximum(kept_day, promise_made)
    before = np.bincount(promise_case[kept], weights=promise_amount[kept], minlength=len(cases))
    rest = np.round(np.maximum(cases.amount - before, 0.0), 2)
    last = np.flatnonzero(settled & (rest > 0))
    paid_case = np.concatenate((promise_case[kept], last))
    paid_day = np.concatenate((kept_day[kept], end[last]))
    paid_amount = np.concatenate((promise_amount[kept], rest[last]))
    recorded = paid_day < LAST_DAY
    return {
        "cases": pa.table(
            {
                "case_id": keys(names, np.arange(len(cases))),
                "person_id": keys(people.names, cases.person),
                "client": keys(clients, cases.client),
                "opened_on": dates(cases.day),
                "closed_on": dates(end, empty=end >= LAST_DAY),
                "overdue_amount": cases.amount,
                "days_overdue": cases.days_overdue,
            }
        ),
        "contacts": pa.table(
            {
                "case_id": keys(names, contact_case),
                "at": dates(contact_day),
                "outcome": keys(pa.array(_WORDS), contact_word),
            }
        ),
        "promises": pa.table(
            {
                "case_id": keys(names, promise_case),
                "made_on": dates(promise_made),
                "due_on": dates(promise_due),
                "amount": promise_amount,
            }
        ),
        "repayments": pa.table(
            {
                "case_id": keys(names, paid_case[recorded]),
                "paid_on": dates(paid_day[recorded]),
                "amount": paid_amount[recorded],
            }
        ),
    }


def _contacts(
    cases: Cases, strain: _Floats, end: _Days, generator: np.random.Generator
) -> tuple[_Days, _Days, _Days]:
    """Attempts while a case is open: its case, day and result (a position in the words)."""
    length = np.minimum(end, LAST_DAY) - cases.day
    case = np.repeat(np.arange(len(cases)), generator.poisson(1.0 + np.minimum(length, 150) / 12.0))
    day = cases.day[case] + np.floor(generator.random(len(case)) * length[case]).astype(np.int64)
    reached = generator.random(len(case)) < logistic(-0.1 - 0.7 * strain)[case]
    other = generator.choice(3, size=len(case), p=(0.75, 0.15, 0.10)) + 1
    return case, day, np.where(reached, 0, other)


def _promises(
    cases: Cases, contact_case: _Days, contact_day: _Days, contact_word: _Days, generator: np.random.Generator
) -> tuple[_Days, _Days, _Days, _Floats]:
    """Promises made when the debtor was reached, each of a sixth of the debt: case, made, due, amount."""
    made = (contact_word == 0) & (generator.random(len(contact_case)) < 0.4)
    case, day = contact_case[made], contact_day[made]
    due = day + 7 + generator.integers(0, 8, size=len(day))
    return case, day, due, np.round(cases.amount[case] / 6, 2)

"""Which rows may be used on a day? Those whose person agreed to it, and has not withdrawn.

The gate looks at a row before anything else does: what it leaves out has no part in a sum, in a cap, in a
split or in an error. When in doubt it leaves out: an entry that is empty, unreadable or of another type is no
consent, with one exception, an empty `until`, which sets no end.

Each column is read as its file has it, typed or as bytes of a CSV file:

    given        true, 1, or the text "true", "1" or "1.0"
    scope        text or whole numbers; one of the contract's `scopes`, letter by letter
    from, until  a date, a time whose day counts (one with a zone by its day in UTC), or text as 2025-06-30
    person       text or whole numbers, so that 17, "17" and " 17" are one person to the list of withdrawals
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clients.aggregates import day_number
from clients.consent_values import days_of, said_yes, texts_of, trimmed_texts_of
from fedscore.contract import ConsentTerms, Contract

__all__ = ["ConsentCounts", "ConsentGate", "Withdrawals", "judge"]

Withdrawals = Mapping[str, dt.date]
"""By the person's id as text, without blanks around it: the first day on which the withdrawal counts."""

_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentCounts:
    """How many rows may be used, and why the others may not; it stays inside the node.

    A row that several reasons leave out is counted for the first of them. Rows are those of the ready table,
    or the accounts of a platform, or the cases of an agency.

    Attributes:
        admitted: May be used.
        not_given: Consent is not given, or the entry is unreadable.
        out_of_scope: Given for something else.
        not_begun: The first day is later, empty or unreadable.
        expired: The last day is over, or unreadable.
        withdrawn: The person withdrew.
        unreadable: Lines of a CSV file whose fields cannot be told apart.
        unowned: Rows of operational tables that belong to no admitted account or case.
        unmatched: People of the list of withdrawals, whatever their day, of whom there is no row; known of a
            whole table alone.
    """

    admitted: int = 0
    not_given: int = 0
    out_of_scope: int = 0
    not_begun: int = 0
    expired: int = 0
    withdrawn: int = 0
    unreadable: int = 0
    unowned: int = 0
    unmatched: int = 0

    def __add__(self, other: ConsentCounts) -> ConsentCounts:
        """Counts of two parts of a table."""
        names = self.__slots__
        sums = [one + two for one, two in zip(astuple(self), astuple(other), strict=True)]
        return ConsentCounts(**dict(zip(names, sums, strict=True)))

    def __str__(self) -> str:
        """One line for the node's own people, as "3 rows may be used; left out: 1 not given, 2 expired"."""
        left_out = [
            f"{count} {name.replace('_', ' ')}"
            for name, count in zip(self.__slots__, astuple(self), strict=True)
            if count and name not in {"admitted", "unmatched"}
        ]
        listed = f"{self.admitted} rows may be used; left out: {', '.join(left_out) or 'none'}"
        if not self.unmatched:
            return listed
        return f"{listed}; of {self.unmatched} in the list of withdrawals there is no row"


def judge(
    rows: pa.RecordBatch | pa.Table,
    terms: ConsentTerms | None,
    *,
    day: dt.date,
    withdrawals: Withdrawals,
    person: str,
) -> tuple[_Mask, ConsentCounts]:
    """Which rows may be used on a day.

    Args:
        rows: n rows that have the columns of `terms` and, if anybody withdrew, that of persons. Of other
            columns nothing is read.
        terms: The contract's; None if it agrees on no consent, so that withdrawals alone count.
        day: The day on which the run began.
        withdrawals: Who withdrew, and from when on it counts.
        person: The column with the person's id.

    Returns:
        A mask [n] of the rows that may be used, and the counts. No content of a row raises an error.
    """
    today = day_number(day)
    reasons: dict[str, _Mask] = {}
    if terms is not None:
        reasons["not_given"] = ~said_yes(rows.column(terms.given))
        if terms.scope is not None:
            reasons["out_of_scope"] = ~_among(texts_of(rows.column(terms.scope)), terms.scopes)
        if terms.since is not None:
            since = days_of(rows.column(terms.since))
            reasons["not_begun"] = ~(since.known & (since.days <= today))
        if terms.until is not None:
            until = days_of(rows.column(terms.until))
            reasons["expired"] = ~(until.empty | (until.known & (until.days >= today)))
    gone = [name for name, since in withdrawals.items() if since <= day]
    if gone:
        reasons["withdrawn"] = _among(trimmed_texts_of(rows.column(person)), gone)
    admitted = np.ones(rows.num_rows, dtype=np.bool_)
    counts: dict[str, int] = {}
    for reason, left_out in reasons.items():
        counts[reason] = int(np.count_nonzero(admitted & left_out))
        admitted &= ~left_out
    return admitted, ConsentCounts(admitted=int(np.count_nonzero(admitted)), **counts)


class ConsentGate:
    """A `fedscore.data.RowGate` that judges batch by batch and counts what it leaves out.

    Attributes:
        columns: What it looks at.
    """

    def __init__(self, contract: Contract, *, day: dt.date, withdrawals: Withdrawals, person: str) -> None:
        """A gate for one reading of an organisation's rows.

        Args:
            contract: Names the columns of consent.
            day: The day on which the run began.
            withdrawals: Who withdrew.
            person: The column of persons, as the table that is judged calls it.
        """
        self._terms = contract.consent
        self._day = day
        self._withdrawals = withdrawals
        self._person = person
        consent = tuple(self._terms.columns.values()) if self._terms is not None else ()
        self.columns: tuple[str, ...] = (*consent, self._person)
        self._counts = ConsentCounts()
        self._unmatched = set(withdrawals)

    @property
    def counts(self) -> ConsentCounts:
        """Of all batches so far."""
        return replace(self._counts, unmatched=len(self._unmatched))

    def admit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch that may be used; see `fedscore.data.RowGate`."""
        admitted, counts = judge(
            batch, self._terms, day=self._day, withdrawals=self._withdrawals, person=self._person
        )
        self._counts += counts
        if self._unmatched:
            self._unmatched.difference_update(trimmed_texts_of(batch.column(self._person)).to_pylist())
        return batch.filter(pa.array(admitted))

    def unreadable(self, rows: int) -> None:
        """Counts lines whose fields cannot be told apart."""
        self._counts += ConsentCounts(unreadable=rows)

    def unowned(self, rows: int) -> None:
        """Counts rows of operational tables that belong to no admitted account or case."""
        self._counts += ConsentCounts(unowned=rows)


def _among(texts: pa.StringArray, known: Iterable[str]) -> _Mask:
    found = pc.is_in(texts, value_set=pa.array(list(known), pa.string()), skip_nulls=True)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)

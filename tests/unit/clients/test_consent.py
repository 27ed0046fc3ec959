"""Which rows may be used: entry by entry, in typed columns and in the bytes of a CSV file."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clients.consent import ConsentCounts, ConsentGate, judge
from clients.consent_values import days_of, said_yes, texts_of
from fedscore.contract import ConsentTerms, parse_contract

DAY = dt.date(2025, 6, 30)
BEFORE, AFTER = DAY - dt.timedelta(days=1), DAY + dt.timedelta(days=1)
UTC = dt.UTC

TERMS = ConsentTerms.model_validate(
    {"given": "agreed", "scope": "what", "scopes": ["scoring"], "from": "since", "until": "until"}
)


def column(*values: Any, kind: pa.DataType | None = None) -> pa.Array:  # noqa: ANN401 - of any type
    return pa.array(values, kind)


YES: dict[str, tuple[pa.Array, list[bool]]] = {
    "booleans": (column(True, False, None), [True, False, False]),
    "integers": (column(1, 0, 2, -1, None), [True, False, False, False, False]),
    "large integers": (column(1, 2**64 - 1, kind=pa.uint64()), [True, False]),
    "floats": (column(1.0, 0.0, float("nan"), float("inf"), None), [True, False, False, False, False]),
    "half floats": (column(np.float16(1), np.float16(0.5), kind=pa.float16()), [True, False]),
    "decimals": (column(1, 2, None).cast(pa.decimal128(30, 2)), [True, False, False]),
    "text": (column("1", "true", " TRUE ", "1.0", "yes", "", "0", None), [True] * 4 + [False] * 4),
    "large text": (column("1", "no", kind=pa.large_string()), [True, False]),
    "bytes": (column(b"1", b"True", b"\xff", b"", None), [True, True, False, False, False]),
    "coded text": (column("1", "0", None).dictionary_encode(), [True, False, False]),
    "nothing": (pa.nulls(2), [False, False]),
    "dates": (column(DAY), [False]),
    "lists": (column([1]), [False]),
    "no rows": (column(kind=pa.string()), []),
}


@pytest.mark.parametrize(("array", "expected"), YES.values(), ids=YES.keys())
def test_consent_is_given_by_one_or_true_alone(array: pa.Array, expected: list[bool]) -> None:
    assert said_yes(array).tolist() == expected
    assert said_yes(pa.chunked_array([array, array])).tolist() == expected * 2


TEXTS: dict[str, tuple[pa.Array, list[str | None]]] = {
    "text": (column("17", "", None, "017"), ["17", None, None, "017"]),
    "integers": (column(17, None, -3), ["17", None, "-3"]),
    "bytes": (column(b"17", b"\xc3\xa9", b"\xc3", None), ["17", "é", None, None]),
    "coded": (column("a", None, "a").dictionary_encode(), ["a", None, "a"]),
    "floats": (column(17.0, None), [None, None]),
    "nothing": (pa.nulls(1), [None]),
}


@pytest.mark.parametrize(("array", "expected"), TEXTS.values(), ids=TEXTS.keys())
def test_texts_are_compared_as_identifiers_are(array: pa.Array, expected: list[str | None]) -> None:
    assert texts_of(array).to_pylist() == expected


KNOWN, EMPTY, NO_DATE = "known", "empty", "no date"
DATES: dict[str, tuple[pa.Array, list[str]]] = {
    "dates": (column(DAY, None), [KNOWN, EMPTY]),
    "dates in milliseconds": (column(DAY, None, kind=pa.date64()), [KNOWN, EMPTY]),
    "text": (
        column("2025-06-30", " 2025-06-30 ", "", None, "2025-6-30", "20250630", "2025-W27-1", "soon"),
        [KNOWN, KNOWN, EMPTY, EMPTY, NO_DATE, NO_DATE, NO_DATE, NO_DATE],
    ),
    "a day that there is not": (column("2025-02-30", "9999-99-99", "0000-01-01"), [NO_DATE] * 3),
    "bytes": (column(b"2025-06-30", b"\xff", b"NA", None), [KNOWN, NO_DATE, NO_DATE, EMPTY]),
    "coded text": (column("2025-06-30", None).dictionary_encode(), [KNOWN, EMPTY]),
    "moments": (column(dt.datetime(2025, 6, 30, 23, 59), None), [KNOWN, EMPTY]),  # noqa: DTZ001 - has no zone
    "numbers": (column(20250630, 20269), [NO_DATE, NO_DATE]),
    "nothing": (pa.nulls(1), [EMPTY]),
}


@pytest.mark.parametrize(("array", "expected"), DATES.values(), ids=DATES.keys())
def test_dates_are_known_empty_or_none(array: pa.Array, expected: list[str]) -> None:
    found = days_of(array)
    words = [
        KNOWN if known else EMPTY if empty else NO_DATE
        for known, empty in zip(found.known, found.empty, strict=True)
    ]
    assert words == expected
    assert set(found.days[found.known].tolist()) <= {20269}


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_moment_counts_by_its_day_in_utc(unit: str) -> None:
    late = dt.datetime(2025, 6, 30, 23, 59, 59, tzinfo=UTC)
    array = pa.array([late, late + dt.timedelta(seconds=1)], pa.timestamp(unit, "America/Lima"))
    assert days_of(array).days.tolist() == [20269, 20270]


def test_a_moment_out_of_every_calendar_is_no_error() -> None:
    far = pa.array([2**63 - 1, -(2**63) + 1], pa.int64()).cast(pa.timestamp("s"))
    assert days_of(far).days[0] > 20270
    assert days_of(far).days[1] < 0


def table(**changes: list[Any]) -> pa.Table:
    size = len(next(iter(changes.values())))
    plain: dict[str, list[Any]] = {
        "agreed": [1],
        "what": ["scoring"],
        "since": [DAY],
        "until": [None],
        "person": ["p"],
    }
    columns = {name: changes.get(name, values * size) for name, values in plain.items()}
    dated = {name: pa.array(columns.pop(name), pa.date32()) for name in ("since", "until")}
    return pa.table({**columns, **dated})


def allowed(rows: pa.Table, withdrawals: dict[str, dt.date] | None = None) -> list[bool]:
    mask, counts = judge(rows, TERMS, day=DAY, withdrawals=withdrawals or {}, person="person")
    assert counts.admitted == int(mask.sum())
    return [bool(one) for one in mask]


def test_a_consent_holds_from_its_first_day_to_its_last() -> None:
    assert allowed(table(since=[BEFORE, DAY, AFTER, None])) == [True, True, False, False]
    assert allowed(table(until=[BEFORE, DAY, AFTER, None])) == [False, True, True, True]


def test_a_consent_for_something_else_is_none() -> None:
    assert allowed(table(what=["scoring", "Scoring", "scoring ", "ads", "", None])) == [True] + [False] * 5


def test_a_withdrawal_counts_from_its_day_on() -> None:
    since = {"a": BEFORE, "b": DAY, "c": AFTER, "e": dt.date.min}
    assert allowed(table(person=["a", "b", "c", "d", "e"]), since) == [False, False, True, True, False]


def test_seventeen_withdraws_seventeen_whatever_its_type() -> None:
    for persons in ([17, 170], ["17", "170"], [b"17", b"170"]):
        assert allowed(table(person=persons), {"17": DAY}) == [False, True]


def test_seventeen_withdraws_seventeen_whatever_the_blanks_around_it() -> None:
    for persons in ([" 17", "1 7", "017"], ["17\t", "170", "17.0"], [b"\xc2\xa017 ", b"1\x007", b"\xff17"]):
        assert allowed(table(person=persons), {"17": DAY}) == [False, True, True]


def test_blanks_still_count_where_nobody_withdraws() -> None:
    assert allowed(table(what=[" scoring", "scoring"]), {"17": DAY}) == [False, True]


def test_a_row_is_counted_for_the_first_reason() -> None:
    rows = table(agreed=[0, 1, 1, 1, 1, 1], what=["ads", "ads"] + ["scoring"] * 4)
    rows = rows.set_column(4, "until", pa.array([BEFORE, BEFORE, BEFORE, None, None, None], pa.date32()))
    rows = rows.set_column(3, "since", pa.array([None, None, None, AFTER, DAY, DAY], pa.date32()))
    rows = rows.set_column(2, "person", pa.array(["p", "p", "p", "p", "gone", "p"]))
    _, counts = judge(rows, TERMS, day=DAY, withdrawals={"gone": DAY, "p": AFTER}, person="person")
    assert counts == ConsentCounts(admitted=1, not_given=1, out_of_scope=1, not_begun=2, withdrawn=1)


def test_without_agreed_consent_only_withdrawals_count() -> None:
    mask, counts = judge(
        pa.table({"person": ["a", "b"]}), None, day=DAY, withdrawals={"b": DAY}, person="person"
    )
    assert mask.tolist() == [True, False]
    assert counts == ConsentCounts(admitted=1, withdrawn=1)


def test_counts_are_told_in_one_line() -> None:
    counts = ConsentCounts(admitted=3, not_given=1) + ConsentCounts(admitted=2, not_given=1, unreadable=4)
    assert str(counts) == "5 rows may be used; left out: 2 not given, 4 unreadable"
    assert str(ConsentCounts(admitted=1)) == "1 rows may be used; left out: none"
    assert str(ConsentCounts(admitted=1, withdrawn=2, unmatched=3)) == (
        "1 rows may be used; left out: 2 withdrawn; of 3 in the list of withdrawals there is no row"
    )


def test_people_of_the_list_without_a_row_are_counted_over_all_batches(tiny_text: str) -> None:
    contract = parse_contract(tiny_text + '\n[consent]\ngiven = "agreed"\n')
    listed = {"17": DAY, "18": AFTER, "19": DAY, "20": DAY, "é": DAY}
    gate = ConsentGate(contract, day=DAY, withdrawals=listed, person="id")
    assert gate.counts.unmatched == 5
    gate.admit(pa.record_batch({"agreed": [1, 0], "id": [" 17 ", "18"]}))
    # Neither a later day nor another reason makes a person unknown.
    assert gate.counts == ConsentCounts(withdrawn=1, not_given=1, unmatched=3)
    gate.admit(pa.record_batch({"agreed": [1, 1, 1], "id": ["17", "019", None]}))
    gate.admit(pa.record_batch({"agreed": [1], "id": [20]}))
    assert gate.counts == ConsentCounts(admitted=2, withdrawn=3, not_given=1, unmatched=2)


def test_a_gate_names_what_it_looks_at_and_adds_up(tiny_text: str) -> None:
    contract = parse_contract(tiny_text + '\n[consent]\ngiven = "agreed"\nuntil = "until"\n')
    gate = ConsentGate(contract, day=DAY, withdrawals={"z": DAY}, person="id")
    assert gate.columns == ("agreed", "until", "id")
    batch = pa.record_batch(
        {"agreed": [1, 0, 1], "until": pa.nulls(3), "id": ["x", "y", "z"], "more": [1, 2, 3]}
    )
    assert gate.admit(batch).to_pydict() == {"agreed": [1], "until": [None], "id": ["x"], "more": [1]}
    gate.admit(batch)
    gate.unreadable(2)
    gate.unowned(5)
    assert gate.counts == ConsentCounts(admitted=2, not_given=2, withdrawn=2, unreadable=2, unowned=5)

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clients.collector import COLUMNS, TABLES, characteristics_as_of, rows_as_of
from clients.operational import read_tables
from fedscore.errors import ContractError, DataError
from simulations.synthetic import make_consortium

D = dt.date(2025, 3, 1)
Row = dict[str, Any]
ARROW = {"dates": pa.date32(), "numbers": pa.float64(), "whole numbers": pa.int64()}


def day(offset: int | None) -> dt.date | None:
    return None if offset is None else D + dt.timedelta(days=offset)


def case(
    name: str = "c1", *, person: str = "p1", client: str = "k1", opened: int, closed: int | None = None
) -> Any:  # noqa: ANN401 - a row
    return (name, person, client, day(opened), day(closed), 600.0, 45)


def tables(**rows: list[tuple[Any, ...]]) -> dict[str, pa.Table]:
    """Tables with the rows given, in the order of the schema's columns; case c1 of p1 is there by default."""
    rows.setdefault("cases", [case(opened=-100)])
    result = {}
    for schema in TABLES:
        fields = [(c.name, ARROW.get(str(c.kind), pa.string())) for c in schema.columns]
        held = [dict(zip((n for n, _ in fields), row, strict=True)) for row in rows.get(schema.name, [])]
        result[schema.name] = pa.Table.from_pylist(held, schema=pa.schema(fields))
    return result


def one(given: dict[str, pa.Table]) -> Row:
    (row,) = rows_as_of(given, as_of=D, horizon_days=30).to_pylist()
    return dict(row)


def test_a_case_without_events_has_a_row_that_says_so() -> None:
    row = one(tables())
    assert row == {
        "id": "p1",
        "person_id": "p1",
        "months_known": pytest.approx(100 / 30.4375),
        "cases_24m": 1,
        "cases_90": 0,
        "open_cases": 1,
        "creditors_24m": 1,
        "days_since_case": 100,
        "worst_days_overdue": 145,
        "owed_open": 600,
        "owed_24m": 600,
        "repaid_24m": 0,
        "repaid_90": 0,
        "days_since_repayment": None,
        "contacts_180": 0,
        "reached_180": 0,
        "promises_24m": 0,
        "kept_24m": 0,
        "y": 0,
    }


def test_the_columns_are_those_that_are_documented() -> None:
    assert rows_as_of(tables(), as_of=D, horizon_days=30).column_names == [*COLUMNS, "y"]
    assert characteristics_as_of(tables(), as_of=D).column_names == list(COLUMNS)


def test_a_case_closed_after_the_date_is_open_as_of_it() -> None:
    open_still = one(tables())
    assert one(tables(cases=[case(opened=-100, closed=0)])) == open_still
    closed = one(tables(cases=[case(opened=-100, closed=-1)]))
    assert (closed["open_cases"], closed["owed_open"], closed["worst_days_overdue"]) == (0, 0, 144)


@pytest.mark.parametrize(("opened", "bad"), [(0, 1), (29, 1), (30, 0)])
def test_the_outcome_is_a_new_case_within_the_horizon(opened: int, bad: int) -> None:
    assert one(tables(cases=[case(opened=-100), case("c2", opened=opened)]))["y"] == bad


def test_another_persons_new_case_says_nothing_and_gives_no_row() -> None:
    row = one(tables(cases=[case("c0", person="p2", opened=3), case(opened=-100)]))
    assert (row["id"], row["y"]) == ("p1", 0)


def test_what_happens_on_the_day_is_not_before_it() -> None:
    contacts = [("c1", day(-180), "reached"), ("c1", day(-181), "reached"), ("c1", day(-1), "not reached")]
    repayments = [("c1", day(-1), 50.0), ("c1", day(-91), 20.0)]
    given = tables(contacts=contacts, repayments=repayments)
    row = one(given)
    assert (row["contacts_180"], row["reached_180"], row["days_since_repayment"]) == (2, 1, 1)
    assert (row["repaid_90"], row["repaid_24m"], row["owed_open"]) == (50.0, 70.0, 530.0)
    later = tables(
        contacts=[*contacts, ("c1", day(0), "reached")], repayments=[*repayments, ("c1", day(0), 99.0)]
    )
    assert one(later) == row


@pytest.mark.parametrize(
    ("due", "paid", "amount", "judged", "kept"),
    [
        (-10, -15, 100.0, 1, 1),
        (-10, -20, 100.0, 1, 1),  # on the day of the promise
        (-10, -21, 100.0, 1, 0),  # the day before it
        (-10, -7, 100.0, 1, 1),  # three days late
        (-10, -6, 100.0, 1, 0),
        (-10, -15, 99.98, 1, 0),
        (-4, -5, 100.0, 1, 1),
        (-3, -5, 100.0, 0, 0),  # its three days are not over before the date
    ],
)
def test_a_promise_is_kept_by_repayments_alone(
    due: int, paid: int, amount: float, judged: int, kept: int
) -> None:
    promises = [("c1", day(-20), day(due), 100.0)]
    row = one(tables(promises=promises, repayments=[("c1", day(paid), amount)]))
    assert (row["promises_24m"], row["kept_24m"]) == (judged, kept)


def test_a_promise_is_not_kept_by_paying_another_case() -> None:
    cases = [case("c0", opened=-90), case("c1", opened=-100), case("c2", opened=-80)]
    paid = [("c0", day(-15), 100.0), ("c2", day(-15), 100.0)]
    row = one(tables(cases=cases, promises=[("c1", day(-20), day(-10), 100.0)], repayments=paid))
    assert (row["promises_24m"], row["kept_24m"]) == (1, 0)


def test_creditors_are_counted_once_and_old_cases_fade() -> None:
    cases = [
        case("c1", opened=-10),
        case("c2", opened=-20, client="k2"),
        case("c3", opened=-730, client="k2"),
        case("c4", opened=-731, client="k3"),
        case("c5", opened=1, client="k4"),
    ]
    row = one(tables(cases=cases))
    assert (row["creditors_24m"], row["cases_24m"], row["cases_90"], row["open_cases"]) == (2, 3, 2, 4)
    assert row["months_known"] == pytest.approx(731 / 30.4375)


def test_an_agency_with_empty_books_has_no_rows() -> None:
    assert rows_as_of(tables(cases=[]), as_of=D, horizon_days=30).num_rows == 0


def test_an_empty_horizon_and_an_unknown_case_are_refused() -> None:
    with pytest.raises(ContractError, match="0 days sees nothing: agree on at least 1"):
        rows_as_of(tables(), as_of=D, horizon_days=0)
    with pytest.raises(DataError, match=r"promises\.case_id names no known key in 1 rows"):
        one(tables(promises=[("c9", day(-1), day(1), 1.0)]))
    with pytest.raises(DataError, match=r"contacts\.outcome holds another word than reached, not reached"):
        one(tables(contacts=[("c1", day(-1), "angry")]))


def _slow_row(person: str, events: dict[str, list[Row]], today: dt.date, horizon: int) -> Row:
    """The definitions again, event by event."""
    mine = [row for row in events["cases"] if row["person_id"] == person]
    known = [row for row in mine if row["opened_on"] < today]
    names = {row["case_id"] for row in known}
    contacts, promises, paid = (
        [row for row in events[name] if row["case_id"] in names and row[column] < today]
        for name, column in (("contacts", "at"), ("promises", "made_on"), ("repayments", "paid_on"))
    )
    recent = [row for row in known if (today - row["opened_on"]).days <= 730]
    still_open = [row for row in known if row["closed_on"] is None or row["closed_on"] >= today]
    grace = dt.timedelta(days=3)
    judged = [
        row
        for row in promises
        if row["due_on"] + grace < today and (today - row["due_on"] - grace).days <= 730
    ]
    attempts = [row for row in contacts if (today - row["at"]).days <= 180]

    def repaid(row: Row) -> float:
        return float(sum(p["amount"] for p in paid if p["case_id"] == row["case_id"]))

    def kept(row: Row) -> bool:
        dates = (row["made_on"], row["due_on"] + grace)
        got = sum(
            p["amount"]
            for p in paid
            if p["case_id"] == row["case_id"] and dates[0] <= p["paid_on"] <= dates[1]
        )
        return bool(got >= row["amount"] - 0.005)

    def overdue(row: Row) -> int:
        return int(row["days_overdue"] + (min(row["closed_on"] or today, today) - row["opened_on"]).days)

    return {
        "id": person,
        "person_id": person,
        "months_known": max((today - row["opened_on"]).days for row in known) / 30.4375,
        "cases_24m": len(recent),
        "cases_90": sum((today - row["opened_on"]).days <= 90 for row in known),
        "open_cases": len(still_open),
        "creditors_24m": len({row["client"] for row in recent}),
        "days_since_case": min((today - row["opened_on"]).days for row in known),
        "worst_days_overdue": max(map(overdue, recent), default=0),
        "owed_open": sum(max(row["overdue_amount"] - repaid(row), 0.0) for row in still_open),
        "owed_24m": sum(row["overdue_amount"] for row in recent),
        "repaid_24m": sum(map(repaid, recent)),
        "repaid_90": sum(row["amount"] for row in paid if (today - row["paid_on"]).days <= 90),
        "days_since_repayment": min(((today - row["paid_on"]).days for row in paid), default=None),
        "contacts_180": len(attempts),
        "reached_180": sum(row["outcome"] == "reached" for row in attempts),
        "promises_24m": len(judged),
        "kept_24m": sum(map(kept, judged)),
        "y": int(any(0 <= (row["opened_on"] - today).days < horizon for row in mine)),
    }


def test_rows_are_what_a_slow_reading_of_the_definitions_gives(tmp_path: Path) -> None:
    consortium = make_consortium(people=700, platforms=1, collectors=1, seed=5)
    party = consortium.parties[-1]
    for name, table in party.tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    rows = rows_as_of(read_tables(tmp_path, TABLES), as_of=consortium.as_of, horizon_days=30).to_pylist()
    events = {name: table.to_pylist() for name, table in party.tables.items()}
    persons = list(
        dict.fromkeys(r["person_id"] for r in events["cases"] if r["opened_on"] < consortium.as_of)
    )
    assert len(rows) == len(persons) > 60
    for row, person in zip(rows, persons, strict=True):
        wanted = _slow_row(person, events, consortium.as_of, 30)
        assert row == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in wanted.items()}
    assert 0 < sum(row["y"] for row in rows) < len(rows)
    assert sum(row["kept_24m"] for row in rows) > 0

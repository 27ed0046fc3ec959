from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from clients.operational import check_tables, read_tables
from clients.platform import COLUMNS, TABLES, characteristics_as_of, rows_as_of
from fedscore.errors import ContractError, DataError
from simulations.synthetic import make_consortium

D = dt.date(2025, 3, 1)
Row = dict[str, Any]


def day(offset: int) -> dt.date:
    return D + dt.timedelta(days=offset)


def tables(**rows: list[tuple[Any, ...]]) -> dict[str, pa.Table]:
    """Tables with the rows given, in the order of the schema's columns; account a1 of p1 is always there."""
    rows.setdefault("accounts", [("a1", "p1", day(-400), 1000.0)])
    arrow = {"text": pa.string(), "dates": pa.date32(), "numbers": pa.float64(), "whole numbers": pa.int64()}
    result = {}
    for schema in TABLES:
        fields = [
            (c.name, arrow.get(str(c.kind), pa.bool_() if c.kind == "true or false" else pa.string()))
            for c in schema.columns
        ]
        held = [dict(zip((n for n, _ in fields), row, strict=True)) for row in rows.get(schema.name, [])]
        result[schema.name] = pa.Table.from_pylist(held, schema=pa.schema(fields))
    return result


def one(given: dict[str, pa.Table], horizon_days: int = 30) -> Row:
    (row,) = rows_as_of(given, as_of=D, horizon_days=horizon_days).to_pylist()
    return dict(row)


def instalment(
    due: int, paid: int | None, *, due_amount: float = 100.0, amount: float | None = None
) -> tuple[Any, ...]:
    given = due_amount if amount is None else amount
    return ("a1", day(due), due_amount, None if paid is None else day(paid), None if paid is None else given)


def test_an_account_without_events_has_a_row_of_nothing() -> None:
    row = one(tables())
    assert row["id"] == "a1"
    assert row["person_id"] == "p1"
    assert row["months_known"] == pytest.approx(400 / 30.4375)
    assert row["days_since_order"] is None
    assert row["y"] == 0
    rest = set(COLUMNS) - {"id", "person_id", "months_known", "credit_limit", "days_since_order"}
    assert {row[name] for name in rest} == {0.0}


def test_the_columns_are_those_that_are_documented() -> None:
    assert rows_as_of(tables(), as_of=D, horizon_days=30).column_names == [*COLUMNS, "y"]
    assert characteristics_as_of(tables(), as_of=D).column_names == list(COLUMNS)


def test_the_day_itself_is_not_before_it_and_yesterday_is() -> None:
    orders = [("a1", day(-1), 10.0, "credit", 1), ("a1", day(0), 99.0, "credit", 1)]
    logins = [("a1", day(-30), True), ("a1", day(-31), False), ("a1", day(0), True)]
    refunds = [("a1", day(-1), 4.0, "credit"), ("a1", day(0), 99.0, "credit")]
    row = one(tables(orders=orders, logins=logins, refunds=refunds))
    assert (row["orders_90"], row["spend_365"], row["spend_m1"], row["days_since_order"]) == (
        1,
        10.0,
        10.0,
        1,
    )
    assert (row["logins_30"], row["logins_90"], row["new_devices_90"]) == (1, 2, 1)
    assert (row["refunded_365"], row["outstanding"]) == (4.0, 6.0)


def test_a_time_on_the_day_counts_to_the_day() -> None:
    given = tables()
    moments = [dt.datetime.combine(day(-1), dt.time(23, 59)), dt.datetime.combine(day(0), dt.time(0, 1))]
    given["logins"] = pa.table({"account_id": ["a1", "a1"], "at": moments, "new_device": [0, 1]})
    row = one(given)
    assert (row["logins_30"], row["new_devices_90"]) == (1, 0)


def test_an_instalment_paid_after_the_date_is_unpaid_as_of_it() -> None:
    row = one(tables(repayments=[instalment(-10, 5)]))
    assert (row["overdue_now"], row["overdue_m1"], row["late_365"], row["paid_of_due_365"]) == (10, 10, 1, 0)
    assert row == one(tables(repayments=[instalment(-10, None)]))
    assert row == one(tables(repayments=[instalment(-10, 0)]))
    assert row != one(tables(repayments=[instalment(-10, -1)]))


def test_an_instalment_paid_in_part_stays_overdue_and_one_paid_to_the_cent_does_not() -> None:
    partly = one(tables(repayments=[instalment(-10, -8, amount=99.98)]))
    assert (partly["overdue_now"], partly["paid_of_due_365"]) == (10, 99.98)
    wholly = one(tables(repayments=[instalment(-10, -8, due_amount=0.3, amount=0.1 + 0.2 - 1e-9)]))
    assert (wholly["overdue_now"], wholly["overdue_m1"]) == (0, 2)


def test_a_payment_in_advance_lowers_what_is_outstanding_and_is_not_late() -> None:
    orders = [("a1", day(-20), 300.0, "credit", 3), ("a1", day(-20), 50.0, "other", 0)]
    row = one(tables(orders=orders, repayments=[instalment(10, -2)]))
    assert (row["outstanding"], row["late_365"], row["instalments_365"], row["y"]) == (200.0, 0, 0, 0)
    assert (row["credit_spend_365"], row["spend_365"]) == (300.0, 350.0)


def test_months_are_thirty_days_and_the_first_ends_yesterday() -> None:
    paid = [instalment(-30, -27), instalment(-31, -26), instalment(-180, -178), instalment(-181, -100)]
    row = one(tables(repayments=paid))
    assert [row[f"overdue_m{k}"] for k in range(1, 7)] == [3, 5, 0, 0, 0, 2]


@pytest.mark.parametrize(
    ("due", "paid", "bad"),
    [
        (0, None, 1),
        (0, 7, 0),
        (0, 8, 1),
        (-1, None, 0),  # fell due before: no part of the outcome
        (22, None, 1),
        (22, 29, 0),
        (22, 30, 1),
        (23, None, 0),  # seven days after it the horizon is over
        (10, -5, 0),  # paid in advance
    ],
)
def test_the_outcome_is_an_instalment_of_the_horizon_unpaid_after_seven_days(
    due: int, paid: int | None, bad: int
) -> None:
    assert one(tables(repayments=[instalment(due, paid)]))["y"] == bad


def test_who_is_new_or_in_default_has_no_row() -> None:
    accounts = [
        ("old", "p1", day(-30), 1.0),
        ("new", "p2", day(-29), 1.0),
        ("late", "p3", day(-99), 1.0),
        ("in default", "p4", day(-99), 1.0),
        ("recovered", "p5", day(-99), 1.0),
    ]
    due = [
        ("late", day(-30), 9.0, None, None),
        ("in default", day(-31), 9.0, day(0), 9.0),
        ("recovered", day(-60), 9.0, day(-1), 9.0),
    ]
    given = tables(accounts=accounts, repayments=due)
    assert rows_as_of(given, as_of=D, horizon_days=30)["id"].to_pylist() == ["old", "late", "recovered"]
    assert characteristics_as_of(given, as_of=D)["id"].to_pylist() == ["old", "late", "recovered"]


def test_a_horizon_too_short_for_a_delinquency_is_refused() -> None:
    with pytest.raises(ContractError, match="7 days sees no delinquency: agree on more than 7"):
        rows_as_of(tables(), as_of=D, horizon_days=7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("logins"), "table 'logins' is missing: each row of it is one login"),
        (
            lambda t: t.update(logins=t["logins"].drop_columns("at")),
            "'logins' lacks 1 of its columns: add at",
        ),
        (
            lambda t: t.update(logins=t["logins"].append_column("at", t["logins"]["at"])),
            "more than one column 'at': keep one",
        ),
        (
            lambda t: t.update(accounts=pa.concat_tables([t["accounts"], t["accounts"]])),
            r"accounts\.account_id repeats an earlier value in 1 rows",
        ),
        (
            lambda t: t.update(logins=pa.table({"account_id": ["zz"], "at": [D], "new_device": [True]})),
            r"logins\.account_id names no known key in 1 rows",
        ),
        (
            lambda t: t.update(
                logins=pa.table({"account_id": ["a1"], "at": [20250101], "new_device": [True]})
            ),
            r"logins\.at holds int64 in 1 rows where dates are expected",
        ),
        (
            lambda t: t.update(logins=pa.table({"account_id": ["a1"], "at": [D], "new_device": [2]})),
            r"logins\.new_device holds int64 in 1 rows where true or false",
        ),
        (
            lambda t: t.update(logins=pa.table({"account_id": [None], "at": [D], "new_device": [True]})),
            r"logins\.account_id is empty in 1 rows",
        ),
        (
            lambda t: t.update(
                tables(orders=[("a1", D, -0.01, "credit", 1), ("a1", D, float("nan"), "other", 0)])
            ),
            r"orders\.amount is negative or not finite in 2 rows",
        ),
        (
            lambda t: t.update(tables(orders=[("a1", D, 1.0, "chequebook", 1)])),
            r"orders\.paid_by holds another word than credit, other in 1 rows",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_name_and_count(
    change: Callable[[dict[str, pa.Table]], object], message: str
) -> None:
    given = tables()
    change(given)
    with pytest.raises(DataError, match=message) as refused:
        rows_as_of(given, as_of=D, horizon_days=30)
    assert not {"zz", "chequebook", "20250101", "p1"} & set(str(refused.value).replace(":", " ").split())


def test_files_of_either_kind_are_read_alike_and_keys_keep_their_zeros(tmp_path: Path) -> None:
    given = tables(
        accounts=[("007", "01", day(-400), 1000.0)],
        orders=[("007", day(-3), 10.0, "credit", 1)],
        repayments=[("007", day(-3), 10.0, None, None), ("007", day(-40), 10.0, day(-39), 10.0)],
    )
    for folder in ("parquet", "csv"):
        (tmp_path / folder).mkdir()
    for name, table in given.items():
        pq.write_table(table, tmp_path / "parquet" / f"{name}.parquet")
        pa_csv.write_csv(table, tmp_path / "csv" / f"{name}.csv")
    first, second = (one(read_tables(tmp_path / folder, TABLES)) for folder in ("parquet", "csv"))
    assert first == second == one(given)
    assert (first["id"], first["person_id"]) == ("007", "01")
    (tmp_path / "csv" / "logins.csv").unlink()
    with pytest.raises(DataError, match=r"'logins' is missing: put logins\.parquet or logins\.csv into"):
        read_tables(tmp_path / "csv", TABLES)
    (tmp_path / "csv" / "logins.csv").write_bytes(b"account_id,at,new_device\n\xff\xfe,2025-01-01,1\n")
    with pytest.raises(DataError, match="'logins' cannot be read"):
        read_tables(tmp_path / "csv", TABLES)


def test_checked_tables_are_accepted_again() -> None:
    given = tables(logins=[("a1", day(-1), True)])
    assert one(check_tables(given, TABLES)) == one(given)


def _within(rows: list[Row], column: str, last: int, today: dt.date) -> list[Row]:
    return [row for row in rows if 0 < (today - row[column]).days <= last]


def _slow_row(account: Row, events: dict[str, list[Row]], today: dt.date, horizon: int) -> Row | None:
    """The definitions again, event by event."""
    key = account["account_id"]
    orders, refunds, logins, due = (
        [row for row in events[name] if row["account_id"] == key]
        for name in ("orders", "refunds", "logins", "repayments")
    )

    def settled(row: Row) -> dt.date:
        return row["paid_on"] if row["paid_on"] and row["amount_paid"] >= row["amount_due"] else dt.date.max

    def overdue(row: Row) -> int:
        return int(max((min(settled(row), today) - row["due_on"]).days, 0))

    past = [row for row in due if row["due_on"] < today]
    worst = max([(today - row["due_on"]).days for row in past if settled(row) >= today], default=0)
    if (today - account["opened_on"]).days < 30 or worst > 30:
        return None
    year, orders_year = _within(due, "due_on", 365, today), _within(orders, "ordered_at", 365, today)
    paid = [row for row in due if row["paid_on"] and row["paid_on"] < today]
    ordered = [row for row in orders if row["ordered_at"] < today]
    soon = [row for row in due if 0 <= (row["due_on"] - today).days < horizon - 7]
    row: Row = {
        "id": key,
        "person_id": account["person_id"],
        "months_known": (today - account["opened_on"]).days / 30.4375,
        "credit_limit": account["credit_limit"],
        "orders_90": len(_within(orders, "ordered_at", 90, today)),
        "orders_365": len(orders_year),
        "days_since_order": min(((today - r["ordered_at"]).days for r in ordered), default=None),
        "spend_365": sum(r["amount"] for r in orders_year),
        "credit_spend_365": sum(r["amount"] for r in orders_year if r["paid_by"] == "credit"),
        "refunded_365": sum(r["amount"] for r in _within(refunds, "refunded_at", 365, today)),
        "logins_30": len(_within(logins, "at", 30, today)),
        "logins_90": len(_within(logins, "at", 90, today)),
        "new_devices_90": sum(r["new_device"] for r in _within(logins, "at", 90, today)),
        "outstanding": max(
            sum(r["amount"] for r in ordered if r["paid_by"] == "credit")
            - sum(r["amount"] for r in refunds if r["refunded_at"] < today and r["returned_to"] == "credit")
            - sum(r["amount_paid"] for r in paid),
            0,
        ),
        "instalments_365": len(year),
        "late_365": sum(overdue(r) > 0 for r in year),
        "due_365": sum(r["amount_due"] for r in year),
        "paid_of_due_365": sum(r["amount_paid"] for r in year if r in paid),
        "overdue_now": worst,
        "y": int(any((settled(r) - r["due_on"]).days > 7 for r in soon)),
    }
    for k in range(1, 7):
        month = [
            r
            for r in _within(orders, "ordered_at", 30 * k, today)
            if (today - r["ordered_at"]).days > 30 * (k - 1)
        ]
        row[f"spend_m{k}"] = sum(r["amount"] for r in month)
        month = [
            r for r in _within(due, "due_on", 30 * k, today) if (today - r["due_on"]).days > 30 * (k - 1)
        ]
        row[f"overdue_m{k}"] = max(map(overdue, month), default=0)
    return row


def test_rows_are_what_a_slow_reading_of_the_definitions_gives() -> None:
    consortium = make_consortium(people=120, platforms=1, collectors=0, seed=5)
    (party,) = consortium.parties
    events = {name: table.to_pylist() for name, table in party.tables.items()}
    slow = [_slow_row(account, events, consortium.as_of, 30) for account in events["accounts"]]
    expected = [row for row in slow if row is not None]
    rows = party.rows().to_pylist()
    assert 60 < len(rows) == len(expected) < 120
    for row, wanted in zip(rows, expected, strict=True):
        assert row == {
            name: pytest.approx(value) if isinstance(value, float) else value
            for name, value in wanted.items()
        }
    assert sum(row["y"] for row in rows) > 0

"""What happens on or after a day can't change what was known before it, and the other way round.

Every world is drawn in two versions that agree on one side of a day and differ on the other.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from clients import collector, platform
from clients.operational import Kind, TableSchema

D = dt.date(2025, 3, 1)
HORIZON = 30
FIRST, LAST = -800, 100
RANDOM = st.randoms(use_true_random=True)

ARROW = {
    Kind.DAY: pa.date32(),
    Kind.AMOUNT: pa.float64(),
    Kind.COUNT: pa.int64(),
    Kind.FLAG: pa.bool_(),
}
World = dict[str, pa.Table]
Rows = list[tuple[Any, ...]]
Two = tuple[dict[str, Rows], dict[str, Rows]]


def date(day: int | None) -> dt.date | None:
    return None if day is None else D + dt.timedelta(days=day)


def build(schemas: tuple[TableSchema, ...], rows: dict[str, Rows]) -> World:
    world = {}
    for schema in schemas:
        days = [column.kind is Kind.DAY for column in schema.columns]
        arrays = [
            [date(row[place]) if is_day else row[place] for row in rows[schema.name]]
            for place, is_day in enumerate(days)
        ]
        types = [ARROW.get(column.kind, pa.string()) for column in schema.columns]
        names = [column.name for column in schema.columns]
        world[schema.name] = pa.table([pa.array(a, t) for a, t in zip(arrays, types, strict=True)], names)
    return world


@dataclass(frozen=True)
class Draw:
    """Draws events; days are counted from the as-of date, and often lie where definitions change."""

    random: Random

    def day(self, first: int, last: int) -> int:
        near: list[int] = [
            day for day in (first, last - 1, *range(-9, 3), *range(20, 34)) if first <= day < last
        ]
        return self.random.choice([self.random.choice(near), self.random.randrange(first, last)])

    def maybe(self, first: int, last: int) -> int | None:
        return self.random.choice([None, self.day(first, last), self.day(first, last)])

    def money(self) -> float:
        return 50.0 * self.random.randrange(5)

    def one(self, *choices: str) -> str:
        return self.random.choice(choices)

    def some(self, row: Callable[[], tuple[Any, ...]]) -> Rows:
        return [row() for _ in range(self.random.randrange(6))]

    def two(self, shared: Rows, version: Callable[[], Rows]) -> tuple[Rows, Rows]:
        """The shared rows with two versions of the others, shuffled: their order must not matter either."""
        left, right = shared + version(), shared + version()
        return self.random.sample(left, len(left)), self.random.sample(right, len(right))

    def account(self) -> str:
        return self.one("a1", "a2")

    def order(self, first: int, last: int) -> tuple[Any, ...]:
        plan = self.random.randrange(4)
        return self.account(), self.day(first, last), self.money(), self.one("credit", "other"), plan

    def refund(self, first: int, last: int) -> tuple[Any, ...]:
        return self.account(), self.day(first, last), self.money(), self.one("credit", "other")

    def login(self, first: int, last: int) -> tuple[Any, ...]:
        return self.account(), self.day(first, last), self.random.random() < 1 / 2

    def instalment(self, due: tuple[int, int], paid: tuple[int, int]) -> tuple[Any, ...]:
        return self.account(), self.day(*due), self.money(), self.maybe(*paid), self.money()

    def case(self, person: str, opened: tuple[int, int], closed: tuple[int, int]) -> tuple[Any, ...]:
        days = self.random.randrange(1, 99)
        client = self.one("k1", "k2", "k3")
        return person, client, self.day(*opened), self.maybe(*closed), self.money(), days


def platforms_that_agree_before(draw: Draw, cut: int) -> Two:
    """Two worlds with the same events before day `cut` and others from it on."""

    def events(row: Callable[[int, int], tuple[Any, ...]]) -> tuple[Rows, Rows]:
        return draw.two(draw.some(partial(row, FIRST, cut)), lambda: draw.some(partial(row, cut, LAST)))

    rows = {"orders": draw.order, "refunds": draw.refund, "logins": draw.login}
    pairs = {name: events(row) for name, row in rows.items()}
    accounts: Rows = [("a1", "p1", -400, 1000.0), ("a2", "p2", -30, 500.0)]
    newcomer = [("n1", "p1", cut, 9.0), ("n2", "p3", cut + 1, 99.0)]
    pairs["accounts"] = draw.two(accounts, lambda: draw.random.sample(newcomer, draw.random.randrange(3)))
    settled = draw.some(lambda: draw.instalment((FIRST, cut), (FIRST, cut)))
    closed = [row for row in settled if row[3] is not None]
    undecided = draw.some(lambda: (draw.account(), draw.day(-40, cut), draw.money()))
    advances = draw.some(lambda: (draw.account(), draw.day(FIRST, cut), draw.money()))

    def version() -> Rows:
        return [
            *((*row, draw.maybe(cut, LAST), draw.money()) for row in undecided),
            *((row[0], draw.day(cut, LAST), draw.money(), *row[1:]) for row in advances),
            *draw.some(lambda: draw.instalment((cut, LAST), (cut, LAST))),
        ]

    pairs["repayments"] = draw.two(closed, version)
    return versions(pairs)


def platforms_that_agree_from(draw: Draw) -> Two:
    """Two worlds that differ before the as-of date alone; what is paid in advance belongs to both sides."""
    due_later = draw.some(lambda: draw.instalment((0, LAST), (-20, LAST)))

    def world() -> dict[str, Rows]:
        return {
            "accounts": [("a1", "p1", draw.day(-500, -30), draw.money()), ("a2", "p2", -31, 500.0)],
            "orders": draw.some(lambda: draw.order(FIRST, 0)),
            "refunds": draw.some(lambda: draw.refund(FIRST, 0)),
            "logins": draw.some(lambda: draw.login(FIRST, 0)),
            "repayments": due_later + draw.some(lambda: draw.instalment((-30, 0), (FIRST, LAST))),
        }

    return world(), world()


def agencies_that_agree_before(draw: Draw, cut: int) -> Two:
    """Two worlds with the same events before day `cut` and others from it on."""
    ended: Rows = [
        ("c1", "p1", "k1", -300, -50, 100.0, 40),
        ("c2", "p2", "k1", -60, draw.day(-59, cut), 50.0, 90),
    ]
    begun: Rows = [
        (name, *draw.case(draw.one("p1", "p2"), (FIRST, cut), (cut, LAST))) for name in ("x0", "x1", "x2")
    ]

    def cases() -> Rows:
        new = draw.some(lambda: draw.case(draw.one("p1", "p2", "p3"), (cut, LAST), (cut, LAST)))
        return [(*row[:4], draw.maybe(cut, LAST), *row[5:]) for row in begun] + named("new", new)

    def events(row: Callable[[int, int], tuple[Any, ...]]) -> tuple[Rows, Rows]:
        return draw.two(draw.some(partial(row, FIRST, cut)), lambda: draw.some(partial(row, cut, LAST)))

    return versions({"cases": draw.two(ended, cases), **{k: events(v) for k, v in case_events(draw).items()}})


def agencies_that_agree_from(draw: Draw) -> Two:
    """Two worlds with the same cases opened from the as-of date on, and all else different."""
    new = named("new", draw.some(lambda: draw.case(draw.one("p1", "p2"), (0, LAST), (0, LAST))))

    def world() -> dict[str, Rows]:
        old = [draw.case(person, (FIRST, 0), (-1, LAST)) for person in ("p1", "p2", "p1")]
        more = draw.some(lambda: draw.case(draw.one("p1", "p2"), (FIRST, 0), (-1, LAST)))
        held = [*named("c", old), *named("x", old)]
        events = {name: draw.some(partial(row, FIRST, LAST)) for name, row in case_events(draw).items()}
        return {"cases": held + named("y", more) + new, **events}

    return world(), world()


def case_events(draw: Draw) -> dict[str, Callable[[int, int], tuple[Any, ...]]]:
    """How to draw a row of each table that belongs to a case."""

    def case() -> str:
        return draw.one("c1", "c2", "x0", "x1", "x2")

    return {
        "contacts": lambda first, last: (case(), draw.day(first, last), draw.one("reached", "not reached")),
        "promises": lambda first, last: (case(), draw.day(first, last), draw.day(FIRST, LAST), draw.money()),
        "repayments": lambda first, last: (case(), draw.day(first, last), draw.money()),
    }


def named(prefix: str, rows: Rows) -> Rows:
    return [(f"{prefix}{number}", *row) for number, row in enumerate(rows)]


def versions(pairs: dict[str, tuple[Rows, Rows]]) -> Two:
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


def by_id(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: str(row["id"]))


def outcomes(table: pa.Table) -> dict[str, int]:
    return {row["id"]: row["y"] for row in table.to_pylist()}


@settings(deadline=None)
@given(RANDOM)
def test_nothing_from_the_date_on_changes_a_platforms_characteristics(random: Random) -> None:
    worlds = platforms_that_agree_before(Draw(random), 0)
    left, right = (build(platform.TABLES, rows) for rows in worlds)
    assert by_id(platform.characteristics_as_of(left, as_of=D)) == by_id(
        platform.characteristics_as_of(right, as_of=D)
    )
    made = platform.rows_as_of(left, as_of=D, horizon_days=HORIZON).drop_columns("y")
    assert made == platform.characteristics_as_of(left, as_of=D)


@settings(deadline=None)
@given(RANDOM)
def test_nothing_beyond_the_horizon_changes_anything_at_a_platform(random: Random) -> None:
    worlds = platforms_that_agree_before(Draw(random), HORIZON)
    left, right = (build(platform.TABLES, rows) for rows in worlds)
    assert by_id(platform.rows_as_of(left, as_of=D, horizon_days=HORIZON)) == by_id(
        platform.rows_as_of(right, as_of=D, horizon_days=HORIZON)
    )


@settings(deadline=None)
@given(RANDOM)
def test_nothing_before_the_date_changes_a_platforms_outcome(random: Random) -> None:
    worlds = platforms_that_agree_from(Draw(random))
    left, right = (
        outcomes(platform.rows_as_of(build(platform.TABLES, rows), as_of=D, horizon_days=HORIZON))
        for rows in worlds
    )
    assert all(left[account] == right[account] for account in left.keys() & right.keys())


@settings(deadline=None)
@given(RANDOM)
def test_nothing_from_the_date_on_changes_an_agencys_characteristics(random: Random) -> None:
    worlds = agencies_that_agree_before(Draw(random), 0)
    left, right = (build(collector.TABLES, rows) for rows in worlds)
    assert by_id(collector.characteristics_as_of(left, as_of=D)) == by_id(
        collector.characteristics_as_of(right, as_of=D)
    )
    made = collector.rows_as_of(left, as_of=D, horizon_days=HORIZON).drop_columns("y")
    assert made == collector.characteristics_as_of(left, as_of=D)


@settings(deadline=None)
@given(RANDOM)
def test_nothing_beyond_the_horizon_changes_anything_at_an_agency(random: Random) -> None:
    worlds = agencies_that_agree_before(Draw(random), HORIZON)
    left, right = (build(collector.TABLES, rows) for rows in worlds)
    assert by_id(collector.rows_as_of(left, as_of=D, horizon_days=HORIZON)) == by_id(
        collector.rows_as_of(right, as_of=D, horizon_days=HORIZON)
    )


@settings(deadline=None)
@given(RANDOM)
def test_nothing_before_the_date_changes_an_agencys_outcome(random: Random) -> None:
    worlds = agencies_that_agree_from(Draw(random))
    left, right = (
        outcomes(collector.rows_as_of(build(collector.TABLES, rows), as_of=D, horizon_days=HORIZON))
        for rows in worlds
    )
    assert left == right

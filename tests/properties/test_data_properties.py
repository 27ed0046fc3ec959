from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, TypeAlias
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.contract import (
    CellKind,
    Characteristic,
    Derived,
    Formula,
    InteractionSide,
    Role,
    Split,
    Table,
    ValueType,
    parse_contract,
)
from fedscore.data import Rows, is_test, read_rows, read_side, rows_from_table, sources, split, training_rows
from fedscore.data.identity import digests_of

Row: TypeAlias = dict[str, Any]

CONTRACT = parse_contract("""
version = 1
name = "properties"
purpose = "tests"
outcome = { definition = "late", bucket = "30+", horizon_days = 90 }
rows = { id = "id", person = "person", rows_per_person = 2, row_cap = 1000 }
split = { test_share = 0.4, key = "properties" }
privacy = { epsilon = 1.0, delta = 1e-5 }

[[characteristics]]
name = "a"
type = "number"
edges = [-1, 0, 0.25, 2]
special = [{ code = -2, meaning = "minus two" }, { code = 1, meaning = "one" }]

[[characteristics]]
name = "b"
type = "number"
edges = [0.5]

[[characteristics]]
name = "c"
type = "number"
input_only = true
special = [{ code = 3, meaning = "three" }]

[[characteristics]]
name = "k"
type = "category"
levels = ["x", "y", "1"]
special = [{ code = 2, meaning = "two" }, { code = "n/a", meaning = "none" }]

[[characteristics]]
name = "p"
type = "number"
edges = [0, 1]
roles = ["platform"]

[[characteristics]]
name = "q"
type = "category"
levels = ["x"]
roles = ["collector"]

[[derived]]
name = "ratio"
formula = "ratio"
of = ["a", "b"]
edges = [-1, 0, 1]

[[derived]]
name = "floored"
formula = "ratio"
of = ["c", "b"]
denominator_floor = 0.5
specials_as_values = true
edges = [-1, 0, 1]

[[derived]]
name = "top"
formula = "max"
of = ["a", "b", "c"]
cap = 1.5
edges = [0, 1]

[[derived]]
name = "bottom"
formula = "min"
of = ["a", "b", "c"]
floor = -1
edges = [-0.5, 0, 1]

[[derived]]
name = "total"
formula = "sum"
of = ["a", "b", "c"]
weights = [1, -2, 0.5]
edges = [-2, 0, 1]

[[derived]]
name = "average"
formula = "mean"
of = ["top", "bottom"]
edges = [0, 0.5]

[[derived]]
name = "slope"
formula = "trend"
of = ["a", "b", "c"]
specials_as_values = true
edges = [-1, 0, 1]

[[derived]]
name = "high"
formula = "count_above"
of = ["a", "b", "p"]
threshold = 0
edges = [0.5, 1.5]

[[derived]]
name = "since"
formula = "months_since"
of = ["a", "b", "c"]
threshold = 0.25
edges = [0.5, 1.5, 2.5]

[[interactions]]
first = { of = "a", edges = [0] }
second = { of = "k", levels = ["y", "x"] }

[[interactions]]
first = { of = "p", edges = [0.5, 0.75] }
second = { of = "ratio", edges = [-0.3, 0.3] }

[[interactions]]
first = { of = "q", levels = ["x"] }
second = { of = "b", edges = [1] }
""")

# Quarters are exact in binary and few: edges, special codes, ties and zero denominators come up often.
NUMBERS = st.one_of(st.none(), st.just(math.nan), st.integers(-12, 16).map(lambda quarter: quarter / 4))
LEVELS = st.sampled_from([None, "", "x", "y", "1", "2", "n/a", "X", "1.0", "ünïcode, quoted"])
PERSONS = st.integers(0, 8).map(lambda number: f"person {number}")
COLUMNS = {
    "person": PERSONS,
    "y": st.integers(0, 1),
    "a": NUMBERS,
    "b": NUMBERS,
    "c": NUMBERS,
    "k": LEVELS,
    "p": NUMBERS,
    "q": LEVELS,
}
ROLES = st.sampled_from(list(Role))


@st.composite
def tables(draw: st.DrawFn, *, largest: int = 25) -> list[Row]:
    count = draw(st.integers(1, largest))
    ids = draw(st.lists(st.integers(0, 10**6), min_size=count, max_size=count, unique=True))
    return [{"id": one, **{name: draw(values) for name, values in COLUMNS.items()}} for one in ids]


def arrow(rows: list[Row]) -> pa.Table:
    kinds = {"id": pa.int64(), "person": pa.string(), "y": pa.int64(), "k": pa.string(), "q": pa.string()}
    names = ["id", *COLUMNS]
    return pa.table(
        {name: pa.array([row[name] for row in rows], kinds.get(name, pa.float64())) for name in names}
    )


def assert_same(left: Rows, right: Rows) -> None:
    for name in ("cells", "outcome", "ids", "persons"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


# A second implementation, row by row and as slow as it is plain.


def kind_at(table: Table, kind: CellKind, offset: int = 0) -> int:
    return [cell.kind for cell in table.cells].index(kind) + offset


def known(value: object) -> bool:
    return value is not None and value != "" and not (isinstance(value, float) and math.isnan(value))


def number_of(name: str, row: Row, *, specials: bool) -> float | None:
    item = CONTRACT.by_name[name]
    if isinstance(item, Derived):
        return computed(item, row)
    value = row[name]
    if not known(value) or (not specials and any(special.code == value for special in item.special)):
        return None
    return float(value)


def computed(item: Derived, row: Row) -> float | None:  # noqa: C901, PLR0911 - one case per formula
    inputs: list[float] = []
    for name in item.of:
        value = number_of(name, row, specials=item.specials_as_values)
        if value is None:
            return None
        value = value if item.floor is None else max(value, item.floor)
        inputs.append(value if item.cap is None else min(value, item.cap))
    match item.formula:
        case Formula.RATIO:
            below = inputs[1] if item.denominator_floor is None else max(inputs[1], item.denominator_floor)
            return None if below == 0 else inputs[0] / below
        case Formula.MAX:
            return max(inputs)
        case Formula.MIN:
            return min(inputs)
        case Formula.SUM:
            return sum(weight * value for weight, value in zip(item.weights, inputs, strict=True))
        case Formula.MEAN:
            return sum(inputs) / len(inputs)
        case Formula.TREND:
            assert len(inputs) == 3
            return (inputs[0] - inputs[2]) / 2
        case Formula.COUNT_ABOVE:
            return sum(value > (item.threshold or 0) for value in inputs)
        case Formula.MONTHS_SINCE:
            above = (place for place, value in enumerate(inputs) if value > (item.threshold or 0))
            return next(above, len(inputs))


def interval(edges: tuple[float, ...], value: float) -> int:
    return sum(edge <= value for edge in edges)


def cell_of(item: Characteristic | Derived, table: Table, row: Row, role: Role) -> int:
    if role not in CONTRACT.holders[item.name]:
        return kind_at(table, CellKind.NOT_HELD)
    if isinstance(item, Characteristic):
        value = row[item.name]
        if not known(value):
            return kind_at(table, CellKind.MISSING)
        for place, special in enumerate(item.special):
            text = special.code if isinstance(special.code, str) else f"{special.code:g}"
            if value in {special.code, text}:
                return kind_at(table, CellKind.SPECIAL, place)
        if item.type is ValueType.CATEGORY:
            return item.levels.index(value) if value in item.levels else kind_at(table, CellKind.OTHER)
    number = number_of(item.name, row, specials=False)
    return kind_at(table, CellKind.MISSING) if number is None else interval(item.edges, number)


def side_of(side: InteractionSide, row: Row) -> int:
    other = len(side.levels) if side.levels else len(side.edges) + 1
    if side.levels:
        return side.levels.index(row[side.of]) if row[side.of] in side.levels else other
    number = number_of(side.of, row, specials=False)
    return other if number is None else interval(side.edges, number)


def slow_cells(row: Row, role: Role) -> Iterator[int]:
    tables_left = iter(CONTRACT.tables)
    for item in CONTRACT.by_name.values():
        if not item.input_only:
            yield cell_of(item, next(tables_left), row, role)
    for crossed in CONTRACT.interactions:
        second_size = (len(crossed.second.levels) or len(crossed.second.edges) + 1) + 1
        first_size = (len(crossed.first.levels) or len(crossed.first.edges) + 1) + 1
        if all(role in CONTRACT.holders[side.of] for side in (crossed.first, crossed.second)):
            yield side_of(crossed.first, row) * second_size + side_of(crossed.second, row)
        else:
            yield first_size * second_size - 1


@settings(max_examples=40)
@given(rows=tables(), role=ROLES)
def test_binning_is_that_of_a_plain_implementation(rows: list[Row], role: Role) -> None:
    found = rows_from_table(arrow(rows), CONTRACT, role=role)
    assert found.cells.tolist() == [list(slow_cells(row, role)) for row in rows]
    assert found.outcome.tolist() == [row["y"] for row in rows]
    assert found.ids.tolist() == [str(row["id"]) for row in rows]
    assert found.persons.tolist() == [row["person"] for row in rows]


FINITE = st.floats(allow_nan=True, allow_infinity=False)


@given(
    values=st.fixed_dictionaries({name: st.lists(FINITE, min_size=5, max_size=5) for name in "abcp"}),
    role=ROLES,
)
def test_cells_are_always_within_their_tables(values: dict[str, list[float]], role: Role) -> None:
    columns = {
        **values,
        "id": range(5),
        "person": list("vwxyz"),
        "y": [0] * 5,
        "k": ["x"] * 5,
        "q": ["?"] * 5,
    }
    cells = rows_from_table(pa.table(columns), CONTRACT, role=role).cells
    assert (cells >= 0).all()
    assert (cells < [table.size for table in CONTRACT.tables]).all()


@settings(max_examples=30)
@given(rows=tables(), role=ROLES, order=st.randoms(use_true_random=False), size=st.integers(1, 30))
def test_neither_the_order_of_rows_nor_the_size_of_batches_matters(
    rows: list[Row],
    role: Role,
    order: Random,
    size: int,
) -> None:
    places = list(range(len(rows)))
    order.shuffle(places)
    with mock.patch.object(sources, "BATCH_ROWS", size):
        shuffled = rows_from_table(arrow([rows[place] for place in places]), CONTRACT, role=role)
    assert_same(shuffled, rows_from_table(arrow(rows), CONTRACT, role=role).select(np.array(places)))


@settings(max_examples=30)
@given(rows=tables(), role=ROLES, size=st.integers(1, 30))
def test_csv_and_parquet_hold_the_same_rows(rows: list[Row], role: Role, size: int) -> None:
    expected = rows_from_table(arrow(rows), CONTRACT, role=role)
    with tempfile.TemporaryDirectory() as folder:
        parquet, csv = Path(folder) / "rows.parquet", Path(folder) / "rows.csv"
        pq.write_table(arrow(rows), parquet, row_group_size=size)
        pyarrow.csv.write_csv(arrow(rows), csv)
        assert_same(read_rows(parquet, CONTRACT, role=role), expected)
        assert_same(read_rows(csv, CONTRACT, role=role), expected)


@settings(max_examples=30)
@given(
    rows=tables(),
    role=ROLES,
    size=st.integers(1, 30),
    share=st.sampled_from([0.0, 0.5]),
    limit=st.integers(1, 3),
    named=st.booleans(),
)
def test_a_side_that_is_read_alone_is_that_side_of_all_rows(
    rows: list[Row],
    role: Role,
    size: int,
    share: float,
    limit: int,
    named: bool,  # noqa: FBT001 - hypothesis' own
) -> None:
    terms = CONTRACT.rows.model_copy(
        update={"rows_per_person": limit} if named else {"person": None, "rows_per_person": 1}
    )
    contract = CONTRACT.model_copy(update={"rows": terms, "split": Split(test_share=share, key="k")})
    table = arrow(rows)
    everything = rows_from_table(table, contract, role=role)
    for test, keep in ((False, training_rows), (True, split.test_rows)):
        expected = keep(everything, contract)
        with mock.patch.object(sources, "BATCH_ROWS", size):
            found = read_side(table, contract, role=role, test=test)
        for name in ("cells", "outcome", "groups", "late"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        np.testing.assert_array_equal(found.ids, digests_of(expected.ids))
        np.testing.assert_array_equal(found.persons, digests_of(expected.persons))


NAMES = st.text("abö", max_size=3)


@given(
    people=st.dictionaries(NAMES, st.integers(1, 5), min_size=1, max_size=20),
    added=st.dictionaries(NAMES, st.integers(1, 5), max_size=5),
    share=st.floats(0.0, 0.9),
    key=st.text("kö", min_size=1, max_size=70),
)
def test_a_split_divides_persons_and_newcomers_move_nobody(
    people: dict[str, int], added: dict[str, int], share: float, key: str
) -> None:
    contract = CONTRACT.model_copy(update={"split": Split(test_share=share, key=key)})

    def sides(counts: dict[str, int]) -> tuple[Rows, Rows]:
        persons = [person for person, count in counts.items() for _ in range(count)]
        ids = [f"{person}/{number}" for person, count in counts.items() for number in range(count)]
        rows = Rows(
            cells=np.zeros((len(ids), 1), dtype=np.int32),
            outcome=np.zeros(len(ids), dtype=np.int8),
            ids=np.array(ids, dtype=object),
            persons=np.array(persons, dtype=object),
        )
        return training_rows(rows, contract), split.test_rows(rows, contract)

    before = sides(people)
    after = sides({**added, **people})
    assert not set(before[0].persons) & set(before[1].persons)
    assert len(before[0]) + len(before[1]) == sum(min(count, 2) for count in people.values())
    assert is_test(before[1].persons, contract.split).all()
    assert not is_test(before[0].persons, contract.split).any()
    newcomers = set(added) - set(people)
    for old, new in zip(before, after, strict=True):
        stayed = {one for one, person in zip(new.ids, new.persons, strict=True) if person not in newcomers}
        assert stayed == set(old.ids)

"""The query gives the score that Python gives: on random cards in SQLite, and on a trained one."""

from __future__ import annotations

import itertools
import math
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.card import Card
from fedscore.card.judging import judge
from fedscore.card.reasons import NO_REASON
from fedscore.card.scoring import Scorer
from fedscore.card.sql import score_query
from fedscore.card.sql_words import identifier, number, remark, text
from fedscore.contract import Characteristic, Derived, Formula, Grid, Role, Special, ValueType
from fedscore.errors import CardError
from tests.cards import number as number_of
from tests.cards import plain_card, table
from tests.random_cards import Drawn, cards_with_rows, table_of
from tests.trained_cards import taiwan

Answer = tuple[int, float | None, float | None, str | None]


def in_sqlite(query: str, name: str, rows: pa.Table, *, kinds: str | None = None) -> list[Answer]:
    with closing(sqlite3.connect(":memory:")) as database:
        with_exp(database)
        columns = ", ".join(
            f"{identifier(field.name)} {kinds or ('TEXT' if pa.types.is_string(field.type) else 'REAL')}"
            for field in rows.schema
            if field.name != "id"
        )
        database.execute(f"CREATE TABLE {identifier(name)} (id INTEGER, {columns})")
        signs = ", ".join("?" * rows.num_columns)
        database.executemany(
            f"INSERT INTO {identifier(name)} VALUES ({signs})",  # noqa: S608 - of this test
            zip(*(column.to_pylist() for column in rows.columns), strict=True),
        )
        return database.execute(query).fetchall()


def with_exp(database: sqlite3.Connection) -> None:
    """SQLite has `exp` where it was built with its mathematical functions."""
    try:
        database.execute("SELECT EXP(1.0)")
    except sqlite3.OperationalError:
        database.create_function("EXP", 1, lambda value: None if value is None else math.exp(value))


def in_python(card: Card, role: Role, rows: pa.Table) -> list[Answer]:
    scorer = Scorer(card, role=role)
    (batch,) = rows.combine_chunks().to_batches()
    judged = judge(batch, id_column="id", numbers=scorer.numbers, categories=scorer.categories, is_csv=False)
    scored = scorer.score(judged.values)
    names = {place: grade.name for place, grade in enumerate(card.grades)} | {NO_REASON: None}
    answers = iter(
        zip(
            scored.score.tolist(),
            scored.probability.tolist(),
            [names[place] for place in scored.grades.tolist()],
            strict=True,
        )
    )
    return [
        (row, *next(answers)) if fit else (row, None, None, None)
        for row, fit in zip(rows["id"].to_pylist(), judged.fit.tolist(), strict=True)
    ]


def agree(found: Sequence[Answer], expected: Sequence[Answer]) -> None:
    assert [(row, score, grade) for row, score, _, grade in found] == [
        (row, score, grade) for row, score, _, grade in expected
    ]
    for (_, _, mine, _), (_, _, theirs, _) in zip(found, expected, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            assert math.isclose(mine, theirs, rel_tol=1e-12, abs_tol=1e-12)


@given(cards_with_rows())
def test_sqlite_gives_the_score_that_python_gives(drawn: Drawn) -> None:
    rows = table_of(drawn)
    query = score_query(drawn.card, role=drawn.role, table="my table", id_column="id")
    agree(in_sqlite(query, "my table", rows), in_python(drawn.card, drawn.role, rows))


@pytest.mark.parametrize("formula", list(Formula))
def test_every_formula_on_every_pairing_of_awkward_values(formula: Formula) -> None:
    card, rows = formula_card(formula), awkward_rows()
    query = score_query(card, role=Role.PLATFORM, table="t", id_column="id")
    expected = in_python(card, Role.PLATFORM, rows)
    agree(in_sqlite(query, "t", rows), expected)
    assert len({score for _, score, _, _ in expected}) >= 8


def formula_card(formula: Formula) -> Card:
    """One formula with every parameter that it takes, and computed from itself."""
    inputs = tuple(
        Characteristic(
            name=name,
            column=name,
            type=ValueType.NUMBER,
            input_only=True,
            special=(Special(code=98, meaning="refused"),),
        )
        for name in "xyz"
    )
    has_threshold = formula in (Formula.COUNT_ABOVE, Formula.MONTHS_SINCE)
    is_ratio = formula is Formula.RATIO
    common: dict[str, Any] = {
        "formula": formula,
        "edges": (-3.0, -1.5, -1.0, -0.5, 0.0, 1 / 3, 0.5, 1.0, 1.5, 2.0, 3.0, 50.0),
        "threshold": 1.0 if has_threshold else None,
    }
    of = ("x", "y") if is_ratio else ("x", "y", "z")
    weights = (0.5, -1.0, 0.1) if formula is Formula.SUM else ()
    derived = (
        Derived(name="plain", of=of, **common),
        Derived(name="bounded", of=of, floor=-1.0, cap=2.0, weights=weights, **common),
        Derived(name="coded", of=of, specials_as_values=True, **common),
        Derived(name="floored", of=of, denominator_floor=1.0 if is_ratio else None, cap=0.5, **common),
        Derived(name="again", of=("plain", "z"), **common),
    )
    grid = Grid(characteristics=inputs, derived=derived)
    generator = np.random.default_rng(7)
    tables = tuple(
        table(one.name, (generator.integers(-30_00, 30_00, one.size) / 100).tolist()) for one in grid.tables
    )
    return plain_card(*tables, grid=grid)


def awkward_rows() -> pa.Table:
    values = [None, -2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 98.0, 1e308]
    triples = list(itertools.product(values, repeat=3))
    columns = {name: [triple[place] for triple in triples] for place, name in enumerate("xyz")}
    kinds = {name: pa.array(column, pa.float64()) for name, column in columns.items()}
    return pa.table({"id": pa.array(range(len(triples))), **kinds})


def test_every_customer_of_taiwan_has_the_same_score(shared_data: Path) -> None:
    trained = taiwan(shared_data)
    rows = pq.read_table(trained.file)
    query = score_query(trained.card, role=Role.PLATFORM, table="customers", id_column="id")
    found = in_sqlite(query, "customers", rows)
    agree(found, in_python(trained.card, Role.PLATFORM, rows))
    assert len(found) == len(trained.rows) == 30_000
    assert [answer[1] for answer in found] == trained.card.score(trained.rows.cells).tolist()
    assert {answer[3] for answer in found} == {"A", "B", "C"}


CODED = plain_card(
    table("use", [1.0, 2.0, 4.0, 8.0]).model_copy(),
    grid=Grid(
        characteristics=(
            Characteristic(
                name="use",
                column="use",
                type=ValueType.NUMBER,
                edges=(0.5,),
                special=(Special(code=98, meaning="refused"),),
            ),
        )
    ),
)


@pytest.mark.parametrize(
    ("value", "points"),
    [
        (0.25, 1.0),
        (0.5, 2.0),
        (98, 4.0),
        (98.0, 4.0),
        (None, 8.0),
        ("", 8.0),
        ("nan", 8.0),
        ("NaN", 8.0),
        ("0.25", 1.0),
        (" 98 ", 4.0),
        ("none", None),
        ("1,5", None),
        ("1.5x", None),
        (math.inf, None),
        (-math.inf, None),
        ("Infinity", None),
    ],
)
def test_what_is_no_number_has_no_score_and_what_is_missing_has_its_own(
    value: float | str | None, points: float | None
) -> None:
    """SQLite takes a text for 0 where a number is needed; nobody may be scored by that."""
    with closing(sqlite3.connect(":memory:")) as database:
        with_exp(database)
        database.execute("CREATE TABLE t (id, use)")
        database.execute("INSERT INTO t VALUES (?, ?)", (1, value))
        query = score_query(CODED, role=Role.PLATFORM, table="t", id_column="id")
        ((_, score, probability, grade),) = database.execute(query).fetchall()
    assert score == (None if points is None else 500.0 + points)
    assert (probability is None) == (points is None)
    assert grade is None


def level_card(*levels: str) -> Card:
    item = Characteristic(name="level", column="level", type=ValueType.CATEGORY, levels=levels)
    return plain_card(
        table("level", [float(place + 1) for place in range(len(levels) + 2)]),
        grid=Grid(characteristics=(item,)),
    )


@pytest.mark.parametrize(
    ("levels", "value", "points"),
    [
        (("1", "2"), 2, 2.0),
        (("1", "2"), 2.0, 2.0),
        (("1", "2"), "2", 2.0),
        (("1", "1.0"), "1.0", 2.0),
        (("1", "1.0"), 1, 1.0),
        (("a", "b"), "A", 3.0),
        (("a", "b"), "a ", 3.0),
        (("a", "b"), "", 4.0),
        (("a", "b"), None, 4.0),
    ],
)
def test_levels_are_compared_sign_by_sign_however_the_column_is_declared(
    levels: tuple[str, ...], value: float | str | None, points: float
) -> None:
    query = score_query(level_card(*levels), role=Role.PLATFORM, table="t", id_column="id")
    with closing(sqlite3.connect(":memory:")) as database:
        with_exp(database)
        database.execute("CREATE TABLE t (id, level COLLATE NOCASE)")
        database.execute("INSERT INTO t VALUES (1, ?)", (value,))
        ((_, score, _, _),) = database.execute(query).fetchall()
    assert score == 500.0 + points


def test_a_column_that_is_not_there_is_an_error_and_no_text() -> None:
    query = score_query(CODED, role=Role.PLATFORM, table="t", id_column="id")
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (id, other)")
        with pytest.raises(sqlite3.OperationalError, match="no such column"):
            database.execute(query)


@pytest.mark.parametrize("name", ["t; DROP TABLE t; --", 'a"b', "it's", "main.t"])
def test_names_stay_names(name: str) -> None:
    query = score_query(CODED, role=Role.PLATFORM, table=name, id_column='i"d')
    with closing(sqlite3.connect(":memory:")) as database:
        with_exp(database)
        bare = name.rpartition(".")[2]
        database.execute(f'CREATE TABLE {identifier(bare)} ("i""d", use)')
        database.execute(f"INSERT INTO {identifier(bare)} VALUES (7, 0.25)")  # noqa: S608 - of this test
        cursor = database.execute(query)
        assert [column[0] for column in cursor.description] == ['i"d', "score", "probability", "grade"]
        assert [row[:2] for row in cursor] == [(7, 501.0)]


def test_words_of_the_card_cannot_leave_their_comment() -> None:
    card = plain_card(table("use", [1.0, 2.0, 3.0]), contract_name="x\n; DROP TABLE t\u2028\r--")
    query = score_query(card, role=Role.PLATFORM, table="t", id_column="id")
    assert query.splitlines()[0].startswith("-- The score of x ; DROP TABLE t -- for a platform")
    assert query.splitlines()[2].startswith("WITH")


@pytest.mark.parametrize("what", [identifier, text])
def test_a_zero_byte_is_refused(what: Any) -> None:  # noqa: ANN401 - either function
    with pytest.raises(CardError, match="zero byte"):
        what("a\0b")


def test_a_sum_of_points_beyond_32_bits_does_not_overflow() -> None:
    tables = [table(f"c{place}", [999_999.99, 999_999.99, 0.0]) for place in range(40)]
    card = plain_card(*tables, grid=Grid(characteristics=tuple(number_of(one.name, 3) for one in tables)))
    rows = pa.table({"id": [1], **{one.name: [0.5] for one in tables}})
    query = score_query(card, role=Role.PLATFORM, table="t", id_column="id")
    found = in_sqlite(query, "t", rows)
    agree(found, in_python(card, Role.PLATFORM, rows))
    assert found[0][1] == 500.0 + 40 * 999_999.99
    assert "CAST(50000 AS BIGINT)" in query


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_sqlite_reads_a_number_as_the_very_same_double(value: float) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        ((read,),) = database.execute(f"SELECT {number(value)}").fetchall()
    assert read == value


def test_a_remark_is_one_line() -> None:
    assert remark(" a\tb\r\nc\x85d\u2028e\0f ") == "a b c d e f"

"""A value in a call is read as the same value in a typed file: alike, or refused by both."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.card import Card
from fedscore.card.scoring import Scorer
from fedscore.contract import Role
from fedscore.data.columns import ColumnReader
from fedscore.data.problems import Problems
from fedscore.errors import DataError
from fedscore.serving.records import Columns
from tests.scoring_calls import Raw, record_of

FITTING: dict[str, Raw] = {"BAL": 0.5, "limit": 3.0, "calls": 0.0, "segment": "card"}

values = st.one_of(
    st.floats(),
    st.sampled_from([2.0**53, -(2.0**53), 2.0**53 + 2, 7.0, -0.0, 1e300, 7.5]),
    st.text(max_size=5),
    st.sampled_from(["", "7", "nan", "NaN", "true"]),
    st.booleans(),
    st.none(),
)


def as_file(value: Raw) -> pa.Array:
    """A column of one, of the type that a file would have."""
    kind = (
        pa.null() if value is None else {bool: pa.bool_(), str: pa.string(), float: pa.float64()}[type(value)]
    )
    return pa.array([value], kind)


@pytest.fixture(scope="module")
def columns(card: Card) -> Columns:
    return Columns(Scorer(card, role=Role.PLATFORM))


def refused(problems: Problems) -> bool:
    try:
        problems.raise_if_any()
    except DataError:
        return True
    return False


@given(value=values)
def test_numbers(columns: Columns, value: Raw) -> None:
    problems = Problems("the file")
    read = columns.read(record_of("x", **{**FITTING, "limit": value}))
    (number,) = ColumnReader(problems).numbers(as_file(value), "limit").tolist()
    if refused(problems):
        assert [fault.column for fault in read.faults] == ["limit"]
    else:
        assert read.faults == ()
        found = read.numbers["limit"]
        assert found == number or (math.isnan(found) and math.isnan(number))


@given(value=values)
def test_categories(columns: Columns, value: Raw) -> None:
    problems = Problems("the file")
    read = columns.read(record_of("x", **{**FITTING, "segment": value}))
    (level,) = ColumnReader(problems).categories(as_file(value), "segment").to_pylist()
    if refused(problems):
        assert [fault.column for fault in read.faults] == ["segment"]
    else:
        assert read.faults == ()
        assert read.categories["segment"] == level

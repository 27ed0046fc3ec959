from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedscore.data.csv_columns import _NUMBER, CsvColumnReader
from fedscore.data.problems import Problems
from fedscore.errors import DataError


@settings(max_examples=200)
@given(st.text("0159.eE+-infatyINFATY_x,' ", max_size=8))
@example("1e99999")
@example("-.5E-3")
@example("+nan")
@example("-infinity")
@example("1" * 400)
def test_a_number_is_what_arrow_parses(text: str) -> None:
    """Else a misfit would be quoted by Arrow's error, or a number refused."""
    try:
        pc.cast(pa.array([text]), pa.float64())
        parsed = True
    except pa.ArrowInvalid:
        parsed = False
    assert (re.match(_NUMBER, text) is not None) == parsed


@given(st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=6)), max_size=20))
def test_bytes_that_are_not_utf8_are_counted_and_nothing_else_is(raw: list[bytes | None]) -> None:
    def intact(one: bytes) -> bool:
        try:
            one.decode()
        except UnicodeDecodeError:
            return False
        return True

    problems = Problems("the file")
    CsvColumnReader(problems).categories(pa.array(raw, pa.binary()), "level")
    wrong = sum(one is not None and not intact(one) for one in raw)
    if wrong:
        with pytest.raises(DataError, match=rf"column 'level': {wrong} rows? with bytes that are not UTF-8"):
            problems.raise_if_any()
    else:
        problems.raise_if_any()

"""What texts of PostgreSQL mean, and what is missing without its driver; integration tests have a server."""

from __future__ import annotations

import datetime as dt
import sys

import pyarrow as pa
import pytest

from fedscore.data.postgres import PostgresSource, _typed
from fedscore.errors import MissingExtra

UTC = dt.UTC


@pytest.mark.parametrize(
    ("texts", "kind", "expected"),
    [
        (["a", "", None], pa.string(), ["a", "", None]),
        (["t", "f", None], pa.bool_(), [True, False, None]),
        (["-7", "9223372036854775807", None], pa.int64(), [-7, 2**63 - 1, None]),
        (["0.30", "1e-07", "Infinity", None], pa.float64(), [0.3, 1e-7, float("inf"), None]),
        (["2025-06-30", None], pa.date32(), [dt.date(2025, 6, 30), None]),
        (
            ["2025-06-30 23:59:59.000001", None],
            pa.timestamp("us"),
            [dt.datetime(2025, 6, 30, 23, 59, 59, 1), None],  # noqa: DTZ001 - has no zone
        ),
        (
            ["2025-06-30 23:59:59+00", None],
            pa.timestamp("us", "UTC"),
            [dt.datetime(2025, 6, 30, 23, 59, 59, tzinfo=UTC), None],
        ),
    ],
)
def test_a_text_is_the_value_that_it_writes(
    texts: list[str | None], kind: pa.DataType, expected: list[object]
) -> None:
    found = _typed(pa.array(texts, pa.string()), kind)
    assert found.type == kind
    assert found.to_pylist() == expected


@pytest.mark.parametrize("odd", ["infinity", "-infinity", "0044-03-15 BC"])
def test_a_day_outside_of_every_file_stays_a_text(odd: str) -> None:
    found = _typed(pa.array(["2025-06-30", odd]), pa.date32())
    assert (found.type, found.to_pylist()) == (pa.string(), ["2025-06-30", odd])


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    source = PostgresSource("", "select 1")
    with pytest.raises(MissingExtra, match=r"install fedscore\[sql\]; files need none of it"):
        source.column_names()

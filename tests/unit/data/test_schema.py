from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fedscore.contract.column_hints import Column, ColumnKind
from fedscore.data.schema import columns_of
from fedscore.errors import DataError

EVERY_KIND = pa.table(
    {
        "whole": pa.array([1, 2], pa.int16()),
        "number": pa.array([1.5, None]),
        "decimal": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        "text": pa.array(["a", "b"]),
        "large text": pa.array(["a", "b"], pa.large_string()),
        "levels": pa.array(["a", "b"]).dictionary_encode(),
        "coded": pa.array([3, 4]).dictionary_encode(),
        "truth": pa.array([True, None]),
        "day": pa.array([dt.date(2025, 1, 1), None]),
        "moment": pa.array([dt.datetime(2025, 1, 1, tzinfo=dt.UTC), None]),
        "list": pa.array([[1], [2]]),
        "record": pa.array([{"a": 1}, {"a": 2}]),
        "nothing": pa.nulls(2),
    }
)


def test_types_of_parquet(tmp_path: Path) -> None:
    pq.write_table(EVERY_KIND, tmp_path / "x.parquet")
    assert {column.name: column.kind for column in columns_of(tmp_path / "x.parquet")} == {
        "whole": ColumnKind.WHOLE,
        "number": ColumnKind.NUMBER,
        "decimal": ColumnKind.NUMBER,
        "text": ColumnKind.TEXT,
        "large text": ColumnKind.TEXT,
        "levels": ColumnKind.TEXT,
        "coded": ColumnKind.WHOLE,
        "truth": ColumnKind.TRUTH,
        "day": ColumnKind.MOMENT,
        "moment": ColumnKind.MOMENT,
        "list": ColumnKind.NESTED,
        "record": ColumnKind.NESTED,
        "nothing": ColumnKind.UNKNOWN,
    }


def test_a_csv_file_tells_names_alone(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,age\n1,20\n")
    assert columns_of(tmp_path / "x.csv") == (
        Column(name="id", kind=ColumnKind.UNKNOWN),
        Column(name="age", kind=ColumnKind.UNKNOWN),
    )


def test_what_has_no_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="no schema that can be read"):
        columns_of(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="no file"):
        columns_of(tmp_path / "none.parquet")

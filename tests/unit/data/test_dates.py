"""Rows that are split by date: which of them are late, and what is no date."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from fedscore.contract import Contract, Role, Split
from fedscore.data import Rows, read_rows, rows_from_table, sources, split, training_rows
from fedscore.errors import DataError

DAY = dt.date(2017, 5, 1)
DATES = [dt.date(2017, 4, 30), DAY, dt.date(2017, 5, 2), dt.date(1969, 12, 31), dt.date(2099, 1, 1)]
LATE = [False, True, True, False, True]
CANARY = "margaret"


@pytest.fixture
def dated(contract: Contract) -> Contract:
    terms = Split(test_share=0.0, key="k", column="as_of", test_from=DAY)
    return contract.model_copy(update={"split": terms})


def table_of(as_of: Any) -> pa.Table:  # noqa: ANN401 - whatever Arrow takes
    size = len(as_of)
    return pa.table(
        {
            "account": [f"a{number}" for number in range(size)],
            "customer": ["one person"] * size,
            "bad": [0] * size,
            "credit limit": [50.0] * size,
            "balance": [1] * size,
            "late": [0] * size,
            "product": ["card"] * size,
            "orders": [0] * size,
            "as_of": as_of,
        }
    )


def rows_of(as_of: Any, contract: Contract) -> Rows:  # noqa: ANN401 - whatever Arrow takes
    return rows_from_table(table_of(as_of), contract, role=Role.PLATFORM)


@pytest.mark.parametrize(
    "kind",
    [
        pa.date32(),
        pa.date64(),
        *(pa.timestamp(unit) for unit in ("s", "ms", "us")),
        pa.string(),
        pa.large_string(),
    ],
    ids=str,
)
def test_rows_of_the_day_and_later_are_late(dated: Contract, kind: pa.DataType) -> None:
    array = pa.array(DATES, pa.date32()).cast(kind)
    assert rows_of(array, dated).late.tolist() == LATE
    assert rows_of(array.dictionary_encode(), dated).late.tolist() == LATE


def test_a_moment_counts_by_its_day_in_utc(dated: Contract) -> None:
    last = dt.datetime(2017, 4, 30, 23, 59, 59, 999_999, tzinfo=dt.UTC)
    moments = pa.array([last, last + dt.timedelta(microseconds=1)], pa.timestamp("us", "Asia/Shanghai"))
    assert rows_of(moments, dated).late.tolist() == [False, True]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_files_say_the_same_as_their_table(
    dated: Contract, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BATCH_ROWS", 2)
    path = tmp_path / f"rows{suffix}"
    (pq.write_table if suffix == ".parquet" else pyarrow.csv.write_csv)(table_of(DATES), path)
    rows = read_rows(path, dated, role=Role.PLATFORM)
    assert rows.late.tolist() == LATE
    cap = dated.rows.rows_per_person
    assert (len(training_rows(rows, dated)), len(split.test_rows(rows, dated))) == (2, min(3, cap))


@pytest.mark.parametrize(
    ("as_of", "message"),
    [
        ([DAY, None, None], "column 'as_of': 2 rows with no date: give every row one, or leave the row out"),
        (["2017-05-01", "", None], "column 'as_of': 2 rows with no date"),
        (
            ["2017-05-01", CANARY, "2017-02-29", "1.5.2017"],
            "column 'as_of': 3 rows with text that is no date: write dates as 2025-06-30",
        ),
        (
            [20170501, 20170502],
            "column 'as_of': 2 rows with int64 where a date is needed: convert the column",
        ),
        ([True, False], "column 'as_of': 2 rows with bool where a date is needed"),
        (pa.nulls(2), "column 'as_of': 2 rows with no date"),
    ],
)
def test_a_row_without_a_date_is_a_problem_of_the_file(dated: Contract, as_of: Any, message: str) -> None:  # noqa: ANN401 - whatever Arrow takes
    with pytest.raises(DataError) as told:
        rows_of(as_of, dated)
    assert message in str(told.value)
    assert CANARY not in str(told.value)


def test_a_csv_tells_bytes_that_are_no_text_and_no_date(dated: Contract, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    pyarrow.csv.write_csv(table_of(["2017-05-01"] * 3), path)
    path.write_bytes(path.read_bytes().replace(b"2017-05-01", b"\xff", 1).replace(b'"2017-05-01"', b"", 1))
    with pytest.raises(DataError) as told:
        read_rows(path, dated, role=Role.PLATFORM)
    for message in (
        "1 row with bytes that are not UTF-8",
        "1 row with no date",
        "1 row with text that is no date",
    ):
        assert f"column 'as_of': {message}" in str(told.value)


def test_the_column_is_missing_like_any_other(dated: Contract) -> None:
    with pytest.raises(DataError, match="column 'as_of' is missing among its 8 columns: add it, or agree"):
        rows_from_table(table_of(DATES).drop_columns("as_of"), dated, role=Role.PLATFORM)
    assert (
        len(
            rows_from_table(
                table_of([]).drop_columns("as_of").append_column("as_of", pa.nulls(0)),
                dated,
                role=Role.PLATFORM,
            )
        )
        == 0
    )


def test_a_contract_that_splits_persons_looks_at_no_dates(contract: Contract) -> None:
    rows = rows_of([CANARY, None], contract)
    assert not np.any(rows.late)

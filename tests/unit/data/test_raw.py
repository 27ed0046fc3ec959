from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from fedscore.contract import Contract
from fedscore.data import raw_columns
from fedscore.errors import DataError

NAN = float("nan")
TABLE = pa.table(
    {
        "product": ["loan", "sofa", None, "7"],
        "credit limit": [50.0, -1.0, None, 500.0],
        "balance": [0, 5, 10, 20],
        "late": [0, 1, 98, None],
        "orders": [0, 1, 5, 9],
    }
)


def test_columns_of_all_roles_as_numbers_without_ids_or_outcomes(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    pyarrow.csv.write_csv(TABLE, path)
    expected = [[50, 0, 0, 1, 0], [-1, 5, 1, 3, 1], [NAN, 10, 98, NAN, 5], [500, 20, NAN, 2, 9]]
    for data in (TABLE, path):
        names, matrix = raw_columns(data, contract)
        assert names == ("credit limit", "balance", "late", "product", "orders")
        assert matrix.dtype == np.float64
        np.testing.assert_array_equal(matrix, expected)


def test_no_rows_make_an_empty_matrix(contract: Contract) -> None:
    assert raw_columns(TABLE.slice(0, 0), contract)[1].shape == (0, 5)


def test_problems_are_told_as_in_reading(contract: Contract) -> None:
    with pytest.raises(DataError, match=r"'late' is missing(.|\n)*'balance': 4 rows with text"):
        raw_columns(
            TABLE.drop_columns(["late", "balance"]).append_column("balance", [["x"] * 4]),
            contract,
        )

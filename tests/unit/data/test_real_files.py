from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fedscore.contract import Contract, Role, parse_contract
from fedscore.data import Rows, read_rows

HEAD = """
version = 1
name = "real"
purpose = "tests"
outcome = { definition = "default", bucket = "1+", horizon_days = 30 }
rows = { row_cap = 200000 }
split = { test_share = 0.3, key = "real" }
privacy = { epsilon = 1.0, delta = 1e-5 }
"""

TAIWAN = """
[[characteristics]]
name = "EDUCATION"
type = "category"
levels = ["1", "2", "3", "4"]

[[characteristics]]
name = "MARRIAGE"
type = "category"
levels = ["1", "2"]
special = [{ code = 3, meaning = "others" }]

[[characteristics]]
name = "PAY_0"
type = "number"
edges = [-0.5, 0.5, 1.5]
special = [{ code = -2, meaning = "undocumented" }]
"""

GMSC = """
[[characteristics]]
name = "age"
type = "number"
edges = [18, 40]

[[characteristics]]
name = "late"
column = "NumberOfTimes90DaysLate"
type = "number"
edges = [0.5, 1.5]
special = [{ code = 96, meaning = "code 96" }, { code = 98, meaning = "code 98" }]

[[characteristics]]
name = "MonthlyIncome"
type = "number"
edges = [1, 5000]

[[characteristics]]
name = "NumberOfDependents"
type = "number"
edges = [0.5]
"""


def counts(rows: Rows, contract: Contract, name: str) -> list[int]:
    place = [table.name for table in contract.tables].index(name)
    return list(np.bincount(rows.cells[:, place], minlength=contract.tables[place].size))


def test_taiwan(shared_data: Path) -> None:
    path = shared_data / "taiwan_credit_card.parquet"
    contract = parse_contract(HEAD + TAIWAN)
    rows = read_rows(path, contract, role=Role.PLATFORM)
    table = pq.read_table(path)
    assert len(rows) == 30_000
    assert rows.outcome.mean() == pytest.approx(0.2212, abs=5e-5)
    education, marriage, pay = (table[name].to_numpy() for name in ("EDUCATION", "MARRIAGE", "PAY_0"))
    undocumented = np.isin(education, [0, 5, 6]).sum()
    assert undocumented > 0
    assert counts(rows, contract, "EDUCATION") == [*np.bincount(education)[1:5], undocumented, 0]
    assert counts(rows, contract, "MARRIAGE") == [*(np.sum(marriage == code) for code in (1, 2, 0, 3)), 0]
    expected = [np.sum(pay == -1), np.sum(pay == 0), np.sum(pay == 1), np.sum(pay > 1), np.sum(pay == -2), 0]
    assert counts(rows, contract, "PAY_0") == expected


def test_give_me_some_credit(shared_data: Path) -> None:
    path = shared_data / "give_me_some_credit.parquet"
    contract = parse_contract(HEAD + GMSC)
    rows = read_rows(path, contract, role=Role.COLLECTOR)
    late = pq.read_table(path)["NumberOfTimes90DaysLate"].to_numpy()
    assert len(rows) == 150_000
    assert rows.outcome.mean() == pytest.approx(0.0668, abs=5e-5)
    assert counts(rows, contract, "age")[0] == 1
    assert counts(rows, contract, "late")[2:] == [
        np.sum((late > 1) & (late < 96)),
        np.sum(late == 96),
        np.sum(late == 98),
        0,
    ]
    assert counts(rows, contract, "MonthlyIncome")[-1] == 29_731
    assert counts(rows, contract, "NumberOfDependents")[-1] == 3_924

"""Into which group does a row fall? Everybody else, and whoever's role cannot say, into the last one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedscore.contract import Contract, Role, parse_contract
from fedscore.data import read_rows

GROUPS = """
[evaluation]

[[groups]]
of = "segment"
levels = ["loan"]

[[groups]]
of = "late_payments"
edges = [0.5, 1.5]
"""
ROWS = """id,utilisation,late_payments,segment,y
1,0.05,0,loan,0
2,0.9,1,card,1
3,0.2,7,,0
4,0.2,98,ship,0
5,,,loan,1
"""


@pytest.fixture
def contract(tiny_text: str) -> Contract:
    return parse_contract(tiny_text + GROUPS)


def groups_of(file: Path, contract: Contract, role: Role) -> list[list[int]]:
    found: list[list[int]] = read_rows(file, contract, role=role).groups.tolist()
    return found


def test_each_row_has_one_cell_of_each_group(contract: Contract, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    labels = [[cell.label for cell in table.cells] for table in contract.group_tables]
    assert labels == [["loan", "other"], ["≤ 0", "1", "≥ 2", "other"]]
    # A level that is not named, a missing value and a special code are everybody else's.
    assert groups_of(tmp_path / "rows.csv", contract, Role.PLATFORM) == [
        [0, 0],
        [1, 1],
        [1, 2],
        [1, 3],
        [0, 3],
    ]


def test_rows_of_a_role_that_does_not_hold_the_characteristic_are_others(
    contract: Contract, tmp_path: Path
) -> None:
    """Also if its file has such a column: its contents are not looked at."""
    (tmp_path / "rows.csv").write_text(ROWS)
    found = groups_of(tmp_path / "rows.csv", contract, Role.COLLECTOR)
    assert [row[0] for row in found] == [1] * 5
    assert [row[1] for row in found] == [0, 1, 2, 3, 3]


def test_without_groups_rows_have_none(tiny_text: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    assert read_rows(tmp_path / "rows.csv", parse_contract(tiny_text), role=Role.PLATFORM).groups.shape == (
        5,
        0,
    )

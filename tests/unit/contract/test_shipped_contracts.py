"""The two real contracts are sound, and their grids fine enough to score with."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedscore.contract import Contract, Role, ValueType, check, load_contract

FOLDER = Path(__file__).parents[3] / "simulations" / "contracts"
TAIWAN = load_contract(FOLDER / "taiwan.toml")
GMSC = load_contract(FOLDER / "gmsc.toml")
BOTH = pytest.mark.parametrize("contract", [TAIWAN, GMSC], ids=["taiwan", "gmsc"])


def test_taiwan_has_no_findings() -> None:
    assert check((FOLDER / "taiwan.toml").read_text(encoding="utf-8")) == ()


def test_gmsc_is_reminded_of_age_alone() -> None:
    [found] = check((FOLDER / "gmsc.toml").read_text(encoding="utf-8"))
    assert found.where == "characteristic age"


@BOTH
def test_grids_have_seven_to_thirty_five_cells_and_few_that_are_coarser(contract: Contract) -> None:
    sizes = {table.name: table.ordered for table in contract.tables if not table.parents}
    assert all(6 <= size <= 35 for size in sizes.values()), sizes


@BOTH
def test_both_roles_hold_everything(contract: Contract) -> None:
    assert all(held == frozenset(Role) for held in contract.holders.values())
    assert not any(cell.kind == "not held" for table in contract.tables for cell in table.cells)


@BOTH
def test_what_is_not_modelled_is_used(contract: Contract) -> None:
    referred = {name for item in contract.derived for name in item.of}
    referred |= {side.of for item in contract.interactions for side in (item.first, item.second)}
    assert {item.name for item in contract.by_name.values() if item.input_only} <= referred


def test_numbers_of_tables_and_columns() -> None:
    assert [len(TAIWAN.tables), len(TAIWAN.interactions)] == [12 + 6, 6]
    assert [len(GMSC.tables), len(GMSC.interactions)] == [10 + 5, 5]
    assert all(item.type is ValueType.NUMBER for item in (*TAIWAN.characteristics, *GMSC.characteristics))
    assert not {"SEX", "MARRIAGE", "EDUCATION", "AGE"} & set(TAIWAN.source_columns(Role.PLATFORM))


@pytest.mark.parametrize(
    ("contract", "file"), [(TAIWAN, "taiwan_credit_card"), (GMSC, "give_me_some_credit")]
)
def test_the_files_have_the_columns(contract: Contract, file: str, shared_data: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    present = set(parquet.read_schema(shared_data / f"{file}.parquet").names)
    wanted = {*contract.source_columns(Role.PLATFORM), contract.outcome.column, contract.rows.id}
    assert wanted <= present

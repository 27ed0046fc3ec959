"""The contracts of real data are sound, and their grids fine enough to score with."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedscore.contract import Contract, Role, ValueType, check, load_contract

FOLDER = Path(__file__).parents[3] / "simulations" / "contracts"
TAIWAN = load_contract(FOLDER / "taiwan.toml")
GMSC = load_contract(FOLDER / "gmsc.toml")
PAKDD = load_contract(FOLDER / "pakdd.toml")
TAIWAN_WIDE = load_contract(FOLDER / "taiwan-wide.toml")
GMSC_WIDE = load_contract(FOLDER / "gmsc-wide.toml")
_LARGE = {"taiwan": TAIWAN, "gmsc": GMSC, "taiwan-wide": TAIWAN_WIDE, "gmsc-wide": GMSC_WIDE}
BOTH = pytest.mark.parametrize("contract", list(_LARGE.values()), ids=list(_LARGE))
ALL = pytest.mark.parametrize("contract", [*_LARGE.values(), PAKDD], ids=[*_LARGE, "pakdd"])


@pytest.mark.parametrize("name", ["taiwan", "taiwan-wide"])
def test_taiwan_has_no_findings(name: str) -> None:
    assert check((FOLDER / f"{name}.toml").read_text(encoding="utf-8")) == ()


@pytest.mark.parametrize(("name", "age"), [("gmsc", "age"), ("gmsc-wide", "age"), ("pakdd", "AGE")])
def test_others_are_reminded_of_age_alone(name: str, age: str) -> None:
    [found] = check((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    assert found.where == f"characteristic {age}"


def test_pakdd_leaves_out_what_fair_lending_law_forbids_and_what_nobody_can_read() -> None:
    left_out = {
        *("SEX", "MARITAL_STATUS", "MATE_INCOME", "AREA_CODE_RESIDENCIAL_PHONE"),
        *("FLAG_FATHERS_NAME", "PROFESSION_CODE", "FLAG_RESIDENCIAL_ADDRESS_eq_POSTAL_ADDRESS"),
    }
    assert left_out.isdisjoint(PAKDD.source_columns(Role.PLATFORM))


def test_pakdds_numbers_have_fine_grids_of_whole_numbers() -> None:
    numbers = [item for item in PAKDD.characteristics if item.type is ValueType.NUMBER]
    assert len(numbers) == 6
    assert all(6 <= len(item.edges) + 1 <= 35 for item in numbers)
    assert all(edge == round(edge) for item in numbers for edge in item.edges)
    assert [len(PAKDD.tables), len(PAKDD.interactions)] == [10 + 4, 4]


@BOTH
def test_grids_have_seven_to_thirty_five_cells_and_few_that_are_coarser(contract: Contract) -> None:
    sizes = {table.name: table.ordered for table in contract.tables if not table.parents}
    assert all(6 <= size <= 35 for size in sizes.values()), sizes


@ALL
def test_both_roles_hold_everything(contract: Contract) -> None:
    assert all(held == frozenset(Role) for held in contract.holders.values())
    assert not any(cell.kind == "not held" for table in contract.tables for cell in table.cells)


@ALL
def test_what_is_not_modelled_is_used(contract: Contract) -> None:
    referred = {name for item in contract.derived for name in item.of}
    referred |= {side.of for item in contract.interactions for side in (item.first, item.second)}
    assert {item.name for item in contract.by_name.values() if item.input_only} <= referred


def test_numbers_of_tables_and_columns() -> None:
    assert [len(TAIWAN.tables), len(TAIWAN.interactions)] == [12 + 6, 6]
    assert [len(GMSC.tables), len(GMSC.interactions)] == [10 + 5, 5]
    assert all(item.type is ValueType.NUMBER for item in (*TAIWAN.characteristics, *GMSC.characteristics))
    assert [len(TAIWAN_WIDE.tables), len(TAIWAN_WIDE.interactions)] == [33 + 10, 10]
    assert [len(GMSC_WIDE.tables), len(GMSC_WIDE.interactions)] == [17 + 13, 13]
    assert not {"SEX", "MARRIAGE", "EDUCATION", "AGE"} & {
        *TAIWAN.source_columns(Role.PLATFORM),
        *TAIWAN_WIDE.source_columns(Role.PLATFORM),
    }


@pytest.mark.parametrize("wide", [TAIWAN_WIDE, GMSC_WIDE], ids=["taiwan", "gmsc"])
def test_grids_of_wide_contracts_are_round_numbers(wide: Contract) -> None:
    """No more than three digits, or halves between whole numbers: no percentile of any data looks so."""
    edges = [edge for table in wide.tables for edge in table.edges]
    assert all(float(f"{edge:.3g}") == edge or edge * 2 == round(edge * 2) or edge == 1.001 for edge in edges)


@pytest.mark.parametrize(
    ("contract", "file"),
    [
        (TAIWAN, "taiwan_credit_card"),
        (TAIWAN_WIDE, "taiwan_credit_card"),
        (GMSC, "give_me_some_credit"),
        (GMSC_WIDE, "give_me_some_credit"),
    ],
)
def test_the_files_have_the_columns(contract: Contract, file: str, shared_data: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    present = set(parquet.read_schema(shared_data / f"{file}.parquet").names)
    wanted = {*contract.source_columns(Role.PLATFORM), contract.outcome.column, contract.rows.id}
    assert wanted <= present


def test_the_pakdd_file_has_the_columns_the_shops_and_no_ids(shared_data: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(shared_data / "pakdd2009.parquet")
    assert {*PAKDD.source_columns(Role.PLATFORM), PAKDD.outcome.column} <= set(table.column_names)
    assert PAKDD.rows.id not in table.column_names
    [shop] = [item for item in PAKDD.characteristics if item.name == "ID_SHOP"]
    assert set(shop.levels) == {str(number) for number in table["ID_SHOP"].to_pylist()}

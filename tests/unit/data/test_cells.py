from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from fedscore.contract import Contract, Role
from fedscore.data import Values, cells_of
from fedscore.data.cells import code_text, level_places

NAN = float("nan")

Labels = Callable[..., dict[str, str]]


@pytest.fixture
def labels(contract: Contract) -> Labels:
    """The labels of one row's cells, by table."""

    def of(role: Role = Role.PLATFORM, product: str | None = "card", **numbers: float) -> dict[str, str]:
        given = {"limit": 50.0, "balance": 5.0, "late": 0.0, "orders": 3.0, **numbers}
        held = {
            item.name for item in contract.characteristics if role in item.roles and item.name != "product"
        }
        values = Values(
            size=1,
            numbers={name: np.array([value]) for name, value in given.items() if name in held},
            categories={"product": pa.array([product], pa.string())},
        )
        cells = cells_of(values, contract, role=role)
        assert cells.dtype == np.uint8
        assert cells.shape == (1, len(contract.tables))
        pairs = zip(contract.tables, cells[0], strict=True)
        return {table.name: table.cells[cell].label for table, cell in pairs}

    return of


@pytest.mark.parametrize(
    ("limit", "label"),
    [
        (-2, "< 0"),
        (-1e-9, "< 0"),
        (0, "0 to 100"),
        (-0.0, "0 to 100"),
        (np.nextafter(100, 0), "0 to 100"),
        (100, "100 to 1,000"),
        (1000, "\N{GREATER-THAN OR EQUAL TO} 1,000"),
        (1e300, "\N{GREATER-THAN OR EQUAL TO} 1,000"),
        (-1, "frozen"),
        (500, "house rule"),
        (500.5, "100 to 1,000"),
        (NAN, "missing"),
    ],
)
def test_a_number_falls_between_its_edges_or_into_a_cell_of_its_own(
    labels: Labels, limit: float, label: str
) -> None:
    assert labels(limit=limit)["limit"] == label.replace("to", "\N{EN DASH}")


@pytest.mark.parametrize(
    ("product", "label"),
    [
        ("card", "card"),
        ("loan", "loan"),
        ("7", "7"),
        ("99", "withdrawn"),
        ("Card", "other"),
        ("7.0", "other"),
        (None, "missing"),
    ],
)
def test_a_level_is_itself_or_other_or_missing(labels: Labels, product: str | None, label: str) -> None:
    assert labels(product=product)["product"] == label


def test_what_a_role_does_not_hold_is_not_held_and_never_missing(labels: Labels) -> None:
    assert labels(Role.COLLECTOR)["orders"] == "not held"
    assert labels(Role.COLLECTOR)["orders_per_balance"] == "not held"
    assert labels(Role.COLLECTOR)["utilisation"] != "not held"
    assert labels(Role.PLATFORM, orders=NAN)["orders"] == "missing"
    assert labels(Role.PLATFORM, orders=NAN)["orders_per_balance"] == "missing"


@pytest.mark.parametrize(
    ("numbers", "label"),
    [
        ({"balance": 25, "limit": 100}, "0.25 \N{EN DASH} 0.5"),
        ({"balance": 25, "limit": 0}, "missing"),
        ({"balance": NAN}, "missing"),
        ({"limit": -1}, "missing"),
        ({"balance": 125, "limit": 500}, "missing"),
    ],
)
def test_special_codes_count_as_missing_in_a_formula(
    labels: Labels, numbers: dict[str, float], label: str
) -> None:
    assert labels(**numbers)["utilisation"] == label


def test_special_codes_count_as_numbers_where_the_contract_says_so(labels: Labels) -> None:
    assert labels(late=98, balance=0)["late_whatever"] == "1"
    assert labels(late=98, balance=4)["late_whatever"] == "\N{GREATER-THAN OR EQUAL TO} 2"
    assert labels(late=NAN, balance=4)["late_whatever"] == "missing"
    assert labels(late=98)["worst"] == "missing"


def test_a_derived_characteristic_may_feed_another(labels: Labels) -> None:
    assert labels(balance=75, limit=50, late=0)["worst"].endswith(" 1")
    assert labels(balance=5, limit=50, late=0)["worst"] == "< 1"
    assert labels(balance=5, limit=0, late=0)["worst"] == "missing"


CROSSED = "\N{MULTIPLICATION SIGN}"


@pytest.mark.parametrize(
    ("limit", "product", "label"),
    [
        (50, "loan", f"< 100 {CROSSED} loan"),
        (50, "card", f"< 100 {CROSSED} other"),
        (100, "loan", f"\N{GREATER-THAN OR EQUAL TO} 100 {CROSSED} loan"),
        (-1, "loan", f"other {CROSSED} loan"),
        (NAN, None, f"other {CROSSED} other"),
        (50, "99", f"< 100 {CROSSED} other"),
    ],
)
def test_an_interaction_has_its_own_coarse_grid(
    labels: Labels, limit: float, product: str | None, label: str
) -> None:
    assert labels(limit=limit, product=product)[f"limit {CROSSED} product"] == label


def test_who_holds_one_side_alone_is_in_the_cell_of_those_who_hold_nothing(labels: Labels) -> None:
    name = f"orders {CROSSED} utilisation"
    assert labels(orders=3, balance=5, limit=50)[name] == f"2 \N{EN DASH} 4 {CROSSED} < 0.4"
    assert labels(Role.COLLECTOR, balance=5, limit=50)[name] == f"other {CROSSED} other"
    assert labels(Role.COLLECTOR, balance=NAN)[name] == f"other {CROSSED} other"


def test_no_rows_have_no_cells(contract: Contract) -> None:
    empty = np.empty(0)
    numbers = dict.fromkeys(("limit", "balance", "late", "orders"), empty)
    values = Values(size=0, numbers=numbers, categories={"product": pa.array([], pa.string())})
    assert cells_of(values, contract, role=Role.PLATFORM).shape == (0, len(contract.tables))


def test_a_code_of_a_category_is_written_as_a_file_writes_it() -> None:
    assert [code_text(code) for code in (99.0, -1.0, 0.5, "N/A", 1e6)] == [
        "99",
        "-1",
        "0.5",
        "N/A",
        "1000000",
    ]


def test_places_of_levels() -> None:
    assert level_places(pa.array(["b", None, "x", "a"], pa.string()), ["a", "b"]).tolist() == [1, -1, -1, 0]
    assert level_places(pa.array(["b", None], pa.string()), []).tolist() == [-1, -1]

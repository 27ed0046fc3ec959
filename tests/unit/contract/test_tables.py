"""Cells: how many, in which order, and what they are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.contract import CellKind, Direction, Role, parse_contract
from fedscore.contract.tables import interval_labels

DASH = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
AT_MOST = "\N{LESS-THAN OR EQUAL TO}"
AT_LEAST = "\N{GREATER-THAN OR EQUAL TO}"

TEXT = """
version = 1
name = "small"
purpose = "Show cells."
outcome = { definition = "Late.", bucket = "30+", horizon_days = 30 }
rows = { row_cap = 10 }
split = { test_share = 0.3, key = "k" }
privacy = { epsilon = 1, delta = 1e-6 }
characteristics = [
    { name = "income", type = "number", edges = [1000, 20000], monotone = "decreasing" },
    { name = "late", type = "number", edges = [0.5, 1.5], whole = true, special = [
        { code = 98, meaning = "refused" },
    ] },
    { name = "channel", type = "category", roles = ["platform"], levels = [
        1,
        "web",
    ], special = [{ code = 9, meaning = "lost" }] },
    { name = "raw", type = "number", input_only = true, roles = ["collector", "platform"] },
    { name = "calls", type = "number", input_only = true, roles = ["collector"] },
]
derived = [
    { name = "double", formula = "sum", of = ["raw", "late"], edges = [10] },
    { name = "mixed", formula = "max", of = ["double", "calls"], edges = [10] },
]
interactions = [
    { first = { of = "late", edges = [0.5] }, second = { of = "channel", levels = ["web"] } },
    { first = { of = "raw", edges = [5, 6] }, second = { of = "mixed", edges = [7] } },
]
"""
CONTRACT = parse_contract(TEXT)
TABLES = {table.name: table for table in CONTRACT.tables}


def labels(name: str) -> list[str]:
    return [cell.label for cell in TABLES[name].cells]


def test_tables_come_in_the_order_of_the_contract() -> None:
    assert list(TABLES) == [
        "income", "late", "channel", "double", "mixed", f"late {TIMES} channel", f"raw {TIMES} mixed",
    ]  # fmt: skip


def test_a_number_has_intervals_specials_and_missing() -> None:
    assert labels("income") == ["< 1,000", f"1,000 {DASH} 20,000", f"{AT_LEAST} 20,000", "missing"]
    assert labels("late") == [f"{AT_MOST} 0", "1", f"{AT_LEAST} 2", "refused", "missing"]
    assert [cell.kind for cell in TABLES["late"].cells] == [CellKind.VALUE] * 3 + [
        CellKind.SPECIAL,
        CellKind.MISSING,
    ]
    assert (TABLES["late"].ordered, TABLES["late"].monotone, TABLES["late"].parents) == (3, None, ())
    assert TABLES["income"].monotone is Direction.DECREASING


def test_a_category_has_levels_other_specials_missing_and_not_held() -> None:
    assert labels("channel") == ["1", "web", "other", "lost", "missing", "not held"]
    assert TABLES["channel"].ordered == 0
    assert TABLES["channel"].cells[2].kind is CellKind.OTHER
    assert TABLES["channel"].cells[-1].kind is CellKind.NOT_HELD


def test_what_is_derived_from_what_one_role_lacks_is_not_held_there() -> None:
    assert CONTRACT.holders["mixed"] == {Role.COLLECTOR}
    assert CONTRACT.holders["double"] == set(Role)
    assert labels("mixed")[-1] == "not held"
    assert labels("double")[-1] == "missing"


def test_an_interaction_has_every_pair_row_by_row() -> None:
    table = TABLES[f"raw {TIMES} mixed"]
    assert table.parents == ("raw", "mixed")
    assert (table.size, table.ordered, table.monotone) == (4 * 3, 0, None)
    assert labels(f"late {TIMES} channel") == [
        f"{AT_MOST} 0 {TIMES} web",
        f"{AT_MOST} 0 {TIMES} other",
        f"{AT_LEAST} 1 {TIMES} web",
        f"{AT_LEAST} 1 {TIMES} other",
        f"other {TIMES} web",
        f"other {TIMES} other",
    ]
    kinds = [cell.kind for cell in TABLES[f"late {TIMES} channel"].cells]
    assert kinds == [CellKind.VALUE if place in {0, 2} else CellKind.OTHER for place in range(6)]


def test_columns_are_supplied_by_the_roles_that_hold_them() -> None:
    assert CONTRACT.source_columns(Role.PLATFORM) == ("income", "late", "channel", "raw")
    assert CONTRACT.source_columns(Role.COLLECTOR) == ("income", "late", "raw", "calls")


@pytest.mark.parametrize(
    ("edges", "whole", "expected"),
    [
        ([0.5], True, [f"{AT_MOST} 0", f"{AT_LEAST} 1"]),
        ([0.5], False, ["< 0.5", f"{AT_LEAST} 0.5"]),
        ([-1.5, -0.5, 2.5], True, [f"{AT_MOST} -2", "-1", f"0 {DASH} 2", f"{AT_LEAST} 3"]),
        ([999.5, 1000.5], True, [f"{AT_MOST} 999", "1,000", f"{AT_LEAST} 1,001"]),
        ([1, 2, 5], True, [f"{AT_MOST} 0", "1", f"2 {DASH} 4", f"{AT_LEAST} 5"]),
        ([0.2, 0.5, 2], True, ["< 0.2", f"0.2 {DASH} 0.5", f"0.5 {DASH} 2", f"{AT_LEAST} 2"]),
        ([0.5, 2.0], False, ["< 0.5", f"0.5 {DASH} 2", f"{AT_LEAST} 2"]),
        (
            [0.0001, 1234567.25],
            False,
            ["< 0.0001", f"0.0001 {DASH} 1,234,567.25", f"{AT_LEAST} 1,234,567.25"],
        ),
        ([-20000], False, ["< -20,000", f"{AT_LEAST} -20,000"]),
    ],
)
def test_labels_of_a_grid(edges: list[float], whole: bool, expected: list[str]) -> None:  # noqa: FBT001 - a case of a table
    assert list(interval_labels([float(edge) for edge in edges], whole=whole)) == expected


@given(st.lists(st.integers(-50, 50), min_size=1, unique=True).map(sorted), st.sampled_from([0.0, 0.5, 0.25]))
def test_every_cell_of_a_grid_has_a_label_of_its_own(edges: list[int], shift: float) -> None:
    for whole in (True, False):
        _labels_are_different(edges, shift, whole=whole)


def _labels_are_different(edges: list[int], shift: float, *, whole: bool) -> None:
    found = interval_labels([edge + shift for edge in edges], whole=whole)
    assert len(found) == len(edges) + 1
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("name", "first", "last", "expected"),
    [
        ("income", 0, 0, "< 1,000"),
        ("income", 0, 1, "< 20,000"),
        ("income", 1, 1, f"1,000 {DASH} 20,000"),
        ("income", 1, 2, f"{AT_LEAST} 1,000"),
        ("income", 0, 2, "any value"),
        ("late", 0, 1, f"{AT_MOST} 1"),
        ("late", 1, 2, f"{AT_LEAST} 1"),
        ("late", 4, 4, "missing"),
        ("channel", 1, 1, "web"),
        (
            f"late {TIMES} channel",
            0,
            2,
            f"{AT_MOST} 0 {TIMES} web \N{HORIZONTAL ELLIPSIS} {AT_LEAST} 1 {TIMES} web",
        ),
    ],
)
def test_neighbouring_cells_are_called_as_one(name: str, first: int, last: int, expected: str) -> None:
    assert TABLES[name].label_of(first, last) == expected

"""One contract with special codes, categories, roles, derived characteristics, interactions, persons."""

from __future__ import annotations

import pytest

from fedscore.contract import Contract, parse_contract

EVERYTHING = """
version = 1
name = "everything"
purpose = "tests"

[outcome]
definition = "30 days past due within 90 days"
column = "bad"
bucket = "30+"
horizon_days = 90

[rows]
id = "account"
person = "customer"
rows_per_person = 2
row_cap = 1000

[split]
test_share = 0.25
key = "a key"

[[characteristics]]
name = "limit"
column = "credit limit"
type = "number"
edges = [0, 100, 1000]
special = [{ code = -1, meaning = "frozen" }, { code = 500, meaning = "house rule" }]

[[characteristics]]
name = "balance"
type = "number"
edges = [0.5, 10]

[[characteristics]]
name = "late"
type = "number"
input_only = true
special = [{ code = 98, meaning = "not reported" }]

[[characteristics]]
name = "product"
type = "category"
levels = ["card", "loan", "7"]
special = [{ code = 99, meaning = "withdrawn" }]

[[characteristics]]
name = "orders"
type = "number"
edges = [1, 5]
roles = ["platform"]

[[derived]]
name = "utilisation"
formula = "ratio"
of = ["balance", "limit"]
edges = [0.25, 0.5]

[[derived]]
name = "late_whatever"
formula = "count_above"
of = ["late", "balance"]
threshold = 3
specials_as_values = true
cap = 5
edges = [0.5, 1.5]
whole = true

[[derived]]
name = "orders_per_balance"
formula = "ratio"
of = ["orders", "balance"]
denominator_floor = 1.0
edges = [1, 2]

[[derived]]
name = "worst"
formula = "max"
of = ["utilisation", "late"]
edges = [1]

[[interactions]]
first = { of = "limit", edges = [100] }
second = { of = "product", levels = ["loan"] }

[[interactions]]
first = { of = "orders", edges = [2, 4] }
second = { of = "utilisation", edges = [0.4] }

[privacy]
epsilon = 1.0
delta = 1e-5
"""


@pytest.fixture(scope="session")
def contract() -> Contract:
    return parse_contract(EVERYTHING)

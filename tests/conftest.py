"""What several tests need: a small contract, rows for it, toy keys, the shared data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from fedscore.contract import Contract, Party, Role, parse_contract
from fedscore.data import Rows
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("repeatable")

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

TINY = """
version = 1
name = "tiny"
purpose = "tests"

[outcome]
definition = "30 days past due within 90 days"
bucket = "30+"
horizon_days = 90

[rows]
row_cap = 4000

[split]
test_share = 0.3
key = "tiny"

[[characteristics]]
name = "utilisation"
type = "number"
unit = "share"
description = "balance divided by limit"
edges = [0.1, 0.3, 0.5, 0.7, 0.9]
monotone = "increasing"

[[characteristics]]
name = "late_payments"
type = "number"
unit = "count"
description = "instalments paid late in a year"
edges = [0.5, 1.5, 2.5]
whole = true
special = [{ code = 98, meaning = "not reported" }]

[[characteristics]]
name = "segment"
type = "category"
description = "product"
levels = ["card", "loan"]
roles = ["platform"]

[[interactions]]
first = { of = "utilisation", edges = [0.5] }
second = { of = "late_payments", edges = [0.5] }

[privacy]
epsilon = 1.0
delta = 1e-5
"""


@pytest.fixture(scope="session")
def tiny_text() -> str:
    """The small contract as its file, without a roster."""
    return TINY


@pytest.fixture(scope="session")
def tiny_contract() -> Contract:
    """Three characteristics, one interaction, three parties."""
    return parse_contract(TINY).with_parties(
        [
            Party(name="north", role=Role.PLATFORM),
            Party(name="south", role=Role.PLATFORM),
            Party(name="agency", role=Role.COLLECTOR),
        ]
    )


@pytest.fixture(scope="session")
def make_rows(tiny_contract: Contract) -> Callable[[int, int], Rows]:
    """Makes (count, seed) random rows whose outcome depends on the cells."""

    def make(count: int, seed: int) -> Rows:
        generator = np.random.default_rng(seed)
        sizes = [table.size for table in tiny_contract.tables]
        cells = np.column_stack([generator.integers(0, size, count) for size in sizes])
        risk = 1 / (1 + np.exp(2.2 - 0.5 * cells[:, 0] - 0.4 * cells[:, 1]))
        return Rows(
            cells=cells.astype(np.int32),
            outcome=(generator.random(count) < risk).astype(np.int8),
            ids=np.array([f"{seed}-{number}" for number in range(count)], dtype=object),
        )

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real credit data; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real credit data is not here: expected beside the repository, in shared/data")
    return SHARED_DATA


@pytest.fixture(scope="session")
def small_ceremony() -> Ceremony:
    """A 1-of-1 committee's key of 2048 bits, from committed primes: public, so good for tests alone."""
    vectors = json.loads((REPOSITORY / "tests" / "vectors" / "paillier_safe_primes.json").read_text())
    p, q = (int(prime, 16) for prime in vectors["1024"])
    return unsafe_deal_from_primes(p, q, members=1, threshold=1)

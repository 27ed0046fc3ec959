"""A small experiment on disk: a CSV file with signal, a contract, a scenario; and keys at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fedscore.contract import Contract
from privacy.paillier.ceremony import unsafe_deal_from_primes
from simulations.keys import SimulatedKeys, record_of

VECTORS = Path(__file__).parents[2] / "vectors" / "paillier_safe_primes.json"

CONTRACT = """
version = 1
name = "small"
purpose = "tests"
[outcome]
definition = "30 days past due within 90 days"
bucket = "30+"
horizon_days = 90
[rows]
row_cap = 1000
[split]
test_share = 0.3
key = "small"
[[characteristics]]
name = "utilisation"
type = "number"
description = "balance divided by limit"
edges = [0.2, 0.4, 0.6, 0.8]
[[characteristics]]
name = "late"
type = "number"
description = "instalments paid late"
edges = [0.5, 1.5, 2.5]
[[characteristics]]
name = "visits"
type = "number"
description = "visits to the shop"
edges = [2.5, 5.5]
roles = ["platform"]
[privacy]
epsilon = 1.0
delta = 1e-5
"""

SCENARIO = """
baselines = ["pooled-no-noise", "local-only", "local-noise"]
[data]
path = "people.csv"
contract = "small.toml"
[split]
seeds = [1, 2]
[parties]
roles = { platform = 2, collector = 1 }
[privacy]
epsilon = [2, 8]
[encryption]
mode = "plain"
"""


def people_csv(rows: int) -> str:
    """Rows whose outcome follows from utilisation and late; 5 shops of different sizes."""
    generator = np.random.default_rng(5)
    utilisation, late = generator.random(rows), generator.integers(0, 4, rows)
    visits, shop = generator.integers(0, 9, rows), np.minimum(generator.geometric(0.4, rows), 5)
    bad = generator.random(rows) < 1 / (1 + np.exp(4 - 3 * utilisation - late))
    lines = ["id,y,utilisation,late,visits,shop"]
    lines += [
        f"{row},{int(bad[row])},{utilisation[row]:.4f},{late[row]},{visits[row]},shop {shop[row]}"
        for row in range(rows)
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def small_experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a scenario, with its contract and data beside it; not to be changed."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "people.csv").write_text(people_csv(900))
    (folder / "small.toml").write_text(CONTRACT)
    scenario = folder / "small_experiment.toml"
    scenario.write_text(SCENARIO)
    return scenario


@pytest.fixture(scope="session")
def known_keys() -> Callable[[Contract], SimulatedKeys]:
    """Deals a known key of 2048 bits to a contract's committee."""
    p, q = (int(prime, 16) for prime in json.loads(VECTORS.read_text())["1024"])

    def dealt(contract: Contract) -> SimulatedKeys:
        terms = contract.encryption.committee
        assert terms is not None
        return record_of(
            contract, unsafe_deal_from_primes(p, q, members=terms.members, threshold=terms.threshold)
        )

    return dealt

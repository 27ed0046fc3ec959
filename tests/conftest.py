"""What several tests need: a small contract, rows, known keys, a federation of nodes, the shared data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from clients.books import NoBooks
from clients.memory import Memory, MemoryOnly
from clients.node import Node, Submitter
from fedscore.contract import Contract, Party, Role, parse_contract
from fedscore.data import Rows
from fedscore.messages import Ask, Refusal, Reply
from fedscore.sums.paillier import PaillierCombiner, PaillierMember, PaillierSealer
from fedscore.sums.series import KeySeries
from privacy.paillier.ceremony import Ceremony, unsafe_deal_from_primes
from server.chronicle import VolatileChronicle
from server.coordinator import Coordinator
from server.transport import Silence
from simulations.keys import SimulatedKeys, keyed, record_of, simulated_identity
from simulations.randomness import SeededRandomness

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
    roster = [
        Party(name="north", role=Role.PLATFORM),
        Party(name="south", role=Role.PLATFORM),
        Party(name="agency", role=Role.COLLECTOR),
    ]
    committee = {"members": 3, "threshold": 2, "colluding_members": 1}
    contract = parse_contract(TINY).with_parties(roster)
    return keyed(contract.with_encryption(key_bits=2048, committee=committee))


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


def known_ceremony(*, members: int, threshold: int) -> Ceremony:
    """A key of 2048 bits from committed primes: public, so good for tests alone."""
    vectors = json.loads((REPOSITORY / "tests" / "vectors" / "paillier_safe_primes.json").read_text())
    p, q = (int(prime, 16) for prime in vectors["1024"])
    return unsafe_deal_from_primes(p, q, members=members, threshold=threshold)


@pytest.fixture(scope="session")
def small_keys(tiny_contract: Contract) -> SimulatedKeys:
    """A known key of 2048 bits for the small contract, whose three parties are its 2-of-3 committee."""
    return record_of(tiny_contract, known_ceremony(members=3, threshold=2))


Answer = Reply | Refusal | Silence
Hook = Callable[[str, Ask, Answer], Answer]
"""Sees the name of a node, what it was asked and what it answered; returns what arrives instead."""


@dataclass
class Federation:
    """Nodes in this process, under a known key, and a server that may be played by hand.

    It is a `server.transport.Transport`; nodes' addresses are their positions on the roster.
    """

    contract: Contract
    keys: SimulatedKeys
    nodes: dict[str, Node]
    memories: dict[str, Memory]
    hook: Hook = lambda _name, _ask, answer: answer
    asked: list[tuple[str, Ask]] = field(default_factory=list)

    @property
    def series(self) -> KeySeries:
        return KeySeries.of(self.keys.record)

    @property
    def combiner(self) -> PaillierCombiner:
        return PaillierCombiner(committee=self.keys.record.committee, signing_keys=self.contract.signing_keys)

    def addresses(self) -> tuple[int, ...]:
        return tuple(range(len(self.nodes)))

    def ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Answer]:
        names = list(self.nodes)
        answers: dict[int, Answer] = {}
        for address, ask in asks.items():
            name = names[address]
            self.asked.append((name, ask))
            answers[address] = self.hook(name, ask, self.nodes[name].answer(ask))
        return answers

    def coordinator(self, **changes: Any) -> Coordinator:  # noqa: ANN401 - whatever the arguments are
        """A server for one run; `changes` replace arguments of `Coordinator`."""
        arguments: dict[str, Any] = {
            "contract": self.contract,
            "series": self.series,
            "combiner": self.combiner,
            "transport": self,
            "chronicle": VolatileChronicle(self.series),
        }
        return Coordinator(**{**arguments, **changes})


@pytest.fixture(scope="session")
def make_federation(
    make_rows: Callable[[int, int], Rows], small_keys: SimulatedKeys, tiny_contract: Contract
) -> Callable[..., Federation]:
    """Makes a fresh federation of (contract, keys, rows per party); the small ones if left out."""

    def make(
        contract: Contract = tiny_contract, keys: SimulatedKeys = small_keys, count: int = 200
    ) -> Federation:
        contract = keyed(contract)
        series = KeySeries.of(keys.record)
        shares = {keys.record.members[share.index - 1].name: share for share in keys.shares}
        memories: dict[str, Memory] = {}
        nodes: dict[str, Node] = {}
        names = [
            *contract.parties_by_name,
            *(name for name in shares if name not in contract.parties_by_name),
        ]
        for number, name in enumerate(names):
            memories[name] = MemoryOnly(series)
            signer = simulated_identity(name)
            nodes[name] = Node(
                name=name,
                contract=contract,
                series=series,
                signer=signer,
                memory=memories[name],
                books=NoBooks(),
                submitter=Submitter(
                    load_rows=lambda _day, number=number: make_rows(count, number),  # type: ignore[misc]  # binds this turn's number
                    sealer=PaillierSealer(public_key=keys.record.public_key, party=name, signer=signer),
                    randomness=SeededRandomness(number),
                )
                if name in contract.parties_by_name
                else None,
                member=PaillierMember(share=shares[name], signing_keys=contract.signing_keys)
                if name in shares
                else None,
            )
        return Federation(contract=contract, keys=keys, nodes=nodes, memories=memories)

    return make

"""A consortium in clear, for tests of the server: a real committee's rules without its arithmetic."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.books import NoBooks
from clients.memory import Memory, MemoryOnly
from clients.node import Node, Submitter
from fedscore.contract import Contract, Party, Role
from fedscore.data import Rows
from fedscore.errors import OpeningError
from fedscore.learners.agenda import Agenda
from fedscore.learners.program import Steps
from fedscore.learners.scorecard.program import Scorecard
from fedscore.learners.scorecard.settings import Settings
from fedscore.messages import Ask, Head, Refusal, Reply
from fedscore.sums import (
    Contributions,
    DenseContributions,
    Envelope,
    OpenedSum,
    PlannedSum,
    Query,
    Side,
)
from fedscore.sums.series import KeySeries
from server.chronicle import Chronicle, VolatileChronicle
from server.coordinator import Coordinator, RunResult
from server.transport import Silence
from simulations.keys import committee_names, keyed, simulated_identity
from simulations.plain import PlainCombiner, PlainMember, PlainSealer
from simulations.randomness import SeededRandomness
from tests.cards import plain_card

Answer = Reply | Refusal | Silence
Hook = Callable[[str, Ask, Answer], Answer]
FIRST_ADDRESS = 101


def right(index: int, product: bytes) -> bytes:
    """What an honest member sends for a product."""
    return hashlib.sha256(bytes([index]) + product).digest()


class Seat(PlainMember):
    """A member whose partial opening tells whether it is right."""

    def __init__(self, index: int) -> None:
        self.index = index

    def partial(self, product: bytes) -> bytes:
        return right(self.index, product)

    def prove(self, product: bytes, envelope: Envelope) -> bytes:
        return envelope.digest.encode() + right(self.index, product)


class SeatCombiner(PlainCombiner):
    """Opens with as many right partial openings as the threshold, of the lowest numbers."""

    def __init__(self, threshold: int) -> None:
        self.threshold = threshold

    def combine(
        self, submissions: Mapping[str, bytes], partials: Mapping[int, bytes], envelope: Envelope
    ) -> OpenedSum:
        opened = super().combine(submissions, partials, envelope)
        chosen = sorted(partials)[: self.threshold]
        if len(chosen) < self.threshold or any(
            partials[member] != right(member, opened.opening) for member in chosen
        ):
            raise OpeningError("a partial opening is wrong")
        return opened

    def proven(
        self, submissions: Mapping[str, bytes], proofs: Mapping[int, bytes], envelope: Envelope
    ) -> Mapping[int, bytes]:
        product = super().combine(submissions, {}, envelope).opening
        return {
            member: right(member, product)
            for member, proof in proofs.items()
            if proof == envelope.digest.encode() + right(member, product)
        }


@dataclass
class Seen:
    """An observer that remembers."""

    rounds: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        self.rounds.append(f"{number}/{rounds} {name}")

    def noticed(self, what: str) -> None:
        self.notices.append(what)


@dataclass
class Circle:
    """Nodes, what was asked of them, and a server that keeps its chronicle from run to run.

    The hook changes what a node has answered; one that is away does not even see the ask.
    """

    contract: Contract
    series: KeySeries
    nodes: dict[str, Node]
    memories: dict[str, Memory]
    chronicle: Chronicle
    agenda_of: Callable[[Contract, str], Agenda]
    hook: Hook = lambda _name, _ask, answer: answer
    away: Callable[[str, Ask], bool] = lambda _name, _ask: False
    asked: list[tuple[str, Ask]] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)

    def addresses(self) -> tuple[int, ...]:
        return tuple(range(FIRST_ADDRESS, FIRST_ADDRESS + len(self.nodes)))

    def ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Answer]:
        names = list(self.nodes)
        answers: dict[int, Answer] = {}
        for address, ask in asks.items():
            name = names[address - FIRST_ADDRESS]
            self.asked.append((name, ask))
            answers[address] = (
                Silence(reason="away")
                if self.away(name, ask)
                else self.hook(name, ask, self.nodes[name].answer(ask))
            )
        return answers

    def coordinator(self, **changes: Any) -> Coordinator:  # noqa: ANN401 - whatever the arguments are
        committee = self.contract.encryption.committee
        assert committee is not None
        arguments: dict[str, Any] = {
            "contract": self.contract,
            "series": self.series,
            "combiner": SeatCombiner(committee.threshold),
            "transport": self,
            "chronicle": self.chronicle,
            "observer": self.seen,
            "agenda_of": self.agenda_of,
        }
        return Coordinator(**{**arguments, **changes})

    def run(self, **changes: Any) -> RunResult:  # noqa: ANN401 - whatever the arguments are
        return self.coordinator(**changes).run()


@pytest.fixture(scope="session")
def circle_contract(tiny_contract: Contract) -> Contract:
    """Four parties, one of which may be absent, and a 5-of-7 committee of them and three auditors."""
    contract = tiny_contract.with_parties([*tiny_contract.parties, Party(name="west", role=Role.PLATFORM)])
    contract = contract.with_encryption(committee={"members": 7, "threshold": 5, "colluding_members": 1})
    return keyed(contract).with_privacy(absent=1)


def short_agendas() -> Callable[[Contract, str], Agenda]:
    """Four sums instead of nine, derived once for everybody."""
    derived: dict[tuple[str, str], Agenda] = {}

    def agenda_of(contract: Contract, run: str) -> Agenda:
        key = (contract.hash(), run)
        if key not in derived:
            program = Scorecard(contract, settings=Settings(gradient_rounds=1, refinement_rounds=1))
            derived[key] = Agenda(contract, run=run, program=program)
        return derived[key]

    return agenda_of


@pytest.fixture(scope="session")
def make_short_agendas() -> Callable[[], Callable[[Contract, str], Agenda]]:
    """Makes a derivation of four sums, to be shared among the nodes and the server of one test."""
    return short_agendas


@dataclass(frozen=True)
class ThreeSums:
    """The shortest program that has a first, a middle and a last sum; each depends on the ones before."""

    sides: tuple[Side, Side, Side] = (Side.TRAINING, Side.TRAINING, Side.TRAINING)

    @property
    def plan(self) -> tuple[PlannedSum, ...]:
        return tuple(
            PlannedSum(
                name=name,
                share=Fraction(1, self.sides.count(side)),
                sensitivity_squared=Fraction(1),
                largest=Fraction(1),
                integral=False,
                dimension_limit=6,
                side=side,
            )
            for name, side in zip(("first", "middle", "last"), self.sides, strict=True)
        )

    def steps(self) -> Steps:
        shift = 0.0
        for dimension in (3, 6, 4):
            released = yield Shifted(dimension, shift)
            shift = float(np.abs(released.values).sum() % 1)
        return plain_card(contract_name="three sums", intercept_points=round(shift, 2))


class Shifted(Query):
    """Every record adds the same small vector."""

    def __init__(self, dimension: int, shift: float) -> None:
        self.dimension = dimension
        self.shift = shift

    def contributions(self, rows: Rows) -> Contributions:
        return DenseContributions(values=np.full((len(rows), self.dimension), 0.3 * self.shift))


def derivation_of(program: ThreeSums) -> Callable[[Contract, str], Agenda]:
    derived: dict[tuple[str, str], Agenda] = {}

    def agenda_of(contract: Contract, run: str) -> Agenda:
        key = (contract.hash(), run)
        if key not in derived:
            derived[key] = Agenda(contract, run=run, program=program)
        return derived[key]

    return agenda_of


@pytest.fixture(scope="session")
def three_sums() -> Callable[[Contract, str], Agenda]:
    """Derives the run of three sums, once for all circles."""
    return derivation_of(ThreeSums())


@pytest.fixture(scope="session")
def sums_of_both_sides() -> Callable[[Contract, str], Agenda]:
    """The same with the middle and the last sum over test rows."""
    return derivation_of(ThreeSums((Side.TRAINING, Side.TEST, Side.TEST)))


@pytest.fixture(scope="session")
def make_circle(make_rows: Callable[[int, int], Rows], circle_contract: Contract) -> Callable[..., Circle]:
    """Makes a fresh circle; `auditors=True` leaves the committee to auditors alone."""

    def make(
        contract: Contract = circle_contract,
        *,
        count: int = 200,
        auditors: bool = False,
        agenda_of: Callable[[Contract, str], Agenda] | None = None,
        **privacy: int,
    ) -> Circle:
        contract = contract.with_privacy(**privacy) if privacy else contract
        terms = contract.encryption.committee
        assert terms is not None
        parties = list(contract.parties_by_name)
        members = committee_names(contract, terms.members)
        if auditors:
            members = tuple(f"auditor-{number}" for number in range(1, terms.members + 1))
        series = KeySeries(
            genesis=Head.genesis("5e" * 32, "6f" * 32),
            member_names=dict(enumerate(members, start=1)),
            member_keys={
                number: simulated_identity(name).public.signing_key
                for number, name in enumerate(members, start=1)
            },
            colluding_members=terms.colluding_members,
        )
        agenda_of = agenda_of or short_agendas()
        memories: dict[str, Memory] = {}
        nodes: dict[str, Node] = {}
        for number, name in enumerate(dict.fromkeys([*parties, *members])):
            memories[name] = MemoryOnly(series)
            nodes[name] = Node(
                name=name,
                contract=contract,
                series=series,
                signer=simulated_identity(name),
                memory=memories[name],
                books=NoBooks(),
                submitter=Submitter(
                    load_rows=lambda _day, number=number: make_rows(count, number),  # type: ignore[misc]  # binds this turn's number
                    load_test_rows=lambda _day, number=number: make_rows(count, 100 + number),  # type: ignore[misc]  # likewise
                    sealer=PlainSealer(),
                    randomness=SeededRandomness(number),
                )
                if name in parties
                else None,
                member=Seat(members.index(name) + 1) if name in members else None,
                agenda_of=agenda_of,
            )
        return Circle(
            contract=contract,
            series=series,
            nodes=nodes,
            memories=memories,
            chronicle=VolatileChronicle(series),
            agenda_of=agenda_of,
        )

    return make


@pytest.fixture(scope="session")
def known_primes() -> tuple[int, int]:
    """Safe primes that everybody knows, of 1024 bits each."""
    file = Path(__file__).parents[2] / "vectors" / "paillier_safe_primes.json"
    p, q = (int(prime, 16) for prime in json.loads(file.read_text())["1024"])
    return p, q

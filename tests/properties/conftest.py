"""True histories of a key, in which every message is known: what attacks on a committee member begin with.

Two of the histories use a stand-in for cryptography, `StubMember`: vectors in clear, with true signatures and
with tags in place of proofs, which only the stand-in can make. The third uses the real thing.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from clients.books import NoBooks
from clients.memory import Memory, MemoryOnly, NodeState
from clients.node import MAXIMUM_RUNS, Node, Submitter
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.errors import CiphertextRefused, OpeningError, ProofRefused
from fedscore.learners.agenda import Agenda
from fedscore.messages import Ask, Head, Phase, Refusal, Reply
from fedscore.messages.transcript import chain_openings, submission_digest
from fedscore.sums import Combiner, Envelope, Member, OpenedSum, Query, Sealer, SumRequest, SumShape, Update
from fedscore.sums.paillier import PaillierCombiner, PaillierMember, PaillierSealer
from fedscore.sums.series import KeySeries
from fedscore.sums.submission import SIGNATURE_DOMAIN, statement_of
from privacy.identities import Identity, verify_signature
from server.chronicle import VolatileChronicle
from server.transport import Silence
from simulations.keys import SimulatedKeys, simulated_identity
from simulations.randomness import SeededRandomness

TARGET = "south"
"""The honest member that is attacked."""

COLLUDER = "agency"
"""A party and a member whose keys the server has."""

RUN, LATER_RUN, NEVER_RUN = "0a" * 16, "0b" * 16, "0c" * 16

SIGNATURE_BYTES = 64
TAG_BYTES = 32

Openings = Sequence[npt.NDArray[np.int64]]
Answer = Reply | Refusal | Silence

identity_of = functools.cache(simulated_identity)


def stub_statement(envelope: Envelope, party: str) -> bytes:
    place = [party, envelope.run, envelope.round, envelope.contract_hash, envelope.head, envelope.digest]
    return repr(place).encode()


def stub_tag(statement: bytes, vector: bytes) -> bytes:
    """Stands for a proof of knowledge: nobody in these tests makes one for a vector that it did not seal."""
    return hmac.digest(b"known to the stand-in alone", statement + vector, "sha256")


@dataclass(frozen=True)
class StubSealer:
    party: str
    signer: Identity

    def seal(self, values: Sequence[int], envelope: Envelope) -> bytes:
        vector = np.asarray(values, dtype="<i8").tobytes()
        statement = stub_statement(envelope, self.party)
        body = vector + stub_tag(statement, vector)
        return body + self.signer.sign(SIGNATURE_DOMAIN, statement + body)


@dataclass(frozen=True)
class StubMember:
    index: int
    signing_keys: Mapping[str, bytes]

    def product(self, submissions: Mapping[str, bytes], envelope: Envelope) -> bytes:
        return stub_total(submissions, envelope, self.signing_keys).tobytes()

    def partial(self, product: bytes) -> bytes:
        return hashlib.sha256(b"partial" + bytes([self.index]) + product).digest()

    def prove(self, product: bytes, envelope: Envelope) -> bytes:
        return self.partial(product) + stub_tag(stub_statement(envelope, str(self.index)), product)

    def reopen(self, opening: bytes, shape: SumShape) -> tuple[bytes, npt.NDArray[np.int64]]:
        if len(opening) != 8 * shape.dimension:
            raise OpeningError("an opening of another length: ask again")
        return opening, np.frombuffer(opening, dtype="<i8").astype(np.int64)


class StubCombiner:
    threshold = 2

    def __init__(self, signing_keys: Mapping[str, bytes]) -> None:
        self._signing_keys = signing_keys

    def refused(self, submissions: Mapping[str, bytes], envelope: Envelope) -> Mapping[str, str]:
        stub_total(submissions, envelope, self._signing_keys)
        return {}

    def combine(
        self,
        submissions: Mapping[str, bytes],
        partials: Mapping[int, bytes],
        envelope: Envelope,
    ) -> OpenedSum:
        assert len(partials) >= self.threshold
        total = stub_total(submissions, envelope, self._signing_keys)
        return OpenedSum(values=total, opening=total.tobytes())

    def proven(
        self,
        submissions: Mapping[str, bytes],
        proofs: Mapping[int, bytes],
        envelope: Envelope,
    ) -> Mapping[int, bytes]:
        raise NotImplementedError


def stub_total(
    submissions: Mapping[str, bytes], envelope: Envelope, signing_keys: Mapping[str, bytes]
) -> npt.NDArray[np.int64]:
    """Adds the vectors, after the same checks as the real thing."""
    size = 8 * envelope.request.dimension
    total = np.zeros(envelope.request.dimension, dtype=np.int64)
    for party, sent in submissions.items():
        if len(sent) != size + TAG_BYTES + SIGNATURE_BYTES:
            raise CiphertextRefused(f"{party}: a submission of another length")
        body, signature = sent[:-SIGNATURE_BYTES], sent[-SIGNATURE_BYTES:]
        statement = stub_statement(envelope, party)
        verify_signature(signing_keys[party], SIGNATURE_DOMAIN, statement + body, signature)
        if not hmac.compare_digest(body[size:], stub_tag(statement, body[:size])):
            raise ProofRefused(f"{party}: its vector is not its own")
        total += np.frombuffer(body[:size], dtype="<i8")
    return total


class Derivation(Agenda):
    """An agenda that many messages share; what it derived once it looks up."""

    def __init__(self, contract: Contract, *, run: str) -> None:
        super().__init__(contract, run=run)
        self._known: dict[str, tuple[Query | Update, SumRequest]] = {}

    def next_sum(self, openings: Openings) -> tuple[Query | Update, SumRequest]:
        key = chain_openings(openings)
        if key not in self._known:
            self._known[key] = super().next_sum(openings)
        return self._known[key]


class Derivations:
    """Those of one contract, by run."""

    def __init__(self) -> None:
        self._agendas: dict[str, Derivation] = {}

    def __call__(self, contract: Contract, run: str) -> Derivation:
        if run not in self._agendas:
            if len(self._agendas) > 50:
                self._agendas.clear()
            self._agendas[run] = Derivation(contract, run=run)
        return self._agendas[run]


class _Enough(Exception):  # noqa: N818 - ends a history, and nothing else
    """The server of the true history stops here."""


@dataclass(kw_only=True)
class World:
    """A true history of a key, seen from the member that is attacked.

    Attributes:
        moments: What the member was asked, and its memory just before.
        first_moments: How many of them are of the history as it was; the others were made of these.
        turns: The true asks for a vector, by the request's hash.
        envelopes: By the request's hash.
        made: Every valid submission, by the request's hash and the party.
        heads: Every true head's hash.
        target: The name of the member.
        colluder: The name of the colluding organisation.
        runs: Those of the history, and one that there never was.
    """

    contract: Contract
    series: KeySeries
    node: Node
    memory: Memory
    agenda_of: Derivations
    statement: Callable[[Envelope, str], bytes]
    moments: list[tuple[NodeState, Ask]] = field(default_factory=list)
    first_moments: int = 0
    turns: dict[str, Ask] = field(default_factory=dict)
    envelopes: dict[str, Envelope] = field(default_factory=dict)
    made: dict[str, dict[str, set[bytes]]] = field(default_factory=dict)
    heads: set[str] = field(default_factory=set)
    target: str = TARGET
    colluder: str = COLLUDER
    runs: tuple[str, ...] = (RUN, LATER_RUN, NEVER_RUN)

    @property
    def asks(self) -> list[Ask]:
        return [ask for _, ask in self.moments[: self.first_moments]]


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """What a world's organisations encrypt with, or what stands for it."""

    contract: Contract
    series: KeySeries
    sealer_of: Callable[[str], Sealer]
    member_of: Callable[[int], Member]
    combiner: Combiner
    statement: Callable[[Envelope, str], bytes]


def played(
    federation: Any,  # noqa: ANN401 - the fixture's
    scheme: Scheme,
    make_rows: Callable[[int, int], Rows],
    *,
    runs: Mapping[str, int],
    silent: Callable[[str, Ask], bool],
) -> World:
    """Plays a history.

    Args:
        federation: Gives a server to the nodes that are made here.
        scheme: What they encrypt with.
        make_rows: Makes their rows.
        runs: Each is played until it asks for a vector of the round given with it.
        silent: Which answers are lost.
    """
    agenda_of = Derivations()
    numbers = {name: number for number, name in scheme.series.member_names.items()}
    memories = {name: MemoryOnly(scheme.series) for name in numbers}
    nodes = {
        name: Node(
            name=name,
            contract=scheme.contract,
            series=scheme.series,
            signer=identity_of(name),
            memory=memories[name],
            books=NoBooks(),
            submitter=Submitter(
                load_rows=lambda _day, number=number: make_rows(20, number),  # type: ignore[misc]  # binds this turn's
                sealer=scheme.sealer_of(name),
                randomness=SeededRandomness(number),
            ),
            member=scheme.member_of(number),
            agenda_of=agenda_of,
        )
        for name, number in numbers.items()
    }
    world = World(
        contract=scheme.contract,
        series=scheme.series,
        node=nodes[TARGET],
        memory=memories[TARGET],
        agenda_of=agenda_of,
        statement=scheme.statement,
    )
    chronicle = VolatileChronicle(scheme.series)
    before = world.memory.load()
    last = 0

    def hook(name: str, ask: Ask, answer: Answer) -> Answer:
        nonlocal before
        world.heads.add(ask.head.hash)
        if ask.phase is Phase.COLLECT:
            world.turns.setdefault(ask.request_hash, ask)
            if isinstance(answer, Reply):
                world.made.setdefault(ask.request_hash, {}).setdefault(name, set()).add(answer.payload)
        if name == TARGET:
            world.moments.append((before, ask))
            before = world.memory.load()
            if ask.round >= last:
                raise _Enough
        return Silence(reason="lost") if silent(name, ask) else answer

    federation = replace(federation, contract=scheme.contract, nodes=nodes, memories=memories, hook=hook)
    for run, until in runs.items():
        last = until
        coordinator = federation.coordinator(
            series=scheme.series, combiner=scheme.combiner, chronicle=chronicle, agenda_of=agenda_of, run=run
        )
        with pytest.raises(_Enough):
            coordinator.run()
    world.first_moments = len(world.moments)
    for digest, ask in world.turns.items():
        turn = agenda_of(world.contract, ask.run).turn(
            ask.openings, round_number=ask.round, head=ask.head.hash
        )
        assert turn.envelope.digest == digest
        world.envelopes[digest] = turn.envelope
        # The colluder has two vectors ready for every round, also where it was absent.
        for value in (0, 1):
            sealed = scheme.sealer_of(COLLUDER).seal([value] * turn.envelope.request.dimension, turn.envelope)
            world.made[digest].setdefault(COLLUDER, set()).add(sealed)
    world.moments += further_moments(world)
    return world


def further_moments(world: World) -> list[tuple[NodeState, Ask]]:
    """Memories that were lost, or made twice, and some of a key that has served as many runs as it may."""
    further = []
    for state, ask in world.moments:
        own = (submission_digest(state.collected.submission),) if state.collected is not None else ()
        further.append((replace(state, abstains=True, made_since=own), ask))
        further.append((NodeState(head=world.series.genesis, abstains=True), ask))
        further.append((NodeState(head=world.series.genesis), ask))
        if state.collected is not None and state.collected.run != ask.run and ask.phase is Phase.COLLECT:
            further.append((replace(state, ended=(NEVER_RUN,) * MAXIMUM_RUNS), ask))
    return further


def stub_scheme(contract: Contract) -> Scheme:
    names = dict(enumerate(contract.parties_by_name, start=1))
    return Scheme(
        contract=contract,
        series=KeySeries(
            genesis=Head.genesis("5e" * 32, "6d" * 32),
            member_names=names,
            member_keys={number: contract.signing_keys[name] for number, name in names.items()},
            colluding_members=1,
        ),
        sealer_of=lambda name: StubSealer(name, identity_of(name)),
        member_of=lambda number: StubMember(number, contract.signing_keys),
        combiner=StubCombiner(contract.signing_keys),
        statement=stub_statement,
    )


@pytest.fixture(scope="module")
def strict(
    tiny_contract: Contract, make_federation: Callable[..., Any], make_rows: Callable[[int, int], Rows]
) -> World:
    """Nobody may be absent: two runs, both of them ended by the server."""
    scheme = stub_scheme(tiny_contract)
    runs = {RUN: 4, LATER_RUN: 6}
    return played(make_federation(), scheme, make_rows, runs=runs, silent=lambda _name, _ask: False)


@pytest.fixture(scope="module")
def lenient(
    tiny_contract: Contract, make_federation: Callable[..., Any], make_rows: Callable[[int, int], Rows]
) -> World:
    """One may be absent: the colluder from the third round on, which is abandoned and asked again."""
    committee = {"members": 3, "threshold": 3, "colluding_members": 1}
    contract = tiny_contract.with_encryption(committee=committee).with_privacy(absent=1, spare_rounds=1)

    def silent(name: str, ask: Ask) -> bool:
        absent = name == COLLUDER and ask.round in (3, 4) and ask.phase is Phase.COLLECT
        return absent or (name != TARGET and (ask.round, ask.phase) == (3, Phase.OPEN))

    runs = {RUN: 5, LATER_RUN: 7}
    return played(make_federation(), stub_scheme(contract), make_rows, runs=runs, silent=silent)


@pytest.fixture(scope="module")
def real(
    tiny_contract: Contract,
    small_keys: SimulatedKeys,
    make_federation: Callable[..., Any],
    make_rows: Callable[[int, int], Rows],
) -> World:
    """The first two rounds of a run, and of another, under a key of 2048 bits."""
    keys, public_key = tiny_contract.signing_keys, small_keys.record.public_key
    scheme = Scheme(
        contract=tiny_contract,
        series=KeySeries.of(small_keys.record),
        sealer_of=lambda name: PaillierSealer(public_key=public_key, party=name, signer=identity_of(name)),
        member_of=lambda number: PaillierMember(share=small_keys.shares[number - 1], signing_keys=keys),
        combiner=PaillierCombiner(committee=small_keys.record.committee, signing_keys=keys),
        statement=lambda envelope, party: statement_of(public_key, envelope, party),
    )
    runs = {RUN: 3, LATER_RUN: 4}
    return played(make_federation(), scheme, make_rows, runs=runs, silent=lambda _name, _ask: False)

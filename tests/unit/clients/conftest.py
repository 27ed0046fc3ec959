"""A small federation of plain sums whose server is played by hand, so that it may do anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from clients.books import NoBooks
from clients.memory import Memory, MemoryOnly
from clients.node import Node, Submitter
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.learners.agenda import Agenda, Turn
from fedscore.messages import Ask, Head, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.transcript import NO_OPENINGS, extend_openings, submission_digest
from fedscore.sums import Envelope
from fedscore.sums.series import HEAD_DOMAIN, KeySeries
from privacy.dp.randomness import SystemRandomness
from simulations.keys import simulated_identity
from simulations.plain import PlainCombiner, PlainMember, PlainSealer

RUN = "ab" * 16
KEY_ID = "5" * 64


_DERIVED: dict[tuple[int, str], Agenda] = {}


def agenda_of(contract: Contract, run: str) -> Agenda:
    """One derivation for all nodes of a test: it is public, and the same for everybody."""
    # By identity, because hashing a contract costs more than all else here; an agenda keeps its contract.
    key = (id(contract), run)
    if key not in _DERIVED:
        _DERIVED[key] = Agenda(contract, run=run)
    return _DERIVED[key]


class ShowingMember(PlainMember):
    """A member whose partial opening is the product itself, so that a test sees what it would have opened."""

    def __init__(self, index: int) -> None:
        self.index = index

    def partial(self, product: bytes) -> bytes:
        return product

    def prove(self, product: bytes, envelope: Envelope) -> bytes:
        return product + envelope.digest.encode()


@dataclass
class Bench:
    """Nodes, and all that a server knows. Whatever a test changes in an ask, its hash is made to fit."""

    contract: Contract
    contract_hash: str
    series: KeySeries
    memories: dict[str, Memory]
    start: Callable[[str, Memory], Node]
    nodes: dict[str, Node]
    head: Head
    run: str = RUN
    round: int = 1
    openings: tuple[npt.NDArray[np.int64], ...] = ()
    opening: bytes = b""
    signatures: Mapping[int, bytes] = field(default_factory=dict)

    def ask(self, phase: Phase, submissions: Mapping[str, bytes] | None = None, **changes: Any) -> Ask:  # noqa: ANN401 - fields of an ask
        hello = phase is Phase.HELLO
        ask = Ask(
            phase=phase,
            run=self.run,
            round=0 if hello else self.round,
            contract_hash=self.contract_hash,
            head=self.head,
            opening=self.opening,
            head_signatures=dict(self.signatures),
            openings=() if hello else self.openings,
            submissions=submissions or {},
        )
        ask = replace(ask, **changes)
        if hello or "request_hash" in changes:
            return ask
        return replace(ask, request_hash=self.turn(ask).envelope.digest)

    def turn(self, ask: Ask) -> Turn:
        """What an honest party derives from an ask."""
        agenda = agenda_of(self.contract, ask.run)
        return agenda.turn(ask.openings, round_number=ask.round, head=ask.head.hash)

    def answer(self, name: str, ask: Ask) -> Reply | Refusal:
        return self.nodes[name].answer(ask)

    def payload(self, name: str, ask: Ask) -> bytes:
        answer = self.answer(name, ask)
        assert isinstance(answer, Reply), f"{name} refused: {answer}"
        return answer.payload

    def refusal(self, name: str, ask: Ask) -> RefusalCode:
        answer = self.answer(name, ask)
        assert isinstance(answer, Refusal), f"{name} answered"
        return answer.code

    def collect(self, names: Iterable[str] | None = None) -> dict[str, bytes]:
        """The submissions of some parties, or of all, in this round."""
        ask = self.ask(Phase.COLLECT)
        return {name: self.payload(name, ask) for name in names or self.contract.parties_by_name}

    def signed(self, names: Iterable[str], head: Head | None = None) -> dict[int, bytes]:
        """Signatures of members under a head; made here, whatever the members know."""
        numbers = {name: number for number, name in self.series.member_names.items()}
        message = (head or self.head).to_bytes()
        return {numbers[name]: simulated_identity(name).sign(HEAD_DOMAIN, message) for name in names}

    def next_head(self, submissions: Mapping[str, bytes]) -> tuple[Head, npt.NDArray[np.int64], bytes]:
        """The link that these submissions' sum makes, the sum, and what proves it."""
        ask = self.ask(Phase.COLLECT)
        opened = PlainCombiner().combine(submissions, {}, self.turn(ask).envelope)
        head = Head(
            key_id=self.head.key_id,
            round=self.round,
            run=self.run,
            step=len(self.openings) + 1,
            request=ask.request_hash,
            openings=extend_openings(self.head.openings if self.openings else NO_OPENINGS, opened.values),
            opening=hashlib.sha256(opened.opening).hexdigest(),
            submissions={party: submission_digest(sent) for party, sent in sorted(submissions.items())},
            previous=self.head.hash,
        )
        return head, opened.values, opened.opening

    def close(self, submissions: Mapping[str, bytes]) -> None:
        """The round is opened: the transcript goes on."""
        self.head, values, self.opening = self.next_head(submissions)
        self.signatures = {}
        self.openings = (*self.openings, values)
        self.round += 1

    def play_round(self, names: Iterable[str] | None = None) -> dict[str, bytes]:
        """A whole round as it should be."""
        submissions = self.collect(names)
        ask = self.ask(Phase.OPEN, submissions)
        for name in self.series.member_names.values():
            self.payload(name, ask)
        self.close(submissions)
        return submissions

    def restart(self, name: str, memory: Memory | None = None) -> None:
        """A new process of a node, with the memory that it has, or another one."""
        if memory is not None:
            self.memories[name] = memory
        self.nodes[name] = self.start(name, self.memories[name])


@pytest.fixture(scope="session")
def make_bench(tiny_contract: Contract, make_rows: Callable[[int, int], Rows]) -> Callable[..., Bench]:
    """Makes a fresh bench; members are the first parties and, where there are more, auditors."""

    def make(
        contract: Contract = tiny_contract,
        members: Iterable[str] = ("north", "south", "agency"),
        colluding_members: int = 1,
        memory_of: Callable[[str, KeySeries], Memory] = lambda _name, series: MemoryOnly(series),
    ) -> Bench:
        numbered = dict(enumerate(members, start=1))
        series = KeySeries(
            genesis=Head.genesis(KEY_ID, "12" * 32),
            member_names=numbered,
            member_keys={
                number: simulated_identity(name).public.signing_key for number, name in numbered.items()
            },
            colluding_members=colluding_members,
        )
        seats = {name: number for number, name in numbered.items()}
        parties = list(contract.parties_by_name)

        def start(name: str, memory: Memory) -> Node:
            return Node(
                name=name,
                contract=contract,
                series=series,
                signer=simulated_identity(name),
                memory=memory,
                books=NoBooks(),
                submitter=Submitter(
                    load_rows=lambda _day: make_rows(40, parties.index(name)),
                    sealer=PlainSealer(),
                    randomness=SystemRandomness(),
                )
                if name in parties
                else None,
                member=ShowingMember(seats[name]) if name in seats else None,
                agenda_of=agenda_of,
            )

        names = [*parties, *(name for name in seats if name not in parties)]
        memories = {name: memory_of(name, series) for name in names}
        nodes = {name: start(name, memory) for name, memory in memories.items()}
        return Bench(
            contract=contract,
            contract_hash=contract.hash(),
            series=series,
            memories=memories,
            start=start,
            nodes=nodes,
            head=series.genesis,
        )

    return make

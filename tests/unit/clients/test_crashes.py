"""Killed wherever it can be killed, a node comes back and contradicts nothing that may have left."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pytest

from clients.memory import FileMemory, Memory, MemoryOnly, NodeState
from fedscore.contract import Contract
from fedscore.learners.agenda import Agenda
from fedscore.messages import Ask, Phase, Refusal, Reply

if TYPE_CHECKING:
    from tests.conftest import Federation
    from tests.unit.clients.conftest import Bench

OTHER_RUN = "cd" * 16
MEMBERS = ("north", "south", "auditor-1")
Left = dict[tuple[bool, int], set[bytes]]


class Death(BaseException):
    """Stands for `kill -9`: no handler of the node catches it."""


class Moment(Enum):
    """When a process dies."""

    BEFORE_THE_WRITE = "before the write"
    IN_THE_WRITE = "in the write"
    AFTER_THE_WRITE = "after the write"
    AFTER_THE_REPLY = "after the reply"


def die() -> NoReturn:
    raise Death


@dataclass
class Mortal:
    """A memory on disk whose process dies at its n-th write."""

    inner: FileMemory
    folder: Path
    at: int = 0
    moment: Moment = Moment.AFTER_THE_REPLY
    end: Callable[[], NoReturn] = die
    writes: int = 0

    def locked(self) -> AbstractContextManager[None]:
        return self.inner.locked()

    def load(self) -> NodeState:
        return self.inner.load()

    def store(self, state: NodeState) -> None:
        self.writes += 1
        now = self.moment if self.writes == self.at else None
        if now is Moment.IN_THE_WRITE:
            (self.folder / ".memory-0000000000000000.json.dead").write_text("half a dra")
        if now in (Moment.BEFORE_THE_WRITE, Moment.IN_THE_WRITE):
            self.end()
        self.inner.store(state)
        if now is Moment.AFTER_THE_WRITE:
            self.end()


@dataclass
class Victim:
    """One node of a bench, on disk, and all that ever left it."""

    bench: Bench
    name: str
    folder: Path
    memory: Mortal
    left: Left = field(default_factory=lambda: defaultdict(set))

    def ask(self, ask: Ask) -> Reply | Refusal:
        answer = self.bench.answer(self.name, ask)
        if isinstance(answer, Reply) and ask.phase is not Phase.HELLO:
            # A proof holds its product and the request; what counts is the product.
            opening = ask.phase is not Phase.COLLECT
            payload = answer.payload.removesuffix(ask.request_hash.encode())
            self.left[opening, ask.round].add(payload)
        return answer

    def restart(self) -> None:
        self.bench.restart(self.name, FileMemory(self.folder, self.bench.series))


@pytest.fixture(scope="module")
def contract(tiny_contract: Contract) -> Contract:
    """One of three parties may be absent, so a second cohort would be admissible."""
    committee = {"members": 5, "threshold": 4, "colluding_members": 1}
    return tiny_contract.with_encryption(committee=committee).with_privacy(absent=1, spare_rounds=2)


def victim_of(bench: Bench, name: str, folder: Path, *, at: int, moment: Moment) -> Victim:
    inner = FileMemory.create(folder, bench.series, abstains=False)
    memory = Mortal(inner=inner, folder=folder, at=at, moment=moment)
    bench.restart(name, memory)
    return Victim(bench=bench, name=name, folder=folder, memory=memory)


def conversation(bench: Bench, name: str) -> list[Callable[[], Ask]]:
    """All that a server asks one node in two rounds: each is made when its turn comes."""
    sent: dict[str, bytes] = {}

    def collected() -> dict[str, bytes]:
        sent.clear()
        sent.update(bench.collect())
        return dict(sent)

    member = name in MEMBERS
    one_round: list[Callable[[], Ask]] = []
    if name in bench.contract.parties_by_name:
        one_round.append(lambda: bench.ask(Phase.COLLECT))
    if member:
        one_round.append(lambda: bench.ask(Phase.OPEN, collected()))
        one_round.append(lambda: bench.ask(Phase.PROVE, sent))

    def next_round() -> Ask:
        bench.close(sent if member else collected())
        bench.signatures = bench.signed(other for other in MEMBERS if other != name)
        return bench.ask(Phase.HELLO)

    return [*one_round, next_round, *one_round]


def other_questions(bench: Bench, ask: Ask) -> list[Ask]:
    """What a lying server would rather know, about the same round."""
    if ask.phase is Phase.HELLO:
        return []
    if ask.phase is Phase.COLLECT:
        return [
            bench.ask(Phase.COLLECT, run=OTHER_RUN, openings=()),
            bench.ask(Phase.COLLECT, head=replace(ask.head, previous="0" * 64)),
        ]
    sent = ask.submissions
    south = np.frombuffer(sent["south"], dtype="<i8").astype(np.int64)
    return [
        bench.ask(Phase.OPEN, {name: sent[name] for name in ("north", "agency")}),
        bench.ask(Phase.OPEN, {**sent, "south": (south + 1).tobytes()}),
        bench.ask(Phase.OPEN, sent, run=OTHER_RUN, openings=()),
        bench.ask(Phase.PROVE, {name: sent[name] for name in ("south", "agency")}),
    ]


def contradictions(left: Left) -> list[tuple[bool, int]]:
    return [place for place, payloads in left.items() if len(payloads) > 1]


def play(victim: Victim, *, lost: int = -1, lie_first: bool = False) -> bool:
    """Plays the conversation; after the death the server asks the same and everything else.

    Returns:
        Whether the node died.
    """
    died = False
    asks = conversation(victim.bench, victim.name)
    for number, make in enumerate(asks):
        ask = make()
        dead = False
        try:
            answer = victim.ask(ask)
        except Death:
            dead = True
        if number == lost:
            dead = True
        if dead:
            died = True
            victim.restart()
            if lie_first:
                # What it says to that may be the one thing that leaves; but then it is the only one.
                lies = [victim.ask(lie) for lie in other_questions(victim.bench, ask)]
                victim.ask(ask)
                if any(isinstance(said, Reply) for said in lies):
                    return True
            answer = victim.ask(ask)
        assert isinstance(answer, Reply), f"{ask.phase} of round {ask.round} is refused after a restart"
        if dead or number == len(asks) - 1:
            for lie in other_questions(victim.bench, ask):
                assert isinstance(victim.ask(lie), Refusal), lie.phase
        assert victim.ask(ask) == answer
    return died


# A party that is a member, a party, and a member that is no party; whether the server lies at once.
CASES = [("north", False), ("north", True), ("agency", True), ("auditor-1", True)]


@pytest.mark.parametrize(("name", "lie_first"), CASES)
def test_a_node_that_dies_at_any_write_contradicts_nothing_that_left_it(
    make_bench: Callable[..., Bench], contract: Contract, tmp_path: Path, name: str, *, lie_first: bool
) -> None:
    def fresh(at: int, moment: Moment) -> Victim:
        folder = tmp_path / f"{at}-{moment.value}"
        return victim_of(make_bench(contract, members=MEMBERS), name, folder, at=at, moment=moment)

    alive = fresh(0, Moment.AFTER_THE_REPLY)
    assert not play(alive)
    assert contradictions(alive.left) == []
    writes = {"north": 5, "agency": 2, "auditor-1": 3}[name]
    assert alive.memory.writes == writes
    for at, moment in itertools.product(range(1, writes + 1), list(Moment)[:3]):
        victim = fresh(at, moment)
        assert play(victim, lie_first=lie_first), (at, moment)
        assert contradictions(victim.left) == [], (at, moment)
        assert victim.left


@pytest.mark.parametrize(("name", "lie_first"), CASES)
def test_a_node_whose_reply_was_lost_contradicts_nothing_that_left_it(
    make_bench: Callable[..., Bench], contract: Contract, tmp_path: Path, name: str, *, lie_first: bool
) -> None:
    bench = make_bench(contract, members=MEMBERS)
    for lost in range(len(conversation(bench, name))):
        bench = make_bench(contract, members=MEMBERS)
        victim = victim_of(bench, name, tmp_path / str(lost), at=0, moment=Moment.AFTER_THE_REPLY)
        assert play(victim, lost=lost, lie_first=lie_first)
        assert contradictions(victim.left) == [], lost


class Forgetful(MemoryOnly):
    """A memory whose writes come too late: the process dies before they reach the disk."""

    def store(self, state: NodeState) -> None:
        pass


def test_without_durable_writes_the_same_play_does_find_contradictions(
    make_bench: Callable[..., Bench], contract: Contract, tmp_path: Path
) -> None:
    """The check above can fail: a node that released before it wrote would be caught."""
    bench = make_bench(contract, members=MEMBERS)
    victim = victim_of(bench, "north", tmp_path, at=0, moment=Moment.AFTER_THE_REPLY)
    bench.restart("north", Forgetful(bench.series))
    victim.ask(bench.ask(Phase.COLLECT))
    victim.ask(bench.ask(Phase.COLLECT))
    submissions = bench.collect()
    victim.ask(bench.ask(Phase.OPEN, submissions))
    for lie in other_questions(bench, bench.ask(Phase.OPEN, submissions)):
        victim.ask(lie)
    assert contradictions(victim.left) == [(False, 1), (True, 1)]


@pytest.mark.parametrize("moment", [Moment.BEFORE_THE_WRITE, Moment.AFTER_THE_WRITE], ids=lambda m: m.value)
@pytest.mark.parametrize("phase", [Phase.COLLECT, Phase.OPEN])
def test_a_process_that_is_really_gone_contradicts_nothing(
    make_bench: Callable[..., Bench], contract: Contract, tmp_path: Path, moment: Moment, phase: Phase
) -> None:
    bench = make_bench(contract, members=MEMBERS)
    victim = victim_of(bench, "north", tmp_path, at=1, moment=moment)
    submissions = {**bench.collect(["south", "agency"]), "north": bytes(8 * 54)}
    ask = bench.ask(Phase.OPEN, submissions) if phase is Phase.OPEN else bench.ask(Phase.COLLECT)
    victim.memory.end = lambda: os._exit(9)
    child = os.fork()
    if child == 0:
        try:
            bench.answer("north", ask)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 9
    victim.restart()
    state = bench.memories["north"].load()
    if moment is Moment.BEFORE_THE_WRITE:
        assert state == NodeState(head=bench.series.genesis)
    else:
        assert state.last_round == 1
    answer = victim.ask(ask)
    assert isinstance(answer, Reply)
    if state.collected is not None:
        assert answer.payload == state.collected.submission
    for lie in other_questions(bench, ask):
        assert isinstance(victim.ask(lie), Refusal)
    assert contradictions(victim.left) == []


FIVE = ("north", "south", "agency", "auditor-1", "auditor-2")
FATES = [Moment.BEFORE_THE_WRITE, Moment.AFTER_THE_WRITE, Moment.AFTER_THE_REPLY]


def killed_in_the_opening(
    bench: Bench, folder: Path, submissions: Mapping[str, bytes], fates: Mapping[str, Moment]
) -> None:
    """Every member is asked to open, dies at its moment, and is started again."""
    for name, moment in fates.items():
        at = 0 if moment is Moment.AFTER_THE_REPLY else 1
        memory = FileMemory.create(folder / name, bench.series, abstains=False)
        memory.store(replace(bench.memories[name].load()))
        bench.restart(name, Mortal(inner=memory, folder=folder / name, at=at, moment=moment))
        try:
            bench.answer(name, bench.ask(Phase.OPEN, submissions))
        except Death:
            assert at
        bench.restart(name, FileMemory(folder / name, bench.series))


def who_releases(bench: Bench, cohort: Mapping[str, bytes]) -> set[str]:
    ask = bench.ask(Phase.OPEN, cohort)
    return {name for name in FIVE if isinstance(bench.answer(name, ask), Reply)}


@pytest.mark.parametrize("fates", list(itertools.combinations_with_replacement(FATES, 5)))
def test_members_killed_around_their_write_do_not_block_the_round_and_open_no_second_cohort(
    make_bench: Callable[..., Bench], contract: Contract, tmp_path: Path, fates: tuple[Moment, ...]
) -> None:
    committee = contract.encryption.committee
    assert committee is not None
    bench = make_bench(contract, members=FIVE)
    submissions = bench.collect()
    fewer = {name: submissions[name] for name in ("north", "agency")}
    killed_in_the_opening(bench, tmp_path / "honest", submissions, dict(zip(FIVE, fates, strict=True)))
    assert who_releases(bench, submissions) == set(FIVE), "the same cohort can still be opened"
    assert who_releases(bench, fewer) == set()
    assert who_releases(bench, submissions) == set(FIVE)

    bench = make_bench(contract, members=FIVE)
    submissions = bench.collect()
    fewer = {name: submissions[name] for name in ("north", "agency")}
    killed_in_the_opening(bench, tmp_path / "lying", submissions, dict(zip(FIVE, fates, strict=True)))
    second, first = who_releases(bench, fewer), who_releases(bench, submissions)
    assert second == {name for name, moment in zip(FIVE, fates, strict=True) if moment is FATES[0]}
    assert first == set(FIVE) - second
    # Members that collude with the server help with both cohorts, wherever they were counted here.
    helped = [len(released) + committee.colluding_members for released in (first, second)]
    assert min(helped) < committee.threshold
    if len(first) in (2, 3):
        assert min(helped) >= committee.threshold - 1, "with a lower threshold both cohorts would be opened"


def test_a_real_round_survives_the_death_of_its_members(
    make_federation: Callable[..., Federation], tmp_path: Path
) -> None:
    """Real ciphertexts are fresh each time, so the same bytes come from the disk alone."""
    federation = make_federation()
    series = federation.series
    north, south, agency = (federation.nodes[name] for name in ("north", "south", "agency"))

    def remembering(name: str, *, at: int = 0, moment: Moment = Moment.AFTER_THE_REPLY) -> Memory:
        inner = FileMemory(tmp_path / name, series)
        return Mortal(inner=inner, folder=tmp_path / name, at=at, moment=moment)

    for name in ("north", "south"):
        FileMemory.create(tmp_path / name, series, abstains=False)
    run = "ab" * 16
    agenda = Agenda(federation.contract, run=run)
    turn = agenda.turn((), round_number=1, head=series.genesis.hash)
    collect = Ask(
        phase=Phase.COLLECT,
        run=run,
        round=1,
        contract_hash=federation.contract.hash(),
        head=series.genesis,
        request_hash=turn.envelope.digest,
    )

    def payload(answer: Reply | Refusal) -> bytes:
        assert isinstance(answer, Reply)
        return answer.payload

    north._memory = remembering("north", at=1, moment=Moment.AFTER_THE_WRITE)
    with pytest.raises(Death):
        north.answer(collect)
    north._memory = remembering("north")
    stored = north._memory.load().collected
    assert stored is not None
    submissions = {"north": payload(north.answer(collect)), "south": payload(south.answer(collect))}
    assert submissions["north"] == stored.submission
    submissions["agency"] = payload(agency.answer(collect))
    # The third party colludes: it has a second vector, as well signed and proven as the first.
    agency._memory = MemoryOnly(series)
    second = {**submissions, "agency": payload(agency.answer(collect))}
    assert second != submissions

    opened = replace(collect, phase=Phase.OPEN, submissions=submissions)
    lie = replace(collect, phase=Phase.OPEN, submissions=second)
    for name, moment in (("north", Moment.AFTER_THE_WRITE), ("south", Moment.BEFORE_THE_WRITE)):
        node = federation.nodes[name]
        node._memory = remembering(name, at=1, moment=moment)
        with pytest.raises(Death):
            node.answer(opened)
        node._memory = remembering(name)
    assert isinstance(north.answer(lie), Refusal)
    partials = {1: payload(north.answer(opened)), 2: payload(south.answer(opened))}
    assert isinstance(south.answer(lie), Refusal)
    assert payload(north.answer(opened)) == partials[1]
    values = federation.combiner.combine(submissions, partials, turn.envelope).values
    assert len(values) == turn.envelope.request.dimension

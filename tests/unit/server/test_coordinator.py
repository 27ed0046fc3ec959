"""The operator's loop: who must answer, who may be missing, and what is said when it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from clients.node import Node
from clients.rounds import MemoryRounds
from fedscore.contract import Contract
from fedscore.data import Rows
from fedscore.errors import RunFailed
from fedscore.messages import Ask, Phase, Refusal, Reply
from server.coordinator import Coordinator
from server.transport import Silence
from simulations.plain import PlainCombiner, PlainMember, PlainSealer
from simulations.randomness import SeededRandomness

Answer = Reply | Refusal | Silence
Fault = Callable[[str, Ask, Answer], Answer]


@dataclass
class DirectTransport:
    """Calls nodes, with a hook that may spoil an answer."""

    nodes: Mapping[int, Node]
    names: Mapping[int, str]
    fault: Fault = lambda _party, _ask, answer: answer
    asked: list[Ask] = field(default_factory=list)

    def addresses(self) -> tuple[int, ...]:
        return tuple(self.nodes)

    def ask(self, asks: Mapping[int, Ask]) -> Mapping[int, Answer]:
        self.asked += asks.values()
        return {
            address: self.fault(self.names[address], ask, self.nodes[address].answer(ask))
            for address, ask in asks.items()
        }


@dataclass
class Seen:
    rounds: list[str] = field(default_factory=list)

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        self.rounds.append(f"{number}/{rounds} {name}")


MakeRows = Callable[[int, int], Rows]


def transport_for(contract: Contract, make_rows: MakeRows, fault: Fault | None = None) -> DirectTransport:
    nodes = {
        number: Node(
            party=party.name,
            contract=contract,
            load_rows=lambda number=number: make_rows(200, number),  # type: ignore[misc]  # binds this turn's number
            sealer=PlainSealer(),
            member=PlainMember() if number == 0 else None,
            rounds=MemoryRounds(),
            randomness=SeededRandomness(number),
        )
        for number, party in enumerate(contract.parties)
    }
    names = {number: party.name for number, party in enumerate(contract.parties)}
    transport = DirectTransport(nodes, names)
    if fault is not None:
        transport.fault = fault
    return transport


def run(contract: Contract, transport: DirectTransport, observer: Seen | None = None) -> Coordinator:
    coordinator = Coordinator(
        contract=contract, combiner=PlainCombiner(), transport=transport, observer=observer
    )
    coordinator.run()
    return coordinator


def test_nine_rounds_give_a_card_that_carries_its_price(tiny_contract: Contract, make_rows: MakeRows) -> None:
    seen = Seen()
    transport = transport_for(tiny_contract, make_rows)
    result = Coordinator(
        contract=tiny_contract, combiner=PlainCombiner(), transport=transport, observer=seen
    ).run()
    assert len(result.openings) == 9
    assert seen.rounds[0] == "1/9 histogram"
    assert seen.rounds[-1] == "9/9 residuals 3"
    assert result.card.privacy is not None
    assert result.card.privacy.epsilon is not None
    assert 0.97 < result.card.privacy.epsilon <= 1.0
    assert result.values_per_party == sum(opening.size for opening in result.openings)


def silent_from(party: str, number: int) -> Fault:
    def fault(who: str, ask: Ask, answer: Answer) -> Answer:
        gone = who == party and ask.phase is not Phase.HELLO and ask.round >= number
        return Silence(reason="no reply in time") if gone else answer

    return fault


def test_a_party_that_must_be_there_and_is_not_ends_the_run_by_name(
    tiny_contract: Contract, make_rows: MakeRows
) -> None:
    transport = transport_for(tiny_contract, make_rows, silent_from("agency", 2))
    with pytest.raises(RunFailed, match="gradient 1: 2 parties answered, 3 are needed") as error:
        run(tiny_contract, transport)
    assert "without an answer: agency" in str(error.value)
    assert "agency is silent (no reply in time)" in str(error.value)
    assert "what it opened stays spent" in str(error.value)


def test_an_absence_that_the_contract_allows_leaves_a_card_and_the_party_out(
    tiny_contract: Contract, make_rows: MakeRows
) -> None:
    contract = tiny_contract.with_parties(
        [*tiny_contract.parties, tiny_contract.parties[1].model_copy(update={"name": "west"})]
    ).with_privacy(absent=1)

    def flickering(who: str, ask: Ask, answer: Answer) -> Answer:
        gone = who == "agency" and ask.phase is Phase.COLLECT and ask.round == 2
        return Silence(reason="no reply in time") if gone else answer

    transport = transport_for(contract, make_rows, flickering)
    run(contract, transport)
    cohorts = [set(ask.submissions) for ask in transport.asked if ask.phase is Phase.OPEN]
    assert cohorts[:2] == [{"north", "south", "agency", "west"}] * 2
    # it was back in round 3, and stays out nevertheless
    assert cohorts[2:] == [{"north", "south", "west"}] * 7


def test_a_refusal_is_reported_with_its_code(tiny_contract: Contract, make_rows: MakeRows) -> None:
    too_many = transport_for(tiny_contract, lambda count, seed: make_rows(5000 if seed == 1 else count, seed))
    with pytest.raises(RunFailed, match=r"south refused \(data-refused\)"):
        run(tiny_contract, too_many)


def test_without_its_committee_a_run_does_not_start(tiny_contract: Contract, make_rows: MakeRows) -> None:
    def memberless(_who: str, _ask: Ask, answer: Answer) -> Answer:
        return replace(answer, committee_member=None) if isinstance(answer, Reply) else answer

    transport = transport_for(tiny_contract, make_rows, memberless)
    with pytest.raises(RunFailed, match="0 committee members are present, 1 are needed"):
        run(tiny_contract, transport)
    assert {ask.phase for ask in transport.asked} == {Phase.HELLO}


def test_strangers_and_doubles_are_not_let_in(tiny_contract: Contract, make_rows: MakeRows) -> None:
    def impostor(name: str) -> Fault:
        def fault(who: str, ask: Ask, answer: Answer) -> Answer:
            spoiled = isinstance(answer, Reply) and who == "south" and ask.phase is Phase.HELLO
            return replace(answer, party=name) if isinstance(answer, Reply) and spoiled else answer

        return fault

    for name, message in (("mallory", "not on the contract's roster"), ("north", "from two nodes")):
        with pytest.raises(RunFailed, match=message):
            run(tiny_contract, transport_for(tiny_contract, make_rows, impostor(name)))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda reply: replace(reply, run="cd" * 16),
        lambda reply: replace(reply, round=7),
        lambda reply: replace(reply, request_hash="0" * 64),
        lambda reply: replace(reply, party="north"),
        lambda reply: replace(reply, phase=Phase.OPEN),
    ],
    ids=["run", "round", "request", "party", "phase"],
)
def test_an_answer_to_another_question_does_not_count(
    tiny_contract: Contract, make_rows: MakeRows, spoil: Callable[[Reply], Reply]
) -> None:

    def fault(who: str, ask: Ask, answer: Answer) -> Answer:
        if isinstance(answer, Reply) and who == "south" and ask.phase is Phase.COLLECT:
            return spoil(answer)
        return answer

    with pytest.raises(RunFailed, match="south answered something else than was asked"):
        run(tiny_contract, transport_for(tiny_contract, make_rows, fault))


def test_a_partial_opening_that_never_comes_ends_the_run(
    tiny_contract: Contract, make_rows: MakeRows
) -> None:
    def fault(_who: str, ask: Ask, answer: Answer) -> Answer:
        return Silence(reason="error 5") if ask.phase is Phase.OPEN else answer

    with pytest.raises(RunFailed, match=r"histogram: 0 of 1 needed partial openings"):
        run(tiny_contract, transport_for(tiny_contract, make_rows, fault))

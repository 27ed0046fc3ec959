"""Answers find their asks, and whatever goes wrong on the way is silence and no exception."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version

import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from fedscore.errors import ProtocolError
from fedscore.messages import Ask, Head, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.codec import decode_ask, encode_answer
from server.grid_transport import GridTransport
from server.transport import Silence, Transport
from simulations.in_process_grid import Fault, InProcessGrid
from simulations.keys import simulated_identity

OPERATOR = simulated_identity("operator")
ASK = Ask(
    phase=Phase.COLLECT,
    run="1" * 32,
    round=1,
    contract_hash="2" * 64,
    head=Head.genesis("5" * 64, "6" * 64),
    request_hash="3" * 64,
)
ONE, TWO, THREE = 2**63 + 1, 2**63 + 2, 2**63 + 3
NAMES = {TWO: "shop-b", ONE: "shop-a", THREE: "agency"}
MARKER = "marker-49152"

app = ClientApp()


def answer_of(party: str, ask: Ask) -> Reply:
    return Reply(
        party=party,
        role="platform",
        version="0.1.0",
        committee_member=None,
        phase=ask.phase,
        run=ask.run,
        round=ask.round,
        request_hash=ask.request_hash,
        last_round=ask.round,
        head_signature=b"",
        signature=b"",
        payload=b"" if ask.phase is Phase.HELLO else b"sealed by " + party.encode(),
    )


@app.train("collect")
def collect(message: Message, context: object) -> Message:
    party = str(context.node_config["party"])  # type: ignore[attr-defined]
    if party == "broken":
        raise ValueError(MARKER)
    if party == "stranger":
        return Message(RecordDict({MARKER: ConfigRecord({"text": MARKER})}), reply_to=message)
    if party == "refuser":
        refusal = Refusal(
            version=version("fedscore"), party=party, phase=Phase.COLLECT, round=1, code=RefusalCode.DATA
        )
        return Message(encode_answer(refusal), reply_to=message)
    return Message(encode_answer(answer_of(party, decode_ask(message.content))), reply_to=message)


def grid_of(*parties: str, fault: Fault | None = None, at: int = 0) -> InProcessGrid:
    return InProcessGrid(
        app,
        [{"party": party} for party in parties],
        fault=lambda message: fault if message.metadata.dst_node_id == at else None,
    )


def transport_over(grid: InProcessGrid, timeout_seconds: float = 0.05) -> Transport:
    return GridTransport(grid, signer=OPERATOR, poll_seconds=0.01, timeout_seconds=timeout_seconds)


def test_every_ask_gets_the_answer_of_its_own_node() -> None:
    transport = transport_over(grid_of("shop-a", "shop-b", "agency"))

    answers = transport.ask(dict.fromkeys(NAMES, ASK))

    assert transport.addresses() == (ONE, TWO, THREE)
    assert {
        address: answer.party for address, answer in answers.items() if isinstance(answer, Reply)
    } == NAMES


def test_different_asks_reach_different_nodes() -> None:
    asks = {ONE: ASK, TWO: replace(ASK, request_hash="4" * 64)}

    answers = transport_over(grid_of("shop-a", "shop-b", "agency")).ask(asks)

    assert {address: getattr(answer, "request_hash", None) for address, answer in answers.items()} == {
        ONE: "3" * 64,
        TWO: "4" * 64,
    }


def test_nothing_asked_is_nothing_answered() -> None:
    assert transport_over(grid_of("shop-a", "shop-b", "agency"), timeout_seconds=60).ask({}) == {}


def test_a_refusal_is_an_answer() -> None:
    answers = transport_over(grid_of("refuser")).ask({ONE: ASK})

    assert answers[ONE] == Refusal(
        version=version("fedscore"), party="refuser", phase=Phase.COLLECT, round=1, code=RefusalCode.DATA
    )


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.LOSE_REPLY])
def test_a_node_that_does_not_answer_in_time_is_silent_and_the_others_are_heard(fault: Fault) -> None:
    answers = transport_over(grid_of("shop-a", "shop-b", "agency", fault=fault, at=TWO)).ask(
        dict.fromkeys(NAMES, ASK)
    )

    assert answers[TWO] == Silence(reason="no answer within 0.05 seconds")
    assert isinstance(answers[ONE], Reply)


@pytest.mark.parametrize("party", ["broken", "stranger"])
def test_what_a_node_writes_instead_of_an_answer_is_not_repeated(party: str) -> None:
    silence = transport_over(grid_of(party)).ask({ONE: ASK})[ONE]

    assert isinstance(silence, Silence)
    assert MARKER not in silence.reason


def test_an_error_of_flower_is_named_by_its_code() -> None:
    answers = transport_over(grid_of("shop-a", "shop-b", "agency", fault=Fault.ERROR, at=ONE)).ask(
        dict.fromkeys(NAMES, ASK)
    )

    assert answers[ONE] == Silence(reason="Flower reports error 2 instead of an answer")


def test_a_malformed_ask_is_not_sent_to_anybody() -> None:
    grid = grid_of("shop-a", "shop-b", "agency")

    with pytest.raises(ProtocolError, match="32 hexadecimal digits"):
        transport_over(grid).ask({ONE: ASK, TWO: replace(ASK, run="")})

    assert grid.pull_messages(list(grid._replies)) == []


def test_all_answers_at_once_cost_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(_: float) -> None:
        pytest.fail("there was nothing to wait for")

    monkeypatch.setattr(time, "sleep", sleep)

    assert len(transport_over(grid_of("shop-a", "shop-b", "agency")).ask(dict.fromkeys(NAMES, ASK))) == 3


class _SlowGrid(InProcessGrid):
    """Hands out one reply per pull, the last one pushed first, and an unknown one in between."""

    pulls = 0

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        self.pulls += 1
        waiting = list(message_ids)
        (message,) = super().pull_messages(waiting[-1:])
        stray = Message(Error(2, MARKER), reply_to=message)
        stray.metadata.__dict__["_reply_to_message_id"] = "of an earlier run"
        return [stray, message]


def test_answers_that_come_one_by_one_and_out_of_order_are_all_collected() -> None:
    grid = _SlowGrid(app, [{"party": party} for party in ("shop-a", "shop-b", "agency")])
    transport = GridTransport(grid, signer=OPERATOR, poll_seconds=0.001, timeout_seconds=10)

    answers = transport.ask(dict.fromkeys(NAMES, ASK))

    assert grid.pulls == 3
    assert {address: getattr(answer, "party", None) for address, answer in answers.items()} == NAMES


class _RefusingGrid(InProcessGrid):
    """Takes only some of the messages, as Flower's grid over HTTP may."""

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        taken = super().push_messages(messages)
        return [taken[0], None] if self.run.run_id == 1 else []  # type: ignore[list-item]


def test_a_message_that_flower_does_not_take_is_silence() -> None:
    grid = _RefusingGrid(app, [{"party": "shop-a"}, {"party": "shop-b"}])

    answers = transport_over(grid, timeout_seconds=60).ask({ONE: ASK, TWO: ASK})

    assert isinstance(answers[ONE], Reply)
    assert answers[TWO] == Silence(reason="the message could not be handed to Flower")


def test_messages_that_are_too_large_together_are_silence() -> None:
    grid = _RefusingGrid(app, [{"party": "shop-a"}, {"party": "shop-b"}])
    grid.run.run_id = 2

    answers = transport_over(grid, timeout_seconds=60).ask({ONE: ASK, TWO: ASK})

    assert set(answers.values()) == {Silence(reason="the message could not be handed to Flower")}


def test_a_message_lives_no_longer_than_the_wait_for_it() -> None:
    lifetimes = []

    def note(message: Message) -> None:
        lifetimes.append((message.metadata.ttl, message.metadata.group_id))

    transport_over(InProcessGrid(app, [{"party": "shop-a"}], fault=note), timeout_seconds=7).ask({ONE: ASK})

    assert lifetimes == [(7, "1")]


def test_a_stop_ends_the_wait_and_keeps_what_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    transport = GridTransport(
        grid_of("shop-a", "shop-b", "agency", fault=Fault.DROP, at=TWO),
        signer=OPERATOR,
        timeout_seconds=3600,
        stopping=lambda: len(pauses) == 2,
    )

    answers = transport.ask(dict.fromkeys(NAMES, ASK))

    assert len(pauses) == 2
    assert isinstance(answers[ONE], Reply)
    assert isinstance(answers[TWO], Silence)

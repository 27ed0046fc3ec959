"""Whatever happens in a node, the server gets a reply or a code."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from clients.app import app, build_app, node_from_files
from fedscore.errors import NodeConfigError
from fedscore.messages import Ask, Head, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.codec import MESSAGE_TYPES, decode_answer, encode_ask
from simulations.in_process_grid import InProcessGrid

MARKER = "marker-49152"
HELLO = Ask(
    phase=Phase.HELLO,
    run="1" * 32,
    round=0,
    contract_hash="2" * 64,
    head=Head.genesis("4" * 64, "5" * 64),
)
COLLECT = replace(HELLO, phase=Phase.COLLECT, round=1, request_hash="3" * 64)
OPEN = replace(COLLECT, phase=Phase.OPEN, submissions={"shop-a": b"sealed"})
PROVE = replace(OPEN, phase=Phase.PROVE)
ASKS = (HELLO, COLLECT, OPEN, PROVE)


class Echo:
    """A node that answers with what it was asked."""

    def __init__(self, payload: bytes = b"sealed") -> None:
        self.payload = payload

    def answer(self, ask: Ask) -> Reply | Refusal:
        return Reply(
            party="shop-a",
            role="platform",
            version="0.1.0",
            committee_member=None,
            phase=ask.phase,
            run=ask.run,
            round=ask.round,
            request_hash=ask.request_hash,
            last_round=ask.round,
            head_signature=b"",
            signature=bytes(64) if ask.phase is Phase.HELLO else b"",
            payload=b"" if ask.phase is Phase.HELLO else self.payload,
        )


class Raises:
    """A node that breaks its promise not to raise."""

    def answer(self, ask: Ask) -> Reply | Refusal:
        raise ValueError(f"{MARKER} of {ask.run}")


def reply_to(client_app: ClientApp, content: RecordDict, message_type: str) -> Message:
    grid = InProcessGrid(client_app, [{"config": "node.toml"}], serialise=True)
    message = Message(content, grid.get_node_ids()[0], message_type, ttl=60)
    (reply,) = grid.send_and_receive([message])
    return reply


def answer_to(client_app: ClientApp, content: RecordDict, message_type: str) -> Reply | Refusal:
    return decode_answer(reply_to(client_app, content, message_type).content)


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.phase)
def test_every_phase_reaches_the_node(ask: Ask) -> None:
    answer = answer_to(build_app(lambda _: Echo()), encode_ask(ask), MESSAGE_TYPES[ask.phase])

    assert isinstance(answer, Reply)
    assert (answer.phase, answer.request_hash) == (ask.phase, ask.request_hash)


def test_there_is_an_ask_of_every_phase() -> None:
    assert {ask.phase for ask in ASKS} == set(Phase)


def _cannot_load(_: Context) -> Echo:
    raise NodeConfigError(MARKER)


@pytest.mark.parametrize(
    "load_node",
    [_cannot_load, lambda _: Raises(), lambda _: Echo(payload=b""), lambda _: object()],
    ids=["no configuration", "an exception", "an impossible answer", "no node"],
)
def test_a_failure_becomes_a_code_and_its_text_stays_in_the_log(
    load_node: Callable[[Context], Echo], caplog: pytest.LogCaptureFixture
) -> None:
    reply = reply_to(build_app(load_node), encode_ask(COLLECT), MESSAGE_TYPES[Phase.COLLECT])

    assert decode_answer(reply.content) == Refusal(
        party="", phase=Phase.COLLECT, round=0, code=RefusalCode.INTERNAL
    )
    assert MARKER not in str(reply)
    assert [record.levelno for record in caplog.records if record.name == "clients.app"] == [logging.ERROR]


@pytest.mark.parametrize("phase", Phase)
def test_a_message_that_is_no_ask_is_refused_by_its_version(phase: Phase) -> None:
    content = RecordDict({MARKER: ConfigRecord({"text": MARKER})})

    answer = answer_to(build_app(lambda _: Echo()), content, MESSAGE_TYPES[phase])

    assert answer == Refusal(party="", phase=phase, round=0, code=RefusalCode.VERSION)


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.phase)
@pytest.mark.parametrize("phase", Phase)
def test_an_ask_of_another_phase_than_its_message_type_is_refused(ask: Ask, phase: Phase) -> None:
    """What a handler may cost is known by its type: a proof is no hello."""
    answer = answer_to(build_app(lambda _: Echo()), encode_ask(ask), MESSAGE_TYPES[phase])

    if ask.phase is phase:
        assert isinstance(answer, Reply)
    else:
        assert isinstance(answer, Refusal)
        assert (answer.code, answer.phase, answer.round) == (RefusalCode.REQUEST, phase, ask.round)


def test_the_deployed_app_without_a_configuration_refuses() -> None:
    grid = InProcessGrid(app, [{}])
    message = Message(encode_ask(HELLO), grid.get_node_ids()[0], MESSAGE_TYPES[Phase.HELLO], ttl=60)
    (reply,) = grid.send_and_receive([message])

    assert decode_answer(reply.content) == Refusal(
        party="", phase=Phase.HELLO, round=0, code=RefusalCode.INTERNAL
    )


def test_a_node_without_a_configured_path_is_told_what_to_do() -> None:
    context = Context(run_id=1, node_id=2, node_config={}, state=RecordDict(), run_config={})

    with pytest.raises(NodeConfigError, match="start flower-supernode with --node-config"):
        node_from_files(context)


def test_a_phase_imports_nothing_heavy() -> None:
    script = "import sys, clients.app; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    python = [sys.executable, "-W", "ignore", "-c", script]
    loaded = subprocess.run(python, capture_output=True, text=True, check=True, cwd=Path.cwd()).stdout.split()

    assert "flwr" in loaded
    assert not {"torch", "opacus", "sklearn", "scipy", "matplotlib", "lightgbm", "pandas"} & set(loaded)

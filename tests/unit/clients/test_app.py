"""Whatever happens in a node, the server gets a reply or a code."""

from __future__ import annotations

import logging
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from clients.app import app, build_app, node_from_files
from clients.books import NoBooks
from clients.config import DataSource
from clients.loading import load_rows
from clients.node import Node, Submitter
from clients.porter import Porter
from fedscore.contract import Role
from fedscore.data import Rows
from fedscore.errors import (
    BudgetExhausted,
    CiphertextRefused,
    DataError,
    EvidenceDamaged,
    LedgerMismatch,
    NodeConfigError,
    PolicyRefused,
    RoundRefused,
)
from fedscore.learners.agenda import Agenda
from fedscore.messages import ASK_DOMAIN, Ask, Head, Phase, Refusal, RefusalCode, Reply
from fedscore.messages.codec import MESSAGE_TYPES, decode_answer, encode_ask
from privacy.dp.randomness import SystemRandomness
from simulations.in_process_grid import InProcessGrid
from simulations.keys import simulated_identity
from simulations.plain import PlainSealer

if TYPE_CHECKING:
    from tests.unit.clients.conftest import Bench

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
        version=version("fedscore"), party="", phase=Phase.COLLECT, round=0, code=RefusalCode.INTERNAL
    )
    assert MARKER not in str(reply)
    assert [record.levelno for record in caplog.records if record.name == "clients.app"] == [logging.ERROR]


@pytest.mark.parametrize("phase", Phase)
def test_a_message_that_is_no_ask_is_refused_by_its_version(phase: Phase) -> None:
    content = RecordDict({MARKER: ConfigRecord({"text": MARKER})})

    answer = answer_to(build_app(lambda _: Echo()), content, MESSAGE_TYPES[phase])

    assert answer == Refusal(
        version=version("fedscore"), party="", phase=phase, round=0, code=RefusalCode.VERSION
    )


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
        version=version("fedscore"), party="", phase=Phase.HELLO, round=0, code=RefusalCode.INTERNAL
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


# What an exception says stays here, wherever it is raised

KINDS: dict[type[Exception], RefusalCode] = {
    DataError: RefusalCode.DATA,
    LedgerMismatch: RefusalCode.LEDGER,
    EvidenceDamaged: RefusalCode.LEDGER,
    NodeConfigError: RefusalCode.LEDGER,
    BudgetExhausted: RefusalCode.BUDGET,
    RoundRefused: RefusalCode.ROUND,
    CiphertextRefused: RefusalCode.SUBMISSION,
    ValueError: RefusalCode.INTERNAL,
    OSError: RefusalCode.INTERNAL,
    sqlite3.OperationalError: RefusalCode.INTERNAL,
    UnicodeDecodeError: RefusalCode.INTERNAL,
    RecursionError: RefusalCode.INTERNAL,
}
LAYERS = (
    "rows",
    "sealer",
    "memory.load",
    "memory.store",
    "books.charge",
    "books.sent",
    "books.refused",
    "agenda",
)
OPERATOR = simulated_identity("operator")


def error_of(kind: type[Exception]) -> Exception:
    if kind is UnicodeDecodeError:
        return UnicodeDecodeError("utf-8", MARKER.encode(), 0, 1, MARKER)
    return kind(MARKER)


class Spoilt:
    """Something that raises where it is told to, and else is what it stands before."""

    def __init__(self, inner: object, name: str, error: Exception) -> None:
        self._inner, self._name, self._error = inner, name, error

    def __getattr__(self, name: str) -> object:
        if name != self._name:
            return getattr(self._inner, name)

        def fail(*_: object, **__: object) -> object:
            raise self._error

        return fail


def spoilt_node(bench: Bench, make_rows: Callable[[int, int], Rows], layer: str, error: Exception) -> Porter:
    """North behind its porter, with an exception in one layer."""

    def fail(*_: object) -> Any:  # noqa: ANN401 - in the place of anything
        raise error

    def spoilt(name: str, inner: object) -> Any:  # noqa: ANN401 - in the place of anything
        part, _, method = layer.partition(".")
        return Spoilt(inner, method or "seal", error) if part == name else inner

    node = Node(
        name="north",
        contract=bench.contract,
        series=bench.series,
        signer=simulated_identity("north"),
        memory=spoilt("memory", bench.memories["north"]),
        books=spoilt("books", NoBooks()),
        submitter=Submitter(
            load_rows=fail if layer == "rows" else lambda _day: make_rows(5, 0),
            sealer=spoilt("sealer", PlainSealer()),
            randomness=SystemRandomness(),
        ),
        member=None,
        agenda_of=fail if layer == "agenda" else lambda contract, run: Agenda(contract, run=run),
    )
    return Porter(lambda: node, party="north", operator=OPERATOR.public.signing_key)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("layer", LAYERS)
def test_no_text_of_an_exception_leaves_from_any_layer(
    make_bench: Callable[..., Bench],
    make_rows: Callable[[int, int], Rows],
    caplog: pytest.LogCaptureFixture,
    layer: str,
    kind: type[Exception],
) -> None:
    bench = make_bench()
    porter = spoilt_node(bench, make_rows, layer, error_of(kind))
    ask = bench.ask(Phase.COLLECT, version=version("fedscore"))
    if layer == "books.refused":
        ask = replace(ask, request_hash="0" * 64)
    ask = replace(ask, signature=OPERATOR.sign(ASK_DOMAIN, ask.statement()))
    reply = reply_to(build_app(lambda _: porter), encode_ask(ask), MESSAGE_TYPES[Phase.COLLECT])
    answer = decode_answer(reply.content)
    assert isinstance(answer, Refusal)
    expected = KINDS[kind]
    if layer == "books.refused" and kind is DataError:
        expected = RefusalCode.INTERNAL
    assert (answer.party, answer.code) == ("north", expected)
    assert MARKER.encode() not in pickle.dumps(message_bytes(reply))
    assert MARKER not in str(reply)
    assert MARKER in caplog.text, "the owner's own log does not say what happened"


def message_bytes(reply: Message) -> list[tuple[str, object]]:
    """All that a reply carries: its records field by field, and its error."""
    assert not reply.has_error()
    return [
        (f"{name}/{key}", value) for name, record in reply.content.items() for key, value in record.items()
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PolicyRefused(MARKER), RefusalCode.INTERNAL),
        (NodeConfigError(MARKER), RefusalCode.INTERNAL),
        (OSError(2, MARKER, MARKER), RefusalCode.INTERNAL),
        (SystemError(MARKER), RefusalCode.INTERNAL),
    ],
    ids=repr,
)
def test_no_text_leaves_when_the_node_cannot_be_loaded(error: Exception, code: RefusalCode) -> None:
    def load(_: Context) -> Porter:
        raise error

    reply = reply_to(build_app(load), encode_ask(COLLECT), MESSAGE_TYPES[Phase.COLLECT])
    answer = decode_answer(reply.content)
    assert isinstance(answer, Refusal)
    assert (answer.party, answer.code) == ("", code)
    assert MARKER.encode() not in pickle.dumps(message_bytes(reply))


def test_a_canary_in_rows_and_in_the_name_of_their_file_stays_here(
    make_bench: Callable[..., Bench], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The reader's messages name files and columns, for the owner's own log."""
    bench = make_bench()
    file = tmp_path / f"{MARKER}.csv"
    file.write_text(f"id,utilisation,late_payments,segment,y\n1,{MARKER},0,card,0\n")
    source = DataSource.model_validate({"table": file}, context={"folder": tmp_path})
    node = Node(
        name="north",
        contract=bench.contract,
        series=bench.series,
        signer=simulated_identity("north"),
        memory=bench.memories["north"],
        books=NoBooks(),
        submitter=Submitter(
            load_rows=lambda day: load_rows(source, bench.contract, role=Role.PLATFORM, day=day),
            sealer=PlainSealer(),
            randomness=SystemRandomness(),
        ),
        member=None,
    )
    reply = reply_to(
        build_app(lambda _: node), encode_ask(bench.ask(Phase.COLLECT)), MESSAGE_TYPES[Phase.COLLECT]
    )
    answer = decode_answer(reply.content)
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.DATA
    assert MARKER.encode() not in pickle.dumps(message_bytes(reply))
    assert "data-refused" in caplog.text

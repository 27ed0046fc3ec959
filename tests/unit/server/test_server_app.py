"""A run leaves a record and, if it came to an end, a card; what fails says so in the record."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from fedscore.card import Card
from fedscore.card.signing import read_card
from fedscore.contract import Contract
from fedscore.errors import (
    CardError,
    FedscoreError,
    LayoutError,
    NodeConfigError,
    RunFailed,
    RunOver,
    RunStopped,
)
from fedscore.learners.agenda import Agenda
from fedscore.sums.series import KeySeries
from privacy.identities import Identity
from privacy.paillier.ceremony import unsafe_deal_from_primes
from server import app as server_app
from server.app import app, run_once
from server.checkpoint import Checkpoint, Stage
from server.chronicle import FileChronicle
from server.config import ServerConfig
from server.coordinator import Coordinator, RunResult
from server.operations import request_stop, status_of
from server.record import RunStatus
from server.transport import Transport
from server.workplace import Workplace
from simulations.in_process_grid import InProcessGrid
from simulations.keys import SimulatedKeys, committee_names, record_of
from simulations.loopback.parties import as_toml
from tests.cards import plain_card

MARKER = "marker-49152"
CARD = plain_card(intercept_points=1.0)
RESULT = RunResult(
    trained=CARD,
    openings=(np.zeros(2, np.int64),),
    values_per_party=12,
    bytes_per_party=345,
    abandoned=1,
    liars=("south",),
    transcript="ab" * 32,
    round=2,
)


class FakeCoordinator:
    """Takes a round, opens two sums, notices something, and ends as it is told."""

    run_id = "1" * 32
    ending: BaseException | None = None
    has_asked = True
    made_with: ClassVar[dict[str, Any]] = {}

    def __init__(self, *, transport: Transport, observer: Any, **others: Any) -> None:  # noqa: ANN401 - a stand-in
        self.transport = transport
        self.observer = observer
        FakeCoordinator.made_with = others

    def run(self) -> RunResult:
        if not FakeCoordinator.has_asked:
            raise RunFailed("nobody is there")
        FakeCoordinator.made_with["checkpoints"].store(checkpoint_of(FakeCoordinator.made_with["contract"]))
        for number in (1, 2):
            self.observer.round_opened("histogram", number, 9)
            self.observer.noticed(f"{number}: committee member south is silent")
        if FakeCoordinator.ending is not None:
            raise FakeCoordinator.ending
        return RESULT


def checkpoint_of(contract: Contract) -> Checkpoint:
    """Where a run stands whose first sum was opened."""
    chronicle = FakeCoordinator.made_with["chronicle"]
    return Checkpoint(
        run="1" * 32,
        contract_hash=contract.hash(),
        standing=chronicle.load().after(2),
        round=2,
        stage=Stage.COLLECT,
        parties=frozenset(contract.parties_by_name),
        openings=(np.zeros(Agenda(contract, run="1" * 32).requests[0].dimension, np.int64),),
    )


@pytest.fixture
def contract(tiny_contract: Contract, small_keys: SimulatedKeys) -> Contract:
    return tiny_contract.with_encryption(ceremony=small_keys.record.hash())


@pytest.fixture
def config(
    tmp_path: Path, contract: Contract, small_keys: SimulatedKeys, monkeypatch: pytest.MonkeyPatch
) -> ServerConfig:
    monkeypatch.setattr(server_app, "Coordinator", FakeCoordinator)
    monkeypatch.setattr(FakeCoordinator, "ending", None)
    monkeypatch.setattr(FakeCoordinator, "has_asked", True)
    (tmp_path / "contract.toml").write_text(as_toml(contract.model_dump(mode="json")), encoding="utf-8")
    (tmp_path / "ceremony.json").write_text(small_keys.record.to_json(), encoding="utf-8")
    (tmp_path / "identity.json").write_text(Identity.generate("operator").to_json(), encoding="utf-8")
    return ServerConfig(
        contract=tmp_path / "contract.toml",
        ceremony=tmp_path / "ceremony.json",
        identity=tmp_path / "identity.json",
        state=tmp_path / "state",
        join_seconds=0.05,
    )


def grid_of(nodes: int) -> InProcessGrid:
    return InProcessGrid(ClientApp(), [{}] * nodes)


def record_in(config: ServerConfig) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((config.state / "run.json").read_text(encoding="utf-8"))
    return record


def assert_signed_by_the_operator(config: ServerConfig) -> None:
    identity = Identity.from_json(config.identity.read_text(encoding="utf-8"))
    path = config.state / "card.json"
    card = read_card(path, signer=identity.public.signing_key.hex())
    assert read_card(path, signer=None) == card
    assert card.provenance is not None
    assert (card.provenance.run, card.provenance.transcript, card.provenance.round) == (
        "1" * 32,
        "ab" * 32,
        2,
    )
    assert dt.datetime.fromisoformat(card.provenance.finished).tzinfo is not None
    assert card.model_copy(update={"provenance": None, "signature": None}) == CARD


def test_a_finished_run_leaves_a_card_and_a_record(config: ServerConfig, contract: Contract) -> None:
    run_once(grid_of(3), config)

    assert_signed_by_the_operator(config)
    assert record_in(config) == {
        "run": "1" * 32,
        "status": "finished",
        "contract_hash": contract.hash(),
        "rounds_opened": 2,
        "rounds": 9,
        "reason": "",
        "values_per_party": 12,
        "bytes_per_party": 345,
        "rounds_abandoned": 1,
        "liars": ["south"],
        "noticed": ["1: committee member south is silent", "2: committee member south is silent"],
    }
    assert sorted(path.name for path in config.state.iterdir()) == [
        "card.json",
        "card.signer.json",
        "run.json",
        "run.lock",
    ]


@pytest.mark.parametrize(
    ("ending", "status", "reason"),
    [
        (RunFailed("two of three answered"), "interrupted", "two of three answered"),
        (OSError(MARKER), "interrupted", "an internal error: the server's log has its text"),
        (SystemExit(143), "interrupted", "its process was told to end"),
        (RunOver("overtaken"), "failed", "overtaken"),
        (LayoutError("out of bounds"), "failed", "out of bounds"),
        (RunStopped("the operator ended it"), "stopped", "the operator ended it"),
    ],
)
def test_a_run_that_does_not_come_to_its_end_says_why_and_leaves_no_card_of_an_earlier_one(
    config: ServerConfig,
    monkeypatch: pytest.MonkeyPatch,
    ending: BaseException,
    status: str,
    reason: str,
) -> None:
    run_once(grid_of(3), config)
    monkeypatch.setattr(FakeCoordinator, "ending", ending)

    with pytest.raises(type(ending)):
        run_once(grid_of(3), config)

    record = record_in(config)
    assert (record["status"], record["reason"], record["rounds_opened"]) == (status, reason, 2)
    with pytest.raises(CardError, match="cannot be read"):
        Card.read(config.state / "card.json")
    # It was paid for, and is kept beside.
    assert Card.read(config.state / f"card-{'1' * 12}.json").contract_hash
    # Only an interrupted run is in the way of the next one, or can be resumed.
    monkeypatch.setattr(FakeCoordinator, "ending", None)
    is_open = status == "interrupted"
    assert status_of(config.state).resumable is is_open
    if is_open:
        with pytest.raises(
            NodeConfigError, match=f"run {'1' * 32} was interrupted: `fedscore server resume`"
        ):
            run_once(grid_of(3), config)
        assert record_in(config) == record
    run_once(grid_of(3), config, resume=is_open)
    assert record_in(config)["status"] == "finished"


def test_where_nothing_was_asked_for_a_run_has_failed(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCoordinator, "has_asked", False)

    with pytest.raises(RunFailed):
        run_once(grid_of(3), config)

    assert record_in(config)["status"] == "failed"
    with pytest.raises(
        NodeConfigError, match="there is nothing to resume: begin one with `fedscore server run`"
    ):
        run_once(grid_of(3), config, resume=True)
    assert record_in(config)["reason"] == "nobody is there"


def test_a_resumed_run_goes_on_from_its_checkpoint_and_with_its_record(
    config: ServerConfig, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCoordinator, "ending", RunFailed("two of three answered"))
    with pytest.raises(RunFailed):
        run_once(grid_of(3), config)
    first = FakeCoordinator.made_with
    assert first["resume"] is None
    monkeypatch.setattr(FakeCoordinator, "ending", None)

    run_once(grid_of(3), config, resume=True)

    resumed = FakeCoordinator.made_with["resume"]
    assert (resumed.run, resumed.round, resumed.contract_hash) == ("1" * 32, 2, contract.hash())
    record = record_in(config)
    assert (record["status"], record["reason"], len(record["noticed"])) == ("finished", "", 4)
    assert not (config.state / "checkpoint.json").exists()


@pytest.mark.parametrize("left", ["nothing", "running", "damaged"])
def test_a_process_that_was_killed_leaves_a_run_to_be_resumed(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """Its record is as the last note left it, or was lost."""
    monkeypatch.setattr(FakeCoordinator, "ending", RunFailed("two of three answered"))
    with pytest.raises(RunFailed):
        run_once(grid_of(3), config)
    monkeypatch.setattr(FakeCoordinator, "ending", None)
    file = config.state / "run.json"
    contents = {"running": json.dumps({**record_in(config), "status": "running"}), "damaged": "{"}
    file.unlink()
    if left in contents:
        file.write_text(contents[left], encoding="utf-8")

    report = status_of(config.state)
    with pytest.raises(NodeConfigError, match=f"run {'1' * 32} was interrupted"):
        run_once(grid_of(3), config)
    run_once(grid_of(3), config, resume=True)

    assert report.record is not None
    assert (report.record.status, report.resumable) == (RunStatus.INTERRUPTED, True)
    assert report.record.reason.startswith("its process ended without a word")
    assert record_in(config)["status"] == "finished"


def test_a_damaged_checkpoint_is_refused_until_the_run_is_ended(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCoordinator, "ending", RunFailed("two of three answered"))
    with pytest.raises(RunFailed):
        run_once(grid_of(3), config)
    monkeypatch.setattr(FakeCoordinator, "ending", None)
    (config.state / "checkpoint.json").write_text(MARKER, encoding="utf-8")

    with pytest.raises(NodeConfigError, match=r"checkpoint\.json is damaged.*`fedscore server stop`"):
        run_once(grid_of(3), config, resume=True)

    record = record_in(config)
    assert (record["status"], MARKER in record["reason"]) == ("interrupted", False)
    assert not status_of(config.state).resumable
    assert request_stop(config.state).record is not None
    run_once(grid_of(3), config)
    assert record_in(config)["status"] == "finished"


def test_what_an_ended_run_knows_of_the_transcript_is_kept(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died between its checkpoint and the chronicle, and was ended there."""
    monkeypatch.setattr(FakeCoordinator, "ending", RunFailed("two of three answered"))
    with pytest.raises(RunFailed):
        run_once(grid_of(3), config)
    chronicle = FakeCoordinator.made_with["chronicle"]
    assert chronicle.load().round == 0
    request_stop(config.state)
    monkeypatch.setattr(FakeCoordinator, "ending", None)

    run_once(grid_of(3), config)

    assert chronicle.load().round == 2
    assert FakeCoordinator.made_with["resume"] is None


def test_a_second_run_in_the_folder_is_refused_and_touches_nothing(config: ServerConfig) -> None:
    run_once(grid_of(3), config)
    before = record_in(config)

    with (
        Workplace(config.state).taken(),
        pytest.raises(NodeConfigError, match=r"another process is at work in .*state: one run at a time"),
    ):
        run_once(grid_of(3), config)

    assert record_in(config) == before
    assert_signed_by_the_operator(config)


def test_a_stop_ends_the_wait_for_nodes_and_the_run(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_app, "Coordinator", Coordinator)
    grid = grid_of(1)
    place = Workplace(config.state)

    def stop() -> list[int]:
        assert status_of(config.state).at_work
        assert request_stop(config.state).stopping
        return [1]

    monkeypatch.setattr(grid, "get_node_ids", stop)

    with pytest.raises(RunStopped):
        run_once(grid, config.model_copy(update={"join_seconds": 600.0}))

    assert record_in(config)["status"] == "stopped"
    assert not place.is_taken()


def test_a_sign_that_an_earlier_process_missed_stops_nobody(config: ServerConfig) -> None:
    config.state.mkdir()
    Workplace(config.state).ask_to_stop()

    run_once(grid_of(3), config)

    assert record_in(config)["status"] == "finished"
    assert not Workplace(config.state).must_stop()


def test_too_few_nodes_leave_a_new_run_failed_and_a_resumed_one_interrupted(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCoordinator, "ending", RunFailed("two of three answered"))
    with pytest.raises(RunFailed):
        run_once(grid_of(3), config)
    monkeypatch.setattr(server_app, "Coordinator", Coordinator)
    monkeypatch.setattr(server_app, "GridTransport", Nobody)

    with pytest.raises(RunFailed, match="the run can be resumed"):
        run_once(grid_of(3), config, resume=True)
    assert (record_in(config)["status"], record_in(config)["rounds_opened"]) == ("interrupted", 1)

    request_stop(config.state)
    with pytest.raises(RunFailed, match="nothing was asked for yet"):
        run_once(grid_of(3), config)
    assert record_in(config)["status"] == "failed"


class Nobody:
    """A transport that reaches nobody."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def addresses(self) -> tuple[int, ...]:
        return ()

    def ask(self, asks: dict[int, Any]) -> dict[int, Any]:
        assert not asks
        return {}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("contract.toml", "version = 1"),
        ("ceremony.json", '{"n": "' + MARKER + '"}'),
        ("state/transcript-0000.json", MARKER),
    ],
)
def test_a_run_that_cannot_begin_says_why(
    config: ServerConfig,
    small_keys: SimulatedKeys,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    content: str,
) -> None:
    monkeypatch.setattr(server_app, "Coordinator", Coordinator)
    config.state.mkdir()
    file = file.replace("0000", small_keys.record.public_key.key_id[:16])
    (config.contract.parent / file).write_text(content, encoding="utf-8")

    with pytest.raises(FedscoreError) as refused:
        run_once(grid_of(3), config)

    record = record_in(config)
    assert (record["status"], record["reason"], record["run"]) == ("failed", str(refused.value), "")
    assert MARKER not in record["reason"]


def test_the_record_of_another_ceremony_is_refused(
    config: ServerConfig, contract: Contract, small_keys: SimulatedKeys
) -> None:
    other = contract.with_encryption(ceremony="0" * 64)
    config.contract.write_text(as_toml(other.model_dump(mode="json")), encoding="utf-8")

    with pytest.raises(NodeConfigError, match="record of another ceremony than the one that the contract"):
        run_once(grid_of(3), config)

    assert record_in(config)["status"] == "failed"
    assert small_keys.record.public_key.key_id[:16] not in [path.name for path in config.state.iterdir()]


def test_the_coordinator_gets_the_keys_transcript_from_the_state_folder(
    config: ServerConfig, contract: Contract, small_keys: SimulatedKeys
) -> None:
    run_once(grid_of(3), config)

    made = FakeCoordinator.made_with
    assert made["contract"] == contract
    assert made["series"] == KeySeries.of(small_keys.record)
    assert made["combiner"].threshold == 2
    assert isinstance(made["chronicle"], FileChronicle)
    made["chronicle"].store(made["chronicle"].load())
    assert (config.state / f"transcript-{small_keys.record.public_key.key_id[:16]}.json").is_file()


def arrivals_of(grid: InProcessGrid, counts: list[int], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lets nodes connect from poll to poll; what is left in the list was not waited for."""
    everybody = grid.get_node_ids()
    monkeypatch.setattr(grid, "get_node_ids", lambda: everybody[: counts.pop(0)])
    monkeypatch.setattr(server_app, "_JOIN_POLL_SECONDS", 0.0)
    return counts


def test_the_server_waits_for_as_many_nodes_as_there_are_parties(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = grid_of(3)
    left = arrivals_of(grid, [1, 2, 3], monkeypatch)

    run_once(grid, config.model_copy(update={"join_seconds": 60.0}))

    assert left == []


def test_the_server_waits_for_the_committees_auditors_too(
    config: ServerConfig,
    contract: Contract,
    known_primes: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contract = contract.with_encryption(committee={"members": 5, "threshold": 3, "colluding_members": 1})
    keys = record_of(contract, unsafe_deal_from_primes(*known_primes, members=5, threshold=3))
    assert set(committee_names(contract, 5)) - contract.parties_by_name.keys() == {"auditor-1", "auditor-2"}
    contract = contract.with_encryption(ceremony=keys.record.hash())
    config.contract.write_text(as_toml(contract.model_dump(mode="json")), encoding="utf-8")
    config.ceremony.write_text(keys.record.to_json(), encoding="utf-8")
    grid = grid_of(5)
    left = arrivals_of(grid, [3, 4, 5], monkeypatch)

    run_once(grid, config.model_copy(update={"join_seconds": 60.0}))

    assert left == []


def test_too_few_nodes_are_left_to_the_coordinator(config: ServerConfig) -> None:
    assert run_once(grid_of(1), config) is RESULT


def context_of(run_config: dict[str, Any]) -> Context:
    return Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=run_config)


@pytest.mark.parametrize("run_config", [{}, {"config": ""}, {"config": 7}])
def test_a_run_without_a_configured_path_is_told_what_to_do(run_config: dict[str, Any]) -> None:
    with pytest.raises(NodeConfigError, match="start the run with --run-config"):
        app(grid_of(1), context_of(run_config))


@pytest.mark.parametrize("resume", [None, False, True, "yes"])
def test_the_app_runs_with_the_configuration_that_the_run_names(
    config: ServerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: object
) -> None:
    if resume:
        monkeypatch.setattr(FakeCoordinator, "ending", RunFailed("two of three answered"))
        with pytest.raises(RunFailed):
            run_once(grid_of(3), config)
        monkeypatch.setattr(FakeCoordinator, "ending", None)
    content = {
        "contract": "contract.toml",
        "ceremony": "ceremony.json",
        "identity": "identity.json",
        "state": "state",
        "join_seconds": 0.05,
    }
    (tmp_path / "server.toml").write_text(as_toml(content), encoding="utf-8")

    named = {"config": str(tmp_path / "server.toml")}
    app(grid_of(3), context_of(named if resume is None else {**named, "resume": resume}))

    assert record_in(config)["status"] == "finished"

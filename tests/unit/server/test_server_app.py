"""A run leaves a record and, if it came to an end, a card; what fails says so in the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from fedscore.card import Card, Scale
from fedscore.contract import Contract
from fedscore.errors import CardError, FedscoreError, NodeConfigError, RunFailed
from privacy.paillier.keys import PublicKey
from server import app as server_app
from server.app import app, run_once
from server.config import CommitteeSize, ServerConfig
from server.coordinator import RunResult
from server.transport import Transport
from simulations.in_process_grid import InProcessGrid
from simulations.loopback.parties import as_toml

MARKER = "marker-49152"
MODULUS = (2**1279 - 1) * (2**2203 - 1)  # two primes that everybody knows; nothing is encrypted here
CARD = Card(
    software_version="0",
    contract_hash="0" * 64,
    contract_name="tiny",
    outcome="bad",
    scale=Scale(),
    intercept_points=1.0,
    characteristics=(),
    interactions=(),
)
RESULT = RunResult(
    card=CARD,
    openings=(np.zeros(2, np.int64),),
    values_per_party=12,
    bytes_per_party=345,
)


class FakeCoordinator:
    """Opens two sums, and ends as it is told."""

    run_id = "1" * 32
    ending: Exception | None = None

    def __init__(self, *, transport: Transport, observer: Any, **_: Any) -> None:  # noqa: ANN401 - a stand-in
        self.transport = transport
        self.observer = observer

    def run(self) -> RunResult:
        for number in (1, 2):
            self.observer.round_opened("histogram", number, 9)
        if FakeCoordinator.ending is not None:
            raise FakeCoordinator.ending
        return RESULT


@pytest.fixture
def config(tmp_path: Path, tiny_contract: Contract, monkeypatch: pytest.MonkeyPatch) -> ServerConfig:
    monkeypatch.setattr(server_app, "Coordinator", FakeCoordinator)
    monkeypatch.setattr(FakeCoordinator, "ending", None)
    (tmp_path / "contract.toml").write_text(as_toml(tiny_contract.model_dump(mode="json")), encoding="utf-8")
    (tmp_path / "public_key.json").write_text(PublicKey(MODULUS).to_json(), encoding="utf-8")
    return ServerConfig(
        contract=tmp_path / "contract.toml",
        public_key=tmp_path / "public_key.json",
        committee=CommitteeSize(members=1, threshold=1),
        state=tmp_path / "state",
        join_seconds=0.05,
    )


def grid_of(nodes: int) -> InProcessGrid:
    return InProcessGrid(ClientApp(), [{}] * nodes)


def record_in(config: ServerConfig) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((config.state / "run.json").read_text(encoding="utf-8"))
    return record


def test_a_finished_run_leaves_a_card_and_a_record(config: ServerConfig, tiny_contract: Contract) -> None:
    run_once(grid_of(3), config)

    assert Card.read(config.state / "card.json") == CARD
    assert record_in(config) == {
        "run": "1" * 32,
        "status": "finished",
        "contract_hash": tiny_contract.hash(),
        "rounds_opened": 2,
        "reason": "",
        "values_per_party": 12,
        "bytes_per_party": 345,
    }
    assert sorted(path.name for path in config.state.iterdir()) == ["card.json", "run.json"]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (RunFailed("two of three answered"), "two of three answered"),
        (ValueError(MARKER), "an internal error: the server's log has its text"),
    ],
)
def test_a_failed_run_says_why_and_leaves_no_card_of_an_earlier_one(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch, ending: Exception, reason: str
) -> None:
    run_once(grid_of(3), config)
    monkeypatch.setattr(FakeCoordinator, "ending", ending)

    with pytest.raises(type(ending)):
        run_once(grid_of(3), config)

    record = record_in(config)
    assert (record["status"], record["reason"], record["rounds_opened"]) == ("failed", reason, 2)
    with pytest.raises(CardError, match="cannot be read"):
        Card.read(config.state / "card.json")


@pytest.mark.parametrize(
    ("file", "content"), [("contract.toml", "version = 1"), ("public_key.json", '{"n": "' + MARKER + '"}')]
)
def test_a_run_that_cannot_begin_says_why(config: ServerConfig, file: str, content: str) -> None:
    (config.contract.parent / file).write_text(content, encoding="utf-8")

    with pytest.raises(FedscoreError) as refused:
        run_once(grid_of(3), config)

    record = record_in(config)
    assert (record["status"], record["reason"], record["run"]) == ("failed", str(refused.value), "")
    assert MARKER not in record["reason"]


def test_the_server_waits_for_as_many_nodes_as_there_are_parties(
    config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = grid_of(3)
    arrivals = iter([1, 2, 3])
    everybody = grid.get_node_ids()
    monkeypatch.setattr(grid, "get_node_ids", lambda: everybody[: next(arrivals)])
    monkeypatch.setattr(server_app, "_JOIN_POLL_SECONDS", 0.0)

    run_once(grid, config.model_copy(update={"join_seconds": 60.0}))

    assert list(arrivals) == []


def test_too_few_nodes_are_left_to_the_coordinator(config: ServerConfig) -> None:
    assert run_once(grid_of(1), config) is RESULT


def context_of(run_config: dict[str, Any]) -> Context:
    return Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=run_config)


@pytest.mark.parametrize("run_config", [{}, {"config": ""}, {"config": 7}])
def test_a_run_without_a_configured_path_is_told_what_to_do(run_config: dict[str, Any]) -> None:
    with pytest.raises(NodeConfigError, match="start the run with --run-config"):
        app(grid_of(1), context_of(run_config))


def test_the_app_runs_with_the_configuration_that_the_run_names(config: ServerConfig, tmp_path: Path) -> None:
    content = {
        "contract": "contract.toml",
        "public_key": "public_key.json",
        "state": "state",
        "committee": {"members": 1, "threshold": 1},
        "join_seconds": 0.05,
    }
    (tmp_path / "server.toml").write_text(as_toml(content), encoding="utf-8")

    app(grid_of(3), context_of({"config": str(tmp_path / "server.toml")}))

    assert record_in(config)["status"] == "finished"

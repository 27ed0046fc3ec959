"""The server's side of watching a card: which card it takes, what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flwr.clientapp import ClientApp

from fedscore.card import Card
from fedscore.contract import Contract, Role
from fedscore.errors import CardError
from fedscore.monitoring import Layout, MonitoringReport, Past, monitoring_report
from fedscore.monitoring.counts import ExactCounts
from privacy.identities import Identity
from server import app as server_app
from server.app import run_once
from server.config import ServerConfig, load_server_config
from server.coordinator import RunResult
from simulations.in_process_grid import InProcessGrid
from simulations.keys import keyed, record_of
from simulations.loopback.parties import as_toml
from tests.conftest import known_ceremony
from tests.watching import card_and_contract, customers


def report_of(card: Card, contract: Contract) -> MonitoringReport:
    layout = Layout(card)
    exact = ExactCounts(layout=layout)
    rows = customers(1, Role.PLATFORM, count=500)
    exact.add(rows.cells, rows.outcome.astype(float))
    return monitoring_report(layout, exact.counts, Past.of_card(layout), contract=contract)


class FakeCoordinator:
    """Derives the run's program, and ends with a report."""

    run_id = "1" * 32

    def __init__(self, *, contract: Contract, agenda_of: Any, **_others: Any) -> None:  # noqa: ANN401 - a stand-in
        self.contract = contract
        self.agenda = agenda_of(contract, self.run_id)

    def run(self) -> RunResult:
        # Only with the card there is a first sum.
        self.agenda.next_sum([])
        return RunResult(
            trained=report_of(card_and_contract()[0], self.contract),
            openings=(),
            values_per_party=1,
            bytes_per_party=1,
            abandoned=0,
            liars=(),
            transcript="ab" * 32,
            round=4,
        )


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerConfig:
    monkeypatch.setattr(server_app, "Coordinator", FakeCoordinator)
    card, contract = card_and_contract()
    committee = {"members": 5, "threshold": 3, "colluding_members": 1}
    contract = keyed(contract.with_encryption(key_bits=2048, committee=committee))
    record = record_of(contract, known_ceremony(members=5, threshold=3)).record
    contract = contract.with_encryption(ceremony=record.hash())
    (tmp_path / "contract.toml").write_text(as_toml(contract.model_dump(mode="json")), encoding="utf-8")
    (tmp_path / "ceremony.json").write_text(record.to_json(), encoding="utf-8")
    (tmp_path / "identity.json").write_text(Identity.generate("operator").to_json(), encoding="utf-8")
    card.write(tmp_path / "card.json")
    (tmp_path / "server.toml").write_text(
        'contract = "contract.toml"\ncard = "card.json"\nceremony = "ceremony.json"\n'
        'identity = "identity.json"\nstate = "state"\njoin_seconds = 0.05\n',
        encoding="utf-8",
    )
    return load_server_config(tmp_path / "server.toml")


def grid() -> InProcessGrid:
    return InProcessGrid(ClientApp(), [{}] * 5)


def test_a_run_leaves_a_report_that_says_where_it_comes_from(config: ServerConfig) -> None:
    run_once(grid(), config)
    report = MonitoringReport.read(config.state / "monitoring.json")
    assert report.card == card_and_contract()[0].fingerprint
    assert report.provenance is not None
    assert (report.provenance.run, report.provenance.round) == ("1" * 32, 4)
    assert json.loads((config.state / "run.json").read_text())["status"] == "finished"
    # A report is opened numbers, and no card: nothing that scores lies there.
    assert not (config.state / "card.json").exists()


@pytest.mark.parametrize("left", ["nothing", "another"])
def test_without_the_card_nobody_is_asked(config: ServerConfig, left: str) -> None:
    other = card_and_contract()[0].model_copy(update={"purpose": "another"})
    if left == "another":
        assert config.card is not None
        other.write(config.card)
    else:
        config = config.model_copy(update={"card": None})
    with pytest.raises(CardError) as refused:
        run_once(grid(), config)
    record = json.loads((config.state / "run.json").read_text())
    assert (record["status"], record["reason"]) == ("failed", str(refused.value))
    assert not (config.state / "monitoring.json").exists()

"""Both orchestrations from their arguments to their files, small and unencrypted."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fedscore.card import Card
from fedscore.contract import CommitteeTerms, Contract
from fedscore.errors import MissingExtra, ScenarioError
from fedscore.learners.neural.model import NeuralModel
from fedscore.metrics import auc
from simulations import demo, lightgbm_ceiling, methods, preparing, simulate
from simulations.dealing import deal_rows, read_ground
from simulations.federation import EncryptionMode
from simulations.keys import SimulatedKeys
from simulations.lookup import find_contract, find_data
from simulations.runner import Task
from simulations.scenario import load_scenario

Keys = Callable[[Contract], SimulatedKeys]


WRITTEN = {
    *("results.json", "results.csv", "parties.csv", "timings.json", "report.html"),
    *("frontier.png", "frontier.svg", "frontier.csv"),
}


class Log:
    """Keeps what a watcher is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.jobs = 0
        self.found = 0
        self.done: list[Task] = []
        self.rounds: list[int] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def started(self, jobs: int, found: int) -> None:
        self.jobs, self.found = jobs, found

    def finished(self, job: Task) -> None:
        self.done.append(job)

    def round_opened(self, name: str, number: int, rounds: int) -> None:
        assert name
        assert number <= rounds
        self.rounds.append(number)

    def noticed(self, what: str) -> None:
        pytest.fail(what)


def test_a_scenario_becomes_files_that_agree(small_experiment: Path, tmp_path: Path) -> None:
    log = Log()
    simulated = simulate.simulate(str(small_experiment), out=tmp_path / "out", watcher=log, workers=1)
    results, folder = simulated.results, simulated.folder
    assert folder == tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == {*WRITTEN, "card.json", "card.signer.json", "jobs"}
    document = json.loads((folder / "results.json").read_text())
    assert document == json.loads(results.to_json())
    assert len(document["runs"]) == log.jobs == len(log.done) == 2 * (2 + 1 + 1 + 2)
    assert document["scenario"]["name"] == "small_experiment"
    assert document["scenario"]["privacy"]["epsilon"] == [2.0, 8.0]
    assert len((folder / "results.csv").read_text().splitlines()) == len(document["runs"]) + 1

    first = document["runs"][0]
    assert (first["baseline"], first["seed"], first["epsilon"]) == (None, 1, 2.0)
    loaded = load_scenario(small_experiment)
    contract = find_contract(loaded)
    (origin,) = document["origins"]
    assert origin["contract_hash"] == contract.hash()
    assert origin["data_sha256"] == hashlib.sha256(find_data(loaded).read_bytes()).hexdigest()
    test = deal_rows(read_ground(loaded.terms, contract, find_data(loaded)), seed=1).pooled_test
    card = Card.read(folder / "card.json")
    assert auc(test.outcome, card.probability(test.cells)) == first["auc"]


def test_an_audit_is_a_job_like_the_others(small_experiment: Path, tmp_path: Path) -> None:
    settings = ("baselines=[]", "split.seeds=[1]", "audit={runs=1, trainings=0, shadows=0}")
    log = Log()
    first = simulate.simulate(str(small_experiment), out=tmp_path, overrides=settings, watcher=log, workers=1)
    assert (log.jobs, log.found) == (4, 0)
    assert [audit.epsilon for audit in first.results.audits] == [2.0, 8.0]
    document = json.loads((tmp_path / "results.json").read_text())
    assert [audit["verdict"] for audit in document["audits"]] == [
        audit.verdict for audit in first.results.audits
    ]
    again = simulate.simulate(str(small_experiment), out=tmp_path, overrides=settings, watcher=log)
    assert (log.jobs, log.found) == (4, 4)
    assert again.results == first.results


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            ("audit={records=900, outliers=40}",),
            "the audit's pool asks for 940 records, and there are 630 training rows",
        ),
        (("audit={}", "learner={name='neural', hidden=[3], one_in=4}"), "sums over samples"),
    ],
)
def test_an_audit_that_cannot_be_is_refused_before_anything_is_trained(
    small_experiment: Path, tmp_path: Path, settings: tuple[str, ...], told: str
) -> None:
    log = Log()
    settings = ("baselines=[]", *settings)
    with pytest.raises(ScenarioError, match=told):
        simulate.simulate(str(small_experiment), out=tmp_path, overrides=settings, watcher=log)
    swept = (*settings, "sweep.privacy.noise=['none', 'shared']")
    with pytest.raises(ScenarioError, match=told):
        simulate.simulate(str(small_experiment), out=tmp_path, overrides=swept, watcher=log)
    assert log.jobs == 0
    assert list(tmp_path.iterdir()) == []


NEURAL = ("learner={name='neural', hidden=[3], rounds=2}", "split.seeds=[1]", "privacy.epsilon=[8]")


def test_a_neural_scenario_writes_a_model_in_place_of_a_card(small_experiment: Path, tmp_path: Path) -> None:
    simulated = simulate.simulate(
        str(small_experiment),
        out=tmp_path,
        overrides=[*NEURAL, "baselines=['pooled-no-noise']"],
        watcher=Log(),
        workers=1,
    )
    results, folder = simulated.results, simulated.folder
    assert {path.name for path in folder.iterdir()} == {*WRITTEN, "model.json", "jobs"}
    loaded = load_scenario(small_experiment, NEURAL)
    ground = read_ground(loaded.terms, find_contract(loaded), find_data(loaded))
    test = deal_rows(ground, seed=1).pooled_test
    model = NeuralModel.read(folder / "model.json")
    assert model.contract_hash == ground.contract.with_privacy(epsilon=8.0).hash()
    own = results.runs[0]
    assert (own.learner, own.rounds) == ("neural", 3)
    assert auc(test.outcome, model.probability(test.cells)) == own.auc
    page = (folder / "report.html").read_text()
    assert "federated neural model under differential privacy" in page
    assert "hidden layer of 3 rectified units" in page


@pytest.mark.parametrize(
    "settings", [("learner.name='neural'", "baselines=[]"), ("baselines=['naive-flower-opacus']",)]
)
def test_torch_is_asked_for_before_anything_is_read(
    small_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...]
) -> None:
    def no_torch() -> None:
        raise MissingExtra("pip install")

    monkeypatch.setattr(preparing, "require_neural_extra", no_torch)
    with pytest.raises(MissingExtra):
        simulate.simulate(str(small_experiment), out=tmp_path, overrides=settings, watcher=Log())
    assert list(tmp_path.iterdir()) == []


def test_a_scorecards_scenario_never_waits_for_torch_or_opacus(
    small_experiment: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from fedscore.cli.main import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "sys.exit(bool({'torch', 'opacus'} & sys.modules.keys()))"
    )
    arguments = ["simulate", str(small_experiment), "--out", str(tmp_path), "--json"]
    # One job, so that it is done in this process.
    for setting in ("split.seeds=[1]", "privacy.epsilon=[8]", "baselines=[]"):
        arguments += ["--set", setting]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"][0]["learner"] == "scorecard"


def test_an_encrypted_scenario_holds_its_key_ceremony_first(
    small_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known_keys: Keys
) -> None:
    asked: list[tuple[CommitteeTerms | None, int]] = []

    def ceremony(contract: Contract, *, key_bits: int) -> SimulatedKeys:
        asked.append((contract.encryption.committee, key_bits))
        return known_keys(contract)

    monkeypatch.setattr(preparing, "hold_ceremony", ceremony)
    settings = (
        "encryption={mode='paillier', key_bits=2048}",
        "split.seeds=[1]",
        "privacy.epsilon=[8]",
        "baselines=[]",
    )
    log = Log()
    simulated = simulate.simulate(
        str(small_experiment), out=tmp_path, overrides=settings, watcher=log, workers=1
    )
    assert asked == [(CommitteeTerms(members=3, threshold=2, colluding_members=1), 2048)]
    assert "key ceremony (2048 bits)" in log.stages
    (run,), (timing,) = simulated.results.runs, simulated.timings.runs
    assert run.encrypted
    parts = (timing.encrypt_seconds, timing.prove_seconds, timing.verify_seconds, timing.open_seconds)
    assert min(parts) > 0
    assert sum(parts) < timing.seconds


def test_what_is_missing_is_told_before_anything_is_read_or_written(
    small_experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_lightgbm() -> None:
        raise MissingExtra("pip install")

    monkeypatch.setattr(preparing, "require_lightgbm", no_lightgbm)
    with pytest.raises(MissingExtra):
        simulate.simulate(
            str(small_experiment), out=tmp_path, overrides=["baselines=['pooled-lightgbm']"], watcher=Log()
        )
    with pytest.raises(ScenarioError, match="was not found"):
        simulate.simulate(str(small_experiment), data=tmp_path / "none", out=tmp_path, watcher=Log())
    assert list(tmp_path.iterdir()) == []
    assert lightgbm_ceiling.require_lightgbm is not no_lightgbm


@pytest.fixture
def plain_demo(monkeypatch: pytest.MonkeyPatch, known_keys: Keys) -> list[Contract]:
    """Without the seconds of a key ceremony, and of encryption; the contracts that asked for a ceremony."""
    asked: list[Contract] = []
    federated = methods.federated

    def in_plain(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on as they are
        return federated(*arguments, **{**named, "encryption": EncryptionMode.PLAIN, "keys": None})

    def ceremony(contract: Contract, *, key_bits: int) -> SimulatedKeys:
        assert key_bits == contract.encryption.key_bits
        asked.append(contract)
        return known_keys(contract)

    monkeypatch.setattr(demo, "hold_ceremony", ceremony)
    monkeypatch.setattr(methods, "federated", in_plain)
    return asked


def test_the_demo_writes_what_it_tells(tmp_path: Path, plain_demo: list[Contract]) -> None:
    log = Log()
    found = demo.run_demo(out=tmp_path, seed=3, people=2000, watcher=log)
    assert {path.name for path in tmp_path.iterdir()} == {*WRITTEN, "card.json", "card.signer.json"}
    document = json.loads((tmp_path / "results.json").read_text())
    assert document == json.loads(found.results.to_json())
    assert [run["baseline"] for run in document["runs"]] == [
        None,
        "pooled-no-noise",
        "local-only",
        "local-noise",
    ]
    own = document["runs"][0]
    assert own["epsilon"] == 1.0
    assert own["epsilon_spent"] <= 1.0 < own["epsilon_person"]
    assert document["scenario"]["data"]["synthetic"] is True
    assert [line.party for line in found.parties] == [
        *("platform-1", "platform-2", "platform-3", "collector-1", "collector-2")
    ]
    assert log.rounds == list(range(1, own["rounds"] + 1))
    assert any("key ceremony (3072 bits)" in stage for stage in log.stages)
    page = (tmp_path / "report.html").read_text()
    assert "The people are synthetic" in page
    two_of_three = CommitteeTerms(members=3, threshold=2, colluding_members=1)
    assert [contract.encryption.committee for contract in plain_demo] == [two_of_three]
    assert found.contract.encryption.committee == two_of_three
    assert document["scenario"]["encryption"]["committee"] == two_of_three.model_dump()
    assert all(party.key is not None for party in found.contract.parties)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.usefixtures("plain_demo")
def test_the_federated_card_beats_the_mean_of_the_local_ones_on_three_seeds(
    tmp_path: Path, seed: int
) -> None:
    found = demo.run_demo(out=tmp_path, seed=seed, people=60_000, watcher=Log())
    own, _, local, _ = found.results.runs
    assert own.auc > local.auc


def test_the_report_tells_that_incomplete_rows_were_left_out(small_experiment: Path, tmp_path: Path) -> None:
    settings = ("split.seeds=[1]", "privacy.epsilon=[8]", "baselines=[]")
    for complete, told in (("false", "900 rows, of which"), ("true", "900 rows without an empty cell")):
        out = tmp_path / complete
        simulate.simulate(
            str(small_experiment),
            out=out,
            overrides=(*settings, f"data.complete_rows={complete}"),
            watcher=Log(),
            workers=1,
        )
        assert told in (out / "report.html").read_text()

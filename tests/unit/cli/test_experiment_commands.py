from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import simulations.demo
import simulations.simulate
from fedscore.card import Card
from fedscore.cli.main import app
from fedscore.contract import Contract, NoiseMode
from simulations.demo import DemoResult
from simulations.report import PartyLine
from simulations.results import Failure, Origin, Results, Run
from simulations.scenario import Baseline, shipped_scenarios
from simulations.simulate import Simulated
from simulations.timings import Timing, Timings
from tests.cards import plain_card, table

RUN = Run(
    learner="scorecard",
    baseline=None,
    private=True,
    epsilon=1.0,
    epsilon_spent=0.9991,
    epsilon_person=5.925,
    delta=1e-6,
    noise=NoiseMode.SHARED,
    encrypted=True,
    parties=5,
    seed=1,
    auc=0.7712,
    gini=0.5424,
    ks=0.421,
    brier=0.13,
    calibration_error=0.01,
    rounds=9,
    values_per_party=2000,
    bytes_per_party=1_234_567,
)
TIMING = Timing(
    learner="scorecard",
    baseline=None,
    noise=NoiseMode.SHARED,
    epsilon=1.0,
    seed=1,
    seconds=12.5,
    encrypt_seconds=1.5,
    prove_seconds=2.25,
    verify_seconds=3.75,
    open_seconds=4.0,
    phases=20,
)
RESULTS = Results(
    versions={"fedscore": "0"},
    code_sha256="cd" * 32,
    origins=(Origin(contract_hash="ab" * 32, data_sha256=None),),
    scenario={"name": "x"},
    runs=(RUN,),
)


def timings(*runs: Timing) -> Timings:
    return Timings(created=datetime(2025, 1, 2, tzinfo=UTC), processors=2, runs=runs)


def simulated(folder: Path, runs: Sequence[Run], timed: Sequence[Timing] | None = None) -> Simulated:
    return Simulated(
        results=replace(RESULTS, runs=tuple(runs)),
        timings=timings(*(timed if timed is not None else [TIMING] * len(runs))),
        trained=card(),
        folder=folder,
    )


def card() -> Card:
    tables = [table(f"characteristic-{number}", [number, -number]) for number in range(1, 6)]
    return plain_card(*tables, contract_hash="ab" * 32)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tiny_contract: Contract, tmp_path: Path) -> list[dict[str, Any]]:
    """What the experiments were asked for; they answer at once."""
    calls: list[dict[str, Any]] = []

    def run_demo(**terms: Any) -> DemoResult:  # noqa: ANN401 - recorded as they are
        calls.append(terms)
        terms["watcher"].stage("a stage")
        terms["watcher"].round_opened("histogram", 1, 9)
        terms["watcher"].noticed("histogram: north is silent")
        return DemoResult(
            results=RESULTS,
            timings=timings(TIMING),
            card=card(),
            contract=tiny_contract,
            parties=(PartyLine(party="north", rows=1234, local_auc=0.6, federated_auc=0.7),),
            ceremony_seconds=3.21,
            folder=tmp_path,
        )

    def simulate(scenario: str, **terms: Any) -> Simulated:  # noqa: ANN401 - likewise
        calls.append({"scenario": scenario, **terms})
        terms["watcher"].started(2, 0)
        terms["watcher"].finished(None)
        return simulated(tmp_path, RESULTS.runs)

    monkeypatch.setattr(simulations.demo, "run_demo", run_demo)
    monkeypatch.setattr(simulations.simulate, "simulate", simulate)
    return calls


@pytest.mark.parametrize("arguments", [["demo", "--json"], ["simulate", "taiwan", "--json"]])
@pytest.mark.usefixtures("asked")
def test_json_alone_is_on_standard_output(arguments: Sequence[str]) -> None:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.stderr
    assert result.stdout == RESULTS.to_json()
    assert json.loads(result.stdout)["runs"][0]["auc"] == 0.7712


def test_the_demo_tells_table_points_parties_and_promises(
    asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["demo", "--seed", "7", "--people", "2000", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.stderr
    assert (asked[0]["seed"], asked[0]["people"], asked[0]["out"]) == (7, 2000, tmp_path)
    told = " ".join(result.stdout.split())
    for expected in (
        "The people are synthetic",
        "federated, shared noise 0.7712 0.421 1 5.925 9 1.2 MB 12.5",
        "took 3.2 s",
        "north 1,234 0.6000 0.7000",
        "characteristic-5",
        "+5.0",
        "Promised to one person",
        "Nothing is promised to an organisation",
        "report.html",
    ):
        assert expected in told, expected
    assert "characteristic-3" in told
    assert "characteristic-2" not in told
    assert "all organisations one after another: encrypt 1.5 s, prove 2.2 s, verify 3.8 s, open 4.0 s" in told
    assert "everything else 1.0 s" in told
    assert "histogram: north is silent" in result.stderr
    assert "a stage" in result.stderr
    assert "a stage" not in result.stdout


def test_tables_fit_a_terminal_of_eighty_columns(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in (["demo"], ["simulate", "taiwan"]):
        output = CliRunner().invoke(app, arguments).stdout
        tables = [line for line in output.splitlines() if "0.7712" in line or " AUC " in line]
        assert tables
        assert all("…" not in line for line in tables), output
    assert len(asked) == 2


def test_simulate_passes_on_what_it_was_asked(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    arguments = ["simulate", "taiwan", "--data", str(tmp_path), "--set", "a=1", "--set", "b=2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    assert CliRunner().invoke(app, [*arguments, "--fresh"]).exit_code == 0
    assert [call["fresh"] for call in asked] == [False, True]
    assert asked[0]["scenario"] == "taiwan"
    assert asked[0]["data"] == tmp_path
    assert asked[0]["out"] is None
    assert list(asked[0]["overrides"]) == ["a=1", "b=2"]
    assert "0.7712" in result.stdout


def test_help_lists_every_shipped_scenario() -> None:
    words = set(re.split(r"[^\w-]+", CliRunner().invoke(app, ["simulate", "--help"]).stdout))
    assert len(shipped_scenarios()) > 5
    assert set(shipped_scenarios()) <= words


def test_a_sweep_is_told_variation_by_variation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pooled = replace(RUN, baseline=Baseline.POOLED_NO_NOISE, epsilon=None, auc=0.78)
    runs = [
        replace(run, variation={"parties.roles": text}, auc=run.auc + shift)
        for text, shift in (("{ platform = 5 }", 0.0), ("[/]", 0.01))
        for run in (RUN, pooled)
    ]
    monkeypatch.setattr(simulations.simulate, "simulate", lambda *_, **__: simulated(tmp_path, runs))
    told = " ".join(CliRunner().invoke(app, ["simulate", "taiwan"]).stdout.split())
    first, second = "parties.roles = { platform = 5 }", "parties.roles = [/]"
    assert told.index(first) < told.index("0.7712") < told.index(second) < told.index("0.7812")


def test_trainings_that_could_not_end_are_told_with_their_reasons(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failures = [
        Failure(
            learner="scorecard",
            baseline=None,
            noise=NoiseMode.SHARED,
            epsilon=1.0,
            parties=20,
            seed=seed,
            reason=reason,
        )
        for seed, reason in ((2, "too few parties"), (3, "too few [members]"), (4, "too few parties"))
    ]
    found = simulated(tmp_path, [RUN])
    found = replace(found, results=replace(found.results, failures=failures))
    monkeypatch.setattr(simulations.simulate, "simulate", lambda *_, **__: found)
    told = CliRunner().invoke(app, ["simulate", "taiwan"]).stdout
    assert "3 of 4 trainings could not end, and are in no figure:" in told
    assert "2 times: too few parties" in told
    assert "1 times: too few [members]" in told


def test_what_was_found_done_is_told_beside_what_there_is_to_do(
    asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def simulate(_scenario: str, **terms: Any) -> Simulated:  # noqa: ANN401 - recorded as they are
        terms["watcher"].started(60, 41)
        return simulated(tmp_path, RESULTS.runs)

    assert asked == []
    monkeypatch.setattr(simulations.simulate, "simulate", simulate)
    assert "60 jobs, of which 41 were done before" in CliRunner().invoke(app, ["simulate", "x"]).stderr


def test_the_seconds_of_encrypted_runs_are_added_and_plain_ones_have_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = replace(RUN, encrypted=False)
    runs: tuple[Run, ...] = (RUN, RUN, plain)
    monkeypatch.setattr(simulations.simulate, "simulate", lambda *_, **__: simulated(tmp_path, runs))
    told = " ".join(CliRunner().invoke(app, ["simulate", "taiwan"]).stdout.split())
    assert "encrypt 3.0 s, prove 4.5 s, verify 7.5 s, open 8.0 s; everything else 2.0 s" in told
    runs = (plain,)
    told = CliRunner().invoke(app, ["simulate", "taiwan"]).stdout
    assert "Encrypted sums" not in told


def test_a_scenario_with_mistakes_is_one_message(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["simulate", "taiwan", "--set", "privacy.epsilom=[1]", "--out", str(tmp_path)]
    )
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean 'epsilon'?" in result.stderr
    assert "Traceback" not in result.stderr
    shutil.rmtree(tmp_path)


def test_a_neural_experiment_tells_true_epsilons_leads_and_its_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    own = replace(RUN, learner="neural", encrypted=False)
    naive = replace(
        own,
        baseline=Baseline.NAIVE_FLOWER_OPACUS,
        noise=NoiseMode.LOCAL,
        epsilon_spent=5.537,
        epsilon_reported=0.9971,
        auc=0.7412,
    )
    local = replace(own, baseline=Baseline.NEURAL_LOCAL, noise=NoiseMode.LOCAL, auc=0.75)
    lightgbm = replace(own, learner="lightgbm", baseline=Baseline.POOLED_LIGHTGBM, epsilon=None, auc=0.79)
    card = replace(own, learner="scorecard", baseline=Baseline.POOLED_NO_NOISE, epsilon=None)
    runs = tuple(
        replace(run, seed=seed, auc=run.auc + place * seed / 100)
        for place, run in enumerate((own, naive, local, lightgbm, card))
        for seed in (1, 2)
    )
    monkeypatch.setattr(simulations.simulate, "simulate", lambda *_, **__: simulated(tmp_path, runs))
    output = CliRunner().invoke(app, ["simulate", "taiwan-neural"]).stdout
    told = " ".join(output.split())
    assert "neural (shared noise) 1 0.7712 0.0000 0.421" in told
    assert "naive Flower + Opacus 5.54 0.7562 0.0071 0.421 +0.0788 +0.0150 ± 0.0635" in told
    assert "the recipe reports ε = 1.00, and its true ε is at most 5.54" in told
    assert "Means over 2 seeds" in told
    assert f"Model: {tmp_path}/model.json" in told.replace(" / ", "/")
    assert "card.json" not in told
    assert max(map(len, output.partition("Report:")[0].splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in output
    runs = (own,)
    output = CliRunner().invoke(app, ["simulate", "taiwan-neural"]).stdout
    assert "LightGBM" not in output
    assert "this" not in output
    assert "seeds" not in output

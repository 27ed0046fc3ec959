"""Which engine carries a scenario's trainings: chosen by name, kept apart, told beside the times."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import simulations.simulate
from fedscore.cli.main import app
from fedscore.errors import MissingExtra, ScenarioError
from simulations import runner
from simulations.dealing import Ground, read_ground
from simulations.engines import Engine, require_engine
from simulations.job_keys import JobKey, KeyRing
from simulations.lookup import find_contract, find_data
from simulations.runner import Job, Outcome, Task, perform, run_jobs
from simulations.scenario import load_scenario
from simulations.store import JobStore

JOBS = (Job(seed=1, baseline=None, epsilon=2.0), Job(seed=2, baseline=None, epsilon=2.0))


@pytest.fixture(scope="module")
def ground(small_experiment: Path) -> Ground:
    return ground_of(small_experiment)


def ground_of(scenario: Path, *settings: str) -> Ground:
    loaded = load_scenario(scenario, settings)
    return read_ground(loaded.terms, find_contract(loaded), find_data(loaded))


def test_without_ray_the_extra_is_named_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else find(name))
    require_engine(Engine.IN_PROCESS)
    with pytest.raises(MissingExtra, match=r"fedscore\[simulations\].*--engine in-process"):
        require_engine(Engine.FLOWER)
    command = ["simulate", "taiwan", "--engine", "flower", "--data", str(tmp_path), "--out", str(tmp_path)]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 1
    assert "Flower's engine needs Ray" in " ".join(refused.stderr.split())
    assert "taiwan_credit_card" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "engine"),
    [
        ([], Engine.IN_PROCESS),
        (["--engine", "in-process"], Engine.IN_PROCESS),
        (["--engine", "flower"], Engine.FLOWER),
    ],
)
def test_the_command_takes_an_engine_by_its_name(
    arguments: list[str], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def simulate(_scenario: str, **terms: Any) -> None:  # noqa: ANN401 - any terms
        asked.append(terms["engine"])
        raise ScenarioError("that was all")

    monkeypatch.setattr(simulations.simulate, "simulate", simulate)
    CliRunner().invoke(app, ["simulate", "taiwan", *arguments])
    assert asked == [engine]
    assert CliRunner().invoke(app, ["simulate", "taiwan", "--engine", "spark"]).exit_code == 2
    assert len(asked) == 1


def test_what_one_engine_found_is_not_given_out_for_anothers(ground: Ground) -> None:
    keys = {KeyRing(ground, data_sha256="cd" * 32, engine=one).key_of(JOBS[0]).sha256 for one in Engine}
    assert len(keys) == len(Engine)


def test_the_store_keeps_which_engine_it_was(ground: Ground, tmp_path: Path) -> None:
    outcome = perform(JOBS[0], ground, None)
    assert isinstance(outcome, Outcome)
    assert outcome.timing.engine is Engine.IN_PROCESS
    store = JobStore(tmp_path / "jobs", noticed=pytest.fail)
    key = JobKey(document={"job": {"seed": 1}}, sha256="12" * 32)
    with store.taken():
        store.keep(key, replace(outcome, timing=replace(outcome.timing, engine=Engine.FLOWER)))
        found = store.find(key)
    assert isinstance(found, Outcome)
    assert found.timing.engine is Engine.FLOWER
    assert found.run == outcome.run


def test_flowers_engine_has_the_processors_for_itself(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One training after another, in this process, each with as many processes as there are workers."""
    asked: list[tuple[Job, Engine, int]] = []

    def noted(job: Job, _ground: Ground, _keys: None, *, engine: Engine, processes: int) -> str:
        asked.append((job, engine, processes))
        return "done"

    monkeypatch.setattr(runner, "perform", noted)
    ended: list[Task] = []
    run_jobs(
        JOBS,
        [ground],
        keys={},
        workers=2,
        finished=lambda task, _found: ended.append(task),
        engine=Engine.FLOWER,
    )
    assert asked == [(job, Engine.FLOWER, 2) for job in JOBS]
    assert ended == list(JOBS)


def test_faults_are_refused_where_no_message_is_lost(small_experiment: Path) -> None:
    ground = ground_of(small_experiment, "faults.absent=1", "privacy.absent=1")
    with pytest.raises(ScenarioError, match=r"\[faults\].*--engine flower"):
        perform(JOBS[0], ground, None, engine=Engine.FLOWER, processes=1)

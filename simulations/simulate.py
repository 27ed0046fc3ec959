"""A researcher's experiment from scenario to report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from fedscore.contract import Contract
from fedscore.errors import ScenarioError
from simulations.dealing import Ground, read_ground
from simulations.federation import EncryptionMode
from simulations.files import result_folder, write_whole
from simulations.keys import SimulatedKeys, hold_ceremony
from simulations.lightgbm_ceiling import require_lightgbm
from simulations.lookup import find_contract, find_data
from simulations.report import ReportContent, render
from simulations.results import Results
from simulations.runner import Job, available_processors, jobs_of, run_jobs
from simulations.scenario import Baseline, LoadedScenario, SplitKind, load_scenario

__all__ = ["Watcher", "simulate"]


class Watcher(Protocol):
    """Is told how an experiment goes on."""

    def stage(self, text: str) -> None:
        """Something that takes a while has begun."""
        ...

    def started(self, jobs: int) -> None:
        """So many trainings will be done."""
        ...

    def finished(self, job: Job) -> None:
        """One of them is done."""
        ...


def simulate(
    scenario: str,
    *,
    data: Path | None = None,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    watcher: Watcher,
    workers: int | None = None,
) -> tuple[Results, Path]:
    """Run a scenario and write `results.json`, `results.csv`, `card.json` and `report.html`.

    Nothing is written before all runs have ended; other files in the folder are left alone.

    Args:
        scenario: A file, or the name of a shipped scenario.
        data: The data file, or the folder that holds it; looked up if left out.
        out: Folder for the results; `runs/<scenario>` if left out.
        overrides: `key=VALUE` settings.
        watcher: Is told how it goes on.
        workers: Number of processes; as many as there are processors if left out.

    Returns:
        The results, and the folder that they are in.

    Raises:
        FedscoreError: The scenario, the contract or the data cannot be used as they are.
    """
    loaded = load_scenario(scenario, overrides)
    contract = find_contract(loaded)
    path = find_data(loaded, data)
    folder = result_folder(out if out is not None else Path("runs") / loaded.name)
    if Baseline.POOLED_LIGHTGBM in loaded.terms.baselines:
        require_lightgbm()
    watcher.stage(f"reading {path.name}")
    ground = read_ground(loaded.terms, contract, path)
    keys = _ceremony(ground, watcher)
    jobs = jobs_of(loaded.terms)
    watcher.started(len(jobs))
    outcomes = run_jobs(
        jobs,
        ground,
        keys=keys,
        workers=workers if workers is not None else available_processors(),
        finished=watcher.finished,
    )
    results = Results(
        version=version("fedscore"),
        created=datetime.now(UTC),
        contract_hash=contract.hash(),
        scenario={"name": loaded.name, **loaded.terms.model_dump(mode="json")},
        runs=tuple(outcome.run for outcome in outcomes),
    )
    card = outcomes[0].card
    if card is None:
        raise ScenarioError("the first run gave no card: this is a defect")
    results.write(folder)
    card.write(folder / "card.json")
    page = render(
        ReportContent(
            title=f"Simulation {loaded.name}: federated scorecard under differential privacy",
            introduction=_introduction(loaded, ground),
            results=results,
            card=card,
            contract=_first_contract(jobs, ground),
        )
    )
    write_whole(folder / "report.html", page)
    return results, folder


def _ceremony(ground: Ground, watcher: Watcher) -> SimulatedKeys | None:
    terms = ground.terms.encryption
    if terms.mode is not EncryptionMode.PAILLIER:
        return None
    watcher.stage(f"key ceremony ({terms.key_bits} bits)")
    return hold_ceremony(ground.contract, key_bits=terms.key_bits)


def _first_contract(jobs: Sequence[Job], ground: Ground) -> Contract:
    epsilon = jobs[0].epsilon
    return ground.contract if epsilon is None else ground.contract.with_privacy(epsilon=epsilon)


def _introduction(loaded: LoadedScenario, ground: Ground) -> tuple[str, ...]:
    terms = loaded.terms
    rows = next(iter(ground.rows.values()))
    split = (
        f"For every seed {terms.split.test_share:.0%} of the rows were set apart for testing at random, "
        "stratified by outcome."
        if terms.split.kind is SplitKind.RANDOM
        else f"{ground.contract.split.test_share:.0%} of the people were set apart for testing by the "
        "contract's keyed hash."
    )
    dealt = (
        f"{ground.path.name}: {len(rows):,} rows, of which {rows.outcome.mean():.2%} are bad, dealt to "
        f"{len(ground.contract.parties)} parties ({terms.parties.kind}). {split}"
    )
    return (
        dealt,
        f"Contract {ground.contract.name}: {ground.contract.purpose}",
    )

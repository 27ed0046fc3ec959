"""A researcher's experiment from scenario to report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from fedscore.card import Card
from fedscore.contract import Learner, Split
from fedscore.errors import ScenarioError
from fedscore.learners.neural.extra import require_neural_extra
from fedscore.learners.neural.model import NeuralModel
from simulations.dealing import Ground, read_ground
from simulations.federation import EncryptionMode
from simulations.files import result_folder, write_card, write_whole
from simulations.keys import SimulatedKeys, hold_ceremony
from simulations.lightgbm_ceiling import require_lightgbm
from simulations.lookup import find_contract, find_data
from simulations.report import ReportContent, render
from simulations.results import Origin, Results
from simulations.runner import Job, available_processors, jobs_of, run_jobs
from simulations.scenario import (
    NAIVE,
    Baseline,
    LoadedScenario,
    Scenario,
    SplitKind,
    SplitTerms,
    load_scenario,
)
from simulations.timings import Timings
from simulations.variants import contract_of
from simulations.versions import code_sha256, file_sha256, versions_of

__all__ = ["Simulated", "Watcher", "run_scenario", "simulate"]

_NEURAL = frozenset({Baseline.NEURAL_SHARED, Baseline.NEURAL_LOCAL, *NAIVE})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A finished experiment.

    Attributes:
        results: What `results.json` holds.
        timings: What `timings.json` holds.
        trained: The card or the model of the first run.
        folder: Where the files are.
    """

    results: Results
    timings: Timings
    trained: Card | NeuralModel
    folder: Path


def simulate(
    scenario: str,
    *,
    data: Path | None = None,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    watcher: Watcher,
    workers: int | None = None,
) -> Simulated:
    """Load a scenario and run it; see `run_scenario`.

    Args:
        scenario: A file, or the name of a shipped scenario.
        data: The data file, or the folder that holds it; looked up if left out.
        out: Folder for the results; `runs/<scenario>` if left out.
        overrides: `key=VALUE` settings.
        watcher: Is told how it goes on.
        workers: Number of processes; as many as there are processors if left out.

    Raises:
        FedscoreError: The scenario, the contract or the data cannot be used as they are.
    """
    loaded = load_scenario(scenario, overrides)
    folder = out if out is not None else Path("runs") / loaded.name
    return run_scenario(loaded, folder, data=data, watcher=watcher, workers=workers)


def run_scenario(
    loaded: LoadedScenario,
    folder: Path,
    *,
    data: Path | None = None,
    watcher: Watcher,
    workers: int | None = None,
) -> Simulated:
    """Run a scenario and write its results, `timings.json`, `report.html`, and `card.json` or `model.json`.

    Results are `results.json`, `results.csv` and `parties.csv`: functions of scenario, data and versions
    alone, byte for byte. None of these files is written before all runs have ended; other files in the folder
    are left alone.

    Args:
        loaded: The scenario.
        folder: Folder for the results; made if it is missing.
        data: The data file, or the folder that holds it; looked up if left out.
        watcher: Is told how it goes on.
        workers: Number of processes; as many as there are processors if left out.

    Raises:
        FedscoreError: The scenario, the contract or the data cannot be used as they are.
    """
    contract = find_contract(loaded)
    path = find_data(loaded, data)
    folder = result_folder(folder)
    _require_extras(loaded.terms)
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
    trained = outcomes[0].trained
    if not isinstance(trained, Card | NeuralModel):
        raise ScenarioError("the first run gave neither a card nor a model: this is a defect")
    simulated = Simulated(
        results=Results(
            versions=versions_of(loaded.terms),
            code_sha256=code_sha256(),
            origins=(Origin(contract_hash=contract.hash(), data_sha256=file_sha256(path)),),
            scenario={"name": loaded.name, **loaded.terms.model_dump(mode="json")},
            runs=tuple(outcome.run for outcome in outcomes),
            parties=tuple(party for outcome in outcomes for party in outcome.parties),
        ),
        timings=Timings(
            created=datetime.now(UTC),
            processors=available_processors(),
            runs=tuple(outcome.timing for outcome in outcomes),
        ),
        trained=trained,
        folder=folder,
    )
    _write(simulated, loaded, ground, first=jobs[0])
    return simulated


def _write(simulated: Simulated, loaded: LoadedScenario, ground: Ground, *, first: Job) -> None:
    folder, trained = simulated.folder, simulated.trained
    simulated.results.write(folder)
    simulated.timings.write(folder)
    if isinstance(trained, Card):
        write_card(trained, folder)
    else:
        write_whole(folder / trained.file_name, trained.to_json())
    what = "scorecard" if isinstance(trained, Card) else "neural model"
    page = render(
        ReportContent(
            title=f"Simulation {loaded.name}: federated {what} under differential privacy",
            introduction=_introduction(loaded, ground),
            results=simulated.results,
            timings=simulated.timings,
            trained=trained,
            contract=contract_of(None, loaded.terms, ground.contract, epsilon=first.epsilon),
        )
    )
    write_whole(folder / "report.html", page)


def _require_extras(terms: Scenario) -> None:
    """Tell what is missing before anything is read."""
    if Baseline.POOLED_LIGHTGBM in terms.baselines:
        require_lightgbm()
    if terms.learner.name is Learner.NEURAL or not _NEURAL.isdisjoint(terms.baselines):
        require_neural_extra()


def _ceremony(ground: Ground, watcher: Watcher) -> SimulatedKeys | None:
    terms = ground.terms.encryption
    if terms.mode is not EncryptionMode.PAILLIER:
        return None
    watcher.stage(f"key ceremony ({terms.key_bits} bits)")
    return hold_ceremony(ground.contract, key_bits=terms.key_bits)


def _split_in_words(terms: SplitTerms, agreed: Split) -> str:
    if terms.kind is SplitKind.RANDOM:
        return (
            f"For every seed {terms.test_share:.0%} of the rows were set apart for testing at random, "
            "stratified by outcome."
        )
    if agreed.test_from is not None:
        return f"Rows of {agreed.test_from} and later were set apart for testing."
    return f"{agreed.test_share:.0%} of the people were set apart for testing by the contract's keyed hash."


def _introduction(loaded: LoadedScenario, ground: Ground) -> tuple[str, ...]:
    terms = loaded.terms
    rows = next(iter(ground.rows.values()))
    split = _split_in_words(terms.split, ground.contract.split)
    complete = " without an empty cell (the others are left out)" if terms.data.complete_rows else ""
    dealt = (
        f"{ground.path.name}: {len(rows):,} rows{complete}, of which {rows.outcome.mean():.2%} are bad, "
        f"dealt to {len(ground.contract.parties)} parties ({terms.parties.kind}). {split}"
    )
    return (
        dealt,
        f"Contract {ground.contract.name}: {ground.contract.purpose}",
    )

"""A researcher's experiment from scenario to report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fedscore.card import Card
from fedscore.contract import Split
from fedscore.errors import ScenarioError
from fedscore.learners.neural.model import NeuralModel
from simulations.audit.row import AuditRow
from simulations.dealing import Ground
from simulations.engines import Engine, require_engine
from simulations.files import result_folder, write_card, write_whole
from simulations.job_keys import JobKey, KeyRing
from simulations.party_words import faults_in_words, parties_in_words
from simulations.preparing import Prepared, deal_keys, prepare
from simulations.report import ReportContent, write_report
from simulations.results import Failure, Origin, Results
from simulations.runner import (
    Found,
    Outcome,
    Task,
    available_processors,
    encrypts,
    run_jobs,
    tasks_of,
)
from simulations.scenario import LoadedScenario, SplitKind, SplitTerms, load_scenario
from simulations.store import JobStore
from simulations.timings import Timings
from simulations.variants import contract_of
from simulations.versions import code_sha256, packages_of, require_same_code, versions_of
from simulations.watcher import Watcher

__all__ = ["Simulated", "run_scenario", "simulate"]


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
    fresh: bool = False,
    engine: Engine = Engine.IN_PROCESS,
) -> Simulated:
    """Load a scenario and run it; see `run_scenario`.

    Args:
        scenario: A file, or the name of a shipped scenario.
        data: The data file, or the folder that holds it; looked up if left out.
        out: Folder for the results; `runs/<scenario>` if left out.
        overrides: `key=VALUE` settings.
        watcher: Is told how it goes on.
        workers: Number of processes; as many as there are processors if left out.
        fresh: Does all jobs anew.
        engine: What carries the messages.

    Raises:
        FedscoreError: The scenario, the contract or the data cannot be used as they are.
    """
    loaded = load_scenario(scenario, overrides)
    folder = out if out is not None else Path("runs") / loaded.name
    return run_scenario(
        loaded, folder, data=data, watcher=watcher, workers=workers, fresh=fresh, engine=engine
    )


def run_scenario(
    loaded: LoadedScenario,
    folder: Path,
    *,
    data: Path | None = None,
    watcher: Watcher,
    workers: int | None = None,
    fresh: bool = False,
    engine: Engine = Engine.IN_PROCESS,
) -> Simulated:
    """Run a scenario and write its results, `timings.json`, `report.html`, and `card.json` or `model.json`.

    Results are `results.json`, `results.csv` and `parties.csv`: functions of scenario, data and versions
    alone, byte for byte, whether or not the experiment was interrupted. None of these files is written before
    all jobs have ended; other files in the folder are left alone.

    Every job that ends is kept in `jobs/` at once. Whoever runs the scenario again, after an interruption or
    a change, has those jobs done already whose outcome would be the same.

    Args:
        loaded: The scenario.
        folder: Folder for the results; made if it is missing.
        data: The data file, or the folder that holds it; looked up if left out.
        watcher: Is told how it goes on.
        workers: Number of processes; as many as there are processors if left out.
        fresh: Does all jobs anew, whatever is kept.
        engine: What carries the messages of federated trainings; the results do not depend on it.

    Raises:
        FedscoreError: The scenario, the contract or the data cannot be used as they are, or another process
            is at work in the folder.
    """
    require_engine(engine)
    require_same_code(code_sha256())
    prepared = prepare(loaded, data, watcher=watcher)
    store = JobStore(result_folder(folder) / "jobs", noticed=watcher.noticed)
    with store.taken():
        keys = _keys(prepared, engine)
        workers = workers if workers is not None else available_processors()
        found = _all_found(
            prepared, keys, store, watcher=watcher, workers=workers, fresh=fresh, engine=engine
        )
        stamped = [
            _stamped(found[key.sha256], prepared[task.variation].variation.coordinates)
            for task, key in keys.items()
        ]
        results = _results(loaded, prepared, stamped)
        place, trained = _first_trained(stamped, results)
        simulated = Simulated(
            results=results,
            timings=Timings(
                created=datetime.now(UTC),
                processors=available_processors(),
                runs=tuple(one.timing for one in stamped if isinstance(one, Outcome)),
            ),
            trained=trained,
            folder=folder,
        )
        task = list(keys)[place]
        _write(simulated, loaded, prepared[task.variation], task)
    return simulated


def _keys(prepared: Sequence[Prepared], engine: Engine) -> Mapping[Task, JobKey]:
    """All tasks in the order of the results, each with what its outcome depends on."""
    keys: dict[Task, JobKey] = {}
    for place, one in enumerate(prepared):
        ring = KeyRing(one.ground, data_sha256=one.data_sha256, engine=engine)
        keys |= {task: ring.key_of(task) for task in tasks_of(one.ground.terms, variation=place)}
    return keys


def _all_found(
    prepared: Sequence[Prepared],
    keys: Mapping[Task, JobKey],
    store: JobStore,
    *,
    watcher: Watcher,
    workers: int,
    fresh: bool,
    engine: Engine,
) -> Mapping[str, Found]:
    """Outcomes by the hash of their key: from the store, or done now and kept there."""
    # Variations ask for the same job where what they differ in has no effect on it.
    wanted: dict[str, Task] = {}
    for task, key in keys.items():
        wanted.setdefault(key.sha256, task)
    found: dict[str, Found] = {}
    for sha256, task in wanted.items():
        if not fresh and (kept := store.find(keys[task])) is not None:
            found[sha256] = kept
    missing = [task for sha256, task in wanted.items() if sha256 not in found]
    encrypting = [task.variation for task in missing if encrypts(task, prepared[task.variation].ground.terms)]
    dealt = deal_keys(prepared, encrypting, watcher=watcher)

    def keep(task: Task, outcome: Found) -> None:
        # Jobs read the file too, and load code: nothing is kept under a name that it does not deserve.
        require_same_code(code_sha256())
        prepared[task.variation].mark.require_unchanged()
        found[keys[task].sha256] = outcome
        store.keep(keys[task], outcome)
        watcher.finished(task)

    watcher.started(len(wanted), len(found))
    grounds = [one.ground for one in prepared]
    run_jobs(missing, grounds, keys=dealt, workers=workers, finished=keep, engine=engine)
    return found


def _stamped(found: Found, coordinates: Mapping[str, str]) -> Found:
    """The outcome of a job as that of one variation, of the several that may share it."""
    variation = dict(coordinates)
    if not isinstance(found, Outcome):
        return replace(found, variation=variation)
    return Outcome(
        run=replace(found.run, variation=variation),
        timing=replace(found.timing, variation=variation),
        parties=tuple(replace(party, variation=variation) for party in found.parties),
        trained=found.trained,
    )


def _first_trained(found: Sequence[Found], results: Results) -> tuple[int, Card | NeuralModel]:
    """The first own run that ended: its place, and its card or model."""
    for place, one in enumerate(found):
        if isinstance(one, Outcome) and isinstance(one.trained, Card | NeuralModel):
            return place, one.trained
    reasons = dict.fromkeys(failure.reason for failure in results.failures)
    raise ScenarioError(
        f"no run of the scenario's own could end, so there is no card: {'; '.join(reasons)}. "
        "Let fewer parties stay out, or let the contract bear more: privacy.absent"
    )


def _results(loaded: LoadedScenario, prepared: Sequence[Prepared], found: Sequence[Found]) -> Results:
    outcomes = [one for one in found if isinstance(one, Outcome)]
    packages = dict.fromkeys(name for one in prepared for name in packages_of(one.ground.terms))
    return Results(
        versions=versions_of(tuple(packages)),
        code_sha256=code_sha256(),
        origins=tuple(
            Origin(
                variation=dict(one.variation.coordinates),
                contract_hash=one.contract.hash(),
                data_sha256=one.data_sha256,
            )
            for one in prepared
        ),
        scenario={"name": loaded.name, **loaded.terms.model_dump(mode="json")},
        runs=tuple(outcome.run for outcome in outcomes),
        parties=tuple(party for outcome in outcomes for party in outcome.parties),
        audits=tuple(one for one in found if isinstance(one, AuditRow)),
        failures=tuple(one for one in found if isinstance(one, Failure)),
    )


def _write(simulated: Simulated, loaded: LoadedScenario, first: Prepared, task: Task) -> None:
    folder, trained = simulated.folder, simulated.trained
    simulated.results.write(folder)
    simulated.timings.write(folder)
    if isinstance(trained, Card):
        write_card(trained, folder)
    else:
        write_whole(folder / trained.file_name, trained.to_json())
    what = "scorecard" if isinstance(trained, Card) else "neural model"
    loaded = loaded.at(first.variation)
    write_report(
        ReportContent(
            title=f"Simulation {loaded.name}: federated {what} under differential privacy",
            introduction=_introduction(loaded, first.ground),
            results=simulated.results,
            timings=simulated.timings,
            trained=trained,
            contract=contract_of(None, loaded.terms, first.ground.contract, epsilon=task.epsilon),
        ),
        folder,
    )


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
        f"{parties_in_words(terms.parties)}. {split}"
    )
    faults = faults_in_words(terms.faults)
    return (
        dealt,
        *([faults] if faults else []),
        f"Contract {ground.contract.name}: {ground.contract.purpose}",
    )

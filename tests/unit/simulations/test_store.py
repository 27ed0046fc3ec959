"""Jobs are kept whole, believed if they are what they say, and asked for by all that they depend on."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedscore.card import Card
from fedscore.contract import NoiseMode
from fedscore.errors import DataError, ScenarioError
from fedscore.files import checked_document, with_checksum
from fedscore.learners.neural.model import NeuralModel
from simulations import job_keys, runner, versions
from simulations.audit.findings import Finding, Verdict
from simulations.audit.row import AuditRow
from simulations.audit.terms import AuditTerms
from simulations.dealing import Ground, read_ground
from simulations.job_keys import JobKey, KeyRing
from simulations.lookup import find_contract, find_data
from simulations.results import Failure
from simulations.runner import AuditJob, Job, Outcome, Task, perform, tasks_of
from simulations.scenario import Baseline, load_scenario
from simulations.simulate import simulate
from simulations.store import JobStore

BASELINES = "baselines=['pooled-lightgbm', 'pooled-no-noise', 'local-only', 'local-noise']"


class Log:
    """Keeps what a watcher is told."""

    def __init__(self) -> None:
        self.jobs = self.found = 0
        self.done: list[Task] = []

    def stage(self, text: str) -> None: ...

    def started(self, jobs: int, found: int) -> None:
        self.jobs, self.found = jobs, found

    def finished(self, job: Task) -> None:
        self.done.append(job)

    def noticed(self, what: str) -> None:
        pytest.fail(what)


KEY = JobKey(document={"job": {"seed": 1}, "code": "ab"}, sha256="12" * 32)


def ground_of(scenario: Path, *overrides: str) -> Ground:
    loaded = load_scenario(scenario, overrides)
    return read_ground(loaded.terms, find_contract(loaded), find_data(loaded))


def ring(scenario: Path, *overrides: str) -> KeyRing:
    return KeyRing(ground_of(scenario, *overrides), data_sha256="cd" * 32)


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, notices: list[str]) -> Iterator[JobStore]:
    store = JobStore(tmp_path / "jobs", noticed=notices.append)
    with store.taken():
        yield store


@pytest.fixture(scope="module")
def outcome(small_experiment: Path) -> Outcome:
    return perform(Job(seed=1, baseline=None, epsilon=2.0), ground_of(small_experiment), None)


AUDIT = AuditRow(
    epsilon=1.0,
    delta=1e-5,
    verdict=Verdict.PASSED,
    findings=(Finding(name="noise", verdict=Verdict.PASSED, told="as promised", power="half of it"),),
    seeded=True,
)

FAILURE = Failure(
    learner="scorecard",
    baseline=None,
    noise=NoiseMode.SHARED,
    epsilon=1.0,
    parties=20,
    seed=2,
    reason="too few parties were left",
)


def only_file(folder: Path) -> Path:
    (path,) = (folder / "jobs").glob("*.json")
    return path


def test_what_was_kept_is_found_to_the_last_bit(
    store: JobStore, outcome: Outcome, tmp_path: Path, notices: list[str]
) -> None:
    assert store.find(KEY) is None
    store.keep(KEY, outcome)
    found = store.find(KEY)
    assert isinstance(found, Outcome)
    assert isinstance(found.trained, Card)
    assert isinstance(outcome.trained, Card)
    assert (found.run, found.timing, found.parties) == (outcome.run, outcome.timing, outcome.parties)
    assert found.trained.to_json() == outcome.trained.to_json()
    assert only_file(tmp_path).stem == KEY.sha256
    other = JobKey(document=KEY.document, sha256="34" * 32)
    store.keep(other, AUDIT)
    assert store.find(other) == AUDIT
    store.keep(other, FAILURE)
    assert store.find(other) == FAILURE
    assert notices == []


def test_a_neural_model_is_kept_too(store: JobStore, small_experiment: Path) -> None:
    neural = ground_of(small_experiment, "learner={name='neural', hidden=[3], rounds=2}", "baselines=[]")
    outcome = perform(Job(seed=1, baseline=None, epsilon=8.0), neural, None)
    store.keep(KEY, outcome)
    found = store.find(KEY)
    assert isinstance(found, Outcome)
    assert isinstance(found.trained, NeuralModel)
    assert isinstance(outcome.trained, NeuralModel)
    assert found.trained.to_json() == outcome.trained.to_json()


def flipped(text: str) -> str:
    place = text.index('"auc": 0.') + len('"auc": 0.')
    return text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _text: "",
        lambda text: text[:-1],
        lambda text: text[: len(text) // 2],
        flipped,
        lambda text: text.replace('"parties"', '"partiez"', 1),
        lambda text: text + "\n",
        lambda text: with_checksum({**checked_document(text), "format": "another"}).replace("{", "[", 1),
    ],
)
def test_a_damaged_file_is_told_and_not_believed(
    store: JobStore, outcome: Outcome, tmp_path: Path, notices: list[str], spoil: Callable[[str], str]
) -> None:
    store.keep(KEY, outcome)
    path = only_file(tmp_path)
    spoilt = spoil(path.read_text())
    assert spoilt != path.read_text()
    path.write_text(spoilt)
    assert store.find(KEY) is None
    assert notices == [f"jobs/{KEY.sha256[:12]}….json is damaged: its job is done again"]
    store.keep(KEY, outcome)
    assert store.find(KEY) is not None
    assert len(notices) == 1


def test_a_whole_file_of_another_shape_is_not_believed_either(
    store: JobStore, outcome: Outcome, tmp_path: Path, notices: list[str]
) -> None:
    store.keep(KEY, outcome)
    path = only_file(tmp_path)
    whole = checked_document(path.read_text())
    for spoilt in (
        {**whole, "outcome": {}},
        {**whole, "outcome": {**whole["outcome"], "trained": {"file": "card.json", "text": "{}"}}},
        {**whole, "outcome": {**whole["outcome"], "run": {**whole["outcome"]["run"], "noise": "loud"}}},
        {**whole, "outcome": {**whole["outcome"], "run": {**whole["outcome"]["run"], "more": 1}}},
        {"key": whole["key"]},
    ):
        path.write_text(with_checksum(spoilt))
        assert store.find(KEY) is None
    assert len(notices) == 5
    path.write_bytes(b"\xff\xfe")
    assert store.find(KEY) is None
    assert "cannot be read" in notices[-1]


def test_a_file_of_another_job_is_told_and_not_believed(
    store: JobStore, outcome: Outcome, tmp_path: Path, notices: list[str]
) -> None:
    store.keep(KEY, outcome)
    other = JobKey(document={**KEY.document, "code": "ac"}, sha256="34" * 32)
    only_file(tmp_path).rename(tmp_path / "jobs" / f"{other.sha256}.json")
    assert store.find(other) is None
    assert notices == [f"jobs/{other.sha256[:12]}….json belongs to another job: its own is done again"]


@pytest.mark.usefixtures("store")
def test_two_processes_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    second = JobStore(tmp_path / "jobs", noticed=pytest.fail)
    with pytest.raises(ScenarioError, match=r"another simulation is at work.*--out"), second.taken():
        pytest.fail("was let in")
    code = (
        "import sys, pathlib\n"
        "from simulations.store import JobStore\n"
        "with JobStore(pathlib.Path(sys.argv[1]), noticed=print).taken(): print('in')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "jobs")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert "another simulation is at work" in done.stderr


def test_who_has_ended_lets_go_and_drafts_of_a_killed_writer_go(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs", noticed=pytest.fail)
    with pytest.raises(KeyboardInterrupt), store.taken():
        raise KeyboardInterrupt
    draft = tmp_path / "jobs" / f".{'12' * 32}.json.0123456789abcdef"
    draft.write_text("half")
    (tmp_path / "jobs" / "notes.txt").write_text("mine")
    with store.taken():
        assert sorted(path.name for path in (tmp_path / "jobs").iterdir()) == ["lock", "notes.txt"]


def key_of(keys: KeyRing, baseline: Baseline | None, epsilon: float | None, *, seed: int = 1) -> str:
    return keys.key_of(Job(seed=seed, baseline=baseline, epsilon=epsilon)).sha256


def kinds(keys: KeyRing) -> dict[str, str]:
    """The key of one job of each kind."""
    return {
        "own": key_of(keys, None, 2.0),
        "lightgbm": key_of(keys, Baseline.POOLED_LIGHTGBM, None),
        "pooled": key_of(keys, Baseline.POOLED_NO_NOISE, None),
        "local": key_of(keys, Baseline.LOCAL_ONLY, None),
        "local-noise": key_of(keys, Baseline.LOCAL_NOISE, 2.0),
    }


EVERY = {"own", "lightgbm", "pooled", "local", "local-noise"}


@pytest.mark.parametrize(
    ("setting", "changed"),
    [
        ("baselines=['local-noise', 'local-only']", set()),
        ("privacy.epsilon=[0.5, 2]", set()),
        ("split.seeds=[1, 2, 3]", set()),
        ("audit={runs=2}", set()),
        ("deployment={latency_seconds=1}", set()),
        ("sweep.privacy.epsilon=[2, 3]", set()),
        ("privacy.noise='local'", {"own", "local-noise"}),
        ("privacy.noise='none'", {"own", "local-noise"}),
        ("learner.recipe='filtered'", EVERY - {"lightgbm"}),
        ("privacy.spare_rounds=1", EVERY - {"lightgbm"}),
        ("encryption={mode='paillier', key_bits=2048}", EVERY - {"lightgbm"}),
        ("privacy.delta=1e-6", EVERY),
        ("parties={roles={platform=3}}", EVERY),
        ("parties={kind='dirichlet', alpha=1, roles={platform=2, collector=1}}", EVERY),
        ("split.test=0.4", EVERY),
        ("split.kind='hash'", EVERY),
        ("data.complete_rows=true", EVERY),
    ],
)
def test_a_changed_scenario_reuses_only_what_it_may(
    small_experiment: Path, setting: str, changed: set[str]
) -> None:
    before = kinds(ring(small_experiment, "baselines=[]"))
    after = kinds(ring(small_experiment, "baselines=[]", setting))
    assert {kind for kind in before if before[kind] != after[kind]} == changed


def test_every_job_of_a_scenario_has_a_key_of_its_own(small_experiment: Path) -> None:
    keys = ring(small_experiment, "audit={runs=2}", BASELINES)
    tasks = tasks_of(load_scenario(small_experiment, ["audit={runs=2}", BASELINES]).terms)
    assert len({keys.key_of(task).sha256 for task in tasks}) == len(tasks) == 4 + 2 + 2 + 2 + 4 + 2


@pytest.mark.parametrize(
    ("job", "setting"),
    [
        (Job(seed=1, baseline=Baseline.POOLED_LIGHTGBM, epsilon=None), "learner.recipe='filtered'"),
        (Job(seed=1, baseline=Baseline.POOLED_LIGHTGBM, epsilon=None), "privacy.noise='none'"),
        (Job(seed=1, baseline=Baseline.POOLED_LIGHTGBM, epsilon=None), "encryption={mode='paillier'}"),
        (Job(seed=1, baseline=Baseline.POOLED_NO_NOISE, epsilon=None), "privacy.noise='local'"),
        (Job(seed=1, baseline=Baseline.POOLED_NO_NOISE, epsilon=None), "privacy.epsilon=[9]"),
        (Job(seed=1, baseline=Baseline.LOCAL_ONLY, epsilon=None), "privacy.noise='none'"),
        (Job(seed=1, baseline=Baseline.LOCAL_NOISE, epsilon=2.0), "privacy.noise='local'"),
    ],
)
def test_jobs_with_one_key_have_one_outcome(small_experiment: Path, job: Job, setting: str) -> None:
    first, second = (
        ground_of(small_experiment, BASELINES),
        ground_of(small_experiment, "baselines=[]", setting),
    )
    assert first.contract.hash() != second.contract.hash() or "epsilon" in setting
    keys = [KeyRing(ground, data_sha256="cd" * 32).key_of(job) for ground in (first, second)]
    if job.baseline is not Baseline.LOCAL_NOISE:
        assert keys[0] == keys[1]
    mine, other = (perform(job, ground, None) for ground in (first, second))
    assert (mine.run, mine.parties) == (other.run, other.parties)


def test_keys_change_with_data_code_versions_and_audits(
    small_experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = ground_of(small_experiment, "audit={runs=2}")
    tasks: list[Task] = [
        Job(seed=1, baseline=None, epsilon=2.0),
        Job(seed=1, baseline=Baseline.POOLED_LIGHTGBM, epsilon=None),
        AuditJob(epsilon=2.0, terms=AuditTerms(runs=2)),
    ]

    def all_keys(data: str = "cd" * 32) -> list[str]:
        keys = KeyRing(ground, data_sha256=data)
        return [keys.key_of(task).sha256 for task in tasks]

    seen = [all_keys(), all_keys("ce" * 32)]
    monkeypatch.setattr(job_keys, "code_sha256", lambda: "00" * 32)
    seen.append(all_keys())
    monkeypatch.setattr(versions, "_version", lambda name: f"{name} 0")
    seen.append(all_keys())
    monkeypatch.setattr(platform, "machine", lambda: "abacus")
    seen.append(all_keys())
    assert all(len(set(column)) == len(seen) for column in zip(*seen, strict=True))
    monkeypatch.undo()
    assert all_keys() == seen[0]
    first, other = AuditTerms(runs=2), AuditTerms(runs=3)
    audits = [
        ring(small_experiment, setting).key_of(AuditJob(epsilon=2.0, terms=terms)).sha256
        for setting, terms in (
            ("split.seeds=[1]", first),
            ("split.seeds=[1]", other),
            ("split.seeds=[7]", first),
        )
    ]
    assert len(set(audits)) == 3


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of fedscore's source, in small, that can be changed; it is what this process has loaded."""
    monkeypatch.setattr(versions, "_folder_of", lambda package: tmp_path / "source" / package)
    for package in ("clients", "fedscore", "privacy", "server", "simulations"):
        folder = tmp_path / "source" / package / "inner"
        folder.mkdir(parents=True)
        (folder / "module.py").write_text(f"{package} = 1\n")
    monkeypatch.setattr(versions, "_LOADED", versions.source_sha256())
    return tmp_path / "source"


def test_the_hash_of_the_code_is_that_of_all_files_that_can_move_a_figure(source: Path) -> None:
    seen = {versions.source_sha256()}
    (source / "privacy" / "notes.txt").write_text("no code")
    for telling in versions.TELLING:
        (source / telling).mkdir()
        (source / telling / "words.py").write_text("told = True\n")
    assert {versions.source_sha256()} == seen == {versions.code_sha256()}
    (source / "privacy" / "inner" / "module.py").write_text("privacy = 2\n")
    seen.add(versions.source_sha256())
    (source / "privacy" / "inner" / "module.py").rename(source / "privacy" / "inner" / "other.py")
    seen.add(versions.source_sha256())
    (source / "server" / "empty.py").touch()
    seen.add(versions.source_sha256())
    assert len(seen) == 4


def test_no_job_loads_source_that_only_tells() -> None:
    code = "import json, sys\nimport simulations.runner, simulations.store, simulations.job_keys\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print(json.dumps(list(sys.modules)))"],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    loaded = {f"{name.replace('.', '/')}/" for name in json.loads(done.stdout)}
    assert "simulations/runner/" in loaded
    assert [name for name in loaded if name.startswith(versions.TELLING)] == []


def changing(path: Path, *, after: int) -> Log:
    """A watcher who changes a file when so many jobs are done."""

    class Changing(Log):
        def finished(self, job: Task) -> None:
            super().finished(job)
            if len(self.done) == after:
                path.write_text(path.read_text() + "\n")

    return Changing()


def test_other_source_in_the_middle_ends_a_simulation_and_spoils_nothing(
    small_experiment: Path, source: Path, tmp_path: Path
) -> None:
    settings = ["split.seeds=[1]", "privacy.epsilon=[8]"]
    out, module = tmp_path / "out", source / "simulations" / "inner" / "module.py"
    log = changing(module, after=2)
    with pytest.raises(ScenarioError, match="source files were changed while the simulation ran"):
        simulate(str(small_experiment), out=out, overrides=settings, watcher=log, workers=1)
    assert (len(log.done), len(list((out / "jobs").glob("*.json")))) == (2, 2)
    assert not (out / "results.json").exists()
    # Whoever has loaded the old source cannot go on at all; a worker of another source cannot begin.
    with pytest.raises(ScenarioError, match="source files were changed"):
        simulate(str(small_experiment), out=out, overrides=settings, watcher=Log(), workers=1)
    with pytest.raises(ScenarioError, match="source files were changed"):
        versions.require_same_code("00" * 32)
    module.write_text("simulations = 1\n")
    versions.require_same_code(versions.code_sha256())
    with pytest.raises(ScenarioError, match="source files were changed"):
        versions.require_same_code("00" * 32)
    log = Log()
    simulate(str(small_experiment), out=out, overrides=settings, watcher=log, workers=1)
    assert (log.jobs, log.found) == (4, 2)


def test_workers_of_another_source_do_nothing(
    small_experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "code_sha256", lambda: "00" * 32)
    ground = ground_of(small_experiment)
    jobs = [Job(seed=seed, baseline=Baseline.POOLED_NO_NOISE, epsilon=None) for seed in (1, 2)]
    with pytest.raises(ScenarioError, match="source files were changed"):
        runner.run_jobs(jobs, [ground], keys={}, workers=2, finished=lambda *_: pytest.fail("was told"))


def test_another_file_in_the_middle_ends_a_simulation_and_spoils_nothing(
    small_experiment: Path, tmp_path: Path
) -> None:
    data, settings = tmp_path / "people.csv", ["split.seeds=[1]", "privacy.epsilon=[8]"]
    data.write_bytes((small_experiment.parent / "people.csv").read_bytes())
    log = changing(data, after=1)
    with pytest.raises(DataError, match=r"people\.csv was changed while the simulation ran"):
        simulate(str(small_experiment), data=data, out=tmp_path, overrides=settings, watcher=log, workers=1)
    assert (len(log.done), len(list((tmp_path / "jobs").glob("*.json")))) == (1, 1)
    mark = versions.FileMark.of(data)
    data.rename(tmp_path / "moved.csv")
    with pytest.raises(DataError, match="cannot be read"):
        mark.require_unchanged()
    (tmp_path / "other.csv").write_bytes((tmp_path / "moved.csv").read_bytes())
    (tmp_path / "other.csv").rename(data)
    with pytest.raises(DataError, match="was changed"):
        mark.require_unchanged()


def test_the_hash_of_a_file_is_the_usual_one(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"rows" * 300_000)
    assert versions.file_sha256(path) == hashlib.sha256(b"rows" * 300_000).hexdigest()


def test_a_key_tells_what_a_job_depends_on_in_words(small_experiment: Path) -> None:
    key = ring(small_experiment).key_of(Job(seed=1, baseline=None, epsilon=2.0))
    assert set(key.document) == {"job", "data", "contract", "terms", "versions", "machine", "code", "engine"}
    assert key.document["job"] == {"seed": 1, "baseline": None, "epsilon": 2.0}
    assert json.loads(json.dumps(key.document)) == key.document

"""Real processes of `fedscore simulate`, killed midway: the same command goes on, to the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fedscore.contract import Contract
from fedscore.errors import ScenarioError
from simulations import preparing
from simulations.keys import SimulatedKeys, hold_ceremony
from simulations.runner import Task
from simulations.simulate import Simulated, simulate

SWEEP = (
    "sweep.parties.roles=[{platform=2, collector=1}, {platform=4}]",
    "sweep.learner.recipe=['plain', 'filtered']",
    "split.seeds=[1, 2]",
    "baselines=['pooled-lightgbm', 'pooled-no-noise', 'local-only', 'local-noise']",
)
"""Four variations of 14 runs each; two and two share LightGBM."""

FIGURES = ("results.json", "results.csv", "parties.csv", "card.json", "card.signer.json")
PATIENCE = 120.0


class Log:
    """Keeps what a watcher is told."""

    def __init__(self) -> None:
        self.jobs = self.found = 0
        self.done: list[Task] = []
        self.notices: list[str] = []

    def stage(self, text: str) -> None: ...

    def started(self, jobs: int, found: int) -> None:
        self.jobs, self.found = jobs, found

    def finished(self, job: Task) -> None:
        self.done.append(job)

    def noticed(self, what: str) -> None:
        self.notices.append(what)


def run(
    scenario: Path, out: Path, *overrides: str, log: Log | None = None, workers: int = 1, fresh: bool = False
) -> Simulated:
    watcher = Log() if log is None else log
    return simulate(
        str(scenario), out=out, overrides=overrides, watcher=watcher, workers=workers, fresh=fresh
    )


def figures(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FIGURES}


@pytest.fixture(scope="module")
def whole(small_experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the sweep that nobody interrupted, done by one process."""
    folder = tmp_path_factory.mktemp("whole")
    run(small_experiment, folder, *SWEEP)
    return folder


def jobs_in(folder: Path) -> int:
    return len(list((folder / "jobs").glob("[0-9a-f]*.json")))


@contextlib.contextmanager
def started(scenario: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """The sweep in a session of its own, of which nothing is left afterwards, whatever happens."""
    command = [sys.executable, "-c", "from fedscore.cli.main import main; main()"]
    command += ["simulate", str(scenario), "--out", str(out)]
    for setting in SWEEP:
        command += ["--set", setting]
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def await_jobs(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while jobs_in(folder) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"{jobs_in(folder)} jobs of {count}"
        time.sleep(0.005)


def await_end_of_group(group: int) -> None:
    """Until no process of a session is left: none of its workers outlives the one that was killed."""
    deadline = time.monotonic() + PATIENCE / 4
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("workers went on after the simulation was killed")


def test_a_sweep_that_was_killed_again_and_again_ends_with_the_same_bytes(
    small_experiment: Path, whole: Path, tmp_path: Path
) -> None:
    kept = []
    for sign, more in ((signal.SIGKILL, 1), (signal.SIGINT, 4), (signal.SIGKILL, 5)):
        with started(small_experiment, tmp_path) as process:
            await_jobs(process, tmp_path, jobs_in(tmp_path) + more)
            # Ctrl-C reaches every process of a terminal; a kill, one.
            (os.killpg if sign is signal.SIGINT else os.kill)(process.pid, sign)
            assert process.wait(PATIENCE) in {-sign, 130}
            await_end_of_group(process.pid)
        assert not any((tmp_path / name).exists() for name in FIGURES)
        kept.append(jobs_in(tmp_path))
    total = jobs_in(whole)
    assert 0 < kept[0] < kept[1] < kept[2] < total
    with started(small_experiment, tmp_path) as process:
        _, told = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, told
    assert f"{total} jobs, of which {kept[-1]} were done before" in told
    assert "damaged" not in told
    assert figures(tmp_path) == figures(whole)
    assert jobs_in(tmp_path) == total


def test_variations_share_what_they_do_not_differ_in(
    small_experiment: Path, whole: Path, tmp_path: Path
) -> None:
    document = json.loads((whole / "results.json").read_text())
    runs = document["runs"]
    assert len(runs) == 4 * 2 * (2 + 1 + 1 + 1 + 2)
    assert jobs_in(whole) == len(runs) - 2 * 2
    places = [run["variation"]["learner.recipe"] for run in runs]
    assert [places.count(recipe) for recipe in ('"plain"', '"filtered"')] == [28, 28]
    assert [origin["variation"] for origin in document["origins"]] == [
        {"parties.roles": roles, "learner.recipe": recipe}
        for roles in ("{ platform = 2, collector = 1 }", "{ platform = 4 }")
        for recipe in ('"plain"', '"filtered"')
    ]
    # Each variation is what it would be by itself.
    alone = run(small_experiment, tmp_path, *SWEEP[2:], "learner.recipe='filtered'")
    beside = [one for one in runs if one["variation"] == document["origins"][1]["variation"]]
    assert [{**one, "variation": {}} for one in beside] == json.loads(alone.results.to_json())["runs"]
    log = Log()
    noises = run(
        small_experiment,
        tmp_path,
        "split.seeds=[1]",
        "baselines=['pooled-no-noise', 'local-only']",
        "sweep.privacy.noise=['shared', 'local', 'none']",
        log=log,
    )
    # Two budgets with noise, one run without; what has no noise is trained once for all three.
    assert (log.jobs, len(noises.results.runs)) == (2 + 2 + 1 + 2, 2 + 2 + 1 + 3 * 2)
    alone_aucs = [one.auc for one in noises.results.runs if one.baseline == "local-only"]
    assert len(alone_aucs) == 3
    assert len(set(alone_aucs)) == 1
    assert len({str(one.variation) for one in noises.results.parties}) == 3


def test_neither_processes_nor_a_second_look_change_a_byte(
    small_experiment: Path, whole: Path, tmp_path: Path
) -> None:
    log = Log()
    run(small_experiment, tmp_path, *SWEEP, workers=2, log=log)
    assert (log.found, len(log.done)) == (0, log.jobs)
    assert figures(tmp_path) == figures(whole)
    again = Log()
    run(small_experiment, tmp_path, *SWEEP, log=again)
    assert (again.found, again.done) == (again.jobs, [])
    assert figures(tmp_path) == figures(whole)


def spoilt_files(folder: Path) -> Sequence[Path]:
    return sorted((folder / "jobs").glob("[0-9a-f]*.json"))


def test_spoilt_files_are_told_and_their_jobs_done_again(small_experiment: Path, tmp_path: Path) -> None:
    settings = ("split.seeds=[1]", "privacy.epsilon=[8]")
    run(small_experiment, tmp_path, *settings)
    before = figures(tmp_path)
    cut, flipped, foreign, fine = spoilt_files(tmp_path)
    texts = {path: path.read_text() for path in (cut, flipped, foreign, fine)}
    cut.write_text(texts[cut][:500])
    flipped.write_text(texts[flipped].replace('"ks": 0.', '"ks": 1.', 1))
    foreign.write_text(texts[fine])
    log = Log()
    run(small_experiment, tmp_path, *settings, log=log)
    assert (log.jobs, log.found, len(log.done)) == (4, 1, 3)
    assert sorted(notice.partition(" ")[2] for notice in log.notices) == [
        "belongs to another job: its own is done again",
        "is damaged: its job is done again",
        "is damaged: its job is done again",
    ]
    assert figures(tmp_path) == before
    # Times differ; all else in the files is as it was.
    assert fine.read_text() == texts[fine]
    assert all(path.read_text().count("\n") == 2 for path in (cut, flipped, foreign))


def test_fresh_does_all_jobs_anew(small_experiment: Path, tmp_path: Path) -> None:
    settings = ("split.seeds=[1]", "privacy.epsilon=[8]", "baselines=[]")
    run(small_experiment, tmp_path, *settings)
    before = figures(tmp_path)
    log = Log()
    run(small_experiment, tmp_path, *settings, fresh=True, log=log)
    assert (log.jobs, log.found, len(log.done)) == (1, 0, 1)
    assert figures(tmp_path) == before


def test_a_changed_data_file_is_another_experiment(small_experiment: Path, tmp_path: Path) -> None:
    settings = ("split.seeds=[1]", "privacy.epsilon=[8]", "baselines=[]")
    text = (small_experiment.parent / "people.csv").read_text()
    data = tmp_path / "people.csv"
    found = []
    for changed in (text, text, text.replace(",0.5", ",0.9"), text):
        data.write_text(changed)
        log = Log()
        done = simulate(
            str(small_experiment), data=data, out=tmp_path, overrides=settings, watcher=log, workers=1
        )
        found.append((log.found, done.results.runs[0].auc))
    assert [count for count, _ in found] == [0, 1, 0, 1]
    assert found[0][1] == found[1][1] == found[3][1] != found[2][1]


@pytest.mark.slow
def test_an_encrypted_experiment_goes_on_under_another_key(
    small_experiment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    known_keys: Callable[[Contract], SimulatedKeys],
) -> None:
    moduli: list[int] = []

    def ceremony(contract: Contract, *, key_bits: int) -> SimulatedKeys:
        # A fresh key takes seconds: one is enough to have two.
        keys = known_keys(contract) if not moduli else hold_ceremony(contract, key_bits=key_bits)
        moduli.append(keys.record.public_key.n)
        return keys

    monkeypatch.setattr(preparing, "hold_ceremony", ceremony)
    settings = ("encryption={mode='paillier', key_bits=2048}", "baselines=[]", "privacy.epsilon=[8]")
    first, both = (*settings, "split.seeds=[1]"), (*settings, "split.seeds=[1, 2]")
    run(small_experiment, tmp_path / "stepwise", *first)
    log = Log()
    stepwise = run(small_experiment, tmp_path / "stepwise", *both, log=log)
    assert (log.jobs, log.found) == (2, 1)
    assert len(set(moduli)) == 2
    moduli.clear()
    run(small_experiment, tmp_path / "at once", *both)
    assert len(moduli) == 1
    assert all(one.encrypted for one in stepwise.results.runs)
    assert figures(tmp_path / "stepwise") == figures(tmp_path / "at once")
    # Nothing is left to be encrypted, so no key is dealt.
    again = run(small_experiment, tmp_path / "stepwise", *both)
    assert len(moduli) == 1
    assert again.results == stepwise.results


def test_all_variations_are_checked_before_anything_is_read(small_experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        run(
            small_experiment,
            tmp_path / "out",
            'sweep={"data.contract"=["small.toml", "none.toml"], "privacy.colluding_parties"=[1, 3]}',
        )
    told = str(caught.value)
    assert "with data.contract = \"none.toml\": scenario 'small_experiment' names the contract" in told
    assert 'data.contract = "small.toml", privacy.colluding_parties = 3: ' in told
    assert told.count("  - ") == 2
    assert not (tmp_path / "out").exists()

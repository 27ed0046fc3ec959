"""`fedscore server run`, `resume`, `stop` and `status`, with a child that plays Flower and its server app."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fedscore.cli import server_runs
from fedscore.cli.main import app
from fedscore.contract import Party, Role, parse_contract
from fedscore.messages import programs
from fedscore.sums.series import KeySeries
from fedscore.tls import Authority, ServerKey, pem
from server import operations
from server.chronicle import FileChronicle, Standing
from server.operations import RunReport, status_of
from server.record import RunRecord, RunStatus, read_record, write_record
from server.workplace import Workplace
from simulations.keys import SimulatedKeys, keyed, simulated_identity
from simulations.loopback.parties import as_toml

RUN = "ab" * 16

WRITES = """
import sys
from pathlib import Path
from server.record import RunRecord, RunStatus, write_record
state = Path(sys.argv[1])
write_record(RunRecord(run="{run}", status=RunStatus.{status}, contract_hash="", rounds_opened=4, rounds=9,
             reason="{reason}"), state)
sys.exit({code})
"""

WORKS = """
import sys, time
from pathlib import Path
from server.record import RunRecord, RunStatus, write_record
from server.workplace import Workplace
state = Path(sys.argv[1])
place = Workplace(state)
with place.taken():
    write_record(RunRecord(run="ab" * 16, status=RunStatus.RUNNING, contract_hash=""), state)
    (state / "ready").touch()
    while not place.must_stop():
        time.sleep(0.05)
    time.sleep({ending})
    write_record(RunRecord(run="ab" * 16, status=RunStatus.STOPPED, contract_hash="", rounds_opened=2), state)
place.clear_sign()
"""


@pytest.fixture
def file(tmp_path: Path, small_keys: SimulatedKeys, tiny_text: str) -> Path:
    contract = keyed(
        parse_contract(tiny_text)
        .with_parties([Party(name=name, role=Role.PLATFORM) for name in ("north", "south", "agency")])
        .with_encryption(
            key_bits=2048,
            committee={"members": 3, "threshold": 2, "colluding_members": 1},
            ceremony=small_keys.record.hash(),
        )
    )
    (tmp_path / "contract.toml").write_text(as_toml(contract.model_dump(mode="json")))
    (tmp_path / "ceremony.json").write_text(small_keys.record.to_json())
    (tmp_path / "identity.json").write_text(simulated_identity("operator").to_json())
    authority, key = Authority.generate("an authority"), ServerKey.generate()
    authority.write(tmp_path / "authority.crt", tmp_path / "authority.key")
    key.write(tmp_path / "server.key")
    (tmp_path / "server.crt").write_bytes(pem(authority.certify(key, ["localhost"])))
    (tmp_path / "state" / "flower").mkdir(parents=True)
    (tmp_path / "state" / "flower" / "config.toml").touch()
    config = {
        "contract": "contract.toml",
        "ceremony": "ceremony.json",
        "identity": "identity.json",
        "state": "state",
        "listen": {
            "port": 18000,
            "certificate": "server.crt",
            "key": "server.key",
            "authority": "authority.crt",
        },
    }
    (tmp_path / "server.toml").write_text(as_toml(config))
    return tmp_path / "server.toml"


@pytest.fixture
def state(file: Path) -> Path:
    return file.parent / "state"


def fedscore(command: str, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["server", command, *map(str, arguments)])


def play(monkeypatch: pytest.MonkeyPatch, state: Path, script: str) -> list[bool]:
    """Lets a script be what Flower runs; returns whether each start was to resume."""
    resumed: list[bool] = []

    def command(_bundle: Path, _config: Path, *, connection: str, resume: bool) -> list[str]:
        assert connection == "consortium"
        resumed.append(resume)
        return [sys.executable, "-c", script, str(state)]

    monkeypatch.setattr(programs, "run_command", command)
    monkeypatch.setattr(server_runs, "_POLL_SECONDS", 0.05)
    return resumed


def record(status: RunStatus, **more: str) -> RunRecord:
    return RunRecord(run=RUN, status=status, contract_hash="", **more)  # type: ignore[arg-type]  # a few fields


def report(monkeypatch: pytest.MonkeyPatch, found: RunReport) -> None:
    monkeypatch.setattr(operations, "status_of", lambda _state: found)


def test_a_run_ends_with_the_card_and_what_to_do_next(
    file: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = play(monkeypatch, state, WRITES.format(run=RUN, status="FINISHED", reason="", code=0))
    done = fedscore("run", file)
    assert done.exit_code == 0, done.output
    assert f"run              {RUN}: finished" in done.output
    assert "sums             4 of 9 opened, 0 abandoned" in done.output
    assert "card.json lies in the state folder" in done.output
    assert resumed == [False]


def test_a_run_that_trained_a_model_says_so(file: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = WRITES.format(run=RUN, status="FINISHED", reason="", code=0)
    play(monkeypatch, state, writes.replace("sys.exit", '(state / "model.json").touch()\nsys.exit'))
    done = fedscore("run", file)
    assert done.exit_code == 0, done.output
    assert f"next             model.json lies in the state folder; fedscore server run {file}" in done.output
    assert "card.json" not in done.output


def test_a_run_that_watched_a_card_says_so_although_the_card_lies_there_too(
    file: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = WRITES.format(run=RUN, status="FINISHED", reason="", code=0)
    touches = 'import os; (state / "card.json").touch(); os.utime(state / "card.json", (1, 1))\n'
    touches += '(state / "monitoring.json").touch()\n'
    play(monkeypatch, state, writes.replace("sys.exit", f"{touches}sys.exit"))
    done = fedscore("run", file)
    assert done.exit_code == 0, done.output
    assert "monitoring.json lies in the state folder" in done.output
    assert "watches the card again" in done.output


@pytest.mark.parametrize(("status", "word"), [("FAILED", "failed"), ("STOPPED", "stopped")])
def test_a_run_that_comes_to_nothing_says_why_and_fails(
    file: Path, state: Path, monkeypatch: pytest.MonkeyPatch, status: str, word: str
) -> None:
    play(monkeypatch, state, WRITES.format(run=RUN, status=status, reason="two were absent", code=0))
    done = fedscore("run", file)
    assert done.exit_code == 1
    assert f"{RUN}: {word}" in done.output
    assert "reason           two were absent" in done.output
    assert f"next             fedscore server run {file} begins one" in done.output


def test_the_record_of_an_earlier_run_does_not_pass_for_this_ones(
    file: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(record(RunStatus.FINISHED), state)
    play(monkeypatch, state, "raise SystemExit(1)")
    done = fedscore("run", file)
    assert done.exit_code == 1
    assert "nothing was trained: what Flower said above tells why" in done.output


def test_flower_is_told_to_resume(file: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed = play(monkeypatch, state, WRITES.format(run=RUN, status="FINISHED", reason="", code=0))
    monkeypatch.setattr(operations, "require_startable", lambda _state, *, resume: None)  # noqa: ARG005 - its name
    assert fedscore("resume", file).exit_code == 0
    assert resumed == [True]


def test_the_setting_of_a_resumed_run() -> None:
    plain = programs.run_command(Path("b"), Path("/a/server.toml"), connection="c")
    resumed = programs.run_command(Path("b"), Path("/a/server.toml"), connection="c", resume=True)
    assert resumed[:-1] == plain[:-1]
    assert resumed[-1] == f"{plain[-1]} resume=true"


def test_nothing_starts_where_the_folder_does_not_let_it(
    file: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = play(monkeypatch, state, "")
    done = fedscore("resume", file)
    assert done.exit_code == 1
    assert "nothing to resume" in done.output.replace("\n", " ")
    with Workplace(state).taken():
        for command in ("run", "resume"):
            done = fedscore(command, file)
            assert done.exit_code == 1
            assert "another process is at work" in done.output
    assert resumed == []


@pytest.mark.parametrize("command", ["run", "resume"])
def test_nothing_starts_without_a_server(file: Path, state: Path, command: str) -> None:
    (state / "flower" / "config.toml").unlink()
    done = fedscore(command, file)
    assert done.exit_code == 1
    assert "run `fedscore server start` first" in done.output.replace("\n", " ")


CLI = """
import sys
from fedscore.messages import programs
*sys.argv, script, state = sys.argv
programs.run_command = lambda *_a, **_k: [sys.executable, "-c", open(script).read(), state]
from fedscore.cli.main import main
main()
"""


def start_cli(file: Path, state: Path, script: str) -> subprocess.Popen[str]:
    (file.parent / "script.py").write_text(script)
    command = [
        sys.executable,
        "-c",
        CLI,
        "server",
        "run",
        str(file),
        str(file.parent / "script.py"),
        str(state),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def await_file(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_ends_a_run_cleanly_and_waits_for_its_end(file: Path, state: Path) -> None:
    with start_cli(file, state, WORKS.format(ending=0)) as process:
        await_file(state / "ready", process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "ending the run: what it released stays charged" in output
    assert f"{RUN}: stopped" in output
    assert "sums             2 opened" in output
    found = read_record(state)
    assert found is not None
    assert found.status is RunStatus.STOPPED


def test_a_second_ctrl_c_leaves_and_the_run_ends_by_itself(file: Path, state: Path) -> None:
    with start_cli(file, state, WORKS.format(ending=600)) as process:
        await_file(state / "ready", process)
        process.send_signal(signal.SIGINT)
        await_file(state / "stop-requested", process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "fedscore: cancelled" in output


def test_stop_waits_until_nobody_is_at_work(file: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_runs, "_POLL_SECONDS", 0.05)
    command = [sys.executable, "-c", WORKS.format(ending=0), str(state)]
    with subprocess.Popen(command, text=True) as process:
        await_file(state / "ready", process)
        done = fedscore("stop", file)
    assert done.exit_code == 0, done.output
    assert f"{RUN}: stopped" in done.output
    assert not status_of(state).at_work


def test_stop_says_when_a_run_takes_long_to_end(
    file: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_runs, "_STOP_SECONDS", 0.0)
    with Workplace(state).taken():
        done = fedscore("stop", file)
    assert done.exit_code == 1
    assert "was told to stop and has not ended within 0 seconds" in done.output.replace("\n", " ")
    assert Workplace(state).must_stop()


def test_stop_says_that_there_is_nothing_to_end(file: Path) -> None:
    done = fedscore("stop", file)
    assert done.exit_code == 1
    assert "nothing was ended" in done.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("found", "said", "step"),
    [
        (
            RunReport(record=None, at_work=False, resumable=False, stopping=False),
            "run              none yet",
            "server run {file} begins one",
        ),
        (
            RunReport(record=record(RunStatus.RUNNING), at_work=True, resumable=False, stopping=False),
            "running, a process is at work",
            "wait, or end it: fedscore server stop {file}",
        ),
        (
            RunReport(record=record(RunStatus.RUNNING), at_work=True, resumable=False, stopping=True),
            "running, told to stop",
            "wait: it ends when",
        ),
        (
            RunReport(
                record=record(RunStatus.INTERRUPTED, reason="killed"),
                at_work=False,
                resumable=True,
                stopping=False,
            ),
            "reason           killed",
            "server resume {file} goes on with it, fedscore server stop {file} ends it",
        ),
        (
            RunReport(record=record(RunStatus.INTERRUPTED), at_work=False, resumable=False, stopping=False),
            "interrupted",
            "its checkpoint is damaged: fedscore server stop {file} ends it",
        ),
        (
            RunReport(record=record(RunStatus.FINISHED), at_work=False, resumable=False, stopping=False),
            "finished",
            "card.json lies in the state folder",
        ),
    ],
)
def test_status_says_how_it_stands_and_what_to_do(
    file: Path, monkeypatch: pytest.MonkeyPatch, found: RunReport, said: str, step: str
) -> None:
    report(monkeypatch, found)
    done = fedscore("status", file)
    assert done.exit_code == 0, done.output
    assert said in done.output
    assert step.format(file=file) in done.output.partition("next             ")[2]
    assert "certificate      397 days left" in done.output
    assert "authority        3649 days left" in done.output


def test_status_knows_the_transcripts_round(file: Path, state: Path, small_keys: SimulatedKeys) -> None:
    series = KeySeries.of(small_keys.record)
    FileChronicle(state, series).store(Standing(round=17, head=series.genesis))
    write_record(record(RunStatus.FINISHED), state)
    assert "transcript       round 17" in fedscore("status", file).output
    document = json.loads(fedscore("status", file, "--json").output)
    assert document["transcript_round"] == 17
    assert document["run"]["run"] == RUN
    assert document["certificate_days_left"] == {"certificate": 397, "authority": 3649}
    assert (document["at_work"], document["resumable"], document["stopping"]) == (False, False, False)
    assert document["next"].startswith("card.json")

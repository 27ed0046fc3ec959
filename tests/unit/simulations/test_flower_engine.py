"""Flower's own engine opens what one process opens, ends cleanly, and is still what is leant on."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import requires, version
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import typer
from flwr.common.constant import NUM_PARTITIONS_KEY, PARTITION_ID_KEY, ErrorCode
from flwr.simulation import run_simulation
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from typer.testing import CliRunner

from fedscore.contract import Contract, Recipe
from fedscore.data import Rows
from fedscore.errors import RunFailed
from simulations.engines import Engine
from simulations.federation import EncryptionMode, train_federation
from simulations.flower_engine import engine, train_on_flower
from simulations.flower_engine.nodes import PARTITION
from simulations.keys import SimulatedKeys
from simulations.simulate import simulate
from tests.conftest import REPOSITORY
from tests.evaluations import product_contract, product_rows


@pytest.fixture(scope="module")
def contract(tiny_text: str) -> Contract:
    return product_contract(tiny_text)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made: a short path, as Ray's sockets need."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="fs-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def rows_of(contract: Contract, count: int, seed: int) -> dict[str, Rows]:
    return {
        party.name: product_rows(contract, count, seed + number, role=party.role)
        for number, party in enumerate(contract.parties)
    }


@dataclass(frozen=True)
class Process:
    """A process that has not ended, as Linux tells of it."""

    number: int
    name: str
    parent: int
    group: int


def processes() -> list[Process]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, _, after = entry.read_text().rpartition(")")
        except OSError:
            continue  # it has ended meanwhile
        number, _, name = before.partition(" (")
        state, parent, group, *_ = after.split()
        if state != "Z":
            found.append(Process(number=int(number), name=name, parent=int(parent), group=int(group)))
    return found


def names_in(group: int) -> list[str]:
    return [process.name for process in processes() if process.group == group]


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="/proc tells of processes")


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Process groups that engines have had."""
    seen: list[int] = []
    end = engine._end

    def seen_to_the_end(process: BaseProcess) -> None:
        assert process.pid is not None
        seen.append(process.pid)
        end(process)

    monkeypatch.setattr(engine, "_end", seen_to_the_end)
    return seen


@pytest.mark.slow
@needs_proc
def test_the_engine_opens_what_one_process_opens(
    contract: Contract, temporary: Path, groups: list[int]
) -> None:
    """Three parties in two roles, grades, and an evaluation over test rows."""
    training, testing = rows_of(contract, 300, 1), rows_of(contract, 150, 11)
    before = dict(os.environ)

    one = train_federation(contract, training, seed=4, test_rows=testing)
    other = train_on_flower(contract, training, seed=4, test_rows=testing, processes=2)

    assert [opening.tolist() for opening in other.openings] == [opening.tolist() for opening in one.openings]
    assert other.card.to_json() == one.card.to_json()
    assert other.card.evaluation is not None
    assert (other.guarantee, other.person_guarantee) == (one.guarantee, one.person_guarantee)
    assert (other.rounds, other.phases) == (one.rounds, one.phases)
    assert (other.values_per_party, other.bytes_per_party) == (one.values_per_party, one.bytes_per_party)
    assert os.environ == before
    assert list(temporary.iterdir()) == []
    (group,) = groups
    assert names_in(group) == []


@pytest.mark.slow
def test_the_filtered_recipe_on_the_engine(contract: Contract, temporary: Path) -> None:
    filtered = contract.with_recipe(Recipe.FILTERED)
    training, testing = rows_of(filtered, 300, 1), rows_of(filtered, 150, 11)
    one = train_federation(filtered, training, seed=4, test_rows=testing)
    other = train_on_flower(filtered, training, seed=4, test_rows=testing, processes=2)
    assert all(map(np.array_equal, other.openings, one.openings))
    assert other.card.to_json() == one.card.to_json()
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_encrypted_on_the_engine(contract: Contract, small_keys: SimulatedKeys, temporary: Path) -> None:
    training, testing = rows_of(contract, 200, 1), rows_of(contract, 100, 11)
    plain = train_federation(contract, training, seed=4, test_rows=testing)
    other = train_on_flower(
        contract,
        training,
        seed=4,
        test_rows=testing,
        processes=2,
        encryption=EncryptionMode.PAILLIER,
        keys=small_keys,
    )
    assert all(map(np.array_equal, other.openings, plain.openings))
    assert other.card.claim() == plain.card.claim()
    assert other.stages == {}
    assert list(temporary.iterdir()) == []


@needs_proc
@pytest.mark.slow
def test_a_fault_in_the_client_app_surfaces_as_in_one_process(
    contract: Contract, temporary: Path, groups: list[int]
) -> None:
    training = rows_of(contract, 100, 1)
    odd = training["south"]
    training["south"] = Rows(cells=odd.cells[:, :-1], outcome=odd.outcome, ids=odd.ids, groups=odd.groups)

    with pytest.raises(RunFailed) as expected:
        train_federation(contract, training, seed=4, test_rows=training)
    with pytest.raises(RunFailed) as found:
        train_on_flower(contract, training, seed=4, test_rows=training, processes=2)

    assert "south" in str(expected.value)
    assert str(found.value) == str(expected.value)
    assert list(temporary.iterdir()) == []
    (group,) = groups
    assert names_in(group) == []


class Silent:
    """Is told how a simulation goes on, and says nothing."""

    def stage(self, text: str) -> None:
        pass

    def started(self, jobs: int, found: int) -> None:
        pass

    def finished(self, job: object) -> None:
        pass

    def noticed(self, what: str) -> None:
        pass


@pytest.mark.slow
def test_results_do_not_depend_on_the_engine(small_experiment: Path, tmp_path: Path, temporary: Path) -> None:
    settings = ["split.seeds=[1]", "privacy.epsilon=[2]", "baselines=['local-noise']"]
    folders = {carrier: tmp_path / carrier for carrier in Engine}
    timings = {
        carrier: simulate(
            str(small_experiment), out=folder, overrides=settings, watcher=Silent(), workers=2, engine=carrier
        ).timings.runs
        for carrier, folder in folders.items()
    }

    for name in ("results.json", "results.csv", "parties.csv", "card.json"):
        one, other = ((folder / name).read_bytes() for folder in folders.values())
        assert one == other, name
    for carrier, runs in timings.items():
        assert [run.engine for run in runs] == [carrier, carrier]
    assert list(temporary.iterdir()) == []


PROGRAM = """
import sys
from tests.evaluations import product_contract, product_rows
from tests.conftest import TINY
from simulations.flower_engine import engine, train_on_flower

def main():
    contract = product_contract(TINY)
    rows = {party.name: product_rows(contract, 100, 1, role=party.role) for party in contract.parties}
    print("begins", flush=True)
    train_on_flower(contract, rows, seed=4, test_rows=rows, processes=2)
    print("ended", flush=True)

if __name__ == "__main__":
    main()
"""


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("meanwhile", ["gcs_server", "ray::ClientAppA"])
def test_whoever_ends_it_leaves_nothing_behind(
    number: signal.Signals, meanwhile: str, tmp_path: Path, temporary: Path
) -> None:
    """Ctrl-C, as the terminal sends it, and two ways of killing the first process alone."""
    script = tmp_path / "trains.py"
    script.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    ) as process:

        def engines() -> set[int]:
            mine = {one.number for one in processes() if one.parent == process.pid}
            return {one.group for one in processes() if one.group in mine and one.name == meanwhile}

        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        wait_until(lambda: bool(engines()))
        (group,) = engines()
        assert len(list(temporary.iterdir())) == 1
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(60) == -number
        assert process.stdout.read() == ""
    wait_until(lambda: names_in(group) == [] and list(temporary.iterdir()) == [])


# What follows are promises that Flower does not make; a new version of it may break them.


def test_flowers_entry_takes_apps_and_settings() -> None:
    parameters = inspect.signature(run_simulation).parameters
    assert list(parameters)[:5] == [
        "server_app",
        "client_app",
        "num_supernodes",
        "backend_name",
        "backend_config",
    ]
    assert parameters["backend_name"].default == "ray"


def test_flowers_nodes_have_a_number() -> None:
    assert PARTITION == PARTITION_ID_KEY
    assert NUM_PARTITIONS_KEY != PARTITION


def test_flower_wants_the_ray_that_is_installed() -> None:
    wanted = [Requirement(text) for text in requires("flwr") or ()]
    (ray,) = [
        one
        for one in wanted
        if one.name == "ray" and one.marker is not None and one.marker.evaluate({"extra": "simulation"})
    ]
    assert ray.specifier == SpecifierSet(f"=={version('ray')}")


def test_flowers_backend_hands_settings_to_ray() -> None:
    """Read and not imported: Ray would be loaded."""
    found = importlib.util.find_spec("flwr.server.superlink.fleet.vce.backend.raybackend")
    assert found is not None
    assert found.origin is not None
    source = Path(found.origin).read_text(encoding="utf-8")
    assert "**ray_init_args" in source
    assert 'self.init_args_key = "init_args"' in source
    assert 'self.client_resources_key = "client_resources"' in source


REPORTS = """
import urllib.error
import urllib.request
from flwr.supercore import telemetry

sent = []
def urlopen(request, **others):
    sent.append(request)
    raise urllib.error.URLError("nothing is sent from a test")

urllib.request.urlopen = urlopen
telemetry.create_event(telemetry.EventType.PYTHON_API_RUN_SIMULATION_ENTER, None)
print(len(sent))
"""


@pytest.mark.parametrize(("told", "sent"), [("0", 0), ("1", 1)])
def test_flower_reports_nothing_if_it_is_told_so_when_it_is_loaded(
    told: str, sent: int, tmp_path: Path
) -> None:
    """Only the environment that a process begins with counts: hence the engine has one of its own."""
    environment = {**os.environ, "FLWR_TELEMETRY_ENABLED": told, "FLWR_HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", REPORTS], env=environment, capture_output=True, text=True, check=True
    )
    assert int(run.stdout) == sent


SESSION = """
import json, logging, os, sys, time
from pathlib import Path
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp
import simulations.flower_engine.session
from fedscore.errors import RunFailed
from simulations.flower_engine.session import Session, run_session

app = ClientApp()

@app.query("who")
def who(message, context):
    answer = {"partition": context.node_config["partition-id"], "process": os.getpid()}
    return Message(RecordDict({"who": ConfigRecord(answer)}), reply_to=message)

@app.query("fail")
def fail(message, context):
    raise ZeroDivisionError("in the app")

def asked(grid, kind):
    nodes = list(grid.get_node_ids())
    waiting = set(grid.push_messages(Message(RecordDict(), node, "query." + kind, ttl=60) for node in nodes))
    replies = []
    while waiting:
        for reply in grid.pull_messages(waiting):
            waiting.remove(reply.metadata.reply_to_message_id)
            replies.append(reply)
        time.sleep(0.05)
    return replies

def server(grid, stopping):
    who = [dict(reply.content["who"]) for reply in asked(grid, "who")]
    errors = [[reply.error.code, reply.error.reason] for reply in asked(grid, "fail")]
    assert not stopping()
    return {"who": who, "errors": errors}

if __name__ == "__main__":
    session = Session(nodes=4, processes=2, folder=Path(sys.argv[1]))
    found = run_session(app, server, session)
    def breaks(grid, stopping):
        raise KeyError("of the server")
    try:
        run_session(app, breaks, session)
    except KeyError as error:
        found["raised"] = str(error)
    def waits(grid, stopping):
        while not stopping():
            time.sleep(0.05)
        found["stopped"] = True
    simulations.flower_engine.session._OBJECT_STORE = 1
    try:
        run_session(app, waits, session)
    except RunFailed as error:
        found["failed"] = str(error)
    while "stopped" not in found:
        time.sleep(0.05)
    print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_session_numbers_its_nodes_and_reports_what_is_raised(temporary: Path) -> None:
    with engine._environment(temporary):
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(
        [sys.executable, "-c", SESSION, str(temporary / "ray")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout.splitlines()[-1])
    assert sorted(one["partition"] for one in found["who"]) == [0, 1, 2, 3]
    assert len({one["process"] for one in found["who"]}) <= 2
    assert [code for code, _ in found["errors"]] == [ErrorCode.CLIENT_APP_RAISED_EXCEPTION] * 4
    assert all("in the app" in reason for _, reason in found["errors"])
    assert found["raised"] == "'of the server'"
    assert "Flower's engine failed: what it wrote above says why" in found["failed"]
    assert "minimum allowed" in run.stderr


@needs_proc
@pytest.mark.slow
def test_the_benchmark_compares_the_engines(small_experiment: Path, temporary: Path) -> None:
    application = typer.Typer()
    application.command()(importlib.import_module("benchmarks.flower_engine").main)
    run = CliRunner().invoke(application, [str(small_experiment), "--parties", "2", "--json"])
    assert run.exit_code == 0, run.output
    (found,) = json.loads(run.stdout)
    assert found["in_process"]["openings"] == found["flower"]["openings"]
    assert found["in_process"]["phases"] == found["flower"]["phases"]
    assert 0 < found["flower"]["actor_seconds"] < found["flower"]["seconds"]
    assert found["flower"]["megabytes"] > found["in_process"]["megabytes"] > 0
    assert found["flower"]["processor_seconds"] > found["in_process"]["processor_seconds"] > 0
    assert list(temporary.iterdir()) == []

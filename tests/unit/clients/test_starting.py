"""How a node is started: with which programs, and with which variables."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flwr.supercore.constant import TASK_TYPE_TO_COMMAND, TaskType
from flwr.supercore.superexec.executor import ExecutionSpec, SubprocessExecutor
from flwr.supercore.superexec.plugin import AutoExecPlugin
from flwr.supernode import start_client_internal

from clients.config import NodeConfig, load_node_config
from clients.starting import CONFIG_VARIABLE, LAUNCHER, node_start, write_programs
from fedscore.errors import NodeConfigError

NODE = """
party = "north"
role = "platform"
contract = "file"
ceremony = "file"
identity = "file"
state = "deep/state"
policy = "file"
ledger = "ledger"
data = { table = "file" }
"""

CONNECTION = """
[connection]
superlink = "consortium.example:443"
authority = "file"
key = "file"
"""


def config_of(folder: Path, text: str = NODE + CONNECTION) -> tuple[Path, NodeConfig]:
    (folder / "file").touch()
    file = folder / "node.toml"
    file.write_text(text)
    return file, load_node_config(file)


def test_every_program_that_flower_may_start_is_in_the_private_folder(tmp_path: Path) -> None:
    file, config = config_of(tmp_path)

    start = node_start(file, config)

    programs = Path(start.environment["PATH"])
    assert programs == tmp_path / "deep" / "state" / "programs"
    assert stat.S_IMODE(programs.stat().st_mode) == 0o700
    assert {path.name for path in programs.iterdir()} == {*TASK_TYPE_TO_COMMAND.values(), "flower-superexec"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in programs.iterdir()} == {0o700}


def test_all_that_a_supernode_starts_goes_through_names_in_path() -> None:
    """The two places in Flower that start a process: another one would need a look."""
    assert AutoExecPlugin.supported_task_types == frozenset(TaskType)
    assert set(TASK_TYPE_TO_COMMAND) == set(TaskType)
    text = Path(start_client_internal.__file__).read_text()
    assert text.count("subprocess.Popen(") == 1
    assert 'command = ["flower-superexec"]' in text
    assert "--executor" not in text


@pytest.mark.parametrize("task", sorted(set(TaskType) - {TaskType.CLIENT_APP}), ids=str)
def test_a_run_that_calls_itself_something_else_starts_nothing(
    task: TaskType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The operator's side names the kind of a run; Flower's executor looks for a program of that name."""
    write_programs(tmp_path / "programs", client=["/bin/false"])
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    started: list[subprocess.Popen[Any]] = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kw: started.append(popen(*args, **kw)))

    SubprocessExecutor().launch(
        ExecutionSpec(
            task_type=task,
            runtime_api_address="127.0.0.1:1",
            token="0",  # noqa: S106 - no secret
            insecure=True,
            root_certificates_path=None,
            runtime_dependency_install=False,
            parent_pid=None,
            suppress_output=False,
            task_id=1,
            fab_hash=None,
        )
    )

    assert [process.wait() for process in started] == [1]
    assert f"refused to start {TASK_TYPE_TO_COMMAND[task]}: a node answers as a client app alone" in (
        capfd.readouterr().err
    )


def test_the_client_program_is_the_isolated_launcher(tmp_path: Path) -> None:
    file, config = config_of(tmp_path)
    node_start(file, config)

    script = (tmp_path / "deep" / "state" / "programs" / "flwr-clientapp").read_text()

    assert script == f'#!/bin/sh\nexec {shlex.join(LAUNCHER)} "$@"\n'
    assert (sys.executable, "-I", "-m", "clients.launcher") == LAUNCHER


def test_arguments_and_paths_with_spaces_arrive_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    script = "import sys; print(sys.argv[1:], sys.flags.isolated)"
    write_programs(folder, client=[sys.executable, "-I", "-c", script])

    done = subprocess.run(
        [str(folder / "flwr-clientapp"), "--token", "a b", "$HOME", "'"],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == """['--token', 'a b', '$HOME', "'"] 1\n"""


def test_what_lay_in_the_folder_is_gone_after_a_start(tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir(mode=0o777)
    (folder / "flwr-clientapp").write_text("old")
    (folder / "uv").write_text("stray")

    write_programs(folder, client=LAUNCHER)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not (folder / "uv").exists()
    assert "clients.launcher" in (folder / "flwr-clientapp").read_text()


def test_what_tells_python_what_to_import_is_not_inherited(tmp_path: Path) -> None:
    file, config = config_of(tmp_path)
    base = {
        "PYTHONPATH": "/x",
        "PYTHONHOME": "/x",
        "HOME": "/home/a",
        "PATH": "/usr/bin",
        "no_proxy": "intranet",
        CONFIG_VARIABLE: "/another/node.toml",
    }

    environment = node_start(file, config, base=base).environment

    assert not any(name.startswith("PYTHON") for name in environment)
    assert "/usr/bin" not in environment["PATH"]
    assert environment["HOME"] == "/home/a"
    assert environment["NO_PROXY"] == environment["no_proxy"] == "intranet,localhost,127.0.0.1"
    assert environment[CONFIG_VARIABLE] == str(file)
    assert environment["FLWR_TELEMETRY_ENABLED"] == "0"


def test_what_a_nodes_own_processes_tell_each_other_goes_through_no_proxy(tmp_path: Path) -> None:
    file, config = config_of(tmp_path, NODE + CONNECTION + 'listen = "[::1]:9094"\n')
    environment = node_start(file, config, base={"HTTP_PROXY": "http://proxy:1"}).environment
    assert environment["NO_PROXY"].split(",") == ["localhost", "127.0.0.1", "[::1]", "::1"]


def test_the_command_has_the_connection_and_no_path_of_the_configuration(tmp_path: Path) -> None:
    more = 'listen = "127.0.0.1:5"\ntrusted_entities = "file"\n'
    file, config = config_of(tmp_path, NODE + CONNECTION + more)

    command = node_start(file, config).command

    assert Path(command[0]).name == "flower-supernode"
    assert os.access(command[0], os.X_OK)
    assert command[1:] == [
        *("--superlink", "consortium.example:443", "--root-certificates", str(tmp_path / "file")),
        *("--auth-supernode-private-key", str(tmp_path / "file")),
        *("--host", "127.0.0.1", "--port", "5", "--trusted-entities", str(tmp_path / "file")),
    ]


def test_a_node_that_does_not_know_the_operator_does_not_start(tmp_path: Path) -> None:
    file, config = config_of(tmp_path, NODE)

    with pytest.raises(
        NodeConfigError, match=r"node\.toml has no \[connection\]: add the operator's superlink"
    ):
        node_start(file, config)

"""`fedscore server` and `fedscore node start`: what they refuse, and what they start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fedscore.cli.main import app
from fedscore.messages.programs import environment, supernode_command
from simulations.keys import SimulatedKeys

NOTHING = "there is no file"


@pytest.fixture
def operator(tmp_path: Path, small_keys: SimulatedKeys, tiny_text: str) -> Path:
    (tmp_path / "contract.toml").write_text(tiny_text)
    (tmp_path / "ceremony.json").write_text(small_keys.record.to_json())
    (tmp_path / "node.pub").write_text("ecdsa-sha2-nistp384 AAAA")
    file = tmp_path / "server.toml"
    file.write_text(
        """
contract = "contract.toml"
ceremony = "ceremony.json"
state = "state"
"""
    )
    return file


def test_commands_name_a_missing_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    node = ["node", "start", "--superlink", "h:1", "--ca", "/dev/null", "--key", "/dev/null"]
    for command in (["server", "run"], node):
        done = CliRunner().invoke(app, [*command, str(tmp_path / "nothing.toml")])
        assert done.exit_code == 1
        assert NOTHING in done.output


def test_no_run_without_a_server(operator: Path) -> None:
    for command in (
        ["server", "run", str(operator)],
        ["server", "register", str(operator), str(operator.parent / "node.pub")],
    ):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 1
        assert "run `fedscore server start` first" in done.output


def test_a_run_becomes_flowers_command_with_the_bundle_without_code(
    operator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = operator.parent / "state" / "flower"
    home.mkdir(parents=True)
    (home / "config.toml").write_text("")
    became: list[Any] = []
    monkeypatch.setattr("os.execve", lambda *arguments: became.extend(arguments))
    done = CliRunner().invoke(app, ["server", "run", str(operator)])
    assert done.exit_code == 0, done.output
    path, command, variables = became
    assert Path(path).name == "flwr"
    assert command[1] == "run"
    bundle = Path(command[2])
    assert [file.name for file in bundle.iterdir()] == ["pyproject.toml"]
    assert command[-1] == f'config="{operator}"'
    assert variables["FLWR_HOME"] == str(home)


def test_flowers_programs_phone_nobody() -> None:
    variables = environment(home=Path("home"), base={"PATH": "/bin"})
    assert variables["FLWR_TELEMETRY_ENABLED"] == "0"
    assert variables["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    assert variables["PATH"].endswith(":/bin")


def test_a_node_is_told_its_configuration_and_nothing_of_its_data() -> None:
    command = supernode_command(
        Path("/a b/node.toml"),
        superlink="h:1",
        authority=Path("ca.crt"),
        key=Path("node.key"),
        listen="127.0.0.1:5",
    )
    assert 'config="/a b/node.toml"' in command
    assert command[-4:] == ["--host", "127.0.0.1", "--port", "5"]

"""`fedscore server` and `fedscore node start`: what they refuse, and what they start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedscore.cli.main import app
from fedscore.messages.programs import environment, run_command
from server import BUNDLE
from simulations.keys import SimulatedKeys, simulated_identity

NOTHING = "there is no file"


@pytest.fixture
def operator(tmp_path: Path, small_keys: SimulatedKeys, tiny_text: str) -> Path:
    (tmp_path / "contract.toml").write_text(tiny_text)
    (tmp_path / "ceremony.json").write_text(small_keys.record.to_json())
    (tmp_path / "identity.json").write_text(simulated_identity("operator").to_json())
    (tmp_path / "node.pub").write_text("ecdsa-sha2-nistp384 AAAA")
    file = tmp_path / "server.toml"
    file.write_text(
        """
contract = "contract.toml"
ceremony = "ceremony.json"
identity = "identity.json"
state = "state"
"""
    )
    return file


def test_commands_name_a_missing_configuration(tmp_path: Path) -> None:
    for command in (["server", "run"], ["node", "start"]):
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


def test_a_run_ships_the_bundle_without_code_in_its_own_packing() -> None:
    command = run_command(BUNDLE, Path("/a b/server.toml"), connection="consortium")

    assert command[:6] == [sys.executable, "-P", "-m", "server.submission", "run", str(BUNDLE)]
    assert [file.name for file in BUNDLE.iterdir()] == ["pyproject.toml"]
    assert command[-1] == 'config="/a b/server.toml"'


def test_flowers_programs_phone_nobody() -> None:
    variables = environment(home=Path("home"), base={"PATH": "/bin"})
    assert variables["FLWR_TELEMETRY_ENABLED"] == "0"
    assert variables["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    assert variables["PATH"].endswith(":/bin")

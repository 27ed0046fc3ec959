"""The units of systemd that a new folder holds."""

from __future__ import annotations

import configparser
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedscore.cli.main import app

ANALYSE = shutil.which("systemd-analyze")
COMMANDS = {
    "node": ["node", "init", "--name", "north", "--role", "platform"],
    "server": ["server", "init", "--host", "score.example.org"],
}
EACH = pytest.mark.parametrize("kind", COMMANDS)


def unit(tmp_path: Path, kind: str) -> Path:
    done = CliRunner().invoke(app, [*COMMANDS[kind], str(tmp_path / "folder")])
    assert done.exit_code == 0, done.output
    return tmp_path / "folder" / f"fedscore-{kind}.service"


def parsed(file: Path) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]  # names as systemd spells them
    # A directive that stood twice, or a section, would be an error.
    found.read_string(file.read_text())
    return found


@EACH
@pytest.mark.skipif(ANALYSE is None, reason="there is no systemd-analyze here")
def test_systemd_understands_every_line(tmp_path: Path, kind: str) -> None:
    done = subprocess.run(
        [str(ANALYSE), "verify", "--man=no", str(unit(tmp_path, kind))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "fedscore-" in line]) == (0, [])


@EACH
def test_a_unit_starts_the_installed_program_in_its_folder_as_its_owner(tmp_path: Path, kind: str) -> None:
    file = unit(tmp_path, kind)
    service = parsed(file)["Service"]
    program, *arguments = service["ExecStart"].split()
    assert Path(program).name == "fedscore"
    assert os.access(program, os.X_OK)
    assert arguments == [kind, "start", str(file.parent / f"{kind}.toml")]
    assert service["WorkingDirectory"] == service["ReadWritePaths"] == str(file.parent)
    assert service["User"] == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(("kind", "seconds"), [("node", 75), ("server", 5)])
def test_a_unit_is_started_again_whatever_happened(tmp_path: Path, kind: str, seconds: int) -> None:
    """A SuperLink refuses a node that is back within a minute; a server cannot be back too soon."""
    found = parsed(unit(tmp_path, kind))
    assert (found["Service"]["Restart"], found["Service"]["RestartSec"]) == ("always", str(seconds))
    assert found["Unit"]["StartLimitIntervalSec"] == "0"
    assert found["Install"]["WantedBy"] == "multi-user.target"


@EACH
def test_a_unit_may_do_little(tmp_path: Path, kind: str) -> None:
    service = parsed(unit(tmp_path, kind))["Service"]
    expected = {
        "NoNewPrivileges": "true",
        "ProtectSystem": "strict",
        "PrivateTmp": "true",
        "UMask": "0077",
        "CapabilityBoundingSet": "",
        "LimitCORE": "0",
    }
    assert {name: service.get(name) for name in expected} == expected

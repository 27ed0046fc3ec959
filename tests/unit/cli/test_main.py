from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedscore.cli import main
from fedscore.errors import DataError

CONTRACT = Path(__file__).parents[3] / "simulations" / "contracts" / "taiwan.toml"
HEAVY = (
    *("sklearn", "scipy", "matplotlib", "torch", "opacus", "flwr", "lightgbm", "ray", "jinja2"),
    *("simulations.scenario", "simulations.simulate"),
)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(main.app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == f"fedscore {version('fedscore')}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["contract", "check", str(CONTRACT)]])
def test_light_commands_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys\nfrom fedscore.cli.main import main\nsys.argv = {['fedscore', *arguments]!r}\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "LOADED []"


def test_commands_are_all_registered_and_documented() -> None:
    listed = CliRunner().invoke(main.app, ["--help"]).stdout
    for command in ("demo", "simulate", "contract"):
        assert f" {command} " in listed


def test_the_help_says_what_arguments_are() -> None:
    listed = CliRunner().invoke(main.app, ["card", "score", "--help"]).stdout
    assert "The card file, card.json." in listed


def run_failing(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str, BaseException | None]:
    def fail(_text: str) -> None:
        raise error

    monkeypatch.setattr("fedscore.cli.contract.check", fail)
    result = CliRunner().invoke(main.app, ["contract", "check", __file__])
    return result.exit_code, result.stderr, result.exception


def test_a_refusal_is_one_message_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    code, told, _ = run_failing(DataError("column x: do this"), monkeypatch)
    assert code == 1
    assert told == "fedscore: column x: do this\n"


def test_an_interruption_is_told_as_shells_do(monkeypatch: pytest.MonkeyPatch) -> None:
    code, told, _ = run_failing(KeyboardInterrupt(), monkeypatch)
    assert code == 130
    assert told == "fedscore: cancelled\n"


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    defect = ZeroDivisionError("defect")
    assert run_failing(defect, monkeypatch)[2] is defect


def test_wrong_usage_ends_with_two() -> None:
    assert CliRunner().invoke(main.app, ["simulate"]).exit_code == 2
    assert CliRunner().invoke(main.app, ["no-such-command"]).exit_code == 2
    assert CliRunner().invoke(main.app, ["demo", "--people", "10"]).exit_code == 2

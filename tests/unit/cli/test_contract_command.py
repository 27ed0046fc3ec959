from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fedscore.cli.main import app
from fedscore.contract import load_contract
from simulations.lookup import shipped_contracts

CONTRACTS = Path(__file__).parents[3] / "simulations" / "contracts"


def test_every_shipped_contract_passes_and_its_hash_is_told() -> None:
    for name in shipped_contracts():
        path = CONTRACTS / f"{name}.toml"
        result = CliRunner().invoke(app, ["contract", "check", str(path)])
        assert result.exit_code == 0, result.stdout
        assert load_contract(path).hash() in result.stdout


def broken(folder: Path) -> Path:
    text = (CONTRACTS / "taiwan.toml").read_text()
    path = folder / "broken.toml"
    path.write_text(text.replace("version = 1", "version = 3").replace("row_cap = 30000", "row_cup = 30000"))
    return path


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    path = broken(tmp_path)
    lines = path.read_text().splitlines()
    result = CliRunner().invoke(app, ["contract", "check", str(path)])
    assert result.exit_code == 1
    for mistake in ("version = 3", "row_cup = 30000"):
        line = next(number for number, text in enumerate(lines, 1) if text.startswith(mistake))
        assert f"{path}:{line}: error: " in result.stdout


def test_json_holds_the_same_findings(tmp_path: Path) -> None:
    path = broken(tmp_path)
    result = CliRunner().invoke(app, ["contract", "check", str(path), "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["valid"] is False
    assert document["hash"] is None
    assert {finding["level"] for finding in document["findings"]} >= {"error"}
    assert all(set(finding) == {"line", "level", "where", "message"} for finding in document["findings"])


def test_a_file_that_cannot_be_read_is_one_message(tmp_path: Path) -> None:
    missing = CliRunner().invoke(app, ["contract", "check", str(tmp_path / "none.toml")])
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "cannot be read" in missing.stderr
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    odd = CliRunner().invoke(app, ["contract", "check", str(tmp_path / "x.toml")])
    assert odd.exit_code == 1
    assert "not UTF-8" in odd.stderr


def test_with_a_roster_the_price_of_a_run_is_told() -> None:
    consortium = CONTRACTS / "consortium.toml"
    told = CliRunner().invoke(app, ["contract", "check", str(consortium)])
    assert "a run: 9 private sums, epsilon 0.99" in told.stdout or "epsilon 1.0 for a record" in told.stdout
    price = json.loads(CliRunner().invoke(app, ["contract", "check", str(consortium), "--json"]).stdout)[
        "run"
    ]
    assert 0.99 < price["epsilon"] <= 1.0 < price["epsilon_person"]
    without = CliRunner().invoke(app, ["contract", "check", str(CONTRACTS / "taiwan.toml"), "--json"])
    assert json.loads(without.stdout)["run"] is None


def test_a_contract_under_which_no_run_is_possible_is_refused(tmp_path: Path) -> None:
    text = (CONTRACTS / "consortium.toml").read_text()
    huge = text.replace("row_cap = 40_000", "row_cap = 1_000_000_000")
    assert huge != text
    (tmp_path / "huge.toml").write_text(huge)
    refused = CliRunner().invoke(app, ["contract", "check", str(tmp_path / "huge.toml")])
    assert refused.exit_code == 1
    assert "63 bits at most" in refused.stderr


def checked(path: Path) -> tuple[str, dict[str, Any]]:
    told = CliRunner().invoke(app, ["contract", "check", str(path)])
    assert told.exit_code == 0, told.stdout
    document = CliRunner().invoke(app, ["contract", "check", str(path), "--json"])
    return told.stdout, json.loads(document.stdout)


def test_spare_rounds_are_told_with_their_price(tmp_path: Path) -> None:
    text = (CONTRACTS / "consortium.toml").read_text()
    (tmp_path / "spare.toml").write_text(text.replace("absent = 0", "absent = 0\nspare_rounds = 2"))
    told, document = checked(tmp_path / "spare.toml")
    assert "spare rounds: 2 sums may be abandoned and asked again, within that epsilon" in told
    assert "the variance of every sum's noise is 1.57 times as large, over test rows 2.3 times" in told
    assert document["run"]["spare_rounds"] == 2
    assert document["run"]["spare_factors"] == pytest.approx({"training": 1.57, "test": 2.3})
    assert 0.99 < document["run"]["epsilon"] <= 1.0
    told, document = checked(CONTRACTS / "consortium.toml")
    assert "spare rounds" not in told
    assert document["run"]["spare_rounds"] == 0
    assert document["run"]["spare_factors"] == {"training": 1.0, "test": 1.0}


def test_the_committee_is_told(tmp_path: Path) -> None:
    committee = {"members": 7, "threshold": 5, "colluding_members": 1}
    written = ", ".join(f"{key} = {number}" for key, number in committee.items())
    text = (CONTRACTS / "taiwan.toml").read_text()
    (tmp_path / "taiwan.toml").write_text(f"{text}\n[encryption]\ncommittee = {{ {written} }}\n")
    told, document = checked(tmp_path / "taiwan.toml")
    assert "the committee: any 5 of 7 members open a sum, 1 of them may collude with the server" in told
    assert "2 may be away or lie" in told
    assert document["committee"] == committee
    told, document = checked(CONTRACTS / "taiwan.toml")
    assert "the committee:" not in told
    assert document["committee"] is None

"""`fedscore card document`: files, forms and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fedscore.cli.main import app
from tests.pages import full_card

CONTRACTS = Path(__file__).parents[3] / "simulations" / "contracts"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    full_card().write(tmp_path / "card.json")
    return tmp_path / "card.json"


def document(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["card", "document", *map(str, arguments)])


@pytest.mark.parametrize(
    ("name", "begins"), [("a.html", "<!doctype html>"), ("a.MD", "# Model document: shops")]
)
def test_the_ending_decides_the_form(card: Path, tmp_path: Path, name: str, begins: str) -> None:
    result = document(card, "--out", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert "its card is unsigned" in result.stdout
    assert (tmp_path / name).read_text().lstrip().startswith(begins)
    # The same card gives the same bytes.
    once = (tmp_path / name).read_bytes()
    document(card, "--out", tmp_path / name)
    assert (tmp_path / name).read_bytes() == once


def test_another_ending_is_refused(card: Path, tmp_path: Path) -> None:
    refused = document(card, "--out", tmp_path / "a.pdf")
    assert refused.exit_code == 1
    assert "neither .html nor .md" in refused.stderr
    assert not (tmp_path / "a.pdf").exists()


def test_another_contract_is_refused(card: Path, tmp_path: Path) -> None:
    refused = document(card, "--out", tmp_path / "a.md", "--contract", CONTRACTS / "taiwan.toml")
    assert refused.exit_code == 1
    assert "name the very contract" in refused.stderr

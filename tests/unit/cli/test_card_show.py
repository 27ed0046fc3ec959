"""`fedscore card show`: in the terminal, as a page and as JSON; and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fedscore.card.signing import SIGNER_FILE
from fedscore.cli.main import app
from fedscore.contract import Role
from fedscore.pages.words import points
from simulations.files import write_card
from tests.pages import Page, full_card

CARD = full_card()


def show(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["card", "show", *map(str, arguments)])


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    CARD.write(tmp_path / "card.json")
    return tmp_path / "card.json"


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    write_card(CARD, tmp_path)
    return tmp_path / "card.json"


def test_the_terminal_shows_every_bin(unsigned: Path) -> None:
    result = show(unsigned)
    assert result.exit_code == 0, result.output
    for expected in (
        "shops",
        "Tell who falls behind.",
        points(-12.41),
        "not held",
        "0.7531",
        CARD.fingerprint,
    ):
        assert expected in result.stdout
    assert "Nobody has signed this card" in " ".join(result.stdout.split())
    assert result.stdout.index("age") < result.stdout.index("trend")


def test_a_signature_is_checked_by_the_signer_beside_the_card(signed: Path) -> None:
    told = json.loads(show(signed, "--json").stdout)
    assert told["signature"]["status"] == "verified"
    key = told["signature"]["key"]
    (signed.parent / SIGNER_FILE).unlink()
    assert json.loads(show(signed, "--json").stdout)["signature"]["status"] == "not checked"
    assert json.loads(show(signed, "--json", "--signer", key).stdout)["signature"]["status"] == "verified"


def test_a_card_that_was_changed_is_not_shown(signed: Path) -> None:
    signed.write_text(signed.read_text().replace("-12.41", "12.41"))
    refused = show(signed)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "changed" in refused.stderr


def test_whoever_names_a_signer_wants_its_signature(unsigned: Path) -> None:
    refused = show(unsigned, "--signer", "0" * 64)
    assert refused.exit_code == 1
    assert "not signed" in refused.stderr


def test_json_holds_what_is_shown(unsigned: Path) -> None:
    told = json.loads(show(unsigned, "--json").stdout)
    assert told["fingerprint"] == CARD.fingerprint
    assert told["privacy"]["epsilon"] == 0.9973
    assert [one["name"] for one in told["tables"]] == ["age", "spent", "trend"]
    bins = told["tables"][1]["bins"]
    assert [entry["kind"] for entry in bins] == ["value", "value", "missing", "not held"]
    assert sum(entry["points"] for entry in bins) == pytest.approx(-3.31 + 4.47 + 2.83)


def test_the_page_is_written_whole(unsigned: Path, tmp_path: Path) -> None:
    out = tmp_path / "card.html"
    assert show(unsigned, "--html", out).exit_code == 0
    assert f"{points(-12.41)} ± 1.13" in Page(out.read_text()).text
    refused = show(unsigned, "--html", tmp_path / "none" / "card.html")
    assert refused.exit_code == 1
    assert "cannot be written" in refused.stderr


def test_what_looks_like_markup_of_the_terminal_is_text(tmp_path: Path) -> None:
    bold = "[bold]x[/bold]"
    parties = [party.model_copy(update={"name": bold}) for party in CARD.parties]
    full_card(purpose=bold, parties=parties).write(tmp_path / "card.json")
    result = show(tmp_path / "card.json")
    assert result.stdout.count(bold) == 1 + len(parties)
    assert Role.PLATFORM in result.stdout


def test_a_missing_card_is_one_message(tmp_path: Path) -> None:
    refused = show(tmp_path / "none.json")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "cannot be read" in refused.stderr

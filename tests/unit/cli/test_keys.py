from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedscore.cli.main import app
from privacy.paillier.ceremony import Ceremony
from privacy.paillier.keys import PublicKey
from privacy.paillier.shares import KeyShare


@pytest.fixture
def quick_ceremony(monkeypatch: pytest.MonkeyPatch, small_ceremony: Ceremony) -> None:
    """Uses committed primes: finding new ones takes seconds and is tested elsewhere."""
    monkeypatch.setattr("privacy.paillier.ceremony.deal", lambda **_options: small_ceremony)


@pytest.mark.usefixtures("quick_ceremony")
def test_a_ceremony_writes_a_key_and_shares_that_only_their_owner_reads(
    tmp_path: Path, small_ceremony: Ceremony
) -> None:
    out = tmp_path / "keys"
    done = CliRunner().invoke(app, ["keys", "ceremony", "--out", str(out), "--bits", "2048", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["key_id"] == small_ceremony.public_key.key_id
    assert sorted(file.name for file in out.iterdir()) == [
        "ceremony.json",
        "key_share_1.json",
        "public_key.json",
    ]
    share_file = out / "key_share_1.json"
    assert share_file.stat().st_mode & 0o077 == 0
    assert PublicKey.from_json((out / "public_key.json").read_text()) == small_ceremony.public_key
    assert KeyShare.from_json(share_file.read_text()).public_key == small_ceremony.public_key
    secret = json.loads(share_file.read_text())
    assert str(small_ceremony.shares[0].value) not in done.output
    assert all(str(number) not in done.output for number in secret.values() if len(str(number)) > 100)


@pytest.mark.usefixtures("quick_ceremony")
def test_a_ceremony_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "public_key.json").write_text("precious")
    done = CliRunner().invoke(app, ["keys", "ceremony", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "overwrites no key" in done.output
    assert (tmp_path / "public_key.json").read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bits", "1024"], "1024 bits is refused"),
        (["--members", "3", "--threshold", "4"], "threshold"),
    ],
)
def test_a_key_that_protects_nothing_is_refused(tmp_path: Path, options: list[str], message: str) -> None:
    out = tmp_path / "keys"
    done = CliRunner().invoke(app, ["keys", "ceremony", "--out", str(out), *options])
    assert done.exit_code == 1
    assert message in done.output
    assert not out.exists()


def test_show_names_the_key(tmp_path: Path, small_ceremony: Ceremony) -> None:
    file = tmp_path / "public_key.json"
    file.write_text(small_ceremony.public_key.to_json())
    done = CliRunner().invoke(app, ["keys", "show", str(file)])
    assert done.exit_code == 0
    assert done.stdout == f"key {small_ceremony.public_key.key_id}, 2048 bits\n"
    missing = CliRunner().invoke(app, ["keys", "show", str(tmp_path / "nothing")])
    assert missing.exit_code == 1
    assert "cannot be read" in missing.output

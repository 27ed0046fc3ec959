"""The bundle that organisations allow: the same bytes wherever it is packed."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from flwr.cli.install import install_from_fab
from flwr.common.config import get_fab_config
from typer.testing import CliRunner

from fedscore.cli.main import app
from server import BUNDLE
from server.bundling import bundle_hash, pack

REPOSITORY = Path(__file__).parents[3]


def test_the_changelog_has_the_hash_of_the_shipped_bundle() -> None:
    """Whoever changes the bundle changes what every organisation must allow again, and says so."""
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = text.split("\n## ")[1]

    assert re.findall(r"SHA-256 `([0-9a-f]{64})`", newest) == [bundle_hash()]


def test_a_hash_does_not_depend_on_where_when_and_how_the_files_lie(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "another name"
    copy.mkdir(parents=True)
    file = copy / "pyproject.toml"
    file.write_bytes((BUNDLE / "pyproject.toml").read_bytes())
    file.chmod(0o600)
    os.utime(file, (1, 1))
    # Nothing beside the file is ever packed.
    (copy / ".gitignore").write_text("*")
    (copy / "clients").mkdir()
    (copy / "clients" / "__init__.py").write_text("import os")

    assert hashlib.sha256(pack(copy)).hexdigest() == bundle_hash()


def test_a_hash_does_not_depend_on_the_compression_library(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = bundle_hash()

    def compressobj(*_: object) -> None:
        raise AssertionError("something was compressed")

    monkeypatch.setattr(zlib, "compressobj", compressobj)
    monkeypatch.setattr(sys, "platform", "win32")

    assert bundle_hash() == expected


def test_another_content_has_another_hash(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes((BUNDLE / "pyproject.toml").read_bytes() + b"\n")

    assert hashlib.sha256(pack(tmp_path)).hexdigest() != bundle_hash()


def test_flower_takes_the_bundle(tmp_path: Path) -> None:
    assert get_fab_config(pack(BUNDLE))["tool"]["flwr"]["app"]["components"]["clientapp"] == "clients.app:app"

    installed = install_from_fab(pack(BUNDLE), tmp_path, skip_prompt=True)

    assert [path.name for path in installed.iterdir()] == ["pyproject.toml"]


def test_the_bundle_is_as_readable_as_any_file(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(pack(BUNDLE))
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["pyproject.toml", ".info/CONTENT"]
        assert archive.read("pyproject.toml") == (BUNDLE / "pyproject.toml").read_bytes()


def test_the_command_prints_the_hash() -> None:
    done = CliRunner().invoke(app, ["server", "bundle"])

    assert (done.exit_code, done.output) == (0, bundle_hash() + "\n")

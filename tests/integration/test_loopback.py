"""Real processes train the very card that the in-process transport trains."""

from __future__ import annotations

import importlib
import os
import stat
from pathlib import Path

import pytest

from server import BUNDLE
from server.app import run_once
from server.config import load_server_config
from simulations.in_process_grid import InProcessGrid
from simulations.loopback import LoopbackResult, run_loopback

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a loopback")


@pytest.fixture(scope="module")
def result(folder: Path) -> LoopbackResult:
    bundle = folder / "bundle"
    bundle.mkdir()
    shipped = (BUNDLE / "pyproject.toml").read_text(encoding="utf-8")
    assert "clients.app:app" in shipped
    (bundle / "pyproject.toml").write_text(
        shipped.replace("clients.app:app", "seeded_app:app"), encoding="utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
        return run_loopback(
            folder / "out", people=3000, seed=3, key_bits=2048, bundle=bundle, tell=lambda _: None
        )


def test_real_processes_train_the_card_of_the_in_process_transport(
    folder: Path, result: LoopbackResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    app = importlib.import_module("seeded_app").app
    grid = InProcessGrid(app, [{"config": str(party.config)} for party in result.parties], serialise=True)
    config = load_server_config(folder / "out" / "operator" / "server.toml")

    run_once(grid, config.model_copy(update={"state": folder / "in process"}))

    card = (folder / "out" / "card.json").read_bytes()
    assert card == (folder / "in process" / "card.json").read_bytes()
    assert result.card.privacy is not None
    assert result.card.privacy.epsilon is not None
    assert len(result.card.privacy.events) == result.record["rounds_opened"]


def test_two_platforms_and_a_collector_took_part(result: LoopbackResult) -> None:
    assert [party.role for party in result.contract.parties] == ["platform", "platform", "collector"]
    for party in result.parties:
        # Other runs may have asked the same nodes, in this process.
        answered = [
            path.name for path in (party.folder / "state" / "rounds").glob(f"{result.record['run']}-*")
        ]
        assert len(answered) == 2 * result.record["rounds_opened"]


def test_nothing_that_the_operator_holds_is_a_share_of_the_key(folder: Path, result: LoopbackResult) -> None:
    shares = [(party.folder / "key_share.json").read_text(encoding="utf-8") for party in result.parties]
    secrets = [text.split('"value"')[1].split('"')[1].encode() for text in shares]

    held = [path.read_bytes() for path in (folder / "out" / "operator").rglob("*") if path.is_file()]

    assert all(len(secret) > 100 for secret in secrets)
    assert not any(secret in content for secret in secrets for content in held)


def test_secrets_are_readable_by_their_owner_alone(folder: Path, result: LoopbackResult) -> None:
    private = [party.folder / name for party in result.parties for name in ("node.key", "key_share.json")]
    private += [folder / "out" / "operator" / name for name in ("server.key", "superexec.secret")]

    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}

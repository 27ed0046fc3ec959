"""Real processes train the very card that the in-process transport trains."""

from __future__ import annotations

import importlib
import stat
from pathlib import Path

import pytest

from clients.memory import FileMemory
from fedscore.card.signing import read_card
from fedscore.sums.ceremonies import ceremony_of
from fedscore.sums.series import KeySeries
from server.app import run_once
from server.chronicle import FileChronicle
from server.config import load_server_config
from simulations.in_process_grid import InProcessGrid
from simulations.loopback import LoopbackResult, run_loopback

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a loopback")


@pytest.fixture(scope="module")
def result(folder: Path, seeded_client: tuple[str, ...]) -> LoopbackResult:
    return run_loopback(
        folder / "out", people=3000, seed=3, key_bits=2048, client=seeded_client, tell=lambda _: None
    )


def test_every_memory_ends_with_the_runs_last_round(folder: Path, result: LoopbackResult) -> None:
    operator = folder / "out" / "operator"
    series = KeySeries.of(ceremony_of(result.contract, operator / "ceremony.json"))
    standing = FileChronicle(operator / "state", series).load()
    rounds = result.record["rounds_opened"]

    assert (standing.round, standing.head.round, standing.head.step) == (rounds, rounds, rounds)
    assert standing.head.run == result.record["run"]
    for party in result.parties:
        state = FileMemory(party.folder / "state", series).load()
        assert state.collected is not None
        assert (state.collected.run, state.collected.round) == (result.record["run"], rounds)
        assert state.head.round == rounds - 1
        assert not state.abstains
    assert sum(_released(party.folder, series) == rounds for party in result.parties) >= 2


def _released(folder: Path, series: KeySeries) -> int:
    released = FileMemory(folder / "state", series).load().released
    return released.round if released is not None else 0


def test_real_processes_train_the_card_of_the_in_process_transport(
    folder: Path, result: LoopbackResult
) -> None:
    app = importlib.import_module("seeded_app").app
    grid = InProcessGrid(app, [{"config": str(party.config)} for party in result.parties], serialise=True)
    config = load_server_config(folder / "out" / "operator" / "server.toml")

    # A server without a state learns from the members' hellos where the key's transcript stands.
    run_once(grid, config.model_copy(update={"state": folder / "in process"}))

    cards = [
        read_card(folder / place / "card.json", signer=None) for place in ("out/operator/state", "in process")
    ]
    # What was trained is the same; run, time and so the signature are others.
    assert (
        len({card.model_copy(update={"provenance": None, "signature": None}).claim() for card in cards}) == 1
    )
    assert result.card.privacy is not None
    assert result.card.privacy.epsilon is not None
    assert len(result.card.privacy.events) == result.record["rounds_opened"]
    series = KeySeries.of(ceremony_of(result.contract, config.ceremony))
    assert FileChronicle(folder / "in process", series).load().head.round > result.record["rounds_opened"]


def test_two_platforms_and_a_collector_took_part(result: LoopbackResult) -> None:
    assert [party.role for party in result.contract.parties] == ["platform", "platform", "collector"]
    assert (result.record["rounds_abandoned"], result.record["liars"], result.record["noticed"]) == (
        0,
        [],
        [],
    )


def test_nothing_that_the_operator_holds_is_a_share_of_the_key(folder: Path, result: LoopbackResult) -> None:
    shares = [(party.folder / "key_share.json").read_text(encoding="utf-8") for party in result.parties]
    secrets = [text.split('"value"')[1].split('"')[1].encode() for text in shares]

    held = [path.read_bytes() for path in (folder / "out" / "operator").rglob("*") if path.is_file()]

    assert all(len(secret) > 100 for secret in secrets)
    assert not any(secret in content for secret in secrets for content in held)


def test_secrets_are_readable_by_their_owner_alone(folder: Path, result: LoopbackResult) -> None:
    names = ("node.key", "key_share.json", "identity.json")
    private = [party.folder / name for party in result.parties for name in names]
    private += [folder / "out" / "operator" / name for name in ("server.key", "superexec.secret")]

    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}

"""What a run leaves for the operator: public among the organisations, and always whole."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from fedscore.card.signing import read_card, signed
from server.record import RunRecord, RunStatus, read_record, write_record, write_trained
from simulations.keys import simulated_identity
from tests.cards import plain_card

RECORD = RunRecord(
    run="1" * 32,
    status=RunStatus.FINISHED,
    contract_hash="2" * 64,
    rounds_opened=9,
    rounds=9,
    values_per_party=12,
    bytes_per_party=345,
    rounds_abandoned=1,
    liars=("south",),
    noticed=("covariance: west is silent (no answer)",),
)


def test_a_record_is_written_with_all_that_it_holds(tmp_path: Path) -> None:
    write_record(RECORD, tmp_path)

    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    content = json.loads(text)

    assert list(content) == [field.name for field in fields(RunRecord)]
    assert content["status"] == "finished"
    assert (content["liars"], content["noticed"]) == (["south"], list(RECORD.noticed))
    assert RunRecord(**{**content, "liars": ("south",), "noticed": RECORD.noticed}) == RECORD
    assert text.endswith("}\n")


def test_before_anything_has_happened_a_record_says_so(tmp_path: Path) -> None:
    write_record(RunRecord(run="", status=RunStatus.RUNNING, contract_hash=""), tmp_path)

    content = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))

    assert content["status"] == "running"
    assert not any(value for name, value in content.items() if name != "status")


def test_a_record_replaces_the_one_before_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(RECORD, tmp_path)
    before = (tmp_path / "run.json").read_bytes()

    def full(_: int) -> None:
        raise OSError("no room")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no room"):
        write_record(RunRecord(run="", status=RunStatus.FAILED, contract_hash=""), tmp_path)

    assert (tmp_path / "run.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_record_reads_back_and_what_is_none_is_not_read(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    write_record(RECORD, tmp_path)
    assert read_record(tmp_path) == RECORD

    for text in ("", "{", "[]", "{}", '{"status": "asleep"}', '{"status": "running", "more": 1}'):
        (tmp_path / "run.json").write_text(text, encoding="utf-8")
        assert read_record(tmp_path) is None


@pytest.mark.parametrize("status", RunStatus)
def test_a_run_that_is_running_or_interrupted_may_go_on(status: RunStatus) -> None:
    assert status.is_end is (status not in (RunStatus.RUNNING, RunStatus.INTERRUPTED))


def test_a_card_reads_back(tmp_path: Path) -> None:
    card = plain_card(intercept_points=1.0)

    signer = simulated_identity("operator")
    write_trained(card, tmp_path, signer=signer)

    assert read_card(tmp_path / "card.json", signer=None) == signed(card, signer)

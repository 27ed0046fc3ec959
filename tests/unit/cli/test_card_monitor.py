"""`fedscore card monitor`: its files, its words, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fedscore.card import Card
from fedscore.card.signing import SIGNER_FILE, signed
from fedscore.cli.main import app
from fedscore.monitoring import MonitoringReport
from simulations.federation import train_federation
from simulations.keys import simulated_identity
from tests.watching import card_and_contract, everybody

OPERATOR = simulated_identity("operator")


@pytest.fixture(scope="module")
def report() -> MonitoringReport:
    card, contract = card_and_contract()
    return train_federation(contract, everybody(2, bad_rate=1.4), seed=1, watched=card).report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    card: Card = signed(card_and_contract()[0], OPERATOR)
    card.write(tmp_path / "card.json")
    (tmp_path / SIGNER_FILE).write_text(OPERATOR.public.to_json())
    generator = np.random.default_rng(1)
    count = 3000
    rows = {
        "id": np.arange(count),
        "utilisation": generator.uniform(0.0, 0.4, count),
        "late_payments": np.zeros(count),
        "segment": np.full(count, "card"),
        "y": np.zeros(count, dtype=np.int64),
    }
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    return tmp_path


def monitor(folder: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(
        app, ["card", "monitor", str(folder / "card.json"), "--out", str(folder / "out"), *arguments]
    )
    return done.exit_code, done.output


def test_own_rows_become_a_page_and_a_file(folder: Path) -> None:
    code, output = monitor(folder, str(folder / "rows.parquet"))
    assert code == 0, output
    assert "3,000 present own rows of one organisation" in output
    assert "population  shifted" in output
    page = (folder / "out" / "monitoring.html").read_text()
    assert "this page stays in the house" in page
    assert "<script" not in page
    report = MonitoringReport.read(folder / "out" / "monitoring.json")
    assert report.known == 3000.0
    assert report.privacy is None


def test_the_report_of_a_run_is_told_and_an_alarm_has_an_exit_code(
    folder: Path, report: MonitoringReport
) -> None:
    (folder / "monitoring.json").write_text(report.to_json())
    code, output = monitor(folder, "--report", str(folder / "monitoring.json"))
    assert code == 3, output
    assert "alarm: the bad rate has risen" in output
    page = (folder / "out" / "monitoring.html").read_text()
    assert "what training and other runs cost the same records comes on top" in page
    assert "stays in the house" not in page
    code, output = monitor(folder, "--report", str(folder / "monitoring.json"), "--json")
    assert code == 3
    assert json.loads(output) == json.loads(report.to_json())


def test_a_report_about_another_card_is_refused(folder: Path, report: MonitoringReport) -> None:
    other = report.model_copy(update={"card": "0" * 64})
    (folder / "monitoring.json").write_text(other.to_json())
    code, output = monitor(folder, "--report", str(folder / "monitoring.json"))
    assert code == 1
    assert "is about the card 0000000000000000" in " ".join(output.split())


def test_one_source_is_needed(folder: Path) -> None:
    assert monitor(folder)[0] == 2
    rows = str(folder / "rows.parquet")
    assert monitor(folder, rows, "--report", rows)[0] == 2


def test_without_outcomes_it_says_so(folder: Path) -> None:
    rows = pq.read_table(folder / "rows.parquet").drop_columns("y")
    pq.write_table(rows, folder / "new.parquet")
    code, output = monitor(folder, str(folder / "new.parquet"))
    assert code == 0, output
    assert "no outcome is known yet" in output
    code, output = monitor(folder, str(folder / "new.parquet"), "--outcome", "y")
    assert code == 1
    assert "'y' is missing" in output


def test_earlier_rows_of_its_own_can_be_compared_with(folder: Path) -> None:
    rows = str(folder / "rows.parquet")
    code, output = monitor(folder, rows, "--then", rows)
    assert code == 0, output
    assert "population  stable: 0.000" in output
    assert "shifted     no characteristic" in output


def test_a_card_that_nobody_signed_is_refused(folder: Path) -> None:
    card_and_contract()[0].write(folder / "card.json")
    code, output = monitor(folder, str(folder / "rows.parquet"))
    assert code == 1
    assert "is not signed" in output


def test_what_a_card_says_is_text_on_the_page(folder: Path) -> None:
    card = card_and_contract()[0].model_copy(update={"contract_name": "<script>alert(1)</script>"})
    signed(card, OPERATOR).write(folder / "card.json")
    code, output = monitor(folder, str(folder / "rows.parquet"))
    assert code == 0, output
    page = (folder / "out" / "monitoring.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page

"""`fedscore early-warning`: what it prints and writes."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fedscore.cli.main import app
from fedscore.errors import ScenarioError
from simulations.early_warning import EarlyWarningTerms, Source
from simulations.early_warning.loans import HISTORY, PEOPLE

METHODS = ["federated", "federated-one-card", "pooled-no-noise", "own-card"]


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with invented files: loans of 400 customers, every third of whom is often late."""
    folder = tmp_path_factory.mktemp("lender")
    generator = np.random.default_rng(1)
    loans: list[tuple[int, str, dt.datetime, dt.datetime, dt.datetime]] = []
    for customer in range(400):
        day = float(generator.integers(0, 250))
        while day < 440:
            approved = dt.datetime(2016, 3, 1, 12) + dt.timedelta(days=day)  # noqa: DTZ001 - as the files have it
            late = int(generator.exponential(14)) if customer % 3 == 0 else int(generator.integers(-9, 2))
            due = dt.datetime.combine(approved.date(), dt.time()) + dt.timedelta(days=30)
            loans.append((len(loans), f"c{customer}", approved, due, due + dt.timedelta(days=late, hours=9)))
            day += 31 + max(late, 0) + float(generator.integers(1, 20))
    number, who, approved_at, due_on, closed = zip(*loans, strict=True)
    history = {
        "systemloanid": number,
        "customerid": who,
        "approveddate": approved_at,
        "firstduedate": due_on,
        "closeddate": closed,
        "loanamount": [10_000.0] * len(loans),
        "totaldue": [13_000.0] * len(loans),
        "termdays": [30] * len(loans),
    }
    people = {
        "customerid": [f"c{customer}" for customer in range(300)],
        "bank_name_clients": [["GT Bank", "UBA"][customer % 2] for customer in range(300)],
        "age": [30] * 300,
    }
    pq.write_table(pa.table(history), folder / HISTORY)
    pq.write_table(pa.table(people), folder / PEOPLE)
    return folder


def test_it_prints_a_table_for_each_horizon_and_writes_the_files(
    lender: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = [
        "early-warning",
        "superlender",
        "--data",
        str(lender),
        "--out",
        str(tmp_path),
        "--seeds",
        "2",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    told = " ".join(result.stdout.split())
    for expected in (
        "7 days ahead.",
        "15 days ahead.",
        "30 days ahead.",
        "of 19 organisations",
        "recall at 5 %",
        "16 organisations could not train a card of their own",
        "of this horizon's card alone",
        "Means over 2 trainings",
        "early_warning.json",
    ):
        assert expected in told, expected
    assert result.stdout.count("federated, shared noise") == 3
    assert result.stdout.count("one card for all three ") == 2
    assert "…" not in result.stdout
    assert "synthetic" not in result.stdout
    document = json.loads((tmp_path / "early_warning.json").read_text())
    assert [horizon["horizon_days"] for horizon in document["horizons"]] == [7, 15, 30]
    with (tmp_path / "early_warning.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["method"] for line in lines] == [METHODS[0], *METHODS[2:], *METHODS, *METHODS]
    for line in lines:
        assert 0 <= float(line["auc_low"]) <= float(line["auc"]) <= float(line["auc_high"]) <= 1
        assert (line["auc_gap"] == "") is (line["method"] == "federated")
        assert (line["epsilon"] == "") is not line["method"].startswith("federated")
        assert (line["without_card"] != "0") is (line["method"] == "own-card")
    private = [line for line in lines if line["method"].startswith("federated")]
    assert all(0.99 < float(line["epsilon"]) <= 1 < float(line["epsilon_person"]) for line in private)
    # One training of the first horizon is the card for all of the others.
    assert len({line["contract_hash"] for line in lines}) == 3


def test_careless_borrowers_are_found_and_in_time(lender: Path, tmp_path: Path) -> None:
    arguments = ["early-warning", "superlender", "--data", str(lender), "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, [*arguments, "--seeds", "1"])
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert result.stdout == (tmp_path / "early_warning.json").read_text()
    for horizon in document["horizons"]:
        [pooled] = [one for one in horizon["methods"] if one["method"] == "pooled-no-noise"]
        assert pooled["measured"]["auc"]["value"] > 0.75
        assert pooled["measured"]["recall"]["value"] > 0.05
        assert pooled["measured"]["lead_days"]["value"] == 30 + horizon["horizon_days"]


def test_the_consortium_says_that_it_is_invented(tmp_path: Path) -> None:
    arguments = ["early-warning", "consortium", "--people", "2000", "--seeds", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    assert "The people are synthetic" in result.stdout
    assert "of 5 organisations" in " ".join(result.stdout.split())
    terms = json.loads((tmp_path / "early_warning.json").read_text())["terms"]
    assert terms == {"people": 2000, "population": 1, "training_day": "2025-04-02", "test_day": "2025-06-01"}


def test_missing_files_and_data_for_the_consortium_are_one_message(tmp_path: Path) -> None:
    missing = CliRunner().invoke(
        app, ["early-warning", "superlender", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    )
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "were not found" in missing.stderr
    given = CliRunner().invoke(app, ["early-warning", "consortium", "--data", str(tmp_path)])
    assert (given.exit_code, given.stdout) == (1, "")
    assert "invents its rows" in given.stderr


@pytest.mark.parametrize("seeds", [(), (1, 1)])
def test_seeds_are_there_and_differ(seeds: tuple[int, ...]) -> None:
    with pytest.raises(ScenarioError, match="each only once"):
        EarlyWarningTerms(source=Source.CONSORTIUM, seeds=seeds)

"""The benchmark of batch scoring runs, at toy size; what it measures is for people to read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import batch_scoring

REPOSITORY = Path(__file__).parents[2]
NAMES = ["rows", "seconds", "plain_seconds", "ratio", "before_megabytes", "peak_megabytes"]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(batch_scoring, "REPETITIONS", 1)
    app = typer.Typer()
    app.command()(batch_scoring.main)
    return app


def test_both_sides_write_the_same_file_and_the_figures_are_printed(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["--rows", "3000", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == NAMES
    assert found["rows"] == 3000
    assert found["peak_megabytes"] >= found["before_megabytes"] > 0
    assert found["ratio"] == pytest.approx(found["seconds"] / found["plain_seconds"])


def test_a_difference_between_the_sides_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = batch_scoring._losses
    monkeypatch.setattr(batch_scoring, "_losses", lambda *arguments: -losses(*arguments))
    with pytest.raises(RuntimeError, match="do not give the same file"):
        batch_scoring.measure(500, repetitions=1)


def test_every_number_is_explained() -> None:
    text = (REPOSITORY / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{name}`" not in text] == []

"""The benchmark of online scoring runs, at toy size; what it measures is for people to read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import typer
from typer.testing import CliRunner

from benchmarks.online_scoring import main

README = (Path(__file__).parents[3] / "benchmarks" / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Online scoring")[2].partition("\n## ")[0]


def test_the_benchmark_prints_what_its_document_names() -> None:
    app = typer.Typer()
    app.command()(main)
    arguments = ["--calls", "100", "--callers", "2", "--batch", "10", "--restart-calls", "300", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    calls, restart = document["calls"], document["restart"]
    named = set(re.findall(r"`([a-z0-9_]+)`", SECTION))
    assert set(restart) | {key for kind in calls for key in kind} <= named
    assert [kind["records"] for kind in calls] == [0, 1, 1, 10]
    assert calls[0]["vs_empty"] == 1
    assert (restart["calls"], restart["failed"]) == (300, 0)
    assert restart["before"] + restart["after"] <= 300

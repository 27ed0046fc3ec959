"""The comparison that the choice of the matrix rests on."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.private_estimates import Way, main, ways


@pytest.mark.parametrize(("rows", "bad_rate"), [(9_000, 0.22), (45_000, 0.07)])
def test_running_counts_with_ranking_answers_leave_least_open(rows: int, bad_rate: float) -> None:
    found = {(way.name, way.bands): way for way in ways(rows=rows, bad_rate=bad_rate, unit_noise=5.0)}
    few, many = found[("separate counts", 20)], found[("separate counts", 256)]
    chosen = found[("running counts, ranking x 2", 256)]
    assert chosen.auc_reach < min(few.auc_reach, many.auc_reach) / 2
    assert chosen.ks_reach < min(few.ks_reach, many.ks_reach)
    assert chosen.count_noise < few.count_noise < many.count_noise
    assert chosen.auc_reach < found[("running counts", 256)].auc_reach


def test_it_prints_a_line_or_an_object_for_each_way() -> None:
    app = typer.Typer(add_completion=False)
    app.command()(main)
    found = json.loads(CliRunner().invoke(app, ["--json"]).stdout)
    assert [set(way) for way in found] == [set(Way.__dataclass_fields__)] * len(found)
    printed = CliRunner().invoke(app, ["--rows", "3000"])
    assert printed.exit_code == 0
    assert len(printed.stdout.splitlines()) == len(found) + 1

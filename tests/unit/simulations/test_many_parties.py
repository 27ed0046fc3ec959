"""The benchmark of many parties runs, at toy size; what it measures is for people to read."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def benchmark() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(REPOSITORY))
        yield importlib.import_module("benchmarks.many_parties")


def test_a_run_is_measured_beside_its_sums(benchmark: ModuleType, small_experiment: Path) -> None:
    few, many = (benchmark.measure(str(small_experiment), parties, None) for parties in (3, 9))
    assert (few.scenario, few.parties, many.parties) == ("small_experiment", 3, 9)
    assert few.rows == many.rows == 630
    assert few.rounds == many.rounds > 5
    assert few.openings != many.openings
    assert few.openings == benchmark.measure(str(small_experiment), 3, None).openings
    for one in (few, many):
        assert 0 < one.before_megabytes <= one.peak_megabytes
        assert 0 < one.sums_seconds < one.run_seconds < one.processor_seconds
        assert one.run_vs_sums == one.run_seconds / one.sums_seconds
        assert one.milliseconds == 1000 * one.run_seconds / one.parties / one.rounds


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_tells_what_it_measured(
    benchmark: ModuleType, small_experiment: Path, *, as_json: bool
) -> None:
    command = typer.Typer()
    command.command()(benchmark.main)
    flags = ["--json"] if as_json else []
    result = CliRunner().invoke(command, [str(small_experiment), "--parties", "4", *flags])
    assert result.exit_code == 0, result.output
    if as_json:
        (told,) = json.loads(result.output)
        assert (told["parties"], told["scenario"]) == (4, "small_experiment")
    else:
        assert "ms/party/round" in result.output
        assert "small_experiment" in result.output

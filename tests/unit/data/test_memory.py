"""What a row costs in memory, counted by the kernel; benchmarks/rows_memory.py has millions more of them."""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.rows_memory import Found, Setting, main, measure, write_rows

FEW, MANY = 100_000, 1_000_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads a process's peak from /proc")


def apart(what: Callable[[Path, Setting], Found], path: Path, setting: Setting) -> Found:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(what, path, setting).result()


def test_ten_million_rows_fit_into_two_gigabytes(tmp_path: Path) -> None:
    """Told from what a million take more than a few, beside what does not grow with rows."""
    peaks = {}
    for rows in (FEW, MANY):
        setting = Setting(rows=rows, characteristics=20, persons=True)
        write_rows(tmp_path / f"{rows}.parquet", setting)
        found = apart(measure, tmp_path / f"{rows}.parquet", setting)
        assert found.trained_on == (rows - 1) * 2 // 3 + 1
        assert found.sums == 9
        peaks[rows] = found.peak_megabytes
    assert peaks[MANY] - peaks[FEW] < (2000 - peaks[FEW]) / 10, peaks


def test_the_benchmark_tells_what_it_found() -> None:
    app = typer.Typer()
    app.command()(main)
    done = CliRunner().invoke(
        app, ["--rows", "3000", "--characteristics", "5", "--test-share", "0.5", "--json"]
    )
    assert done.exit_code == 0, done.output
    [found] = json.loads(done.stdout)
    assert (found["rows"], found["characteristics"], found["sums"]) == (3000, 5, 9)
    assert 1300 < found["trained_on"] < 1700
    assert 0 < found["before_megabytes"] <= found["load_megabytes"] <= found["peak_megabytes"]

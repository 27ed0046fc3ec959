"""What memory a node needs for its rows: from a Parquet file to the last sum of a scorecard's program.

    python -m benchmarks.rows_memory --rows 10000000 --characteristics 20 --persons

The file is invented and written by a process of its own. Another process then does what a node does for all
sums of a run, after one reading: rows of the training side, their contributions, lattice totals, noise. Its
peak is what the kernel counts as the largest resident set of that process. Only encryption is left out,
which has nothing to do with the number of rows.
"""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from fedscore.contract import Contract, Party, Role, parse_contract

__all__ = ["Found", "Setting", "contract_for", "main", "measure", "write_rows"]

_Result = TypeVar("_Result")

_BATCH = 131_072
_EDGES = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
_LEVELS = ("web", "shop", "phone", "agent")
_DAY = dt.date(2025, 6, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How much there is of what.

    Attributes:
        rows: In the file.
        characteristics: Columns beside id, person and outcome; every fourth is a category.
        persons: Whether rows name their persons, of whom every other one has two rows.
        test_share: Of the persons.
    """

    rows: int
    characteristics: int
    persons: bool
    test_share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a node needed.

    Attributes:
        trained_on: Rows of the training side.
        sums: Private sums of the program.
        before_megabytes: Peak of the process before it read: Python and what it imports.
        load_megabytes: Peak until the rows were read.
        peak_megabytes: Peak until the last sum was made.
        load_seconds: Wall time of reading, splitting and caps.
        sums_seconds: Wall time of all contributions, lattice totals and noise.
    """

    trained_on: int
    sums: int
    before_megabytes: float
    load_megabytes: float
    peak_megabytes: float
    load_seconds: float
    sums_seconds: float


def contract_for(setting: Setting) -> Contract:
    """A scorecard over the invented columns, with two interactions, for three organisations."""
    entries = [
        f'[[characteristics]]\nname = "x{place}"\ntype = "category"\nlevels = {json.dumps(_LEVELS)}\n'
        if place % 4 == 3
        else f'[[characteristics]]\nname = "x{place}"\ntype = "number"\nedges = {list(_EDGES)}\n'
        for place in range(setting.characteristics)
    ]
    person = 'person = "person"\nrows_per_person = 1\n' if setting.persons else ""
    contract = parse_contract(
        'version = 1\nname = "rows"\npurpose = "a benchmark"\n'
        '[outcome]\ndefinition = "late"\nbucket = "30+"\nhorizon_days = 30\n'
        f"[rows]\nrow_cap = {max(setting.rows, 1)}\n{person}"
        f'[split]\ntest_share = {setting.test_share}\nkey = "a benchmark"\n'
        + "".join(entries)
        + "".join(
            f'[[interactions]]\nfirst = {{ of = "x{place}", edges = [0] }}\n'
            f'second = {{ of = "x{place + 1}", edges = [0] }}\n'
            for place in (0, 4)
            if place + 1 < setting.characteristics
        )
        + "[privacy]\nepsilon = 1.0\ndelta = 1e-9\n"
    )
    return contract.with_parties(Party(name=f"party-{number}", role=Role.PLATFORM) for number in range(3))


def write_rows(path: Path, setting: Setting) -> None:
    """Writes the invented file, batch by batch.

    Args:
        path: Of the Parquet file.
        setting: How much there is of what. Ids are 36 characters long, as a UUID is.
    """
    generator = np.random.default_rng(1)
    writer: pq.ParquetWriter | None = None
    for start in range(0, setting.rows, _BATCH):
        batch = pa.table(_columns(setting, start, min(_BATCH, setting.rows - start), generator))
        writer = writer or pq.ParquetWriter(path, batch.schema)
        writer.write_table(batch)
    if writer is not None:
        writer.close()


def _columns(
    setting: Setting, start: int, size: int, generator: np.random.Generator
) -> dict[str, pa.Array | np.ndarray]:
    numbers = np.arange(start, start + size)
    columns: dict[str, pa.Array | np.ndarray] = {
        "id": [f"{number:08x}-row-{number:023x}" for number in numbers]
    }
    if setting.persons:
        persons = numbers * 2 // 3
        columns["person"] = [f"{number:08x}-person-{number:020x}" for number in persons]
    strength = np.zeros(size)
    for place in range(setting.characteristics):
        drawn = generator.normal(size=size)
        strength += drawn
        if place % 4 == 3:
            codes = pa.array((drawn > 0).astype(np.int32) + 2 * (drawn > 1))
            columns[f"x{place}"] = pa.DictionaryArray.from_arrays(codes, pa.array(_LEVELS))
        else:
            columns[f"x{place}"] = drawn
    bad = generator.random(size) < 1 / (1 + np.exp(2.0 - strength / np.sqrt(setting.characteristics)))
    columns["y"] = bad.astype(np.int8)
    return columns


def measure(path: Path, setting: Setting) -> Found:
    """Does what a node does, and looks at what this process needed; run it in a process of its own.

    Args:
        path: The file that `write_rows` wrote.
        setting: The same.
    """
    from clients.config import DataSource  # noqa: PLC0415 - what is imported counts as well
    from clients.loading import load_rows  # noqa: PLC0415
    from fedscore.learners.agenda import Agenda  # noqa: PLC0415
    from fedscore.sums import noised_total  # noqa: PLC0415
    from privacy.dp.randomness import SystemRandomness  # noqa: PLC0415

    contract = contract_for(setting)
    agenda = Agenda(contract, run="0" * 32)
    before = _peak_megabytes()
    started = time.perf_counter()
    rows = load_rows(DataSource(table=path), contract, role=Role.PLATFORM, day=_DAY)
    loaded, load_peak = time.perf_counter(), _peak_megabytes()
    openings: list[np.ndarray] = []
    while not agenda.is_finished(openings):
        query, request = agenda.next_sum(openings)
        openings.append(
            noised_total(query, rows, request, row_cap=contract.rows.row_cap, randomness=SystemRandomness())
        )
    return Found(
        trained_on=len(rows),
        sums=len(openings),
        before_megabytes=before,
        load_megabytes=load_peak,
        peak_megabytes=_peak_megabytes(),
        load_seconds=loaded - started,
        sums_seconds=time.perf_counter() - loaded,
    )


def _peak_megabytes() -> float:
    """The largest resident set of this process so far.

    `getrusage` would count the process that started this one as well, where it was larger.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6


def _apart(what: Callable[[Path, Setting], _Result], path: Path, setting: Setting) -> _Result:
    """Calls a function in a process that has nothing of this one's."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(what, path, setting).result()


def main(
    rows: Annotated[list[int] | None, typer.Option(help="Rows of the file; as often as wanted.")] = None,
    *,
    characteristics: Annotated[int, typer.Option(help="Columns beside id, person and outcome.")] = 20,
    persons: Annotated[bool, typer.Option(help="Whether rows name their persons.")] = False,
    test_share: Annotated[float, typer.Option(help="Share of the persons that test.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Measure the memory that a node needs for its rows."""
    found = []
    for count in rows or [1_000_000, 10_000_000]:
        setting = Setting(rows=count, characteristics=characteristics, persons=persons, test_share=test_share)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            _apart(write_rows, path, setting)
            measured = _apart(measure, path, setting)
        found.append({**asdict(setting), **asdict(measured)})
        if not as_json:
            typer.echo(", ".join(f"{name} {value:,.6g}" for name, value in found[-1].items()))
    if as_json:
        typer.echo(json.dumps(found, indent=2))


if __name__ == "__main__":
    typer.run(main)

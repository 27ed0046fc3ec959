"""How fast does `fedscore card score` work through a file, beside plain numpy that does the same?

    python -m benchmarks.batch_scoring --rows 1000000 --json

The card and the customers are invented. Both sides read the same Parquet file, bin, add points, rank reasons,
and write the same columns. The plain side knows this one card by heart, judges no row, and checks nothing.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer

from benchmarks.invented_card import invented_card
from fedscore.card import Card
from fedscore.card.batch import score_file
from fedscore.card.scoring import Scorer
from fedscore.contract import Contract, Party, Role, parse_contract

__all__ = ["Found", "card_of", "main", "measure", "score_plainly", "write_customers"]

REPETITIONS = 5
_BATCH = 65_536
_NUMBERS = 18
_CATEGORIES = 4
_CROSSED = ((0, 1), (2, 3))
_EDGES = np.array([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
_COARSE = np.array([-0.5, 0.5])
_CODE = 98.0
_LEVELS = ("web", "shop", "phone", "agent")
_REASONS = 4
_SEED = 1

_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured.

    Attributes:
        rows: In the file.
        seconds: Wall time of the product.
        plain_seconds: Wall time of plain numpy, taken in turn.
        ratio: Median of the one divided by the other, each by its neighbour.
        before_megabytes: Peak of a process before it scores: Python and what it imports.
        peak_megabytes: Its peak when it has scored the file.
    """

    rows: int
    seconds: float
    plain_seconds: float
    ratio: float
    before_megabytes: float
    peak_megabytes: float


def card_of() -> Card:
    """A card of eighteen numbers, four categories, and two interactions."""
    return invented_card(_contract(), seed=_SEED)


def write_customers(path: Path, rows: int) -> None:
    """Writes a Parquet file of invented customers: one value in fifty is missing, one in fifty is a code."""
    draw = np.random.default_rng(_SEED)
    writer: pq.ParquetWriter | None = None
    for start in range(0, rows, _BATCH):
        size = min(_BATCH, rows - start)
        columns: dict[str, pa.Array] = {"id": pa.array(np.arange(start, start + size))}
        for place in range(_NUMBERS):
            values = draw.normal(size=size)
            values[draw.random(size) < 0.02] = _CODE
            columns[f"x{place}"] = pa.array(values, mask=draw.random(size) < 0.02)
        for place in range(_CATEGORIES):
            texts = pa.array([*_LEVELS, "elsewhere"]).take(pa.array(draw.integers(0, 5, size)))
            columns[f"c{place}"] = texts
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def score_plainly(card: Card, source: Path, out: Path) -> None:
    """Scores the file with plain numpy, for this card alone."""
    points = [table.hundredths_of_cells() for table in card.tables]
    lost = [_losses(table_points, card, place) for place, table_points in enumerate(points)]
    begins = np.array([round(grade.lowest_score * 100) for grade in card.grades if grade.lowest_score][::-1])
    grades = pa.array([grade.name for grade in card.grades])
    items = _NUMBERS + _CATEGORIES
    names = pa.array([item.description or item.name for item in card.grid.characteristics])
    texts = pa.dictionary(pa.int16(), pa.string())
    schema = pa.schema(
        [("id", pa.int64()), ("score", pa.float64()), ("probability", pa.float64()), ("grade", texts)]
        + [(f"reason_{rank}", texts) for rank in range(1, _REASONS + 1)]
    )
    with (
        pq.ParquetFile(source, pre_buffer=False) as file,
        pq.ParquetWriter(out, schema, compression="zstd") as writer,
    ):
        for batch in file.iter_batches(batch_size=_BATCH):
            cells = _cells(batch)
            total = np.full(len(batch), round(card.intercept_points * 100), dtype=np.int64)
            losses = np.zeros((len(batch), items), dtype=np.int64)
            for place, of_table in enumerate(cells):
                total += points[place][of_table]
                sides = (place,) if place < items else _CROSSED[place - items]
                for side in sides:
                    losses[:, side] += lost[place][of_table]
            score = total / 100.0
            columns = [
                batch.column("id"),
                pa.array(score),
                pa.array(1 / (1 + np.exp((score - card.scale.offset) / card.scale.factor))),
                _named(len(begins) - np.searchsorted(begins, total, side="right"), grades),
            ]
            rows = np.arange(len(batch))
            for _ in range(_REASONS):
                place = np.argmax(losses, axis=1)
                columns.append(_named(np.where(losses[rows, place] > 0, place, -1), names))
                losses[rows, place] = 0
            writer.write_batch(pa.record_batch(columns, schema=schema))


def measure(rows: int, *, repetitions: int) -> Found:
    """Scores the same file in turn, and once more in a process of its own.

    Raises:
        RuntimeError: The two do not agree.
    """
    card = card_of()
    with tempfile.TemporaryDirectory() as folder:
        source, mine, plain = (Path(folder) / f"{name}.parquet" for name in ("customers", "mine", "plain"))
        write_customers(source, rows)
        seconds, plain_seconds = [], []
        for _ in range(repetitions):
            plain_seconds.append(_timed(lambda: score_plainly(card, source, plain)))
            seconds.append(_timed(lambda: _score(card, source, mine)))
        if not pq.read_table(mine).equals(pq.read_table(plain)):
            raise RuntimeError("plain numpy and the product do not give the same file")
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            before, peak = pool.submit(_peaks, source, mine).result()
    return Found(
        rows=rows,
        seconds=statistics.median(seconds),
        plain_seconds=statistics.median(plain_seconds),
        ratio=statistics.median(one / other for one, other in zip(seconds, plain_seconds, strict=True)),
        before_megabytes=before,
        peak_megabytes=peak,
    )


def main(
    rows: Annotated[int, typer.Option(help="Customers.", min=1)] = 1_000_000,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object.")] = False,
) -> None:
    """Score a file with the product and with plain numpy, and print how the two compare."""
    found = measure(rows, repetitions=REPETITIONS)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    typer.echo(
        f"{found.rows:,} rows: {found.seconds:.2f} s, plain numpy {found.plain_seconds:.2f} s, "
        f"ratio {found.ratio:.2f}\n"
        f"peak memory {found.peak_megabytes:,.0f} MB, {found.before_megabytes:,.0f} MB of it before scoring"
    )


def _contract() -> Contract:
    sides = [
        "{ of = " + json.dumps(f"x{place}") + f", edges = {_COARSE.tolist()} }}"
        for pair in _CROSSED
        for place in pair
    ]
    text = (
        'version = 1\nname = "batch"\npurpose = "a benchmark"\n'
        '[outcome]\ndefinition = "late"\nbucket = "30+"\nhorizon_days = 30\n'
        '[rows]\nrow_cap = 1000\n[split]\ntest_share = 0.3\nkey = "a benchmark"\n'
        "[privacy]\nepsilon = 1.0\ndelta = 1e-6\n"
        + "".join(
            f'[[characteristics]]\nname = "x{place}"\ntype = "number"\nedges = {_EDGES.tolist()}\n'
            f'special = [{{ code = {_CODE}, meaning = "not told" }}]\n'
            for place in range(_NUMBERS)
        )
        + "".join(
            f'[[characteristics]]\nname = "c{place}"\ntype = "category"\nlevels = {json.dumps(_LEVELS)}\n'
            for place in range(_CATEGORIES)
        )
        + "".join(
            f"[[interactions]]\nfirst = {first}\nsecond = {second}\n"
            for first, second in zip(sides[::2], sides[1::2], strict=True)
        )
    )
    roster = [Party(name=f"party-{number}", role=Role.PLATFORM) for number in range(3)]
    return parse_contract(text).with_parties(roster)


def _score(card: Card, source: Path, out: Path) -> None:
    score_file(
        Scorer(card, role=Role.PLATFORM, reasons=_REASONS),
        source,
        out,
        bad=out.with_suffix(".bad.parquet"),
        id_column="id",
    )


def _cells(batch: pa.RecordBatch) -> list[_Integers]:
    """[tables] of [rows]: numbers, categories, interactions."""
    cells, coarse = [], []
    for place in range(_NUMBERS):
        values = batch.column(f"x{place}").fill_null(np.nan).to_numpy(zero_copy_only=False)
        is_code, is_missing = values == _CODE, np.isnan(values)
        found = np.searchsorted(_EDGES, values, side="right")
        found[is_code], found[is_missing] = len(_EDGES) + 1, len(_EDGES) + 2
        cells.append(found)
        if any(place in pair for pair in _CROSSED):
            found = np.searchsorted(_COARSE, values, side="right")
            found[is_code | is_missing] = len(_COARSE) + 1
            coarse.append(found)
    for place in range(_CATEGORIES):
        levels = pc.index_in(batch.column(f"c{place}"), value_set=pa.array(_LEVELS))
        cells.append(levels.fill_null(len(_LEVELS)).to_numpy(zero_copy_only=False))
    cells += [coarse[2 * pair] * (len(_COARSE) + 2) + coarse[2 * pair + 1] for pair in range(len(_CROSSED))]
    return cells


def _losses(points: _Integers, card: Card, place: int) -> _Integers:
    shares = np.array([bin_.share for bin_ in card.tables[place].bins])
    weight = 2 if place < _NUMBERS + _CATEGORIES else 1
    return weight * (round(float(shares @ points) / float(shares.sum())) - points)


def _named(places: _Integers, names: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int16), mask=places < 0), names)


def _timed(what: Callable[[], None]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def _peaks(source: Path, out: Path) -> tuple[float, float]:
    before = _peak_megabytes()
    _score(card_of(), source, out)
    return before, _peak_megabytes()


def _peak_megabytes() -> float:
    """The largest resident set of this process so far."""
    if sys.platform == "linux":
        # `getrusage` would count the process that started this one as well, where it was larger.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        lines = (line.split() for line in status.splitlines())
        return next(int(line[1]) for line in lines if line[0] == "VmHWM:") * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    typer.run(main)

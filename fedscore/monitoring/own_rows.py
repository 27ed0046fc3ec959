"""Counting one organisation's own rows from a file: exactly, batch by batch, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fedscore.card.judging import judge, require_types
from fedscore.contract import Role, ValueType
from fedscore.data import cells_of
from fedscore.data.columns import ColumnReader
from fedscore.data.problems import Problems
from fedscore.data.sources import CsvSource, ParquetSource, open_source, usable_columns
from fedscore.errors import DataError
from fedscore.monitoring.counts import Counts, ExactCounts
from fedscore.monitoring.layout import Layout

__all__ = ["OwnRows", "count_file"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OwnRows:
    """What was counted of a file.

    Attributes:
        counts: Of its rows.
        rows: How many were counted.
        known: Of how many of them the outcome is known.
        left_out: Rows that cannot be scored, and so were not counted.
    """

    counts: Counts
    rows: int
    known: int
    left_out: int


def count_file(
    layout: Layout,
    file: Path,
    *,
    role: Role,
    id_column: str,
    outcome: str | None,
    progress: Callable[[int], None] = lambda _rows: None,
) -> OwnRows:
    """Counts every row of a file that can be scored, as `fedscore.card.batch` scores it.

    Args:
        layout: What is counted.
        file: A Parquet or CSV file with the columns that the role holds.
        role: Whose rows these are.
        id_column: The column that tells rows apart; rows without an identifier are left out.
        outcome: The column of outcomes: 1 bad, 0 good, empty where it is not known yet. None if the file has
            none.
        progress: Is told how many rows were read so far.

    Raises:
        DataError: The file cannot be read, lacks a column, or has an outcome that is neither 0 nor 1; or no
            row of it can be scored.
    """
    grid = layout.card.grid
    held = [item for item in grid.characteristics if role in item.roles]
    numbers = {item.name: item.column for item in held if item.type is ValueType.NUMBER}
    categories = {item.name: item.column for item in held if item.type is ValueType.CATEGORY}
    opened = open_source(file)
    problems = Problems(opened.name)
    wanted = [id_column, *grid.source_columns(role), *([outcome] if outcome is not None else [])]
    names = usable_columns(opened, wanted, problems)
    problems.raise_if_any()
    if isinstance(opened, ParquetSource):
        require_types(pq.read_schema(file), numbers, categories)
    labels = opened.reader(problems)
    exact, read, left_out, ragged = ExactCounts(layout=layout), 0, 0, [0]

    def note_ragged(rows: int) -> None:
        ragged[0] += rows

    for batch in opened.batches(names, note_ragged):
        judged = judge(
            batch,
            id_column=id_column,
            numbers=numbers,
            categories=categories,
            is_csv=isinstance(opened, CsvSource),
        )
        known = _outcomes(batch.column(outcome), outcome, labels)[judged.fit] if outcome is not None else None
        exact.add(cells_of(judged.values, grid, role=role), known)
        left_out += len(batch) - judged.values.size
        read += len(batch)
        progress(read)
    problems.raise_if_any()
    if not exact.rows:
        raise DataError(
            f"{file}: none of its {read + ragged[0]:,} rows can be scored, so there is nothing to watch: "
            "fedscore card score tells what is wrong with each"
        )
    return OwnRows(counts=exact.counts, rows=exact.rows, known=exact.known, left_out=left_out + ragged[0])


def _outcomes(array: pa.Array, column: str, reader: ColumnReader) -> npt.NDArray[np.float64]:
    """[n], NaN where the outcome is not known yet; what is no outcome is counted as a problem."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    unknown: npt.NDArray[np.bool_] = pc.is_null(array, nan_is_null=True).to_numpy(zero_copy_only=False)
    found = np.full(len(array), np.nan)
    found[~unknown] = reader.labels(array.filter(pa.array(~unknown)), column)
    return found

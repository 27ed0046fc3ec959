"""Whole rows of a data file: what parties are cut by, what a ceiling sees, and which rows are complete."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from fedscore.errors import DataError

__all__ = ["complete_rows", "places_of", "whole_table"]


def whole_table(
    path: Path, id_column: str, *, number_rows: bool = False, texts: Collection[str] | None = None
) -> pa.Table:
    """Read all columns and rows of a file.

    Args:
        path: A Parquet or CSV file.
        id_column: A column that it must have, or, where rows are numbered, must not have.
        number_rows: Whether the column of ids is made here: the place of each row in the file, from 1.
        texts: Columns of a CSV file whose values are texts, whatever they look like; given where the rows
            will be binned. With them, and where rows are numbered, only an empty field is missing.

    Raises:
        DataError: The file cannot be read, lacks the column, or has it although rows are to be numbered.
    """
    conversion = _conversion(texts or ()) if number_rows or texts is not None else None
    try:
        table: pa.Table = (
            pyarrow.csv.read_csv(path, convert_options=conversion)
            if path.suffix.lower() == ".csv"
            else pyarrow.parquet.read_table(path)
        )
    except (OSError, pa.ArrowInvalid):
        raise DataError(f"{path.name} cannot be read: it must be a Parquet or CSV file") from None
    if number_rows:
        if id_column in table.column_names:
            raise DataError(
                f"{path.name} has a column {id_column}, so its rows need no numbers: "
                "leave number_rows out of the scenario"
            )
        return table.append_column(id_column, pa.array(range(1, len(table) + 1), type=pa.int64()))
    if id_column not in table.column_names:
        raise DataError(f"{path.name} has no column {id_column}: name the file that the rows came from")
    return table


def _conversion(texts: Collection[str]) -> pyarrow.csv.ConvertOptions:
    """Only an empty field is missing, as everywhere else in fedscore: "NA" is a text."""
    return pyarrow.csv.ConvertOptions(
        null_values=[""], strings_can_be_null=True, column_types=dict.fromkeys(texts, pa.string())
    )


def complete_rows(table: pa.Table, *, of: str) -> pa.Table:
    """Leave out rows with an empty cell, whichever column it is in: null, NaN, or a text without letters.

    Args:
        table: A table.
        of: What to call it in a message.

    Raises:
        DataError: Every row has an empty cell.
    """
    kept = np.ones(len(table), dtype=np.bool_)
    for column in table.columns:
        kept &= ~np.asarray(pc.is_null(column, nan_is_null=True))
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            kept &= ~np.asarray(pc.fill_null(pc.equal(column, ""), fill_value=False))
    if not kept.any():
        raise DataError(
            f"every row of {of} has an empty cell in some column: leave complete_rows out of the scenario, "
            "or leave the column out of the file"
        )
    return table.filter(pa.array(kept))


def places_of(
    ids: npt.NDArray[np.object_] | npt.NDArray[np.str_], table: pa.Table, id_column: str
) -> npt.NDArray[np.int64]:
    """Where the rows with the given ids stand in a table.

    Args:
        ids: Ids as text, shape [n].
        table: A table.
        id_column: The column that is unique in it.

    Returns:
        Positions in the table, shape [n].

    Raises:
        DataError: The table lacks an id.
    """
    known = table[id_column].cast(pa.string()).combine_chunks()
    places = pc.index_in(pa.array(ids.tolist(), type=pa.string()), known)
    if places.null_count:
        raise DataError(f"{places.null_count} of {len(ids)} rows are not in the file: it changed meanwhile")
    return np.asarray(places.to_numpy(), dtype=np.int64)

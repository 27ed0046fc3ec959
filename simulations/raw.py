"""Whole rows of a data file, for what no contract bins: what parties are cut by, and what a ceiling sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from fedscore.errors import DataError

__all__ = ["places_of", "whole_table"]


def whole_table(path: Path, id_column: str) -> pa.Table:
    """Read all columns and rows of a file.

    Args:
        path: A Parquet or CSV file.
        id_column: A column that it must have.

    Raises:
        DataError: The file cannot be read, or lacks the column.
    """
    try:
        read = pyarrow.csv.read_csv if path.suffix.lower() == ".csv" else pyarrow.parquet.read_table
        table: pa.Table = read(path)
    except (OSError, pa.ArrowInvalid):
        raise DataError(f"{path.name} cannot be read: it must be a Parquet or CSV file") from None
    if id_column not in table.column_names:
        raise DataError(f"{path.name} has no column {id_column}: name the file that the rows came from")
    return table


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

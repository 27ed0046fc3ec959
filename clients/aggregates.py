"""How events become one number per account or person: counts, sums, extremes, all in one pass of numpy.

An event is a position in several arrays of one length: its `owner` (the position of its account, case or
person), its day (days since 1970-01-01) and what it carries. Which events count is a mask, `where`, so that
the line that computes a characteristic shows the days it looks at.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedscore.data.days import day_number
from fedscore.errors import DataError

__all__ = [
    "NEVER",
    "count",
    "day_number",
    "days",
    "flags",
    "highest",
    "owners",
    "total",
    "values",
    "within",
    "word",
]

Days = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NEVER = 2**31
"""A day after every other: what has not happened yet."""


def days(column: pa.ChunkedArray) -> Days:
    """The day numbers of a date32 column; an empty date is `NEVER`."""
    filled = pc.fill_null(column.cast(pa.int32()).cast(pa.int64()), NEVER)
    return np.asarray(filled.to_numpy(), dtype=np.int64)


def values(column: pa.ChunkedArray) -> Floats:
    """A column of numbers as float64; an empty one is 0."""
    return np.asarray(pc.fill_null(column, 0).to_numpy(), dtype=np.float64)


def flags(column: pa.ChunkedArray) -> Mask:
    """A column of true and false."""
    return np.asarray(column.to_numpy(), dtype=np.bool_)


def word(column: pa.ChunkedArray, code: str) -> Mask:
    """Where a column of agreed words (a dictionary) says `code`."""
    combined = column.unify_dictionaries().combine_chunks()
    if isinstance(combined, pa.ChunkedArray):  # no rows: nothing was combined
        return np.zeros(len(combined), dtype=np.bool_)
    position = pc.index(combined.dictionary, code).as_py()
    return np.asarray(combined.indices.to_numpy(zero_copy_only=False) == position)


def owners(column: pa.ChunkedArray, keys: pa.ChunkedArray, *, where: str) -> Days:
    """The position in `keys` of every value of `column`.

    Args:
        column: A dictionary of keys, as `check_tables` leaves it.
        keys: The keys of another table, each once.
        where: The column's name, for the message.

    Raises:
        DataError: A value is not among the keys.
    """
    positions = pc.index_in(column.cast(pa.string()), value_set=keys.cast(pa.string()))
    unknown = positions.null_count
    if unknown:
        raise DataError(
            f"{where} names no known key in {unknown} rows: export both tables at the same moment"
        )
    return np.asarray(positions.to_numpy(), dtype=np.int64)


def count(owner: Days, size: int, *, where: Mask) -> Floats:
    """How many events each of `size` owners has."""
    return np.bincount(owner[where], minlength=size).astype(np.float64)


def total(owner: Days, size: int, amounts: Floats, *, where: Mask) -> Floats:
    """The sum of each owner's amounts, rounded to a cent.

    Rounded, because a sum of floats would otherwise depend on the order of the rows.
    """
    return np.round(np.bincount(owner[where], weights=amounts[where], minlength=size), 2)


def highest(owner: Days, size: int, numbers: Floats | Days, *, where: Mask, nothing: float) -> Floats:
    """Each owner's highest number, or `nothing` where it has no event (which must be below every number)."""
    result = np.full(size, nothing, dtype=np.float64)
    np.maximum.at(result, owner[where], numbers[where].astype(np.float64))
    return result


def within(day: Days, last: int, *, today: int) -> Mask:
    """Where an event is of the `last` days before `today`."""
    return (day >= today - last) & (day < today)

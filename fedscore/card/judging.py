"""Which rows of a file can be scored? Each row is judged by itself, and what is wrong with it has a code.

Training refuses a file for a single row that does not fit, because nobody is waiting for it. Whoever scores
needs the other rows now: a row that does not fit is left out, and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedscore.data import Values
from fedscore.data.columns import ColumnReader
from fedscore.data.csv_columns import CsvColumnReader
from fedscore.data.problems import Problems
from fedscore.errors import DataError

__all__ = ["Fault", "Judged", "Misfit", "judge", "require_types"]

_NO_NUMBER = r"^\s*[nN][aA][nN]\s*$"
_REPLACED = "\N{REPLACEMENT CHARACTER}"

_Mask = npt.NDArray[np.bool_]


class Fault(StrEnum):
    """Why a row cannot be scored."""

    NO_ID = "no-id"
    """It has no identifier, so nobody could tell whose score it is."""

    NOT_A_NUMBER = "not-a-number"
    """Text where a number is needed."""

    INFINITE = "infinite"
    """An infinity."""

    NOT_A_LEVEL = "not-a-level"
    """A number with a fraction where a category is needed."""

    NOT_UTF8 = "not-utf-8"
    """Bytes that are no text."""

    FIELDS = "fields"
    """A line of a CSV file that is no row by itself: with more or fewer fields than the header, or with a
    quote or a line break out of place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """What is wrong with one row.

    Attributes:
        row: Its place in the batch, from 0.
        column: Where.
        fault: What.
    """

    row: int
    column: str
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """A batch, judged.

    Attributes:
        values: Of the rows that can be scored.
        fit: [rows], which these are.
        misfits: What is wrong with the others, by row; a row may have several.
    """

    values: Values
    fit: _Mask
    misfits: tuple[Misfit, ...]


def require_types(schema: pa.Schema, numbers: Mapping[str, str], categories: Mapping[str, str]) -> None:
    """Refuses a file in which a whole column is of a type that no row of it could be scored with.

    Args:
        schema: Of a typed file.
        numbers: Columns of numbers, by characteristic.
        categories: Columns of categories, by characteristic.

    Raises:
        DataError: Names all such columns.
    """
    problems = Problems("the file")
    reader = ColumnReader(problems)
    for column in dict.fromkeys(numbers.values()):
        reader.numbers(_one_missing(schema, column), column)
    for column in dict.fromkeys(categories.values()):
        reader.categories(_one_missing(schema, column), column)
    try:
        problems.raise_if_any()
    except DataError as refused:
        raise DataError(str(refused).replace("1 row with", "all rows with")) from None


def judge(
    batch: pa.RecordBatch,
    *,
    id_column: str,
    numbers: Mapping[str, str],
    categories: Mapping[str, str],
    is_csv: bool,
) -> Judged:
    """Judges every row of a batch.

    Args:
        batch: With the columns that are named, and the identifiers.
        id_column: Of the identifiers.
        numbers: Columns of numbers, by characteristic.
        categories: Columns of categories, by characteristic.
        is_csv: Whether columns are bytes, as a CSV file has them.
    """
    reader_of = CsvColumnReader if is_csv else ColumnReader
    # Counts are of no use here: what is asked for is which rows.
    reader = reader_of(Problems("the batch"))
    faults: dict[tuple[str, Fault], _Mask] = {}
    identifiers = batch.column(id_column)
    faults[id_column, Fault.NO_ID] = _is_missing(identifiers)
    if is_csv:
        faults[id_column, Fault.NOT_UTF8] = _is_broken(identifiers)
    read_numbers = {}
    for column in dict.fromkeys(numbers.values()):
        array = batch.column(column)
        values = reader.numbers(array, column)
        infinite = np.isinf(values)
        faults[column, Fault.INFINITE] = infinite
        if is_csv:
            faults[column, Fault.NOT_A_NUMBER] = _is_no_number(array, values)
        read_numbers[column] = values
    read_categories = {}
    for column in dict.fromkeys(categories.values()):
        array = batch.column(column)
        texts = reader.categories(array, column)
        if is_csv:
            faults[column, Fault.NOT_UTF8] = _is_broken(array)
        else:
            faults[column, Fault.NOT_A_LEVEL] = _mask(pc.is_null(texts)) & ~_is_missing(array)
        read_categories[column] = texts
    found = {place: mask for place, mask in faults.items() if mask.any()}
    fit = ~np.logical_or.reduce(list(found.values())) if found else np.ones(len(batch), dtype=np.bool_)
    chosen = None if fit.all() else pa.array(fit)
    return Judged(
        values=Values(
            size=int(fit.sum()),
            numbers={
                name: read_numbers[column] if chosen is None else read_numbers[column][fit]
                for name, column in numbers.items()
            },
            categories={
                name: read_categories[column] if chosen is None else read_categories[column].filter(chosen)
                for name, column in categories.items()
            },
        ),
        fit=fit,
        misfits=tuple(
            Misfit(row=row, column=column, fault=fault)
            for row, column, fault in sorted(
                (row, column, fault)
                for (column, fault), mask in found.items()
                for row in np.flatnonzero(mask).tolist()
            )
        ),
    )


def _one_missing(schema: pa.Schema, column: str) -> pa.Array:
    return pa.nulls(1, schema.field(column).type)


def _mask(array: pa.Array) -> _Mask:
    found: _Mask = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
    return found


def _is_missing(array: pa.Array) -> _Mask:
    """Null, NaN, or nothing between the commas."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    missing: _Mask = pc.is_null(array, nan_is_null=True).to_numpy(zero_copy_only=False)
    if (
        pa.types.is_string(array.type)
        or pa.types.is_large_string(array.type)
        or pa.types.is_binary(array.type)
    ):
        missing = missing | _mask(pc.equal(pc.binary_length(array), 0))
    return missing


def _texts(array: pa.Array) -> pa.StringArray:
    try:
        return pc.cast(array, pa.string())
    except pa.ArrowInvalid:
        return pa.array(
            [None if raw is None else raw.decode(errors="replace") for raw in array.to_pylist()], pa.string()
        )


def _is_broken(array: pa.Array) -> _Mask:
    """Bytes that are not UTF-8."""
    return _mask(pc.match_substring(_texts(array), _REPLACED))


def _is_no_number(array: pa.Array, values: npt.NDArray[np.float64]) -> _Mask:
    """Text that was not read as a number, though it neither is missing nor says so."""
    found = np.isnan(values)
    # Most rows have a number, and looking at texts is slow.
    unread = array.filter(pa.array(found))
    found[found] = ~_is_missing(unread) & ~_mask(pc.match_substring_regex(_texts(unread), _NO_NUMBER))
    return found

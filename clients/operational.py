"""What an organisation's operational tables must look like, and how they are read.

Both roles describe their tables with the types below. A table is checked once, at the door, and leaves it
with one type per kind of column, so that what counts events needs no second look.

    KEY     text, repeated in other tables        -> dictionary of strings
    DAY     a date, or a time whose day counts    -> date32 (a time with a zone counts by its day in UTC)
    AMOUNT  money in the contract's currency      -> float64, finite and not negative
    COUNT   a whole number                        -> int64, not negative
    FLAG    true or false, or 1 or 0              -> bool
    CODE    one of a few words                    -> dictionary of strings
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from fedscore.errors import DataError

__all__ = [
    "Column",
    "Kind",
    "Owner",
    "TableSchema",
    "Tables",
    "check_tables",
    "parse_csv",
    "read_tables",
    "readable",
    "require_single",
    "table_file",
]

Tables = Mapping[str, pa.Table]


class Kind(StrEnum):
    """What a column holds; the value is how a message calls it."""

    KEY = "text"
    DAY = "dates"
    AMOUNT = "numbers"
    COUNT = "whole numbers"
    FLAG = "true or false"
    CODE = "agreed words"


_ARROW = {
    Kind.KEY: pa.string(),
    Kind.DAY: pa.date32(),
    Kind.AMOUNT: pa.float64(),
    Kind.COUNT: pa.int64(),
    Kind.FLAG: pa.bool_(),
    Kind.CODE: pa.string(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of an operational table.

    Attributes:
        name: Its name in the table.
        kind: What it holds.
        meaning: What it says, for the engineer who exports it.
        nullable: Whether a row may leave it empty.
        codes: The words that a CODE may be.
        unique: Whether no two rows may share a value.
    """

    name: str
    kind: Kind
    meaning: str
    nullable: bool = False
    codes: tuple[str, ...] = ()
    unique: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """One operational table: its columns, and what a row of it is."""

    name: str
    row: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The table whose rows say whose data it is, and carry consent.

    Attributes:
        table: Its name.
        key: The column by which other tables refer to its rows.
        identifiers: By each identifier of the rows that are made of it: the column that it comes from.
    """

    table: str
    key: str
    identifiers: Mapping[str, str]


def check_tables(tables: Tables, schemas: tuple[TableSchema, ...]) -> dict[str, pa.Table]:
    """Returns the tables with exactly the columns of `schemas`, each of its kind's one type.

    Raises:
        DataError: A table or column is missing or of another type, or rows break what the column promises.
            The message names table, column and number of rows, never a value.
    """
    return {schema.name: _checked_table(tables, schema) for schema in schemas}


def read_tables(folder: Path, schemas: tuple[TableSchema, ...]) -> dict[str, pa.Table]:
    """Reads `<table>.parquet`, or else `<table>.csv`, of every schema from a folder, and checks them.

    Raises:
        DataError: A file is missing or unreadable, or its table fails `check_tables`.
    """
    return check_tables({schema.name: _read_table(folder, schema) for schema in schemas}, schemas)


def _read_table(folder: Path, schema: TableSchema) -> pa.Table:
    file = table_file(folder, schema)
    if file.suffix == ".csv":
        return parse_csv(file, schema)
    names = [column.name for column in schema.columns]
    with readable(schema):
        held = set(pq.read_schema(file).names)
        return pq.read_table(file, columns=[name for name in names if name in held])


def table_file(folder: Path, schema: TableSchema) -> Path:
    """The file of a table: Parquet, or else CSV.

    Raises:
        DataError: There is neither.
    """
    parquet, text = folder / f"{schema.name}.parquet", folder / f"{schema.name}.csv"
    for file in (parquet, text):
        if file.is_file():
            return file
    raise DataError(f"table {schema.name!r} is missing: put {parquet.name} or {text.name} into {folder}")


def parse_csv(text: Path | BytesIO, schema: TableSchema) -> pa.Table:
    """A table from CSV, with the types that its values suggest.

    Raises:
        DataError: It cannot be parsed.
    """
    # Without this a key such as 007 would be read as the number 7.
    keys = {c.name: pa.string() for c in schema.columns if c.kind in {Kind.KEY, Kind.CODE}}
    options = pa_csv.ConvertOptions(column_types=keys, strings_can_be_null=True)
    with readable(schema):
        return pa_csv.read_csv(text, convert_options=options)


@contextmanager
def readable(schema: TableSchema) -> Iterator[None]:
    """Puts what Arrow says of a damaged file, which may quote it, into words of our own.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise DataError(
            f"table {schema.name!r} cannot be read ({type(error).__name__}): export it again as Parquet or "
            "as CSV in UTF-8 with one header line"
        ) from None


def require_single(held: Sequence[str], wanted: Iterable[str], schema: TableSchema) -> None:
    """Refuses a table that has a column more than once.

    Args:
        held: Its columns.
        wanted: Those that are to be read.
        schema: What it should be.

    Raises:
        DataError: One of them is there twice.
    """
    repeated = sorted(name for name in set(wanted) if held.count(name) > 1)
    if repeated:
        raise DataError(f"table {schema.name!r} has more than one column {repeated[0]!r}: keep one")


def _checked_table(tables: Tables, schema: TableSchema) -> pa.Table:
    if schema.name not in tables:
        raise DataError(f"table {schema.name!r} is missing: each row of it is {schema.row}")
    table = tables[schema.name]
    require_single(table.column_names, (column.name for column in schema.columns), schema)
    missing = [c for c in schema.columns if c.name not in table.column_names]
    if missing:
        listed = "; ".join(f"{column.name} ({column.kind}): {column.meaning}" for column in missing)
        raise DataError(f"table {schema.name!r} lacks {len(missing)} of its columns: add {listed}")
    columns = {
        c.name: _checked_column(table.column(c.name), c, f"{schema.name}.{c.name}") for c in schema.columns
    }
    return pa.table(columns)


def _checked_column(column: pa.ChunkedArray, wanted: Column, where: str) -> pa.ChunkedArray:
    empty = column.null_count
    if empty and not wanted.nullable:
        raise DataError(f"{where} is empty in {empty} rows: fill it, or leave those rows out of the export")
    cast = _cast(column, wanted, where)
    if wanted.kind in {Kind.AMOUNT, Kind.COUNT}:
        wrong = pc.sum(pc.invert(pc.and_(pc.is_finite(cast), pc.greater_equal(cast, 0)))).as_py() or 0
        if wrong:
            raise DataError(
                f"{where} is negative or not finite in {wrong} rows: amounts and counts are 0 or more"
            )
    if wanted.codes:
        wrong = pc.sum(pc.invert(pc.is_in(cast, value_set=pa.array(wanted.codes)))).as_py() or 0
        if wrong:
            raise DataError(
                f"{where} holds another word than {', '.join(wanted.codes)} in {wrong} rows: translate them"
            )
    if wanted.kind in {Kind.KEY, Kind.CODE} and not pa.types.is_dictionary(cast.type):
        cast = cast.dictionary_encode()
    if wanted.unique:
        doubled = len(cast) - len(pc.unique(cast))
        if doubled:
            raise DataError(
                f"{where} repeats an earlier value in {doubled} rows: it names a row, so keep one of each"
            )
    return cast


def _cast(column: pa.ChunkedArray, wanted: Column, where: str) -> pa.ChunkedArray:
    target = _ARROW[wanted.kind]
    held = column.type
    if pa.types.is_dictionary(held):
        held = held.value_type
        if wanted.kind is Kind.KEY and pa.types.is_string(held):
            return column.unify_dictionaries()
    if _readable(held, wanted.kind):
        try:
            if wanted.kind is Kind.FLAG and pa.types.is_integer(held):
                # A cast alone would read 2 as true.
                column = column.cast(pa.int64())
                if pc.all(pc.is_in(column, value_set=pa.array([0, 1]))).as_py() is False:
                    raise pa.ArrowInvalid
            return column.cast(target)
        except pa.ArrowException:
            pass
    raise DataError(
        f"{where} holds {held} in {len(column)} rows where {wanted.kind} are expected ({wanted.meaning}): "
        f"export it as {target}"
    )


def _readable(held: pa.DataType, kind: Kind) -> bool:
    """Whether a type can hold this kind without guessing (a number is no date, a float no key)."""
    types = pa.types
    if types.is_null(held):
        return True
    match kind:
        case Kind.KEY:
            return bool(types.is_string(held) or types.is_large_string(held) or types.is_integer(held))
        case Kind.CODE:
            return bool(types.is_string(held) or types.is_large_string(held))
        case Kind.DAY:
            return bool(types.is_date(held) or types.is_timestamp(held))
        case Kind.FLAG:
            return bool(types.is_boolean(held) or types.is_integer(held))
        case Kind.AMOUNT | Kind.COUNT:
            return bool(types.is_integer(held) or types.is_floating(held) or types.is_decimal(held))

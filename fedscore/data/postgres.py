"""Rows of a PostgreSQL database as a source of columns: what one statement of the data's owner selects.

The statement runs behind a cursor, in one transaction that is read-only and sees one snapshot. So it can be
one SELECT alone, nothing of it changes the database, and what others write meanwhile is not seen. How to
connect is libpq's own affair: service file, password file and environment.

No message quotes the database: what it says of an error may name values. It is told by its SQLSTATE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from fedscore.data.columns import ColumnReader
from fedscore.data.problems import Problems
from fedscore.errors import DataError, MissingExtra

if TYPE_CHECKING:
    from types import ModuleType

    from psycopg import Connection, ServerCursor

__all__ = ["FETCHED_ROWS", "PostgresSource"]

FETCHED_ROWS = 16_384
"""Rows that are in memory as texts at once."""

_TEXT = pa.string()
_TYPES: Mapping[int, pa.DataType] = {
    16: pa.bool_(),
    18: _TEXT,  # "char"
    19: _TEXT,  # name
    20: pa.int64(),
    21: pa.int64(),
    23: pa.int64(),
    25: _TEXT,
    26: pa.int64(),  # oid
    700: pa.float64(),
    701: pa.float64(),
    705: _TEXT,  # unknown: a bare NULL or literal
    1042: _TEXT,  # character(n)
    1043: _TEXT,  # character varying(n)
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", "UTC"),
    1700: pa.float64(),  # numeric: the nearest double, as a decimal of a file becomes
    2950: _TEXT,  # uuid
}
"""By the number that PostgreSQL has for a type (pg_type.dat): what a file would hold."""

_ENUM = "e"

# As PostgreSQL writes them, whatever the database's own settings are.
_SETTINGS = ("DateStyle = ISO, YMD", "TimeZone = 'UTC'", "extra_float_digits = 1")

_REMEDIES: Sequence[tuple[str, str]] = (
    ("25006", "it writes, and the transaction is read-only: select alone"),
    ("42501", "the database's user may not read all of it: grant that user SELECT, or name less"),
    ("42P01", "a table of it is not there: name its schema, or another database"),
    ("42703", "a column of it is not there: correct the name"),
    ("42601", "it is not one SELECT: write one statement, without a second one behind it"),
    ("0A000", "it is no SELECT that a cursor can read: select alone"),
    ("22", "a value of some row cannot be computed: leave such rows out, or guard the expression"),
    ("40", "the database cancelled it in favour of another transaction: try again"),
    ("53", "the database has no room left for it: try again later"),
    ("57014", "it was cancelled, by hand or by a limit of time: raise statement_timeout, or select less"),
    ("57", "the database is being stopped: try again later"),
    ("08", "the connection broke: try again"),
)
"""By the beginning of the SQLSTATE (PostgreSQL's manual, appendix A); the first that fits."""

_OTHERWISE = "PostgreSQL's manual says what that is; psql with the same statement says where"


class PostgresSource:
    """What a statement selects."""

    def __init__(self, database: str, query: str) -> None:
        """Read from a database; nothing is connected yet.

        Args:
            database: Words for libpq, as "service=scoring"; nothing leaves all to the environment.
            query: One SELECT.
        """
        self.name = "the query"
        self._database = database
        # A cursor takes no more than the statement; a semicolon behind it is a habit.
        self._query = query.rstrip().rstrip(";")

    def column_names(self) -> list[str]:
        """All columns that the statement selects, in their order.

        Raises:
            DataError: There is no connection, or the statement is refused.
            MissingExtra: psycopg is not installed.
        """
        with self._selected() as found:
            return found.names

    def reader(self, problems: Problems) -> ColumnReader:
        """A reader of typed columns."""
        return ColumnReader(problems)

    def batches(self, names: Sequence[str], ragged: Callable[[int], None]) -> Iterator[pa.RecordBatch]:  # noqa: ARG002 - Source's
        """The named columns, in the order in which the database gives the rows.

        Raises:
            DataError: As for `column_names`; or a column has a type that no file would have, or has gone.
            MissingExtra: psycopg is not installed.
        """
        with self._selected() as found:
            if any(found.names.count(name) != 1 for name in names):
                raise DataError(f"{self.name}: its columns changed while it was read: try again")
            kinds = self._kinds(names, found)
            places = [found.names.index(name) for name in names]
            while rows := found.cursor.fetchmany(FETCHED_ROWS):
                columns = list(zip(*rows, strict=True))
                arrays = [
                    _typed(pa.array(columns[place], _TEXT), kind)
                    for place, kind in zip(places, kinds, strict=True)
                ]
                del rows, columns
                yield pa.RecordBatch.from_arrays(arrays, names=list(names))

    @contextmanager
    def _selected(self) -> Iterator[_Selected]:
        """The statement behind a cursor; the connection ends with the context."""
        psycopg = _psycopg()
        with self._connection(psycopg) as connection, self._readable(psycopg):
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            for setting in _SETTINGS:
                connection.execute(f"SET LOCAL {setting}".encode())
            with connection.cursor("fedscore") as cursor:
                cursor.execute(self._query.encode())
                yield _Selected(connection=connection, cursor=cursor)

    @contextmanager
    def _connection(self, psycopg: ModuleType) -> Iterator[Connection[tuple[str | None, ...]]]:
        try:
            connection = psycopg.connect(self._database, client_encoding="UTF8")
        except psycopg.Error:
            raise DataError(
                f"{self.name}: there is no connection to the database. psql with the words of data.database "
                "says why: whether it can be reached, and whether service file and password file are found "
                "and belong to the node's user"
            ) from None
        # Texts as the server writes them: what they mean, Arrow decides for a whole batch.
        texts = psycopg.types.string.TextLoader
        for kind in psycopg.adapters.types:
            for oid in (kind.oid, kind.array_oid):
                connection.adapters.register_loader(oid, texts)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _readable(self, psycopg: ModuleType) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as refused:
            state = refused.sqlstate or "08000"
            # What the database says besides may quote the statement, or values.
            remedy = next((words for code, words in _REMEDIES if state.startswith(code)), _OTHERWISE)
            raise DataError(f"{self.name} was refused with SQLSTATE {state}: {remedy}") from None
        except UnicodeError:
            raise DataError(
                f"{self.name} gives text that is not UTF-8: convert the database, or leave the column out"
            ) from None

    def _kinds(self, names: Sequence[str], found: _Selected) -> list[pa.DataType]:
        """What a file would hold in the named columns.

        Raises:
            DataError: Some have a type that no file would have here.
        """
        types = [found.types[found.names.index(name)] for name in names]
        unknown = [oid for oid in types if oid not in _TYPES]
        told = found.connection.execute(
            "SELECT oid, format_type(oid, NULL), typtype FROM pg_type WHERE oid = ANY(%s)", [unknown]
        ).fetchall()
        words = {int(oid or 0): (name, kind) for oid, name, kind in told}
        strange = [
            f"{name!r} ({words[oid][0]})"
            for name, oid in zip(names, types, strict=True)
            if oid in words and words[oid][1] != _ENUM
        ]
        if strange:
            raise DataError(
                f"{self.name}: {', '.join(strange)}: such columns cannot be read; cast them there to "
                "numeric, text, boolean, date or timestamp"
            )
        return [_TYPES.get(oid, _TEXT) for oid in types]


class _Selected:
    """A statement behind its cursor."""

    def __init__(
        self,
        *,
        connection: Connection[tuple[str | None, ...]],
        cursor: ServerCursor[tuple[str | None, ...]],
    ) -> None:
        columns = cursor.description or []
        self.connection = connection
        self.cursor = cursor
        self.names = [column.name for column in columns]
        self.types = [column.type_code for column in columns]


def _typed(texts: pa.StringArray, kind: pa.DataType) -> pa.Array:
    """What the texts that PostgreSQL writes for a type mean; texts, where not all of them mean anything."""
    if pa.types.is_string(kind):
        return texts
    if pa.types.is_boolean(kind):
        return pc.equal(texts, "t")
    try:
        return pc.cast(texts, kind)
    except pa.ArrowInvalid:
        # A date as "infinity" or of before our era: its row is counted, and the others are read.
        return texts


def _psycopg() -> ModuleType:
    try:
        import psycopg  # noqa: PLC0415 - of an extra, and only where rows come from a database
    except ImportError:
        raise MissingExtra(
            "rows are selected from PostgreSQL with psycopg, which cannot be found: install fedscore[sql]; "
            "files need none of it"
        ) from None
    return psycopg

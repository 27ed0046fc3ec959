"""How are operational tables read when consent counts? The gate first, then types and rules.

Consent stands in the table that the rows are made of, a platform's accounts or an agency's cases. Of an
account or a case that is left out, everything is: its orders, its payments. So are events that belong to no
account or case, because nobody knows who agreed to their use.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from clients.consent import ConsentGate
from clients.consent_values import texts_of
from clients.operational import (
    Owner,
    TableSchema,
    check_tables,
    parse_csv,
    readable,
    require_single,
    table_file,
)
from fedscore.data.sources import CsvSource, ParquetSource
from fedscore.errors import DataError

__all__ = ["read_admitted_tables"]


def read_admitted_tables(
    folder: Path, schemas: tuple[TableSchema, ...], *, owner: Owner, gate: ConsentGate
) -> dict[str, pa.Table]:
    """Reads tables as `clients.operational.read_tables` does, without what the gate leaves out.

    The result is that of the files without the rows that are left out, whatever those rows hold.

    Args:
        folder: Has `<table>.parquet` or `<table>.csv` of every schema.
        schemas: The role's tables.
        owner: Which of them has the columns that the gate looks at.
        gate: Judges the owner's rows, and counts.

    Raises:
        DataError: A file is missing or unreadable, or what is left fails `check_tables`.
    """
    owned = next(schema for schema in schemas if schema.name == owner.table)
    admitted = _read(folder, owned, gate.columns, choose=gate.admit, gate=gate)
    keys = texts_of(admitted[owner.key]) if owner.key in admitted.column_names else pa.nulls(0, pa.string())

    def of_admitted(events: pa.Table) -> pa.Table:
        if owner.key not in events.column_names:
            return events
        kept = events.filter(pc.is_in(texts_of(events[owner.key]), value_set=keys, skip_nulls=True))
        gate.unowned(events.num_rows - kept.num_rows)
        return kept

    others = [schema for schema in schemas if schema is not owned]
    tables = {schema.name: _read(folder, schema, (), choose=of_admitted, gate=gate) for schema in others}
    return check_tables({owner.table: admitted, **tables}, schemas)


def _read(
    folder: Path,
    schema: TableSchema,
    needed: tuple[str, ...],
    *,
    choose: Callable[[pa.Table], pa.Table],
    gate: ConsentGate,
) -> pa.Table:
    """The rows of a table that are chosen, with the types that its file would have without the others."""
    file = table_file(folder, schema)
    is_csv = file.suffix == ".csv"
    source = CsvSource(file, line_by_line=True) if is_csv else ParquetSource(file)
    held = source.column_names()
    wanted = dict.fromkeys([*(column.name for column in schema.columns), *needed])
    names = [name for name in wanted if name in held]
    require_single(held, wanted, schema)
    missing = [name for name in needed if name not in held]
    if missing:
        raise DataError(
            f"table {schema.name!r} lacks {', '.join(missing)}, by which it is known which rows may be used: "
            "add what is missing"
        )
    if not is_csv:
        with readable(schema):
            return choose(pq.read_table(file, columns=names))
    batches = list(source.batches(names, gate.unreadable))
    raw = pa.Table.from_batches(batches, pa.schema([(name, pa.binary()) for name in names]))
    # Which type a column has is told from its rows, and those that are left out have no say in it.
    written = BytesIO()
    pa_csv.write_csv(choose(raw), written)
    written.seek(0)
    return parse_csv(written, schema)

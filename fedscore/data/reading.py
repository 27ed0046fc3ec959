"""How do a file's rows become cells? In one pass, batch by batch, with every problem told at the end."""

from __future__ import annotations

from os import PathLike

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedscore.contract import Contract, Role, Split, ValueType
from fedscore.data.cells import Values, cells_of, group_cells_of
from fedscore.data.columns import ColumnReader
from fedscore.data.days import day_number
from fedscore.data.gates import RowGate, require_gate
from fedscore.data.problems import Problems
from fedscore.data.rows import Rows
from fedscore.data.sources import Source, open_source, ragged_rows, usable_columns

__all__ = ["read_rows", "rows_from_table"]


def read_rows(
    path: str | PathLike[str], contract: Contract, *, role: Role, gate: RowGate | None = None
) -> Rows:
    """Read an organisation's file as the contract sees it.

    The file is read in batches, the columns that the contract names for the role alone, and each batch
    becomes cells at once: raw columns are never in memory as a whole. CSV and Parquet give the same rows.

    Args:
        path: A Parquet file (.parquet), or a CSV file (.csv: UTF-8, commas, a header; empty fields are
            missing).
        contract: Names columns, grids and rules.
        role: The organisation's role; what it doesn't hold is not read, even if the file has it.
        gate: Decides which rows may be used, before anything else looks at them; every row may be if left
            out, which a contract with consent refuses. With a gate, each line of a CSV file is read by
            itself, so that no row that is left out can reach another.

    Returns:
        Rows in the file's order. No rows, if it has none or none may be used: that is no error, because a
        node that refused for it would tell so.

    Raises:
        DataError: The file does not fit. All problems are told together: columns that are missing, repeated
            or of an unusable type; labels that are missing or outside {0, 1}; dates
            that are missing or none, where the contract splits by them; infinities; missing or repeated
            ids; wrong encodings. Each with column, number of rows and remedy, never a value. With a
            gate, missing columns are told alone, because without them nobody knows which rows count.
    """
    return _rows(open_source(path, line_by_line=gate is not None), contract, role, gate)


def rows_from_table(table: pa.Table, contract: Contract, *, role: Role, gate: RowGate | None = None) -> Rows:
    """Read an Arrow table as the contract sees it.

    Args:
        table: One row per account.
        contract: Names columns, grids and rules.
        role: The organisation's role.
        gate: As for `read_rows`.

    Returns:
        Rows in the table's order.

    Raises:
        DataError: As for `read_rows`.
    """
    return _rows(open_source(table), contract, role, gate)


def _rows(source: Source, contract: Contract, role: Role, gate: RowGate | None) -> Rows:
    require_gate(contract, gate)
    problems = Problems(source.name)
    rules, label, dated = contract.rows, contract.outcome.column, contract.split.column
    identifiers = (rules.id,) if rules.person is None else (rules.id, rules.person)
    decisive = [*identifiers, label] if dated is None else [*identifiers, label, dated]
    wanted = [*decisive, *contract.source_columns(role), *(gate.columns if gate else ())]
    usable = usable_columns(source, wanted, problems)
    if gate is not None:
        problems.raise_if_any()
    reader = source.reader(problems)
    parts: list[Rows] = []
    repeated = 0
    seen: set[str] = set()
    for unjudged in source.batches(usable, gate.unreadable if gate else ragged_rows(problems)):
        batch = gate.admit(unjudged) if gate else unjudged
        ids = {name: reader.ids(batch.column(name), name) for name in identifiers if name in usable}
        outcome = reader.labels(batch.column(label), label) if label in usable else None
        late = _late(batch, contract.split, reader)
        values = _values(batch, contract, role, reader)
        if rules.id in usable:
            given = [one for one in ids[rules.id] if one]
            known = len(seen)
            seen.update(given)
            repeated += len(given) - (len(seen) - known)
        # After a problem the rest is only looked through for more: cells of stand-ins would mean nothing.
        if outcome is not None and not problems:
            cells = cells_of(values, contract, role=role)
            persons = ids[rules.person or rules.id]
            groups = group_cells_of(values, contract, role=role)
            parts.append(
                Rows(
                    cells=cells, outcome=outcome, ids=ids[rules.id], persons=persons, groups=groups, late=late
                )
            )
    problems.count(rules.id, repeated, "with the identifier of an earlier row: keep one row of each")
    problems.raise_if_any()
    return Rows.concatenate([_no_rows(contract), *parts])


def _no_rows(contract: Contract) -> Rows:
    return Rows(
        cells=np.empty((0, len(contract.tables)), dtype=np.int32),
        outcome=np.empty(0, dtype=np.int8),
        ids=np.empty(0, dtype=object),
        groups=np.empty((0, len(contract.groups)), dtype=np.int32),
    )


def _late(batch: pa.RecordBatch, split: Split, reader: ColumnReader) -> npt.NDArray[np.bool_]:
    """Which rows are of the split's day or later; none if it has no day, or the batch no dates."""
    if split.column is None or split.test_from is None or split.column not in batch.schema.names:
        return np.zeros(len(batch), dtype=np.bool_)
    return reader.days(batch.column(split.column), split.column) >= day_number(split.test_from)


def _values(batch: pa.RecordBatch, contract: Contract, role: Role, reader: ColumnReader) -> Values:
    """Values of what the role holds and the batch has; characteristics may share a column."""
    held = [
        item for item in contract.characteristics if role in item.roles and item.column in batch.schema.names
    ]
    numeric = {item.name: item.column for item in held if item.type is ValueType.NUMBER}
    textual = {item.name: item.column for item in held if item.type is ValueType.CATEGORY}
    numbers = {name: reader.numbers(batch.column(name), name) for name in dict.fromkeys(numeric.values())}
    texts = {name: reader.categories(batch.column(name), name) for name in dict.fromkeys(textual.values())}
    return Values(
        size=len(batch),
        numbers={name: numbers[column] for name, column in numeric.items()},
        categories={name: texts[column] for name, column in textual.items()},
    )

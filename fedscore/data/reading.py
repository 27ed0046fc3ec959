"""How do a file's rows become cells? In one pass, batch by batch, with every problem told at the end."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedscore.contract import Contract, Role, Split, ValueType
from fedscore.data.cells import Values, cells_of, group_cells_of
from fedscore.data.columns import ColumnReader
from fedscore.data.days import day_number
from fedscore.data.gates import RowGate, require_gate
from fedscore.data.growing import GrowingArray
from fedscore.data.identity import DIGEST, Digests, Repeats, digests_of
from fedscore.data.problems import Problems
from fedscore.data.rows import Rows, smallest_cells
from fedscore.data.sources import Source, open_source, ragged_rows, usable_columns
from fedscore.data.split import on_test_side, require_room, row_order, within_person_cap

__all__ = ["read_rows", "read_side", "rows_from_table"]


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


def read_side(
    source: str | PathLike[str] | pa.Table | Source,
    contract: Contract,
    *,
    role: Role,
    test: bool,
    gate: RowGate | None = None,
) -> Rows:
    """Read the rows of one side of the split, under its caps, for sums over millions of them.

    They are those that `training_rows` and `test_rows` keep of `read_rows`. But rows of the other side are
    left behind batch by batch, and of ids and persons digests are kept, so that the memory that a row takes
    does not depend on how long its identifiers are.

    Args:
        source: A file as for `read_rows`, a table, or anything else that holds columns.
        contract: Names columns, grids, rules, split and caps.
        role: The organisation's role.
        test: Whether the test side is read, and not the training side.
        gate: As for `read_rows`.

    Returns:
        The kept rows, in the source's order; `ids` and `persons` are digests, which mean nothing outside this
        process.

    Raises:
        DataError: As for `read_rows`, whatever side a row is on; or more than `row_cap` rows would be kept.
    """
    kept = _Kept(contract)
    for whole, digests in _batches(open_source(source, line_by_line=gate is not None), contract, role, gate):
        side = np.flatnonzero(on_test_side(whole, contract.split) == test)
        kept.append(whole.select(side), digests[side])
    rows = kept.under_caps()
    require_room(len(rows), contract, test=test)
    return rows


class _Kept:
    """Rows of one side, of whose identifiers no texts are kept."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        tables = contract.tables
        self._cells = GrowingArray(smallest_cells(tables), (len(tables),))
        self._outcome = GrowingArray(np.dtype(np.int8))
        self._ids = GrowingArray(DIGEST)
        self._groups = GrowingArray(np.dtype(np.int32), (len(contract.groups),))
        self._late = GrowingArray(np.dtype(np.bool_))
        self._named = contract.rows.person is not None
        self._persons = GrowingArray(DIGEST)
        self._order = GrowingArray(np.dtype(np.uint64))

    def append(self, rows: Rows, ids: Digests) -> None:
        """Puts rows of a batch, with texts, behind those that are there; `ids` are digests of theirs."""
        self._cells.append(rows.cells)
        self._outcome.append(rows.outcome)
        self._ids.append(ids)
        self._groups.append(rows.groups)
        self._late.append(rows.late)
        if self._named:
            self._persons.append(digests_of(rows.persons))
            self._order.append(row_order(rows.ids, self._contract.split))

    def under_caps(self) -> Rows:
        """Takes all rows out, but for those above the cap of their person."""
        ids = self._ids.take()
        rows = Rows(
            cells=self._cells.take(),
            outcome=self._outcome.take(),
            ids=ids,
            persons=self._persons.take() if self._named else ids,
            groups=self._groups.take(),
            late=self._late.take(),
        )
        if not self._named:
            # Every row is a person of its own.
            return rows
        order = self._order.take()
        stay = within_person_cap(
            rows.persons, lambda crowded: order[crowded], limit=self._contract.rows.rows_per_person
        )
        return rows if len(stay) == len(rows) else rows.select(stay)


def _rows(source: Source, contract: Contract, role: Role, gate: RowGate | None) -> Rows:
    batches = (rows for rows, _ in _batches(source, contract, role, gate))
    return Rows.concatenate([_no_rows(contract), *batches])


def _batches(
    source: Source, contract: Contract, role: Role, gate: RowGate | None
) -> Iterator[tuple[Rows, Digests]]:
    """Rows of each batch, with digests of their ids; raises at the end if there was a problem anywhere."""
    require_gate(contract, gate)
    problems = Problems(source.name)
    rules, dated = contract.rows, contract.split.column
    label = contract.outcome.column if contract.reads_outcomes else None
    identifiers = (rules.id,) if rules.person is None else (rules.id, rules.person)
    decisive = [*identifiers, *(column for column in (label, dated) if column is not None)]
    wanted = [*decisive, *contract.source_columns(role), *(gate.columns if gate else ())]
    usable = usable_columns(source, wanted, problems)
    if gate is not None:
        problems.raise_if_any()
    reader = source.reader(problems)
    repeats = Repeats()
    for unjudged in source.batches(usable, gate.unreadable if gate else ragged_rows(problems)):
        batch = gate.admit(unjudged) if gate else unjudged
        ids = {name: reader.ids(batch.column(name), name) for name in identifiers if name in usable}
        outcome = _outcome(batch, label, reader) if label is None or label in usable else None
        late = _late(batch, contract.split, reader)
        values = _values(batch, contract, role, reader)
        if rules.id in usable:
            digests = digests_of(ids[rules.id])
            repeats.add(ids[rules.id], digests)
        # After a problem the rest is only looked through for more: cells of stand-ins would mean nothing.
        if outcome is not None and not problems:
            cells = cells_of(values, contract, role=role)
            persons = ids[rules.person or rules.id]
            groups = group_cells_of(values, contract, role=role)
            yield (
                Rows(
                    cells=cells, outcome=outcome, ids=ids[rules.id], persons=persons, groups=groups, late=late
                ),
                digests,
            )
    problems.count(rules.id, repeats.count(), "with the identifier of an earlier row: keep one row of each")
    problems.raise_if_any()


def _no_rows(contract: Contract) -> Rows:
    return Rows(
        cells=np.empty((0, len(contract.tables)), dtype=smallest_cells(contract.tables)),
        outcome=np.empty(0, dtype=np.int8),
        ids=np.empty(0, dtype=object),
        groups=np.empty((0, len(contract.groups)), dtype=np.int32),
    )


def _outcome(batch: pa.RecordBatch, label: str | None, reader: ColumnReader) -> npt.NDArray[np.int8]:
    """Outcomes; stand-ins where nobody looks at them, because they are not known yet."""
    if label is None:
        return np.zeros(len(batch), dtype=np.int8)
    return reader.labels(batch.column(label), label)


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

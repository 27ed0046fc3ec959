"""From an organisation's files to the rows that train: the gate first, then cells, then split and caps."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from clients import collector, platform
from clients.admitted_tables import read_admitted_tables
from clients.config import DataSource
from clients.consent import ConsentCounts, ConsentGate
from clients.operational import read_tables
from clients.withdrawals import read_withdrawals
from fedscore.contract import Contract, Role
from fedscore.data import ADMITTED, RowGate, Rows, read_side
from fedscore.data.postgres import PostgresSource
from fedscore.errors import DataError, NodeConfigError
from fedscore.sums import Side

__all__ = ["load_consenting", "load_rows"]

logger = logging.getLogger(__name__)

_ROLE_MODULES = {Role.PLATFORM: platform, Role.COLLECTOR: collector}


def load_rows(
    source: DataSource, contract: Contract, *, role: Role, day: dt.date, side: Side = Side.TRAINING
) -> Rows:
    """Reads the rows that train or evaluate: a ready table, a query, or operational tables as of a date.

    Args:
        source: Where the data are.
        contract: Names columns, grids, consent and rules.
        role: The organisation's role.
        day: The day on which the run began: what the files say of consent and withdrawals is taken as of that
            day in all its sums. The files are read anew for each sum: an entry that was added to the list of
            withdrawals since the last one counts from this one on, if it has that day, an earlier one or
            none.
        side: Of the contract's split.

    Returns:
        The rows of that side; none, if none may be used.

    Raises:
        DataError: The data, or the list of withdrawals, do not fit the contract.
    """
    return load_consenting(source, contract, role=role, day=day, side=side)[0]


def load_consenting(
    source: DataSource, contract: Contract, *, role: Role, day: dt.date, side: Side = Side.TRAINING
) -> tuple[Rows, ConsentCounts | None]:
    """Reads what `load_rows` reads, and counts what consent leaves out.

    Args:
        source: Where the data are.
        contract: Names columns, grids, consent and rules.
        role: The organisation's role.
        day: The day on which the run began.
        side: Of the contract's split.

    Returns:
        The rows of that side, and the counts of the gate, which are not to leave the node; None where neither
        the contract agrees on consent nor a list of withdrawals is kept, so that there is no gate.

    Raises:
        DataError: The data, or the list of withdrawals, do not fit the contract.
    """
    withdrawals = read_withdrawals(source.withdrawals) if source.withdrawals is not None else None
    gated = contract.consent is not None or withdrawals is not None
    gate = (
        ConsentGate(contract, day=day, withdrawals=withdrawals or {}, person=_person(source, contract, role))
        if gated
        else None
    )
    held, looks = _held(source, contract, role, gate)
    rows = read_side(held, contract, role=role, test=side is Side.TEST, gate=looks)
    if gate is None:
        return rows, None
    logger.info("consent as of %s: %s", day, gate.counts)
    return rows, gate.counts


def _held(
    source: DataSource, contract: Contract, role: Role, gate: ConsentGate | None
) -> tuple[Path | pa.Table | PostgresSource, RowGate | None]:
    """What holds one row per account, and the gate that its rows have still to pass."""
    if source.table is not None:
        return source.table, gate
    if source.query is not None:
        return PostgresSource(source.database, source.query), gate
    if source.query_file is not None:
        return PostgresSource(source.database, _statement(source.query_file)), gate
    if source.tables is None or source.as_of is None:
        raise NodeConfigError("the data are no table, no tables with a date, and no query: complete [data]")
    if contract.split.column is not None:
        raise DataError(
            f"the contract splits rows by their date in the column {contract.split.column}, and rows of "
            "operational tables are all as of one day: hand in a ready table, or agree on a split by person"
        )
    module = _ROLE_MODULES[role]
    tables = (
        read_tables(source.tables, module.TABLES)
        if gate is None
        else read_admitted_tables(source.tables, module.TABLES, owner=module.OWNER, gate=gate)
    )
    table = module.rows_as_of(tables, as_of=source.as_of, horizon_days=contract.outcome.horizon_days)
    # Rows made of admitted tables are admitted.
    return table, None if gate is None else ADMITTED


def _statement(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{file} cannot be read as UTF-8: write the SELECT of data.query_file anew") from None
    if not text.strip():
        raise DataError(f"{file} is empty: write the SELECT of data.query_file there")
    return text


def _person(source: DataSource, contract: Contract, role: Role) -> str:
    """The column of persons where the gate looks."""
    named = contract.rows.person or contract.rows.id
    if source.tables is None:
        return named
    identifiers: Mapping[str, str] = _ROLE_MODULES[role].OWNER.identifiers
    if named not in identifiers:
        raise DataError(
            f"the contract knows persons by the column {named}, and rows of operational tables have "
            f"{' and '.join(identifiers)}: agree on one of them, or hand in a ready table"
        )
    return identifiers[named]

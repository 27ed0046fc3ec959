"""Reads a scenario's file into rows, once for all scenarios that would read the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedscore.contract import Contract, Role, ValueType
from fedscore.data import Rows, read_rows, rows_from_table
from fedscore.data.sources import open_source
from fedscore.errors import DataError
from simulations.raw import complete_rows, whole_table
from simulations.scenario import DataTerms

__all__ = ["Readings", "content_sha256", "reading_document"]

_OF_TRAINING = frozenset(
    {"privacy", "encryption", "learner", "scorecard", "neural", "grades", "evaluation", "monitoring"}
)
"""Parts of a contract that no reading of rows sees."""


def content_sha256(document: object) -> str:
    """SHA-256 of a document's canonical JSON."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def reading_document(contract: Contract) -> dict[str, Any]:
    """As much of a contract as decides what one role reads from a file."""
    return dict(contract.model_dump(mode="json", exclude={*_OF_TRAINING, "parties"}))


class Readings:
    """Rows that were read before, by file, contract and role."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Path, str, Role], Rows] = {}

    def rows_of(self, terms: DataTerms, contract: Contract, path: Path) -> Mapping[Role, Rows]:
        """The file's rows, as each role of the roster would bin them; all in the file's order.

        Args:
            terms: How the file is to be read.
            contract: With its roster.
            path: The data file.

        Raises:
            DataError: The file does not fit the contract.
        """
        how = {"number_rows": terms.number_rows, "complete_rows": terms.complete_rows}
        content = content_sha256({"contract": reading_document(contract), **how})
        roles = dict.fromkeys(party.role for party in contract.parties)
        if missing := [role for role in roles if (path, content, role) not in self._rows]:
            read = _read(terms, contract, path, missing)
            self._rows |= {(path, content, role): rows for role, rows in read.items()}
        return {role: self._rows[path, content, role] for role in roles}


def _read(terms: DataTerms, contract: Contract, path: Path, roles: list[Role]) -> dict[Role, Rows]:
    if not terms.number_rows:
        _require_ids(path, contract)
    if terms.number_rows or terms.complete_rows:
        texts = [item.column for item in contract.characteristics if item.type is ValueType.CATEGORY]
        table = whole_table(path, contract.rows.id, number_rows=terms.number_rows, texts=texts)
        if terms.complete_rows:
            table = complete_rows(table, of=path.name)
        return {role: rows_from_table(table, contract, role=role) for role in roles}
    return {role: read_rows(path, contract, role=role) for role in roles}


def _require_ids(path: Path, contract: Contract) -> None:
    """A file without ids is common, and what to do about it is no matter of the contract alone."""
    if contract.rows.id not in open_source(path).column_names():
        raise DataError(
            f"{path.name} has no column {contract.rows.id!r}, by which the contract tells rows apart. If "
            "another column has a different value in every row, name it in the contract, as rows.id. If "
            "every row is a customer of its own, have the rows numbered: number_rows = true under [data] of "
            "the scenario, or --set data.number_rows=true"
        )

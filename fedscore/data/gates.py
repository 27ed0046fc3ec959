"""Who decides which rows may be read at all? A gate, before anything else looks at them."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from fedscore.contract import Contract
from fedscore.errors import DataError

__all__ = ["ADMITTED", "RowGate", "require_gate"]


class RowGate(Protocol):
    """Lets rows through that may be used; of the others nothing is read, and no error speaks.

    A line of a CSV file whose fields cannot be told apart says nothing about consent, so it is left out too.
    """

    columns: tuple[str, ...]
    """The columns that it looks at."""

    def admit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that may be used.

        Args:
            batch: Rows as the file has them: of a CSV file bytes, null where a field is empty. It has the
                gate's `columns`, and others.

        Returns:
            The admitted rows, with all their columns, in their order.
        """
        ...

    def unreadable(self, rows: int) -> None:
        """Told how many lines were left out because their fields cannot be told apart."""
        ...


class _Admitted:
    columns: tuple[str, ...] = ()

    def admit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch

    def unreadable(self, rows: int) -> None:
        """A table that was admitted has no such lines."""


ADMITTED: RowGate = _Admitted()
"""For a table that was made of admitted rows alone."""


def require_gate(contract: Contract, gate: RowGate | None) -> None:
    """Refuses to read without a gate where the contract agrees on consent.

    Raises:
        DataError: Rows would be read whose consent nobody looked at.
    """
    if contract.consent is not None and gate is None:
        raise DataError(
            f"contract {contract.name} agrees on consent, and nothing here looks at it: a node reads such "
            "rows through its gate; for a simulation, take [consent] out of the contract"
        )

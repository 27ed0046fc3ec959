"""Files of an organisation as the contract sees them: checked, binned, and split for training and test."""

from __future__ import annotations

from fedscore.data.cells import Values, cells_of
from fedscore.data.gates import ADMITTED, RowGate
from fedscore.data.reading import read_rows, read_side, rows_from_table
from fedscore.data.rows import Cells, Rows
from fedscore.data.split import is_test, on_test_side, test_rows, training_rows

__all__ = [
    "ADMITTED",
    "Cells",
    "RowGate",
    "Rows",
    "Values",
    "cells_of",
    "is_test",
    "on_test_side",
    "read_rows",
    "read_side",
    "rows_from_table",
    "test_rows",
    "training_rows",
]

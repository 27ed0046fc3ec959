"""What a platform's own tables are, and how they become the contract's rows as of a date."""

from __future__ import annotations

from clients.platform.rows import COLUMNS, characteristics_as_of, rows_as_of
from clients.platform.schema import OWNER, TABLES

__all__ = ["COLUMNS", "OWNER", "TABLES", "characteristics_as_of", "rows_as_of"]

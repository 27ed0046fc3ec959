"""What a collection agency's own tables are, and how they become the contract's rows as of a date."""

from __future__ import annotations

from clients.collector.rows import COLUMNS, characteristics_as_of, rows_as_of
from clients.collector.schema import OWNER, TABLES

__all__ = ["COLUMNS", "OWNER", "TABLES", "characteristics_as_of", "rows_as_of"]

"""Which types a contract's entries have, and what all its tables share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["ColumnName", "Edges", "Identifier", "Level", "Number", "Term", "Text"]


class Term(BaseModel):
    """A table of the contract: frozen, and without entries that nobody knows.

    The docstrings below the fields are what a reader of a refused contract is told about the entry.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
        revalidate_instances="never",
    )


def _without_negative_zero(value: object) -> object:
    """-0.0 equals 0.0 but prints differently, and so would change the contract's hash."""
    return 0.0 if isinstance(value, float) and value == 0.0 else value


def _level_text(value: object) -> object:
    """Files hold levels as integers or as text; both are compared as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Number = Annotated[float, BeforeValidator(_without_negative_zero), Field(strict=True, allow_inf_nan=False)]
"""A finite number; an integer is taken, text is not."""

Edges = tuple[Number, ...]
"""Inner edges of a public grid: k edges make k + 1 cells, cell i being [edge i-1, edge i)."""

Level = Annotated[str, BeforeValidator(_level_text), Field(min_length=1)]
"""A level of a category, as text."""

Text = Annotated[str, Field(min_length=1)]
"""Text that must say something."""

ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
"""The name of a column of an organisation's file."""

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""A name that is safe in a file name, a log and a message."""

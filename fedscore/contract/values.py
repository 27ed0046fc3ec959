"""Which types a contract's entries have, and what all its tables share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "ColumnName",
    "Edges",
    "Hex64",
    "Identifier",
    "Language",
    "Level",
    "Number",
    "Reasons",
    "Term",
    "Text",
    "pattern_in_words",
]


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

    def __getstate__(self) -> dict[Any, Any]:
        """Without what is derived from the entries: it is derived anew, and views cannot be pickled."""
        state = super().__getstate__()
        entries = type(self).model_fields
        return {**state, "__dict__": {name: state["__dict__"][name] for name in entries}}


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

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_HEX_64 = r"^[0-9a-f]{64}$"

_LANGUAGE = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"

Language = Annotated[str, Field(pattern=_LANGUAGE)]
"""A language tag, as "en" or "zh-Hans" (BCP 47)."""

Reasons = dict[Language, Text]
"""One sentence by language."""

Identifier = Annotated[str, Field(pattern=_NAME)]
"""A name that is safe in a file name, a log and a message."""

Hex64 = Annotated[str, Field(pattern=_HEX_64)]
"""32 bytes: a hash, or a public key. There is one way to write them, so that equal bytes hash equally."""


def pattern_in_words(pattern: str) -> str:
    """Say what a pattern of this module asks for.

    Args:
        pattern: The pattern of `Identifier`, of `Language` or of `Hex64`.
    """
    return {
        _NAME: "a name: a letter or digit, then letters, digits, - _ . (at most 64)",
        _LANGUAGE: "a language tag, as en or zh-Hans",
        _HEX_64: "64 hexadecimal digits, 0 to 9 and a to f",
    }[pattern]

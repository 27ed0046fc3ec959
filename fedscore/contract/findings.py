"""What can be found wrong with a contract, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "FindingLevel", "Path", "Problem", "closest", "error", "plain", "warning"]

Path = tuple[str | int, ...]
"""Where something stands: keys of tables, and places (from 0) in arrays."""


class FindingLevel(StrEnum):
    """An error refuses the contract; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake or doubt, as it is shown to whoever wrote the contract.

    Attributes:
        line: Line of the text, from 1; None where no line can be blamed.
        level: Whether the contract is refused for it.
        where: The place in words, as "characteristic age, edges".
        message: What is wrong, what is allowed, what to do.
    """

    line: int | None
    level: FindingLevel
    where: str
    message: str

    def __str__(self) -> str:
        """One line of a report."""
        place = f"line {self.line}, {self.where}" if self.line is not None else self.where
        return f"{place}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A finding before its line is known.

    Attributes:
        path: Where it stands in the parsed contract.
        level: Whether the contract is refused for it.
        message: What is wrong, what is allowed, what to do.
    """

    path: Path
    level: FindingLevel
    message: str


def error(path: Path, message: str) -> Problem:
    """A problem that refuses the contract."""
    return Problem(path=path, level=FindingLevel.ERROR, message=message)


def warning(path: Path, message: str) -> Problem:
    """A problem that the parties should know of."""
    return Problem(path=path, level=FindingLevel.WARNING, message=message)


def closest(name: str, known: Iterable[str]) -> str:
    """A hint at the closest known name, to be put behind the unknown one; empty if none is close."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def plain(number: float) -> str:
    """A number in full, without a needless point: 98, 0.5, 1234567."""
    return str(int(number)) if float(number).is_integer() else repr(float(number))

"""A table of a document: its rows in code, as Markdown, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulations.paper.cells import Cell
from simulations.paper.sources import Found, Source

__all__ = ["Row", "Table", "differences", "less"]


def less(minuend: str, subtrahend: str) -> str:
    """What a row or a column of differences is called."""
    return f"{minuend} \N{MINUS SIGN} {subtrahend}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line.

    Attributes:
        label: What stands in its first column; no other row of the table has it.
        cells: One for each column.
    """

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a document shows at one place.

    Attributes:
        name: What its place is marked with.
        document: The document, as a path from the repository's root.
        columns: Heads of the columns after the first.
        rows: In the order in which they stand.
    """

    name: str
    document: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def sources(self) -> tuple[Source, ...]:
        """All runs that it needs, each once, in the order in which they are needed."""
        needed = (source for row in self.rows for cell in row.cells for source in cell.sources)
        return tuple(dict.fromkeys(needed))

    def markdown(self, found: Found) -> str:
        """The table, and the commands whose runs it is made of.

        Args:
            found: The results of all its sources.
        """
        lines = [
            _line(("", *self.columns)),
            _line(("---",) * (1 + len(self.columns))),
            *(_line((row.label, *(cell.text(found) for cell in row.cells))) for row in self.rows),
        ]
        commands = "\n".join(f"    {source.command}" for source in self.sources)
        return "\n".join(lines) + f"\n\nRuns:\n\n{commands}\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _parsed(markdown: str) -> dict[str, dict[str, str]]:
    """Cells by row and column."""
    lines = [
        [cell.strip() for cell in line.strip()[1:-1].split("|")]
        for line in markdown.splitlines()
        if line.strip().startswith("|")
    ]
    if not lines:
        return {}
    head, *body = lines
    return {
        label: dict(zip(head[1:], cells, strict=False)) for label, *cells in body if not set(label) <= {"-"}
    }


def differences(shown: str, found: str) -> tuple[str, ...]:
    """Tell where a table in a document is not what the runs give.

    Args:
        shown: The table in the document, as Markdown.
        found: The table of the runs.

    Returns:
        A sentence for each cell that differs, and one where anything but a cell does; nothing where both are
        the same, character by character.
    """
    there, here = _parsed(shown), _parsed(found)
    told = []
    for label in dict.fromkeys([*there, *here]):
        old, new = there.get(label, {}), here.get(label, {})
        for column in dict.fromkeys([*old, *new]):
            was, is_now = old.get(column), new.get(column)
            if was != is_now:
                told.append(
                    f"row {label!r}, column {column!r}: {_quoted(was)}, and the runs give {_quoted(is_now)}"
                )
    if not told and shown != found:
        told.append(
            "something beside the cells differs: spaces, their order, or the commands below the table"
        )
    return tuple(told)


def _quoted(cell: str | None) -> str:
    return "no cell" if cell is None else repr(cell)

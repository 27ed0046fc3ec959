"""What keeps a file from being read? Every problem is counted, and all are told at once."""

from __future__ import annotations

from fedscore.errors import DataError

__all__ = ["Problems"]


class Problems:
    """Collects what does not fit the contract while a file is read, batch by batch.

    A problem is told by column, number of rows and remedy, never by a value or a position: a message may end
    up in a log that more people read than may read the data.
    """

    def __init__(self, source: str) -> None:
        """Start without problems.

        Args:
            source: What is read, as the reader of the message knows it.
        """
        self._source = source
        self._of_source: list[str] = []
        self._rows: dict[tuple[str, str], int] = {}

    def __bool__(self) -> bool:
        return bool(self._of_source or self._rows)

    def tell(self, sentence: str) -> None:
        """Note a problem of the whole file.

        Args:
            sentence: What is wrong, and the remedy.
        """
        self._of_source.append(sentence)

    def count(self, column: str, rows: int, sentence: str) -> None:
        """Note that rows of a column do not fit; counts of the same problem add up.

        Args:
            column: Name of the column.
            rows: How many rows; 0 notes nothing.
            sentence: What these rows have ("with ..."), and the remedy.
        """
        if rows:
            key = (column, sentence)
            self._rows[key] = self._rows.get(key, 0) + rows

    def raise_if_any(self) -> None:
        """Refuse the file if there was a problem.

        Raises:
            DataError: With all problems, one per line.
        """
        if not self:
            return
        lines = [*self._of_source]
        for (column, sentence), rows in self._rows.items():
            lines.append(f"column {column!r}: {rows} {'row' if rows == 1 else 'rows'} {sentence}")
        raise DataError("\n  - ".join([f"{self._source} does not fit the contract:", *lines]))

"""Where do batches come from? Parquet files, CSV files and Arrow tables, behind one face."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from fedscore.data.columns import ColumnReader
from fedscore.data.csv_columns import CsvColumnReader
from fedscore.data.csv_lines import SeparateLines, stands_alone
from fedscore.data.problems import Problems
from fedscore.errors import DataError

__all__ = [
    "BATCH_ROWS",
    "CsvSource",
    "ParquetSource",
    "Source",
    "TableSource",
    "open_source",
    "ragged_rows",
    "usable_columns",
]

BATCH_ROWS = 65_536
# Arrow reads some 30 blocks ahead.
_CSV_BLOCK_BYTES = 1024 * 1024


class Source(Protocol):
    """Something that holds columns, read a batch at a time so that it may be larger than memory."""

    name: str
    """What a message calls it."""

    def column_names(self) -> list[str]:
        """All its columns, in their order.

        Raises:
            DataError: It cannot be read.
        """
        ...

    def reader(self, problems: Problems) -> ColumnReader:
        """What turns its columns into numpy arrays, counting misfits in `problems`."""
        ...

    def batches(self, names: Sequence[str], ragged: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """Read the named columns alone.

        Args:
            names: Columns that it holds, each once.
            ragged: Told after the last batch how many rows were left out, if any, because their fields cannot
                be told apart.

        Returns:
            Batches in the order of the rows.

        Raises:
            DataError: It cannot be read on.
        """
        ...


class TableSource:
    """An Arrow table in memory."""

    def __init__(self, table: pa.Table) -> None:
        """Read from a table.

        Args:
            table: Any table.
        """
        self.name = "the table"
        self._table = table

    def column_names(self) -> list[str]:
        """All columns, in their order."""
        return list(self._table.column_names)

    def reader(self, problems: Problems) -> ColumnReader:
        """A reader of typed columns."""
        return ColumnReader(problems)

    def batches(self, names: Sequence[str], ragged: Callable[[int], None]) -> Iterator[pa.RecordBatch]:  # noqa: ARG002 - Source's
        """The named columns, in the order of the rows."""
        yield from self._table.select(list(names)).to_batches(max_chunksize=BATCH_ROWS)


class ParquetSource:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        """Read from a file.

        Args:
            path: The file.
        """
        self.name = str(path)
        self._path = path

    def column_names(self) -> list[str]:
        """All columns, in their order.

        Raises:
            DataError: It is no Parquet file.
        """
        with self._readable():
            return list(pq.read_schema(self._path).names)

    def reader(self, problems: Problems) -> ColumnReader:
        """A reader of typed columns."""
        return ColumnReader(problems)

    def batches(self, names: Sequence[str], ragged: Callable[[int], None]) -> Iterator[pa.RecordBatch]:  # noqa: ARG002 - Source's
        """The named columns, in the order of the rows.

        Raises:
            DataError: The file is damaged.
        """
        # Arrow would otherwise fetch all row groups ahead, and so hold the whole file.
        with self._readable(), pq.ParquetFile(self._path, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=BATCH_ROWS, columns=list(names))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError):
            # Arrow's own message may quote what it stumbled over.
            raise DataError(
                f"{self.name} cannot be read as Parquet: it is damaged, encrypted or another format; "
                "write it anew, or name a CSV file .csv"
            ) from None


class CsvSource:
    """A CSV file: UTF-8, commas, a header, double quotes where needed; an empty field is a missing value."""

    def __init__(self, path: Path, *, line_by_line: bool = False) -> None:
        """Read from a file.

        Args:
            path: The file.
            line_by_line: Whether each line is read by itself. A line that does not stand alone is then left
                out, where it would otherwise go on in the next one, as a value with a line break does.
        """
        self.name = str(path)
        self._path = path
        self._line_by_line = line_by_line

    def column_names(self) -> list[str]:
        """The fields of the header.

        Raises:
            DataError: There is no header, it is not UTF-8, or it does not stand alone where it must.
        """
        with self._readable(), self._path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            lines = self._first_line(file) if self._line_by_line else file
            header = next((fields for fields in csv.reader(lines) if fields), [])
        if not header:
            raise DataError(f"{self.name} is empty: a header is needed")
        wrong = sum("\N{REPLACEMENT CHARACTER}" in field or "\0" in field for field in header)
        if wrong:
            raise DataError(
                f"{self.name}: {wrong} columns of its header are not UTF-8: save the file as UTF-8"
            )
        return header

    def reader(self, problems: Problems) -> ColumnReader:
        """A reader of columns that are still bytes."""
        return CsvColumnReader(problems)

    def batches(self, names: Sequence[str], ragged: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        """The named columns as bytes, null where a field is empty, in the order of the rows.

        Args:
            names: Fields of the header.
            ragged: Told how many rows were left out because their number of fields is not the header's, or
                because they do not stand alone where they must.

        Raises:
            DataError: The file cannot be parsed.
        """
        left_out = 0

        def leave_out(_row: arrow_csv.InvalidRow) -> str:
            nonlocal left_out
            left_out += 1
            return "skip"

        with (
            self._readable(),
            self._content() as content,
            arrow_csv.open_csv(
                content,
                read_options=arrow_csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
                parse_options=arrow_csv.ParseOptions(
                    newlines_in_values=not self._line_by_line, invalid_row_handler=leave_out
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.binary()),
                    include_columns=list(names),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            ) as reader,
        ):
            yield from reader
        if isinstance(content, SeparateLines):
            left_out += content.left_out
        if left_out:
            ragged(left_out)

    def _first_line(self, lines: Iterable[str]) -> list[str]:
        """The line of the header: what would begin in it and go on below has no part in it."""
        first = next((line for line in lines if line.strip("\r\n")), "")
        if not stands_alone(first.encode()):
            raise DataError(
                f"{self.name}: its header has a line break within a name, or a double quote out of place: "
                "write all names in the first line"
            )
        return [first]

    @contextmanager
    def _content(self) -> Iterator[Path | SeparateLines]:
        if not self._line_by_line:
            yield self._path
            return
        with self._path.open("rb") as file:
            # Arrow refuses a file for a line that is longer than a block.
            yield SeparateLines(file, longest=_CSV_BLOCK_BYTES)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, csv.Error, OSError):
            # Arrow's own message may quote the row it stumbled over.
            raise DataError(
                f"{self.name} cannot be read as CSV: write it as UTF-8 with commas, a header, and double "
                "quotes around values that hold a comma or a line break"
            ) from None


def open_source(data: str | PathLike[str] | pa.Table | Source, *, line_by_line: bool = False) -> Source:
    """The source of a table, or of a file by the extension of its name.

    Args:
        data: An Arrow table, the path of a file, or a source already.
        line_by_line: As for `CsvSource`; nothing else has lines.

    Returns:
        Its source; nothing is read yet.

    Raises:
        DataError: There is no such file, or its extension is neither .parquet nor .csv.
    """
    if isinstance(data, pa.Table):
        return TableSource(data)
    if not isinstance(data, (str, PathLike)):
        return data
    path = Path(data)
    if not path.is_file():
        raise DataError(f"{path} is no file: name a Parquet (.parquet) or CSV (.csv) file")
    match path.suffix.lower():
        case ".parquet":
            return ParquetSource(path)
        case ".csv":
            return CsvSource(path, line_by_line=line_by_line)
    raise DataError(f"{path} ends in neither .parquet nor .csv: convert it to one of them")


def ragged_rows(problems: Problems) -> Callable[[int], None]:
    """Makes a problem of rows that a source leaves out.

    Args:
        problems: Where they are noted.

    Returns:
        What `Source.batches` tells their number to.
    """
    return lambda rows: problems.tell(
        f"{rows} {'row has' if rows == 1 else 'rows have'} more or fewer fields than the header: "
        "put values that hold a comma or a line break in double quotes"
    )


def usable_columns(source: Source, wanted: Iterable[str], problems: Problems) -> list[str]:
    """Those of the wanted columns that can be read; all others are noted at once.

    Args:
        source: What holds the columns.
        wanted: Names, any number of times.
        problems: Where missing and repeated columns are noted.

    Returns:
        Names, each once.

    Raises:
        DataError: The source cannot be read, or none of the columns can.
    """
    names = list(dict.fromkeys(wanted))
    held = Counter(source.column_names())
    missing = [name for name in names if held[name] == 0]
    repeated = [name for name in names if held[name] > 1]
    if missing:
        problems.tell(
            f"{_columns(missing)} missing among its {held.total()} columns: add "
            f"{'it' if len(missing) == 1 else 'them'}, or agree on a contract without"
        )
    if repeated:
        problems.tell(f"{_columns(repeated)} there more than once: keep the right one")
    usable = [name for name in names if held[name] == 1]
    if not usable:
        problems.raise_if_any()
    return usable


def _columns(names: Sequence[str]) -> str:
    listed = ", ".join(map(repr, names))
    return f"column {listed} is" if len(names) == 1 else f"columns {listed} are"

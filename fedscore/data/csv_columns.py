"""What does a column of a CSV file hold? Bytes, made into what a typed file would hold there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedscore.data.columns import ColumnReader

__all__ = ["CsvColumnReader"]

# What Arrow's parser accepts, so that misfits can be counted instead of quoted by its error.
_NUMBER = (
    r"^[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|[iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])$"
)


class CsvColumnReader(ColumnReader):
    """Reads columns of bytes, null where a field is empty; otherwise as `ColumnReader`.

    Numbers may have spaces around them, and "nan" is missing as in a typed file. Outcomes may also be "true"
    and "false". Bytes that are not UTF-8 are counted.
    """

    def numbers(self, array: pa.Array, column: str) -> npt.NDArray[np.float64]:
        """A column of numbers; see `ColumnReader.numbers`."""
        return super().numbers(self._parsed(self._text(array, column), column), column)

    def categories(self, array: pa.Array, column: str) -> pa.StringArray:
        """A column of category levels, as they are written; see `ColumnReader.categories`."""
        return super().categories(self._text(array, column), column)

    def ids(self, array: pa.Array, column: str) -> npt.NDArray[np.object_]:
        """A column of identifiers, as they are written; see `ColumnReader.ids`."""
        return super().ids(self._text(array, column), column)

    def labels(self, array: pa.Array, column: str) -> npt.NDArray[np.int8]:
        """A column of outcomes; see `ColumnReader.labels`."""
        text = pc.utf8_lower(self._text(array, column))
        as_digits = pc.if_else(pc.equal(text, "true"), "1", pc.if_else(pc.equal(text, "false"), "0", text))
        return super().labels(self._parsed(as_digits, column), column)

    def days(self, array: pa.Array, column: str) -> npt.NDArray[np.int64]:
        """A column of dates, as 2025-06-30; see `ColumnReader.days`."""
        return super().days(self._text(array, column), column)

    def _text(self, array: pa.Array, column: str) -> pa.StringArray:
        try:
            return pc.cast(array, pa.string())
        except pa.ArrowInvalid:
            texts = [None if raw is None else raw.decode(errors="replace") for raw in array.to_pylist()]
            intact = [None if raw is None else raw.decode(errors="ignore") for raw in array.to_pylist()]
            wrong = sum(text != whole for text, whole in zip(texts, intact, strict=True))
            self.problems.count(column, wrong, "with bytes that are not UTF-8: save the file as UTF-8")
            return pa.array(texts, pa.string())

    def _parsed(self, texts: pa.StringArray, column: str) -> pa.DoubleArray:
        trimmed = pc.utf8_trim_whitespace(texts)
        numeric = pc.match_substring_regex(trimmed, _NUMBER)
        self.problems.count(
            column,
            len(texts) - texts.null_count - (pc.sum(numeric).as_py() or 0),
            "with text where a number is needed: write numbers with a decimal point and no other separator, "
            "and leave missing ones empty",
        )
        return pc.cast(pc.if_else(numeric, trimmed, pa.scalar(None, pa.string())), pa.float64())

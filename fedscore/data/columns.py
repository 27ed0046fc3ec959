"""What does a column hold? Arrow columns as numpy arrays, with every misfit counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedscore.data.days import days_of, is_dated
from fedscore.data.problems import Problems

__all__ = ["ColumnReader"]

_LARGEST_EXACT_INTEGER = 2.0**53


class ColumnReader:
    """Reads columns of Arrow batches by what the contract says they are.

    What does not fit is counted in `problems`, and something harmless stands in for it, so that one pass
    finds every problem of a file. Results are of use only if there was none.
    """

    def __init__(self, problems: Problems) -> None:
        """Count into a list of problems.

        Args:
            problems: Where misfits are counted.
        """
        self.problems = problems

    def numbers(self, array: pa.Array, column: str) -> npt.NDArray[np.float64]:
        """A column of numbers: integers, floats or decimals, dictionary-encoded or not.

        Args:
            array: A batch of the column, [n].
            column: Its name, for messages.

        Returns:
            [n], NaN where the value is missing (null or NaN). Infinities are counted.
        """
        array = _decoded(array)
        if not (_is_numeric(array.type) or pa.types.is_null(array.type)):
            self._refuse(array, column, "a number is needed: convert the column to numbers")
            return np.full(len(array), np.nan)
        values = _as_float64(array)
        self.problems.count(
            column,
            int(np.count_nonzero(np.isinf(values))),
            "with an infinity: leave them empty, or agree on a special code",
        )
        return values

    def categories(self, array: pa.Array, column: str) -> pa.StringArray:
        """A column of category levels: text, integers, booleans, or floats without fractions.

        Args:
            array: A batch of the column, [n].
            column: Its name, for messages.

        Returns:
            [n] texts, null where the value is missing (null, NaN or empty text). Integers, and floats
            without fractions, as decimal text; booleans as "true" and "false".
        """
        array = _decoded(array)
        if pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
            return self._whole_numbers_as_text(_as_float64(array), column)
        if not _is_discrete(array.type):
            self._refuse(array, column, "a category is needed: convert the column to text")
            return pa.nulls(len(array), pa.string())
        return _text_or_null(array)

    def ids(self, array: pa.Array, column: str) -> npt.NDArray[np.object_]:
        """A column of identifiers: text or integers.

        Args:
            array: A batch of the column, [n].
            column: Its name, for messages.

        Returns:
            [n] texts; integers as decimal text, so that every file type gives the same. Missing ones are
            counted.
        """
        array = _decoded(array)
        if not (_is_text(array.type) or pa.types.is_integer(array.type) or pa.types.is_null(array.type)):
            self._refuse(array, column, "an identifier is needed: convert the column to text or integers")
            return np.full(len(array), "", dtype=object)
        texts = _text_or_null(array)
        self.problems.count(
            column, texts.null_count, "with no identifier: give every row one, or leave the row out"
        )
        return np.array(pc.fill_null(texts, "").to_pylist(), dtype=object)

    def labels(self, array: pa.Array, column: str) -> npt.NDArray[np.int8]:
        """A column of outcomes: booleans, or numbers 0 and 1.

        Args:
            array: A batch of the column, [n].
            column: Its name, for messages.

        Returns:
            [n] in {0, 1}. Missing labels and other numbers are counted.
        """
        array = _decoded(array)
        kind = array.type
        if not (_is_numeric(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
            self._refuse(array, column, "the outcome is needed: write 1 for bad and 0 for good")
            return np.zeros(len(array), dtype=np.int8)
        values = _as_float64(array)
        missing = np.isnan(values)
        strange = ~missing & (values != 0) & (values != 1)
        self.problems.count(
            column,
            int(np.count_nonzero(missing)),
            "with no outcome: leave out rows whose outcome is not known yet",
        )
        self.problems.count(
            column,
            int(np.count_nonzero(strange)),
            "with an outcome outside {0, 1}: write 1 for bad and 0 for good",
        )
        bad: npt.NDArray[np.int8] = (values == 1).astype(np.int8)
        return bad

    def days(self, array: pa.Array, column: str) -> npt.NDArray[np.int64]:
        """A column of dates: dates, times, or texts such as 2025-06-30.

        Args:
            array: A batch of the column, [n].
            column: Its name, for messages.

        Returns:
            [n] days since 1970-01-01; a time with a zone by its day in UTC. Missing dates, and texts that are
            none, are counted.
        """
        array = _decoded(array)
        if pa.types.is_null(array.type):
            array = pc.cast(array, pa.string())
        if not (_is_text(array.type) or is_dated(array.type)):
            self._refuse(
                array, column, "a date is needed: convert the column to dates, or to text as 2025-06-30"
            )
            return np.zeros(len(array), dtype=np.int64)
        found = days_of(array)
        self.problems.count(
            column,
            int(np.count_nonzero(found.empty)),
            "with no date: give every row one, or leave the row out",
        )
        self.problems.count(
            column,
            int(np.count_nonzero(~found.known & ~found.empty)),
            "with text that is no date: write dates as 2025-06-30",
        )
        return np.where(found.known, found.days, 0)

    def _refuse(self, array: pa.Array, column: str, needed: str) -> None:
        held = "text" if _is_text(array.type) else array.type
        self.problems.count(column, len(array), f"with {held} where {needed}")

    def _whole_numbers_as_text(self, values: npt.NDArray[np.float64], column: str) -> pa.StringArray:
        known = ~np.isnan(values)
        whole = known & (np.abs(values) <= _LARGEST_EXACT_INTEGER) & (np.trunc(values) == values)
        self.problems.count(
            column,
            int(np.count_nonzero(known & ~whole)),
            "with a number that is no exact integer where a category is needed: convert the column to text",
        )
        integers = np.where(whole, values, 0).astype(np.int64)
        return pc.cast(pa.array(integers, mask=~whole), pa.string())


def _decoded(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _as_float64(array: pa.Array) -> npt.NDArray[np.float64]:
    if pa.types.is_decimal(array.type):
        # Arrow's own way from decimals is off by a bit in every third number: 0.3 would miss the edge at 0.3.
        array = pc.cast(array, pa.string())
    # Unsafe as to precision alone: an integer beyond 2⁵³ becomes the nearest float, as everywhere in numpy.
    floats = pc.cast(array, pa.float64(), safe=False)
    values: npt.NDArray[np.float64] = pc.fill_null(floats, float("nan")).to_numpy(zero_copy_only=False)
    return values


def _text_or_null(array: pa.Array) -> pa.StringArray:
    texts = pc.cast(array, pa.string())
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_discrete(kind: pa.DataType) -> bool:
    return bool(
        _is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    )

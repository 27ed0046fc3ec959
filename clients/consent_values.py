"""What does a column of consent say? Typed columns and bytes of a CSV file alike, and never an error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedscore.data import days
from fedscore.data.days import Days, is_dated

__all__ = ["Days", "days_of", "said_yes", "texts_of", "trimmed_texts_of"]

# A column of 1 and nothing is often written as 1.0.
_YES = ("1", "1.0", "true")


def said_yes(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Where a column says 1 or true.

    Args:
        column: [n] of any type.

    Returns:
        [n], false where it is empty or says anything else.
    """
    array = _plain(column)
    kind = array.type
    if pa.types.is_boolean(kind):
        return _mask(array)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _mask(pc.equal(pc.cast(array, pa.float64(), safe=False), 1.0))
    lowered = pc.utf8_lower(trimmed_texts_of(array))
    return _mask(pc.is_in(lowered, value_set=pa.array(_YES), skip_nulls=True))


def texts_of(column: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    """A column of text or whole numbers, as identifiers and levels are compared.

    Args:
        column: [n] of any type.

    Returns:
        [n] texts: whole numbers as decimal text; null where it is empty, no UTF-8, or of another type.
    """
    array = _plain(column)
    kind = array.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        array = _decoded(array)
    elif not (_is_text(kind) or pa.types.is_integer(kind)):
        return pa.nulls(len(array), pa.string())
    texts = pc.cast(array, pa.string())
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def trimmed_texts_of(column: pa.Array | pa.ChunkedArray) -> pa.StringArray:
    """What `texts_of` returns, without the blanks around each text, as `str.strip` leaves it."""
    return pc.utf8_trim_whitespace(texts_of(column))


def days_of(column: pa.Array | pa.ChunkedArray) -> Days:
    """A column of dates, times or texts such as 2025-06-30.

    Args:
        column: [n] of any type.

    Returns:
        Their days; a time with a zone by its day in UTC.
    """
    array = _plain(column)
    if is_dated(array.type):
        return days.days_of(array)
    found = days.days_of(texts_of(array))
    # Bytes that are no text are there, and no date.
    empty = np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
    return replace(found, empty=empty | (_mask(pc.equal(array, "")) if _is_text(array.type) else empty))


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array, of the values themselves."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    is_coded = pa.types.is_dictionary(column.type)
    kind = column.type.value_type if is_coded else column.type
    parts = [chunk.dictionary_decode() if is_coded else chunk for chunk in chunks]
    return pa.concat_arrays(parts) if parts else pa.array([], kind)


def _decoded(array: pa.Array) -> pa.Array:
    try:
        return pc.cast(array, pa.string())
    except pa.ArrowInvalid:
        return pa.array([_text(raw) for raw in array.to_pylist()], pa.string())


def _text(raw: bytes | None) -> str | None:
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _mask(booleans: pa.Array) -> npt.NDArray[np.bool_]:
    filled = pc.fill_null(booleans, False)
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.bool_)

"""Which day does a column say? Dates, times and texts such as 2025-06-30, and never an error."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Days", "day_number", "days_of", "is_dated"]

_EPOCH = dt.date(1970, 1, 1)
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Days:
    """The dates of a column of n rows.

    Attributes:
        days: [n] days since 1970-01-01; of use where `known`.
        known: [n] where there is a date.
        empty: [n] where there is nothing; elsewhere there is something that is no date.
    """

    days: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]
    empty: npt.NDArray[np.bool_]


def day_number(day: dt.date) -> int:
    """Days from 1970-01-01 to `day`."""
    return (day - _EPOCH).days


def is_dated(kind: pa.DataType) -> bool:
    """Whether a type holds dates or times."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def days_of(array: pa.Array) -> Days:
    """The days of a typed column, or of texts; see the module.

    Args:
        array: [n] dates, times or texts, not dictionary-encoded.

    Returns:
        Their days; a time with a zone by its day in UTC.
    """
    kind = array.type
    empty = ~_mask(array.is_valid())
    if pa.types.is_date32(kind):
        return _typed_days(pc.cast(array, pa.int32()), 1, empty)
    if pa.types.is_date64(kind):
        return _typed_days(pc.cast(array, pa.int64()), _PER_DAY["ms"], empty)
    if pa.types.is_timestamp(kind):
        return _typed_days(pc.cast(array, pa.int64()), _PER_DAY[kind.unit], empty)
    return _written_days(array, empty | _mask(pc.equal(array, "")))


def _typed_days(moments: pa.Array, per_day: int, empty: npt.NDArray[np.bool_]) -> Days:
    # Divided here and not cast by Arrow, whose cast refuses a column for one moment out of range.
    since = np.asarray(pc.fill_null(moments, 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    return Days(days=since // per_day, known=~empty, empty=empty)


def _written_days(texts: pa.StringArray, empty: npt.NDArray[np.bool_]) -> Days:
    encoded = pc.dictionary_encode(texts)
    each = [_day(text) for text in encoded.dictionary.to_pylist()]
    places = np.asarray(pc.fill_null(encoded.indices, len(each)).to_numpy(zero_copy_only=False))
    known = np.array([*(day is not None for day in each), False], dtype=np.bool_)
    days = np.array([*(day or 0 for day in each), 0], dtype=np.int64)
    return Days(days=days[places], known=known[places], empty=empty)


def _day(text: str) -> int | None:
    stripped = text.strip()
    if _ISO_DAY.fullmatch(stripped) is None:
        return None
    try:
        return day_number(dt.date.fromisoformat(stripped))
    except ValueError:
        return None


def _mask(booleans: pa.Array) -> npt.NDArray[np.bool_]:
    filled = pc.fill_null(booleans, False)
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.bool_)

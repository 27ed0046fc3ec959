"""The synthetic world's time: days counted from the as-of date, and months of 30 days."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = [
    "AS_OF",
    "FIRST_DAY",
    "HORIZON_DAYS",
    "LAST_DAY",
    "MONTHS",
    "MONTH_DAYS",
    "dates",
    "keys",
    "month_of",
]

AS_OF = dt.date(2025, 6, 1)
"""The date that divides what is known from what is to be predicted: day 0."""

HORIZON_DAYS = 30
"""How far the outcome looks."""

MONTH_DAYS = 30

FIRST_DAY = -720
"""The first day of which anything is recorded."""

LAST_DAY = 60
"""The first day of which nothing is recorded any more: beyond the horizon, as in a real export."""

MONTHS = (LAST_DAY - FIRST_DAY) // MONTH_DAYS

LAST_KNOWN_MONTH = -FIRST_DAY // MONTH_DAYS - 1
"""The month that ends at the as-of date."""

_EPOCH_TO_AS_OF = (AS_OF - dt.date(1970, 1, 1)).days


def month_of(day: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The month of a day, from 0; days outside the recorded time count to the nearest month."""
    return np.clip((day - FIRST_DAY) // MONTH_DAYS, 0, MONTHS - 1)


def dates(day: npt.NDArray[np.int64], *, empty: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Days as dates; those that are `empty` as nulls."""
    return pa.array((day + _EPOCH_TO_AS_OF).astype(np.int32), mask=empty).cast(pa.date32())


def keys(names: pa.Array, index: npt.NDArray[np.int64]) -> pa.Array:
    """The names at an index, as a dictionary of strings."""
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), names)

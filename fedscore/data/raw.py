"""What does a model without privacy see? A pooled matrix of raw numbers; only research has a use for it."""

from __future__ import annotations

from os import PathLike

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedscore.contract import Characteristic, Contract, ValueType
from fedscore.data.cells import level_places
from fedscore.data.columns import ColumnReader
from fedscore.data.problems import Problems
from fedscore.data.sources import open_source, usable_columns

__all__ = ["raw_columns"]


def raw_columns(
    data: str | PathLike[str] | pa.Table, contract: Contract
) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """Raw columns behind the contract's characteristics, of all roles, as numbers.

    Args:
        data: A Parquet or CSV file, or an Arrow table, with the columns of every characteristic.
        contract: Names the columns.

    Returns:
        The m distinct columns' names in the contract's order, and a matrix [n, m] in the order of the rows:
        numbers and their special codes as they are, categories as the place of the level (one beyond the last
        for any other text), NaN where missing.

    Raises:
        DataError: Columns are missing or of an unusable type, or there are infinities.
    """
    columns = {item.column: item for item in reversed(contract.characteristics)}
    source = open_source(data)
    problems = Problems(source.name)
    usable = usable_columns(source, reversed(columns), problems)
    reader = source.reader(problems)
    parts = [np.empty((0, len(usable)))]
    parts.extend(
        np.column_stack([_numbers(batch.column(name), columns[name], reader) for name in usable])
        for batch in source.batches(usable, problems)
    )
    problems.raise_if_any()
    return tuple(usable), np.concatenate(parts)


def _numbers(array: pa.Array, item: Characteristic, reader: ColumnReader) -> npt.NDArray[np.float64]:
    if item.type is ValueType.NUMBER:
        return reader.numbers(array, item.column)
    texts = reader.categories(array, item.column)
    places = level_places(texts, item.levels)
    known = np.where(places >= 0, places, len(item.levels))
    return np.where(texts.is_null().to_numpy(zero_copy_only=False), np.nan, known)

"""Which columns does a file have, and of which types? Its values are not read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fedscore.contract.column_hints import Column, ColumnKind
from fedscore.data.sources import CsvSource, open_source
from fedscore.errors import DataError

__all__ = ["columns_of"]


def columns_of(path: Path) -> tuple[Column, ...]:
    """The columns of a file, from a Parquet file's schema or a CSV file's header alone.

    Args:
        path: The file.

    Returns:
        In the file's order. A CSV file does not say what its columns hold: only its values would.

    Raises:
        DataError: There is no such file, or its schema or header cannot be read.
    """
    source = open_source(path)
    if isinstance(source, CsvSource):
        return tuple(Column(name=name, kind=ColumnKind.UNKNOWN) for name in source.column_names())
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        # Arrow's own message may quote what it stumbled over.
        raise DataError(
            f"{path} has no schema that can be read: it is damaged, encrypted or no Parquet; write it anew"
        ) from None
    return tuple(Column(name=field.name, kind=_kind_of(field.type)) for field in schema)


def _kind_of(kind: pa.DataType) -> ColumnKind:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    for belongs, found in (
        (pa.types.is_null, ColumnKind.UNKNOWN),
        (pa.types.is_boolean, ColumnKind.TRUTH),
        (pa.types.is_integer, ColumnKind.WHOLE),
        (pa.types.is_floating, ColumnKind.NUMBER),
        (pa.types.is_decimal, ColumnKind.NUMBER),
        (pa.types.is_string, ColumnKind.TEXT),
        (pa.types.is_large_string, ColumnKind.TEXT),
        (pa.types.is_temporal, ColumnKind.MOMENT),
    ):
        if belongs(kind):
            return found
    return ColumnKind.NESTED

"""Scoring a file, batch by batch: in bounded memory, and with nothing half-written at any time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from fedscore.card.judging import Fault, judge, require_types
from fedscore.card.reasons import NO_REASON
from fedscore.card.scoring import Scored, Scorer
from fedscore.data.problems import Problems
from fedscore.data.sources import CsvSource, ParquetSource, open_source, usable_columns
from fedscore.errors import DataError
from fedscore.files import sync_folder

__all__ = ["BatchResult", "score_file"]

_FIT_FOR_BAD = pa.schema(
    [("row", pa.int64()), ("id", pa.string()), ("column", pa.string()), ("code", pa.string())]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of a file.

    Attributes:
        scored: Rows with a score.
        left_out: Rows without one.
        faults: How often each fault was found; a row may have several.
        grades: Rows of each grade, by name; empty where the card has none.
    """

    scored: int
    left_out: int
    faults: dict[Fault, int]
    grades: dict[str, int]


class _Writer(Protocol):
    def write_batch(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


def score_file(
    scorer: Scorer,
    source: Path,
    out: Path,
    *,
    bad: Path,
    id_column: str,
    progress: Callable[[int], None] = lambda _rows: None,
) -> BatchResult:
    """Scores every row of a file that can be scored.

    Both files appear at the end, whole; if anything goes wrong, neither does, and old ones are as they were.
    The file of bad rows is there only if there are any; an old one is removed if there are none.

    Args:
        scorer: The card, for a role.
        source: A Parquet or CSV file with the columns that the role holds.
        out: Where id, score, probability, grade and reason_1 to reason_n go: .parquet or .csv.
        bad: Where rows that cannot be scored go, as row (from 1), id, column and code: .parquet or .csv.
        id_column: The column that tells rows apart; it is written as it stands.
        progress: Is told how many rows were read so far.

    Raises:
        DataError: The file cannot be read, or lacks a column that the card needs; or an output cannot be
            written, or is the source itself.
    """
    # A quote that is left open, or a line that is no text, costs its own row and no other.
    opened = open_source(source, line_by_line=True)
    _require_apart(source, out, bad)
    problems = Problems(opened.name)
    names = usable_columns(opened, [id_column, *scorer.columns], problems)
    problems.raise_if_any()
    is_csv = isinstance(opened, CsvSource)
    id_type = pa.string() if is_csv else _id_type(opened, id_column)
    if isinstance(opened, ParquetSource):
        require_types(pq.read_schema(source), scorer.numbers, scorer.categories)
    tally = _Tally(scorer)
    ragged = [0]

    def note_ragged(rows: int) -> None:
        ragged[0] += rows

    with ExitStack() as stack:
        scores = stack.enter_context(_draft(out, _schema(scorer, id_type)))
        misfits = stack.enter_context(_draft(bad, _FIT_FOR_BAD))
        read = 0
        for batch in opened.batches(names, note_ragged):
            judged = judge(
                batch,
                id_column=id_column,
                numbers=scorer.numbers,
                categories=scorer.categories,
                is_csv=is_csv,
            )
            identifiers = _identifiers(batch.column(id_column), judged.fit, id_type)
            scored = scorer.score(judged.values)
            scores.writer.write_batch(_table(scorer, identifiers, scored))
            if judged.misfits:
                texts = _texts(batch.column(id_column))
                misfits.writer.write_batch(
                    _bad_rows(
                        [
                            (read + misfit.row + 1, texts[misfit.row], misfit.column, misfit.fault)
                            for misfit in judged.misfits
                        ]
                    )
                )
            tally.add(scored, judged.fit, [misfit.fault for misfit in judged.misfits])
            read += len(batch)
            progress(read)
        if ragged[0]:
            # Such lines have no place among the rows: which one it is cannot be told.
            misfits.writer.write_batch(_bad_rows([(None, None, None, Fault.FIELDS)] * ragged[0]))
            tally.ragged(ragged[0])
        # Misfits first: whoever finds scores finds what is missing from them too.
        misfits.keep = bool(tally.left_out)
        scores.keep = True
    return tally.result


class _Draft:
    """A file that is being written; it takes its place at the end if it is to be kept."""

    def __init__(self, writer: _Writer) -> None:
        self.writer = writer
        self.keep: bool | None = None


@contextmanager
def _draft(path: Path, schema: pa.Schema) -> Iterator[_Draft]:
    draft_path = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        draft = _Draft(_open_writer(draft_path, path.suffix.lower(), schema))
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror or 'it cannot be opened'}): name a file in a folder "
            "that you may write to"
        ) from None
    try:
        yield draft
        draft.writer.close()
        if draft.keep:
            with draft_path.open("rb") as written:
                os.fsync(written.fileno())
            draft_path.replace(path)
            sync_folder(path.parent)
        elif draft.keep is False:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}): make room, and score anew") from None
    finally:
        draft_path.unlink(missing_ok=True)


def _open_writer(path: Path, suffix: str, schema: pa.Schema) -> _Writer:
    if suffix == ".parquet":
        return cast("_Writer", pq.ParquetWriter(path, schema, compression="zstd"))
    # A CSV file has no dictionaries.
    return _CsvWriter(path, schema)


class _CsvWriter:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._plain = pa.schema(
            [
                field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
                for field in schema
            ]
        )
        self._writer = arrow_csv.CSVWriter(path, self._plain)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        self._writer.write_table(pa.Table.from_batches([batch]).cast(self._plain))

    def close(self) -> None:
        self._writer.close()


class _Tally:
    """Counts as a file goes by."""

    def __init__(self, scorer: Scorer) -> None:
        self._names = [grade.name for grade in scorer.card.grades]
        self._grades = np.zeros(len(self._names), dtype=np.int64)
        self._faults: dict[Fault, int] = {}
        self._scored = 0
        self.left_out = 0

    def add(self, scored: Scored, fit: npt.NDArray[np.bool_], faults: Sequence[Fault]) -> None:
        self._scored += len(scored.score)
        self.left_out += int(np.count_nonzero(~fit))
        if self._names:
            self._grades += np.bincount(scored.grades, minlength=len(self._names))
        for fault in faults:
            self._faults[fault] = self._faults.get(fault, 0) + 1

    def ragged(self, rows: int) -> None:
        self.left_out += rows
        self._faults[Fault.FIELDS] = rows

    @property
    def result(self) -> BatchResult:
        return BatchResult(
            scored=self._scored,
            left_out=self.left_out,
            faults=dict(sorted(self._faults.items())),
            grades=dict(zip(self._names, self._grades.tolist(), strict=True)),
        )


def _schema(scorer: Scorer, id_type: pa.DataType) -> pa.Schema:
    texts = pa.dictionary(pa.int16(), pa.string())
    return pa.schema(
        [
            ("id", id_type),
            ("score", pa.float64()),
            ("probability", pa.float64()),
            ("grade", texts),
            *((f"reason_{number}", texts) for number in range(1, scorer.reasons + 1)),
        ]
    )


def _table(scorer: Scorer, identifiers: pa.Array, scored: Scored) -> pa.RecordBatch:
    grades = [grade.name for grade in scorer.card.grades]
    columns = [
        identifiers,
        pa.array(scored.score),
        pa.array(scored.probability),
        _named(scored.grades, grades),
        *(_named(scored.reasons[:, rank], scorer.reason_texts) for rank in range(scorer.reasons)),
    ]
    return pa.record_batch(columns, schema=_schema(scorer, identifiers.type))


def _named(places: npt.NDArray[np.int64], names: Sequence[str]) -> pa.DictionaryArray:
    """Places as names; nothing where there is none."""
    indices = pa.array(places.astype(np.int16), mask=places == NO_REASON)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(names), pa.string()))


def _bad_rows(rows: Sequence[tuple[int | None, str | None, str | None, Fault]]) -> pa.RecordBatch:
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[3] = [str(fault) for fault in columns[3]]
    return pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(columns, _FIT_FOR_BAD, strict=True)],
        schema=_FIT_FOR_BAD,
    )


def _texts(array: pa.Array) -> list[str | None]:
    decoded = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    return [
        value.decode(errors="replace") if isinstance(value, bytes) else None if value is None else str(value)
        for value in decoded.to_pylist()
    ]


def _identifiers(array: pa.Array, fit: npt.NDArray[np.bool_], id_type: pa.DataType) -> pa.Array:
    decoded = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    return (decoded if fit.all() else decoded.filter(pa.array(fit))).cast(id_type)


def _id_type(source: object, column: str) -> pa.DataType:
    path = getattr(source, "name", "")
    kind = pq.read_schema(path).field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(
            f"column {column!r} holds {kind}: an identifier is text or an integer; name another column"
        )
    return kind


def _require_apart(*paths: Path) -> None:
    whole = [path.resolve() for path in paths]
    if len(set(whole)) < len(whole):
        raise DataError("scores, bad rows and the file that is scored must be three files: name others")
    for path in paths[1:]:
        if path.suffix.lower() not in (".parquet", ".csv"):
            raise DataError(
                f"{path} ends in neither .parquet nor .csv: name it so, for that decides its form"
            )

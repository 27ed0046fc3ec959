"""Lines of a CSV file, each by itself: what is left out reaches no other, however the file is read."""

from __future__ import annotations

import csv
import io
import tracemalloc

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscore.data.csv_lines import SeparateLines, stands_alone

BOM = b"\xef\xbb\xbf"
SCRAPS = st.sampled_from([b'"', b'"', b",", b"a", b" ", b"\0", b"\xff", b"\xc3", b"\r", b"\n", b"\r\n"])
FILES = st.lists(SCRAPS, max_size=60).map(b"".join)


def through(content: bytes, *, longest: int = 1000, size: int = 7) -> tuple[bytes, int]:
    lines = SeparateLines(io.BytesIO(content), longest=longest)
    parts = list(iter(lambda: lines.read(size), b""))
    assert all(len(part) == size for part in parts[:-1]), "fewer bytes come at the end alone"
    return b"".join(parts), lines.left_out


@pytest.mark.parametrize(
    "line",
    [b"", b"1,a,,", b'"a"', b'"a, b",1', b'"say ""hi""",', b'"",""', b'""""', b'"\xff\0",\xc3', b'1,"a"\r\n'],
)
def test_a_line_whose_quotes_are_in_their_places_stands_alone(line: bytes) -> None:
    assert stands_alone(line)
    assert stands_alone(line + b"\n")


@pytest.mark.parametrize(
    "line",
    [
        b'"',
        b'1,"a',
        b'a",1',
        b'5",1,6"',
        b'a"b,"c',
        b'"a"b',
        b'"a" ,1',
        b' "a",1',
        b'"a""',
        b'"a"b""',
        b'""a"',
    ],
)
def test_a_line_with_a_quote_out_of_place_does_not(line: bytes) -> None:
    assert not stands_alone(line)
    assert not stands_alone(line + b"\r\n")


@given(content=FILES)
def test_no_line_that_stays_reaches_another_in_the_parser_that_reads_it(content: bytes) -> None:
    """The parser is the judge: it finds as many rows as there are lines, and the last is the last."""
    kept, _ = through(b"first,second\n" + content + b"\nlast,row\n")
    table = arrow_csv.read_csv(
        pa.BufferReader(kept),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types={"first": pa.binary(), "second": pa.binary()}),
    )
    assert len(table) == sum(bool(line) for line in kept.splitlines()) - 1
    assert table.to_pylist()[-1] == {"first": b"last", "second": b"row"}


@given(content=FILES, longest=st.integers(3, 40), size=st.integers(1, 50))
def test_the_lines_that_stay_do_not_depend_on_blocks(content: bytes, longest: int, size: int) -> None:
    lines = content.removeprefix(BOM).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    # Whether a line end of two bytes still fits is nobody's concern.
    longer = {len(line) for line in lines if longest - 2 <= len(line) < longest + 1}
    if longer:
        return
    alone = [line for line in lines if len(line) < longest and stands_alone(line)]
    widths = [len(next(csv.reader([line.decode("latin-1")]), [])) for line in alone]
    first = next((width for width in widths if width), 0)
    expected = [line for line, width in zip(alone, widths, strict=True) if width in {0, first}]
    kept, left_out = through(content, longest=longest, size=size)
    assert [line for line in kept.splitlines() if line] == [line for line in expected if line]
    assert left_out == len(lines) - len(expected)


@given(
    fields=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), min_size=1, max_size=5)
)
def test_what_a_program_writes_as_csv_stays_byte_for_byte(fields: list[str]) -> None:
    written = io.StringIO()
    csv.writer(written).writerows([fields, fields])
    content = written.getvalue().encode()
    if not content.startswith(BOM):
        assert through(content) == (content, 0)


def test_a_byte_order_mark_is_left_out_and_the_last_line_gets_its_end() -> None:
    assert through(BOM + b'"id",y\n1,2') == (b'"id",y\n1,2\n', 0)
    assert through(BOM) == (b"", 0)
    assert through(b"a") == (b"a\n", 0)
    assert through(b"") == (b"", 0)


@pytest.mark.parametrize("garbage", [b"x", b'"'], ids=["long", "long with quotes"])
def test_a_line_of_any_length_is_left_out_in_little_memory(garbage: bytes) -> None:
    content = io.BytesIO(b"id\n" + garbage * 8_000_000 + b"\n17\n")
    tracemalloc.start()
    try:
        lines = SeparateLines(content, longest=100_000)
        assert (lines.read(1000), lines.left_out) == (b"id\n17\n", 1)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()

"""Lines are found for whatever tomllib reads."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path as FilePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedscore.contract.findings import Path
from fedscore.contract.locations import lines_of, nearest_line

TRICKY = '''\
# a comment with [brackets] and = signs
title = "a # is no comment, [nor] this a header"   # but this is
'quoted key' = 1
"escaped\\tkey" = 2
a.b . "c d" = 3
long = """
[[not]]
key = "a header in a string"
\\""" still inside"""
raw = \'\'\'
x = [1,
\'\'\'
quotes = """two at the end"""""
numbers = [
    1, 2,   # two on a line
    # none on this one, ]
    [3,
     4],
    { x = 5, y.z = [6, 7] },
]
date = 1979-05-27 07:32:00
inline = { p = "}", q = \'{\', r = {} }
empty = []

[table]
k = true

[table.sub . "deep one"]
k = -1.5e3

[[list]]
n = 1
[list.inner]
m = 1
[[list.inner.most]]
o = 1
[[list]]
n = 2
[[list.more]]
o = 2
[[list.more]]
o = 3
'''


def paths_in(value: object, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from paths_in(entry, (*path, key))
    elif isinstance(value, list):
        for place, entry in enumerate(value):
            yield from paths_in(entry, (*path, place))


def lines_with(text: str) -> dict[str, int]:
    return {line.strip(): number for number, line in enumerate(text.splitlines(), start=1)}


def test_every_entry_of_a_tricky_text_has_a_line() -> None:
    assert set(lines_of(TRICKY)) == set(paths_in(tomllib.loads(TRICKY)))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 'title = "a # is no comment, [nor] this a header"   # but this is'),
        (("quoted key",), "'quoted key' = 1"),
        (("escaped\tkey",), '"escaped\\tkey" = 2'),
        (("a", "b", "c d"), 'a.b . "c d" = 3'),
        (("numbers", 1), "1, 2,   # two on a line"),
        (("numbers", 2), "[3,"),
        (("numbers", 2, 1), "4],"),
        (("numbers", 3, "y", "z", 1), "{ x = 5, y.z = [6, 7] },"),
        (("date",), "date = 1979-05-27 07:32:00"),
        (("table",), "[table]"),
        (("table", "sub", "deep one", "k"), "k = -1.5e3"),
        (("list", 0, "inner", "most", 0, "o"), "o = 1"),
        (("list", 1, "n"), "n = 2"),
        (("list", 1, "more", 1, "o"), "o = 3"),
    ],
)
def test_an_entry_stands_where_it_stands(path: Path, line: str) -> None:
    assert lines_of(TRICKY)[path] == lines_with(TRICKY)[line]


def test_an_absent_entry_is_told_at_the_table_that_lacks_it() -> None:
    lines = lines_of("[a]\nb = 1\n\n[[c]]\nd = 2\n")
    assert nearest_line(lines, ("a", "missing")) == 1
    assert nearest_line(lines, ("c", 0, "missing", 3)) == 4
    assert nearest_line(lines, ("missing",)) is None


def test_windows_line_ends_count_once() -> None:
    assert lines_of("a = 1\r\nb = [\r\n2,\r\n3]\r\n") == {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4}


def test_the_shipped_contracts_are_followed_to_the_end() -> None:
    folder = FilePath(__file__).parents[3] / "simulations" / "contracts"
    files = sorted(folder.glob("*.toml"))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert set(lines_of(text)) == set(paths_in(tomllib.loads(text)))


SCALARS = st.one_of(
    st.integers(-9, 9).map(str), st.sampled_from(['"#]"', "'}'", "true", "1.5", '"\\""', '"""\n"""'])
)
BLANKS = st.sampled_from(["", " ", "\n", "# ]\n", " \n\t"])


@st.composite
def arrays(draw: st.DrawFn, *, values: st.SearchStrategy[str]) -> str:
    entries = draw(st.lists(values, max_size=4))
    inner = ",".join(draw(BLANKS) + entry + draw(BLANKS) for entry in entries)
    trailing = draw(st.sampled_from(["", ","])) if entries else ""
    return f"[{inner}{trailing}{draw(BLANKS)}]"


@st.composite
def tables(draw: st.DrawFn) -> str:
    values = st.recursive(SCALARS, lambda inner: arrays(values=inner), max_leaves=6)
    keys = draw(st.lists(st.sampled_from(["a", '"b.c"', "d . e", "'#'"]), unique=True, max_size=3))
    return "".join(f"{key}{draw(st.sampled_from(['', ' ', '  ']))}= {draw(values)} # = [\n" for key in keys)


@st.composite
def texts(draw: st.DrawFn) -> str:
    headers = draw(
        st.lists(st.sampled_from(["[t{}]", "[[list]]", "[ t{} . x ] # c", "[[list . {}]]"]), max_size=4)
    )
    first = any("list ." in header for header in headers)
    sections = [header.format(number) + "\n" + draw(tables()) for number, header in enumerate(headers)]
    return "\n".join([draw(tables()), "[[list]]\n" if first else "", *sections])


@settings(max_examples=30)
@given(texts())
def test_every_entry_of_any_text_has_a_line_within_the_text(text: str) -> None:
    lines = lines_of(text)
    assert set(lines) == set(paths_in(tomllib.loads(text)))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())

"""On which line of a TOML text each entry stands.

`tomllib` checks and reads a text but forgets where things stood. This reads a text that `tomllib` has
accepted a second time, for places alone; so it need not be a judge of TOML, only follow it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from fedscore.contract.findings import Path

__all__ = ["lines_of", "nearest_line"]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE_VALUE: Final = re.compile(r"[^,\]}#\r\n]+")
_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(["\\bfnrt]))')
_ESCAPED: Final = {'"': '"', "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def lines_of(text: str) -> Mapping[Path, int]:
    """Find the line of every entry.

    Args:
        text: TOML that `tomllib.loads` accepts.

    Returns:
        Lines, from 1, by path: keys of tables, and places (from 0) in arrays. A table that has a header
        has the header's line, an array or inline table the line of its key.
    """
    return _Reader(text).read()


def nearest_line(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of an entry, or, where the entry is absent, of the table that lacks it.

    Args:
        lines: Result of `lines_of`.
        path: The entry.

    Returns:
        A line, or None if nothing on the way to the entry exists.
    """
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Reader:
    """One pass over a text; `_at` is the place reached."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted_to = 0
        self._lines: dict[Path, int] = {}
        self._elements: dict[Path, int] = {}

    def read(self) -> Mapping[Path, int]:
        table: Path = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip_blank()
        return self._lines

    def _header(self) -> Path:
        of_array = self._text.startswith("[[", self._at)
        line = self._current_line()
        self._at += 2 if of_array else 1
        *parents, last = self._key()
        self._skip_blank()
        self._at += 2 if of_array else 1
        path: Path = ()
        for key in parents:
            path = self._inside((*path, key))
            self._lines.setdefault(path, line)
        path = (*path, last)
        if of_array:
            place = self._elements[path] = self._elements.get(path, -1) + 1
            self._lines.setdefault(path, line)
            path = (*path, place)
        self._lines[path] = line
        return path

    def _inside(self, path: Path) -> Path:
        """The last element, if the path is that of an array of tables."""
        return (*path, self._elements[path]) if path in self._elements else path

    def _pair(self, table: Path) -> None:
        line = self._current_line()
        path = table
        for key in self._key():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._skip_blank()
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip_blank()
        first = self._text[self._at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            pattern = _STRING if first in "\"'" else _BARE_VALUE
            self._take(pattern)

    def _array(self, path: Path) -> None:
        self._at += 1
        self._skip_blank()
        place = 0
        while self._text[self._at] != "]":
            self._lines[(*path, place)] = self._current_line()
            self._value((*path, place))
            self._skip_separator()
            place += 1
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        self._skip_blank()
        while self._text[self._at] != "}":
            self._pair(path)
            self._skip_separator()
        self._at += 1

    def _skip_separator(self) -> None:
        self._skip_blank()
        if self._text[self._at] == ",":
            self._at += 1
            self._skip_blank()

    def _key(self) -> list[str]:
        """A dotted key."""
        steps = []
        while True:
            self._skip_blank()
            quote = self._text[self._at]
            if quote in "\"'":
                inner = self._take(_STRING)[1:-1]
                steps.append(_ESCAPE.sub(_unescaped, inner) if quote == '"' else inner)
            else:
                steps.append(self._take(_BARE_KEY))
            self._skip_blank()
            if self._text[self._at] != ".":
                return steps
            self._at += 1

    def _skip_blank(self) -> None:
        self._take(_BLANK)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"not TOML at character {self._at}: only read what tomllib has accepted")
        self._at = match.end()
        return match.group()

    def _current_line(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _ESCAPED[match[3]]

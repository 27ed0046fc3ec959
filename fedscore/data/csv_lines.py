"""Which lines of a CSV file can be read without the others? Those that close every quote that they open."""

from __future__ import annotations

import re
from typing import BinaryIO

__all__ = ["SeparateLines", "stands_alone"]

_BOM = b"\xef\xbb\xbf"
_LINE_ENDS = (b"\n", b"\r")
_EMPTY = (b"\n", b"\r\n", b"\r")
_QUOTED = rb'"(?:[^"]++|"")*+"'
_FIELD = rb'(?:%b|[^",\r\n]*+)' % _QUOTED
_QUOTED_FIELD = re.compile(_QUOTED)
_LINE = re.compile(rb"%b(?:,%b)*+[\r\n]*+" % (_FIELD, _FIELD))


def stands_alone(line: bytes) -> bool:
    """Whether a line says by itself where its fields end.

    An even number of quotes is not enough: `a"b,"c` has two, and its second field goes on in the next line.
    So quotes must stand where RFC 4180 has them: around a whole field, and doubled inside.

    Args:
        line: With or without its line end.
    """
    return b'"' not in line or _LINE.fullmatch(line) is not None


class SeparateLines:
    """What a binary file holds, without lines that cannot be read by themselves.

    A quote that is left open swallows what comes after it, the rows of other people. Here no line reaches
    another: what is left out costs itself alone. A value with a line break costs its own row. Lines with more
    or fewer fields than the first are left out too: Arrow refuses the whole file for one that is not UTF-8.

    It is a file for readers that ask for `read` alone, such as Arrow's, and holds a few blocks at a time.

    Attributes:
        left_out: How many lines are left out so far.
        closed: Never; the file below belongs to its opener.
    """

    def __init__(self, file: BinaryIO, *, longest: int) -> None:
        """Read from the beginning of a file; a byte order mark is left out.

        Args:
            file: CSV in an encoding that leaves ASCII as it is.
            longest: Bytes of the longest line, with its end, that is let through.
        """
        self.left_out = 0
        self.closed = False
        self._file = file
        self._longest = longest
        self._ready = bytearray()
        self._begun = file.read(len(_BOM)).removeprefix(_BOM)
        self._ended = False
        self._commas: int | None = None

    def read(self, size: int) -> bytes:
        """The next bytes of the lines that stay.

        Args:
            size: How many; fewer come at the end alone.
        """
        while len(self._ready) < size and not self._ended:
            self._read_on()
        found = bytes(self._ready[:size])
        del self._ready[:size]
        return found

    def close(self) -> None:
        """Nothing to do: see `closed`."""

    def _read_on(self) -> None:
        block = self._file.read(self._longest)
        # For bytes these are the ends that Arrow's parser knows: \n, \r and both.
        lines = (self._begun + block).splitlines(keepends=True)
        self._begun = b""
        self._ended = not block
        if lines and not lines[-1].endswith(_LINE_ENDS):
            if self._ended:
                lines[-1] += b"\n"
            else:
                # Of a line that is too long, enough is kept to see that it is.
                self._begun = lines.pop()[: self._longest + 1]
        kept = [line for line in lines if self._fits(line)]
        self.left_out += len(lines) - len(kept)
        self._ready += b"".join(kept)

    def _fits(self, line: bytes) -> bool:
        if len(line) > self._longest or not stands_alone(line):
            return False
        if line in _EMPTY:
            return True
        commas = (_QUOTED_FIELD.sub(b"", line) if b'"' in line else line).count(b",")
        if self._commas is None:
            self._commas = commas
        return commas == self._commas

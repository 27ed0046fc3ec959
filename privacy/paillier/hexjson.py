"""The text form of keys: one flat JSON object whose numbers are hexadecimal strings.

JSON readers round large integers, so no number is written as a JSON number. Every number has exactly one
spelling (lower case, no sign, no prefix, no leading zero), so equal keys have equal texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from fedscore.errors import KeyRefused

__all__ = ["read_numbers", "write_numbers"]

_CANONICAL = re.compile(r"0|[1-9a-f][0-9a-f]*")
# Twice the longest number of a key of the largest size: enough for everything, and linear to parse.
_MAX_DIGITS = 8192


def write_numbers(kind: str, numbers: Mapping[str, int]) -> str:
    """Write named non-negative numbers as one line of JSON.

    Args:
        kind: What the object is, with its version; stored beside the numbers.
        numbers: The numbers by name.

    Returns:
        The JSON text, keys in sorted order.
    """
    fields = {name: f"{number:x}" for name, number in numbers.items()}
    return json.dumps({"kind": kind, **fields}, sort_keys=True)


def read_numbers(kind: str, text: str, names: Sequence[str]) -> dict[str, int]:
    """Read what `write_numbers` wrote.

    Args:
        kind: The kind that the text must declare.
        text: The JSON text.
        names: The names that must be there, and no others.

    Returns:
        The numbers by name.

    Raises:
        KeyRefused: The text is no such object. The message never repeats the text: it may hold a secret.
    """
    # The parser's own error carries the whole text, so it is not chained.
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise KeyRefused(f"the text is no {kind}: give the file as the key ceremony wrote it")
    if set(document) != {"kind", *names}:
        raise KeyRefused(f"a {kind} holds exactly {', '.join(sorted(names))}: write it anew")
    numbers: dict[str, int] = {}
    for name in names:
        digits = document[name]
        if not isinstance(digits, str) or len(digits) > _MAX_DIGITS or not _CANONICAL.fullmatch(digits):
            raise KeyRefused(
                f"{name} of a {kind} must be at most {_MAX_DIGITS} lower-case hexadecimal digits: write it "
                "anew"
            )
        numbers[name] = int(digits, 16)
    return numbers

"""How are names, texts and numbers written in SQL, so that every database reads what was meant?"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from fedscore.errors import CardError

__all__ = ["identifier", "number", "remark", "spellings", "table_name", "text"]

_LIMB = 52
_SURE_DIGITS = 15
_SURE_EXPONENT = 22
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,14}")


def identifier(name: str) -> str:
    """The name of a column or table, quoted: whatever stands in it is part of the name.

    Raises:
        CardError: No database could have such a name.
    """
    return '"' + _without_nul(name).replace('"', '""') + '"'


def table_name(name: str) -> str:
    """The name of a table, with its schema before a dot if it has one."""
    return ".".join(identifier(part) for part in name.split("."))


def text(value: str) -> str:
    """A text, quoted: whatever stands in it is part of the text.

    Raises:
        CardError: No database could have such a text.
    """
    return "'" + _without_nul(value).replace("'", "''") + "'"


def number(value: float) -> str:
    """A number of double precision that is read as this very double.

    Databases do not all round decimals to the nearest double. Where one could go astray, the number is
    written as an integer over powers of two, with which nothing is rounded.

    Examples:
        >>> number(0.1)
        '0.1'
        >>> number(1 / 3)
        '(CAST(6004799503160661 AS DOUBLE PRECISION) / 4503599627370496.0 / 4.0)'
    """
    plain = repr(value)
    if _is_read_alike(plain, value):
        return plain
    fraction, exponent = math.frexp(value)
    mantissa, exponent = int(math.ldexp(fraction, 53)), exponent - 53
    operator = "*" if exponent > 0 else "/"
    whole, rest = divmod(abs(exponent), _LIMB)
    powers = [_LIMB] * whole + [rest] * (rest > 0)
    steps = "".join(f" {operator} {float(2**power)!r}" for power in powers)
    return f"(CAST({mantissa} AS DOUBLE PRECISION){steps})"


def remark(words: str) -> str:
    """Words as they may stand in a comment: in one line."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())


def spellings(level: str, known: frozenset[str]) -> tuple[str, ...]:
    """How a level may stand in a column: SQLite writes the 1 of a column of reals as 1.0.

    Args:
        level: As the card has it.
        known: All levels and codes of the characteristic: none of them is taken for another.
    """
    real = f"{level}.0"
    return (level, real) if _INTEGER.fullmatch(level) and real not in known else (level,)


def _is_read_alike(plain: str, value: float) -> bool:
    """Whether one rounding of an exact quotient, or two of growing coarseness, surely give the double."""
    digits, _, exponent = plain.lstrip("-").partition("e")
    whole, _, decimals = digits.partition(".")
    decimals = decimals.rstrip("0")
    if len(whole + decimals) > _SURE_DIGITS or abs(int(exponent or 0) - len(decimals)) > _SURE_EXPONENT:
        return False
    away = abs(Fraction(plain) - Fraction(value))
    is_power = abs(math.frexp(value)[0]) == 0.5  # below a power of two doubles are twice as dense
    return away < Fraction(math.ulp(value)) * Fraction(499, 2000 if is_power else 1000)


def _without_nul(words: str) -> str:
    if "\0" in words:
        raise CardError(
            "the card has a name or level with a zero byte, which no database has: score with Python"
        )
    return words

"""How a card's numbers are written, the same on every page and in the terminal."""

from __future__ import annotations

from fedscore.card import Card, Measure

__all__ = [
    "NOTHING",
    "count",
    "decimal",
    "delta",
    "epsilon",
    "estimated_rate",
    "grade_scores",
    "interval",
    "points",
    "precise",
    "rate",
    "share",
    "shortened",
]

NOTHING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


def points(value: float) -> str:
    """Points with their sign and both decimals; zero has no sign."""
    if round(value, 2) == 0:
        return "0.00"
    return f"{value:+.2f}".replace("-", _MINUS)


def precise(value: float | None) -> str:
    """Points without a sign, as standard errors have them."""
    return NOTHING if value is None else f"{value:.2f}".replace("-", _MINUS)


def rate(value: float | None) -> str:
    """A bad rate, in per cent with two decimals."""
    return NOTHING if value is None else f"{value:.2%}"


def share(value: float) -> str:
    """A share of the records, in per cent with one decimal."""
    return f"{value:.1%}"


def decimal(value: float) -> str:
    """A metric, with four decimals."""
    return f"{value:.4f}".replace("-", _MINUS)


def count(value: float) -> str:
    """A count from noisy sums, as a whole number."""
    return f"{value:,.0f}".replace("-", _MINUS)


def epsilon(value: float | None) -> str:
    """An epsilon with four digits; infinity where nothing bounds it."""
    return "\N{INFINITY}" if value is None else f"{value:.4g}"


def interval(measure: Measure, *, total: bool = False, as_rate: bool = False) -> str:
    """An interval of a measure.

    Args:
        measure: What was measured.
        total: Whether for other customers of the same kind, instead of for these very rows.
        as_rate: Whether in per cent.
    """
    low, high = (measure.total_low, measure.total_high) if total else (measure.low, measure.high)
    write = rate if as_rate else decimal
    return f"{write(low)} to {write(high)}"


def estimated_rate(measure: Measure) -> str:
    """A bad rate or a share that was measured, with its interval for these very rows."""
    return f"{rate(measure.value)} ({interval(measure, as_rate=True)})"


def delta(value: float) -> str:
    """A delta, with the sign of its exponent that no line is broken at."""
    return f"{value:g}".replace("e-0", "e-").replace("-", _MINUS)


def grade_scores(card: Card, place: int) -> str:
    """Which scores have the grade at a place of the card's list."""
    lowest = card.grades[place].lowest_score
    above = [grade.lowest_score for grade in card.grades[:place] if grade.lowest_score is not None]
    if lowest is None:
        return f"below {precise(above[-1])}" if above else "all"
    return f"{precise(lowest)} and more" if not above else f"{precise(lowest)} to below {precise(above[-1])}"


def shortened(text: str, length: int) -> str:
    """At most so many signs of a text."""
    return text if len(text) <= length else f"{text[: length - 1]}\N{HORIZONTAL ELLIPSIS}"

"""How figures stand in the report's tables."""

from __future__ import annotations

from fedscore.pages.words import NOTHING
from simulations.paired import Gap
from simulations.wall_time import Span

__all__ = ["decimal", "duration", "seconds", "signed", "with_margin"]

_MINUS = "\N{MINUS SIGN}"


def decimal(value: float | None, digits: int = 4) -> str:
    """A figure, or a dash for none."""
    return NOTHING if value is None else f"{value:.{digits}f}".replace("-", _MINUS)


def with_margin(gap: Gap | None, digits: int = 4) -> str:
    """A mean and half the width of its interval, if it has one."""
    return _told(gap, f".{digits}f")


def signed(gap: Gap | None, digits: int = 4) -> str:
    """A difference with its sign, and half the width of its interval, if it has one."""
    return _told(gap, f"+.{digits}f")


def _told(gap: Gap | None, form: str) -> str:
    if gap is None:
        return NOTHING
    margin = "" if gap.margin is None else f" ± {format(gap.margin, form.replace('+', ''))}"
    return f"{format(gap.mean, form)}{margin}".replace("-", _MINUS)


def seconds(value: float) -> str:
    """Seconds to a tenth; to a hundredth below one."""
    return f"{value:.1f}" if value >= 1 or value == 0 else f"{value:.2f}"


def duration(span: Span) -> str:
    """A span of seconds, in minutes where it is long."""
    if round(span.low) == round(span.high):
        return _long(span.low)
    if span.high >= 600:
        return f"{span.low / 60:.0f} to {span.high / 60:.0f} min"
    if span.high >= 120:
        return f"{span.low / 60:.1f} to {span.high / 60:.1f} min"
    return f"{span.low:.0f} to {span.high:.0f} s"


def _long(value: float) -> str:
    if value >= 120:
        return f"{value / 60:.1f} min"
    return f"{value:.0f} s" if value >= 1 else f"{value:.2f} s"

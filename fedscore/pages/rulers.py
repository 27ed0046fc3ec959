"""To which scale bins are drawn: one for the points of all tables, and one for shares and rates of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fedscore.pages.sheets import Sheet

__all__ = ["BarScales", "Ruler", "bar_scales", "ruler_of"]

_RARE = 0.005
"""A bin with less of the records does not decide how large all others are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruler:
    """A line of points, as wide as there is room.

    Attributes:
        low: Points at its left end; 0 or less.
        high: Points at its right end; above 0.
        ticks: Round points on it, 0 among them.
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def shows(self, points: float) -> bool:
        """Whether they are on it."""
        return self.low <= points <= self.high

    def percent(self, points: float) -> float:
        """Where points are; at an end if they are beyond it."""
        inside = min(max(points, self.low), self.high)
        return round(100.0 * (inside - self.low) / (self.high - self.low), 2)

    def box(self, one: float, other: float) -> tuple[float, float]:
        """The left end and the width of a bar between two points."""
        left, right = sorted((self.percent(one), self.percent(other)))
        return left, round(right - left, 2)


def ruler_of(sheets: Iterable[Sheet]) -> Ruler:
    """One ruler for all tables, so that bars can be compared between them."""
    lines = [line for sheet in sheets for line in sheet.lines]
    usual = [line for line in lines if line.share >= _RARE] or lines
    reach = [
        line.points + sign * min(line.standard_error or 0.0, abs(line.points) + 2.0)
        for line in usual
        for sign in (-1, 1)
    ]
    low, high = min([0.0, *reach]), max([0.0, *reach])
    step = _round_step(max(high - low, 1.0) / 5.0)
    margin = 0.12 * max(high - low, 1.0)
    first, last = -int(-(low - margin) // step), int((high + margin) // step)
    return Ruler(
        low=low - margin, high=high + margin, ticks=tuple(step * number for number in range(first, last + 1))
    )


def _round_step(rough: float) -> float:
    unit = 1.0
    while unit * 10.0 <= rough:
        unit *= 10.0
    while unit > rough:
        unit /= 10.0
    return next(unit * factor for factor in (1.0, 2.0, 5.0, 10.0) if unit * factor >= rough)


@dataclass(frozen=True, slots=True, kw_only=True)
class BarScales:
    """How long bars of one table are.

    Attributes:
        largest_share: This share has a whole bar.
        largest_rate: This bad rate has a whole bar.
    """

    largest_share: float
    largest_rate: float

    def share(self, value: float) -> float:
        """Length of a share's bar, in per cent."""
        return _percent(value, self.largest_share)

    def rate(self, value: float | None) -> float:
        """Length of a bad rate's bar, in per cent."""
        return _percent(value or 0.0, self.largest_rate)


def _percent(value: float, largest: float) -> float:
    return round(100.0 * min(value / largest, 1.0), 1)


def bar_scales(sheet: Sheet) -> BarScales:
    """The scales of a table."""
    rates = [line.bad_rate or 0.0 for line in sheet.lines if line.share >= _RARE]
    return BarScales(
        largest_share=max([line.share for line in sheet.lines], default=0.0) or 1.0,
        largest_rate=max(rates, default=0.0) or 1.0,
    )

"""A small drawing: lines, boxes and words, as one `<svg>` that takes its colours from the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from markupsafe import Markup, escape

__all__ = ["Axis", "Drawing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Values along a line of the drawing; what lies beyond is drawn at its end.

    Attributes:
        low: The value at `start`.
        high: The value at `end`; above `low`.
        start: In the drawing's units.
        end: In the drawing's units; may lie before `start`.
        root: Whether square roots are drawn to scale instead of values: then small ones are told apart.
    """

    low: float
    high: float
    start: float
    end: float
    root: bool = False

    def at(self, value: float) -> float:
        """The place of a value."""
        inside = min(max(value, self.low), self.high)
        scale = (lambda x: max(x, 0.0) ** 0.5) if self.root else float
        low, high = scale(self.low), scale(self.high)
        return self.start + (self.end - self.start) * (scale(inside) - low) / (high - low)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Collects marks; classes name what the page's style gives a colour.

    Attributes:
        width: In units; the page scales the drawing.
        height: In units.
        title: What it shows, for whoever cannot see it.
    """

    width: float
    height: float
    title: str
    _marks: list[Markup] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line."""
        self._add('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>', _n(x1), _n(y1), _n(x2), _n(y2), kind)

    def box(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A filled rectangle between two corners, in any order."""
        left, top = min(x1, x2), min(y1, y2)
        self._add(
            '<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>',
            _n(left),
            _n(top),
            _n(abs(x2 - x1)),
            _n(abs(y2 - y1)),
            kind,
        )

    def dot(self, x: float, y: float, radius: float, kind: str) -> None:
        """A filled circle."""
        self._add('<circle cx="{}" cy="{}" r="{}" class="{}"/>', _n(x), _n(y), _n(radius), kind)

    def path(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        joined = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._add('<polyline points="{}" class="{}"/>', joined, kind)

    def words(self, x: float, y: float, text: str, kind: str, *, anchor: str = "middle") -> None:
        """A line of text; `anchor` is start, middle or end."""
        self._add(
            '<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>', _n(x), _n(y), anchor, kind, text
        )

    def markup(self) -> Markup:
        """The drawing, to be put into a page."""
        opening = Markup('<svg class="drawing" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            _n(self.width), _n(self.height), self.title
        )
        return Markup("").join([opening, *self._marks, Markup("</svg>")])

    def _add(self, form: str, *values: str) -> None:
        self._marks.append(Markup(form).format(*(escape(value) for value in values)))  # noqa: S704 - forms are ours


def _n(value: float) -> str:
    """A coordinate: as short as it can be, so that the same card gives the same small page."""
    return f"{value:.1f}".rstrip("0").rstrip(".")

"""Pictures of the whole score: its calibration on test rows, and how the training records' scores lie."""

from __future__ import annotations

from markupsafe import Markup

from fedscore.card import Card
from fedscore.pages import words
from fedscore.pages.svg import Axis, Drawing

__all__ = ["calibration_picture", "distribution_picture"]

_WIDTH, _HEIGHT = 380.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 370.0, 16.0, 252.0
_RATES = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
_LEAST_ACROSS, _LEAST_UP = 36.0, 18.0
"""Ticks closer than this would have overlapping words."""


def calibration_picture(card: Card) -> Markup | None:
    """Observed against predicted bad rates, by band of scores; none if it was not measured."""
    evaluation = card.evaluation
    if evaluation is None or not evaluation.calibration:
        return None
    pairs = list(zip(evaluation.predicted, evaluation.calibration, strict=False))
    most = max(max(predicted, measure.value, measure.high) for predicted, measure in pairs)
    top = min(max(1.05 * most, 0.01), 1.0)
    across = Axis(low=0.0, high=top, start=_LEFT, end=_RIGHT, root=True)
    up = Axis(low=0.0, high=top, start=_BOTTOM, end=_TOP, root=True)
    drawing = Drawing(_WIDTH, _HEIGHT, "Observed against predicted bad rate; the figures are in the table")
    for tick in _apart(across, _LEAST_ACROSS):
        drawing.line(across.at(tick), _TOP, across.at(tick), _BOTTOM, "grid")
        drawing.words(across.at(tick), _BOTTOM + 16, f"{100 * tick:g}%", "tick")
    for tick in _apart(up, _LEAST_UP):
        drawing.line(_LEFT, up.at(tick), _RIGHT, up.at(tick), "grid")
        drawing.words(_LEFT - 6, up.at(tick) + 4, f"{100 * tick:g}%", "tick", anchor="end")
    drawing.line(across.at(0), up.at(0), across.at(top), up.at(top), "ideal")
    for predicted, measure in pairs:
        x = across.at(predicted)
        drawing.line(x, up.at(measure.total_low), x, up.at(measure.total_high), "faint-whisker")
        drawing.line(x, up.at(measure.low), x, up.at(measure.high), "whisker")
    drawing.path([(across.at(predicted), up.at(measure.value)) for predicted, measure in pairs], "curve")
    for predicted, measure in pairs:
        drawing.dot(across.at(predicted), up.at(measure.value), 3.5, "point")
    drawing.words((_LEFT + _RIGHT) / 2, _HEIGHT - 12, "predicted bad rate", "name")
    drawing.words(_LEFT - 40, 9, "observed", "name", anchor="start")
    return drawing.markup()


def _apart(axis: Axis, least: float) -> list[float]:
    """Ticks whose words do not touch."""
    chosen: list[float] = []
    for tick in _RATES:
        if tick <= axis.high and (not chosen or abs(axis.at(tick) - axis.at(chosen[-1])) >= least):
            chosen.append(tick)
    return chosen


def distribution_picture(card: Card) -> Markup | None:
    """How many training records have which score; none if the card does not say.

    A bar's area is its band's share. The outer bands have no outer edge, and end where half of their
    neighbour's density would make their area.
    """
    bands = card.bands
    if bands is None or len(bands.edges) < 2:
        return None
    counts = [max(bad + good, 0.0) for bad, good in zip(bands.bad, bands.good, strict=True)]
    total = sum(counts) or 1.0
    inner = [
        count / total / (high - low)
        for count, low, high in zip(counts[1:-1], bands.edges, bands.edges[1:], strict=False)
    ]
    first, last = _outer(counts[0] / total, inner[0]), _outer(counts[-1] / total, inner[-1])
    limits = [bands.edges[0] - first, *bands.edges, bands.edges[-1] + last]
    heights = [counts[0] / total / first, *inner, counts[-1] / total / last]
    across = Axis(low=limits[0], high=limits[-1], start=_LEFT, end=_RIGHT)
    up = Axis(low=0.0, high=1.12 * max(*heights, 1e-9), start=_BOTTOM, end=_TOP + 14)
    drawing = Drawing(_WIDTH, _HEIGHT, "Distribution of the training records' scores")
    for number, (low, high, height) in enumerate(zip(limits, limits[1:], heights, strict=False)):
        kind = "bar open" if number in (0, len(heights) - 1) else "bar"
        drawing.box(across.at(low), _BOTTOM, across.at(high) - 0.8, up.at(height), kind)
    drawing.line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis")
    step = _step((limits[-1] - limits[0]) / 6)
    tick = step * -(-limits[0] // step)
    while tick <= limits[-1]:
        drawing.line(across.at(tick), _BOTTOM, across.at(tick), _BOTTOM + 4, "axis")
        drawing.words(across.at(tick), _BOTTOM + 16, f"{tick:g}", "tick")
        tick += step
    _cut_offs(drawing, card, across)
    drawing.words((_LEFT + _RIGHT) / 2, _HEIGHT - 12, "score (more is safer)", "name")
    return drawing.markup()


def _outer(share: float, density: float) -> float:
    return max(share / max(0.5 * density, 1e-9), 1e-6) if share > 0 else 1.0


def _step(rough: float) -> float:
    """A round step, about as long as asked."""
    unit = 1.0
    while unit * 10 <= rough:
        unit *= 10
    while unit > rough:
        unit /= 10
    return next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)


def _cut_offs(drawing: Drawing, card: Card, across: Axis) -> None:
    """Lines where grades begin, and the names between them where there is room."""
    begins = [grade.lowest_score for grade in card.grades]
    tops = [across.high, *[across.high if begin is None else begin for begin in begins]]
    for grade, top in zip(card.grades, tops, strict=False):
        low = across.low if grade.lowest_score is None else grade.lowest_score
        left, right = across.at(min(low, top)), across.at(top)
        if across.low < low < across.high:
            drawing.line(left, _TOP, left, _BOTTOM, "cut-off")
        name = words.shortened(grade.name, 8)
        if right - left >= 7.0 * len(name) + 2:
            drawing.words((left + right) / 2, _TOP + 4, name, "grade-name")

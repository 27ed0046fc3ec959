"""The page of a watched card: has the population moved, do probabilities fit, has the bad rate risen?"""

from __future__ import annotations

from markupsafe import Markup

from fedscore.estimates import AlarmReading, Shift
from fedscore.monitoring.report import Figure, MonitoringReport, StabilityFound, Watch
from fedscore.pages import monitoring_words, words
from fedscore.pages.svg import Axis, Drawing
from fedscore.pages.writing import fill_in

__all__ = ["monitoring_page"]

_WIDTH = 400.0
_STABLE, _SHIFTED = 0.1, 0.25
_FARTHEST = 1.0
"""Indices and intervals beyond are drawn up to here."""

_LEAST_UP = 16.0
"""Ticks closer than this would have overlapping words."""

_BANNERS = {
    AlarmReading.ALARM: "",
    AlarmReading.SMALL_RISE: "",
    AlarmReading.QUIET: "fine",
    AlarmReading.UNDECIDED: "open",
}


def monitoring_page(report: MonitoringReport) -> str:
    """Writes the page: HTML without scripts or outside resources.

    Args:
        report: Of own rows or of the consortium's.
    """
    return fill_in(
        "monitoring.html.j2",
        {
            "report": report,
            "say": monitoring_words,
            "banner": _BANNERS[report.alarm.reading] if report.alarm is not None else "open",
            "is_own": report.watch is Watch.OWN,
            "past": "earlier own rows" if report.own_past else "training records",
            "tiles": _tiles(report),
            "indices": _indices((report.score, *report.tables)),
            "scores": _distribution(report),
            "rates": _grade_rates(report),
            "moved": report.moved,
        },
    )


def _tiles(report: MonitoringReport) -> list[tuple[str, str]]:
    tiles = [
        (words.count(report.records), "present rows" if report.watch is Watch.OWN else "present rows, about")
    ]
    score = report.score.index
    tiles.append(
        (
            monitoring_words.decimals(score.value) if score.value is not None else words.NOTHING,
            f"stability index of the score: {monitoring_words.stability(report.score).partition(':')[0]}",
        )
    )
    unknown = sum(one.reading is Shift.UNKNOWN for one in report.tables)
    tiles.append(
        (
            f"{len(report.moved)} of {len(report.tables)}",
            "characteristics and interactions have moved"
            + (f"; {unknown} cannot be told" if unknown else ""),
        )
    )
    if report.alarm is not None and report.alarm.shift.value is not None:
        shift = report.alarm.shift
        tiles.append(
            (
                _percent(report.alarm.shift.value),
                f"bad rate against expectation, {_percent(shift.total_low)} to {_percent(shift.total_high)}",
            )
        )
    return tiles


def _percent(value: float) -> str:
    return f"{value:+.0%}".replace("-", "\N{MINUS SIGN}")


def _indices(found: tuple[StabilityFound, ...]) -> Markup:
    """One bar for each index, with its interval, over the usual limits."""
    height = 22.0
    drawing = Drawing(
        _WIDTH, 34.0 + height * len(found), "Stability indices; the figures are in the table below"
    )
    ends = [
        max(one.index.value or 0.0, one.index.high if one.index.value is not None else 0.0) for one in found
    ]
    across = Axis(low=0.0, high=min(max(0.35, *ends), _FARTHEST), start=156.0, end=_WIDTH - 12.0, root=True)
    bottom = 22.0 + height * len(found)
    for limit in (_STABLE, _SHIFTED):
        drawing.line(across.at(limit), 16.0, across.at(limit), bottom, "cut-off")
        drawing.words(across.at(limit), 11.0, f"{limit:g}", "tick")
    drawing.line(across.at(0.0), 16.0, across.at(0.0), bottom, "axis")
    for number, one in enumerate(found):
        middle = 20.0 + height * (number + 0.5)
        kind = "grade-name" if number == 0 else "label"
        drawing.words(150.0, middle + 4.0, words.shortened(one.name, 24), kind, anchor="end")
        if one.index.value is None:
            drawing.words(across.at(0.0) + 6.0, middle + 4.0, "not measurable", "tick", anchor="start")
            continue
        drawing.box(
            across.at(0.0),
            middle - 6.0,
            across.at(one.index.value),
            middle + 6.0,
            f"index {one.reading.value}",
        )
        drawing.line(across.at(one.index.low), middle, across.at(one.index.high), middle, "whisker")
    return drawing.markup()


def _distribution(report: MonitoringReport) -> Markup | None:
    """Shares of the card's bands then and now: bars now, marks then."""
    bins = report.score.bins
    if any(one.then is None or one.now is None for one in bins):
        return None
    top = 1.15 * max(max(one.then or 0.0, one.now or 0.0) for one in bins)
    drawing = Drawing(_WIDTH, 230.0, "Scores then and now; the figures are in the table below")
    up = Axis(low=0.0, high=max(top, 1e-6), start=196.0, end=12.0)
    wide = (_WIDTH - 56.0) / len(bins)
    step = 0.05 if top > 0.1 else 0.02
    tick = 0.0
    while tick <= top:
        drawing.line(46.0, up.at(tick), _WIDTH - 8.0, up.at(tick), "grid")
        drawing.words(40.0, up.at(tick) + 4.0, f"{tick:.0%}", "tick", anchor="end")
        tick += step
    for number, one in enumerate(bins):
        left = 48.0 + wide * number
        drawing.box(left + 1.0, up.at(0.0), left + wide - 1.0, up.at(one.now or 0.0), "bar")
        drawing.line(left, up.at(one.then or 0.0), left + wide, up.at(one.then or 0.0), "then")
    drawing.words(48.0, 214.0, "riskiest", "tick", anchor="start")
    drawing.words(_WIDTH - 8.0, 214.0, "safest", "tick", anchor="end")
    drawing.words(_WIDTH / 2, 214.0, "the card's score bands", "name")
    return drawing.markup()


def _grade_rates(report: MonitoringReport) -> Markup | None:
    """Expected and observed bad rate of each grade."""
    shown = [
        (one.name, one.expected, one.observed)
        for one in report.grades
        if one.expected is not None and one.observed is not None
    ]
    ends = [
        figure.total_high
        for _, expected, observed in shown
        for figure in (expected, observed)
        if figure.value is not None
    ]
    if not ends:
        return None
    top = max(*ends, 0.01) * 1.05
    drawing = Drawing(_WIDTH, 230.0, "Expected and observed bad rates by grade; the figures are in the table")
    up = Axis(low=0.0, high=top, start=196.0, end=12.0, root=True)
    written = up.at(0.0) + _LEAST_UP
    for tick in (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0):
        if tick <= top and written - up.at(tick) >= _LEAST_UP:
            written = up.at(tick)
            drawing.line(46.0, written, _WIDTH - 8.0, written, "grid")
            drawing.words(40.0, written + 4.0, f"{100 * tick:g}%", "tick", anchor="end")
    wide = (_WIDTH - 56.0) / len(shown)
    for number, (name, expected, observed) in enumerate(shown):
        middle = 48.0 + wide * (number + 0.5)
        if expected.value is not None:
            half = min(wide / 3, 26.0)
            drawing.line(middle - half, up.at(expected.value), middle + half, up.at(expected.value), "then")
        if observed.value is not None:
            _whiskers(drawing, middle, up, observed)
        drawing.words(middle, 214.0, name, "grade-name")
    return drawing.markup()


def _whiskers(drawing: Drawing, x: float, up: Axis, one: Figure) -> None:
    drawing.line(x, up.at(one.total_low), x, up.at(one.total_high), "faint-whisker")
    drawing.line(x, up.at(one.low), x, up.at(one.high), "whisker")
    drawing.dot(x, up.at(one.value or 0.0), 4.0, "point")

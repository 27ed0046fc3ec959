"""What a monitoring report says, in sentences: the same on its page and in the terminal."""

from __future__ import annotations

from fedscore.estimates import Shift
from fedscore.monitoring.report import CalibrationFound, Figure, MonitoringReport, StabilityFound, Watch
from fedscore.pages import words

__all__ = [
    "alarm",
    "calibration",
    "decimals",
    "figure",
    "heading",
    "index",
    "interval",
    "rate",
    "sentence",
    "stability",
]

_READINGS = {
    Shift.STABLE: "stable",
    Shift.MODERATE: "moderate shift",
    Shift.SHIFTED: "shifted",
    Shift.UNKNOWN: "not known",
}


def heading(report: MonitoringReport) -> str:
    """Whose rows were watched, and how many."""
    of_whom = (
        f"rows of {len(report.parties)} organisations, through private sums"
        if report.watch is Watch.CONSORTIUM
        else "own rows of one organisation, exactly"
    )
    known = f"the outcome of {words.count(report.known)} is" if report.known else "no outcome is"
    return f"{words.count(report.records)} present {of_whom}; {known} known{'' if report.known else ' yet'}"


def sentence(text: str) -> str:
    """The text, beginning like a sentence."""
    return text[:1].upper() + text[1:]


def decimals(value: float) -> str:
    """A number with three decimals."""
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def figure(one: Figure) -> str:
    """A number, and what noise and sampling leave open."""
    return "not measurable" if one.value is None else f"{decimals(one.value)} ({interval(one)})"


def interval(one: Figure, *, total: bool = True) -> str:
    """Its interval: for all customers like these, or for these very rows."""
    low, high = (one.total_low, one.total_high) if total else (one.low, one.high)
    return f"{decimals(low)}\N{NO-BREAK SPACE}to {decimals(high)}"


def rate(one: Figure | None) -> str:
    """A rate with its interval, in per cent."""
    if one is None:
        return words.NOTHING
    if one.value is None:
        return "not measurable"
    low, high = (max(end, 0.0) for end in (one.total_low, one.total_high))
    return f"{one.value:.2%} ({low:.2%} to {high:.2%})"


def index(one: StabilityFound) -> str:
    """An index of stability with its interval for these very rows."""
    value = one.index.value
    return "not measurable" if value is None else f"{decimals(value)}, {interval(one.index, total=False)}"


def stability(one: StabilityFound) -> str:
    """The reading of an index, no surer than it is."""
    reading = _READINGS[one.reading]
    if one.reading is Shift.UNKNOWN:
        return f"{reading}: {index(one)}"
    return f"{reading}{'' if one.certain else ', but not surely'}: {index(one)}"


def calibration(found: CalibrationFound) -> str:
    """What outcomes say of the probabilities."""
    return f"log-odds moved by {figure(found.in_the_large)}, slope {figure(found.slope)}"


def alarm(report: MonitoringReport) -> str:
    """The alarm's reading, with the rates and what could have been seen."""
    found = report.alarm
    if found is None:
        return "no outcome is known yet, so nothing can be said"
    seen = (
        f"{found.observed.value:.2%} came about, {found.expected.value:.2%} were expected"
        if found.observed.value is not None and found.expected.value is not None
        else "the rates cannot be measured"
    )
    return (
        f"{found.sentence}; {seen}; a rise of +{found.limit:.0%} would have raised the alarm in "
        f"{found.power:.0%} of all cases"
    )

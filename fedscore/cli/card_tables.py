"""A card in the terminal: grades, bins and metrics as tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from fedscore.card import Card, Evaluation
from fedscore.contract import CellKind
from fedscore.pages import words
from fedscore.pages.groups import GroupTable
from fedscore.pages.rulers import Ruler, bar_scales
from fedscore.pages.sheets import BinLine, Sheet

__all__ = ["bin_table", "facts_table", "grade_table", "group_table", "measure_table"]

_BAR_WIDTH = 24
_METER_WIDTH = 6
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def facts_table(facts: Iterator[tuple[str, str]]) -> Table:
    """What there is to say, a line for each."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(name, Text(text))
    return table


def grade_table(card: Card) -> Table:
    """The grades with what is expected of them, and what the test rows say."""
    observed = {one.name: one for one in card.evaluation.grades} if card.evaluation is not None else {}
    table = _table(
        "grade", "scores", "share", "expected bad rate", "± error", *["test rows"] * bool(observed)
    )
    for place, grade in enumerate(card.grades):
        told = observed.get(grade.name)
        table.add_row(
            Text(grade.name),
            words.grade_scores(card, place),
            words.share(grade.share),
            words.rate(grade.bad_rate),
            words.rate(grade.standard_error),
            *[words.NOTHING if told is None else words.interval(told, as_rate=True)] * bool(observed),
        )
    return table


def measure_table(evaluation: Evaluation) -> Table:
    """Metrics from private sums, with what they hold for these rows and for other customers."""
    table = _table("test rows", "estimate", "these rows", "others alike")
    for one in evaluation.measures:
        table.add_row(
            Text(one.name), words.decimal(one.value), words.interval(one), words.interval(one, total=True)
        )
    return table


def group_table(group: GroupTable) -> Table:
    """How the groups of one characteristic fare."""
    table = _table(group.name, *group.groups)
    for name, measures in group.rows:
        table.add_row(
            Text(name),
            *(
                words.NOTHING if measure is None else words.interval(measure, as_rate=True)
                for measure in measures
            ),
        )
    return table


def bin_table(sheet: Sheet, ruler: Ruler) -> Table:
    """The bins of a table; what is no value stands below a line."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(Text(sheet.unit or "value"), overflow="fold", max_width=28)
    table.add_column("riskier · safer", no_wrap=True)
    for name in ("points", "± error"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("share", no_wrap=True)
    table.add_column("bad rate", no_wrap=True)
    scales = bar_scales(sheet)
    for number, line in enumerate(sheet.lines):
        table.add_row(
            Text(line.label, style="" if line.kind in _VALUES else "italic"),
            _bar(line, ruler),
            words.points(line.points),
            words.precise(line.standard_error),
            _meter(words.share(line.share), scales.share(line.share)),
            _meter(words.rate(line.bad_rate), scales.rate(line.bad_rate)),
            end_section=number == len(sheet.values) - 1 and bool(sheet.apart),
        )
    return table


_VALUES = frozenset({CellKind.VALUE, CellKind.OTHER})


def _bar(line: BinLine, ruler: Ruler) -> Text:
    """Points to the left or right of zero, in whole signs."""
    place = [round(ruler.percent(at) / 100.0 * _BAR_WIDTH) for at in (0.0, line.points)]
    low, high = min(place), max(place)
    colour = "blue" if line.points >= 0 else "red"
    text = Text(" " * low)
    text.append(("█" * (high - low)) or "│", style=colour if high > low else "dim")
    return text


def _meter(number: str, percent: float) -> Text:
    """A number with a bar of up to six signs behind it."""
    eighths = round(percent / 100.0 * _METER_WIDTH * 8)
    whole, rest = divmod(eighths, 8)
    text = Text(f"{number:>7} ")
    text.append(("█" * whole + _EIGHTHS[rest]).rstrip(), style="dim")
    return text


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(Text(first), overflow="fold")
    for name in others:
        table.add_column(Text(name), justify="right")
    return table

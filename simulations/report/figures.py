"""Figures: accuracy against epsilon, for one or many variations, and beneath it what attackers got."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from simulations.audit.row import AuditRow
from simulations.report.accuracy_panel import draw_accuracy
from simulations.report.attack_panels import draw_bounds, draw_membership
from simulations.report.axis import EpsilonAxis
from simulations.report.beside import Named, name_beside
from simulations.report.frontier import FrontierPoint
from simulations.report.looks import INK, PAPER, SOFT
from simulations.report.method_panel import draw_methods

__all__ = ["Names", "Panel", "grid_figure", "legend_figure", "panel_figure"]

_SETTINGS: dict[str, Any] = {
    "font.size": 9,
    "svg.hashsalt": "fedscore",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
}
# Inches, all of them.
_MAIN, _SMALL, _LOWER, _METHOD = 3.4, 2.2, 1.25, 0.42
_HEAD, _FOOT, _GAP, _LEFT, _RIGHT = 0.25, 0.5, 0.34, 0.58, 0.12
_NAMES_BESIDE, _LEGEND_LINE, _COLUMN = 1.72, 0.152, 2.4
_TITLE_LINE = 0.14
_MOST_ACROSS = 3
_TITLE_SIGNS = 46


class Names(Enum):
    """How a figure says which line is which."""

    BESIDE = "beside"
    """At the right end of each line."""

    BELOW = "below"
    """In a legend below, where there is no room beside."""

    ELSEWHERE = "elsewhere"
    """Not at all: whoever shows the figure does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What is drawn of one variation.

    Attributes:
        title: Which one it is; empty where there is only one.
        points: Its methods.
        audits: Its audits; empty where no attack was tried.
        axis: The epsilons, the same in all figures of a report; none where there is a single one, or none at
            all: then methods stand one below the other, and attacks are left to tables.
        limits: Lowest and highest AUC, the same in all figures of a report.
    """

    title: str
    points: Sequence[FrontierPoint]
    audits: Sequence[AuditRow]
    axis: EpsilonAxis | None
    limits: tuple[float, float]

    def heights(self, main: float) -> list[float]:
        """Of its parts, from top to bottom, where the frontier is to be so high."""
        if self.axis is None:
            return [_METHOD * len(self.points) + 0.2]
        has_bounds = any(row.lower is not None for row in self.audits)
        has_membership = any(row.membership for row in self.audits)
        return [main] + [_LOWER] * (has_bounds + has_membership)


def panel_figure(panel: Panel, *, width: float, names: Names, small: bool = False) -> Figure:
    """Draw one variation.

    Args:
        panel: What to show.
        width: Of the figure, in inches.
        names: Where lines are named.
        small: Whether it is one of many.
    """
    heights = panel.heights(_SMALL if small else _MAIN)
    with style.context(_SETTINGS):
        figure = Figure()
        spec = figure.add_gridspec(1, 1)
        axes, named = _draw(figure, spec[0, 0], panel, heights)
        legend = _legend_height(axes, width) if names is Names.BELOW else 0.0
        body = sum(heights) + _GAP * (len(heights) - 1)
        height = _HEAD + body + _FOOT + legend
        figure.set_size_inches(width, height)
        figure.subplots_adjust(
            left=(_LEFT if panel.axis is not None else 0.2) / width,
            right=1 - (_NAMES_BESIDE if names is Names.BESIDE else _RIGHT) / width,
            top=1 - _HEAD / height,
            bottom=(_FOOT + legend) / height,
        )
        if panel.axis is not None:
            panel.axis.dress(axes, width=width)
        if names is Names.BESIDE:
            for one, these, inches in zip(axes, named, heights, strict=True):
                name_beside(one, these, height=inches)
        elif names is Names.BELOW:
            _draw_legend(figure, axes, width)
    return figure


def grid_figure(panels: Sequence[Panel], *, width: float) -> Figure:
    """Draw many variations beside and below each other, with one legend for all.

    Args:
        panels: One or more.
        width: Of the figure, in inches.
    """
    across = min(len(panels), _MOST_ACROSS)
    down = -(-len(panels) // across)
    heights = [panel.heights(_SMALL) for panel in panels]
    body = max(sum(parts) + _GAP * (len(parts) - 1) for parts in heights)
    with style.context(_SETTINGS):
        figure = Figure()
        spec = figure.add_gridspec(down, across)
        drawn = []
        for number, panel in enumerate(panels):
            axes, _ = _draw(figure, spec[number // across, number % across], panel, heights[number])
            drawn.append(axes)
        legend = _legend_height(drawn[0], width)
        head = _HEAD + _TITLE_LINE * max(_wrapped(panel.title).count("\n") for panel in panels)
        height = (head + body + _FOOT) * down + legend
        figure.set_size_inches(width, height)
        figure.subplots_adjust(
            left=_LEFT / width,
            right=1 - _RIGHT / width,
            top=1 - head / height,
            bottom=(_FOOT + legend) / height,
            hspace=(head + _FOOT) / body,
            wspace=(_LEFT + _RIGHT) * across / (width - (_LEFT + _RIGHT) * across),
        )
        for panel, axes in zip(panels, drawn, strict=True):
            if panel.axis is not None:
                panel.axis.dress(axes, width=width)
        _draw_legend(figure, drawn[0], width)
    return figure


def legend_figure(panel: Panel, *, width: float) -> Figure:
    """The legend of many panels, alone.

    Args:
        panel: One of them.
        width: Of the figure, in inches.
    """
    with style.context(_SETTINGS):
        figure = Figure()
        axes, _ = _draw(figure, figure.add_gridspec(1, 1)[0, 0], panel, panel.heights(_SMALL))
        figure.set_size_inches(width, _legend_height(axes, width))
        _draw_legend(figure, axes, width)
        for one in axes:
            one.set_visible(False)
    return figure


def _wrapped(title: str) -> str:
    return textwrap.fill(title, _TITLE_SIGNS)


def _draw(
    figure: Figure, spec: SubplotSpec, panel: Panel, heights: Sequence[float]
) -> tuple[list[Axes], list[list[Named]]]:
    """Draw a variation's parts below each other."""
    grid = spec.subgridspec(len(heights), 1, height_ratios=heights, hspace=_GAP * len(heights) / sum(heights))
    axes = [figure.add_subplot(grid[place, 0]) for place in range(len(heights))]
    if panel.axis is None:
        named = [draw_methods(axes[0], panel.points, panel.limits)]
    else:
        named = [draw_accuracy(axes[0], panel.points, panel.axis, panel.limits)]
        lower = iter(axes[1:])
        if any(row.lower is not None for row in panel.audits):
            named.append(draw_bounds(next(lower), panel.audits, panel.axis))
        if any(row.membership for row in panel.audits):
            named.append(draw_membership(next(lower), panel.audits, panel.axis))
    if panel.title:
        axes[0].set_title(_wrapped(panel.title))
    return axes, named


def _columns(width: float) -> int:
    return max(int(width / _COLUMN), 1)


def _legend_height(axes: Sequence[Axes], width: float) -> float:
    entries = sum(len(one.get_legend_handles_labels()[1]) for one in axes)
    return _LEGEND_LINE * -(-entries // _columns(width)) + 0.1


def _draw_legend(figure: Figure, axes: Sequence[Axes], width: float) -> None:
    handles, labels = [], []
    for one in axes:
        more, names = one.get_legend_handles_labels()
        handles += more
        labels += names
    figure.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0.01, 0.0),
        frameon=False,
        fontsize=8,
        ncols=_columns(width),
        borderpad=0.1,
        labelspacing=0.3,
    )

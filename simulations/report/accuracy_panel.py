"""The frontier's own panel: a line for every method with an epsilon, a level for every other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from simulations.report.axis import EpsilonAxis
from simulations.report.beside import Named
from simulations.report.frontier import FrontierPoint
from simulations.report.looks import LINE, PAPER, look_of
from simulations.scenario import NAIVE, Baseline

__all__ = ["auc_limits", "draw_accuracy"]

_MAY_FAIL = frozenset({Baseline.LOCAL_NOISE, Baseline.NEURAL_LOCAL, *NAIVE})
"""Methods that may be so bad at small budgets that all others would be flattened to show them."""


def auc_limits(points: Sequence[FrontierPoint]) -> tuple[float, float]:
    """From where to where AUCs are drawn, so that a method that fails does not flatten all the others.

    Args:
        points: Of all variations.
    """
    compared = [point for point in points if point.baseline not in _MAY_FAIL] or list(points)
    low = min(point.auc.mean - (point.whisker or 0.0) for point in compared)
    high = max(point.auc.mean + (point.whisker or 0.0) for point in compared)
    margin = 0.06 * (high - low) + 0.001
    return max(low - margin, 0.0), min(high + margin, 1.0)


def draw_accuracy(
    axes: Axes, points: Sequence[FrontierPoint], axis: EpsilonAxis, limits: tuple[float, float]
) -> list[Named]:
    """Draw all methods.

    Whiskers are those of `FrontierPoint.whisker`; the ceiling has a band instead.

    Args:
        axes: Where to.
        points: Of one variation.
        axis: The epsilons.
        limits: Lowest and highest AUC.

    Returns:
        The names of lines, and where these end.
    """
    axes.set_ylim(*limits)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3f}"))
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title("AUC on test rows")
    methods: dict[tuple[Baseline | None, str], list[FrontierPoint]] = {}
    for point in points:
        methods.setdefault((point.baseline, point.method), []).append(point)
    below: Counter[int] = Counter()
    return [_draw_method(axes, group, axis, limits[0], below) for group in methods.values()]


def _draw_method(
    axes: Axes, points: Sequence[FrontierPoint], axis: EpsilonAxis, bottom: float, below: Counter[int]
) -> Named:
    budgets = [(at, point) for point in points if (at := point.epsilon_drawn) is not None]
    if not budgets:
        return _draw_level(axes, points[0], axis)
    budgets.sort(key=lambda pair: pair[0])
    look = look_of(points[0].baseline)
    for at, point in budgets:
        if point.auc.mean < bottom:
            place = round(10 * math.log10(at))
            _tell_what_is_below(axes, at, point, bottom, row=below[place])
            below[place] += 1
    _draw(axes, points[0], budgets, linestyle=look.dashes, linewidth=1.6)
    at, last = budgets[-1]
    return Named(name=last.method, colour=look.colour, x=at, y=last.auc.mean)


def _draw_level(axes: Axes, point: FrontierPoint, axis: EpsilonAxis) -> Named:
    look, mean = look_of(point.baseline), point.auc.mean
    if point.baseline is Baseline.POOLED_LIGHTGBM and point.auc.margin is not None:
        low, high = mean - point.auc.margin, mean + point.auc.margin
        axes.axhspan(low, high, color=LINE, alpha=0.45, linewidth=0)
    axes.axhline(mean, color=look.colour, linestyle=look.dashes, linewidth=1.1)
    _draw(axes, point, [(axis.outside, point)], linestyle=look.dashes, linewidth=1.1)
    return Named(name=point.method, colour=look.colour, x=axis.outside, y=mean)


def _draw(
    axes: Axes,
    method: FrontierPoint,
    places: Sequence[tuple[float, FrontierPoint]],
    *,
    linestyle: str,
    linewidth: float,
) -> None:
    look = look_of(method.baseline)
    is_ceiling = method.baseline is Baseline.POOLED_LIGHTGBM
    whiskers = [0.0 if is_ceiling else point.whisker or 0.0 for _, point in places]
    axes.errorbar(
        [at for at, _ in places],
        [point.auc.mean for _, point in places],
        yerr=whiskers if any(whiskers) else None,
        color=look.colour,
        marker=look.marker,
        markersize=4.5,
        markeredgecolor=PAPER,
        markeredgewidth=0.5,
        linestyle=linestyle,
        linewidth=linewidth,
        elinewidth=1.0,
        capsize=2.0,
        label=method.method,
    )


def _tell_what_is_below(axes: Axes, at: float, point: FrontierPoint, bottom: float, *, row: int) -> None:
    """A figure at the lower edge, above those of methods that were drawn before."""
    axes.annotate(
        f"{point.auc.mean:.3f}".lstrip("0") + "\N{DOWNWARDS ARROW}",
        (at, bottom),
        xytext=(2, 3 + 10 * row),
        textcoords="offset points",
        color=look_of(point.baseline).colour,
        fontsize=7.5,
    )

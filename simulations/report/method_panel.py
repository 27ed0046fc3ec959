"""The panel for a single budget: the AUC of every method, one below the other."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from simulations.report.beside import Named
from simulations.report.frontier import FrontierPoint
from simulations.report.looks import LINE, PAPER, look_of
from simulations.scenario import Baseline
from simulations.wording import epsilon_in_words

__all__ = ["draw_methods"]


def draw_methods(axes: Axes, points: Sequence[FrontierPoint], limits: tuple[float, float]) -> list[Named]:
    """Draw all methods with the whiskers of `FrontierPoint.whisker`; the ceiling has a band instead.

    Args:
        axes: Where to.
        points: Of one variation.
        limits: Lowest and highest AUC; what lies below is told at the edge.

    Returns:
        The names of methods, and where they are.
    """
    low, high = limits
    axes.set_xlim(low, high)
    axes.set_ylim(len(points) - 0.5, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3f}"))
    axes.set_xlabel("AUC on test rows")
    axes.grid(axis="x", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    for place, point in enumerate(points):
        _draw(axes, point, place, low)
    return [
        Named(name=_name(point), colour=look_of(point.baseline).colour, x=high, y=float(place))
        for place, point in enumerate(points)
    ]


def _draw(axes: Axes, point: FrontierPoint, place: int, low: float) -> None:
    look, mean, margin = look_of(point.baseline), point.auc.mean, point.whisker
    is_ceiling = point.baseline is Baseline.POOLED_LIGHTGBM
    if is_ceiling and margin is not None:
        axes.axvspan(mean - margin, mean + margin, color=LINE, alpha=0.45, linewidth=0)
    axes.errorbar(
        [mean],
        [place],
        xerr=None if is_ceiling or margin is None else [margin],
        color=look.colour,
        marker=look.marker,
        markersize=7,
        markeredgecolor=PAPER,
        markeredgewidth=0.5,
        linestyle="none",
        elinewidth=1.2,
        capsize=2.5,
        label=_name(point),
    )
    told = f"{mean:.4f}".lstrip("0")
    beyond = mean < low
    axes.annotate(
        f"\N{LEFTWARDS ARROW} {told}" if beyond else told,
        (low if beyond else mean, place),
        xytext=(0, 7) if not beyond else (2, -3),
        textcoords="offset points",
        ha="left" if beyond else "center",
        color=look.colour,
        fontsize=8,
    )


def _name(point: FrontierPoint) -> str:
    if point.epsilon_reported is None:
        return point.method
    return f"{point.method}\n(true ε {epsilon_in_words(point.epsilon_spent)})"

"""Names of lines and marks at the right edge of a panel, apart from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from simulations.report.labels import apart

__all__ = ["Named", "name_beside"]

_LINE_INCHES = 0.165


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Something in a panel that has a name.

    Attributes:
        name: In words.
        colour: Of the name and of the line that leads to it.
        x: Where it is.
        y: Likewise; beyond the panel, its name stands at the edge.
    """

    name: str
    colour: str
    x: float
    y: float


def name_beside(axes: Axes, named: Sequence[Named], *, height: float) -> None:
    """Write names to the right of a panel, each with a thin line to what it names.

    Args:
        axes: The panel; its limits are set.
        named: What is named.
        height: Of the panel, in inches.
    """
    bottom, top = axes.get_ylim()
    low, high = min(bottom, top), max(bottom, top)
    edges = [min(max(one.y, low), high) for one in named]
    places = apart(edges, least=(high - low) * _LINE_INCHES / height, low=low, high=high)
    for one, edge, place in zip(named, edges, places, strict=True):
        axes.annotate(
            one.name,
            xy=(one.x, edge),
            xytext=(1.035, (place - bottom) / (top - bottom)),
            textcoords="axes fraction",
            va="center",
            color=one.colour,
            fontsize=8.5,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": one.colour,
                "linewidth": 0.5,
                "shrinkA": 1,
                "shrinkB": 3,
            },
        )

"""The axis of epsilons that all panels of a picture, and all pictures of a report, share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from fedscore.pages import words
from simulations.report.labels import thinned

__all__ = ["EpsilonAxis", "epsilon_axis"]

_LEAST_INCHES = 0.27
"""Between two ticks, so that what they say does not touch."""

_LONG_LABEL_INCHES = 3.6


@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonAxis:
    """A logarithmic axis.

    Attributes:
        ticks: The epsilons that were asked for, ascending.
        low: Left end.
        high: Right end.
        delta: The delta that goes with every epsilon.
    """

    ticks: tuple[float, ...]
    low: float
    high: float
    delta: float

    @property
    def outside(self) -> float:
        """Where methods without an epsilon have their marks: near the right end."""
        return self.high * math.exp(-0.02 * math.log(self.high / self.low))

    def dress(self, axes: Sequence[Axes], *, width: float) -> None:
        """Give panels that stand above each other this axis; the lowest tells it.

        Args:
            axes: From top to bottom.
            width: Of the figure, in inches.
        """
        for one in axes:
            one.set_xscale("log")
            one.set_xlim(self.low, self.high)
            inches = one.get_position().width * width
            least = math.log(self.high / self.low) * _LEAST_INCHES / inches
            logarithms = thinned([math.log(tick) for tick in self.ticks], least=least)
            ticks = [tick for tick in self.ticks if math.log(tick) in logarithms]
            one.set_xticks(ticks, [f"{tick:g}" for tick in ticks] if one is axes[-1] else [""] * len(ticks))
            one.minorticks_off()
        label = (
            f"true \N{GREEK SMALL LETTER EPSILON} of one record, "
            f"\N{GREEK SMALL LETTER DELTA} = {words.delta(self.delta)}"
        )
        inches = axes[-1].get_position().width * width
        axes[-1].set_xlabel(f"{label} (left is more private)" if inches >= _LONG_LABEL_INCHES else label)


def epsilon_axis(asked: Iterable[float], true: Iterable[float], delta: float) -> EpsilonAxis:
    """The axis on which all of these have a place.

    Args:
        asked: The epsilons that were asked for; at least one.
        true: What methods really cost.
        delta: Of all of them.
    """
    ticks = tuple(sorted(set(asked)))
    everything = (*ticks, *true)
    low, high = min(everything), max(everything)
    # With a single epsilon the axis still has a length.
    reach = max(high / low, 2.0) ** 0.06
    return EpsilonAxis(ticks=ticks, low=low / reach, high=high * reach**1.6, delta=delta)

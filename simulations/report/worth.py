"""The section on what federation is worth to each party: which parties are shown, and to which scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedscore.pages.rulers import Ruler
from simulations.report.frontier import variation_in_words
from simulations.report.gains import (
    GainSummary,
    PartyGain,
    SizeGroup,
    by_size,
    nearest_to_one,
    party_gains,
    summary_of,
)
from simulations.results import Results

__all__ = ["Worth", "worth_of"]

_MOST_SHOWN = 40
_EXTREMES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What the section shows.

    Attributes:
        variation: The one that is drawn, in words; empty without a sweep.
        epsilon: The one that is drawn, nearest to 1; None without noise.
        shown: The parties that are drawn, who gains most first; of many, those who gain most and least.
        left_out: How many between them are not drawn.
        without: Parties without a gain to tell.
        ruler: Where AUCs are drawn.
        most_rows: Of any party that is drawn.
        summary: Of all parties of the drawn variation and epsilon.
        sizes: The same by size; empty for a few parties.
        lines: All variations and epsilons: variation in words, and the summary.
        dealt_anew: Whether each seed deals rows to parties anew, so that a party is a name and a size.
        several_seeds: Whether there are intervals.
    """

    variation: str
    epsilon: float | None
    shown: tuple[PartyGain, ...]
    left_out: int
    without: tuple[PartyGain, ...]
    ruler: Ruler
    most_rows: float
    summary: GainSummary
    sizes: tuple[SizeGroup, ...]
    lines: tuple[tuple[str, GainSummary], ...]
    dealt_anew: bool
    several_seeds: bool


def worth_of(results: Results) -> Worth | None:
    """The section of these results; None where no party's own card was measured.

    Args:
        results: Of an experiment.
    """
    own = [run for run in results.parties if run.baseline is None]
    cells = dict.fromkeys((tuple(run.variation.items()), run.epsilon) for run in own)
    found = {
        (place, epsilon): party_gains(results.parties, variation=place, epsilon=epsilon)
        for place, epsilon in cells
    }
    if not any(one.gain is not None for gains in found.values() for one in gains):
        return None
    variation = next(iter(cells))[0]
    epsilon = nearest_to_one(epsilon for place, epsilon in cells if place == variation)
    gains = found[variation, epsilon]
    told = [one for one in gains if one.gain is not None]
    many = len(gains) > _MOST_SHOWN
    shown = (*told[:_EXTREMES], *told[max(len(told) - _EXTREMES, _EXTREMES) :]) if many else tuple(told)
    without = tuple(one for one in gains if one.gain is None)
    return Worth(
        variation=variation_in_words(variation),
        epsilon=epsilon,
        shown=tuple(shown),
        left_out=len(told) - len(shown),
        without=without[:_EXTREMES] if many else without,
        ruler=_ruler(shown),
        most_rows=max(one.training_rows for one in gains),
        summary=summary_of(gains, epsilon=epsilon),
        sizes=by_size(gains, epsilon=epsilon) if many else (),
        lines=tuple(
            (variation_in_words(place), summary_of(these, epsilon=at)) for (place, at), these in found.items()
        ),
        dealt_anew=_dealt_anew(results),
        several_seeds=len({run.seed for run in own}) > 1,
    )


def _dealt_anew(results: Results) -> bool:
    parties = results.scenario.get("parties")
    return isinstance(parties, dict) and parties.get("kind") != "column"


def _ruler(shown: Sequence[PartyGain]) -> Ruler:
    ends = [value for one in shown for value in (one.local, one.federated) if value is not None]
    low, high = (min(ends), max(ends)) if ends else (0.5, 1.0)
    reach = 0.06 * (high - low) + 0.005
    low, high = max(low - reach, 0.0), min(high + reach, 1.0)
    step = next(step for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / step <= 5)
    first, last = -int(-low // step), int(high / step)
    return Ruler(
        low=low, high=high, ticks=tuple(round(step * number, 3) for number in range(first, last + 1))
    )

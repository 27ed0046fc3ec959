"""The frontier in numbers: what each way of organising a consortium reaches at which epsilon."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fedscore.contract import NoiseMode
from simulations.paired import Gap, paired_gap
from simulations.results import Run
from simulations.scenario import Baseline
from simulations.wording import method_in_words, true_epsilon

__all__ = ["FrontierPoint", "Variation", "by_variation", "frontier", "frontier_csv", "variation_in_words"]

Variation = tuple[tuple[str, str], ...]
"""Coordinates in a sweep: dotted keys with their values as TOML text; empty without a sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierPoint:
    """A method at one epsilon, over its seeds. Margins are half the widths of 95 % intervals (Student's t).

    Attributes:
        variation: Where it is in the sweep.
        learner: What was trained.
        baseline: What it is compared as, or None for the scenario's own runs.
        noise: Who added noise.
        epsilon: The record-level epsilon asked for; None where it is infinite.
        epsilon_spent: The largest true one of its runs; None where it is infinite.
        epsilon_reported: The largest that was reported instead, if one was.
        seeds: Number of runs.
        auc: Mean AUC, its margin none for a single seed.
        ks: Mean KS.
        lead: AUC of the scenario's own runs minus this baseline's at the same epsilon, paired by seed; none
            for own runs, and for a baseline without epsilon if own runs have several.
        below_ceiling: AUC of pooled LightGBM minus this one's, paired by seed; none where there is no such
            pair, and for LightGBM itself.
    """

    variation: Variation
    learner: str
    baseline: Baseline | None
    noise: NoiseMode
    epsilon: float | None
    epsilon_spent: float | None
    epsilon_reported: float | None
    seeds: int
    auc: Gap
    ks: Gap
    below_ceiling: Gap | None
    lead: Gap | None

    @property
    def method(self) -> str:
        """What was done, in words."""
        return method_in_words(self)

    @property
    def epsilon_drawn(self) -> float | None:
        """Where it stands on an axis of true epsilons; None where it is infinite."""
        return true_epsilon(self)

    @property
    def whisker(self) -> float | None:
        """The margin that is drawn: of the distance to the ceiling where there is one, of the AUC if not."""
        return self.auc.margin if self.below_ceiling is None else self.below_ceiling.margin


def frontier(runs: Sequence[Run]) -> tuple[FrontierPoint, ...]:
    """Bring runs together by variation, method and epsilon, in the order of their first runs.

    The intervals are for other splits of the same rows and other noise: seeds deal the rows and draw the
    noise, and nothing of it tells how a method would do among other people.

    Args:
        runs: At most one of each variation, method, epsilon and seed.
    """
    groups: dict[tuple[object, ...], list[Run]] = {}
    ceilings: dict[Variation, dict[int, float]] = {}
    own: dict[Variation, dict[float | None, dict[int, float]]] = {}
    for run in runs:
        place = tuple(run.variation.items())
        groups.setdefault((place, run.learner, run.baseline, run.noise, run.epsilon), []).append(run)
        if run.baseline is Baseline.POOLED_LIGHTGBM:
            ceilings.setdefault(place, {})[run.seed] = run.auc
        if run.baseline is None:
            own.setdefault(place, {}).setdefault(run.epsilon, {})[run.seed] = run.auc
    return tuple(
        _point(
            group,
            ceiling=ceilings.get(tuple(group[0].variation.items()), {}),
            own=own.get(tuple(group[0].variation.items()), {}),
        )
        for group in groups.values()
    )


def _point(
    runs: Sequence[Run],
    *,
    ceiling: Mapping[int, float],
    own: Mapping[float | None, Mapping[int, float]],
) -> FrontierPoint:
    first = runs[0]
    areas = {run.seed: run.auc for run in runs}
    is_ceiling = first.baseline is Baseline.POOLED_LIGHTGBM
    counterpart = own.get(first.epsilon, {})
    if first.epsilon is None and len(own) == 1:
        counterpart = next(iter(own.values()))
    return FrontierPoint(
        variation=tuple(first.variation.items()),
        learner=first.learner,
        baseline=first.baseline,
        noise=first.noise,
        epsilon=first.epsilon,
        epsilon_spent=_largest(run.epsilon_spent for run in runs),
        epsilon_reported=_largest(run.epsilon_reported for run in runs),
        seeds=len(runs),
        auc=_mean(areas),
        ks=_mean({run.seed: run.ks for run in runs}),
        below_ceiling=None if is_ceiling else paired_gap(ceiling, areas),
        lead=None if first.baseline is None else paired_gap(counterpart, areas),
    )


def _mean(values: Mapping[int, float]) -> Gap:
    gap = paired_gap(values, dict.fromkeys(values, 0.0))
    if gap is None:
        raise ValueError("a mean of no runs: this is a defect")
    return gap


def _largest(values: Iterable[float | None]) -> float | None:
    """None if one of the values is: there it stands for infinity, or for nothing at all."""
    known = list(values)
    return None if None in known else max(value for value in known if value is not None)


def by_variation(points: Sequence[FrontierPoint]) -> dict[Variation, tuple[FrontierPoint, ...]]:
    """The points of each variation, in the order of the sweep."""
    found: dict[Variation, list[FrontierPoint]] = {}
    for point in points:
        found.setdefault(point.variation, []).append(point)
    return {place: tuple(group) for place, group in found.items()}


def variation_in_words(variation: Variation) -> str:
    """The coordinates as one line; empty without a sweep."""
    return ", ".join(f"{key} = {value}" for key, value in variation)


_COLUMNS = (
    "method",
    "learner",
    "baseline",
    "noise",
    "epsilon_asked",
    "epsilon_true",
    "epsilon_reported",
    "seeds",
    "auc",
    "auc_margin",
    "ks",
    "ks_margin",
    "below_lightgbm",
    "below_lightgbm_margin",
)


def frontier_csv(points: Sequence[FrontierPoint]) -> str:
    """What is drawn, one point a line; what is infinite or not there is empty.

    Each swept key is a column of its own, before all others.
    """
    swept = list(dict.fromkeys(key for point in points for key, _ in point.variation))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*swept, *_COLUMNS])
    for point in points:
        place = dict(point.variation)
        below = point.below_ceiling
        writer.writerow(
            [
                *(place.get(key, "") for key in swept),
                point.method,
                point.learner,
                point.baseline,
                point.noise.value,
                point.epsilon,
                point.epsilon_drawn,
                point.epsilon_reported,
                point.seeds,
                point.auc.mean,
                point.auc.margin,
                point.ks.mean,
                point.ks.margin,
                None if below is None else below.mean,
                None if below is None else below.margin,
            ]
        )
    return text.getvalue()

"""Grades: where each begins, how many records it holds, and how many of them are bad. Post-processing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fedscore.card import Card, Grade, ScoreBands
from fedscore.contract import GradeTerms
from fedscore.learners.scorecard.scores import ScoreCounts

__all__ = ["grades_of", "score_bands"]

REFERENCE_BANDS = 20
"""Bands of equal mass that the card keeps of the distribution of its training scores."""

_Floats = npt.NDArray[np.float64]


class _Distribution:
    """How many records score at or above so many points, and how many of them the card expects to be bad."""

    def __init__(self, card: Card, counts: ScoreCounts) -> None:
        self.counts = counts
        self._edges = counts.edges
        self._below = counts.below()
        self.numbers = np.diff(self._below)
        self.probability = card.probability_of(counts.middles)
        self._bad_below = np.concatenate([[0.0], np.cumsum(self.numbers * self.probability)])
        self.total = max(float(self._below[-1]), 1.0)

    def above(self, points: _Floats) -> tuple[_Floats, _Floats]:
        """Records, and bad ones among them, from so many points on."""
        records = self._below[-1] - np.interp(points, self._edges, self._below)
        bad = self._bad_below[-1] - np.interp(points, self._edges, self._bad_below)
        return np.asarray(records), np.asarray(bad)

    def inside(self, low: float, high: float) -> tuple[float, float]:
        """Records, and bad ones among them, from `low` up to below `high`."""
        records, bad = self.above(np.array([low, high]))
        return float(records[0] - records[1]), float(bad[0] - bad[1])

    def noise_of_rate(self, low: float, high: float, rate: float) -> float:
        """Standard deviation of the noise in the counted bad records less the expected ones."""
        chosen = np.clip((self._edges[1:] - low) / np.diff(self._edges), 0.0, 1.0)
        chosen *= np.clip((high - self._edges[:-1]) / np.diff(self._edges), 0.0, 1.0)
        return self.counts.deviation(chosen * (1.0 - rate), -chosen * rate)


def grades_of(card: Card, counts: ScoreCounts, terms: GradeTerms) -> tuple[Grade, ...]:
    """Cuts the scores into grades.

    Cut-offs are whole points. By bad rates, each grade reaches down as far as its own expected bad rate stays
    within what the contract allows it; by shares, as far as its share of the records comes closest. A grade
    that nothing is left for is empty: it reaches down as far as the card's bad rate of a score itself stays
    within what it is allowed, or begins where the one before it does.

    Args:
        card: Calibrated.
        counts: Over its scores.
        terms: The contract's.
    """
    distribution = _Distribution(card, counts)
    # Whole points from above the greatest score down to the least.
    candidates = np.arange(np.ceil(counts.edges[-1]) + 1.0, np.floor(counts.edges[0]), -1.0)
    records, bad = distribution.above(candidates)
    probability = card.probability_of(candidates)
    limits = terms.largest_bad_rates or terms.shares
    cut_offs: list[float] = []
    place = 0
    for limit in limits:
        own, own_bad = records[place:] - records[place], bad[place:] - bad[place]
        if terms.largest_bad_rates:
            within = own_bad <= limit * own + 1e-12
            # Over scores that nobody has any rate holds: there the scores themselves have to be good enough.
            within &= (own >= 1.0) | (probability[place:] <= limit)
            place += int(np.flatnonzero(within)[-1]) if within.any() else 0
        else:
            place += int(np.argmin(np.abs(own - limit * distribution.total)))
        cut_offs.append(float(candidates[place]))
    bounds = [float(candidates[0]), *cut_offs, float(counts.edges[0]) - 1.0]
    return tuple(
        _grade(distribution, name, low=low, high=high, is_last=number == len(limits))
        for number, (name, (high, low)) in enumerate(zip(terms.names, pairwise(bounds), strict=True))
    )


def _grade(distribution: _Distribution, name: str, *, low: float, high: float, is_last: bool) -> Grade:
    records, bad = distribution.inside(low, high)
    if records >= 1.0:
        rate = min(max(bad / records, 0.0), 1.0)
        noise = distribution.noise_of_rate(low, high, rate) / records
        error = float(np.hypot(noise, np.sqrt(rate * (1.0 - rate) / records)))
    else:
        # Nobody is in it: what the card says of a score at its border, and that nothing was counted.
        rate = float(np.interp(low, distribution.counts.middles, distribution.probability))
        error = 1.0
    return Grade(
        name=name,
        lowest_score=None if is_last else low,
        share=round(min(max(records / distribution.total, 0.0), 1.0), 6),
        bad_rate=round(rate, 6),
        standard_error=round(min(error, 1.0), 6),
    )


def score_bands(counts: ScoreCounts) -> ScoreBands:
    """The distribution of scores in a few bands of equal mass, for whoever watches the card later."""
    below = counts.below()
    if below[-1] <= 0.0:
        below = np.arange(len(below), dtype=np.float64)
    shares = np.arange(1, REFERENCE_BANDS) / REFERENCE_BANDS
    places = np.unique(np.searchsorted(below, shares * below[-1]))
    places = places[(places > 0) & (places < len(below) - 1)]
    edges, first = np.unique([_least_score(edge) for edge in counts.edges[places]], return_index=True)
    places = places[first]
    bands = np.searchsorted(places, np.arange(len(below) - 1), side="right")
    chosen = (bands[None, :] == np.arange(len(places) + 1)[:, None]).astype(np.float64)
    nothing = np.zeros_like(chosen)
    deviations = counts.measured.deviations(np.concatenate([chosen, nothing], axis=1))
    return ScoreBands(
        edges=tuple(edges.tolist()),
        bad=tuple(round(float(number), 2) for number in chosen @ counts.bad),
        good=tuple(round(float(number), 2) for number in chosen @ counts.good),
        deviation=round(float(np.max(deviations)), 4),
        total_deviation=round(counts.deviation(np.ones(len(below) - 1), np.zeros(len(below) - 1)), 4),
    )


def _least_score(edge: float) -> float:
    """The least score, in whole hundredths, from an edge on: it divides scores as the edge does."""
    score = round(edge * 100.0)
    # Divided as scores are, so that both are the same floating-point number.
    while score / 100.0 < edge:
        score += 1
    return score / 100.0

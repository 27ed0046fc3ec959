"""What is a warning worth? Ranking, recall among few alerts, days before the event; each with an interval.

Higher scores are riskier. An interval is of the bootstrap over persons: all rows of a person are drawn
together, and with them one of the trainings, so that it covers both who happens to be measured and which
noise was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedscore.errors import DataError

__all__ = ["ALERT_RATE", "Estimate", "Figures", "Measured", "Ranking", "Sample", "figures_of", "measure"]

ALERT_RATE = 0.05
"""Share of the rows that are alerted: what a team can look at."""

_Floats = npt.NDArray[np.float64]

_DRAWS = 1000
_TAIL = 0.025


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures of one score on rows, some of which may count several times.

    Attributes:
        auc: Area under the ROC curve.
        ks: Largest distance between the score's distributions among good and bad, in the right direction.
        recall: Share of the bad rows among the riskiest `ALERT_RATE` of all.
        lead_days: Median days from a row's day to the event, of the bad rows among these; NaN where there are
            none.
    """

    auc: float
    ks: float
    recall: float
    lead_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and its 95 % interval.

    Attributes:
        value: The mean over trainings, on all rows as they are.
        low: Of the interval; None where none can be computed, like `high`.
        high: Likewise.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Figures with their intervals; `lead_days` is None where no bad row is alerted.

    Attributes:
        auc: As in `Figures`.
        ks: As in `Figures`.
        recall: As in `Figures`.
        lead_days: As in `Figures`.
        auc_gap: The reference's AUC minus this one's, on the same draws; None for the reference itself.
    """

    auc: Estimate
    ks: Estimate
    recall: Estimate
    lead_days: Estimate | None
    auc_gap: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Rows that several scores are measured on.

    Attributes:
        outcome: [n] in {0, 1}, both present.
        lead_days: [n]; NaN where the outcome is 0.
        person: [n], from 0: whose row it is.

    Raises:
        DataError: Only one outcome is there: nothing can be ranked.
    """

    outcome: npt.NDArray[np.int8]
    lead_days: _Floats
    person: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(np.unique(self.outcome)) != 2:
            raise DataError(
                f"all {len(self.outcome)} rows to measure on have the same outcome: "
                "take more people, or other days"
            )


class Ranking:
    """One score over a sample, sorted once so that many weightings of its rows are cheap."""

    def __init__(self, sample: Sample, score: _Floats) -> None:
        """Sort.

        Args:
            sample: The rows.
            score: [n], higher is riskier.
        """
        # Riskiest first; rows of one score are one group.
        _, self._group = np.unique(-score, return_inverse=True)
        self._groups = int(self._group.max()) + 1
        self._bad = sample.outcome == 1
        self._bad_rows = np.flatnonzero(self._bad)
        self._by_lead = self._bad_rows[np.argsort(sample.lead_days[self._bad_rows], kind="stable")]
        self._lead = sample.lead_days

    def figures(self, weight: _Floats) -> Figures | None:
        """Figures where each row counts as often as its weight says.

        Args:
            weight: [n], 0 or more.

        Returns:
            None if no good or no bad row counts.
        """
        bad = np.bincount(self._group, weights=weight * self._bad, minlength=self._groups)
        good = np.bincount(self._group, weights=weight * ~self._bad, minlength=self._groups)
        bads, goods = float(bad.sum()), float(good.sum())
        if bads == 0 or goods == 0:
            return None
        bad_above, good_above = np.cumsum(bad), np.cumsum(good)
        rows = bad + good
        reached = ALERT_RATE * (bads + goods) - (np.cumsum(rows) - rows)
        # A group at the border is alerted in proportion: the expectation over a random order of tied rows.
        alerted = np.clip(np.divide(reached, rows, out=np.zeros_like(rows), where=rows > 0), 0.0, 1.0)
        return Figures(
            auc=float(np.sum(good * (bad_above - bad / 2)) / (bads * goods)),
            ks=max(float(np.max(bad_above / bads - good_above / goods)), 0.0),
            recall=float(np.sum(bad * alerted) / bads),
            lead_days=self._median_lead(weight * alerted[self._group]),
        )

    def _median_lead(self, weight: _Floats) -> float:
        counted = np.cumsum(weight[self._by_lead])
        if len(counted) == 0 or counted[-1] <= 0:
            return math.nan
        # A hair below one half, so that halves which were added in another order are halves.
        half = counted[-1] / 2 * (1 - 1e-12)
        return float(self._lead[self._by_lead[np.searchsorted(counted, half)]])


def figures_of(sample: Sample, score: _Floats) -> Figures:
    """Figures of one score where every row counts once.

    Args:
        sample: The rows.
        score: [n], higher is riskier.
    """
    figures = Ranking(sample, score).figures(np.ones(len(score)))
    if figures is None:
        raise DataError("rows of one outcome alone cannot be ranked: take more of them")
    return figures


def measure(
    sample: Sample,
    trainings: Sequence[_Floats],
    *,
    reference: Sequence[_Floats] | None = None,
    draws: int = _DRAWS,
) -> Measured:
    """Figures of a method with their intervals.

    Args:
        sample: The rows.
        trainings: The scores [n] of each of the method's trainings: one, or one per seed.
        reference: The scores of the method that this one is compared with.
        draws: How often persons are drawn.
    """
    rankings = [Ranking(sample, score) for score in trainings]
    others = [Ranking(sample, score) for score in reference or ()]
    once = np.ones(len(sample.outcome))
    generator = np.random.default_rng(len(sample.outcome))
    persons = int(sample.person.max()) + 1
    own: list[Figures] = []
    theirs: list[Figures] = []
    for _ in range(draws):
        weight = np.bincount(generator.integers(0, persons, persons), minlength=persons)[
            sample.person
        ].astype(float)
        turn = int(generator.integers(0, 2**31))
        drawn = rankings[turn % len(rankings)].figures(weight)
        other = others[turn % len(others)].figures(weight) if others else None
        if drawn is not None:
            own.append(drawn)
            theirs += [other] if other is not None else []
    whole = [figures for ranking in rankings if (figures := ranking.figures(once)) is not None]

    def estimate(of: Callable[[Figures], float]) -> Estimate:
        return _estimate([of(one) for one in whole], [of(one) for one in own])

    lead = estimate(lambda one: one.lead_days)
    return Measured(
        auc=estimate(lambda one: one.auc),
        ks=estimate(lambda one: one.ks),
        recall=estimate(lambda one: one.recall),
        lead_days=None if math.isnan(lead.value) else lead,
        auc_gap=_gap(whole, others, own, theirs, once) if others else None,
    )


def _gap(
    whole: Sequence[Figures],
    others: Sequence[Ranking],
    own: Sequence[Figures],
    theirs: Sequence[Figures],
    once: _Floats,
) -> Estimate:
    reference = [figures.auc for ranking in others if (figures := ranking.figures(once)) is not None]
    value = float(np.mean(reference) - np.mean([one.auc for one in whole]))
    drawn = [other.auc - mine.auc for mine, other in zip(own, theirs, strict=True)]
    return _estimate([value], drawn)


def _estimate(whole: Sequence[float], drawn: Sequence[float]) -> Estimate:
    known = [value for value in whole if not math.isnan(value)]
    value = float(np.mean(known)) if known else math.nan
    usable = [one for one in drawn if not math.isnan(one)]
    if not usable:
        return Estimate(value=value, low=None, high=None)
    low, high = np.quantile(usable, [_TAIL, 1 - _TAIL])
    return Estimate(value=value, low=float(low), high=float(high))

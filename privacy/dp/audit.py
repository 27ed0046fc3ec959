"""Statistics of an audit: is the noise what was promised, and what could anybody have told from it?

Every test is exact or conservative under the promise, so a sound mechanism fails it with the stated chance at
most; what it could have seen is told beside it, because a test without power shows nothing.

- Variance: the sum of n squared standard normal numbers is χ² with n degrees of freedom; its tails by Wilson
  and Hilferty (1931), which is off by less than a tenth of the tail for n of 30 and more.
- Lower bound of ε: a threshold that was chosen on other runs tells "in" from "out"; the error rates' exact
  confidence limits (Clopper and Pearson 1934) bound what any (ε, δ) could allow (Kairouz, Oh and Viswanath
  2015): ε ≥ log((1 - δ - misses) / alarms), and the same with the two exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from fedscore.errors import AccountingError

__all__ = [
    "LowerBound",
    "detectable_ratio",
    "epsilon_lower_bound",
    "least_rate",
    "variance_p_value",
]

_Floats = npt.NDArray[np.float64]

_FEWEST = 30
"""Degrees of freedom from which on the tails of χ² are taken from the normal distribution."""


def variance_p_value(values: _Floats) -> float:
    """Two-sided p-value of "these are independent standard normal numbers", by their mean square.

    Args:
        values: 30 numbers or more, divided by the promised standard deviation.

    Raises:
        AccountingError: There are too few.
    """
    count = values.size
    if count < _FEWEST:
        raise AccountingError(f"{count} numbers say too little of their variance: {_FEWEST} are needed")
    deviate = _wilson_hilferty(float(np.square(values).sum()), count)
    return 2.0 * NormalDist().cdf(-abs(deviate))


def detectable_ratio(count: int, *, level: float, power: float = 0.99) -> float:
    """The ratio of variances, below 1, that `variance_p_value` finds at a level with a power.

    Args:
        count: How many numbers there are.
        level: Of the test, two-sided.
        power: The chance to find it.

    Returns:
        Noise with a variance of at most so many times what was promised would have been found; 0 if nothing
        would be.
    """
    normal, width = NormalDist(), math.sqrt(2.0 / (9.0 * count))
    centre = 1.0 - 2.0 / (9.0 * count)
    lowest = centre + width * normal.inv_cdf(level / 2.0)
    typical = centre + width * normal.inv_cdf(power)
    return max(lowest, 0.0) ** 3 / typical**3


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerBound:
    """What an attack shows of ε.

    Attributes:
        epsilon: A mechanism with a smaller one would have let the attack come out so with the remaining
            chance only; 0 if it shows nothing.
        most: What the bound could have been with so many runs if the attack had never erred.
        threshold: Statistics above it were taken for "in".
        false_alarms: Share of "out" runs above it.
        misses: Share of "in" runs below it.
    """

    epsilon: float
    most: float
    threshold: float
    false_alarms: float
    misses: float


def epsilon_lower_bound(
    inside: Sequence[float], outside: Sequence[float], *, delta: float, confidence: float = 0.999
) -> LowerBound:
    """Bounds ε from below by how well a statistic tells runs with a record from runs without it.

    The first half of the runs of each kind chooses the threshold, the second half is judged by it.

    Args:
        inside: The statistic in runs with the record: 100 or more.
        outside: In runs without it.
        delta: That was promised.
        confidence: Of the bound.

    Raises:
        AccountingError: There are too few runs.
    """
    if min(len(inside), len(outside)) < 100:
        raise AccountingError("a bound of epsilon needs 100 runs with the record, and as many without")
    first_in, then_in = _halves(inside)
    first_out, then_out = _halves(outside)
    candidates = np.quantile(np.concatenate([first_in, first_out]), np.linspace(0.02, 0.98, 97))
    # Half of what may go wrong for each of the two error rates.
    side = (1.0 - confidence) / 2.0

    threshold = float(max(candidates, key=lambda at: _promising(first_in, first_out, float(at))))
    alarms, misses = int((then_out > threshold).sum()), int((then_in <= threshold).sum())
    return LowerBound(
        epsilon=_implied(
            alarms=alarms, outs=len(then_out), misses=misses, ins=len(then_in), delta=delta, side=side
        ),
        most=_implied(alarms=0, outs=len(then_out), misses=0, ins=len(then_in), delta=delta, side=side),
        threshold=threshold,
        false_alarms=alarms / len(then_out),
        misses=misses / len(then_in),
    )


def least_rate(events: int, trials: int, *, side: float) -> float:
    """Lower Clopper-Pearson limit of a rate: below it, so many events or more have a chance of `side`."""
    if events == 0:
        return 0.0
    low, high = 0.0, events / trials
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _at_least(events, trials, middle) < side else (low, middle)
    return low


def _promising(inside: _Floats, outside: _Floats, threshold: float) -> float:
    """What error rates at a threshold would imply of epsilon, had each erred once more."""
    alarms = (float((outside > threshold).sum()) + 1.0) / (len(outside) + 2.0)
    misses = (float((inside <= threshold).sum()) + 1.0) / (len(inside) + 2.0)
    return max(math.log((1.0 - misses) / alarms), math.log((1.0 - alarms) / misses))


def _implied(*, alarms: int, outs: int, misses: int, ins: int, delta: float, side: float) -> float:
    most_alarms = 1.0 - least_rate(outs - alarms, outs, side=side)
    most_misses = 1.0 - least_rate(ins - misses, ins, side=side)
    found = [
        math.log((1.0 - delta - one) / other)
        for one, other in ((most_misses, most_alarms), (most_alarms, most_misses))
        if one + delta < 1.0 and other > 0.0
    ]
    return max(0.0, *found) if found else 0.0


def _at_least(events: int, trials: int, rate: float) -> float:
    """Chance of so many events or more."""
    if rate <= 0.0:
        return 0.0
    places = np.arange(events, trials + 1)
    factorials = _log_factorials(trials)
    log_choose = factorials[trials] - factorials[places] - factorials[trials - places]
    terms = log_choose + places * math.log(rate) + (trials - places) * math.log1p(-rate)
    return float(np.exp(terms).sum())


@lru_cache(maxsize=16)
def _log_factorials(largest: int) -> _Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, largest + 1)))])


def _halves(values: Sequence[float]) -> tuple[_Floats, _Floats]:
    held = np.asarray(values, dtype=np.float64)
    return held[: len(held) // 2], held[len(held) // 2 :]


def _wilson_hilferty(square_sum: float, count: int) -> float:
    """The standard normal deviate with about the same tail."""
    spread = 2.0 / (9.0 * count)
    return float(((square_sum / count) ** (1.0 / 3.0) - (1.0 - spread)) / math.sqrt(spread))

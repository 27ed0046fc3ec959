"""Statistics of an audit: is the noise what was promised, and what could anybody have told from it?

Every test is exact or conservative under the promise, so a sound mechanism fails it with the stated chance at
most; what it could have seen is told beside it, because a test without power shows nothing.

- Variance: the sum of n squared standard normal numbers is χ² with n degrees of freedom; its tails by Wilson
  and Hilferty (1931). For n of 30 and more that is within a tenth of tails down to .001, and far below it
  calls a lack of noise likelier than it is (1.3 times at 1e-5 and n = 30, 1.07 times at n = 95): the test
  errs toward silence.
- Lower bound of ε: a threshold that was chosen on other runs tells "in" from "out"; the error rates' exact
  confidence limits (Clopper and Pearson 1934) bound what any (ε, δ) could allow (Kairouz, Oh and Viswanath
  2015): ε ≥ log((1 - δ - misses) / alarms), and the same with the two exchanged.
- Lower bound of μ: a μ-GDP mechanism leaves every test Φ⁻¹(1 - alarms) - Φ⁻¹(misses) ≤ μ (Dong, Roth and Su
  2022, Definition 2.6: its trade-off function is that of N(0, 1) and N(μ, 1)). So limits of the rates bound μ
  from below, and the ε that a Gaussian mechanism of this μ has is what Nasr et al. (2023) call an audit under
  Gaussian differential privacy. It is much tighter, and holds where the promise *is* one of μ-GDP: a larger
  lower bound refutes that promise. It is no bound on ε of mechanisms of another kind.
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
from privacy.dp.gaussian import gaussian_epsilon

__all__ = [
    "ErrorCounts",
    "LowerBound",
    "detectable_factor",
    "detectable_ratio",
    "epsilon_lower_bound",
    "expected_bound",
    "least_rate",
    "typical_counts",
    "variance_p_value",
    "variance_power",
]

_Floats = npt.NDArray[np.float64]

FEWEST_RUNS = 100
"""Runs of each kind from which on a lower bound is worth its name."""

_LARGEST_FACTOR = 1e3

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


def variance_power(count: int, ratio: float, *, level: float) -> float:
    """The chance that `variance_p_value` finds a variance that is too small.

    Args:
        count: How many numbers there are.
        ratio: Their variance over the promised one, below 1.
        level: Of the test, two-sided.
    """
    normal, spread = NormalDist(), 2.0 / (9.0 * count)
    lowest = 1.0 - spread + math.sqrt(spread) * normal.inv_cdf(level / 2.0)
    return normal.cdf((max(lowest, 0.0) / ratio ** (1.0 / 3.0) - (1.0 - spread)) / math.sqrt(spread))


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCounts:
    """How often a threshold that was fixed beforehand told "in" from "out", and how often it did not.

    Attributes:
        alarms: Runs without the record that were taken for runs with it.
        outs: Runs without it.
        misses: Runs with the record that were taken for runs without it.
        ins: Runs with it.
    """

    alarms: int
    outs: int
    misses: int
    ins: int

    def __post_init__(self) -> None:
        if not (0 <= self.alarms <= self.outs and 0 <= self.misses <= self.ins and self.outs and self.ins):
            raise AccountingError("errors of an attack are counted among its runs, of which there are some")

    def epsilon(self, *, delta: float, confidence: float) -> float:
        """Lower bound of ε by (ε, δ) alone; 0 if nothing is shown."""
        alarms, misses = self._most(confidence)
        found = [
            math.log((1.0 - delta - one) / other)
            for one, other in ((misses, alarms), (alarms, misses))
            if one + delta < 1.0 and other > 0.0
        ]
        return max(0.0, *found) if found else 0.0

    def mu(self, *, confidence: float) -> float:
        """Lower bound of μ, where the promise is one of μ-GDP; 0 if nothing is shown."""
        alarms, misses = self._most(confidence)
        if alarms >= 1.0 or misses >= 1.0:
            return 0.0
        quantile = NormalDist().inv_cdf
        return max(0.0, quantile(1.0 - alarms) - quantile(misses))

    def gaussian_epsilon(self, *, delta: float, confidence: float) -> float:
        """The ε at δ of a Gaussian mechanism of the bounded μ."""
        return gaussian_epsilon(self.mu(confidence=confidence), delta)

    def _most(self, confidence: float) -> tuple[float, float]:
        """Upper limits of both error rates, each at half of what may go wrong."""
        side = (1.0 - confidence) / 2.0
        return (
            1.0 - least_rate(self.outs - self.alarms, self.outs, side=side),
            1.0 - least_rate(self.ins - self.misses, self.ins, side=side),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerBound:
    """What an attack shows of ε.

    Attributes:
        epsilon: A mechanism with a smaller one would have let the attack come out so with the remaining
            chance only; 0 if it shows nothing.
        most: What the bound could have been with so many runs if the attack had never erred.
        threshold: Statistics above it were taken for "in".
        counts: The errors of the runs that were judged.
    """

    epsilon: float
    most: float
    threshold: float
    counts: ErrorCounts

    @property
    def false_alarms(self) -> float:
        """Share of "out" runs above the threshold."""
        return self.counts.alarms / self.counts.outs

    @property
    def misses(self) -> float:
        """Share of "in" runs below it."""
        return self.counts.misses / self.counts.ins


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
    if min(len(inside), len(outside)) < FEWEST_RUNS:
        raise AccountingError(
            f"a bound of epsilon needs {FEWEST_RUNS} runs with the record, and as many without"
        )
    first_in, then_in = _halves(inside)
    first_out, then_out = _halves(outside)
    candidates = np.append(
        np.quantile(np.concatenate([first_in, first_out]), np.linspace(0.005, 0.995, 100)),
        # Between both kinds, where nothing errs.
        (first_out.max() + first_in.min()) / 2.0,
    )
    threshold = float(
        max(
            candidates,
            key=lambda at: _counts(first_in, first_out, float(at)).epsilon(
                delta=delta, confidence=confidence
            ),
        )
    )
    counts = _counts(then_in, then_out, threshold)
    return LowerBound(
        epsilon=counts.epsilon(delta=delta, confidence=confidence),
        most=ErrorCounts(alarms=0, outs=counts.outs, misses=0, ins=counts.ins).epsilon(
            delta=delta, confidence=confidence
        ),
        threshold=threshold,
        counts=counts,
    )


def expected_bound(mu: float, runs: int, *, delta: float, confidence: float) -> float:
    """The bound of ε by (ε, δ) that a Gaussian mechanism of this μ shows typically, at its best threshold.

    Args:
        mu: What the mechanism really leaks.
        runs: With the record that are judged, and as many without.
        delta: That was promised.
        confidence: Of the bound.
    """
    return max(
        typical_counts(mu, runs, at).epsilon(delta=delta, confidence=confidence)
        for at in np.linspace(mu / 2 - 3.0, mu / 2 + 3.0, 121).tolist()
    )


def detectable_factor(
    attained: float, promised: float, runs: int, *, confidence: float, power: float = 0.95
) -> float:
    """How many times too small the noise must be for the bound of μ to exceed what is promised.

    Args:
        attained: The μ of the attack where the noise is as promised: at most `promised`.
        promised: μ.
        runs: With the record that are judged by the middle between both kinds, and as many without.
        confidence: Of the bound.
        power: The chance to find it.

    Returns:
        A deviation that is too small by this factor would be found; infinite if hardly any would be.
    """
    normal = NormalDist()

    def is_found(factor: float) -> bool:
        rate = normal.cdf(-attained * factor / 2.0)
        # Both error rates are counted by themselves: their quantiles add up as independent ones do.
        spread = normal.inv_cdf(power) / math.sqrt(2.0) * math.sqrt(runs * rate * (1.0 - rate))
        errors = min(runs, math.ceil(runs * rate + spread))
        counts = ErrorCounts(alarms=errors, outs=runs, misses=errors, ins=runs)
        return counts.mu(confidence=confidence) > promised

    low, high = 1.0, _LARGEST_FACTOR
    if attained <= 0.0 or not is_found(high):
        return math.inf
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if is_found(middle) else (middle, high)
    return high


def typical_counts(mu: float, runs: int, threshold: float | None = None) -> ErrorCounts:
    """The middle of what a threshold shows of N(0, 1) and N(mu, 1).

    Args:
        mu: What the mechanism really leaks.
        runs: With the record, and as many without.
        threshold: Midway between both if left out.
    """
    threshold = mu / 2.0 if threshold is None else threshold
    normal = NormalDist()
    return ErrorCounts(
        alarms=round(runs * normal.cdf(-threshold)),
        outs=runs,
        misses=round(runs * normal.cdf(threshold - mu)),
        ins=runs,
    )


@lru_cache(maxsize=2**16)
def least_rate(events: int, trials: int, *, side: float) -> float:
    """Lower Clopper-Pearson limit of a rate: below it, so many events or more have a chance of `side`."""
    if events == 0:
        return 0.0
    low, high = 0.0, events / trials
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _at_least(events, trials, middle) < side else (low, middle)
    return low


def _counts(inside: _Floats, outside: _Floats, threshold: float) -> ErrorCounts:
    return ErrorCounts(
        alarms=int((outside > threshold).sum()),
        outs=len(outside),
        misses=int((inside <= threshold).sum()),
        ins=len(inside),
    )


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

"""Have more customers gone bad than the card expected? The bad-rate alarm, with its power.

With S the surplus of bad rows, E the expected number, v the noise of S and w that of E, and z the quantile
of `level`:

    no shift is excluded            S > z √(v² + E + (βE)²)
    a shift of λ is excluded        S < λE - z √(v² + λ²w² + (1 + λ)E + ((1 + λ)βE)²)

where E bounds the sampling variance Σ p(1 - p) from above, and β is the relative error of the expectation
itself (the card was calibrated on a sample, with noise). The alarm is raised if the first is excluded and
the second is not. If neither is, there are too few rows to tell, and that is what is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np

from fedscore.errors import DataError
from fedscore.estimates.interval import LEVEL, Estimate, quantile
from fedscore.estimates.outcomes import OutcomeSums

__all__ = ["Alarm", "AlarmReading", "Baseline", "bad_rate_alarm"]

_LIMIT = 0.2
"""Overdue rates up by more than a fifth are the trade's usual trigger."""

_MOST = 1000.0
"""Shifts beyond a thousandfold are not told apart."""


class AlarmReading(StrEnum):
    """What the outcomes say about the bad rate."""

    ALARM = "alarm"
    SMALL_RISE = "small rise"
    QUIET = "quiet"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How well the card's probabilities fitted when it was evaluated.

    Attributes:
        ratio: Observed bad rate divided by the expected one, at the evaluation.
        error: Its relative standard error.

    Raises:
        DataError: The ratio is not positive, or the error is negative.
    """

    ratio: float = 1.0
    error: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 < self.ratio < np.inf and 0.0 <= self.error < np.inf):
            raise DataError("a baseline needs a positive ratio, and an error of 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What was found, and what could have been.

    Attributes:
        reading: Alarm, a rise that is surely below the limit, quiet, or undecided.
        observed: Bad rate of these rows.
        expected: Bad rate that the card expected of them, times the baseline's ratio.
        shift: Observed divided by expected, minus 1; not measurable if hardly any bad row was expected.
        limit: The shift that matters.
        detectable: The smallest shift that excludes "no shift" with the chance `level`; none if there is none
            below a thousandfold.
        power: The chance of an alarm if the bad rate had risen by `limit`.
    """

    reading: AlarmReading
    observed: Estimate
    expected: Estimate
    shift: Estimate
    limit: float
    detectable: float | None
    power: float

    @property
    def sentence(self) -> str:
        """The reading in words, never more than was seen."""
        limit = f"+{self.limit:.0%}"
        match self.reading:
            case AlarmReading.ALARM:
                return f"alarm: the bad rate has risen, and a rise of {limit} or more is not excluded"
            case AlarmReading.SMALL_RISE:
                return f"the bad rate has risen, by less than {limit}"
            case AlarmReading.QUIET:
                return f"no rise is seen, and one of {limit} or more is excluded"
            case AlarmReading.UNDECIDED if self.detectable is None:
                return f"too few rows to tell: could not have seen {limit}, nor any rise"
            case AlarmReading.UNDECIDED if self.detectable > self.limit:
                return (
                    f"too few rows to tell: could not have seen {limit} with certainty, "
                    f"only +{self.detectable:.0%} or more"
                )
            case AlarmReading.UNDECIDED:
                return f"undecided: neither no rise nor one of {limit} is excluded; look again with more rows"


def bad_rate_alarm(
    sums: OutcomeSums, *, baseline: Baseline | None = None, limit: float = _LIMIT, level: float = LEVEL
) -> Alarm:
    """Compares the observed bad rate with what the card expected of the same rows.

    Args:
        sums: The released sum.
        baseline: What the evaluation said of the card's probabilities; by default that they are right.
        limit: The shift that matters, as a share of the expected rate; positive.
        level: One-sided for the two tests, two-sided for the intervals.

    Raises:
        DataError: The limit is not positive.
    """
    if not 0.0 < limit < _MOST:
        raise DataError(f"an alarm at a shift of {limit}: the limit is a positive share of the expected rate")
    evidence = _Evidence(sums=sums, baseline=Baseline() if baseline is None else baseline)
    if not evidence.decidable:
        return Alarm(
            reading=AlarmReading.UNDECIDED,
            observed=evidence.observed_rate(level),
            expected=evidence.expected_rate(level),
            shift=Estimate.unknown(level=level, least=-1.0, greatest=_MOST),
            limit=limit,
            detectable=None,
            power=0.0,
        )
    z = quantile(level)
    no_shift_up_to = z * evidence.error(0.0)
    limit_from = limit * evidence.expected - z * evidence.error(limit)
    return Alarm(
        reading=_reading(rises=evidence.surplus > no_shift_up_to, below_limit=evidence.surplus < limit_from),
        observed=evidence.observed_rate(level),
        expected=evidence.expected_rate(level),
        shift=evidence.shift(level),
        limit=limit,
        detectable=evidence.detectable(z),
        power=NormalDist().cdf(
            (limit * evidence.expected - max(no_shift_up_to, limit_from)) / evidence.error(limit)
        ),
    )


def _reading(*, rises: bool, below_limit: bool) -> AlarmReading:
    if rises:
        return AlarmReading.SMALL_RISE if below_limit else AlarmReading.ALARM
    return AlarmReading.QUIET if below_limit else AlarmReading.UNDECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """The counts, with the baseline's ratio taken into the expectation."""

    sums: OutcomeSums
    baseline: Baseline

    @property
    def expected(self) -> float:
        return self.baseline.ratio * self.sums.expected.value

    @property
    def observed(self) -> float:
        return self.sums.surplus.value + self.sums.expected.value

    @property
    def surplus(self) -> float:
        return self.observed - self.expected

    @property
    def decidable(self) -> bool:
        return self.sums.expected.clear and self.sums.rows.clear and self.expected < self.sums.rows.value

    def noise(self, shift: float) -> float:
        """Of the surplus beyond `shift` · expected."""
        weight = 1.0 - (1.0 + shift) * self.baseline.ratio
        return float(np.hypot(self.sums.surplus.deviation, weight * self.sums.expected.deviation))

    def chance(self, shift: float) -> float:
        """Sampling error of the same, and of the baseline, if the shift is the true one."""
        count = (1.0 + shift) * self.expected
        return float(np.sqrt(count + (self.baseline.error * count) ** 2 + 1.0))

    def error(self, shift: float) -> float:
        return float(np.hypot(self.noise(shift), self.chance(shift)))

    def shift(self, level: float) -> Estimate:
        shift = float(np.clip(self.surplus / self.expected, -1.0, _MOST))
        return Estimate.around(
            shift,
            noise=self.noise(shift) / self.expected,
            sampling=self.chance(shift) / self.expected,
            level=level,
            least=-1.0,
            greatest=_MOST,
        )

    def detectable(self, z: float) -> float | None:
        """Bisects for the shift that lies z errors above the threshold of "no shift"."""

        def seen(shift: float) -> bool:
            return shift * self.expected - z * self.error(shift) >= z * self.error(0.0)

        low, high = 0.0, _MOST
        if not seen(high):
            return None
        for _ in range(60):
            middle = (low + high) / 2.0
            low, high = (low, middle) if seen(middle) else (middle, high)
        return high

    def observed_rate(self, level: float) -> Estimate:
        noise = float(np.hypot(self.sums.surplus.deviation, self.sums.expected.deviation))
        return self._rate(self.observed, noise, level)

    def expected_rate(self, level: float) -> Estimate:
        return self._rate(self.expected, self.baseline.ratio * self.sums.expected.deviation, level)

    def _rate(self, count: float, noise: float, level: float) -> Estimate:
        rows = self.sums.rows
        if not rows.clear:
            return Estimate.unknown(level=level)
        rate = count / rows.value
        prudent = float(np.clip(count + 1.0, 1.0, rows.value + 1.0)) / (rows.value + 2.0)
        return Estimate.around(
            rate,
            noise=float(np.hypot(noise, rate * rows.deviation)) / rows.value,
            sampling=float(np.sqrt(prudent * (1.0 - prudent) / rows.value)),
            level=level,
        )

"""What is told of a metric: a value, what the noise leaves open, and what another sample could have given."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

__all__ = ["LEVEL", "Estimate", "quantile", "two_sided"]

LEVEL = 0.99
"""Intervals hold what they promise in so many of all cases, unless asked otherwise."""


def quantile(level: float) -> float:
    """Quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(level)


def two_sided(level: float) -> float:
    """So many standard deviations to each side hold `level` of a normal distribution."""
    return quantile((1.0 + level) / 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number about the rows that were evaluated, as far as a private sum tells it.

    Attributes:
        value: Best guess; None if it cannot be measured: noise hides it, or there are too few rows.
        low: With `high`: the exact metric of these very rows lies between them, at `level`. Noise and
            discretisation are in it; sampling is not.
        high: See `low`.
        noise_error: Standard deviation from the privacy noise alone; None if not measurable.
        sampling_error: Standard deviation that another sample of customers would add; None if not measurable.
        total_low: With `total_high`: the metric of all customers like these lies between them, at `level`.
        total_high: See `total_low`.
        level: See `low`.
    """

    value: float | None
    low: float
    high: float
    noise_error: float | None
    sampling_error: float | None
    total_low: float
    total_high: float
    level: float

    @property
    def measurable(self) -> bool:
        """Whether anything can be said beyond the metric's range."""
        return self.value is not None

    @classmethod
    def unknown(cls, *, level: float, least: float = 0.0, greatest: float = 1.0) -> Self:
        """Nothing can be said: the interval is the metric's range."""
        return cls(
            value=None,
            low=least,
            high=greatest,
            noise_error=None,
            sampling_error=None,
            total_low=least,
            total_high=greatest,
            level=level,
        )

    @classmethod
    def around(
        cls,
        value: float,
        *,
        noise: float,
        sampling: float,
        level: float,
        below: float = 0.0,
        above: float = 0.0,
        least: float = 0.0,
        greatest: float = 1.0,
    ) -> Self:
        """A normal interval, widened by what cannot be told within a band, and cut to the metric's range.

        Args:
            value: The estimate.
            noise: Standard deviation of the privacy noise in it.
            sampling: Standard deviation of sampling.
            level: Of both intervals.
            below: The exact metric may lie so far below, without any noise.
            above: Likewise above.
            least: The metric's range.
            greatest: The metric's range.
        """
        reach = two_sided(level)
        total = (noise**2 + sampling**2) ** 0.5
        return cls.between(
            value,
            inner=(value - reach * noise - below, value + reach * noise + above),
            outer=(value - reach * total - below, value + reach * total + above),
            noise=noise,
            sampling=sampling,
            level=level,
            least=least,
            greatest=greatest,
        )

    @classmethod
    def between(
        cls,
        value: float,
        *,
        inner: tuple[float, float],
        outer: tuple[float, float],
        noise: float,
        sampling: float,
        level: float,
        least: float = 0.0,
        greatest: float = 1.0,
    ) -> Self:
        """Intervals that were found in another way, cut to the metric's range and put in order."""

        def cut(number: float) -> float:
            return min(max(number, least), greatest)

        low, high = sorted((cut(inner[0]), cut(inner[1])))
        return cls(
            value=min(max(value, low), high),
            low=low,
            high=high,
            noise_error=noise,
            sampling_error=sampling,
            total_low=min(cut(outer[0]), low),
            total_high=max(cut(outer[1]), high),
            level=level,
        )

    def scaled(self, factor: float, shift: float, *, least: float, greatest: float) -> Estimate:
        """The same statement about factor · metric + shift, where factor is positive."""
        if self.value is None:
            return Estimate.unknown(level=self.level, least=least, greatest=greatest)
        return Estimate(
            value=factor * self.value + shift,
            low=factor * self.low + shift,
            high=factor * self.high + shift,
            noise_error=None if self.noise_error is None else factor * self.noise_error,
            sampling_error=None if self.sampling_error is None else factor * self.sampling_error,
            total_low=factor * self.total_low + shift,
            total_high=factor * self.total_high + shift,
            level=self.level,
        )

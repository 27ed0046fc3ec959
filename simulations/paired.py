"""By how much do two methods differ, measured on the same seeds?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Gap", "paired_gap", "student_quantile"]

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A mean difference over seeds.

    Attributes:
        mean: Over the seeds that both methods have.
        margin: Half the width of its 95 % interval (Student's t); None for a single seed.
    """

    mean: float
    margin: float | None


def paired_gap(minuend: Mapping[int, float], subtrahend: Mapping[int, float]) -> Gap | None:
    """The first method's figures minus the second's, seed by seed.

    The interval is for other splits of the same data: seeds deal the rows and draw the noise, and nothing of
    it tells how the methods would do on another population.

    Args:
        minuend: Figures by seed.
        subtrahend: Likewise.

    Returns:
        None where no seed is in both.
    """
    differences = [value - subtrahend[seed] for seed, value in minuend.items() if seed in subtrahend]
    if not differences:
        return None
    mean, count = statistics.fmean(differences), len(differences)
    if count == 1:
        return Gap(mean=mean, margin=None)
    error = statistics.stdev(differences) / math.sqrt(count)
    return Gap(mean=mean, margin=student_quantile((1 + _CONFIDENCE) / 2, count - 1) * error)


def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t distribution, to ten digits.

    Args:
        probability: From one half on, below 1.
        freedom: Degrees of freedom, 1 or more.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        below = (1 + _central(middle, freedom)) / 2 < probability
        low, high = (middle, high) if below else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _central(angle: float, freedom: int) -> float:
    """P(|t| <= sqrt(freedom) tan(angle)): Abramowitz and Stegun 1964, 26.7.3 and 26.7.4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for step in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * step / (step + 1)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total

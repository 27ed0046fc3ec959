"""The exact privacy curve of the Gaussian mechanism, in both directions, rounded to the safe side.

A mechanism is mu-GDP if telling two neighbouring databases apart by it is at least as hard as telling
N(0, 1) from N(mu, 1) (Dong, Roth and Su 2022, Definition 2.6). That is the same as being (epsilon, delta)-DP
for every epsilon >= 0 with

    delta(epsilon) = Phi(-epsilon / mu + mu / 2) - exp(epsilon) Phi(-epsilon / mu - mu / 2)

(Corollary 2.13 there; Balle and Wang 2018, Theorem 8). Only `math` is needed: where the two terms are far
out in the tail, both are written as the density there times a Mills ratio, so nothing over- or underflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fedscore.errors import AccountingError

__all__ = ["SMALLEST_DELTA", "check_delta", "gaussian_delta", "gaussian_epsilon", "gaussian_mu"]

SMALLEST_DELTA = 1e-100
"""Smallest delta that is priced: far below it, densities leave the range of a float."""

_ROUNDING = 2.0**-48
_CALIBRATION_MARGIN = 2.0**-30
_FAR_TAIL = 5.0
_FRACTION_TERMS = 80


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Delta of a mu-GDP mechanism at `epsilon`.

    Args:
        mu: Gaussian-DP parameter, 0 to infinity.
        epsilon: 0 to infinity.

    Returns:
        At least the true value, in [0, 1]: an upper bound of the rounding errors is added, relatively below
        1e-6 where mu is at least 1e-3 and delta at least `SMALLEST_DELTA`.

    Raises:
        AccountingError: An argument is negative or not a number.
    """
    _check_not_negative("mu", mu)
    _check_not_negative("epsilon", epsilon)
    if math.isinf(mu):
        return 1.0
    if mu == 0.0 or math.isinf(epsilon):
        return 0.0
    centre = epsilon / mu
    near, far = centre - mu / 2, centre + mu / 2
    # exp(epsilon) times the density at `far` is the density at `near`.
    density = math.exp(-near * near / 2) / math.sqrt(2 * math.pi)
    rounding = _ROUNDING * (8 + (1 + abs(near)) * (abs(near) + far))
    if near > 0:
        delta = density * (_mills(near) * (1 + rounding) - _mills(far) * (1 - rounding))
    else:
        delta = math.erfc(near / math.sqrt(2)) / 2 * (1 + rounding) - density * _mills(far) * (1 - rounding)
    return min(1.0, math.nextafter(delta, math.inf))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Smallest epsilon at which a mu-GDP mechanism has at most `delta`, rounded up.

    Args:
        mu: Gaussian-DP parameter, 0 to infinity.
        delta: `SMALLEST_DELTA` to below 1.

    Returns:
        An epsilon whose `gaussian_delta` is at most `delta`; infinite if mu is.

    Raises:
        AccountingError: An argument is outside its limits.
    """
    check_delta(delta)
    if math.isinf(mu):
        return math.inf
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    high = 1.0
    while gaussian_delta(mu, high) > delta:
        high *= 2
    return _bisect(lambda epsilon: gaussian_delta(mu, epsilon) <= delta, low=0.0, high=high)


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Largest mu whose mechanisms are (epsilon, delta)-DP, rounded down by a billionth.

    The billionth leaves room for what pricing adds to a calibrated program (rounding and the discrete lemma's
    slack), so that it is not found dearer than what it was calibrated to.

    Args:
        epsilon: 0 or more, finite.
        delta: `SMALLEST_DELTA` to below 1.

    Returns:
        A mu whose `gaussian_epsilon` at `delta` is below `epsilon` or equal to it.

    Raises:
        AccountingError: An argument is outside its limits.
    """
    check_delta(delta)
    _check_not_negative("epsilon", epsilon)
    if math.isinf(epsilon):
        raise AccountingError(
            "an infinite epsilon has no largest mu: use NonPrivate where nothing is promised"
        )
    high = 1.0
    while gaussian_delta(high, epsilon) <= delta:
        high *= 2
    too_dear = _bisect(lambda mu: gaussian_delta(mu, epsilon) > delta, low=0.0, high=high)
    return too_dear * (1 - _CALIBRATION_MARGIN)


def check_delta(delta: float) -> None:
    """Refuses a delta that cannot be priced.

    Raises:
        AccountingError: `delta` is below `SMALLEST_DELTA`, or 1 or more, or not a number.
    """
    if not SMALLEST_DELTA <= delta < 1:
        raise AccountingError(f"delta is {delta}; it must be at least {SMALLEST_DELTA} and below 1")


def _check_not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise AccountingError(f"{name} is {value}; it must be 0 or more")


def _mills(x: float) -> float:
    """Mills ratio Phi(-x) / phi(x), for x > 0."""
    if x < _FAR_TAIL:
        return math.sqrt(math.pi / 2) * math.exp(x * x / 2) * math.erfc(x / math.sqrt(2))
    # Laplace's continued fraction (Abramowitz and Stegun 26.2.14), from its far end.
    tail = x
    for term in range(_FRACTION_TERMS, 0, -1):
        tail = x + term / tail
    return 1 / tail


def _bisect(holds: Callable[[float], bool], *, low: float, high: float) -> float:
    """Least float in (low, high] from which `holds` holds, given that it holds at `high`."""
    while low < (middle := (low + high) / 2) < high:
        if holds(middle):
            high = middle
        else:
            low = middle
    return high

"""What a program of private sums costs, in (epsilon, delta).

Neighbouring relation: one record of one organisation is added or removed; `group` records at once for a
person who has several. Full-batch Gaussian rounds compose exactly, also when each query is chosen after the
earlier results: mu² adds up (Dong, Roth and Su 2022, Corollary 3.3). The lattice costs lambda, and noise that
was redrawn costs its tail (`privacy.dp.discrete_lemma`, ADR 4); the delta of a guarantee covers both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from fedscore.errors import AccountingError
from privacy.dp.discrete_lemma import gaussian_bound, sum_slack, variance_for_mu
from privacy.dp.events import DistributedGaussian, Event, NonPrivate, leaves
from privacy.dp.gaussian import check_delta, gaussian_delta, gaussian_epsilon, gaussian_mu

__all__ = [
    "Guarantee",
    "gaussian_delta",
    "gaussian_epsilon",
    "gaussian_mu",
    "guarantee",
    "renyi_epsilon",
    "variance_for_mu",
]

_LARGEST_EXPONENT = 700.0
_ROUND_UP = 1 + 2.0**-52


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """A promise: for neighbours at distance `group`, the whole program is (epsilon, delta)-DP.

    Attributes:
        epsilon: Rounded up; infinite where nothing can be promised.
        delta: What was asked for; it covers the Gaussian curve, the lattice and redrawn noise.
        mu: Gaussian-DP parameter, but for lattice and redraws; infinite if a part is unprotected.
        slack_lambda: The discrete lemma's lambda, summed over the rounds; already in `epsilon`.
        group: Number of records in which neighbours differ.
    """

    epsilon: float
    delta: float
    mu: float
    slack_lambda: float
    group: int


def guarantee(event: Event, *, delta: float, group: int = 1) -> Guarantee:
    """Prices an event by exact Gaussian-DP composition and the discrete lemma.

    Args:
        event: What was, or will be, released.
        delta: The delta that the promise may have, `gaussian.SMALLEST_DELTA` to below 1.
        group: Records in which neighbours differ: 1 for the record level; for the person level the number of
            organisations times that of rows per organisation that one person may have.

    Returns:
        The guarantee. Its epsilon is infinite if a part is `NonPrivate`, or if the chance of a redraw, times
        exp(epsilon), cannot be covered by `delta` (epsilon above 150 or so).

    Raises:
        AccountingError: delta or group is outside its limits, or a noise share is too small to be priced.
    """
    check_delta(delta)
    rounds = _rounds(event, group)
    if rounds is None:
        return Guarantee(epsilon=math.inf, delta=delta, mu=math.inf, slack_lambda=0.0, group=group)
    bounds = [gaussian_bound(part) for part in rounds]
    slack = math.fsum(bound.slack for bound in bounds)
    mu = _root_rounded_up(group**2 * sum((bound.mu_squared for bound in bounds), start=Fraction()))
    epsilon = _covering_redraws(
        lambda left: (gaussian_epsilon(mu, left * math.exp(-slack)) + 2 * slack) * _ROUND_UP,
        delta=delta,
        tail=math.fsum(bound.tail for bound in bounds),
    )
    return Guarantee(epsilon=epsilon, delta=delta, mu=mu, slack_lambda=slack, group=group)


def renyi_epsilon(event: Event, delta: float, *, group: int = 1) -> float:
    """Prices an event by concentrated DP, which needs neither exact composition nor the rounding lemma.

    A second opinion, which usually asks for 6 to 9 per cent more noise than the exact price. A round is
    (s² / 2)-concentrated with s = Delta / sqrt(k v) + tau sqrt(D), where tau <= 10 (k - 1) exp(-pi² v)
    (Kairouz, Liu and Steinke 2021, Proposition 14); rounds add up; the conversion to (epsilon, delta) is
    Canonne, Kamath and Steinke 2020, Proposition 12.

    Args:
        event: What was, or will be, released.
        delta: As for `guarantee`.
        group: As for `guarantee`.

    Returns:
        epsilon, infinite under the same conditions as in `guarantee`.

    Raises:
        AccountingError: As for `guarantee`.
    """
    check_delta(delta)
    rounds = _rounds(event, group)
    if rounds is None:
        return math.inf
    rho = math.fsum(_concentration(part, group) for part in rounds)
    tail = math.fsum(gaussian_bound(part).tail for part in rounds)
    return _covering_redraws(lambda left: _epsilon_of_concentration(rho, left), delta=delta, tail=tail)


def _rounds(event: Event, group: int) -> list[DistributedGaussian] | None:
    """The opened sums of an event; None if a part of it is unprotected."""
    if group < 1:
        raise AccountingError(f"neighbours that differ in {group} records: the group must be 1 or more")
    parts = list(leaves(event))
    protected = [part for part in parts if not isinstance(part, NonPrivate)]
    return protected if len(protected) == len(parts) else None


def _covering_redraws(price: Callable[[float], float], *, delta: float, tail: float) -> float:
    """Epsilon at which the curve `price` and noise at total variation `tail` together stay within `delta`.

    Noise at distance `tail` turns (epsilon, d) into (epsilon, d + (1 + exp(epsilon)) tail). What that adds is
    charged at the epsilon which half of delta would buy: an upper bound of the final one.
    """
    most = price(delta / 2)
    charge = tail * (1 + math.exp(min(most, _LARGEST_EXPONENT)))
    return math.inf if charge > delta / 2 else price(delta - charge)


def _root_rounded_up(square: Fraction) -> float:
    root = math.sqrt(square)
    while Fraction(root) ** 2 < square:
        root = math.nextafter(root, math.inf)
    return root


def _concentration(event: DistributedGaussian, group: int) -> float:
    tau = 2 * sum_slack(event.share_variance, event.honest_shares)
    shift = group * math.sqrt(event.sensitivity_squared / event.honest_variance)
    return (shift + tau * math.sqrt(event.dimension)) ** 2 / 2


def _epsilon_of_concentration(rho: float, delta: float) -> float:
    """Least epsilon over a grid of orders; every order gives a valid one."""

    def at(excess: float) -> float:
        order = 1 + excess
        return rho * order - math.log(order) / excess - math.log(delta) / excess - math.log1p(1 / excess)

    return max(0.0, min(at(1.01**step) for step in range(-1500, 3000)))

"""What a program of private sums costs, in (epsilon, delta).

Neighbouring relation: one record of one organisation is added or removed; `group` records at once for a
person who has several. The lattice costs lambda, and noise that was redrawn costs its tail
(`privacy.dp.discrete_lemma`, ADR 4); the delta of a guarantee covers both.

Formal guarantees:

- Full-batch rounds compose exactly, also when each query is chosen after the earlier results: mu² adds up
  (Dong, Roth and Su 2022, Corollary 3.3).
- A program with a sampled sum is priced as a whole by its Rényi curve (`privacy.dp.renyi`), the full-batch
  rounds in it too: there is no one mu for such programs. Conversion: `renyi.order_price`.
- The lemma survives sampling. Given who was sampled, an opened sum has a law within exp(±lambda), pointwise,
  of one fixed post-processing of a Gaussian around the sampled records' sum. Samples have the same
  probabilities in both, so the mixtures over all samples are within exp(±lambda) too, and the second one is
  that post-processing of the sampled Gaussian mechanism. Every repetition owes its lambda and its tail anew.
- What was done to disjoint parts of the records costs what the dearest part costs (parallel composition): a
  record that is added or removed is in one part, and what is asked of the others depends on it through
  released results alone, which is post-processing. A group of k records may be spread over the parts: with
  k_i of them in part i, mu² is the sum of (k_i mu_i)², at most k² max mu_i² (ADR 4).
- Who knows a record's coin knows whether it was sampled, and for them there is no amplification. So the price
  is against everyone but the record's own organisation, which has the record anyway.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from fedscore.errors import AccountingError
from privacy.dp.discrete_lemma import GaussianBound, gaussian_bound, sum_slack, variance_for_mu
from privacy.dp.events import (
    Composed,
    Disjoint,
    DistributedGaussian,
    Event,
    NonPrivate,
    PoissonSampledGaussian,
    leaves,
)
from privacy.dp.gaussian import SMALLEST_DELTA, check_delta, gaussian_delta, gaussian_epsilon, gaussian_mu
from privacy.dp.renyi import epsilon_of_curve, exact_curve, order_price, renyi_curve

__all__ = [
    "Guarantee",
    "covers",
    "gaussian_delta",
    "gaussian_epsilon",
    "gaussian_mu",
    "guarantee",
    "renyi_epsilon",
    "variance_for_mu",
]

_LARGEST_EXPONENT = 700.0
_ROUND_UP = 1 + 2.0**-52
_GROUP_MARGIN = 2.0**-30
_GROUP_STEPS = 40

_Leaf = DistributedGaussian | PoissonSampledGaussian


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """A promise: for neighbours at distance `group`, the whole program is (epsilon, delta)-DP.

    Attributes:
        epsilon: Rounded up; infinite where nothing can be promised.
        delta: What was asked for; it covers the program, the lattice and redrawn noise.
        mu: Gaussian-DP parameter, but for lattice and redraws; infinite where none is known: if a part is
            sampled, or unprotected.
        slack_lambda: The discrete lemma's lambda, summed over the rounds; already in `epsilon`.
        group: Number of records in which neighbours differ.
    """

    epsilon: float
    delta: float
    mu: float
    slack_lambda: float
    group: int


def guarantee(event: Event, *, delta: float, group: int = 1) -> Guarantee:
    """Prices an event: exactly if all its rounds are full-batch, else by its Rényi curve.

    Args:
        event: What was, or will be, released.
        delta: The delta that the promise may have, `gaussian.SMALLEST_DELTA` to below 1.
        group: Records in which neighbours differ, in whatever parts these are where parts are disjoint: 1 for
            the record level; for the person level the number of organisations times that of rows per
            organisation that one person may have. Exact for full-batch programs. For others it is what any
            (e, d) promises to k records, (k e, d (exp(k e) - 1) / (exp(e) - 1)), which is conservative:
            several times dearer than a price made for groups would be.

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
    bounds = [_bound(part) for part in rounds]
    slack = math.fsum(times * bound.slack for bound, times in bounds)
    tail = math.fsum(times * bound.tail for bound, times in bounds)

    def priced(curve: Callable[[float], float], within: float) -> float:
        return _covering_redraws(
            lambda left: (curve(left * math.exp(-slack)) + 2 * slack) * _ROUND_UP, delta=within, tail=tail
        )

    if any(isinstance(part, PoissonSampledGaussian) for part in rounds):
        mu, curve = math.inf, renyi_curve(event)
        epsilon = _of_group(
            lambda within: priced(lambda left: epsilon_of_curve(curve, left), within), delta, group
        )
    else:
        mu = _root_rounded_up(group**2 * _mu_squared(event))
        epsilon = priced(lambda left: gaussian_epsilon(mu, left), delta)
    return Guarantee(epsilon=epsilon, delta=delta, mu=mu, slack_lambda=slack, group=group)


def covers(reserved: Event, charged: Event) -> bool:
    """Whether nothing that is charged is dearer than what was reserved, whatever else was, or will be, spent.

    That is so if the one's divergence is no larger than the other's at every order: in exact fractions, so
    that there is no tolerance to be found. Between full-batch events it is the order of their mu². A sampled
    event is not covered by full-batch ones: their price, which is exact, may be lower than its own. Lattice
    slack and redrawn tails, below 1e-20, are left out of the comparison.

    Raises:
        AccountingError: A noise share is too small to be priced.
    """
    most, asked = exact_curve(reserved), exact_curve(charged)
    if most is None or asked is None or (_is_sampled(charged) and not _is_sampled(reserved)):
        return False
    return all(one <= limit for one, limit in zip(asked, most, strict=True))


def renyi_epsilon(event: Event, delta: float, *, group: int = 1) -> float:
    """Prices a full-batch event by concentrated DP, without exact composition or the rounding lemma.

    A second opinion, which usually asks for 6 to 9 per cent more noise than the exact price. A round is
    (s² / 2)-concentrated with s = Delta / sqrt(k v) + tau sqrt(D), where tau <= 10 (k - 1) exp(-pi² v)
    (Kairouz, Liu and Steinke 2021, Proposition 14); rounds add up, also those of disjoint parts.

    Args:
        event: What was, or will be, released.
        delta: As for `guarantee`.
        group: As for `guarantee`.

    Returns:
        epsilon, infinite under the same conditions as in `guarantee`.

    Raises:
        AccountingError: As for `guarantee`, or a part of the event is sampled.
    """
    check_delta(delta)
    rounds = _rounds(event, group)
    if rounds is None:
        return math.inf
    full_batch = [part for part in rounds if isinstance(part, DistributedGaussian)]
    if len(full_batch) < len(rounds):
        raise AccountingError("a program with sampled sums has one price: ask for its guarantee")
    rho = math.fsum(_concentration(part, group) for part in full_batch)
    tail = math.fsum(gaussian_bound(part).tail for part in full_batch)
    return _covering_redraws(lambda left: _epsilon_of_concentration(rho, left), delta=delta, tail=tail)


def _rounds(event: Event, group: int) -> list[_Leaf] | None:
    """The opened sums of an event; None if a part of it is unprotected."""
    if group < 1:
        raise AccountingError(f"neighbours that differ in {group} records: the group must be 1 or more")
    parts = list(leaves(event))
    protected = [part for part in parts if not isinstance(part, NonPrivate)]
    return protected if len(protected) == len(parts) else None


def _mu_squared(event: Event) -> Fraction:
    """Of a full-batch event without unprotected parts; that of disjoint parts is the largest."""
    if isinstance(event, Disjoint):
        return max(_mu_squared(part) for part in event.parts)
    if isinstance(event, Composed):
        return sum((_mu_squared(part) for part in event.events), start=Fraction())
    return _bound(event)[0].mu_squared if isinstance(event, _Leaf) else Fraction()


def _is_sampled(event: Event) -> bool:
    return any(isinstance(part, PoissonSampledGaussian) for part in leaves(event))


def _bound(part: _Leaf) -> tuple[GaussianBound, int]:
    """What each sum of a leaf costs at most when nothing is sampled, and how many sums it stands for."""
    if isinstance(part, PoissonSampledGaussian):
        return gaussian_bound(part.sum), part.repetitions
    return gaussian_bound(part), 1


def _of_group(price: Callable[[float], float], delta: float, group: int) -> float:
    """Epsilon for `group` records, from the price for one at any delta.

    Any delta for one whose growth stays within `delta` gives a valid price; the larger it is, the lower the
    price. So it is halved until it fits, and then brought as close as can be to the last one that did not.
    """
    if group == 1:
        return price(delta)
    limit = math.log(delta) - _GROUP_MARGIN
    small, large = math.log(delta), math.log(delta)
    while small + _log_growth(price(math.exp(small)), group) > limit:
        small, large = small - math.log(2), small
        if small < math.log(SMALLEST_DELTA):
            return math.inf
    for _ in range(_GROUP_STEPS):
        middle = (small + large) / 2
        if middle + _log_growth(price(math.exp(middle)), group) <= limit:
            small = middle
        else:
            large = middle
    return group * price(math.exp(small)) * _ROUND_UP


def _log_growth(epsilon: float, group: int) -> float:
    """Logarithm of (exp(group epsilon) - 1) / (exp(epsilon) - 1)."""
    if epsilon == 0.0:
        return math.log(group)
    if math.isinf(epsilon):
        return math.inf
    whole = group * epsilon
    return whole - epsilon + math.log(-math.expm1(-whole)) - math.log(-math.expm1(-epsilon))


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
    orders = (1 + 1.01**step for step in range(-1500, 3000))
    return max(0.0, min(order_price(order, rho * order, delta) for order in orders))

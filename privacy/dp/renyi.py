"""Rényi curves: what programs with sampled sums cost, order by order, rounded to the safe side.

A mechanism is (alpha, D)-RDP if its outputs on neighbours are at most D apart in Rényi divergence of order
alpha, both ways (Mironov 2017). For every alpha the D of composed mechanisms add up, also if each is chosen
after the results of those before it, as long as their sum stays within one that was fixed beforehand (Feldman
and Zrnic 2021, "Individual privacy accounting via a Rényi filter").

Formal guarantees: `renyi_curve` is at least the divergence, at every one of `ORDERS`, between the sums of the
two Gaussian laws that stand for neighbours in the discrete lemma (`privacy.dp.discrete_lemma`), whose slack
and tails `privacy.dp.accounting` adds.

- A full-batch sum: alpha mu² / 2, exactly.
- A sampled sum with q = 1 / one_in: whoever else was sampled, neighbours are a draw from N(0, 1) and one from
  (1 - q) N(0, 1) + q N(mu, 1), or better hidden (divergences are quasi-convex); of the two directions that of
  the mixture from N(0, 1) is the larger (Mironov, Talwar and Zhang 2019, "Rényi differential privacy of the
  sampled Gaussian mechanism", Theorems 4 and 5). At whole orders (Section 3.3 there)

      exp((alpha - 1) D) = sum over k of C(alpha, k) (1 - q)^(alpha - k) q^k exp(mu² (k² - k) / 2).

  Without the exponentials the sum is 1, so what is computed is log1p of a sum of positive terms: no digits
  cancel. Between whole orders, (alpha - 1) D is the logarithm of a moment, hence convex in alpha, and lies
  below its chord; at alpha = 1 it is 0. And sampling never costs more than the full batch.
- Disjoint parts of the records: the largest of the parts' divergences, order by order.

All sums are of exact fractions: a program that leaves something out is never found dearer, and the order of
its parts does not matter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from privacy.dp.discrete_lemma import gaussian_bound
from privacy.dp.events import (
    Composed,
    Disjoint,
    DistributedGaussian,
    Event,
    NonPrivate,
    PoissonSampledGaussian,
)

__all__ = ["ORDERS", "epsilon_of_curve", "exact_curve", "order_price", "renyi_curve"]

ORDERS: tuple[float, ...] = (
    *(1 + step / 16 for step in range(1, 48)),
    *(4 + step / 4 for step in range(16)),
    *(float(order) for order in range(8, 64)),
    *(float(order) for order in range(64, 128, 4)),
    *(float(order) for order in range(128, 256, 16)),
    *(float(order) for order in range(256, 512, 32)),
    *(float(order) for order in range(512, 1025, 64)),
)
"""Orders at which programs are priced, ascending: small ones for large epsilons, large ones for small."""

_LARGEST_MU_SQUARED = 10**6
_ROUNDING = 2.0**-48

_Floats = npt.NDArray[np.float64]


def renyi_curve(event: Event) -> npt.NDArray[np.float64]:
    """What an event costs at each of `ORDERS`.

    Args:
        event: What was, or will be, released.

    Returns:
        Upper bounds of the divergence, shape [len(ORDERS)]; infinite if a part of it is unprotected.

    Raises:
        AccountingError: A noise share is too small to be priced.
    """
    exact = exact_curve(event)
    if exact is None:
        return np.full(len(ORDERS), np.inf)
    return np.array([_rounded_up(value) for value in exact])


def exact_curve(event: Event) -> tuple[Fraction, ...] | None:
    """As `renyi_curve`, before it is rounded; None if a part of the event is unprotected."""
    sampled: Counter[tuple[int, Fraction]] = Counter()
    full_batch: Counter[Fraction] = Counter()
    divided: list[tuple[Fraction, ...]] = []
    for part in _undivided(event):
        if isinstance(part, NonPrivate):
            return None
        if isinstance(part, Disjoint):
            curves_of_parts = [exact_curve(one) for one in part.parts]
            known = [curve for curve in curves_of_parts if curve is not None]
            if len(known) < len(curves_of_parts):
                return None
            divided.append(tuple(map(max, zip(*known, strict=True))))
        elif isinstance(part, DistributedGaussian):
            full_batch[gaussian_bound(part).mu_squared] += 1
        else:
            sampled[part.one_in, gaussian_bound(part.sum).mu_squared] += part.repetitions
    mu_squared = sum((times * square for square, times in full_batch.items()), start=Fraction())
    curves = [(times, _sampled_curve(*key)) for key, times in sampled.items()]
    curves += [(1, curve) for curve in divided]
    return tuple(
        sum((times * curve[place] for times, curve in curves), start=Fraction(order) * mu_squared / 2)
        for place, order in enumerate(ORDERS)
    )


def _undivided(
    event: Event,
) -> Iterator[DistributedGaussian | PoissonSampledGaussian | Disjoint | NonPrivate]:
    """Takes compositions apart, and leaves what was done to disjoint parts together."""
    if isinstance(event, Composed):
        for part in event.events:
            yield from _undivided(part)
    else:
        yield event


def epsilon_of_curve(curve: npt.NDArray[np.float64], delta: float) -> float:
    """Least epsilon that a curve promises at `delta`.

    Args:
        curve: Divergences at `ORDERS`, shape [len(ORDERS)].
        delta: Above 0 and below 1.

    Returns:
        The least of the orders' prices, each of which holds, rounded up; 0 or more.
    """
    prices = (order_price(order, at, delta) for order, at in zip(ORDERS, curve.tolist(), strict=True))
    return max(0.0, min(prices))


def order_price(order: float, divergence: float, delta: float) -> float:
    """Epsilon at `delta` of what is (order, divergence)-RDP.

    Canonne, Kamath and Steinke 2020, Proposition 12. Where it is negative, 0 holds.

    Args:
        order: Above 1.
        divergence: 0 to infinity.
        delta: Above 0 and below 1.

    Returns:
        epsilon, rounded up.
    """
    excess = order - 1
    terms = (divergence, -math.log(order) / excess, -math.log(delta) / excess, -math.log1p(1 / excess))
    return math.fsum(terms) + _ROUNDING * math.fsum(map(abs, terms))


@lru_cache(maxsize=4096)
def _sampled_curve(one_in: int, mu_squared: Fraction) -> tuple[Fraction, ...]:
    """One sampled sum, at all `ORDERS`."""
    whole = {order for place in ORDERS for order in (math.floor(place), math.ceil(place))}
    moments = {order: _log_moment(one_in, mu_squared, order) for order in whole}
    curve = []
    for order in ORDERS:
        below, exact = math.floor(order), Fraction(order)
        chord = moments[below] + (exact - below) * (moments[math.ceil(order)] - moments[below])
        curve.append(min(chord / (exact - 1), exact * mu_squared / 2))
    return tuple(curve)


def _log_moment(one_in: int, mu_squared: Fraction, order: int) -> Fraction:
    """Upper bound of (order - 1) times the divergence at a whole order, 1 or more."""
    if order == 1:
        return Fraction()
    unsampled = order * (order - 1) * mu_squared / 2
    if mu_squared > _LARGEST_MU_SQUARED:
        # Sampling gains next to nothing under so little noise, and exponents stay small.
        return unsampled
    taken = np.arange(2, order + 1, dtype=np.float64)
    shift = taken * (taken - 1) / 2 * _rounded_up(mu_squared)
    log_in, log_out = -math.log(one_in), math.log1p(-1 / one_in)
    log_growth = shift + np.log(-np.expm1(-shift))  # of exp(shift) - 1
    log_terms = _log_binomials(order) + (order - taken) * log_out + taken * log_in + log_growth
    peak = float(log_terms.max())
    total = peak + math.log(math.fsum(np.exp(log_terms - peak)))
    moment = total + math.log1p(math.exp(-total)) if total > 0 else math.log1p(math.exp(total))
    # Every summand of a logarithm is off by a few units in its last place; log1p(exp(x)) has slope below
    # both 1 and its own value.
    largest = float(shift.max()) - float(np.log(-np.expm1(-shift)).min()) + order * (1 - log_in - log_out)
    rounding = _ROUNDING * (largest + float(_log_binomials(order).max()))
    return min(Fraction(math.nextafter(moment + rounding * min(1.0, 2 * moment), math.inf)), unsampled)


@cache
def _log_binomials(order: int) -> _Floats:
    """Logarithms of C(order, k), k from 2 to `order`."""
    row = [1]
    for k in range(1, order + 1):
        row.append(row[-1] * (order - k + 1) // k)
    logs = np.array([math.log(entry) for entry in row[2:]])
    logs.setflags(write=False)
    return logs


def _rounded_up(value: Fraction) -> float:
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)

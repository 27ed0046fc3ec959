"""Rényi curves against the formula in many digits, quadrature of both directions, and each other."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.rdp import RdpAccountant

from fedscore.errors import AccountingError
from privacy.dp.events import Composed, DistributedGaussian, NonPrivate, PoissonSampledGaussian
from privacy.dp.renyi import ORDERS, epsilon_of_curve, exact_curve, order_price, renyi_curve

WHOLE = [place for place, order in enumerate(ORDERS) if order == int(order)]


def a_sum(sensitivity_squared: int = 1, variance: int = 400, shares: int = 1) -> DistributedGaussian:
    """Its Gaussian has `sensitivity_squared` / (shares * variance - 4)."""
    return DistributedGaussian(
        sensitivity_squared=sensitivity_squared,
        share_variance=variance,
        honest_shares=shares,
        dimension=10,
        total_shares=shares,
    )


def noisy(noise_multiplier: float) -> DistributedGaussian:
    """A sum whose mu² is 1 / noise_multiplier², nearly."""
    sensitivity_squared = 10**12
    return a_sum(sensitivity_squared, 4 + round(sensitivity_squared * noise_multiplier**2))


def mu_of(event: DistributedGaussian) -> float:
    return math.sqrt(event.sensitivity_squared / (event.honest_variance - 4))


def sampled(noise_multiplier: float, one_in: int, repetitions: int = 1) -> PoissonSampledGaussian:
    return PoissonSampledGaussian(sum=noisy(noise_multiplier), one_in=one_in, repetitions=repetitions)


def in_many_digits(event: PoissonSampledGaussian, order: int) -> float:
    """Mironov, Talwar and Zhang 2019, Section 3.3, term by term."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 80, 10**12, -(10**12)
        q = 1 / Decimal(event.one_in)
        mu_squared = Decimal(event.sum.sensitivity_squared) / (event.sum.honest_variance - 4)
        moment = sum(
            math.comb(order, k) * (1 - q) ** (order - k) * q**k * (mu_squared * (k * k - k) / 2).exp()
            for k in range(order + 1)
        )
        assert isinstance(moment, Decimal)
        return float(moment.ln() / (order - 1))


def by_quadrature(mu: float, one_in: int, order: float) -> tuple[float, float]:
    """Divergence of the mixture from N(0, 1), and of N(0, 1) from the mixture, at any order."""
    at = np.linspace(-14 - order * mu, 14 + order * mu, 10_001)
    plain = -at * at / 2 - math.log(math.sqrt(2 * math.pi))
    shifted = plain + mu * at - mu * mu / 2
    mixed = np.logaddexp(plain + math.log1p(-1 / one_in), shifted - math.log(one_in))

    def divergence(one: np.ndarray, other: np.ndarray) -> float:
        exponents = order * one + (1 - order) * other
        peak = exponents.max()
        integral = np.exp(exponents - peak).sum() * (at[1] - at[0])
        return float((peak + math.log(integral)) / (order - 1))

    return divergence(mixed, plain), divergence(plain, mixed)


def test_orders_are_sorted_and_reach_far() -> None:
    assert list(ORDERS) == sorted(set(ORDERS))
    assert ORDERS[0] > 1
    assert ORDERS[-1] == 1024
    assert {float(order) for order in range(2, 64)} <= set(ORDERS)


def test_a_full_batch_costs_half_its_mu_squared_per_order() -> None:
    event = a_sum(3, 100, 7)
    expected = [order * 3 / 696 / 2 for order in ORDERS]
    assert renyi_curve(event) == pytest.approx(expected, rel=1e-15)
    assert exact_curve(event) == tuple(Fraction(order) * Fraction(3, 696) / 2 for order in ORDERS)


@pytest.mark.parametrize("one_in", [2, 3, 100, 10**6])
@pytest.mark.parametrize("noise_multiplier", [0.3, 1.0, 5.0, 100.0, 10_000.0])
def test_whole_orders_are_the_papers_formula_and_never_below(one_in: int, noise_multiplier: float) -> None:
    event = sampled(noise_multiplier, one_in)
    curve = renyi_curve(event)
    for place in [WHOLE[0], WHOLE[1], WHOLE[9], WHOLE[40], WHOLE[70], WHOLE[-1]]:
        true = in_many_digits(event, int(ORDERS[place]))
        assert true * (1 - 1e-15) <= curve[place] <= true * (1 + 1e-9), ORDERS[place]


@pytest.mark.parametrize(("one_in", "mu"), [(2, 1.0), (2, 0.1), (5, 2.0), (50, 0.8), (1000, 1.5)])
def test_the_curve_bounds_both_directions_at_every_order(one_in: int, mu: float) -> None:
    event = sampled(1 / mu, one_in)
    curve = renyi_curve(event)
    for place, order in enumerate(ORDERS):
        if order > 40:
            break
        added, removed = by_quadrature(mu_of(event.sum), one_in, order)
        assert removed <= added * (1 + 1e-6) + 1e-12, order
        assert added <= curve[place] * (1 + 1e-6) + 1e-12, order
        if order == int(order):
            assert curve[place] == pytest.approx(added, rel=1e-5, abs=1e-11)


def test_between_whole_orders_the_chord_is_near_the_truth() -> None:
    event = sampled(1.0, 100)
    curve = renyi_curve(event)
    for order, near in ((2.5, 0.08), (3.5, 0.08), (7.5, 0.08)):
        true, _ = by_quadrature(mu_of(event.sum), 100, order)
        assert true < curve[ORDERS.index(order)] < true * (1 + near)


def test_repetitions_and_compositions_add_up() -> None:
    one, many, other = sampled(1.0, 10), sampled(1.0, 10, 40), a_sum(16, 2000)
    single = exact_curve(one)
    assert single is not None
    assert exact_curve(many) == exact_curve(Composed(events=(one,) * 40)) == tuple(40 * d for d in single)
    both = exact_curve(Composed(events=(many, Composed(events=(other, one)))))
    alone = exact_curve(other)
    assert alone is not None
    assert both == tuple(41 * d + e for d, e in zip(single, alone, strict=True))
    assert exact_curve(Composed(events=())) == (Fraction(),) * len(ORDERS)


@pytest.mark.parametrize("noise_multiplier", [1e-5, 0.1, 1.0, 30.0])
def test_sampling_never_costs_more_and_rarer_samples_less(noise_multiplier: float) -> None:
    whole = renyi_curve(noisy(noise_multiplier))
    curves = [renyi_curve(sampled(noise_multiplier, one_in)) for one_in in (2, 3, 10, 10**5)]
    assert (curves[0] <= whole).all()
    for often, rare in itertools.pairwise(curves):
        assert (rare <= often).all()
    less_noise = renyi_curve(sampled(noise_multiplier * 0.9, 10))
    assert (less_noise >= curves[2]).all()


def test_the_price_falls_with_the_square_of_the_sampling_chance() -> None:
    at_two = {one_in: renyi_curve(sampled(5.0, one_in))[WHOLE[0]] for one_in in (100, 1000)}
    assert at_two[100] == pytest.approx(100 * at_two[1000], rel=1e-5)
    assert at_two[100] == pytest.approx(math.expm1(1 / 25) / 100**2, rel=1e-5)


def test_extremes_stay_finite_and_positive() -> None:
    for event in (
        PoissonSampledGaussian(sum=a_sum(10**30, 9), one_in=2),
        PoissonSampledGaussian(sum=a_sum(10**6, 9), one_in=10**9),
        PoissonSampledGaussian(sum=a_sum(1, 2**80), one_in=10**400, repetitions=10**6),
        PoissonSampledGaussian(sum=a_sum(1, 2**80, 2**20), one_in=2),
    ):
        curve = renyi_curve(event)
        assert np.isfinite(curve).all()
        assert (curve > 0).all()
        assert (curve <= event.repetitions * renyi_curve(event.sum) * (1 + 1e-12)).all()


def test_what_is_unprotected_or_has_too_little_noise_has_no_curve() -> None:
    event = Composed(events=(sampled(1.0, 10), NonPrivate()))
    assert exact_curve(event) is None
    assert np.isinf(renyi_curve(event)).all()
    with pytest.raises(AccountingError, match="needs 9 or more"):
        renyi_curve(PoissonSampledGaussian(sum=a_sum(1, 8), one_in=2))


@pytest.mark.parametrize("delta", [1e-5, 1e-9])
def test_the_price_of_a_curve_is_another_accountants(delta: float) -> None:
    """Both get the same orders, so what differs is the curve between whole ones."""
    orders = [order for order in ORDERS if order == int(order)]
    for noise_multiplier, one_in, steps in ((1.0, 100, 1000), (2.0, 10, 100), (8.0, 2, 20)):
        oracle = RdpAccountant(orders=orders)
        oracle.compose(
            dp_event.PoissonSampledDpEvent(1 / one_in, dp_event.GaussianDpEvent(noise_multiplier)), steps
        )
        curve = renyi_curve(sampled(noise_multiplier, one_in, steps))
        whole = min(order_price(ORDERS[place], float(curve[place]), delta) for place in WHOLE)
        assert whole == pytest.approx(oracle.get_epsilon(delta), rel=1e-9)
        assert oracle.get_epsilon(delta) * 0.9 < epsilon_of_curve(curve, delta) <= whole


def test_a_curves_price_is_never_negative_and_infinite_without_one() -> None:
    assert epsilon_of_curve(np.zeros(len(ORDERS)), 0.5) == 0.0
    assert epsilon_of_curve(np.full(len(ORDERS), np.inf), 0.5) == math.inf
    # The least price counts, whichever order has it.
    curve = np.full(len(ORDERS), np.inf)
    curve[30] = 0.25
    order = ORDERS[30]
    expected = 0.25 + math.log(1 - 1 / order) - (math.log(1e-5) + math.log(order)) / (order - 1)
    assert epsilon_of_curve(curve, 1e-5) == pytest.approx(expected, rel=1e-12)

"""Prices against closed forms, two other accountants, and each other."""

from __future__ import annotations

import math

import pytest
from dp_accounting import dp_event, pld
from scipy import optimize, stats

from fedscore.errors import AccountingError
from privacy.dp.accounting import (
    gaussian_delta,
    gaussian_epsilon,
    gaussian_mu,
    guarantee,
    renyi_epsilon,
    variance_for_mu,
)
from privacy.dp.discrete_lemma import gaussian_bound
from privacy.dp.events import Composed, DistributedGaussian, Event, NonPrivate

DELTA = 1e-5


def _sum(
    sensitivity_squared: int, variance: int, *, honest: int = 18, dimension: int = 1000
) -> DistributedGaussian:
    return DistributedGaussian(
        sensitivity_squared=sensitivity_squared,
        share_variance=variance,
        honest_shares=honest,
        dimension=dimension,
        total_shares=honest + 2,
    )


PROGRAM = Composed(events=(_sum(2, 300), _sum(10**10, 2**40), _sum(5, 1000, honest=3), _sum(1, 100)))


def _closed_form(event: Composed, delta: float, *, group: int = 1) -> float:
    """Epsilon by the textbook: mu from the events, then the curve solved by another solver."""
    mu_squared = 0.0
    for part in event.events:
        assert isinstance(part, DistributedGaussian)
        mu_squared += part.sensitivity_squared / (part.honest_shares * part.share_variance - 4)
    mu = group * math.sqrt(mu_squared)

    def excess(epsilon: float) -> float:
        tail = math.exp(epsilon + stats.norm.logcdf(-epsilon / mu - mu / 2))
        return float(stats.norm.cdf(-epsilon / mu + mu / 2)) - tail - delta

    return float(optimize.brentq(excess, 0, 1000, xtol=1e-13))


@pytest.mark.parametrize("group", [1, 2, 10])
@pytest.mark.parametrize("delta", [1e-5, 1e-8])
def test_a_programs_price_is_the_closed_form_of_its_events(delta: float, group: int) -> None:
    promise = guarantee(PROGRAM, delta=delta, group=group)
    assert promise.epsilon == pytest.approx(_closed_form(PROGRAM, delta, group=group), rel=1e-9)
    assert promise.delta == delta
    assert promise.group == group
    assert promise.slack_lambda < 1e-29


def test_the_price_agrees_with_privacy_loss_distributions() -> None:
    accountant = pld.PLDAccountant()
    for part in PROGRAM.events:
        assert isinstance(part, DistributedGaussian)
        multiplier = math.sqrt((part.honest_variance - 4) / part.sensitivity_squared)
        accountant.compose(dp_event.GaussianDpEvent(multiplier))
    oracle = accountant.get_epsilon(DELTA)
    assert guarantee(PROGRAM, delta=DELTA).epsilon == pytest.approx(oracle, rel=1e-3)


@pytest.mark.parametrize("event", [PROGRAM, _sum(10**12, 2**36), _sum(1, 100, honest=1)])
@pytest.mark.parametrize("group", [1, 4])
def test_the_exact_price_is_below_the_renyi_price_but_near(event: Event, group: int) -> None:
    exact = guarantee(event, delta=DELTA, group=group).epsilon
    assert exact < renyi_epsilon(event, DELTA, group=group) < 1.3 * exact


def test_renyi_price_is_the_textbooks_for_one_gaussian() -> None:
    event = _sum(1, 400, honest=1)
    rho = 1 / 800
    best = optimize.minimize_scalar(
        lambda a: rho * a + (math.log(1 / DELTA) - math.log(a)) / (a - 1) + math.log(1 - 1 / a),
        bounds=(1.001, 10_000),
        method="bounded",
    )
    assert renyi_epsilon(event, DELTA) == pytest.approx(best.fun, rel=1e-3)
    assert renyi_epsilon(event, DELTA) >= best.fun * (1 - 1e-9)


def test_delta_covers_lattice_and_redraws() -> None:
    bound = gaussian_bound(_sum(1, 9, honest=1, dimension=10))
    promise = guarantee(_sum(1, 9, honest=1, dimension=10), delta=DELTA)
    in_all = (
        math.exp(promise.slack_lambda)
        * gaussian_delta(promise.mu, promise.epsilon - 2 * promise.slack_lambda)
        + (1 + math.exp(promise.epsilon)) * bound.tail
    )
    assert in_all <= DELTA


def test_redraws_are_charged_even_where_they_would_be_the_whole_of_delta() -> None:
    small = 1e-84
    one = guarantee(_sum(1, 900, honest=1, dimension=1), delta=small)
    many = guarantee(_sum(1, 900, honest=1, dimension=50), delta=small)
    assert one.mu == many.mu
    assert one.epsilon < many.epsilon < math.inf
    assert guarantee(_sum(1, 900, honest=1, dimension=10**6), delta=small).epsilon == math.inf


def test_an_epsilon_that_redraws_cannot_carry_is_infinite_instead_of_wrong() -> None:
    dear = _sum(10**7, 900)
    assert gaussian_epsilon(guarantee(dear, delta=DELTA).mu, DELTA) > 200
    assert guarantee(dear, delta=DELTA).epsilon == math.inf
    assert renyi_epsilon(dear, DELTA) == math.inf


def test_nothing_costs_nothing_and_an_unprotected_part_costs_everything() -> None:
    assert guarantee(Composed(events=()), delta=DELTA).epsilon == 0
    for event in (NonPrivate(), Composed(events=(PROGRAM, NonPrivate()))):
        promise = guarantee(event, delta=DELTA)
        assert promise.epsilon == math.inf
        assert promise.mu == math.inf
        assert renyi_epsilon(event, DELTA) == math.inf


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, 2.0, 8.0])
def test_a_program_calibrated_to_a_budget_is_priced_within_it(epsilon: float) -> None:
    total = gaussian_mu(epsilon, DELTA)
    weights = [0.3, 0.25, 0.2, 0.15, 0.1]
    parts = []
    for weight in weights:
        variance = variance_for_mu(10**15, total * math.sqrt(weight))
        parts.append(_sum(10**15, -(-variance // 18)))
    spent = guarantee(Composed(events=tuple(parts)), delta=DELTA).epsilon
    assert epsilon * (1 - 1e-6) < spent <= epsilon


def test_the_person_level_multiplies_mu() -> None:
    one, six = (guarantee(PROGRAM, delta=DELTA, group=group) for group in (1, 6))
    assert six.mu == pytest.approx(6 * one.mu, rel=1e-14)
    # Tighter than the generic group property, which would multiply epsilon and blow up delta.
    assert one.epsilon * 6 < six.epsilon < gaussian_epsilon(one.mu * 6 * 1.001, DELTA)


def test_refuses_groups_deltas_and_shares_outside_the_limits() -> None:
    for price in (
        lambda event, delta, group: guarantee(event, delta=delta, group=group),
        lambda event, delta, group: renyi_epsilon(event, delta, group=group),
    ):
        with pytest.raises(AccountingError, match="group must be 1 or more"):
            price(PROGRAM, DELTA, 0)
        with pytest.raises(AccountingError, match="below 1"):
            price(PROGRAM, 1.0, 1)
        with pytest.raises(AccountingError, match="needs 9 or more"):
            price(Composed(events=(PROGRAM, _sum(1, 8))), DELTA, 1)
